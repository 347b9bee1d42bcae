//! One thread per running build: gives it to a runner, follows its journal, and closes the books when it is over.
//!
//! The journal is the only word on a build (DESIGN decision 3). Everything here can be begun again from it by a server
//! that knows no more than the build's record.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use kiln_model::{BuildStatus, PhaseContext, PhaseType};
use kiln_runner::job::{Control, JOURNAL_FILE, RUNNER_LOG};
use kiln_store::{
    StoreError,
    logs::{LogError, LogWriter},
};
use kiln_wire::{
    event::{BuildEnded, Event as Told},
    journal::{Body, Decoder},
};

use crate::{
    behalf,
    core::Inner,
    crash,
    ecr::{self, Taken},
    finish, identity,
    lifecycle::{self, Event},
    live::{Live, Progress},
    logs,
    queue::Waiting,
    records,
    runners::Runners,
    timeline::millis,
};

/// How often it is looked whether a runner still lives that says nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How long what has come of a log waits for more before it is written (DESIGN section 8: 2 s behind at most).
const FLUSH: Duration = Duration::from_secs(1);
/// Between two tries to do what the disk refuses.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes of a journal that are read at once.
const READ: usize = 256 << 10;
/// Bytes of the runner's own messages that a fault's reason may quote.
const QUOTE: usize = 500;

/// Gives a build its turn, and follows it to its end.
pub(crate) fn begin<R: Runners>(inner: &Arc<Inner<R>>, build: &Waiting) {
    let uuid = build.uuid.as_str();
    let not_yet = |e: StoreError| {
        tracing::warn!(build.uuid = %uuid, error = %e, "a build could not be started yet");
        inner.live.remove(uuid);
        pause(inner);
        inner.queue().put_back(build.clone());
        inner.nudge_scheduler();
    };
    let document = match inner.metadata.read(|view| records::find(view, uuid)) {
        Ok(Some((_, document))) => document,
        Ok(None) => return release(inner, uuid),
        Err(e) => return not_yet(e),
    };
    // Before it is given: whoever stops a build that is running finds it here, and a stop is never lost.
    let live = Arc::new(Live::new(uuid, document));
    inner.live.insert(Arc::clone(&live));
    inner.tails.begun(&live, &live.document());
    let permitted = behalf::check_start(inner, &live.document());
    let (id, at, has_stream) = (build.uuid.clone(), inner.now(), permitted.is_ok());
    let given = inner.metadata.write_blocking(move |tx| {
        let given = records::step(tx, &id, &Event::Given { at })?;
        if let Some((document, _)) = given.as_ref().filter(|_| has_stream)
            && document.lifecycle.state == lifecycle::State::Running
        {
            logs::open(tx, document, at)?;
        }
        Ok(given)
    });
    match given {
        Ok(Some((document, _))) if document.lifecycle.state == lifecycle::State::Running => live.with(|known| {
            let stop_requested = known.document.lifecycle.stop_requested;
            known.document = document;
            known.document.lifecycle.stop_requested |= stop_requested;
        }),
        // Stopped or deleted while it was on its way here.
        Ok(_) => return release(inner, uuid),
        Err(e) => return not_yet(e),
    }
    crash::point("build_given");
    let event = match permitted.and_then(|()| start(inner, &live)) {
        Ok(Taken::Yes) => {
            crash::point("build_started");
            follow(inner, &live);
            return;
        }
        // The next server finds that it never began.
        Ok(Taken::GivenUp) if inner.is_stopping() => return,
        Ok(Taken::GivenUp) => Event::Lost { at: inner.now(), reason: "It was stopped before it began".to_owned() },
        Err(Failure { phase, status, context }) => {
            tracing::warn!(build.uuid = %uuid, error = %context.message, "a build could not be started");
            Event::Refused { at: inner.now(), phase, status, context }
        }
    };
    inner.discard(uuid);
    finish::refuse(inner, &live, &event);
    release(inner, uuid);
}

/// Follows a build that an earlier server gave to a runner.
pub(crate) fn follow_on<R: Runners>(inner: &Arc<Inner<R>>, live: &Arc<Live>) {
    if live.with(|known| known.document.lifecycle.stop_requested) {
        inner.runners.tell(&live.uuid, Control::Stop);
    }
    follow(inner, live);
}

/// Why a build has no runner.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) phase: PhaseType,
    pub(crate) status: BuildStatus,
    pub(crate) context: PhaseContext,
}

impl Failure {
    /// Kiln's own fault, before anything of the build happened.
    pub(crate) fn fault(message: String) -> Self {
        let context = PhaseContext::new("INTERNAL_ERROR", message);
        Self { phase: PhaseType::Provisioning, status: BuildStatus::Fault, context }
    }

    /// The image cannot be had (`buildspec.md` 6).
    pub(crate) fn image(why: &str) -> Self {
        let message = format!("Unable to pull customer's container image. CannotPullContainerError: {why}");
        let context = PhaseContext::new("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", message);
        Self { phase: PhaseType::Provisioning, status: BuildStatus::Failed, context }
    }

    /// The source is not what the project says.
    pub(crate) fn source(message: String) -> Self {
        let context = PhaseContext::new("CLIENT_ERROR", message);
        Self { phase: PhaseType::DownloadSource, status: BuildStatus::Failed, context }
    }
}

/// Puts the build's image and sources in place and starts its runner.
fn start<R: Runners>(inner: &Arc<Inner<R>>, live: &Live) -> Result<Taken, Failure> {
    let document = live.document();
    if ecr::take(inner, live, &document)? == Taken::GivenUp {
        return Ok(Taken::GivenUp);
    }
    let staged = crate::sources::stage(inner, &document)?;
    let dir = inner.runners.dir(&live.uuid);
    let access = identity::new_access(&inner.config);
    live.set_access(access.clone());
    let job = crate::job::job(&inner.config, &document, &dir, &staged, access)
        .ok_or_else(|| Failure::fault(format!("'{}' is not the id of a build", document.build.id)))?;
    inner.runners.start(&job).map_err(|e| Failure::fault(e.message))?;
    // Whoever asked to stop it meanwhile found no runner to tell.
    if live.with(|known| known.document.lifecycle.stop_requested) {
        inner.runners.tell(&live.uuid, Control::Stop);
    }
    Ok(Taken::Yes)
}

/// A build leaves the memory and makes room for others.
fn release<R: Runners>(inner: &Inner<R>, uuid: &str) {
    inner.live.remove(uuid);
    inner.queue().remove(uuid);
    inner.nudge_scheduler();
}

/// Waits before the next try of what the disk refused; not when the server stops.
pub(crate) fn pause<R: Runners>(inner: &Inner<R>) {
    if !inner.is_stopping() {
        std::thread::sleep(AGAIN);
    }
}

/// How following a journal ended.
enum End {
    /// The runner said how the build ended.
    Over(Box<BuildEnded>, i64),
    /// The runner is gone; why that is known.
    Lost(String),
    /// The server stops; the build goes on.
    Stopping,
}

fn follow<R: Runners>(inner: &Arc<Inner<R>>, live: &Arc<Live>) {
    let mut journal = Journal::new(&inner.runners.dir(&live.uuid).join(JOURNAL_FILE));
    let end = loop {
        match read(inner, live, &mut journal) {
            Ok(end) => break end,
            // The log's disk is full, or the journal cannot be read just now: the runner goes on meanwhile.
            Err(Problem::Later(why)) => {
                tracing::warn!(build.id = %live.uuid, error = %why, "a build's log cannot be followed just now");
                if inner.is_stopping() {
                    return;
                }
                pause(inner);
                journal = Journal::new(&inner.runners.dir(&live.uuid).join(JOURNAL_FILE));
                live.with(|known| known.timeline = crate::timeline::Timeline::default());
            }
            Err(Problem::Damaged(why)) => {
                // What cannot be read cannot be believed: the build is of no use any more.
                inner.runners.tell(&live.uuid, Control::Kill);
                break End::Lost(why);
            }
        }
    };
    if matches!(end, End::Over(..) | End::Lost(_)) {
        live.set_over();
    }
    let event = match end {
        End::Stopping => return,
        End::Over(ended, at) => {
            for leftover in &ended.leftovers {
                tracing::warn!(build.id = %live.uuid, "a build left something behind: {leftover}");
            }
            live.with(|known| known.document.kept_bytes = ended.kept.then_some(0));
            Event::Over { at, status: ended.status }
        }
        End::Lost(reason) => {
            await_death(inner, &live.uuid);
            let reason = format!("{reason}{}", last_words(&inner.runners.dir(&live.uuid)));
            Event::Lost { at: inner.now(), reason }
        }
    };
    crash::point("build_over");
    finish::finish(inner, live, &mut journal.log, event);
    release(inner, &live.uuid);
}

/// A runner that is told to die and does not would write on into what is being closed.
fn await_death<R: Runners>(inner: &Inner<R>, uuid: &str) {
    while inner.runners.alive(uuid) && !inner.is_stopping() {
        inner.runners.tell(uuid, Control::Kill);
        pause(inner);
    }
}

/// The end of the runner's own messages, as the rest of a sentence.
fn last_words(dir: &Path) -> String {
    let bytes = std::fs::read(dir.join(RUNNER_LOG)).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let start = text.char_indices().rev().nth(QUOTE).map_or(0, |(at, _)| at);
    format!("; it said: {}", text.get(start..).unwrap_or(text))
}

/// A journal and the log that is made of it.
struct Journal {
    path: std::path::PathBuf,
    file: Option<File>,
    decoder: Decoder,
    /// Bytes that the decoder has seen and the log may not have.
    raw: Vec<u8>,
    raw_offset: u64,
    log: Option<LogWriter>,
    flushed: Duration,
}

enum Problem {
    Later(String),
    Damaged(String),
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        Self::Later(error.to_string())
    }
}

impl Journal {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            decoder: Decoder::new(),
            raw: Vec::new(),
            raw_offset: 0,
            log: None,
            flushed: Duration::ZERO,
        }
    }

    /// Reads what there is, at most [`READ`] bytes. 0: nothing new.
    fn fill(&mut self) -> Result<usize, Problem> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => self.file.insert(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(e) => return Err(Problem::Later(format!("{}: {e}", self.path.display()))),
            },
        };
        let before = self.raw.len();
        self.raw.resize(before + READ, 0);
        let read = loop {
            match file.read(self.raw.get_mut(before..).unwrap_or_default()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let n = *read.as_ref().unwrap_or(&0);
        self.raw.truncate(before + n);
        self.decoder.push(self.raw.get(before..).unwrap_or_default());
        read.map_err(|e| Problem::Later(format!("{}: {e}", self.path.display())))
    }

    /// Hands whole records to the log, as far as it has not got them from an earlier server.
    fn append(&mut self) -> Result<(), Problem> {
        let whole = self.decoder.offset();
        let Some(log) = &mut self.log else { return Ok(()) };
        let has = log.position().offset;
        if has < whole {
            let from = usize::try_from(has.saturating_sub(self.raw_offset)).unwrap_or(usize::MAX);
            let to = usize::try_from(whole - self.raw_offset).unwrap_or(usize::MAX);
            log.append(self.raw.get(from..to).unwrap_or_default())?;
        }
        let done = usize::try_from(whole - self.raw_offset).unwrap_or(usize::MAX).min(self.raw.len());
        self.raw.drain(..done);
        self.raw_offset = whole;
        Ok(())
    }
}

/// Follows the journal to the build's end.
fn read<R: Runners>(inner: &Inner<R>, live: &Live, journal: &mut Journal) -> Result<End, Problem> {
    if journal.log.is_none() {
        let (group, stream) = live.with(|known| (known.document.log_group(), known.document.log_stream()));
        journal.log = Some(inner.logs.writer(&group, &stream)?);
    }
    loop {
        if inner.is_stopping() {
            if let Some(log) = &mut journal.log {
                log.flush()?;
            }
            return Ok(End::Stopping);
        }
        // Looked at before reading: what a writer wrote that is gone by then is read in any case.
        let alive = inner.runners.alive(&live.uuid);
        let n = journal.fill()?;
        let ended = take(live, journal)?;
        // Before they are compressed: whoever follows reads them from the journal.
        if n > 0 || ended.is_some() {
            live.announce(Progress { bytes: journal.decoder.offset(), over: false });
        }
        journal.append()?;
        if let Some((ended, at)) = ended {
            return Ok(End::Over(ended, at));
        }
        if n == READ {
            continue;
        }
        if n == 0 && !alive {
            return Ok(End::Lost(
                "The build's runner ended without a word: it was killed, or the machine was restarted".to_owned(),
            ));
        }
        let now = inner.clock.monotonic();
        if now.saturating_sub(journal.flushed) >= FLUSH {
            if let Some(log) = &mut journal.log {
                log.flush()?;
            }
            journal.flushed = now;
        }
        if alive {
            live.wait(LOOK);
        }
    }
}

/// Takes in the records that are whole.
fn take(live: &Live, journal: &mut Journal) -> Result<Option<(Box<BuildEnded>, i64)>, Problem> {
    live.with(|known| {
        loop {
            let record = match journal.decoder.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(e) => return Err(Problem::Damaged(format!("The build's journal cannot be read: {e}"))),
            };
            known.timeline.record(&record);
            let at = millis(record.time_ns);
            let Body::Event(event) = record.body else { continue };
            let step = match *event {
                Told::PhaseStarted { phase } => Event::PhaseStarted { at, phase },
                Told::PhaseEnded { phase, status, context, .. } => {
                    // A stopped phase has no context; an unfinished one no end.
                    if status == BuildStatus::InProgress {
                        continue;
                    }
                    Event::PhaseEnded { at, phase, status, context }
                }
                Told::SourceFetched { identifier: None, commit } => {
                    known.document.build.resolved_source_version = Some(commit);
                    continue;
                }
                Told::BuildEnded(ended) => return Ok(Some((Box::new(ended), at))),
                _ => continue,
            };
            if let Ok((next, _)) = known.document.lifecycle.step(&step) {
                known.document.lifecycle = next;
            }
        }
    })
}
