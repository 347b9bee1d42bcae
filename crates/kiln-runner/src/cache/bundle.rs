//! One cache as one file: what lies in the bucket of a cache of type S3 (`buildspec.md` 10.2).
//!
//! ```text
//! version 1 │ "kiln cache bundle\n" │ hash of the manifest │ its length (u64) │ manifest │ for each of its packs: length (u64), pack
//! ```
//!
//! One object, so that it is there or not, is replaced at once, and is deleted or expires by itself. The hash comes first:
//! who has that manifest already need not read on. It is BLAKE3, numbers are little-endian.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
};

use super::{
    CacheError, CacheStore, DEFAULT_BUDGET, MAX_MANIFEST, at, make_directory,
    manifest::{Header, Identity, Manifest, PREFIX, decode_header, header_len},
    pack::FinishedPack,
    restore,
};
use crate::atomic::{AtomicFile, Taken};

const VERSION: u8 = 1;
const MAGIC: &[u8] = b"kiln cache bundle\n";

/// A bundle of which the beginning was read.
#[derive(Debug)]
pub struct Bundle<R> {
    manifest: blake3::Hash,
    rest: R,
}

impl<R: Read> Bundle<R> {
    /// Reads the beginning.
    ///
    /// # Errors
    ///
    /// What `from` says; [`io::ErrorKind::InvalidData`] if it is no bundle, or one of another version.
    pub fn open(mut from: R) -> io::Result<Self> {
        let mut version = [0];
        from.read_exact(&mut version)?;
        if version != [VERSION] {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("it was written by another version of Kiln (format {}, this one reads {VERSION})", version[0]),
            ));
        }
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(invalid());
        }
        let mut manifest = [0; blake3::OUT_LEN];
        from.read_exact(&mut manifest)?;
        Ok(Self { manifest: manifest.into(), rest: from })
    }

    fn length(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.rest.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not a cache of Kiln, or damaged")
}

impl CacheStore {
    /// Writes a cache as a bundle. False when there is none of that identity and key.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`], also of `to`; [`CacheError::Damaged`].
    pub fn export(&self, identity: &Identity, key: Option<&str>, to: &mut impl Write) -> Result<bool, CacheError> {
        let path = self.manifest_path(identity, key);
        let (bytes, packs) = {
            // Open files stay, whatever is pruned meanwhile.
            let _shared = self.lock(false)?;
            let mut file = match File::open(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
                opened => opened.map_err(at(&path))?,
            };
            let bytes = restore::read_file(&mut file, MAX_MANIFEST).map_err(at(&path))?;
            let damaged = |reason: String| CacheError::Damaged { reason };
            let manifest = Manifest::decode(&bytes).map_err(|e| damaged(e.to_string()))?;
            let packs = restore::open_packs(self, &manifest).map_err(|(_, e)| damaged(e.to_string()))?;
            (bytes, packs)
        };
        let mut write = || -> io::Result<()> {
            to.write_all(&[VERSION])?;
            to.write_all(MAGIC)?;
            to.write_all(blake3::hash(&bytes).as_bytes())?;
            to.write_all(&(bytes.len() as u64).to_le_bytes())?;
            to.write_all(&bytes)?;
            for pack in &packs {
                to.write_all(&pack.size.to_le_bytes())?;
                pack.copy(to)?;
            }
            Ok(())
        };
        write().map_err(at(&path))?;
        Ok(true)
    }

    /// True when the store has the cache of that identity and key just as it is in the bundle.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn has<R>(&self, identity: &Identity, key: Option<&str>, bundle: &Bundle<R>) -> Result<bool, CacheError> {
        let path = self.manifest_path(identity, key);
        let mut hasher = blake3::Hasher::new();
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened.and_then(|file| hasher.update_reader(file).map(drop)).map_err(at(&path))?,
        }
        Ok(hasher.finalize() == bundle.manifest)
    }

    /// Takes a cache over from a bundle, in place of one of the same identity and key. Memory is bounded, whatever the
    /// bundle says, and so is the disk: nothing of it is used before all of it is checked.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`], also of reading the bundle; [`CacheError::Damaged`] when it is not a cache of that identity and
    /// key, or changed; [`CacheError::Limit`].
    pub fn import<R: Read>(
        &self,
        identity: &Identity,
        key: Option<&str>,
        mut bundle: Bundle<R>,
        now_ns: i64,
    ) -> Result<(), CacheError> {
        let directory = self.identity_dir(identity);
        make_directory(&directory)?;
        let io_failed = |e: io::Error| match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => CacheError::Damaged { reason: e.to_string() },
            _ => at(&directory)(e),
        };
        let manifest = AtomicFile::create(&directory).map_err(at(&directory))?;
        let header = copy_manifest(&mut bundle, &manifest).map_err(io_failed)?;
        if header.identity != *identity || header.key.as_deref() != key {
            return Err(CacheError::Damaged { reason: "it is the cache of something else".to_owned() });
        }
        let mut new = Vec::new();
        let mut total = 0;
        for id in &header.packs {
            let length = bundle.length().map_err(io_failed)?;
            total = length.saturating_add(total);
            if total > DEFAULT_BUDGET {
                return Err(CacheError::Limit { limit: DEFAULT_BUDGET, what: "bytes" });
            }
            let mut content = (&mut bundle.rest).take(length);
            if self.packs.join(hex::encode(id)).try_exists().map_err(at(&self.packs))? {
                skip(&mut content, length).map_err(io_failed)?;
                continue;
            }
            let file = AtomicFile::create(&self.packs).map_err(at(&self.packs))?;
            let copied = file.try_clone().and_then(|mut to| io::copy(&mut content, &mut to)).map_err(io_failed)?;
            if copied != length {
                return Err(io_failed(io::ErrorKind::UnexpectedEof.into()));
            }
            let pack = FinishedPack::check(file, *id);
            new.push(pack.map_err(|e| match e.is_damage() {
                true => CacheError::Damaged { reason: e.to_string() },
                false => self.packs_error(io::Error::other(e)),
            })?);
        }
        self.publish(&header, manifest, new, Taken::Replace, now_ns).map(drop)
    }

    /// Removes a cache, which is not in its bucket any more. What only it used is removed when the store is pruned.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn forget(&self, identity: &Identity, key: Option<&str>) -> Result<(), CacheError> {
        let path = self.manifest_path(identity, key);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(&path)(e)),
            _ => Ok(()),
        }
    }
}

/// Copies the manifest of a bundle, and reads its header. The rest of it is checked when it is used.
fn copy_manifest<R: Read>(bundle: &mut Bundle<R>, to: &AtomicFile) -> io::Result<Header> {
    let length = bundle.length()?;
    if length > MAX_MANIFEST {
        return Err(invalid());
    }
    let mut start = Vec::new();
    let mut take = |start: &mut Vec<u8>, upto: usize| -> io::Result<()> {
        let wanted = (upto as u64).min(length).saturating_sub(start.len() as u64);
        (&mut bundle.rest).take(wanted).read_to_end(start).map(drop)
    };
    take(&mut start, PREFIX)?;
    let end = header_len(&start).map_err(|_| invalid())?;
    take(&mut start, end)?;
    let (header, _, _) = decode_header(&start).map_err(|_| invalid())?;
    let mut out = Hashed { hasher: blake3::Hasher::new(), file: to.try_clone()? };
    out.write_all(&start)?;
    io::copy(&mut (&mut bundle.rest).take(length.saturating_sub(start.len() as u64)), &mut out)?;
    if out.hasher.finalize() == bundle.manifest { Ok(header) } else { Err(invalid()) }
}

/// A file, and the hash of what is written to it.
struct Hashed {
    hasher: blake3::Hasher,
    file: File,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn skip(content: &mut impl Read, length: u64) -> io::Result<()> {
    match io::copy(content, &mut io::sink())? == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
