//! The directories of builds, `<data>/builds/<id>/`: those of `kiln run`, and those of the service.
//!
//! A build is alive exactly as long as the lock on `builds/<id>/lock` is held: by whoever starts it and, inherited as
//! its standard output, by the runner. The kernel lets go of it when the last of them ends, however it ends. Whoever uses
//! a kept file system holds the same lock.
//!
//! A build of the service is told from one of `kiln run` by its lifeline, which has a name: [`CONTROL_FILE`].

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, DirEntryExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kiln_runner::job::{CONTROL_FILE, DISK_DIR, JOB_FILE};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::data;

/// Name of the file whose lock says that a build is in use.
pub(crate) const LOCK: &str = "lock";

/// The builds of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Builds {
    root: PathBuf,
}

/// A build's directory, locked by us.
#[derive(Debug)]
pub(crate) struct BuildDir {
    uuid: String,
    path: PathBuf,
    lock: File,
}

impl Builds {
    pub(crate) fn new(data: &Path) -> Self {
        Self { root: data.join("builds") }
    }

    /// Where they are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A build's directory, whether or not it is there.
    pub(crate) fn dir(&self, uuid: &str) -> PathBuf {
        self.root.join(uuid)
    }

    /// Creates and locks the directory of a new build. `fill` puts into it what must be there before anybody else sees it;
    /// when that fails nothing stays.
    pub(crate) fn create(&self, uuid: &str, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<BuildDir> {
        data::ensure(&self.root, 0o711)?;
        let path = self.dir(uuid);
        // A sweep must not see the directory before it is locked.
        let _creating = self.creation_lock(FlockOperation::LockShared)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        let make = || {
            let lock = open_lock(&path.join(LOCK))?;
            // Waits, for as long as somebody looks whether the build is in use; nobody else takes it while it is made.
            rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))?;
            fill(&path)?;
            Ok(lock)
        };
        match make() {
            Ok(lock) => Ok(BuildDir { uuid: uuid.to_owned(), path, lock }),
            Err(e) => {
                // What cannot be removed either is swept later.
                fs::remove_dir_all(&path).ok();
                Err(e)
            }
        }
    }

    /// Held shared while a build's directory is made, exclusively by who must see none half made.
    pub(crate) fn creation_lock(&self, operation: FlockOperation) -> io::Result<File> {
        let lock = open_lock(&self.root.join(".lock"))?;
        flock(&lock, operation)?;
        Ok(lock)
    }

    /// Locks the directory of a build that nobody uses. `None`: it is not there, or in use.
    pub(crate) fn lock(&self, uuid: &str) -> io::Result<Option<BuildDir>> {
        let path = self.dir(uuid);
        if !path.is_dir() {
            return Ok(None);
        }
        let lock = open_lock(&path.join(LOCK))?;
        // It may have been removed between looking and locking.
        let taken = take(&lock)? && path.join(LOCK).exists();
        Ok(taken.then(|| BuildDir { uuid: uuid.to_owned(), path, lock }))
    }

    /// True when a build's directory is there and somebody uses it.
    pub(crate) fn in_use(&self, uuid: &str) -> bool {
        let Ok(lock) = File::open(self.dir(uuid).join(LOCK)) else { return false };
        flock(&lock, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    /// True when it is a build of the service: the server's to look after, and nobody else's.
    pub(crate) fn of_service(&self, uuid: &str) -> bool {
        self.dir(uuid).join(CONTROL_FILE).exists()
    }

    /// True when the file system of a build is still there.
    pub(crate) fn has_disk(&self, uuid: &str) -> bool {
        let dir = self.dir(uuid);
        dir.join(DISK_DIR).is_dir() && dir.join(JOB_FILE).is_file()
    }

    /// The builds that have a directory.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        names(&self.root)
    }
}

impl BuildDir {
    pub(crate) fn uuid(&self) -> &str {
        &self.uuid
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, for a process that shall hold it as well.
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }

    /// Removes from the machine what a dead runner left: cgroups, network, the disk.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        clear(&self.path)
    }

    /// Removes everything; the lock goes with it. The disk is the engine's to delete: its files may belong to other users.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        let path = self.path.display();
        let disk = self.path.join(DISK_DIR);
        if disk.exists() {
            kiln_engine::delete_disk(&disk).with_context(|| format!("cannot delete the file system in {path}"))?;
        }
        fs::remove_dir_all(&self.path).with_context(|| format!("cannot remove {path}"))
    }

    /// Bytes that its file system takes on the disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        blocks(&self.path.join(DISK_DIR))
    }
}

/// Removes from the machine what the dead runner of the build in `dir` left: cgroups, network, the disk.
pub(crate) fn clear(dir: &Path) -> anyhow::Result<()> {
    let left: Vec<String> = kiln_engine::sweep(&[dir])
        .into_iter()
        .filter_map(|leftover| Some(format!("{}: {}", leftover.what, leftover.removed.err()?)))
        .collect();
    let uuid = dir.file_name().unwrap_or_default().to_string_lossy();
    anyhow::ensure!(left.is_empty(), "what build {uuid} left cannot be removed: {}", left.join("; "));
    Ok(())
}

/// Lower-case hexadecimal digits and dashes, as ids have them.
pub(crate) fn looks_like_id(text: &str) -> bool {
    (4..=36).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

/// Names of the builds or runs in a directory; none when it is not there.
pub(crate) fn names(base: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(base) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string()
            && name.len() == 36
            && looks_like_id(&name)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Takes a build's lock. False: somebody uses the build.
fn take(lock: &File) -> io::Result<bool> {
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => {}
            Err(e) => return Err(e.into()),
        }
        // Who only looks whether it is in use holds it too, for an instant, but shared.
        match flock(lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => flock(lock, FlockOperation::Unlock)?,
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Opens a file that is only there to be locked.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

/// Bytes on disk of a directory and everything in it. What cannot be read counts as nothing: it is an estimate that
/// decides how long something is kept.
fn blocks(dir: &Path) -> u64 {
    let mut total = 0u64;
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.nlink() > 1 && !meta.is_dir() && !seen.insert((meta.dev(), entry.ino())) {
                continue;
            }
            total = total.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    total
}
