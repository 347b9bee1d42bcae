//! Restoring: every frame is checked before the first file is handed out, so that a damaged disk is a miss and not half
//! a cache; then frames are read ahead and decompressed on every core while the container is written.

use std::{
    fs::File,
    io::{self, Read},
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use super::{
    CacheError, CacheStore,
    manifest::{ChunkRef, Manifest, Stored, StoredKind},
    pack::{PackError, PackReader, Unpacker},
};
use crate::{entry::Entry, pipeline::Pipeline};

/// A cache that was found. Its packs are open: nothing that is pruned meanwhile is missed.
#[derive(Debug)]
pub struct Hit {
    pub(super) manifest: Arc<Manifest>,
    pub(super) packs: Arc<Vec<PackReader>>,
    pub(super) exact: bool,
    pub(super) store: CacheStore,
    pub(super) path: PathBuf,
}

/// A pack and a frame of it.
type FrameRef = (u32, u32);

impl Hit {
    /// What it holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// True when it is the cache of the key asked for (or of none), false for one that a fallback key found.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Checks every stored byte that the cache needs, then begins to hand it out.
    ///
    /// # Errors
    ///
    /// [`CacheError::Damaged`]: take it as a miss. The damaged part is removed from the store, so that the next save
    /// does not build upon it. [`CacheError::Io`]: a miss, too, but nothing is removed.
    pub fn restore(&self, threads: NonZeroUsize) -> Result<Restore, CacheError> {
        let order = self.order()?;
        self.verify(&order, threads)?;
        let frames = frames_of(&self.manifest, &self.packs, &order);
        let (ready, next) = sync_channel(threads.get().saturating_mul(2));
        let packs = Arc::clone(&self.packs);
        let feeder = thread::spawn(move || decode(packs, &frames, threads, ready));
        Ok(Restore {
            manifest: Arc::clone(&self.manifest),
            packs: Arc::clone(&self.packs),
            order: order.into_iter(),
            next: Some(next),
            feeder: Some(feeder),
            current: None,
        })
    }

    /// Entries in the order to hand them out: directories (each before what is in it), files by where they lie in the
    /// packs, links last, when what they point to is there.
    fn order(&self) -> Result<Vec<u32>, CacheError> {
        let mut keyed: Vec<((u8, u32, u32), u32)> = Vec::with_capacity(self.manifest.entries.len());
        for (n, stored) in (0u32..).zip(&self.manifest.entries) {
            let key = match stored.kind {
                StoredKind::Directory => (0, 0, n),
                StoredKind::Symlink { .. } => (2, 0, n),
                StoredKind::File { .. } => {
                    let mut size = 0;
                    for c in self.manifest.chunks_of(stored) {
                        let chunk = self.packs.get(c.pack as usize).and_then(|p| p.chunks.get(c.chunk as usize));
                        let chunk = chunk.ok_or_else(|| self.damaged(c.pack, &super::codec::Malformed.into()))?;
                        size += u64::from(chunk.len);
                    }
                    if size != stored.size {
                        return Err(self.damaged(u32::MAX, &super::codec::Malformed.into()));
                    }
                    self.manifest.chunks_of(stored).first().map_or((1, 0, 0), |c| (1, c.pack, c.chunk))
                }
            };
            keyed.push((key, n));
        }
        keyed.sort_unstable();
        Ok(keyed.into_iter().map(|(_, n)| n).collect())
    }

    fn verify(&self, order: &[u32], threads: NonZeroUsize) -> Result<(), CacheError> {
        let mut frames = frames_of(&self.manifest, &self.packs, order);
        frames.sort_unstable();
        frames.dedup();
        let packs = Arc::clone(&self.packs);
        let mut checking = Pipeline::start(
            threads,
            threads.saturating_mul(NonZeroUsize::MIN.saturating_add(3)),
            || {
                let packs = Arc::clone(&packs);
                move |(pack, frame): FrameRef| {
                    packs
                        .get(pack as usize)
                        .map(|p| p.check(frame).map(drop))
                        .map_or(Ok(()), |r| r.map_err(|e| (pack, e)))
                }
            },
            (),
            |(), checked| checked,
        );
        for frame in frames {
            if checking.job(frame).is_err() {
                break;
            }
        }
        match checking.finish() {
            Some(Err((pack, e))) => Err(self.damaged(pack, &e)),
            _ => Ok(()),
        }
    }

    /// Removes the manifest and the pack that is damaged, and makes the error that says so.
    pub(super) fn damaged(&self, pack: u32, why: &PackError) -> CacheError {
        if !why.is_damage() {
            return self.store.packs_error(io::Error::other(why.to_string()));
        }
        let pack = self.manifest.header.packs.get(pack as usize);
        self.store.condemn(&self.path, pack);
        CacheError::Damaged { reason: why.to_string() }
    }
}

/// The frames that entries in this order need, one after the other; the same one twice in a row is once.
fn frames_of(manifest: &Manifest, packs: &[PackReader], order: &[u32]) -> Vec<FrameRef> {
    let chunks = order.iter().filter_map(|&n| manifest.entries.get(n as usize)).flat_map(|s| manifest.chunks_of(s));
    let mut frames: Vec<FrameRef> = chunks.filter_map(|c| frame_of(packs, *c)).collect();
    frames.dedup();
    frames
}

fn frame_of(packs: &[PackReader], chunk: ChunkRef) -> Option<FrameRef> {
    let at = packs.get(chunk.pack as usize)?.chunks.get(chunk.chunk as usize)?;
    Some((chunk.pack, at.frame))
}

type Decoded = Result<Vec<u8>, PackError>;

/// Decodes frames in parallel and hands them on in order, until the reader is gone or one is damaged.
fn decode(packs: Arc<Vec<PackReader>>, frames: &[FrameRef], threads: NonZeroUsize, ready: SyncSender<Decoded>) {
    let mut decoding = Pipeline::start(
        threads,
        threads.saturating_mul(NonZeroUsize::MIN.saturating_add(1)),
        || {
            let packs = Arc::clone(&packs);
            let mut unpacker = Unpacker::new();
            move |(pack, frame): FrameRef| match packs.get(pack as usize) {
                Some(reader) => reader.read(frame, &mut unpacker),
                None => Err(super::codec::Malformed.into()),
            }
        },
        (),
        move |(), decoded: Decoded| {
            let good = decoded.is_ok();
            if ready.send(decoded).is_ok() && good { Ok(()) } else { Err(()) }
        },
    );
    for &frame in frames {
        if decoding.job(frame).is_err() {
            break;
        }
    }
    decoding.finish();
}

/// A cache being handed out.
#[derive(Debug)]
pub struct Restore {
    manifest: Arc<Manifest>,
    packs: Arc<Vec<PackReader>>,
    order: std::vec::IntoIter<u32>,
    next: Option<Receiver<Decoded>>,
    feeder: Option<thread::JoinHandle<()>>,
    /// The frame that was received last.
    current: Option<(FrameRef, Vec<u8>)>,
}

impl Restore {
    /// The next entry. A file's content must be read to its end before the next call; an error while reading means that
    /// the disk has changed since the check, and that what was restored so far must not be used.
    pub fn next_entry(&mut self) -> Option<Restored<'_>> {
        let number = self.order.next()?;
        Some(Restored { restore: self, number, chunk: 0, at: 0 })
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.next = None; // whoever decodes ahead stops
        if let Some(feeder) = self.feeder.take() {
            // Its panic was its reader's error already.
            feeder.join().ok();
        }
    }
}

/// One entry with its content, which is read through [`Read`].
#[derive(Debug)]
pub struct Restored<'a> {
    restore: &'a mut Restore,
    number: u32,
    /// Next chunk of the file, and how much of it was read.
    chunk: usize,
    at: usize,
}

impl Restored<'_> {
    fn stored(&self) -> Option<&Stored> {
        self.restore.manifest.entries.get(self.number as usize)
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        let nothing = Entry { path: b"", kind: crate::entry::EntryKind::Directory, mode: 0, size: 0, mtime_ns: 0 };
        self.stored().map_or(nothing, Stored::entry)
    }
}

impl Read for Restored<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the cache on this host has just been damaged");
        loop {
            let Some(&chunk) = self.stored().and_then(|s| self.restore.manifest.chunks_of(s).get(self.chunk)) else {
                return Ok(0);
            };
            let wanted = frame_of(&self.restore.packs, chunk).ok_or_else(damaged)?;
            if self.restore.current.as_ref().map(|(frame, _)| *frame) != Some(wanted) {
                let received = self.restore.next.as_ref().and_then(|next| next.recv().ok());
                let data = received
                    .ok_or_else(damaged)?
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
                self.restore.current = Some((wanted, data));
            }
            let at = self.restore.packs.get(chunk.pack as usize).and_then(|p| p.chunks.get(chunk.chunk as usize));
            let (Some(at), Some((_, data))) = (at, &self.restore.current) else { return Err(damaged()) };
            let from = at.offset as usize;
            let content = data.get(from..from.saturating_add(at.len as usize)).ok_or_else(damaged)?;
            let rest = content.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.chunk += 1;
                self.at = 0;
                continue;
            }
            let count = rest.len().min(buf.len());
            if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
                to.copy_from_slice(from);
            }
            self.at += count;
            return Ok(count);
        }
    }
}

/// Opens the packs of a manifest.
pub(super) fn open_packs(store: &CacheStore, manifest: &Manifest) -> Result<Vec<PackReader>, (u32, PackError)> {
    (0u32..).zip(&manifest.header.packs).map(|(n, id)| PackReader::open(&store.packs, id).map_err(|e| (n, e))).collect()
}

/// Reads a file of the store that is expected to be of moderate size.
pub(super) fn read_file(file: &mut File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
