//! Writes the journal: masks, stamps, caps, appends.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use kiln_model::{PhaseContext, PhaseType};
use kiln_wire::{
    event::Event,
    journal::{self, Encoder, JournalError},
};
use rustix::{fs::FileType, net::SendFlags};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    clock::Clock,
    mask::{Held, Masker},
};

/// Output is cut into records of at most this size.
const PIECE: usize = 1 << 20;

/// The journal could not be written: the disk is full or broken. The build cannot go on without its log.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file.
    #[error("journal {path}: {source}")]
    Io {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The record.
    #[error(transparent)]
    Record(#[from] JournalError),
}

/// The only writer of a build's journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    encoder: Encoder,
    clock: Clock,
    masker: Masker,
    /// What each command printed last, while it may be the start of a secret.
    held: BTreeMap<u32, Held>,
    at_line_start: bool,
    output_bytes: u64,
    max_output_bytes: u64,
    dropped_bytes: u64,
    dropped_lines: u64,
    buffer: Vec<u8>,
    masked: Vec<u8>,
    /// Where a follower is told that the journal grew.
    follower: Option<OwnedFd>,
}

impl Journal {
    /// Starts a new journal.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub(crate) fn create(path: &Path, clock: Clock, max_output_bytes: u64) -> Result<Self, WriteError> {
        let io_error = |source| WriteError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().append(true).create_new(true).open(path).map_err(io_error)?;
        file.write_all(&journal::file_header()).map_err(io_error)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            encoder: Encoder::new(),
            clock,
            masker: Masker::default(),
            held: BTreeMap::new(),
            at_line_start: true,
            output_bytes: 0,
            max_output_bytes,
            dropped_bytes: 0,
            dropped_lines: 0,
            buffer: Vec::new(),
            masked: Vec::new(),
            follower: None,
        })
    }

    /// Tells the other end of a socket with a byte whenever the journal grew: a follower that started this process need
    /// not watch the file then (an inotify descriptor takes 4 ms and more to close). Nothing happens where the lifeline
    /// is no socket.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub(crate) fn tell(&mut self, lifeline: BorrowedFd<'_>) -> io::Result<()> {
        let mode = rustix::fs::fstat(lifeline)?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::Socket {
            self.follower = Some(lifeline.try_clone_to_owned()?);
        }
        Ok(())
    }

    /// Sets the secrets that are hidden from now on.
    pub(crate) fn set_masker(&mut self, masker: Masker) {
        self.masker = masker;
    }

    /// The masker, for what leaves the build on other ways.
    pub(crate) fn masker(&self) -> &Masker {
        &self.masker
    }

    /// Appends what a command printed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn output(&mut self, command: u32, bytes: &[u8]) -> Result<(), WriteError> {
        let mut masked = std::mem::take(&mut self.masked);
        masked.clear();
        self.masker.feed(self.held.entry(command).or_default(), bytes, &mut masked);
        let result = self.append_output(command, &masked);
        self.masked = masked;
        result
    }

    fn append_output(&mut self, command: u32, bytes: &[u8]) -> Result<(), WriteError> {
        let room = usize::try_from(self.max_output_bytes.saturating_sub(self.output_bytes)).unwrap_or(usize::MAX);
        let (kept, dropped) = bytes.split_at(room.min(bytes.len()));
        if !dropped.is_empty() {
            let first = self.dropped_bytes == 0;
            self.dropped_bytes += dropped.len() as u64;
            self.dropped_lines += memchr::memchr_iter(b'\n', dropped).count() as u64;
            if first {
                self.write_output(command, kept)?;
                let limit = self.max_output_bytes;
                return self.line(&format!(
                    "Log limit of {limit} bytes reached: further output of commands is left out. The build goes on."
                ));
            }
        }
        self.write_output(command, kept)
    }

    fn write_output(&mut self, command: u32, bytes: &[u8]) -> Result<(), WriteError> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.at_line_start = *last == b'\n';
        self.output_bytes += bytes.len() as u64;
        let now = self.clock.wall_ns();
        for piece in bytes.chunks(PIECE) {
            self.encoder.output(now, command, piece, &mut self.buffer)?;
        }
        self.flush()
    }

    /// The command is over: what was held back of its output is no secret; then the line is ended and an empty one
    /// follows (`buildspec.md` 5.1).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn end_of_command(&mut self, command: u32) -> Result<(), WriteError> {
        self.release(command)?;
        let end: &[u8] = if self.at_line_start { b"\n" } else { b"\n\n" };
        self.service(end)
    }

    /// Appends what is held back of a command's output.
    fn release(&mut self, command: u32) -> Result<(), WriteError> {
        let Some(mut held) = self.held.remove(&command).filter(|h| !h.is_empty()) else { return Ok(()) };
        let mut rest = Vec::new();
        self.masker.finish(&mut held, &mut rest);
        self.append_output(command, &rest)
    }

    /// Appends a line of the service: `[Container] <time> <text>` (`buildspec.md` 5.1). The text may have several lines.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), WriteError> {
        let now = self.clock.wall_ns();
        let stamp = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now))
            .ok()
            .and_then(|t| {
                t.format(format_description!("[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:6]")).ok()
            })
            .unwrap_or_default();
        let text = self.masker.text(text);
        let start = if self.at_line_start { "" } else { "\n" };
        self.service(format!("{start}[Container] {stamp} {text}\n").as_bytes())
    }

    fn service(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.at_line_start = true;
        self.encoder.service(self.clock.wall_ns(), bytes, &mut self.buffer)?;
        self.flush()
    }

    /// Appends an event.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), WriteError> {
        self.encoder.event(self.clock.wall_ns(), event, &mut self.buffer)?;
        self.flush()
    }

    /// The two lines that end a phase (`buildspec.md` 5.1).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn phase_complete(
        &mut self,
        phase: PhaseType,
        state: &str,
        context: &PhaseContext,
    ) -> Result<(), WriteError> {
        self.line(&format!("Phase complete: {phase} State: {state}"))?;
        let PhaseContext { status_code, message } = context;
        self.line(&format!("Phase context status code: {status_code} Message: {message}"))
    }

    /// Releases what is held back, says what was left out, and syncs the file to the disk.
    ///
    /// # Errors
    /// When the file cannot be written or synced.
    pub(crate) fn finish(&mut self) -> Result<(), WriteError> {
        let commands: Vec<u32> = self.held.keys().copied().collect();
        for command in commands {
            self.release(command)?;
        }
        if self.dropped_bytes > 0 {
            self.event(&Event::Truncated { bytes: self.dropped_bytes, lines: self.dropped_lines })?;
        }
        Ok(())
    }

    /// Syncs the file to the disk.
    ///
    /// # Errors
    /// When that fails: then nothing that was written is certain.
    pub(crate) fn sync(&self) -> Result<(), WriteError> {
        self.file.sync_data().map_err(|source| WriteError::Io { path: self.path.clone(), source })
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let result = self.file.write_all(&self.buffer);
        self.buffer.clear();
        if let Some(follower) = &self.follower {
            // A full socket has woken it already; one that is gone is noticed where the lifeline is read.
            rustix::net::send(follower, b"j", SendFlags::DONTWAIT | SendFlags::NOSIGNAL).ok();
        }
        result.map_err(|source| WriteError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use kiln_wire::journal::{Body, Decoder};

    use super::*;
    use crate::clock::ManualClock;

    fn text_of(path: &Path) -> (String, Vec<Event>) {
        let mut decoder = Decoder::new();
        decoder.push(&fs::read(path).unwrap());
        let (mut text, mut events) = (Vec::new(), Vec::new());
        while let Some(record) = decoder.next_record().unwrap() {
            match record.body {
                Body::Output { bytes, .. } | Body::Service(bytes) => text.extend_from_slice(bytes),
                Body::Event(event) => events.push(*event),
            }
        }
        (String::from_utf8_lossy(&text).into_owned(), events)
    }

    fn journal(max: u64) -> (tempfile::TempDir, PathBuf, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let clock = Arc::new(ManualClock::default());
        clock.set_wall_ns(1_768_471_200_100_001_000);
        let journal = Journal::create(&path, Clock::Manual(clock), max).unwrap();
        (dir, path, journal)
    }

    #[test]
    fn service_lines_start_on_a_line_of_their_own() {
        let (_dir, path, mut journal) = journal(u64::MAX);
        journal.line("Running command printf a").unwrap();
        journal.output(1, b"a").unwrap();
        journal.end_of_command(1).unwrap();
        journal.phase_complete(PhaseType::Build, "SUCCEEDED", &PhaseContext::default()).unwrap();
        let stamp = "[Container] 2026/01/15 10:00:00.100001";
        assert_eq!(
            text_of(&path).0,
            format!(
                "{stamp} Running command printf a\na\n\n{stamp} Phase complete: BUILD State: SUCCEEDED\n\
                 {stamp} Phase context status code:  Message: \n"
            )
        );
    }

    #[test]
    fn a_secret_cut_by_the_pipe_is_masked_and_a_held_start_is_released() {
        let (_dir, path, mut journal) = journal(u64::MAX);
        journal.set_masker(Masker::new(["topsecret"]));
        journal.output(1, b"x tops").unwrap();
        journal.output(1, b"ecret y tops").unwrap();
        journal.end_of_command(1).unwrap();
        journal.line("echo topsecret").unwrap();
        let (text, _) = text_of(&path);
        assert!(text.starts_with("x *** y tops\n\n"), "{text}");
        assert!(text.ends_with(" echo ***\n"), "{text}");
    }

    #[test]
    fn output_beyond_the_limit_is_counted_and_named() {
        let (_dir, path, mut journal) = journal(5);
        journal.output(1, b"ab\ncd\nef\n").unwrap();
        journal.output(1, b"gh\n").unwrap();
        journal.end_of_command(1).unwrap();
        journal.finish().unwrap();
        let (text, events) = text_of(&path);
        assert!(text.starts_with("ab\ncd\n[Container]"), "{text}");
        assert_eq!(text.matches("Log limit").count(), 1);
        assert_eq!(events, [Event::Truncated { bytes: 7, lines: 3 }]);
    }
}
