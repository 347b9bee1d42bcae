//! Copies a journal into segments.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_wire::journal::{Decoder, FILE_HEADER, JournalError, file_header};

use super::{
    SEGMENT_BYTES,
    error::{LogError, io as io_error},
    segment::{HEADER, Header, Kind, MAX_RAW},
};
use crate::crash;

/// Name of the segments' file.
pub(super) const SEGMENTS: &str = "segments";
/// Name of the index.
pub(super) const INDEX: &str = "index";
/// Length of an entry of the index: place of a header, and the header.
pub(super) const ENTRY: usize = 8 + HEADER;
/// zstd's fastest level that still compresses well: `spikes.md` 2.1.
const LEVEL: i32 = 1;

/// How far a log reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// Offset in the journal of the first byte that the log has not taken.
    pub offset: u64,
    /// Number of the next record.
    pub seq: u64,
    /// Newlines in its text (that of output and service records).
    pub lines: u64,
    /// Bytes of its text.
    pub text: u64,
}

/// Appends to a log. One at a time: the server that follows a build holds it.
#[derive(Debug)]
pub struct LogWriter {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    index: Option<File>,
    /// The last whole segment that is in the file, and its place.
    last: Option<(u64, Header)>,
    /// Length of all whole segments.
    end: u64,
    decoder: Decoder,
    waiting: Waiting,
    synced: bool,
}

/// What is not in a segment yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    raw: Vec<u8>,
    pub(super) records: u32,
    pub(super) lines: u32,
    pub(super) text: u32,
    pub(super) first_ns: Option<u64>,
    pub(super) last_ns: u64,
}

impl LogWriter {
    /// Opens the log in `directory`, which is made when it is not there. What a crash left behind the last whole segment
    /// is cut; every segment's checksum is compared (about 1 GB of log a second).
    ///
    /// # Errors
    /// When the files cannot be made or read.
    pub fn open(directory: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(directory).map_err(|e| io_error("make", directory, e))?;
        let path = directory.join(SEGMENTS);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io_error("open", &path, e))?;
        let mut writer = Self {
            directory: directory.to_owned(),
            path,
            file,
            index: None,
            last: None,
            end: 0,
            decoder: Decoder::new(),
            waiting: Waiting::default(),
            synced: false,
        };
        let places = writer.scan()?;
        writer.restore_index(&places)?;
        if let Some((_, last)) = writer.last {
            let (offset, seq, ..) = last.end();
            writer.decoder = Decoder::at(offset, seq);
            writer.waiting.last_ns = last.last_ns;
        }
        Ok(writer)
    }

    /// Finds the last whole segment and cuts what is behind it. Returns all headers with their places.
    fn scan(&mut self) -> Result<Vec<(u64, Header)>, LogError> {
        let failed = |e| io_error("read", &self.path, e);
        let length = self.file.metadata().map_err(failed)?.len();
        let mut places: Vec<(u64, Header)> = Vec::new();
        let mut stored = Vec::new();
        let mut end = 0;
        while let Some(header) = header_at(&self.file, end, length).map_err(failed)? {
            let before = places.last().map(|(_, header)| header);
            if !header.follows(before) {
                break;
            }
            stored.resize(header.stored as usize, 0);
            self.file.read_exact_at(&mut stored, end + HEADER as u64).map_err(failed)?;
            if crc32fast::hash(&stored) != header.content_crc {
                break;
            }
            places.push((end, header));
            end += HEADER as u64 + u64::from(header.stored);
        }
        if end < length {
            self.file.set_len(end).map_err(|e| io_error("cut the torn end of", &self.path, e))?;
        }
        self.end = end;
        self.last = places.last().copied();
        Ok(places)
    }

    /// Makes the index agree with the segments.
    fn restore_index(&mut self, places: &[(u64, Header)]) -> Result<(), LogError> {
        if places.len() < 2 {
            return Ok(());
        }
        let wanted: Vec<u8> = places.iter().flat_map(|(place, header)| entry(*place, header)).collect();
        let path = self.directory.join(INDEX);
        let index = open_index(&path)?;
        let mut found = Vec::new();
        io::Read::read_to_end(&mut &index, &mut found).map_err(|e| io_error("read", &path, e))?;
        if found != wanted {
            index.set_len(0).and_then(|()| index.write_all_at(&wanted, 0)).map_err(|e| io_error("write", &path, e))?;
        }
        self.index = Some(index);
        Ok(())
    }

    /// What the log has taken, in segments or not yet: where the caller goes on.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        let (_, _, lines, text) = self.last.map_or((0, 0, 0, 0), |(_, header)| header.end());
        LogPosition {
            offset: self.decoder.offset(),
            seq: self.decoder.next_seq(),
            lines: lines + u64::from(self.waiting.lines),
            text: text + u64::from(self.waiting.text),
        }
    }

    /// Whether the log has its end mark.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.last.is_some_and(|(_, header)| header.kind == Kind::End)
    }

    /// Appends bytes of the journal, which begin at `position().offset`. A record whose end is missing is not taken:
    /// begin with it again, at the new position. Whole segments are written, the rest waits for more or for
    /// [`Self::flush`].
    ///
    /// # Errors
    /// [`LogError::Journal`] when these bytes are not the journal's next; [`LogError::DiskFull`] and others of the disk.
    /// `position()` then says what was taken: the caller may go on from there.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        if self.is_finished() {
            return Err(LogError::Finished { path: self.directory.clone() });
        }
        // A full segment whose writing failed before is tried again before anything is taken.
        if self.waiting.raw.len() >= SEGMENT_BYTES {
            self.flush()?;
        }
        let mut bytes = bytes;
        if self.decoder.offset() == 0 {
            let Some((header, records)) = bytes.split_first_chunk::<FILE_HEADER>() else { return Ok(()) };
            if *header != file_header() {
                return Err(Arc::new(JournalError::Header).into());
            }
            self.waiting.raw.extend_from_slice(header);
            self.decoder = Decoder::at(FILE_HEADER as u64, 0);
            bytes = records;
        }
        self.decoder.push(bytes);
        let taken = self.take();
        // The caller comes with what was not taken again.
        self.decoder = Decoder::at(self.decoder.offset(), self.decoder.next_seq());
        taken
    }

    /// Takes what the decoder has.
    fn take(&mut self) -> Result<(), LogError> {
        while let Some(record) = self.decoder.next_raw().map_err(Arc::new)? {
            self.waiting.take(record.bytes, record.text, record.time_ns);
            if self.waiting.raw.len() >= SEGMENT_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Writes what waits as a segment, so that readers see it. Not synced.
    ///
    /// # Errors
    /// [`LogError::DiskFull`] and others of the disk; what waits goes on waiting.
    pub fn flush(&mut self) -> Result<(), LogError> {
        if self.waiting.raw.is_empty() {
            return Ok(());
        }
        debug_assert!(self.waiting.raw.len() <= MAX_RAW, "a segment is closed in time");
        let raw = &self.waiting.raw;
        let compressed = zstd::bulk::compress(raw, LEVEL).map_err(|e| io_error("compress", &self.path, e))?;
        let (kind, stored) = if compressed.len() < raw.len() {
            (Kind::Zstd, compressed.as_slice())
        } else {
            (Kind::Plain, raw.as_slice())
        };
        let header = self.next_header(kind, raw.len(), stored.len(), crc32fast::hash(stored))?;
        let mut segment = Vec::with_capacity(HEADER + stored.len());
        segment.extend_from_slice(&header.encode());
        segment.extend_from_slice(stored);
        self.write(&header, &segment)?;
        self.waiting = Waiting::after(header.last_ns);
        Ok(())
    }

    /// Writes what waits and an end mark, and syncs the log; the log cannot be appended to any more. Calling it again does
    /// nothing.
    ///
    /// # Errors
    /// [`LogError::DiskFull`]: the call may be repeated. When the sync fails, what is on the disk is unknown and the log is
    /// removed: it must be written again from the start of the journal, by a writer that is opened anew.
    pub fn finish(&mut self) -> Result<(), LogError> {
        if self.synced {
            return Ok(());
        }
        self.flush()?;
        if !self.is_finished() {
            let end = self.next_header(Kind::End, 0, 0, crc32fast::hash(&[]))?;
            self.write(&end, &end.encode())?;
        }
        crash::point("log_ended");
        let synced = self.sync();
        if synced.is_err() {
            // It may look whole in the kernel's memory without being on the disk.
            fs::remove_file(&self.path).ok();
        }
        self.synced = synced.is_ok();
        synced
    }

    fn sync(&self) -> Result<(), LogError> {
        let sync = |file: &File, path: &Path| file.sync_all().map_err(|e| io_error("sync", path, e));
        sync(&self.file, &self.path)?;
        // The index is believed only as far as it is whole.
        // The directory, and those that may have been made for it.
        for directory in self.directory.ancestors().take(3).filter(|d| !d.as_os_str().is_empty()) {
            let opened = File::open(directory).map_err(|e| io_error("open", directory, e))?;
            sync(&opened, directory)?;
        }
        Ok(())
    }

    fn next_header(&self, kind: Kind, raw: usize, stored: usize, content_crc: u32) -> Result<Header, LogError> {
        let (offset, seq, lines_before, text_before) = self.last.map_or((0, 0, 0, 0), |(_, header)| header.end());
        let length = |length: usize| {
            u32::try_from(length)
                .map_err(|_| io_error("write", &self.path, io::Error::from(io::ErrorKind::FileTooLarge)))
        };
        let waiting = &self.waiting;
        let ended = kind == Kind::End;
        Ok(Header {
            kind,
            raw: length(raw)?,
            stored: length(stored)?,
            records: if ended { 0 } else { waiting.records },
            lines: if ended { 0 } else { waiting.lines },
            text: if ended { 0 } else { waiting.text },
            content_crc,
            offset,
            seq,
            lines_before,
            text_before,
            first_ns: waiting.first_ns.unwrap_or(waiting.last_ns),
            last_ns: waiting.last_ns,
        })
    }

    /// Writes a segment behind the last one, whole or not at all.
    fn write(&mut self, header: &Header, segment: &[u8]) -> Result<(), LogError> {
        if let Err(e) = self.file.write_all_at(segment, self.end) {
            // Gives back what the torn segment took. If that fails too, the torn end is overwritten by the next try, and
            // readers and the next opening do not take it for a segment.
            self.file.set_len(self.end).ok();
            return Err(io_error("write", &self.path, e));
        }
        crash::point("log_segment");
        let place = self.end;
        self.write_index(place, header);
        self.end += segment.len() as u64;
        self.last = Some((place, *header));
        Ok(())
    }

    /// Adds to the index, from the second segment on. It is a short cut: when it cannot be written, it is given up, and
    /// the next opening makes it again.
    fn write_index(&mut self, place: u64, header: &Header) {
        let Some((before_place, before)) = self.last else { return };
        let path = self.directory.join(INDEX);
        let written = match &self.index {
            Some(index) => append(index, &entry(place, header)),
            None if before_place == 0 => open_index(&path).map_err(|_| io::ErrorKind::Other.into()).and_then(|index| {
                let both = [entry(0, &before), entry(place, header)].concat();
                index.set_len(0)?;
                append(&index, &both)?;
                self.index = Some(index);
                Ok(())
            }),
            // Given up before.
            None => Ok(()),
        };
        if written.is_err() {
            self.index = None;
            fs::remove_file(&path).ok();
        }
    }
}

impl Waiting {
    /// Nothing yet, behind a record of that time.
    pub(super) fn after(last_ns: u64) -> Self {
        Self { last_ns, ..Self::default() }
    }

    fn take(&mut self, record: &[u8], text: &[u8], time_ns: u64) {
        self.raw.extend_from_slice(record);
        self.count(text, time_ns);
    }

    /// Counts a record with this text.
    pub(super) fn count(&mut self, text: &[u8], time_ns: u64) {
        self.records += 1;
        // Bounded by the content's length, which is bounded.
        self.lines += u32::try_from(memchr::memchr_iter(b'\n', text).count()).unwrap_or(u32::MAX);
        self.text += u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.last_ns = self.last_ns.max(time_ns);
        self.first_ns.get_or_insert(self.last_ns);
    }
}

/// The header at a place, when it is whole and its content is there.
pub(super) fn header_at(file: &File, place: u64, length: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER];
    match file.read_exact_at(&mut bytes, place) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let header = Header::decode(&bytes);
    Ok(header.filter(|h| place + HEADER as u64 + u64::from(h.stored) <= length))
}

/// An entry of the index.
fn entry(place: u64, header: &Header) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..8].copy_from_slice(&place.to_le_bytes());
    bytes[8..].copy_from_slice(&header.encode());
    bytes
}

fn open_index(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| io_error("open", path, e))
}

fn append(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
    io::Write::write_all(&mut file, bytes)
}
