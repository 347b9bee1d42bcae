//! A build of the service in front of a person: its journal comes over the network, the rest is as in `kiln run`.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use kiln_model::{BuildStatus, codebuild::Build, kiln::GetBuildJournalInput};
use kiln_wire::{
    event::Event,
    journal::{Body, Decoder},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    app::App,
    client::{Client, ClientError, Operation},
    exit, signals,
    terminal::{
        self,
        show::{self, About, Disk},
        style::Painter,
        view::{Gone, Show, View},
    },
};

/// Between two tries to reach a service that is away; the first comes at once.
const PAUSE: Duration = Duration::from_millis(500);
/// Tries that fail one after another until it is given up: a minute.
const TRIES: u32 = 120;

/// How to follow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Follow {
    /// Events in place of the log.
    pub(crate) json: bool,
    /// Output as it is.
    pub(crate) raw: bool,
    /// Ctrl-C stops the build; else it ends the following.
    pub(crate) stops: bool,
    /// Until the build is over; else what there is now.
    pub(crate) on: bool,
}

impl Default for Follow {
    fn default() -> Self {
        Self { json: false, raw: false, stops: false, on: true }
    }
}

/// Shows a build until it is over; the status is the one of `kiln run`.
pub(crate) fn follow(client: &Client, app: &App, id: &str, how: &Follow) -> anyhow::Result<(ExitCode, Build)> {
    let interrupt = signals::interrupt().context("cannot watch for signals")?;
    let terminate = signals::terminate().context("cannot watch for signals")?;
    let (mut records, into) = UnixStream::pair().context("cannot follow the build")?;
    records.set_nonblocking(true).context("cannot follow the build")?;
    let fetching = {
        let (client, id, on) = (client.clone(), id.to_owned(), how.on);
        thread::spawn(move || fetch(&client, &id, on, into))
    };
    let show = if how.json { Show::Json } else { Show::Log };
    let mut view = View::new(show, how.raw, how.on, Path::new(""), app.streams, app.clock.clone());
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 256 * 1024];
    let (mut stops, mut open, mut ended) = (0, true, false);
    while open && !ended {
        {
            let mut fds = [
                PollFd::new(interrupt.fd(), PollFlags::IN),
                PollFd::new(terminate.fd(), PollFlags::IN),
                PollFd::new(&records, PollFlags::IN),
            ];
            let timeout = view.due_in().and_then(|t| Timespec::try_from(t).ok());
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).context("cannot wait for the build"),
            }
        }
        for _ in 0..interrupt.take() + terminate.take() {
            stops += 1;
            if !how.stops || stops > 1 {
                view.finish();
                if how.stops {
                    eprintln!("kiln: the build is left to the service, which stops it: {} logs -f {id}", app.command);
                }
                return Ok((ExitCode::from(exit::STOPPED), super::get(client, id)?));
            }
            view.say("kiln: stopping the build… press Ctrl-C again to leave it alone");
            view.note("stopping");
            if let Err(e) = super::stop(client, id) {
                view.say(&format!("kiln: the build cannot be stopped: {e:#}"));
            }
        }
        match records.read(&mut buffer) {
            Ok(0) => open = false,
            Ok(n) => decoder.push(buffer.get(..n).unwrap_or_default()),
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::AGAIN | Errno::INTR)) => {}
            Err(e) => return Err(e).context("cannot follow the build"),
        }
        while let Some(record) = decoder.next_record().context("the build's journal is damaged on the way")? {
            ended = ended || matches!(&record.body, Body::Event(e) if matches!(**e, Event::BuildEnded(_)));
            view.record(&record);
        }
        view.flush();
        if view.gone().is_some() {
            view.mute(); // `| head`: the build and its status go on
        }
    }
    let (mut summary, gone) = view.finish();
    drop(records); // whoever still writes there ends
    let fetched = fetching.join().map_err(|_| anyhow::anyhow!("the build's journal could not be fetched"))?;
    if !ended {
        fetched?;
    }
    let build = if how.on { finished(client, id)? } else { super::get(client, id)? };
    summary.place_artifacts(|identifier| {
        let all = [&build.artifacts].into_iter().chain(&build.secondary_artifacts);
        let found = all.filter(|a| a.artifact_identifier.as_deref() == identifier).find_map(|a| a.location.clone());
        found.filter(|location| !location.is_empty())
    });
    let mut code = match &summary.ended {
        Some(ended) => exit::of_build(ended),
        None => of_status(&build),
    };
    if how.stops {
        match &summary.ended {
            Some(ended) if !how.json => {
                let about = About {
                    id: id.rsplit(':').next().unwrap_or(id),
                    number: build.build_number.unwrap_or_default().unsigned_abs(),
                    buildspec: "buildspec.yml",
                    disk: Disk::Gone,
                    kiln: &app.command,
                    dir: "",
                    lint: "",
                    columns: terminal::columns(),
                    painter: Painter { colour: app.streams.err_colour() },
                };
                eprint!("{}", show::summary(&summary, &about));
                if ended.kept {
                    eprintln!("\nTry\n  {} debug {id}   a shell in this build's file system", app.command);
                }
            }
            None => eprintln!("kiln: build {id} ended {}{}", status(&build), reason(&build)),
            _ => {}
        }
    }
    if let Some(Gone::Failed(e)) = gone {
        eprintln!("kiln: the log could not be written to standard output: {e}");
        code = exit::FAULT;
    }
    Ok((ExitCode::from(code), build))
}

/// The build once its end is recorded, which is a moment after the last record of its journal.
fn finished(client: &Client, id: &str) -> anyhow::Result<Build> {
    for _ in 0..TRIES {
        match super::get(client, id) {
            Ok(build) if build.build_complete => return Ok(build),
            Err(e) if !is_away(&e) => return Err(e),
            _ => thread::sleep(PAUSE / 10),
        }
    }
    super::get(client, id)
}

fn is_away(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(ClientError::is_passing)
}

/// Passes the journal's bytes on, over every interruption: each request goes on where the last one broke off.
fn fetch(client: &Client, id: &str, on: bool, mut into: UnixStream) -> anyhow::Result<()> {
    let mut offset = 0u64;
    let mut failures = 0;
    loop {
        let input = GetBuildJournalInput { id: id.to_owned(), offset: Some(offset), follow: Some(on) };
        let (before, mut reader_is_gone) = (offset, false);
        let result = client.stream(Operation::Kiln("GetBuildJournal"), &input, |bytes| {
            offset += bytes.len() as u64;
            reader_is_gone = into.write_all(bytes).is_err();
            !reader_is_gone
        });
        if reader_is_gone {
            return Ok(());
        }
        if offset > before {
            failures = 0;
        }
        match result {
            Ok(()) if !on => return Ok(()),
            // The service ends streams when it stops, too.
            Ok(()) => match super::get(client, id) {
                Ok(build) if build.build_complete => return Ok(()),
                Ok(_) => {}
                Err(e) if !is_away(&e) => return Err(e),
                Err(_) => {}
            },
            Err(e) if on && e.is_passing() => {}
            Err(e) => return Err(e.into()),
        }
        failures += 1;
        if failures > TRIES {
            return Err(client.away("it has not come back within a minute").into());
        }
        if failures > 1 {
            thread::sleep(PAUSE);
        }
    }
}

fn status(build: &Build) -> BuildStatus {
    build.build_status.unwrap_or(BuildStatus::InProgress)
}

/// The exit status of a build that had no runner: stopped or timed out in the queue, or never started.
fn of_status(build: &Build) -> u8 {
    match status(build) {
        BuildStatus::Succeeded => exit::SUCCESS,
        BuildStatus::Failed => exit::FAILED,
        BuildStatus::TimedOut => exit::TIMED_OUT,
        BuildStatus::Stopped => exit::STOPPED,
        BuildStatus::Fault | BuildStatus::InProgress => exit::FAULT,
    }
}

/// What the phases say about a failure.
fn reason(build: &Build) -> String {
    let contexts = build.phases.iter().rev().filter_map(|phase| phase.contexts.as_ref());
    let mut texts = contexts.flatten().map(|c| c.message.clone()).filter(|text| !text.is_empty());
    texts.next().map_or_else(String::new, |text| format!(": {text}"))
}
