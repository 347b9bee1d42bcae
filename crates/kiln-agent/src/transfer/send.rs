//! Sending the files of a list.

use std::{collections::VecDeque, fs::File, io::Read};

use kiln_wire::agent::{Entry, EntryKind, FileEnd, kind};
use rustix::fs::{CWD, FileType, OFlags};

use super::BLOCK;
use crate::{list::Listing, outbox::Outbox, walk::open_at};

/// Nothing more is read while this much waits for the runner.
const FULL: usize = 1 << 20;
/// Files that one step begins.
const STEP: usize = 128;

/// A `Send` at work.
#[derive(Debug)]
pub(crate) struct Send {
    /// Request id.
    pub(crate) id: u32,
    ranges: VecDeque<(u32, u32)>,
    /// The file that is being sent, and how much of it is left.
    current: Option<(File, u64)>,
    /// On its way into the data socket.
    pub(crate) outbox: Outbox,
    ended: bool,
}

impl Send {
    /// Begins.
    ///
    /// # Errors
    /// When the ranges are not ascending, or beyond the list.
    pub(crate) fn new(id: u32, ranges: Vec<(u32, u32)>, listing: &Listing) -> Result<Self, String> {
        let mut last = 0;
        for &(start, end) in &ranges {
            if start < last || end < start || end as usize > listing.len() {
                return Err(format!("range {start}..{end} is not one of the list's {} entries", listing.len()));
            }
            last = end;
        }
        Ok(Self { id, ranges: ranges.into(), current: None, outbox: Outbox::default(), ended: false })
    }

    /// All is written.
    pub(crate) fn done(&self) -> bool {
        self.ended && self.outbox.pending() == 0
    }

    /// There is more to read, and room for it.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.ended && self.outbox.pending() < FULL
    }

    /// Reads on into the outbox, as far as there is room.
    ///
    /// # Errors
    /// A message does not fit into a frame.
    pub(crate) fn step(&mut self, listing: &Listing) -> Result<(), String> {
        for _ in 0..STEP {
            if !self.can_go_on() {
                break;
            }
            match self.current.take() {
                Some((file, left)) => self.read(file, left)?,
                None => self.next(listing)?,
            }
        }
        Ok(())
    }

    fn next(&mut self, listing: &Listing) -> Result<(), String> {
        let Some((index, end)) = self.ranges.pop_front() else {
            self.outbox.empty(kind::TRANSFER_END);
            self.ended = true;
            return Ok(());
        };
        if index >= end {
            return Ok(());
        }
        self.ranges.push_front((index + 1, end));
        let Some(entry) = listing.entry(index as usize) else { return Ok(()) };
        self.outbox.message(kind::ENTRY, &entry).map_err(|error| error.to_string())?;
        match entry.kind {
            EntryKind::File => match open(&entry) {
                Ok((file, size)) => self.current = Some((file, size)),
                Err(error) => self.end(Some(error))?,
            },
            EntryKind::Directory | EntryKind::Symlink { .. } => self.end(None)?,
        }
        Ok(())
    }

    fn read(&mut self, mut file: File, left: u64) -> Result<(), String> {
        let block = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        if block == 0 {
            return self.end(None);
        }
        match self.outbox.fill(kind::CONTENT, block, |space| file.read(space)) {
            Ok(0) => self.end(Some("the file became shorter while it was read".into())),
            Ok(read) => {
                self.current = Some((file, left.saturating_sub(read as u64)));
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                self.current = Some((file, left));
                Ok(())
            }
            Err(error) => self.end(Some(error.to_string())),
        }
    }

    fn end(&mut self, error: Option<String>) -> Result<(), String> {
        self.outbox.message(kind::FILE_END, &FileEnd { error }).map_err(|error| error.to_string())
    }
}

/// A regular file and its size now: what is written to it later is not sent, or a growing log would never end.
fn open(entry: &Entry) -> Result<(File, u64), String> {
    let fd = open_at(CWD, &entry.absolute.0, OFlags::RDONLY).map_err(|error| error.to_string())?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| error.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("no longer a regular file".into());
    }
    Ok((File::from(fd), u64::try_from(stat.st_size).unwrap_or(0)))
}
