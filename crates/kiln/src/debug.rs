//! `kiln debug`: a shell in the file system of a build that failed, as the build left it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::fd::AsFd as _,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Args;
use kiln_model::BuildStatus;
use kiln_runner::job::Control;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::{stdin, stdout},
};

use crate::{
    app::App,
    build,
    builds::BuildDir,
    exit::{self, usage},
    run::{self, runner::Runner},
    runs::{Record, Runs},
    signals,
    terminal::{output::write_all, text},
};

mod pty;
mod remote;

pub(crate) use pty::{Pty, RawMode};

/// Input that waits for the shell to take it.
const MAX_WAITING: usize = 64 * 1024;
/// What ends the input of a shell whose input is no terminal.
pub(crate) const END_OF_INPUT: u8 = 0x04;

/// What `kiln debug` is told.
#[derive(Debug, Args)]
pub(crate) struct DebugArgs {
    /// Id of the build, or the first characters of it [default: the last failed build of this directory];
    /// PROJECT:UUID for a build of the service
    build: Option<String>,
}

/// Opens the shell; the exit status is the shell's.
pub(crate) fn run(args: &DebugArgs, app: &App) -> anyhow::Result<ExitCode> {
    if let Some(id) = args.build.as_ref().filter(|id| build::names_service_build(id)) {
        return remote::run(id, app);
    }
    let runs = Runs::new(app.data.clone());
    let mut record = match &args.build {
        Some(id) => runs.record(&runs.find(id)?)?,
        None => last(&runs)?,
    };
    let build_dir = runs.take_kept(&record)?;
    eprint!("{}", introduction(&record));
    let status = shell(&build_dir, app)?;
    record.kept_bytes = Some(build_dir.disk_bytes());
    record.write(&runs.run_dir(&record.id))?;
    match status {
        Some(status) => Ok(ExitCode::from(status)),
        None => {
            eprint!("{}", run::died(&build_dir, "kiln: the shell could not be started, or ended with its container"));
            Ok(ExitCode::from(exit::FAULT))
        }
    }
}

/// The build that is meant where none is named.
fn last(runs: &Runs) -> anyhow::Result<Record> {
    let dir = std::env::current_dir().and_then(fs::canonicalize).context("the current directory")?;
    let known = runs.of(&dir)?;
    let failed = known.iter().find(|r| r.status != BuildStatus::Succeeded);
    let kept = || known.iter().find(|r| r.kept_bytes.is_some());
    match failed.or_else(kept) {
        Some(record) => Ok(record.clone()),
        None => {
            usage!("no failed build of {} is known: name one (kiln debug ID), or go to its directory", dir.display())
        }
    }
}

fn introduction(record: &Record) -> String {
    let mut line = format!("kiln: build {} of {} {}", record.short(), record.dir.display(), record.status);
    if let Some(phase) = record.phase {
        line.push_str(&format!(" in {phase}"));
    }
    if let Some(failed) = &record.failed_command {
        let command = text::one_line(&failed.text);
        line.push_str(&format!(", command {}: {}", failed.index + 1, text::fit(&command, 60)));
    }
    format!(
        "{line}\nkiln: a shell in its file system, with its variables and directory. Background processes and what was in \
         tmpfs are gone;\nkiln: what you change stays, for `kiln run --resume` too. `exit` leaves.\n"
    )
}

/// Runs the shell. `None`: it did not come to an end of its own.
fn shell(build: &BuildDir, app: &App) -> anyhow::Result<Option<u8>> {
    // What the runner says about the shell's end comes behind what stands there.
    let mut result = build.lock().try_clone().context("cannot read the build's lock")?;
    let before = result.seek(SeekFrom::End(0)).context("cannot read the build's lock")?;
    let window = signals::window_change().context("cannot watch for signals")?;
    let terminate = signals::terminate().context("cannot watch for signals")?;
    let pty = Pty::open().context("cannot open a pseudo-terminal")?;
    let runner = Runner::start_with(build, app.environment.runner.as_deref(), &[&pty.name])?;
    let raw = RawMode::enter();
    let proxied = proxy(&pty, &runner, &window, &terminate);
    drop(raw);
    proxied?;
    runner.wait().context("cannot wait for the runner")?;
    read_result(&mut result, before).context("cannot read the build's lock")
}

/// `exit N`, written by the runner.
pub(crate) fn read_result(file: &mut File, from: u64) -> io::Result<Option<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text)?;
    Ok(text.lines().find_map(|line| line.strip_prefix("exit ")?.parse().ok()))
}

/// Passes bytes between our terminal and the shell's until the runner has ended.
fn proxy(pty: &Pty, runner: &Runner, window: &signals::Signal, terminate: &signals::Signal) -> anyhow::Result<()> {
    let mut waiting: Vec<u8> = Vec::new();
    let mut input_open = true;
    let mut asked = false;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let (mut from_shell, mut from_us, ended);
        {
            let (master, input) = (pty.master.as_fd(), stdin());
            let runner_ended = runner.ended();
            let to_shell = if waiting.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
            let mut fds = vec![
                PollFd::new(&runner_ended, PollFlags::IN),
                PollFd::new(&master, to_shell),
                PollFd::new(window.fd(), PollFlags::IN),
                PollFd::new(terminate.fd(), PollFlags::IN),
            ];
            if input_open && waiting.len() < MAX_WAITING {
                fds.push(PollFd::new(&input, PollFlags::IN));
            }
            match poll(&mut fds, None::<&Timespec>) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).context("cannot wait for the shell"),
            }
            let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
            (ended, from_shell, from_us) = (ready(0), ready(1), ready(4));
        }
        if window.take() > 0 {
            pty.copy_size();
        }
        if terminate.take() > 0 {
            // First politely: the shell's programs are ended as those of a build that is stopped.
            runner.tell(if asked { Control::Kill } else { Control::Stop });
            asked = true;
        }
        while from_shell {
            match rustix::io::read(&pty.master, &mut buffer) {
                Ok(n) if n > 0 => {
                    let bytes = buffer.get(..n).unwrap_or_default();
                    if write_all(stdout(), bytes).is_err() && !asked {
                        runner.tell(Control::Kill);
                        asked = true;
                    }
                    // One read at a time while it runs, so that our input is not kept waiting by a flood.
                    from_shell = ended;
                }
                Err(Errno::INTR) => {}
                _ => from_shell = false,
            }
        }
        if ended {
            return Ok(());
        }
        while from_us {
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) => {
                    input_open = false;
                    waiting.push(END_OF_INPUT);
                }
                Ok(n) => waiting.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(Errno::INTR) => continue,
                Err(_) => input_open = false,
            }
            from_us = false;
        }
        if !waiting.is_empty() {
            match rustix::io::write(&pty.master, &waiting) {
                Ok(n) => drop(waiting.drain(..n)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => waiting.clear(), // the shell is gone; its runner will be too
            }
        }
    }
}
