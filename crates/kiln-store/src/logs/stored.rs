//! The segments of a log, opened for reading.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use kiln_wire::journal::Cursor;
use zstd::bulk::Decompressor;

use super::{
    error::{LogError, io as io_error},
    segment::{HEADER, Header, Kind},
    writer::{ENTRY, INDEX, SEGMENTS, Waiting, header_at},
};

/// Longest index that is read; longer ones would be of more than 200 GB of log.
const MAX_INDEX: u64 = 64 << 20;
/// Most bytes of a journal that are added to its segments: many times what waits for a segment.
pub const LIVE_BYTES: usize = 16 << 20;

/// Segments, and perhaps what the journal has behind them.
#[derive(Debug)]
pub(super) struct Segments {
    path: PathBuf,
    file: File,
    /// Those with content, with their places in the file. What the journal has behind them is one more, at [`Self::end`].
    pub(super) places: Vec<(u64, Header)>,
    pub(super) end: u64,
    pub(super) finished: bool,
    live: Vec<u8>,
}

impl Segments {
    pub(super) fn open(directory: &Path) -> Result<Self, LogError> {
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
        Ok(Self { path, file, places, end, finished, live: Vec::new() })
    }

    /// Those of a log that has none yet.
    pub(super) fn none(directory: &Path) -> Result<Self, LogError> {
        let path = directory.join(SEGMENTS);
        let file = File::open("/dev/null").map_err(|e| io_error("open", Path::new("/dev/null"), e))?;
        Ok(Self { path, file, places: Vec::new(), end: 0, finished: false, live: Vec::new() })
    }

    /// Adds what the journal has behind the last segment, as far as it is whole records before `end`.
    pub(super) fn add_live(&mut self, journal: &File, end: u64) -> Result<(), LogError> {
        let (offset, seq, lines_before, text_before) = self.places.last().map_or((0, 0, 0, 0), |(_, h)| h.end());
        let last_ns = self.places.last().map_or(0, |(_, header)| header.last_ns);
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(LIVE_BYTES).min(LIVE_BYTES);
        if self.finished || length == 0 {
            return Ok(());
        }
        let mut bytes = vec![0; length];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match journal.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(io_error("read the journal of", &self.path, e)),
            }
        }
        bytes.truncate(read);
        let mut cursor = Cursor::at(offset, seq);
        let mut taken = Waiting::after(last_ns);
        // Whoever writes the log says what is wrong with a journal; here it ends where it cannot be read.
        while let Ok(Some(record)) = cursor.next_raw(&bytes) {
            taken.count(record.text, record.time_ns);
        }
        bytes.truncate(cursor.position());
        // The header of the file alone is no record yet.
        if taken.records == 0 {
            return Ok(());
        }
        let header = Header {
            kind: Kind::Plain,
            raw: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            stored: 0,
            records: taken.records,
            lines: taken.lines,
            text: taken.text,
            content_crc: 0,
            offset,
            seq,
            lines_before,
            text_before,
            first_ns: taken.first_ns.unwrap_or(last_ns),
            last_ns: taken.last_ns,
        };
        self.places.push((self.end, header));
        self.live = bytes;
        Ok(())
    }

    /// The content of a segment.
    pub(super) fn content(&self, place: u64, header: &Header) -> Result<Vec<u8>, LogError> {
        let mut buffers = Buffers::new(self)?;
        self.read_content(place, header, &mut buffers)?;
        Ok(buffers.content)
    }

    /// The content of a segment, into [`Buffers::content`].
    pub(super) fn read_content(&self, place: u64, header: &Header, buffers: &mut Buffers) -> Result<(), LogError> {
        if place == self.end {
            buffers.content.clone_from(&self.live);
            return Ok(());
        }
        buffers.stored.resize(header.stored as usize, 0);
        self.file
            .read_exact_at(&mut buffers.stored, place + HEADER as u64)
            .map_err(|e| io_error("read", &self.path, e))?;
        header
            .content(&buffers.stored, &mut buffers.decompressor, &mut buffers.content)
            .map_err(|what| self.damaged(place, &what))
    }

    pub(super) fn damaged(&self, place: u64, what: &str) -> LogError {
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

/// What reading segments takes of memory; the same for one after the other.
pub(super) struct Buffers {
    stored: Vec<u8>,
    pub(super) content: Vec<u8>,
    decompressor: Decompressor<'static>,
}

impl Buffers {
    pub(super) fn new(segments: &Segments) -> Result<Self, LogError> {
        let decompressor = Decompressor::new().map_err(|e| io_error("decompress", &segments.path, e))?;
        Ok(Self { stored: Vec::new(), content: Vec::new(), decompressor })
    }
}

/// Text and time of the records of one segment.
pub(super) struct Records {
    place: u64,
    content: Vec<u8>,
    cursor: Cursor,
}

impl Records {
    pub(super) fn new(segments: &Segments, place: u64, header: &Header) -> Result<Self, LogError> {
        let content = segments.content(place, header)?;
        Ok(Self { place, content, cursor: Cursor::at(header.offset, header.seq) })
    }

    pub(super) fn next(&mut self, segments: &Segments) -> Result<Option<(&[u8], u64)>, LogError> {
        match self.cursor.next_raw(&self.content) {
            Ok(record) => Ok(record.map(|r| (r.text, r.time_ns))),
            Err(e) => Err(segments.damaged(self.place, &e.to_string())),
        }
    }
}
