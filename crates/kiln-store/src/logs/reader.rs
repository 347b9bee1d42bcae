//! Reads a log: as a journal, or by lines.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_wire::journal::Decoder;

use super::{
    error::{LogError, io as io_error},
    segment::{HEADER, Header, Kind},
    writer::{ENTRY, INDEX, SEGMENTS, header_at},
};

/// Longest line that is handed out; the rest of a longer one is left out.
pub const LINE_BYTES: usize = 256 << 10;
/// Lines are handed out until they have this many bytes.
const PAGE_BYTES: usize = 1 << 20;
/// A tail is shortened to this many bytes.
const TAIL_BYTES: usize = 4 << 20;
/// Longest index that is read; longer ones would be of more than 200 GB of log.
const MAX_INDEX: u64 = 64 << 20;

/// A line of the log that people see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 0.
    pub number: u64,
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
    segments: Arc<Segments>,
}

#[derive(Debug)]
struct Segments {
    path: PathBuf,
    file: File,
    /// Those with content.
    places: Vec<(u64, Header)>,
    end: u64,
    finished: bool,
}

impl LogReader {
    /// Opens the log in `directory`; it may still grow.
    ///
    /// # Errors
    /// [`LogError::NotFound`]; [`LogError::Damaged`] when a finished log is.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        Ok(Self { directory: directory.to_owned(), segments: Arc::new(Segments::open(directory)?) })
    }

    /// Looks at the log anew.
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

    /// Gives out lines from `from` on until `see` says false.
    fn walk(&self, from: u64, mut see: impl FnMut(Line) -> bool) -> Result<(), LogError> {
        let s = &*self.segments;
        // The segment that holds the newline before line `from`.
        let first = s.places.partition_point(|(_, header)| header.lines_before < from).saturating_sub(1);
        let Some((_, header)) = s.places.get(first) else { return Ok(()) };
        let mut number = header.lines_before;
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
                    if number >= from {
                        let room = LINE_BYTES.saturating_sub(line.len()).min(piece.len());
                        line.extend_from_slice(&piece[..room]);
                        length += piece.len() as u64;
                        time_ns = at;
                        if newline.is_some() {
                            let bytes = std::mem::take(&mut line);
                            if !see(Line { number, time_ns, bytes, length, complete: true }) {
                                return Ok(());
                            }
                            length = 0;
                        }
                    }
                    number += u64::from(newline.is_some());
                }
            }
        }
        if length > 0 {
            see(Line { number, time_ns, bytes: line, length, complete: false });
        }
        Ok(())
    }
}

impl Segments {
    fn open(directory: &Path) -> Result<Self, LogError> {
        let path = directory.join(SEGMENTS);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(LogError::NotFound { path: directory.to_owned() });
            }
            Err(e) => return Err(io_error("open", &path, e)),
        };
        let failed = |e| io_error("read", &path, e);
        let length = file.metadata().map_err(failed)?.len();
        let mut places = indexed(directory, &file, length).map_err(failed)?;
        let mut end = places.last().map_or(0, |(place, header)| place + HEADER as u64 + u64::from(header.stored));
        while let Some(header) = header_at(&file, end, length).map_err(failed)? {
            if !header.follows(places.last().map(|(_, header)| header)) {
                break;
            }
            places.push((end, header));
            end += HEADER as u64 + u64::from(header.stored);
        }
        let finished = places.pop_if(|(_, header)| header.kind == Kind::End).is_some();
        Ok(Self { path, file, places, end, finished })
    }

    fn content(&self, place: u64, header: &Header) -> Result<Vec<u8>, LogError> {
        let mut stored = vec![0; header.stored as usize];
        self.file.read_exact_at(&mut stored, place + HEADER as u64).map_err(|e| io_error("read", &self.path, e))?;
        header.content(&stored).map_err(|what| self.damaged(place, &what))
    }

    fn damaged(&self, place: u64, what: &str) -> LogError {
        LogError::Damaged { path: self.path.clone(), what: format!("segment at byte {place}: {what}") }
    }
}

/// What the index says, as far as it can be believed: up to its last entry, if the segments have that one too.
fn indexed(directory: &Path, segments: &File, length: u64) -> io::Result<Vec<(u64, Header)>> {
    let index = match File::open(directory.join(INDEX)) {
        Ok(index) => index,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    index.take(MAX_INDEX).read_to_end(&mut bytes)?;
    let mut places: Vec<(u64, Header)> = Vec::with_capacity(bytes.len() / ENTRY);
    let mut end = 0;
    for entry in bytes.as_chunks::<ENTRY>().0 {
        let Some((place, header)) = entry.split_first_chunk::<8>() else { break };
        let place = u64::from_le_bytes(*place);
        let Some(header) = header.first_chunk().and_then(Header::decode) else { break };
        if place != end || !header.follows(places.last().map(|(_, header)| header)) {
            break;
        }
        end = place + HEADER as u64 + u64::from(header.stored);
        places.push((place, header));
    }
    let agrees = match places.last() {
        Some((place, header)) => header_at(segments, *place, length)? == Some(*header),
        None => true,
    };
    Ok(if agrees { places } else { Vec::new() })
}

/// Text and time of the records of one segment.
struct Records {
    place: u64,
    decoder: Decoder,
}

impl Records {
    fn new(segments: &Segments, place: u64, header: &Header) -> Result<Self, LogError> {
        let mut decoder = Decoder::at(header.offset, header.seq);
        decoder.push(&segments.content(place, header)?);
        Ok(Self { place, decoder })
    }

    fn next(&mut self, segments: &Segments) -> Result<Option<(&[u8], u64)>, LogError> {
        match self.decoder.next_raw() {
            Ok(record) => Ok(record.map(|r| (r.text, r.time_ns))),
            Err(e) => Err(segments.damaged(self.place, &e.to_string())),
        }
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
