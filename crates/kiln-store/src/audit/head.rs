//! `audit/head`: how far the log reaches.
//!
//! Two slots of 512 bytes, written in turn, so that one that was being written when the machine stopped leaves the other:
//! version u8, closed u8, generation u64, then of the beginning and of the end of the log its sequence number u64 and its
//! chain, and the HMAC of all that. Numbers are LE. The beginning is what the first file that is kept continues.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    chain::{Chain, ChainKey, LENGTH, NOTHING},
    error::{AuditError, io as io_error},
};

pub(super) const NAME: &str = "head";
const VERSION: u8 = 1;
const SLOT: usize = 512;
/// Bytes of a slot's content.
const CONTENT: usize = 2 + 8 + 2 * (8 + LENGTH);

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The record before it.
    pub(super) sequence: u64,
    /// What that proves.
    pub(super) chain: Chain,
}

impl Place {
    /// Before the first record of all.
    pub(super) const START: Self = Self { sequence: 0, chain: NOTHING };
}

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Times that it was written.
    pub(super) generation: u64,
    /// The log was closed in good order.
    pub(super) is_closed: bool,
    /// Before the first record that is kept.
    pub(super) begin: Place,
    /// Behind the last one.
    pub(super) end: Place,
}

impl Head {
    pub(super) fn new(begin: Place) -> Self {
        Self { generation: 0, is_closed: false, begin, end: begin }
    }

    fn to_slot(self, key: &ChainKey) -> Vec<u8> {
        let mut slot = vec![VERSION, u8::from(self.is_closed)];
        slot.extend_from_slice(&self.generation.to_le_bytes());
        for place in [self.begin, self.end] {
            slot.extend_from_slice(&place.sequence.to_le_bytes());
            slot.extend_from_slice(&place.chain);
        }
        let proof = key.head(&slot);
        slot.extend_from_slice(&proof);
        slot.resize(SLOT, 0);
        slot
    }

    fn from_slot(slot: &[u8], key: &ChainKey) -> Option<Self> {
        let (content, rest) = slot.split_at_checked(CONTENT)?;
        let proof = rest.first_chunk::<LENGTH>()?;
        aws_lc_rs::constant_time::verify_slices_are_equal(&key.head(content), proof).ok()?;
        let ([VERSION, is_closed], rest) = content.split_first_chunk::<2>()? else { return None };
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let place = |bytes: &[u8]| {
            let (sequence, chain) = bytes.split_first_chunk::<8>()?;
            Some(Place { sequence: u64::from_le_bytes(*sequence), chain: *chain.first_chunk::<LENGTH>()? })
        };
        let (begin, end) = rest.split_at_checked(8 + LENGTH)?;
        Some(Self {
            generation: u64::from_le_bytes(*generation),
            is_closed: *is_closed == 1,
            begin: place(begin)?,
            end: place(end)?,
        })
    }
}

/// What there is of a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The newest of its slots.
    Head(Head),
    /// No file.
    Nothing,
    /// A file that does not say anything that can be believed.
    Damaged,
}

/// Reads the head of a log.
pub(super) fn read(directory: &Path, key: &ChainKey) -> Result<Found, AuditError> {
    let path = directory.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(io_error("read", &path, e)),
    };
    let slots = bytes.chunks(SLOT).filter_map(|slot| Head::from_slot(slot, key));
    Ok(slots.max_by_key(|head| head.generation).map_or(Found::Damaged, Found::Head))
}

/// The file that the head is written to.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: File,
    path: PathBuf,
    generation: u64,
}

impl HeadFile {
    /// Opens it, to go on after `head`.
    pub(super) fn open(directory: &Path, head: &Head) -> Result<Self, AuditError> {
        let path = directory.join(NAME);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| io_error("open", &path, e))?;
        Ok(Self { file, path, generation: head.generation })
    }

    /// Writes the head. Not synced: what it says is on the disk already, and an older one is as true.
    pub(super) fn write(&mut self, head: &Head, key: &ChainKey) -> Result<(), AuditError> {
        self.generation += 1;
        let slot = Head { generation: self.generation, ..*head }.to_slot(key);
        let at = (self.generation % 2) * SLOT as u64;
        self.file.write_all_at(&slot, at).map_err(|e| io_error("write", &self.path, e))
    }

    /// The same, synced.
    pub(super) fn write_synced(&mut self, head: &Head, key: &ChainKey) -> Result<(), AuditError> {
        self.write(head, key)?;
        self.file.sync_data().map_err(|e| io_error("sync", &self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_slot_counts_and_a_torn_one_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let key = ChainKey::new(&[7; 32]);
        assert_eq!(read(directory.path(), &key).unwrap(), Found::Nothing);
        let mut head = Head::new(Place::START);
        let mut file = HeadFile::open(directory.path(), &head).unwrap();
        for sequence in 1..=3 {
            head.end = Place { sequence, chain: [u8::try_from(sequence).unwrap(); 32] };
            file.write_synced(&head, &key).unwrap();
        }
        let Found::Head(found) = read(directory.path(), &key).unwrap() else { panic!("no head") };
        assert_eq!((found.end.sequence, found.is_closed), (3, false));
        let path = directory.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT + 20] ^= 1; // generation 3 is in the second slot
        std::fs::write(&path, &bytes).unwrap();
        let Found::Head(found) = read(directory.path(), &key).unwrap() else { panic!("no head") };
        assert_eq!(found.end.sequence, 2);
        assert_eq!(read(directory.path(), &ChainKey::new(&[8; 32])).unwrap(), Found::Damaged, "another key");
    }
}
