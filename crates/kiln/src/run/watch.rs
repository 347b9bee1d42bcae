//! The loop of `kiln run`: journal, runner, signals.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::Context as _;
use kiln_runner::{
    follow::{FollowError, Follower},
    job::{Control, RUNNER_LOG},
};
use kiln_wire::{agent::signal_name, journal::Body};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::runner::Runner;
use crate::{
    builds::BuildDir,
    signals,
    terminal::{filter::plain_text, view::View},
};

/// Journal payload that is taken at once, so that a flood does not keep signals waiting.
const BATCH: usize = 256 * 1024;
/// Lines of the runner's own messages that are shown when it died.
const RUNNER_LOG_LINES: usize = 20;

/// How it went.
#[derive(Debug)]
pub(super) struct Watched {
    /// How the runner ended; `None` when it was not waited for.
    pub(super) status: Option<ExitStatus>,
    /// The build was asked to stop.
    pub(super) stopped: bool,
    /// Why the journal could not be read to its end.
    pub(super) problem: Option<FollowError>,
    /// The runner that is left behind, on a third request to stop.
    pub(super) given_up: Option<u32>,
}

/// The journal, which the runner creates a moment after it was started.
enum Source {
    Awaited(PathBuf),
    There(Follower),
}

impl Source {
    /// Reads what is there, at most about [`BATCH`]. True: there may be more.
    fn read(&mut self, view: &mut View) -> Result<bool, FollowError> {
        if let Self::Awaited(path) = self {
            if !path.exists() {
                return Ok(false);
            }
            *self = Self::There(Follower::unwatched(path)?);
        }
        let Self::There(follower) = self else { return Ok(false) };
        let mut taken = 0;
        follower.read(|record| {
            taken += match &record.body {
                Body::Output { bytes, .. } | Body::Service(bytes) => bytes.len(),
                Body::Event(_) => 256, // about what one costs
            };
            view.record(&record);
            taken < BATCH
        })?;
        Ok(taken >= BATCH)
    }
}

/// What was asked of the build.
struct Requests {
    interrupts: u32,
    terminations: u32,
    told: Option<Control>,
}

impl Requests {
    /// Passes a request on. Asking twice for the same does nothing; a killed build cannot be stopped.
    fn tell(&mut self, runner: &Runner, control: Control) {
        if self.told != Some(control) && self.told != Some(Control::Kill) {
            runner.tell(control);
            self.told = Some(control);
        }
    }
}

/// Shows a build until its runner has ended.
pub(super) fn watch(runner: Runner, journal: &Path, view: &mut View) -> anyhow::Result<Watched> {
    let interrupt = signals::interrupt().context("cannot watch for signals")?;
    let terminate = signals::terminate().context("cannot watch for signals")?;
    let mut source = Source::Awaited(journal.to_owned());
    let mut requests = Requests { interrupts: 0, terminations: 0, told: None };
    let mut problem: Option<FollowError> = None;
    let mut ended = false;
    let mut talks = true;
    let mut more = true;
    loop {
        let (interrupted, terminated);
        let timeout = if more { Some(Duration::ZERO) } else { view.due_in() };
        {
            let mut fds = vec![PollFd::new(interrupt.fd(), PollFlags::IN), PollFd::new(terminate.fd(), PollFlags::IN)];
            let (runner_ended, word) = (runner.ended(), runner.word());
            if !ended {
                fds.push(PollFd::new(&runner_ended, PollFlags::IN));
            }
            if !ended && talks {
                fds.push(PollFd::new(&word, PollFlags::IN));
            }
            let timeout = timeout.and_then(|t| Timespec::try_from(t).ok());
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).context("cannot wait for the build"),
            }
            let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
            if ready(3) {
                talks = runner.hear();
            }
            ended = ended || ready(2);
            (interrupted, terminated) = (ready(0), ready(1));
        }

        let interrupts = if interrupted { interrupt.take() } else { 0 };
        for _ in 0..interrupts {
            requests.interrupts += 1;
            match requests.interrupts {
                _ if ended => view.mute(), // the build is over, only the rest of its log is still to be shown
                1 => {
                    view.say("kiln: stopping the build… press Ctrl-C again to kill it");
                    view.note("stopping");
                    requests.tell(&runner, Control::Stop);
                }
                2 => {
                    view.say("kiln: killing the build…");
                    view.note("killing");
                    requests.tell(&runner, Control::Kill);
                }
                _ => {
                    let given_up = Some(runner.id());
                    return Ok(Watched { status: None, stopped: true, problem, given_up });
                }
            }
        }
        let terminations = if terminated { terminate.take() } else { 0 };
        for _ in 0..terminations {
            requests.terminations += 1;
            if requests.terminations == 1 {
                view.say("kiln: asked to end: stopping the build…");
                view.note("stopping");
                requests.tell(&runner, Control::Stop);
            } else {
                requests.tell(&runner, Control::Kill);
            }
        }

        more = false;
        if problem.is_none() {
            match source.read(view) {
                Ok(rest) => more = rest,
                Err(e) => {
                    // A build that cannot be seen is of no use.
                    requests.tell(&runner, Control::Kill);
                    problem = Some(e);
                }
            }
        }
        view.flush();
        if view.gone().is_some() && !ended {
            // Nobody reads any more: `kiln run | head`.
            view.mute();
            requests.tell(&runner, Control::Stop);
        }
        if ended && !more {
            break;
        }
    }
    let status = runner.wait().context("cannot wait for the runner")?;
    Ok(Watched { status: Some(status), stopped: requests.told.is_some(), problem, given_up: None })
}

/// What happened when the runner ended before the build did.
pub(super) fn how_it_died(watched: &Watched) -> String {
    if let Some(problem) = &watched.problem {
        return format!("kiln: the build cannot be followed and was killed: {problem}");
    }
    let how = match watched.status.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("was killed by {}", signal_name(signal)),
        Some((None, Some(code))) => format!("ended with status {code}"),
        _ => "is gone".to_owned(),
    };
    format!("kiln: the build's runner {how} before the build was over")
}

/// The same, with what the runner itself said last.
pub(crate) fn died(build: &BuildDir, how: &str) -> String {
    let mut text = format!("{how}\n");
    let log = fs::read(build.path().join(RUNNER_LOG)).unwrap_or_default();
    let log = plain_text(&log);
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let first = lines.len().saturating_sub(RUNNER_LOG_LINES);
    for line in lines.get(first..).unwrap_or_default() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}
