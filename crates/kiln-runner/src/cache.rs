//! Caches of builds on the host (`buildspec.md` section 10), content-addressed: what is the same is stored once, and a
//! build that changed nothing writes nothing.
//!
//! # A build's cache, step by step
//!
//! 1. [`CacheStore::lookup`] finds the cache of the key, or of a fallback key. [`Hit::restore`] checks every stored byte,
//!    then hands out entries, which the runner sends to the agent. A damaged cache is a miss.
//! 2. When the agent has written them all, and before the first command runs, the runner reads the kernel's coarse clock:
//!    [`Base::unchanged_before_ns`].
//! 3. After the build the agent lists the cache's paths: names, sizes, times, no contents. [`CacheStore::begin_save`]
//!    compares that [`Listing`] with what was restored. Nothing changed: [`Plan::Unchanged`], and that was all.
//! 4. Else the agent sends the files of [`SaveSession::needed_ranges`], each goes to [`SaveSession::put`], and
//!    [`SaveSession::commit`] makes the new cache visible.
//!
//! `cache/action` decides which halves a runner does: `restore` never does 3 and 4, `save` never does 1 and 2.
//!
//! # On disk
//!
//! `packs/<hash>` hold contents, `manifests/<identity>/<key>` say what a cache is made of; both begin with a format
//! version. Files get their names when they are complete and synced, packs before the manifest that needs them, so a
//! killed save leaves the store as it was. `lock` is held shared for the moment in which a cache is opened or named, and
//! exclusively while garbage is removed; nobody holds it while a build runs. A [`Bundle`] is one cache as one file: how it lies
//! in a bucket, of which this store is then a copy.

mod bundle;
mod codec;
mod gc;
mod host;
mod listing;
mod manifest;
mod pack;
mod restore;
mod save;

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

pub use self::{
    bundle::Bundle,
    gc::{CacheInfo, CacheKind, PruneStats},
    host::{HostCaches, Removed},
    listing::Listing,
    manifest::{Identity, Manifest},
    restore::{Hit, Restore, Restored},
    save::{Base, Outcome, Plan, SaveRequest, SaveSession, SaveStats},
};
use self::{
    manifest::{Header, ManifestError, PackId},
    pack::FinishedPack,
};
use crate::{
    atomic::{AtomicFile, Taken},
    entry::BadPath,
};

/// Bytes that a store may take before [`CacheStore::prune`] removes what was not used for longest.
pub const DEFAULT_BUDGET: u64 = 20 << 30;

/// A larger manifest is not read: 2 million entries take less, compressed.
const MAX_MANIFEST: u64 = 512 << 20;

/// Why a cache could not be used. None of these fails a build: the runner notes it and goes on without.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The host refused: disk full, no permission, …
    #[error("cache store {}: {source}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is stored is not what was saved. It has been removed from the store.
    #[error("the stored cache is damaged ({reason}); it was removed")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// A listed name cannot be stored.
    #[error("the cached path '{path}' {why}")]
    Path {
        /// The name.
        path: String,
        /// Why.
        why: BadPath,
    },
    /// There is more to cache than allowed.
    #[error("the cache is larger than allowed: more than {limit} {what}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// A file was left out: its content broke off.
    #[error("'{path}' was not cached: {source}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A content came that was not asked for.
    #[error("the content of file {index} of the list was not asked for")]
    NotAsked {
        /// Place in the agent's list.
        index: u32,
    },
    /// Garbage collection took what the save was building upon.
    #[error("the cache was not saved: the store was pruned meanwhile")]
    Vanished,
    /// Docker's layers cannot be looked through or removed.
    #[error(transparent)]
    Layers(#[from] kiln_engine::EngineError),
}

/// What a lookup found.
#[derive(Debug)]
pub struct Lookup {
    /// The cache, if there is one.
    pub hit: Option<Hit>,
    /// What was wrong with caches that were passed over, for the build's log.
    pub notes: Vec<String>,
}

/// The caches of one host. Cheap to clone; any number of processes may use one directory.
#[derive(Debug, Clone)]
pub struct CacheStore {
    root: PathBuf,
    packs: PathBuf,
    manifests: PathBuf,
}

impl CacheStore {
    /// Opens the store in `root`, making what is missing.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let store = Self { root: root.to_owned(), packs: root.join("packs"), manifests: root.join("manifests") };
        for directory in [&store.root, &store.packs, &store.manifests] {
            make_directory(directory)?;
        }
        Ok(store)
    }

    /// Finds the cache of `key`, or else the newest whose key begins with one of `fallback_keys`, tried in order
    /// (`buildspec.md` 10.3). Without a key: the identity's only cache. What is found counts as used at `now_ns`.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`]. Damaged caches are passed over with a note.
    pub fn lookup(
        &self,
        identity: &Identity,
        key: Option<&str>,
        fallback_keys: &[String],
        now_ns: i64,
    ) -> Result<Lookup, CacheError> {
        let _shared = self.lock(false)?;
        let mut found = Lookup { hit: None, notes: Vec::new() };
        let exact = self.manifest_path(identity, key);
        if let Some(hit) = self.open_hit(exact.clone(), true, &mut found.notes)? {
            found.hit = Some(hit);
        } else if key.is_some() && !fallback_keys.is_empty() {
            let mut others = self.headers_of(identity)?;
            others.retain(|(path, _)| *path != exact);
            others.sort_by_key(|(_, header)| std::cmp::Reverse(header.created_ns));
            'search: for prefix in fallback_keys {
                for (path, header) in &others {
                    if header.key.as_ref().is_some_and(|k| k.starts_with(prefix.as_str()))
                        && let Some(hit) = self.open_hit(path.clone(), false, &mut found.notes)?
                    {
                        found.hit = Some(hit);
                        break 'search;
                    }
                }
            }
        }
        if let Some(hit) = &found.hit {
            touch(&hit.path, now_ns).map_err(at(&hit.path))?;
        }
        Ok(found)
    }

    /// Opens the cache of `key` alone, for a build that asked for it or (not `exact`) for one that begins so. What is
    /// found counts as used at `now_ns`.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`]. A damaged cache is passed over with a note.
    pub fn open_key(
        &self,
        identity: &Identity,
        key: Option<&str>,
        exact: bool,
        now_ns: i64,
    ) -> Result<Lookup, CacheError> {
        let _shared = self.lock(false)?;
        let mut found = Lookup { hit: None, notes: Vec::new() };
        found.hit = self.open_hit(self.manifest_path(identity, key), exact, &mut found.notes)?;
        if let Some(hit) = &found.hit {
            touch(&hit.path, now_ns).map_err(at(&hit.path))?;
        }
        Ok(found)
    }

    /// True when there is a cache of that identity and key.
    fn exists(&self, identity: &Identity, key: Option<&str>) -> Result<bool, CacheError> {
        let path = self.manifest_path(identity, key);
        path.try_exists().map_err(at(&path))
    }

    /// No path is made from what a build says: names are hashes (`security.md` 5.4).
    fn manifest_path(&self, identity: &Identity, key: Option<&str>) -> PathBuf {
        let name = key.map_or_else(|| "current".to_owned(), |k| blake3::hash(k.as_bytes()).to_hex().to_string());
        self.identity_dir(identity).join(name)
    }

    fn identity_dir(&self, identity: &Identity) -> PathBuf {
        self.manifests.join(identity.id())
    }

    /// Opens a cache with all its packs; one that cannot be used is removed and noted.
    fn open_hit(&self, path: PathBuf, exact: bool, notes: &mut Vec<String>) -> Result<Option<Hit>, CacheError> {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(at(&path)(e)),
        };
        let bytes = restore::read_file(&mut file, MAX_MANIFEST).map_err(at(&path))?;
        let manifest = match Manifest::decode(&bytes) {
            Ok(manifest) => manifest,
            Err(e @ ManifestError::Version(_)) => {
                notes.push(format!("a stored cache was passed over: {e}"));
                return Ok(None);
            }
            Err(e @ ManifestError::Malformed(_)) => {
                self.condemn(&path, None);
                notes.push(CacheError::Damaged { reason: e.to_string() }.to_string());
                return Ok(None);
            }
        };
        match restore::open_packs(self, &manifest) {
            Ok(packs) => {
                let (manifest, packs) = (manifest.into(), packs.into());
                Ok(Some(Hit { manifest, packs, exact, store: self.clone(), path }))
            }
            Err((_, e)) if !e.is_damage() => {
                notes.push(self.packs_error(io::Error::other(e.to_string())).to_string());
                Ok(None)
            }
            Err((number, e)) => {
                self.condemn(&path, manifest.header.packs.get(number as usize));
                notes.push(CacheError::Damaged { reason: e.to_string() }.to_string());
                Ok(None)
            }
        }
    }

    /// Removes a manifest that cannot be used, and a pack that is damaged, so that nothing is built upon it. Other caches
    /// that need the pack become misses when they are looked up. Best effort: what cannot be removed is found damaged
    /// again.
    fn condemn(&self, manifest: &Path, pack: Option<&PackId>) {
        fs::remove_file(manifest).ok();
        if let Some(id) = pack {
            fs::remove_file(self.packs.join(hex::encode(id))).ok();
        }
    }

    /// Names the packs, then the manifest. False when a cache of this key appeared meanwhile.
    fn add(&self, manifest: &Manifest, new: Vec<FinishedPack>, now_ns: i64) -> Result<bool, CacheError> {
        let directory = self.identity_dir(&manifest.header.identity);
        make_directory(&directory)?;
        let write = || -> io::Result<AtomicFile> {
            let file = AtomicFile::create(&directory)?;
            io::Write::write_all(&mut file.try_clone()?, &manifest.encode()?)?;
            Ok(file)
        };
        let file = write().map_err(at(&directory))?;
        let taken = if manifest.header.key.is_some() { Taken::Keep } else { Taken::Replace };
        self.publish(&manifest.header, file, new, taken, now_ns)
    }

    /// Names the packs, then the manifest whose header that is. False when its name is taken and was to be kept.
    fn publish(
        &self,
        header: &Header,
        manifest: AtomicFile,
        new: Vec<FinishedPack>,
        taken: Taken,
        now_ns: i64,
    ) -> Result<bool, CacheError> {
        let path = self.manifest_path(&header.identity, header.key.as_deref());
        let _shared = self.lock(false)?;
        for pack in new {
            pack.persist().map_err(|e| self.packs_error(e))?;
        }
        for id in &header.packs {
            let pack = self.packs.join(hex::encode(id));
            if !pack.try_exists().map_err(at(&pack))? {
                return Err(CacheError::Vanished);
            }
        }
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let added = manifest.persist(name, taken).map_err(at(&path))?;
        touch(&path, now_ns).map_err(at(&path))?;
        Ok(added)
    }

    fn packs_error(&self, source: io::Error) -> CacheError {
        CacheError::Io { path: self.packs.clone(), source }
    }

    /// Names of all packs.
    fn pack_ids(&self) -> Result<Vec<PackId>, CacheError> {
        let mut ids = Vec::new();
        for item in fs::read_dir(&self.packs).map_err(at(&self.packs))? {
            let name = item.map_err(at(&self.packs))?.file_name();
            let id = name.to_str().and_then(|n| hex::decode(n).ok()).and_then(|b| PackId::try_from(b).ok());
            ids.extend(id);
        }
        Ok(ids)
    }

    /// Takes the store's lock; it is released when the result is dropped.
    fn lock(&self, exclusive: bool) -> Result<OwnedFd, CacheError> {
        let path = self.root.join("lock");
        let take = || -> rustix::io::Result<OwnedFd> {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
            let how = if exclusive { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
            rustix::io::retry_on_intr(|| rustix::fs::flock(&file, how))?;
            Ok(file)
        };
        take().map_err(|e| at(&path)(e.into()))
    }
}

/// Makes an error of a path.
fn at(path: &Path) -> impl Fn(io::Error) -> CacheError {
    move |source| CacheError::Io { path: path.to_owned(), source }
}

fn make_directory(path: &Path) -> Result<(), CacheError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

/// Sets a manifest's modification time: when the cache was last used.
fn touch(path: &Path, now_ns: i64) -> io::Result<()> {
    let stamp = Timespec { tv_sec: now_ns.div_euclid(1_000_000_000), tv_nsec: now_ns.rem_euclid(1_000_000_000) };
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let times = Timestamps { last_access: omit, last_modification: stamp };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
