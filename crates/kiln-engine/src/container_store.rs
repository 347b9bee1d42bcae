//! What container engines inside sandboxes pass on to each other: the images and layers of a Docker daemon, on a disk of their own
//! (`LOCAL_DOCKER_LAYER_CACHE`, `buildspec.md` 10.5).
//!
//! A store is a cache: it is used by one sandbox at a time, belongs to the user ids of the first, and is thrown away wherever it
//! might be damaged or has become full.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::FlockOperation;

use crate::{
    disk::{self, IMAGE, OpenDisk, Trash},
    error::{Context as _, EngineError},
    spec::{Disk, RootFs, SandboxSpec},
};

/// Where it is inside.
pub const DOCKER_STORE: &str = "/var/lib/docker";
/// Directory of the disk that is mounted inside.
const DIRECTORY: &str = "docker";
/// What the lock of a store is called, behind its directory's name. It stays when the store is deleted; its time of change is
/// when the store was used last.
const LOCK: &str = ".lock";
/// A store that fills so many quarters of its disk is not passed on: the next engine would have no room.
const FULL: (u64, u64) = (3, 4);

/// Why a sandbox starts without what others left.
pub(crate) fn unused(why: &str) -> String {
    format!("this build starts without Docker's layers of earlier ones, and keeps none: {why}")
}

/// A store that nobody else uses now.
#[derive(Debug)]
pub(crate) struct Reserved {
    disk: Disk,
    base: Option<u32>,
    lock: File,
}

impl Reserved {
    /// That which a sandbox asks for, unless it cannot have it.
    pub(crate) fn of(spec: &SandboxSpec, root: bool, notices: &mut Vec<String>) -> Result<Option<Self>, EngineError> {
        let Some(disk) = &spec.container_store else { return Ok(None) };
        let why = match spec.root {
            _ if !spec.privileged => "only privileged builds have a container engine",
            _ if !root => "a disk for them needs root",
            RootFs::Host => "the image 'host' has none to keep",
            RootFs::Layers(_) => match Self::take(disk)? {
                Some(reserved) => return Ok(Some(reserved)),
                None => "another build of this project uses them",
            },
        };
        notices.push(unused(why));
        Ok(None)
    }

    fn take(disk: &Disk) -> Result<Option<Self>, EngineError> {
        let Some(lock) = lock(&disk.dir)? else { return Ok(None) };
        let is_whole =
            |disk: &Disk| File::open(disk.dir.join(IMAGE)).is_ok_and(|image| disk::is_clean(&image).unwrap_or(false));
        let state = disk::state(&disk.dir).unwrap_or_default();
        let base = state.filter(|_| is_whole(disk)).map(|state| state.base);
        if base.is_none() {
            Trash::of(&disk.dir)?.map_or(Ok(()), Trash::delete)?;
        }
        Ok(Some(Self { disk: disk.clone(), base, lock }))
    }

    /// Who owns what is in it; `None`: it is new.
    pub(crate) fn base(&self) -> Option<u32> {
        self.base
    }

    /// Makes or mounts it for a sandbox with these ids.
    pub(crate) fn open(self, base: u32, notices: &mut Vec<String>) -> Result<ContainerStore, EngineError> {
        let mut of_disk = Vec::new();
        let mut disk = OpenDisk::open(&self.disk, base, true, &mut of_disk)?;
        if !disk.image {
            // It would not be limited.
            disk.close()?.map_or(Ok(()), Trash::delete)?;
            return Err(EngineError::Busy(of_disk.join("; ")));
        }
        notices.extend(of_disk);
        disk.keep()?;
        Ok(ContainerStore { disk, dir: self.disk.dir, bytes: self.disk.bytes, forget: false, lock: self.lock })
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    let mut path = dir.as_os_str().to_owned();
    path.push(LOCK);
    path.into()
}

/// `None`: somebody has it.
fn lock(dir: &Path) -> Result<Option<File>, EngineError> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).context(|| format!("create {}", parent.display()))?;
    }
    let path = lock_path(dir);
    let lock = File::options().create(true).append(true).open(&path).context(|| format!("open {}", path.display()))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).context(|| format!("lock {}", path.display())),
    }
}

/// A store that a sandbox uses.
#[derive(Debug)]
pub(crate) struct ContainerStore {
    disk: OpenDisk,
    dir: PathBuf,
    bytes: u64,
    forget: bool,
    lock: File,
}

impl ContainerStore {
    /// What is mounted inside, on the host.
    pub(crate) fn directory(&self) -> PathBuf {
        self.disk.root.join(DIRECTORY)
    }

    /// Passes it on to nobody.
    pub(crate) fn forget(&mut self) {
        self.forget = true;
    }

    /// Unmounts it, and deletes what is not passed on.
    pub(crate) fn close(mut self) -> Result<(), EngineError> {
        self.disk.close()?;
        let is_full = allocated(&self.dir) > self.bytes / FULL.1 * FULL.0;
        if self.forget || is_full {
            Trash::of(&self.dir)?.map_or(Ok(()), Trash::delete)?;
        }
        // So that its time is that of its last use.
        let touched = self.lock.set_len(0).and_then(|()| self.lock.write_all(b"\n"));
        touched.context(|| format!("write {}", lock_path(&self.dir).display()))
    }
}

/// Bytes that a store takes on the host's disk.
fn allocated(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(IMAGE)).map_or(0, |meta| meta.blocks() * 512)
}

/// What is known of a store.
#[derive(Debug, Clone)]
pub struct StoreInfo {
    /// Its directory.
    pub dir: PathBuf,
    /// Bytes that it takes on the host's disk.
    pub bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
}

/// The stores that lie in `parent`, the one used last first.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn list(parent: &Path) -> Result<Vec<StoreInfo>, EngineError> {
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context(|| format!("read {}", parent.display()))?,
    };
    let mut stores = Vec::new();
    for entry in entries.flatten() {
        let dir = entry.path();
        if !dir.join(IMAGE).is_file() {
            continue;
        }
        let used = std::fs::metadata(lock_path(&dir)).and_then(|meta| meta.modified());
        stores.push(StoreInfo { bytes: allocated(&dir), used: used.unwrap_or(SystemTime::UNIX_EPOCH), dir });
    }
    stores.sort_by(|one, other| other.used.cmp(&one.used).then_with(|| one.dir.cmp(&other.dir)));
    Ok(stores)
}

/// Deletes a store. False: a sandbox uses it.
///
/// # Errors
/// What the file system answers.
pub fn remove(dir: &Path) -> Result<bool, EngineError> {
    let Some(_lock) = lock(dir)? else { return Ok(false) };
    Trash::of(dir)?.map_or(Ok(()), Trash::delete)?;
    Ok(true)
}

/// Deletes those that were not used for longest until the rest fits; what is in use stays. Answers how many.
///
/// # Errors
/// As [`list`] and [`remove`].
pub fn prune(parent: &Path, budget: u64) -> Result<u64, EngineError> {
    let (mut kept, mut removed) = (0_u64, 0_u64);
    for store in list(parent)? {
        let with = kept.saturating_add(store.bytes);
        if with > budget && remove(&store.dir)? {
            removed += 1;
        } else {
            kept = with;
        }
    }
    Ok(removed)
}
