//! `kiln.seq`: how far the database must reach.
//!
//! SQLite drops a damaged end of its write-ahead log in silence, and a file can be replaced by an older copy. So every
//! commit raises a sequence number in the database, and the same number is synced into this file before anybody hears
//! of the commit. Two slots, 512 bytes apart, are written in turn, so that a torn write leaves the other one:
//!
//! ```text
//! magic  "KILNSEQ1"
//! store  16 bytes, random, the same as in the database
//! seq    u64 LE
//! crc    u32 LE   CRC-32 of everything before it
//! ```

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

/// Name in the data directory.
pub(super) const NAME: &str = "kiln.seq";

const MAGIC: [u8; 8] = *b"KILNSEQ1";
const RECORD: usize = 8 + 16 + 8 + 4;
/// Slots lie in different sectors.
const SLOT: u64 = 512;

/// Random number that tells one store from another.
pub(super) type StoreId = [u8; 16];

/// The open file.
#[derive(Debug)]
pub(super) struct SequenceFile {
    file: File,
    store: StoreId,
    next_slot: u64,
}

/// What a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) store: StoreId,
    pub(super) seq: u64,
}

impl SequenceFile {
    /// Reads the file of `directory`. `Ok(None)`: there is none; `Ok(Some(None))`: it holds no valid slot.
    pub(super) fn read(directory: &Path) -> io::Result<Option<Option<Reached>>> {
        let file = match File::open(directory.join(NAME)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut best: Option<Reached> = None;
        for slot in 0..2 {
            let mut bytes = [0; RECORD];
            match file.read_exact_at(&mut bytes, slot * SLOT) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(e) => return Err(e),
            }
            if let Some(reached) = decode(&bytes)
                && best.is_none_or(|b| b.seq < reached.seq)
            {
                best = Some(reached);
            }
        }
        Ok(Some(best))
    }

    /// Writes a whole new file with `reached` in both slots, in place of what is there, and opens it. Whole or not at
    /// all, also when the machine stops meanwhile.
    pub(super) fn replace(directory: &Path, reached: Reached) -> io::Result<Self> {
        let path = directory.join(NAME);
        let partial = directory.join("kiln.seq.partial");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        let record = encode(reached);
        file.write_all_at(&record, 0)?;
        file.write_all_at(&record, SLOT)?;
        file.sync_all()?;
        std::fs::rename(&partial, &path)?;
        File::open(directory)?.sync_all()?;
        Ok(Self { file, store: reached.store, next_slot: 0 })
    }

    /// Records that the database has reached `seq`; durable when it returns.
    pub(super) fn record(&mut self, seq: u64) -> io::Result<()> {
        let record = encode(Reached { store: self.store, seq });
        self.file.write_all_at(&record, self.next_slot * SLOT)?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}

fn encode(reached: Reached) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..24].copy_from_slice(&reached.store);
    bytes[24..32].copy_from_slice(&reached.seq.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..32]);
    bytes[32..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; RECORD]) -> Option<Reached> {
    let (checked, crc) = bytes.split_at(32);
    let body = checked.strip_prefix(&MAGIC)?;
    if crc32fast::hash(checked).to_le_bytes() != *crc {
        return None;
    }
    let (store, seq) = body.split_first_chunk::<16>()?;
    Some(Reached { store: *store, seq: u64::from_le_bytes(seq.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_number_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = [7; 16];
        let read = || SequenceFile::read(dir.path()).unwrap();
        assert_eq!(read(), None);
        let mut file = SequenceFile::replace(dir.path(), Reached { store, seq: 5 }).unwrap();
        file.record(6).unwrap();
        file.record(7).unwrap();
        assert_eq!(read(), Some(Some(Reached { store, seq: 7 })));
        let whole = std::fs::read(dir.path().join(NAME)).unwrap();
        // The second slot holds 7.
        for torn in 0..RECORD {
            let mut bytes = whole.clone();
            bytes[512 + torn] ^= 0x55;
            std::fs::write(dir.path().join(NAME), &bytes).unwrap();
            assert_eq!(read(), Some(Some(Reached { store, seq: 6 })), "byte {torn}");
        }
        std::fs::write(dir.path().join(NAME), &whole[..20]).unwrap();
        assert_eq!(read(), Some(None));
    }
}
