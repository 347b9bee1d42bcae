//! Saving: only what is not known to be unchanged is read, only chunks that the store does not have are written, and the
//! new cache appears at once.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read},
    num::NonZeroUsize,
};

use super::{
    CacheError, CacheStore,
    listing::{Index, Listed, Listing},
    manifest::{ChunkRef, Header, Identity, Manifest, PackId, Stored, StoredKind},
    pack::{CHUNK, PackReader, PackWriter, PackedFrame, Packer, RawFrame, Unpacker},
    restore::Hit,
};
use crate::{
    entry::{OutputLimits, printable},
    pipeline::Pipeline,
};

/// What to save.
#[derive(Debug)]
pub struct SaveRequest<'a> {
    /// Of the cache.
    pub identity: &'a Identity,
    /// `cache/key` as the shell evaluated it; without one the cache is replaced by each save.
    pub key: Option<&'a str>,
    /// What the container holds.
    pub listing: Listing,
    /// What was restored into this container, and when; `None` when nothing was.
    pub base: Option<Base<'a>>,
    /// Bounds of what is read.
    pub limits: OutputLimits,
    /// Compression threads.
    pub threads: NonZeroUsize,
}

/// What was restored before the build ran.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// The restored cache.
    pub hit: &'a Hit,
    /// The kernel's coarse real-time clock (`CLOCK_REALTIME_COARSE`, which stamps inodes), nanoseconds since the epoch,
    /// read when the restore was complete and before the build's first command. Files whose inode changed since are
    /// read, all others are trusted to be what was restored.
    pub unchanged_before_ns: i64,
}

/// What a save takes.
#[derive(Debug)]
pub enum Plan<'a> {
    /// The container holds exactly what was restored: nothing was written.
    Unchanged,
    /// There is a cache of that key, and such caches never change (`buildspec.md` 10.3): nothing was written.
    KeyExists,
    /// Give the contents that [`SaveSession::needed`] names, then [`SaveSession::commit`].
    Save(Box<SaveSession<'a>>),
}

/// How a save ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The cache is there.
    Saved(SaveStats),
    /// After reading what might have changed, it was what was restored: nothing was written.
    Unchanged,
    /// Another build saved this key meanwhile; its cache stays.
    KeyExists,
}

/// What a save did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SaveStats {
    /// Entries of the cache.
    pub entries: u64,
    /// Bytes of content in it.
    pub bytes: u64,
    /// Bytes that were read from the container.
    pub read: u64,
    /// Bytes that were written to the store, compressed.
    pub written: u64,
}

/// Where a chunk of the cache under way lies.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// In a pack of the store: index into [`Known::packs`], number there.
    Known(u32, u32),
    /// Being written: the number that it was given.
    New(u32),
}

/// Chunks that the store has.
#[derive(Debug, Default)]
struct Known {
    packs: Vec<PackId>,
    chunks: HashMap<[u8; 32], (u32, u32)>,
}

type Writing = Pipeline<RawFrame, PackedFrame, PackWriter, io::Error>;

/// A save under way. Dropped, or its process killed, it leaves the store as it was.
pub struct SaveSession<'a> {
    store: &'a CacheStore,
    identity: Identity,
    key: Option<String>,
    base: Option<&'a Hit>,
    entries: Vec<Listed>,
    /// Chunks of each entry; `None` for a file that was not given.
    places: Vec<Option<Vec<Place>>>,
    needed: Vec<Index>,
    /// Position in `entries` of each needed index.
    positions: HashMap<Index, usize>,
    known: Known,
    /// Packs of the base that hold little of use, or are small among many: their chunks are written anew.
    left: HashSet<u32>,
    new: HashMap<[u8; 32], u32>,
    frame: RawFrame,
    next: u32,
    writing: Writing,
    limits: OutputLimits,
    stats: SaveStats,
}

impl std::fmt::Debug for SaveSession<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SaveSession").field("key", &self.key).field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// A pack of which less than a third is of use is left behind, if the rest is more than a chunk.
const LEAST_USE: u64 = 3;
/// More packs than this below [`SMALL_PACK`] are put together.
const MANY_SMALL: usize = 16;
const SMALL_PACK: u64 = 4 << 20;

impl CacheStore {
    /// Compares the container with what was restored, and says what has to be read.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn begin_save<'a>(&'a self, request: SaveRequest<'a>) -> Result<Plan<'a>, CacheError> {
        let SaveRequest { identity, key, listing, base, limits, threads } = request;
        if key.is_some() && self.exists(identity, key)? {
            return Ok(Plan::KeyExists);
        }
        let entries = listing.into_sorted();
        let same: Vec<Option<&Stored>> =
            entries.iter().map(|e| base.and_then(|b| e.same_as(&b.hit.manifest, b.unchanged_before_ns))).collect();
        if let Some(base) = base
            && is_of(base.hit, identity, key)
            && entries.len() == base.hit.manifest.entries.len()
            && same.iter().all(Option::is_some)
        {
            return Ok(Plan::Unchanged);
        }

        let mut known = Known::default();
        let mut places: Vec<Option<Vec<Place>>> = Vec::with_capacity(entries.len());
        let (mut needed, mut positions) = (Vec::new(), HashMap::new());
        if let Some(base) = base {
            known.packs.clone_from(&base.hit.manifest.header.packs);
        }
        for (position, (listed, same)) in entries.iter().zip(&same).enumerate() {
            match (same, base) {
                (Some(old), Some(base)) => {
                    let chunks = base.hit.manifest.chunks_of(old);
                    places.push(Some(chunks.iter().map(|c| Place::Known(c.pack, c.chunk)).collect()));
                }
                _ if matches!(listed.stored.kind, StoredKind::File { .. }) => {
                    places.push(None);
                    needed.push(listed.index);
                    positions.insert(listed.index, position);
                }
                _ => places.push(Some(Vec::new())),
            }
        }
        needed.sort_unstable();
        let left = base.map(|b| crowded(b.hit, &places)).unwrap_or_default();
        self.load_known(&mut known, &left, !needed.is_empty() || !left.is_empty())?;
        let writing = Pipeline::start(
            threads,
            threads.saturating_mul(NonZeroUsize::MIN.saturating_add(1)).saturating_add(2),
            || {
                let mut packer = Packer::new();
                move |frame| packer.pack(frame)
            },
            PackWriter::new(&self.packs),
            PackWriter::add,
        );
        Ok(Plan::Save(Box::new(SaveSession {
            store: self,
            identity: identity.clone(),
            key: key.map(str::to_owned),
            base: base.map(|b| b.hit),
            entries,
            places,
            needed,
            positions,
            known,
            left,
            new: HashMap::new(),
            frame: RawFrame::default(),
            next: 0,
            writing,
            limits,
            stats: SaveStats::default(),
        })))
    }

    /// Reads the indexes of the store's packs, so that what is in one of them is not written again.
    fn load_known(&self, known: &mut Known, left: &HashSet<u32>, wanted: bool) -> Result<(), CacheError> {
        if !wanted {
            return Ok(());
        }
        let numbers: HashMap<PackId, u32> = (0u32..).zip(&known.packs).map(|(n, id)| (*id, n)).collect();
        let _shared = self.lock(false)?;
        for id in self.pack_ids()? {
            let number = numbers.get(&id).copied();
            if number.is_some_and(|n| left.contains(&n)) {
                continue;
            }
            // A damaged pack is no reason not to save; it is just not built upon.
            let Ok(reader) = PackReader::open(&self.packs, &id) else { continue };
            let number = match number {
                Some(number) => number,
                None => {
                    known.packs.push(id);
                    u32::try_from(known.packs.len() - 1).unwrap_or(u32::MAX)
                }
            };
            // Of a chunk that lies in two packs, the one that the restored cache uses: a cache that turns out to be
            // unchanged then has the same places.
            for (at, chunk) in (0u32..).zip(&reader.chunks) {
                if numbers.contains_key(&id) {
                    known.chunks.insert(chunk.hash, (number, at));
                } else {
                    known.chunks.entry(chunk.hash).or_insert((number, at));
                }
            }
        }
        Ok(())
    }
}

/// True when `hit` is the very cache that a save would replace.
fn is_of(hit: &Hit, identity: &Identity, key: Option<&str>) -> bool {
    hit.manifest.header.identity == *identity && hit.manifest.key() == key
}

/// Packs of the base that a new cache should not drag along.
fn crowded(base: &Hit, places: &[Option<Vec<Place>>]) -> HashSet<u32> {
    let mut used: HashMap<u32, HashSet<u32>> = HashMap::new();
    for place in places.iter().flatten().flatten() {
        if let Place::Known(pack, chunk) = *place {
            used.entry(pack).or_default().insert(chunk);
        }
    }
    let small = |pack: u32| base.packs.get(pack as usize).is_some_and(|p| p.size < SMALL_PACK);
    let many_small = used.keys().filter(|&&p| small(p)).count() > MANY_SMALL;
    let wasteful = |pack: u32, chunks: &HashSet<u32>| {
        let Some(reader) = base.packs.get(pack as usize) else { return false };
        let live: u64 = chunks.iter().filter_map(|&c| reader.chunks.get(c as usize)).map(|c| u64::from(c.len)).sum();
        let raw = reader.raw_bytes();
        live < raw / LEAST_USE && raw - live > CHUNK as u64
    };
    used.iter().filter(|(p, chunks)| (many_small && small(**p)) || wasteful(**p, chunks)).map(|(p, _)| *p).collect()
}

impl SaveSession<'_> {
    /// Places in the agent's list of the files whose content is needed, ascending. May be empty.
    #[must_use]
    pub fn needed(&self) -> &[u32] {
        &self.needed
    }

    /// The same as half-open ranges, as [`kiln_wire::agent::ToAgent::Send`] takes them.
    #[must_use]
    pub fn needed_ranges(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for &index in &self.needed {
            match ranges.last_mut() {
                Some((_, end)) if *end == index => *end = index.saturating_add(1),
                _ => ranges.push((index, index.saturating_add(1))),
            }
        }
        ranges
    }

    /// Takes the content of the file at `index` of the agent's list. A file that is never given is not in the cache.
    ///
    /// # Errors
    ///
    /// After [`CacheError::Content`] the file is not in the cache and the next one may follow; every other error ends
    /// the save.
    pub fn put(&mut self, index: u32, content: &mut dyn Read) -> Result<(), CacheError> {
        let Some(&position) = self.positions.get(&index) else {
            return Err(CacheError::NotAsked { index });
        };
        let mut places = Vec::new();
        let mut size = 0u64;
        loop {
            let expected = self.entries.get(position).map_or(0, |e| e.stored.size.saturating_sub(size));
            let mut data = Vec::with_capacity(usize::try_from(expected).unwrap_or(CHUNK).saturating_add(1).min(CHUNK));
            if let Err(source) = Read::take(&mut *content, CHUNK as u64).read_to_end(&mut data) {
                let path = self.entries.get(position).map(|e| printable(&e.stored.path)).unwrap_or_default();
                return Err(CacheError::Content { path, source });
            }
            let len = data.len();
            size = size.saturating_add(len as u64);
            self.stats.read = self.stats.read.saturating_add(len as u64);
            if self.stats.read > self.limits.bytes {
                return Err(CacheError::Limit { limit: self.limits.bytes, what: "bytes" });
            }
            if len > 0 {
                places.push(self.chunk(data)?);
            }
            if len < CHUNK {
                break;
            }
        }
        if let (Some(listed), Some(slot)) = (self.entries.get_mut(position), self.places.get_mut(position)) {
            listed.stored.size = size;
            *slot = Some(places);
        }
        Ok(())
    }

    /// Makes the cache visible, synced, in one step.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`]; [`CacheError::Vanished`] when the store was pruned meanwhile of what this cache builds upon.
    pub fn commit(mut self, now_ns: i64) -> Result<Outcome, CacheError> {
        self.move_left()?;
        self.flush()?;
        let mut writer = match self.writing.finish() {
            Some(Ok(writer)) => writer,
            Some(Err(e)) => return Err(self.store.packs_error(e)),
            None => return Err(self.store.packs_error(io::ErrorKind::BrokenPipe.into())),
        };
        writer.close().map_err(|e| self.store.packs_error(e))?;
        let manifest = self.manifest(&writer, now_ns);
        if let Some(base) = self.base
            && is_of(base, &self.identity, self.key.as_deref())
            && same_contents(&base.manifest, &manifest)
        {
            return Ok(Outcome::Unchanged);
        }
        self.stats.entries = manifest.header.entries;
        self.stats.bytes = manifest.header.bytes;
        self.stats.written = writer.finished.iter().map(|p| p.size).sum();
        let added = self.store.add(&manifest, writer.finished, now_ns)?;
        Ok(if added { Outcome::Saved(self.stats) } else { Outcome::KeyExists })
    }

    /// Where a chunk with this content is or will be.
    fn chunk(&mut self, data: Vec<u8>) -> Result<Place, CacheError> {
        let hash = *blake3::hash(&data).as_bytes();
        match self.known.chunks.get(&hash) {
            Some(&(pack, chunk)) => Ok(Place::Known(pack, chunk)),
            None => self.write(hash, data),
        }
    }

    /// Where this save writes a chunk: once, whatever the store has.
    fn write(&mut self, hash: [u8; 32], data: Vec<u8>) -> Result<Place, CacheError> {
        if let Some(&number) = self.new.get(&hash) {
            return Ok(Place::New(number));
        }
        let number = self.next;
        self.next = number.checked_add(1).ok_or(CacheError::Limit { limit: u64::from(u32::MAX), what: "chunks" })?;
        self.new.insert(hash, number);
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        if data.len() >= CHUNK / 2 {
            self.give(RawFrame { data, chunks: vec![(number, hash, len)] })?;
        } else {
            self.frame.data.extend_from_slice(&data);
            self.frame.chunks.push((number, hash, len));
            if self.frame.data.len() >= CHUNK {
                self.flush()?;
            }
        }
        Ok(Place::New(number))
    }

    fn flush(&mut self) -> Result<(), CacheError> {
        let frame = std::mem::take(&mut self.frame);
        if frame.chunks.is_empty() { Ok(()) } else { self.give(frame) }
    }

    fn give(&mut self, frame: RawFrame) -> Result<(), CacheError> {
        if self.writing.job(frame).is_ok() {
            return Ok(());
        }
        let why = self.writing.finish().and_then(Result::err);
        Err(self.store.packs_error(why.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())))
    }

    /// Writes the chunks anew that lie in packs to be left behind.
    fn move_left(&mut self) -> Result<(), CacheError> {
        let Some(base) = self.base.filter(|_| !self.left.is_empty()) else { return Ok(()) };
        let mut unpacker = Unpacker::new();
        let mut frame: Option<(u32, u32, Vec<u8>)> = None;
        for position in 0..self.places.len() {
            let Some(Some(mut places)) = self.places.get_mut(position).map(Option::take) else { continue };
            for place in &mut places {
                let Place::Known(pack, chunk) = *place else { continue };
                if !self.left.contains(&pack) {
                    continue;
                }
                let Some(reader) = base.packs.get(pack as usize) else { continue };
                let Some(&at) = reader.chunks.get(chunk as usize) else { continue };
                let data = match &frame {
                    Some((p, f, data)) if (*p, *f) == (pack, at.frame) => data,
                    _ => {
                        let data = reader.read(at.frame, &mut unpacker);
                        let data = data.map_err(|e| base.damaged(pack, &e))?;
                        &frame.insert((pack, at.frame, data)).2
                    }
                };
                let from = at.offset as usize;
                let content = data.get(from..from.saturating_add(at.len as usize)).unwrap_or_default().to_vec();
                // Not where the store may have it too: that is likely to be an older pack that nobody uses any more.
                *place = self.write(at.hash, content)?;
            }
            if let Some(slot) = self.places.get_mut(position) {
                *slot = Some(places);
            }
        }
        Ok(())
    }

    /// Puts the manifest together; packs that nothing lies in are not named.
    fn manifest(&mut self, writer: &PackWriter, now_ns: i64) -> Manifest {
        let mut packs: Vec<PackId> = Vec::new();
        let mut numbers: HashMap<PackId, u32> = HashMap::new();
        let mut chunks = Vec::new();
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut bytes = 0u64;
        for (listed, places) in std::mem::take(&mut self.entries).into_iter().zip(std::mem::take(&mut self.places)) {
            let Some(places) = places else { continue };
            let mut stored = listed.stored;
            if let StoredKind::File { first, count } = &mut stored.kind {
                (*first, *count) = (chunks.len(), places.len());
            }
            for place in places {
                let (id, chunk) = match place {
                    Place::Known(pack, chunk) => (self.known.packs.get(pack as usize).copied(), chunk),
                    Place::New(number) => {
                        let (pack, chunk) = writer.placed.get(number as usize).copied().unwrap_or_default();
                        (writer.finished.get(pack as usize).map(|p| p.id), chunk)
                    }
                };
                let id = id.unwrap_or_default();
                let pack = *numbers.entry(id).or_insert_with(|| {
                    packs.push(id);
                    u32::try_from(packs.len() - 1).unwrap_or(u32::MAX)
                });
                chunks.push(ChunkRef { pack, chunk });
            }
            bytes = bytes.saturating_add(stored.size);
            entries.push(stored);
        }
        let header = Header {
            identity: self.identity.clone(),
            key: self.key.clone(),
            created_ns: now_ns,
            entries: entries.len() as u64,
            bytes,
            packs,
        };
        Manifest { header, entries, chunks }
    }
}

/// The same names, metadata and contents. Chunks are compared by where they lie: a content has one place.
fn same_contents(a: &Manifest, b: &Manifest) -> bool {
    let meta = |s: &Stored| (s.mode, s.size, s.mtime_ns);
    let place = |m: &Manifest, c: &ChunkRef| (m.header.packs.get(c.pack as usize).copied(), c.chunk);
    a.entries.len() == b.entries.len()
        && a.entries.iter().zip(&b.entries).all(|(x, y)| {
            x.path == y.path
                && meta(x) == meta(y)
                && match (&x.kind, &y.kind) {
                    (StoredKind::File { .. }, StoredKind::File { .. }) => {
                        let (cx, cy) = (a.chunks_of(x), b.chunks_of(y));
                        cx.len() == cy.len() && cx.iter().zip(cy).all(|(p, q)| place(a, p) == place(b, q))
                    }
                    (p, q) => p == q,
                }
        })
}
