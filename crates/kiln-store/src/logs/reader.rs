//! Reads a log: as a journal, or by lines.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::LogError,
    stored::{Records, Segments},
};

/// Longest line that is handed out; the rest of a longer one is left out.
pub const LINE_BYTES: usize = 256 << 10;
/// Lines are handed out until they have this many bytes.
pub(super) const PAGE_BYTES: usize = 1 << 20;
/// A tail is shortened to this many bytes.
const TAIL_BYTES: usize = 4 << 20;

/// A line of the log that people see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 0.
    pub number: u64,
    /// Where it begins in the text, in bytes.
    pub start: u64,
    /// When it was complete, nanoseconds since the epoch.
    pub time_ns: u64,
    /// Its bytes without the newline, at most [`LINE_BYTES`].
    pub bytes: Vec<u8>,
    /// Its length without the newline.
    pub length: u64,
    /// Whether it has its newline: the last line of a log may lack it.
    pub complete: bool,
}

/// Sums of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes of the journal.
    pub journal: u64,
    /// Records.
    pub records: u64,
    /// Newlines in the text.
    pub lines: u64,
    /// Bytes of the text.
    pub text: u64,
    /// Time of the first record, nanoseconds since the epoch.
    pub first_ns: u64,
    /// Time of the last record.
    pub last_ns: u64,
    /// Bytes on the disk.
    pub stored: u64,
    /// Segments.
    pub segments: usize,
    /// Whether nothing can follow.
    pub finished: bool,
}

/// A log as it was when it was opened; [`Self::refresh`] shows what came since. Reading takes the memory of one segment.
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    pub(super) segments: Arc<Segments>,
}

impl LogReader {
    /// Opens the log in `directory`; it may still grow.
    ///
    /// # Errors
    /// [`LogError::NotFound`]; [`LogError::Damaged`] when a finished log is.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        Ok(Self { directory: directory.to_owned(), segments: Arc::new(Segments::open(directory)?) })
    }

    /// Opens the log in `directory` of a journal that is still written, and adds what stands in the journal behind the last
    /// segment, up to its byte `end`: so lines are there before their segment is. Of a log that is far behind (its disk is
    /// full) at most [`LIVE_BYTES`](super::LIVE_BYTES) are added; what follows is there later. Opening takes the memory of what is added.
    ///
    /// # Errors
    /// As [`Self::open`], but a log without any segment is what the journal has; [`LogError::Io`] when the journal cannot
    /// be read.
    pub fn open_live(directory: &Path, journal: &File, end: u64) -> Result<Self, LogError> {
        let mut segments = match Segments::open(directory) {
            Err(LogError::NotFound { .. }) => Segments::none(directory)?,
            other => other?,
        };
        segments.add_live(journal, end)?;
        Ok(Self { directory: directory.to_owned(), segments: Arc::new(segments) })
    }

    /// Looks at the log anew; what [`Self::open_live`] added is left out.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn refresh(&mut self) -> Result<(), LogError> {
        self.segments = Arc::new(Segments::open(&self.directory)?);
        Ok(())
    }

    /// Sums; from headers, without reading content.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        let s = &*self.segments;
        let (Some((_, first)), Some((_, last))) = (s.places.first(), s.places.last()) else {
            return LogStats { finished: s.finished, stored: s.end, ..LogStats::default() };
        };
        let (journal, records, lines, text) = last.end();
        LogStats {
            journal,
            records,
            lines,
            text,
            first_ns: first.first_ns,
            last_ns: last.last_ns,
            stored: s.end,
            segments: s.places.len(),
            finished: s.finished,
        }
    }

    /// The bytes of the journal from `offset` on, as far as the log reaches. Independent of this reader.
    #[must_use]
    pub fn journal_from(&self, offset: u64) -> JournalReader {
        let next = self.segments.places.partition_point(|(_, header)| header.end().0 <= offset);
        JournalReader { segments: Arc::clone(&self.segments), next, offset, content: Vec::new(), read: 0 }
    }

    /// Lines from number `from` on: at most `max`, and at least one, but no more than fit into about 1 MiB. Fewer than `max`
    /// is not the end; none is. The last one may lack its newline.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn lines(&self, from: u64, max: usize) -> Result<Vec<Line>, LogError> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        if max == 0 {
            return Ok(lines);
        }
        self.walk(from, |line| {
            bytes += line.bytes.len();
            lines.push(line);
            lines.len() < max && bytes < PAGE_BYTES
        })?;
        Ok(lines)
    }

    /// The last `n` lines, the oldest of them left out where all have more than 4 MiB.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn tail(&self, n: usize) -> Result<Vec<Line>, LogError> {
        let from = self.stats().lines.saturating_sub(n as u64);
        let mut lines = VecDeque::new();
        let mut bytes = 0;
        self.walk(from, |line| {
            bytes += line.bytes.len();
            lines.push_back(line);
            while lines.len() > n.max(1) || (bytes > TAIL_BYTES && lines.len() > 1) {
                bytes -= lines.pop_front().map_or(0, |line| line.bytes.len());
            }
            true
        })?;
        if n == 0 {
            lines.clear();
        }
        Ok(lines.into())
    }

    /// Number of the first line that was complete at `time_ns` or later, or `None` when there is none.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn at_time(&self, time_ns: u64) -> Result<Option<u64>, LogError> {
        let s = &*self.segments;
        let first = s.places.partition_point(|(_, header)| header.last_ns < time_ns);
        for (place, header) in &s.places[first..] {
            let mut line = header.lines_before;
            let mut records = Records::new(s, *place, header)?;
            while let Some((text, at)) = records.next(s)? {
                let newlines = memchr::memchr_iter(b'\n', text).count() as u64;
                if at >= time_ns && newlines > 0 {
                    return Ok(Some(line));
                }
                line += newlines;
            }
        }
        Ok(None)
    }

    /// Number of the line that holds the byte `at` of the text (its newline belongs to it), or `None` when the text is not
    /// so long.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn at_byte(&self, at: u64) -> Result<Option<u64>, LogError> {
        let s = &*self.segments;
        let index = s.places.partition_point(|(_, header)| header.end().3 <= at);
        let Some((place, header)) = s.places.get(index) else { return Ok(None) };
        let (mut line, mut start) = (header.lines_before, header.text_before);
        let mut records = Records::new(s, *place, header)?;
        while let Some((text, _)) = records.next(s)? {
            let before = usize::try_from(at - start).unwrap_or(usize::MAX);
            line += memchr::memchr_iter(b'\n', text.get(..before).unwrap_or(text)).count() as u64;
            if before < text.len() {
                return Ok(Some(line));
            }
            start += text.len() as u64;
        }
        Ok(None)
    }

    /// Gives out lines from `from` on until `see` says false.
    fn walk(&self, from: u64, mut see: impl FnMut(Line) -> bool) -> Result<(), LogError> {
        let s = &*self.segments;
        // The segment that holds the newline before line `from`.
        let first = s.places.partition_point(|(_, header)| header.lines_before < from).saturating_sub(1);
        let Some((_, header)) = s.places.get(first) else { return Ok(()) };
        let mut number = header.lines_before;
        // Of the next piece. Where the first line begins is known only when the log begins with it, or it is not given out.
        let mut offset = header.text_before;
        let mut line: Vec<u8> = Vec::new();
        let mut length = 0u64;
        let mut time_ns = 0;
        for (place, header) in &s.places[first..] {
            let mut records = Records::new(s, *place, header)?;
            while let Some((mut text, at)) = records.next(s)? {
                while !text.is_empty() {
                    let newline = memchr::memchr(b'\n', text);
                    let (piece, rest) = match newline {
                        Some(at) => (&text[..at], &text[at + 1..]),
                        None => (text, &text[text.len()..]),
                    };
                    text = rest;
                    offset += piece.len() as u64;
                    if number >= from {
                        let room = LINE_BYTES.saturating_sub(line.len()).min(piece.len());
                        line.extend_from_slice(&piece[..room]);
                        length += piece.len() as u64;
                        time_ns = at;
                        if newline.is_some() {
                            let (bytes, start) = (std::mem::take(&mut line), offset - length);
                            if !see(Line { number, start, time_ns, bytes, length, complete: true }) {
                                return Ok(());
                            }
                            length = 0;
                        }
                    }
                    number += u64::from(newline.is_some());
                    offset += u64::from(newline.is_some());
                }
            }
        }
        if length > 0 {
            see(Line { number, start: offset - length, time_ns, bytes: line, length, complete: false });
        }
        Ok(())
    }
}

/// Reads a log as the journal that it was.
#[derive(Debug)]
pub struct JournalReader {
    segments: Arc<Segments>,
    next: usize,
    offset: u64,
    content: Vec<u8>,
    read: usize,
}

impl Read for JournalReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.content.len() {
            let Some((place, header)) = self.segments.places.get(self.next) else { return Ok(0) };
            self.content = self.segments.content(*place, header).map_err(io::Error::other)?;
            // Only the first segment is entered in its middle.
            self.read = usize::try_from(self.offset.saturating_sub(header.offset))
                .unwrap_or(usize::MAX)
                .min(self.content.len());
            self.next += 1;
        }
        let n = (&self.content[self.read..]).read(buffer)?;
        self.read += n;
        Ok(n)
    }
}
