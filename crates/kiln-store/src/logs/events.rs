//! Events that are put into a log stream.
//!
//! ```text
//! logs/<group>/<stream>/events   batches one behind the other, each of events in the order of their times
//! ```
//!
//! A batch is written behind what counts of the file and synced; **how much counts is in the stream's row**, whose change is
//! what acknowledges the batch. So what a crash leaves behind that, torn or not, nobody sees, and the next batch takes its
//! place; what is missing before it is damage.
//!
//! ```text
//! magic        "KILE"
//! version      u8 = 1
//! kind         u8        0 plain · 1 zstd
//!              2 zero bytes
//! raw          u32 LE    length of the content
//! stored       u32 LE    length as it is stored, behind this header
//! count        u32 LE    events
//! content_crc  u32 LE    CRC-32 of what is stored
//! first        u64 LE    number of its first event
//! min_ms       i64 LE    time of its first event, milliseconds since the epoch
//! max_ms       i64 LE    time of its last one
//! ingested_ms  i64 LE    when it came in
//! header_crc   u32 LE    CRC-32 of everything before it
//! content      for each event: time i64 LE, length u32 LE, message
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

pub use expiry::Expiry;
pub(super) use expiry::settle;

use super::error::{LogError, io as io_error};

mod expiry;

/// Name of the file.
const EVENTS: &str = "events";
/// Length of a header.
const HEADER: usize = 60;
/// Longest content.
const MAX_RAW: usize = 2 << 20;
const MAGIC: [u8; 8] = *b"KILE\x01\0\0\0";
/// zstd's fastest level that still compresses well: `spikes.md` 2.1.
const LEVEL: i32 = 1;

/// An event that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEvent {
    /// When it happened, milliseconds since the epoch.
    pub ms: i64,
    /// Which event of its stream it was that came in, from 0.
    pub number: u64,
    /// When it came in.
    pub ingested_ms: i64,
    /// Its text.
    pub message: String,
}

impl PutEvent {
    fn place(&self) -> (i64, u64) {
        (self.ms, self.number)
    }
}

/// Events that come in together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Number of the first one.
    pub first: u64,
    /// When they come in.
    pub ingested_ms: i64,
    /// Times and messages, in the order of the times; not empty.
    pub events: &'a [(i64, String)],
}

/// Room for events, in number and in bytes of their messages with `overhead` for each; for one there is always.
#[derive(Debug, Clone, Copy)]
pub struct EventRoom {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
    /// What each counts beside its message.
    pub overhead: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    is_compressed: bool,
    raw: u32,
    stored: u32,
    count: u32,
    content_crc: u32,
    first: u64,
    min_ms: i64,
    max_ms: i64,
    ingested_ms: i64,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        if let Some(kind) = bytes.get_mut(5) {
            *kind = u8::from(self.is_compressed);
        }
        for value in [self.raw, self.stored, self.count, self.content_crc] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.extend_from_slice(&self.first.to_le_bytes());
        for value in [self.min_ms, self.max_ms, self.ingested_ms] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes).to_le_bytes();
        let mut header = [0; HEADER];
        header[..HEADER - 4].copy_from_slice(&bytes);
        header[HEADER - 4..].copy_from_slice(&crc);
        header
    }

    /// `None` when these bytes are no header.
    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (checked, crc) = bytes.split_at(HEADER - 4);
        if crc32fast::hash(checked).to_le_bytes() != *crc {
            return None;
        }
        let u32_at = |at: usize| Some(u32::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let (magic, kind) = (checked.get(..5)?, *checked.get(5)?);
        let header = Self {
            is_compressed: kind == 1,
            raw: u32_at(8)?,
            stored: u32_at(12)?,
            count: u32_at(16)?,
            content_crc: u32_at(20)?,
            first: u64_at(24)?,
            min_ms: u64_at(32)?.cast_signed(),
            max_ms: u64_at(40)?.cast_signed(),
            ingested_ms: u64_at(48)?.cast_signed(),
        };
        // A checksum proves no honesty: lengths are bounded before anything is allocated for them.
        let is_possible = magic == MAGIC.get(..5)?
            && kind <= 1
            && header.raw as usize <= MAX_RAW
            && header.stored <= header.raw
            && header.count > 0
            && header.min_ms <= header.max_ms;
        is_possible.then_some(header)
    }
}

/// Appends a batch to the stream in `directory` behind `length`, how much of its file counts, and syncs it; returns how
/// much is to count then.
///
/// # Errors
/// [`LogError::DiskFull`] and others of the disk: nothing more counts then. [`LogError::Damaged`] when less is there.
pub(super) fn append(directory: &Path, length: u64, batch: Batch<'_>) -> Result<u64, LogError> {
    let path = directory.join(EVENTS);
    let mut raw = Vec::new();
    for (ms, message) in batch.events {
        let bytes = u32::try_from(message.len()).map_err(|_| too_large(&path))?;
        raw.extend_from_slice(&ms.to_le_bytes());
        raw.extend_from_slice(&bytes.to_le_bytes());
        raw.extend_from_slice(message.as_bytes());
    }
    let (Some((min_ms, _)), Some((max_ms, _))) = (batch.events.first(), batch.events.last()) else {
        return Ok(length);
    };
    if raw.len() > MAX_RAW {
        return Err(too_large(&path));
    }
    let compressed = zstd::bulk::compress(&raw, LEVEL).map_err(|e| io_error("compress", &path, e))?;
    let is_compressed = compressed.len() < raw.len();
    let stored = if is_compressed { &compressed } else { &raw };
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_large(&path));
    let header = Header {
        is_compressed,
        raw: size(&raw)?,
        stored: size(stored)?,
        count: u32::try_from(batch.events.len()).map_err(|_| too_large(&path))?,
        content_crc: crc32fast::hash(stored),
        first: batch.first,
        min_ms: *min_ms,
        max_ms: *max_ms,
        ingested_ms: batch.ingested_ms,
    };
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(stored);

    fs::create_dir_all(directory).map_err(|e| io_error("make", directory, e))?;
    settle(directory, length)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| io_error("open", &path, e))?;
    let there = file.metadata().map_err(|e| io_error("read", &path, e))?.len();
    if there < length {
        return Err(missing(&path, there, length));
    }
    // What was never acknowledged.
    if there > length {
        file.set_len(length).map_err(|e| io_error("cut the end of", &path, e))?;
    }
    let written = file.write_all_at(&bytes, length).and_then(|()| file.sync_all());
    if let Err(e) = written {
        file.set_len(length).ok();
        return Err(io_error("write", &path, e));
    }
    if length == 0 {
        // The directory, and those that may have been made for it.
        for directory in directory.ancestors().take(3) {
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(|e| io_error("sync", directory, e))?;
        }
    }
    Ok(length + bytes.len() as u64)
}

fn too_large(path: &Path) -> LogError {
    io_error("write", path, io::Error::from(io::ErrorKind::FileTooLarge))
}

fn missing(path: &Path, there: u64, length: u64) -> LogError {
    LogError::Damaged { path: path.to_owned(), what: format!("it has {there} bytes instead of {length}") }
}

/// The events of a stream, as far as they count. In memory are the headers of its batches, and while it reads what it
/// gives out and one batch.
#[derive(Debug)]
pub struct EventReader {
    path: PathBuf,
    file: Option<File>,
    /// Where each batch begins.
    batches: Vec<(u64, Header)>,
}

impl EventReader {
    /// Opens the stream in `directory`, of whose file `length` bytes count.
    ///
    /// # Errors
    /// [`LogError::Damaged`], [`LogError::NotFound`]
    pub(super) fn open(directory: &Path, length: u64) -> Result<Self, LogError> {
        let path = directory.join(EVENTS);
        if length == 0 {
            return Ok(Self { path, file: None, batches: Vec::new() });
        }
        let Some(file) = expiry::open(directory, length)? else {
            return Err(LogError::NotFound { path: directory.to_owned() });
        };
        let there = file.metadata().map_err(|e| io_error("read", &path, e))?.len();
        if there < length {
            return Err(missing(&path, there, length));
        }
        let (mut batches, mut at) = (Vec::new(), 0);
        while at < length {
            let mut bytes = [0; HEADER];
            file.read_exact_at(&mut bytes, at).map_err(|e| io_error("read", &path, e))?;
            let header = Header::decode(&bytes);
            let end = header.map(|header| at + HEADER as u64 + u64::from(header.stored));
            let (Some(header), Some(end)) = (header, end.filter(|end| *end <= length)) else {
                return Err(LogError::Damaged { path, what: format!("there is no batch of events at byte {at}") });
            };
            batches.push((at, header));
            at = end;
        }
        Ok(Self { path, file: Some(file), batches })
    }

    fn content(&self, at: u64, header: &Header) -> Result<Vec<PutEvent>, LogError> {
        let damaged = |what: &str| LogError::Damaged {
            path: self.path.clone(),
            what: format!("batch of events at byte {at}: {what}"),
        };
        let file = self.file.as_ref().ok_or_else(|| damaged("there is no file"))?;
        let mut stored = vec![0; header.stored as usize];
        file.read_exact_at(&mut stored, at + HEADER as u64).map_err(|e| io_error("read", &self.path, e))?;
        if crc32fast::hash(&stored) != header.content_crc {
            return Err(damaged("its checksum differs"));
        }
        let raw = match header.is_compressed {
            true => zstd::bulk::decompress(&stored, header.raw as usize).map_err(|e| damaged(&e.to_string()))?,
            false => stored,
        };
        let (mut events, mut rest) = (Vec::new(), raw.as_slice());
        while let Some((ms, behind)) = rest.split_first_chunk::<8>() {
            let parts = behind
                .split_first_chunk::<4>()
                .and_then(|(length, behind)| behind.split_at_checked(u32::from_le_bytes(*length) as usize));
            let Some((message, behind)) = parts else { return Err(damaged("an event is cut")) };
            events.push(PutEvent {
                ms: i64::from_le_bytes(*ms),
                number: header.first + events.len() as u64,
                ingested_ms: header.ingested_ms,
                message: String::from_utf8_lossy(message).into_owned(),
            });
            rest = behind;
        }
        if events.len() != header.count as usize || !rest.is_empty() {
            return Err(damaged("it does not have as many events as it says"));
        }
        Ok(events)
    }

    /// Events from that time and number on and before `end_ms`, in order, as many as there is room for.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn forward(&self, from: (i64, u64), end_ms: i64, room: EventRoom) -> Result<Vec<PutEvent>, LogError> {
        let overlaps = |header: &Header| header.max_ms >= from.0 && header.min_ms < end_ms;
        let mut batches: Vec<_> = self.batches.iter().filter(|(_, header)| overlaps(header)).collect();
        batches.sort_by_key(|(_, header)| header.min_ms);
        let mut kept = Kept::new(room);
        for (at, header) in batches {
            // All later ones begin behind what there is room for.
            if kept.gone.is_some_and(|gone| header.min_ms > gone.0) {
                break;
            }
            for event in self.content(*at, header)? {
                if event.place() >= from && event.ms < end_ms {
                    kept.add(event, false);
                }
            }
        }
        Ok(kept.events.into_values().collect())
    }

    /// The last events before that time and number and at `start_ms` or later, in order, as many as there is room for.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn backward(&self, before: (i64, u64), start_ms: i64, room: EventRoom) -> Result<Vec<PutEvent>, LogError> {
        let overlaps = |header: &Header| header.max_ms >= start_ms && header.min_ms <= before.0;
        let mut batches: Vec<_> = self.batches.iter().filter(|(_, header)| overlaps(header)).collect();
        batches.sort_by_key(|(_, header)| std::cmp::Reverse(header.max_ms));
        let mut kept = Kept::new(room);
        for (at, header) in batches {
            if kept.gone.is_some_and(|gone| header.max_ms < gone.0) {
                break;
            }
            for event in self.content(*at, header)? {
                if event.place() < before && event.ms >= start_ms {
                    kept.add(event, true);
                }
            }
        }
        Ok(kept.events.into_values().collect())
    }
}

/// The first or the last events, as far as there is room.
struct Kept {
    room: EventRoom,
    events: BTreeMap<(i64, u64), PutEvent>,
    bytes: usize,
    /// Place of the nearest event that there was no room for: what lies beyond it is not taken any more, or it would be
    /// missing in between.
    gone: Option<(i64, u64)>,
}

impl Kept {
    fn new(room: EventRoom) -> Self {
        Self { room, events: BTreeMap::new(), bytes: 0, gone: None }
    }

    /// Takes an event in, and lets go of what there is no room for: of the first ones, or of the last ones.
    fn add(&mut self, event: PutEvent, drop_first: bool) {
        let is_beyond = |gone| if drop_first { event.place() <= gone } else { event.place() >= gone };
        if self.gone.is_some_and(is_beyond) {
            return;
        }
        self.bytes += event.message.len() + self.room.overhead;
        self.events.insert(event.place(), event);
        while self.events.len() > self.room.events || (self.bytes > self.room.bytes && self.events.len() > 1) {
            let gone = if drop_first { self.events.pop_first() } else { self.events.pop_last() };
            let Some((place, event)) = gone else { return };
            self.bytes -= event.message.len() + self.room.overhead;
            self.gone = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: EventRoom = EventRoom { events: usize::MAX, bytes: usize::MAX, overhead: 0 };

    /// A stream of these batches; how much of it counts, and its events in order.
    pub(super) fn stream(batches: &[Vec<(i64, String)>]) -> (tempfile::TempDir, u64, Vec<PutEvent>) {
        let dir = tempfile::tempdir().unwrap();
        let (mut length, mut all) = (0, Vec::new());
        for (n, events) in batches.iter().enumerate() {
            let mut events = events.clone();
            events.sort_by_key(|(ms, _)| *ms);
            let ingested_ms = i64::try_from(n).unwrap();
            let batch = Batch { first: all.len() as u64, ingested_ms, events: &events };
            length = append(dir.path(), length, batch).unwrap();
            for (ms, message) in events {
                all.push(PutEvent { ms, number: all.len() as u64, ingested_ms, message });
            }
        }
        all.sort_by_key(PutEvent::place);
        (dir, length, all)
    }

    pub(super) fn batches() -> impl Strategy<Value = Vec<Vec<(i64, String)>>> {
        prop::collection::vec(prop::collection::vec((0_i64..30, "[a-cä\n]{0,12}"), 1..6), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Pages in both directions are all events between two times, in order, whenever they came in.
        #[test]
        fn both_directions_give_the_same(
            batches in batches(),
            (events, bytes) in (1_usize..5, 1_usize..60),
            (start, end) in (0_i64..30, 0_i64..31),
        ) {
            let (dir, length, all) = stream(&batches);
            let reader = EventReader::open(dir.path(), length).unwrap();
            prop_assert_eq!(&reader.forward((i64::MIN, 0), i64::MAX, ALL).unwrap(), &all);
            prop_assert_eq!(&reader.backward((i64::MAX, 0), i64::MIN, ALL).unwrap(), &all);
            let wanted: Vec<PutEvent> = all.into_iter().filter(|e| e.ms >= start && e.ms < end).collect();
            let room = EventRoom { events, bytes, overhead: 3 };
            let (mut from, mut forwards) = ((start, 0), Vec::new());
            loop {
                let page = reader.forward(from, end, room).unwrap();
                let Some(last) = page.last() else { break };
                prop_assert!(page.len() <= events);
                from = (last.ms, last.number + 1);
                forwards.extend(page);
            }
            prop_assert_eq!(&forwards, &wanted);
            let (mut before, mut backwards) = ((end, 0), Vec::new());
            loop {
                let mut page = reader.backward(before, start, room).unwrap();
                let Some(first) = page.first() else { break };
                before = first.place();
                page.append(&mut backwards);
                backwards = page;
            }
            prop_assert_eq!(&backwards, &wanted);
        }
    }

    #[test]
    fn what_was_not_acknowledged_is_not_there_wherever_it_is_torn() {
        let batch = |text: &str| vec![(5, text.repeat(20)), (7, "x".to_owned())];
        let (dir, whole, _) = stream(&[batch("one"), batch("two")]);
        let bytes = fs::read(dir.path().join(EVENTS)).unwrap();
        let (_one, counts, first) = stream(&[batch("one")]);
        for length in usize::try_from(counts).unwrap()..=bytes.len() {
            let torn = tempfile::tempdir().unwrap();
            fs::write(torn.path().join(EVENTS), &bytes[..length]).unwrap();
            let reader = EventReader::open(torn.path(), counts).unwrap();
            assert_eq!(reader.forward((0, 0), 100, ALL).unwrap(), first, "torn at {length}");
            let events = [(9, "three".to_owned())];
            let end = append(torn.path(), counts, Batch { first: 2, ingested_ms: 0, events: &events }).unwrap();
            assert_eq!(fs::metadata(torn.path().join(EVENTS)).unwrap().len(), end);
            let reader = EventReader::open(torn.path(), end).unwrap();
            let messages: Vec<_> = reader.forward((7, 0), 100, ALL).unwrap().into_iter().map(|e| e.message).collect();
            assert_eq!(messages, ["x", "three"], "torn at {length}");
        }
        // What counts and is not there is damage, wherever it is cut.
        for length in 0..bytes.len() {
            let cut = tempfile::tempdir().unwrap();
            fs::write(cut.path().join(EVENTS), &bytes[..length]).unwrap();
            let opened = EventReader::open(cut.path(), whole);
            assert!(matches!(opened, Err(LogError::Damaged { .. })), "cut at {length}");
            let events = [(9, "three".to_owned())];
            let appended = append(cut.path(), whole, Batch { first: 4, ingested_ms: 0, events: &events });
            assert!(matches!(appended, Err(LogError::Damaged { .. })), "cut at {length}");
        }
    }

    #[test]
    fn changed_bytes_are_found() {
        let (dir, length, _) = stream(&[vec![(5, "a message".repeat(9)), (7, "x".to_owned())]]);
        let path = dir.path().join(EVENTS);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            let read = EventReader::open(dir.path(), length).and_then(|r| r.forward((0, 0), 100, ALL));
            assert!(matches!(read, Err(LogError::Damaged { .. })), "byte {at}");
        }
    }
}
