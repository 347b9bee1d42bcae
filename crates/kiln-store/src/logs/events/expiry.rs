//! Giving up events that are too old: the batches that stay are written into a file of their own, the stream's row then says
//! how much of that one counts, and the file takes the place of the other.
//!
//! A crash in between is seen by the lengths: while there is a file of batches that stay, the row says either how much of
//! the old file counts, and it is not the one yet, or how long the new one is, and it is. The new one is shorter, always.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::{EVENTS, EventReader, HEADER, Header, LogError, io_error};

/// Name of the file of batches that stay.
const NEXT: &str = "events.next";

/// What would be left of a stream without its old batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Bytes that would count.
    pub kept: u64,
    /// Bytes of the batches that are too old.
    pub expired: u64,
    /// Time of the first event of the batches that are too old, milliseconds since the epoch.
    pub oldest_ms: i64,
    /// Times of the first and of the last event that would be left.
    pub times: Option<(i64, i64)>,
}

/// Length of a batch with its header.
fn length_of(header: &Header) -> u64 {
    HEADER as u64 + u64::from(header.stored)
}

impl EventReader {
    /// What would be left without the batches of which every event is older than `before_ms`; `None` when there is no such
    /// batch.
    #[must_use]
    pub fn expiry(&self, before_ms: i64) -> Option<Expiry> {
        let mut expiry = Expiry { kept: 0, expired: 0, oldest_ms: i64::MAX, times: None };
        for (_, header) in &self.batches {
            if header.max_ms < before_ms {
                expiry.expired += length_of(header);
                expiry.oldest_ms = expiry.oldest_ms.min(header.min_ms);
            } else {
                expiry.kept += length_of(header);
                let (first, last) = expiry.times.unwrap_or((header.min_ms, header.max_ms));
                expiry.times = Some((first.min(header.min_ms), last.max(header.max_ms)));
            }
        }
        (expiry.expired > 0).then_some(expiry)
    }

    /// Writes the batches that stay into a file of their own, beside the others and synced: they count when the stream's row
    /// says that [`Expiry::kept`] bytes do. [`Logs::settle`](super::super::Logs::settle) then puts the file in its place.
    /// Not while the stream is appended to.
    ///
    /// # Errors
    /// [`LogError::DiskFull`] and others of the disk; nothing has changed then.
    pub fn write_kept(&self, before_ms: i64) -> Result<(), LogError> {
        let (Some(file), Some(directory)) = (&self.file, self.path.parent()) else { return Ok(()) };
        let path = directory.join(NEXT);
        let failed = |e| io_error("write", &path, e);
        let next = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| io_error("open", &path, e))?;
        let mut end = 0;
        let written =
            self.batches.iter().filter(|(_, header)| header.max_ms >= before_ms).try_for_each(|(at, header)| {
                let mut bytes = vec![0; HEADER + header.stored as usize];
                file.read_exact_at(&mut bytes, *at)?;
                next.write_all_at(&bytes, end)?;
                end += bytes.len() as u64;
                Ok::<_, io::Error>(())
            });
        if let Err(e) = written.and_then(|()| next.sync_all()) {
            // The room is wanted back.
            fs::remove_file(&path).ok();
            return Err(failed(e));
        }
        sync(directory)
    }
}

fn sync(directory: &Path) -> Result<(), LogError> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|e| io_error("sync", directory, e))
}

/// The file of which `length` bytes count; `None` when it is not there.
pub(super) fn open(directory: &Path, length: u64) -> Result<Option<File>, LogError> {
    for name in [NEXT, EVENTS] {
        let path = directory.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(io_error("open", &path, e)),
        };
        let there = file.metadata().map_err(|e| io_error("read", &path, e))?.len();
        if name == EVENTS || there == length {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Puts the file of batches that stay in its place when it is the one that counts, and removes it when it is not.
pub(in super::super) fn settle(directory: &Path, length: u64) -> Result<(), LogError> {
    let (path, events) = (directory.join(NEXT), directory.join(EVENTS));
    let there = match fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error("read", &path, e)),
    };
    let settled = if there == length { fs::rename(&path, &events) } else { fs::remove_file(&path) };
    settled.map_err(|e| io_error("replace", &events, e))?;
    sync(directory)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Batch, EventRoom, PutEvent, append,
            tests::{batches, stream},
        },
        *,
    };
    use proptest::prelude::*;

    const ALL: EventRoom = EventRoom { events: usize::MAX, bytes: usize::MAX, overhead: 0 };

    fn all(directory: &Path, length: u64) -> Vec<PutEvent> {
        EventReader::open(directory, length).unwrap().forward((i64::MIN, 0), i64::MAX, ALL).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is given up is old, and nothing is lost that is not; wherever a crash came in between.
        #[test]
        fn old_batches_go_and_others_stay(batches in batches(), before in 0_i64..32, crash in 0_u8..3) {
            let (dir, length, events) = stream(&batches);
            let reader = EventReader::open(dir.path(), length).unwrap();
            let Some(expiry) = reader.expiry(before) else {
                prop_assert!(batches.iter().all(|batch| batch.iter().any(|(ms, _)| *ms >= before)));
                return Ok(());
            };
            prop_assert_eq!(expiry.kept + expiry.expired, length);
            let old = batches.iter().filter(|batch| batch.iter().all(|(ms, _)| *ms < before));
            prop_assert_eq!(Some(expiry.oldest_ms), old.flatten().map(|(ms, _)| *ms).min());
            reader.write_kept(before).unwrap();
            prop_assert_eq!(&all(dir.path(), length), &events, "nothing counts before the row says so");
            if crash == 0 {
                // The row never said so.
                let more = [(40, "more".to_owned())];
                let batch = Batch { first: events.len() as u64, ingested_ms: 0, events: &more };
                let longer = append(dir.path(), length, batch).unwrap();
                prop_assert_eq!(all(dir.path(), longer).len(), events.len() + 1);
                prop_assert!(!dir.path().join(NEXT).exists());
                return Ok(());
            }
            let left = if expiry.kept == 0 { Vec::new() } else { all(dir.path(), expiry.kept) };
            prop_assert!(events.iter().filter(|event| event.ms >= before).all(|event| left.contains(event)));
            prop_assert_eq!(expiry.times, left.first().zip(left.last()).map(|(first, last)| (first.ms, last.ms)));
            if crash == 1 {
                settle(dir.path(), expiry.kept).unwrap();
            }
            let more = [(40, "more".to_owned())];
            let batch = Batch { first: events.len() as u64, ingested_ms: 0, events: &more };
            let longer = append(dir.path(), expiry.kept, batch).unwrap();
            let then = all(dir.path(), longer);
            prop_assert_eq!(then.len(), left.len() + 1);
            prop_assert!(left.iter().all(|event| then.contains(event)));
            prop_assert_eq!(fs::metadata(dir.path().join(EVENTS)).unwrap().len(), longer);
        }
    }
}
