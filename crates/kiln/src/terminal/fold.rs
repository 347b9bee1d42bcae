//! `--fold`: the output of a command that succeeds becomes one line; that of one that fails is read again from the
//! journal, so that nothing of any size is held back in memory.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use kiln_wire::{
    agent::CommandExit,
    event::CommandEnded,
    journal::{Body, Decoder},
};

use super::text;

/// The command whose output is counted.
#[derive(Debug)]
struct Counted {
    command: u32,
    bytes: u64,
    lines: u64,
    at_line_start: bool,
    /// The line ends that the service adds after the output: they come before the command's end is told.
    after: Vec<u8>,
}

/// Folds.
#[derive(Debug)]
pub(super) struct Fold {
    journal: PathBuf,
    current: Option<Counted>,
}

/// What to show of a command that ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Folded {
    /// One line, and a line end of the service.
    Line(String),
    /// Everything of this command ([`Fold::replay`]), then these line ends of the service.
    Everything(u32, Vec<u8>),
}

impl Fold {
    pub(super) fn new(journal: &Path) -> Self {
        Self { journal: journal.to_owned(), current: None }
    }

    pub(super) fn begin(&mut self, command: u32) {
        self.current = Some(Counted { command, bytes: 0, lines: 0, at_line_start: true, after: Vec::new() });
    }

    /// Holds back line ends of the service while a command runs. False: these are to be shown.
    pub(super) fn hold(&mut self, service: &[u8]) -> bool {
        match &mut self.current {
            Some(current) if service.iter().all(|b| *b == b'\n') => {
                current.after.extend_from_slice(service);
                true
            }
            _ => false,
        }
    }

    /// Counts output. False: it is not that of the running command, and is shown.
    pub(super) fn count(&mut self, command: u32, bytes: &[u8]) -> bool {
        let Some(current) = self.current.as_mut().filter(|c| c.command == command) else { return false };
        if let Some(last) = bytes.last() {
            current.bytes = current.bytes.saturating_add(bytes.len() as u64);
            current.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
            current.at_line_start = *last == b'\n';
        }
        true
    }

    /// A command ended. `None`: it is not the one that was begun.
    pub(super) fn end(&mut self, ended: &CommandEnded) -> Option<Folded> {
        let counted = self.current.take_if(|c| c.command == ended.command)?;
        if counted.bytes == 0 || ended.exit != CommandExit::Code(0) {
            return Some(Folded::Everything(counted.command, counted.after));
        }
        let lines = counted.lines + u64::from(!counted.at_line_start);
        Some(Folded::Line(format!(
            "({}, {}, {})",
            text::count(lines, "line"),
            text::bytes(counted.bytes),
            text::duration(ended.duration_ms)
        )))
    }

    /// The build ends while a command runs.
    pub(super) fn interrupt(&mut self) -> Option<Folded> {
        self.current.take().map(|counted| Folded::Everything(counted.command, counted.after))
    }

    /// Reads the output of a command from the journal and hands it over piece by piece.
    pub(super) fn replay(&self, command: u32, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut file = File::open(&self.journal)?;
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let n = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { return Ok(()) };
            decoder.push(bytes);
            while let Some(record) = decoder.next_record().map_err(io::Error::other)? {
                match record.body {
                    Body::Output { command: of, bytes } if of == command => each(bytes),
                    _ => {}
                }
            }
        }
    }
}
