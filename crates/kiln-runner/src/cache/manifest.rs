//! What one cache holds: names, metadata, and where each file's content lies.
//!
//! ```text
//! version 1 │ "kiln cache\n" │ header length │ header │ its hash │ body (zstd) │ its hash
//! ```
//!
//! The header alone answers what a listing, a prefix search and garbage collection ask. Hashes are BLAKE3.

use crate::entry::{Entry, EntryKind, MAX_PATH};

use super::codec::{Cursor, Malformed, put_bytes, put_number, put_signed};

const VERSION: u8 = 1;
const MAGIC: &[u8] = b"kiln cache\n";
/// A larger header is damaged: the longest that [`super::CacheStore`] writes are paths, keys and pack names.
const MAX_HEADER: usize = 16 << 20;
/// A larger body, decompressed, is damaged: 2 million entries of ordinary length take a fifth of it.
const MAX_BODY: usize = 1 << 30;
const HASH: usize = 32;

/// A pack's name: the hash of its index, which holds the hash of every chunk.
pub(super) type PackId = [u8; HASH];

/// What distinguishes one cache from another, apart from its key (`buildspec.md` 10.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who shares it: project or `cacheNamespace`, and the trust class of the build (`security.md` 5.4).
    pub namespace: String,
    /// `cache/paths` of the buildspec: different paths are different caches.
    pub paths: Vec<String>,
}

impl Identity {
    /// Names it, in 64 hexadecimal digits: a hash of both.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.hash())
    }

    /// A hash of both, unambiguous however they are split.
    pub(super) fn hash(&self) -> [u8; HASH] {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, self.namespace.as_bytes());
        for path in &self.paths {
            put_bytes(&mut bytes, path.as_bytes());
        }
        *blake3::hash(&bytes).as_bytes()
    }
}

/// The part of a manifest that is read without the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) key: Option<String>,
    /// Nanoseconds since the epoch.
    pub(super) created_ns: i64,
    pub(super) entries: u64,
    /// Bytes of content before compression.
    pub(super) bytes: u64,
    pub(super) packs: Vec<PackId>,
}

/// Where a chunk lies: index into the manifest's packs, and number of the chunk in that pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkRef {
    pub(super) pack: u32,
    pub(super) chunk: u32,
}

/// What an entry of a manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredKind {
    /// A file; its content is this range of the manifest's chunks.
    File {
        first: usize,
        count: usize,
    },
    Symlink {
        target: Box<[u8]>,
    },
    Directory,
}

/// One file, link or directory of a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) path: Box<[u8]>,
    pub(super) kind: StoredKind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
}

impl Stored {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            path: &self.path,
            kind: match &self.kind {
                StoredKind::File { .. } => EntryKind::File,
                StoredKind::Symlink { target } => EntryKind::Symlink { target },
                StoredKind::Directory => EntryKind::Directory,
            },
            mode: self.mode,
            size: self.size,
            mtime_ns: self.mtime_ns,
        }
    }
}

/// A cache's contents.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub(super) header: Header,
    /// Sorted by path, no two alike.
    pub(super) entries: Vec<Stored>,
    pub(super) chunks: Vec<ChunkRef>,
}

impl Manifest {
    /// The key it was saved under.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.header.key.as_deref()
    }

    /// Files, links and directories.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of content.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.header.bytes
    }

    /// When it was saved, nanoseconds since the epoch.
    #[must_use]
    pub fn created_ns(&self) -> i64 {
        self.header.created_ns
    }

    /// Its entries, sorted by path.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries.iter().map(Stored::entry)
    }

    pub(super) fn chunks_of(&self, stored: &Stored) -> &[ChunkRef] {
        match stored.kind {
            StoredKind::File { first, count } => {
                self.chunks.get(first..first.saturating_add(count)).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// The entry of that path.
    pub(super) fn find(&self, path: &[u8]) -> Option<&Stored> {
        self.entries.binary_search_by(|e| (*e.path).cmp(path)).ok().and_then(|at| self.entries.get(at))
    }

    /// Its file.
    pub(super) fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::with_capacity(self.entries.len() * 64);
        put_number(&mut body, self.entries.len() as u64);
        let mut before: &[u8] = b"";
        for stored in &self.entries {
            // Paths are sorted: what two neighbours share is written once.
            let shared = before.iter().zip(&*stored.path).take_while(|(a, b)| a == b).count();
            put_number(&mut body, shared as u64);
            put_bytes(&mut body, stored.path.get(shared..).unwrap_or_default());
            before = &stored.path;
            put_number(&mut body, u64::from(stored.mode));
            put_number(&mut body, stored.size);
            put_signed(&mut body, stored.mtime_ns);
            match &stored.kind {
                StoredKind::File { .. } => {
                    body.push(0);
                    let chunks = self.chunks_of(stored);
                    put_number(&mut body, chunks.len() as u64);
                    for chunk in chunks {
                        put_number(&mut body, u64::from(chunk.pack));
                        put_number(&mut body, u64::from(chunk.chunk));
                    }
                }
                StoredKind::Symlink { target } => {
                    body.push(1);
                    put_bytes(&mut body, target);
                }
                StoredKind::Directory => body.push(2),
            }
        }

        let mut header = Vec::new();
        put_bytes(&mut header, self.header.identity.namespace.as_bytes());
        put_number(&mut header, self.header.identity.paths.len() as u64);
        for path in &self.header.identity.paths {
            put_bytes(&mut header, path.as_bytes());
        }
        header.push(u8::from(self.header.key.is_some()));
        put_bytes(&mut header, self.header.key.as_deref().unwrap_or_default().as_bytes());
        put_signed(&mut header, self.header.created_ns);
        put_number(&mut header, self.header.entries);
        put_number(&mut header, self.header.bytes);
        put_number(&mut header, self.header.packs.len() as u64);
        for pack in &self.header.packs {
            header.extend_from_slice(pack);
        }
        put_number(&mut header, body.len() as u64);

        let mut out = vec![VERSION];
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(blake3::hash(&header).as_bytes());
        out.extend_from_slice(&zstd::bulk::compress(&body, 1)?);
        out.extend_from_slice(blake3::hash(&body).as_bytes());
        Ok(out)
    }

    /// Reads a whole manifest file.
    pub(super) fn decode(file: &[u8]) -> Result<Self, ManifestError> {
        let (header, body_len, rest) = decode_header(file)?;
        let (packed, hash) = rest.split_last_chunk::<HASH>().ok_or(Malformed)?;
        let body = zstd::bulk::decompress(packed, body_len).map_err(|_| Malformed)?;
        if blake3::hash(&body) != *hash {
            return Err(Malformed.into());
        }
        let mut c = Cursor(&body);
        let count = c.count(6)?;
        let mut manifest = Self { header, entries: Vec::with_capacity(count), chunks: Vec::with_capacity(count) };
        let mut path = Vec::new();
        for n in 0..count {
            let shared = usize::try_from(c.number()?).map_err(|_| Malformed)?;
            if shared > path.len() {
                return Err(Malformed.into());
            }
            let before = manifest.entries.last().map(|e: &Stored| &*e.path);
            path.truncate(shared);
            path.extend_from_slice(c.bytes()?);
            if path.len() > MAX_PATH || (n > 0 && before.is_some_and(|b| b >= path.as_slice())) {
                return Err(Malformed.into());
            }
            let stored = Stored {
                path: path.as_slice().into(),
                mode: c.number32()?,
                size: c.number()?,
                mtime_ns: c.signed()?,
                kind: match c.byte()? {
                    0 => {
                        let first = manifest.chunks.len();
                        let count = c.count(2)?;
                        for _ in 0..count {
                            let chunk = ChunkRef { pack: c.number32()?, chunk: c.number32()? };
                            manifest.header.packs.get(chunk.pack as usize).ok_or(Malformed)?;
                            manifest.chunks.push(chunk);
                        }
                        StoredKind::File { first, count }
                    }
                    1 => StoredKind::Symlink { target: c.bytes()?.into() },
                    2 => StoredKind::Directory,
                    _ => return Err(Malformed.into()),
                },
            };
            manifest.entries.push(stored);
        }
        c.end()?;
        Ok(manifest)
    }
}

/// Why a manifest cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ManifestError {
    #[error("it was written by another version of Kiln (format {0}, this one reads {VERSION})")]
    Version(u8),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Bytes from the file's start that hold the header, judged by its first ones.
pub(super) fn header_len(start: &[u8]) -> Result<usize, ManifestError> {
    let mut c = Cursor(start);
    match c.byte()? {
        VERSION => {}
        other => return Err(ManifestError::Version(other)),
    }
    if c.take(MAGIC.len())? != MAGIC {
        return Err(Malformed.into());
    }
    let len = u32::from_le_bytes(c.array()?) as usize;
    if len > MAX_HEADER {
        return Err(Malformed.into());
    }
    Ok(PREFIX + len + HASH)
}

/// Bytes before the header proper.
pub(super) const PREFIX: usize = 1 + MAGIC.len() + 4;

/// Reads the header from a file's bytes, which may end behind it; returns the length of the decompressed body and what
/// follows too.
pub(super) fn decode_header(file: &[u8]) -> Result<(Header, usize, &[u8]), ManifestError> {
    let len = header_len(file)?;
    let (head, rest) = file.split_at_checked(len).ok_or(Malformed)?;
    let (head, hash) = head.split_last_chunk::<HASH>().ok_or(Malformed)?;
    let header = head.get(PREFIX..).ok_or(Malformed)?;
    if blake3::hash(header) != *hash {
        return Err(Malformed.into());
    }
    let mut c = Cursor(header);
    let namespace = c.text()?;
    let paths = (0..c.count(1)?).map(|_| c.text()).collect::<Result<_, _>>()?;
    let keyed = c.byte()? != 0;
    let key = c.text()?;
    let (created_ns, entries, bytes) = (c.signed()?, c.number()?, c.number()?);
    let packs = (0..c.count(HASH)?).map(|_| c.array()).collect::<Result<_, _>>()?;
    let body_len = usize::try_from(c.number()?).ok().filter(|&n| n <= MAX_BODY).ok_or(Malformed)?;
    c.end()?;
    let identity = Identity { namespace, paths };
    Ok((Header { identity, key: keyed.then_some(key), created_ns, entries, bytes, packs }, body_len, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let stored = |path: &[u8], kind| Stored { path: path.into(), kind, mode: 0o644, size: 5, mtime_ns: -7 };
        Manifest {
            header: Header {
                identity: Identity { namespace: "p".into(), paths: vec!["a/**/*".into(), "/root/.m2/**/*".into()] },
                key: Some("k-1".into()),
                created_ns: 1_700_000_000_000_000_000,
                entries: 3,
                bytes: 5,
                packs: vec![[7; 32], [9; 32]],
            },
            entries: vec![
                stored(b"dir", StoredKind::Directory),
                stored(b"dir/a", StoredKind::File { first: 0, count: 2 }),
                stored(b"dir/link", StoredKind::Symlink { target: (*b"a").into() }),
            ],
            chunks: vec![ChunkRef { pack: 1, chunk: 300 }, ChunkRef { pack: 0, chunk: 0 }],
        }
    }

    #[test]
    fn comes_back_and_shows_any_damage() {
        let manifest = sample();
        let file = manifest.encode().unwrap();
        let back = Manifest::decode(&file).unwrap();
        assert_eq!(back.header, manifest.header);
        assert_eq!(back.entries, manifest.entries);
        assert_eq!(back.chunks, manifest.chunks);
        for cut in 0..file.len() {
            assert!(Manifest::decode(file.get(..cut).unwrap()).is_err(), "cut at {cut}");
        }
        for at in 0..file.len() {
            for bit in [1, 0x80] {
                let mut damaged = file.clone();
                *damaged.get_mut(at).unwrap() ^= bit;
                // zstd's frame header has bits that change nothing (a checksum that it may carry).
                match Manifest::decode(&damaged) {
                    Ok(same) => assert_eq!((same.entries, same.chunks), (back.entries.clone(), back.chunks.clone())),
                    Err(ManifestError::Version(_)) => assert_eq!(at, 0),
                    Err(ManifestError::Malformed(_)) => {}
                }
            }
        }
    }

    #[test]
    fn identities_do_not_run_into_each_other() {
        let id = |ns: &str, paths: &[&str]| {
            Identity { namespace: ns.into(), paths: paths.iter().map(|&p| p.into()).collect() }.hash()
        };
        let all = [id("a", &["b", "c"]), id("a", &["bc"]), id("ab", &["c"]), id("a", &["c", "b"]), id("a", &[])];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
    }
}
