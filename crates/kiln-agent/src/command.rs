//! One command of the buildspec: its script, its process, its output.

use std::{
    fmt::Write as _,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kiln_wire::agent::{CommandExit, STATE_DIR};
use rustix::{
    fs::{Access, CWD},
    io::Errno,
    pipe::PipeFlags,
    process::Pid,
};

use crate::{
    outbox::Outbox,
    state::{Place, quote},
    sys::{Credentials, Reaped, WaitStatus},
};

mod holders;

pub(crate) use holders::holders;

/// Most that is read at once, and so the size of an output frame.
const READ: usize = 256 << 10;
/// Size that an output pipe is given, where that is allowed.
const PIPE: usize = 1 << 20;
/// Reads within this time that make the reader wait for more at once (`spikes.md` 2.3).
const BURST: (Duration, u32) = (Duration::from_millis(1), 4);
/// How long it waits then.
const HOLD: Duration = Duration::from_micros(500);

/// What is still starting when a command ends (`nohup server > log &` in its last line) gets this long to let go of
/// its output, before it is named as holding it.
pub(crate) const SETTLE: Duration = Duration::from_millis(10);

/// The path that error messages of a shell begin with.
pub(crate) fn script_path() -> PathBuf {
    Path::new(STATE_DIR).join("script.sh")
}

/// The script of a command (`buildspec.md` 2.2): the command begins on line 4, as on AWS. `carry`: it writes the state
/// back.
pub(crate) fn script(text: &str, directory: &Path, carry: bool) -> Vec<u8> {
    let place = Place::current();
    let mut script = prologue(directory);
    script.extend_from_slice(text.as_bytes());
    // The empty line takes what a backslash at the end of the command would join.
    script.extend_from_slice(b"\n\n");
    if carry {
        let epilogue = format!(
            "CODEBUILD_LAST_EXIT=$?\nexport -p >| {}\npwd >| {}\nexit $CODEBUILD_LAST_EXIT\n",
            place.environment.display(),
            place.directory.display()
        );
        script.extend_from_slice(epilogue.as_bytes());
    }
    script
}

/// Lines 1 to 3: enter the directory, load the variables, export what is assigned from here on.
pub(crate) fn prologue(directory: &Path) -> Vec<u8> {
    let place = Place::current();
    let mut script = b"cd ".to_vec();
    if directory.as_os_str().as_bytes().contains(&b'\n') {
        script.extend_from_slice(format!("\"$(cat {})\"", place.directory.display()).as_bytes());
    } else {
        quote(directory.as_os_str().as_bytes(), &mut script);
    }
    script.extend_from_slice(format!("\n. {}\nset -a\n", place.environment.display()).as_bytes());
    script
}

/// Finds a program as `execvp` would.
///
/// # Errors
/// A text for the log.
pub(crate) fn find_shell(name: &str, path: &[u8]) -> Result<PathBuf, String> {
    let usable = |candidate: &Path| {
        std::fs::metadata(candidate).is_ok_and(|metadata| metadata.is_file())
            && rustix::fs::accessat(CWD, candidate, Access::EXEC_OK, rustix::fs::AtFlags::empty()).is_ok()
    };
    let explain = |searched: &str| {
        let mut text = format!("kiln: this image has no shell '{name}' ({searched}).");
        let found: Vec<&str> = ["/bin/sh", "/bin/bash", "/bin/ash", "/busybox/sh"]
            .into_iter()
            .filter(|shell| usable(Path::new(shell)))
            .collect();
        if found.is_empty() {
            text.push_str(" A build image needs at least `sh`; images without one (distroless, scratch) cannot build.");
        } else {
            // Writing to a String cannot fail.
            write!(text, " It has {}: name one under env/shell in the buildspec.", found.join(", "))
                .unwrap_or_default();
        }
        text
    };
    if name.contains('/') {
        let path = Path::new("/").join(name);
        return if usable(&path) { Ok(path) } else { Err(explain("no such program")) };
    }
    if name.is_empty() || name.contains('\0') {
        return Err(explain("not a name"));
    }
    path.split(|b| *b == b':')
        .filter(|directory| directory.first() == Some(&b'/'))
        .map(|directory| Path::new(std::ffi::OsStr::from_bytes(directory)).join(name))
        .find(|candidate| usable(candidate))
        .ok_or_else(|| explain(&format!("searched {}", String::from_utf8_lossy(path))))
}

/// A running command.
#[derive(Debug)]
pub(crate) struct Command {
    /// Request id.
    pub(crate) id: u32,
    /// Its shell.
    pub(crate) pid: Pid,
    /// Set when the shell ended.
    pub(crate) exit: Option<Exit>,
    /// Its output is still held by others; they are named when they hold it at this time.
    pub(crate) settles_at: Option<Instant>,
    /// Version 0.1: nothing is carried over.
    pub(crate) fresh: bool,
    /// User.
    pub(crate) credentials: Option<Credentials>,
}

/// How the shell of a command ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit {
    /// How.
    pub(crate) exit: CommandExit,
    /// CPU time in milliseconds.
    pub(crate) cpu_ms: u64,
}

impl From<Reaped> for Exit {
    fn from(reaped: Reaped) -> Self {
        Self {
            exit: match reaped.status {
                WaitStatus::Exited(code) => CommandExit::Code(code),
                WaitStatus::Signaled(signal) => CommandExit::Signal(signal),
            },
            cpu_ms: u64::try_from(reaped.cpu.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The reading end of a command's output, kept for as long as any process holds the other end.
#[derive(Debug)]
pub(crate) struct Tap {
    /// The command's number.
    pub(crate) command: u32,
    /// The pipe, non-blocking.
    pub(crate) pipe: OwnedFd,
    /// All processes have let go of it.
    pub(crate) ended: bool,
    /// What was in the pipe when the command ended, and has not been read yet.
    pub(crate) to_drain: Option<usize>,
    capacity: usize,
    pace: Pace,
}

/// When to read again: at once for single lines, in larger pieces while a command prints much.
#[derive(Debug, Default)]
struct Pace {
    since: Option<Instant>,
    reads: u32,
    hold_until: Option<Instant>,
}

impl Pace {
    fn held(&self, now: Instant) -> Option<Instant> {
        self.hold_until.filter(|until| *until > now)
    }

    /// Takes note of a read at `now`; `small` when the pipe is far from full.
    fn note(&mut self, now: Instant, small: bool) {
        let late = self.hold_until.take().map(|until| now.saturating_duration_since(until) > BURST.0);
        let busy = match late {
            Some(late) => !late,
            None => {
                if self.since.is_none_or(|since| now.saturating_duration_since(since) > BURST.0) {
                    self.since = Some(now);
                    self.reads = 0;
                }
                self.reads = self.reads.saturating_add(1);
                self.reads >= BURST.1
            }
        };
        if busy && small {
            self.hold_until = Some(now + HOLD);
        } else if late == Some(true) {
            self.since = None;
        }
    }
}

impl Tap {
    /// A pipe for a command's output, and its writing end.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub(crate) fn new(command: u32, credentials: Option<&Credentials>) -> io::Result<(Self, OwnedFd)> {
        let (pipe, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let capacity = rustix::pipe::fcntl_setpipe_size(&writer, PIPE)
            .or_else(|_| rustix::pipe::fcntl_getpipe_size(&writer))
            .unwrap_or(64 << 10);
        if let Some(credentials) = credentials {
            // So that /dev/stdout and /dev/stderr can be opened by that user.
            rustix::fs::fchown(&writer, Some(credentials.uid), Some(credentials.gid))?;
        }
        Ok((Self { command, pipe, ended: false, to_drain: None, capacity, pace: Pace::default() }, writer))
    }

    /// Until when reading waits for more; `None`: read as soon as there is something.
    pub(crate) fn held(&self, now: Instant) -> Option<Instant> {
        if self.to_drain.is_some() { None } else { self.pace.held(now) }
    }

    /// The command ended: notes how much of its output is still in the pipe.
    pub(crate) fn start_draining(&mut self) {
        let left = rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0);
        self.to_drain = Some(usize::try_from(left).unwrap_or(usize::MAX));
    }

    /// All that the command itself printed has been read.
    pub(crate) fn drained(&self) -> bool {
        self.ended || self.to_drain == Some(0)
    }

    /// Moves output into the outbox.
    pub(crate) fn read(&mut self, now: Instant, outbox: &mut Outbox) {
        let pipe = self.pipe.as_fd();
        match outbox.fill_output(self.command, READ, |space| rustix::io::read(pipe, space)) {
            Ok(0) => self.ended = true,
            Ok(read) => {
                self.pace.note(now, read < self.capacity / 4);
                if let Some(left) = &mut self.to_drain {
                    *left = left.saturating_sub(read);
                }
            }
            Err(Errno::AGAIN) => {
                if let Some(left) = &mut self.to_drain {
                    *left = 0;
                }
            }
            Err(Errno::INTR) => {}
            Err(_) => self.ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_begins_on_line_4() {
        let script = String::from_utf8(script("echo \\", Path::new("/it's"), true)).unwrap();
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(
            lines,
            [
                "cd '/it'\\''s'",
                ". /codebuild/output/tmp/env.sh",
                "set -a",
                "echo \\",
                "",
                "CODEBUILD_LAST_EXIT=$?",
                "export -p >| /codebuild/output/tmp/env.sh",
                "pwd >| /codebuild/output/tmp/dir.txt",
                "exit $CODEBUILD_LAST_EXIT",
            ]
        );
    }

    #[test]
    fn single_lines_are_read_at_once_and_floods_in_larger_pieces() {
        let start = Instant::now();
        let at = |micros: u64| start + Duration::from_micros(micros);
        let mut pace = Pace::default();
        for slow in 0..100 {
            pace.note(at(slow * 10_000), true);
            assert_eq!(pace.held(at(slow * 10_000)), None);
        }
        let mut pace = Pace::default();
        for fast in 0..4 {
            assert_eq!(pace.held(at(fast * 10)), None);
            pace.note(at(fast * 10), true);
        }
        assert_eq!(pace.held(at(31)), Some(at(530)));
        // More came meanwhile: it stays in the pipe until the wait is over, and the pace goes on.
        pace.note(at(540), true);
        assert_eq!(pace.held(at(541)), Some(at(1040)));
        // A full pipe must not wait.
        pace.note(at(1050), false);
        assert_eq!(pace.held(at(1051)), None);
        // Silence ends it.
        let mut pace = Pace { hold_until: Some(at(100)), ..Pace::default() };
        pace.note(at(5000), true);
        assert_eq!(pace.held(at(5001)), None);
    }
}
