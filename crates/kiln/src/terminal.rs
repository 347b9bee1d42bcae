//! What a person, or a program, sees of a build: its records in, bytes for standard output and error out.
//!
//! Standard output holds the log alone (or with `--json` the events alone); everything that `kiln run` says itself goes
//! to standard error: status line, summary, hints.

use std::os::fd::BorrowedFd;

use rustix::{
    stdio::{stderr, stdout},
    termios::{isatty, tcgetwinsize},
};

use crate::environment::Environment;

pub(crate) mod filter;
mod fold;
mod json;
mod live;
mod log;
pub(crate) mod output;
pub(crate) mod show;
pub(crate) mod style;
mod summary;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod view;

/// What the two standard streams are, and what may be written to them. Looked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Streams {
    /// Standard output is a terminal.
    pub(crate) out: bool,
    /// Standard error is a terminal.
    pub(crate) err: bool,
    /// Standard output and error are the same terminal.
    pub(crate) same: bool,
    /// Colours may be used, on terminals.
    pub(crate) colour: bool,
    /// A status line may be drawn on standard error.
    pub(crate) live: bool,
}

impl Streams {
    /// Looks at them.
    pub(crate) fn look(environment: &Environment) -> Self {
        let (out, err) = (isatty(stdout()), isatty(stderr()));
        let device = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_rdev)).ok();
        let same = out && err && device(stdout()) == device(stderr());
        let live = err && !environment.dumb && !environment.ci && (out || !flows_on());
        Self { out, err, same, colour: !environment.no_color && !environment.dumb, live }
    }

    /// Colours on standard output.
    pub(crate) fn out_colour(&self) -> bool {
        self.out && self.colour
    }

    /// Colours on standard error.
    pub(crate) fn err_colour(&self) -> bool {
        self.err && self.colour
    }
}

/// Standard output is read by another program, which may well show it on this terminal (`kiln run | tee log`): a status
/// line would mix with it.
fn flows_on() -> bool {
    use rustix::fs::FileType;
    rustix::fs::fstat(stdout())
        .is_ok_and(|stat| matches!(FileType::from_raw_mode(stat.st_mode), FileType::Fifo | FileType::Socket))
}

/// Columns of the terminal on standard error; 80 when it does not say.
pub(crate) fn columns() -> usize {
    match tcgetwinsize(stderr()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 80,
    }
}
