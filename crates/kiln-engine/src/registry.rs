//! Which sandboxes exist on this machine and who owns them: one locked file each in a directory that is lost at reboot,
//! as the kernel objects it speaks of are.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, EngineError};

/// Longest record that is read.
const MAX_RECORD: u64 = 64 * 1024;

/// What a sandbox consists of outside of its own processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Format version; 1.
    pub(crate) version: u32,
    pub(crate) id: String,
    /// The process that started it.
    pub(crate) owner_pid: i32,
    /// Directory of its disk.
    pub(crate) disk: PathBuf,
    /// Its cgroups, whether or not they exist yet.
    pub(crate) cgroups: Vec<PathBuf>,
    /// The OCI runtime that must be told to delete it.
    pub(crate) runtime: Option<PathBuf>,
}

/// The directory of this machine's (without root: this user's) Kiln sandboxes.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    dir: PathBuf,
}

impl Registry {
    /// Where it is: `/run/kiln` for root, else below the session's runtime directory.
    fn path() -> PathBuf {
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            return PathBuf::from("/run/kiln");
        }
        match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
            Some(dir) if dir.is_absolute() && dir.is_dir() => dir.join("kiln"),
            _ => PathBuf::from(format!("/tmp/kiln-{}", uid.as_raw())),
        }
    }

    /// Makes the directory if it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or belongs to another user, who could then release this user's locks.
    pub(crate) fn create() -> Result<Registry, EngineError> {
        let dir = Registry::path();
        for path in [dir.clone(), dir.join("ids"), dir.join("sandboxes")] {
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error).context(|| format!("create {}", path.display())),
            }
        }
        let stat = rustix::fs::lstat(&dir).context(|| format!("look at {}", dir.display()))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
            return Err(EngineError::Busy(format!(
                "{} belongs to another user or others may write to it; remove it",
                dir.display()
            )));
        }
        Ok(Registry { dir })
    }

    /// The directory if there is one.
    pub(crate) fn existing() -> Option<Registry> {
        let dir = Registry::path();
        let stat = rustix::fs::lstat(&dir).ok()?;
        (stat.st_uid == rustix::process::geteuid().as_raw()).then_some(Registry { dir })
    }

    /// Directory with the locks of id ranges.
    pub(crate) fn ids(&self) -> PathBuf {
        self.dir.join("ids")
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.dir.join("sandboxes").join(id)
    }

    /// Enters a sandbox; the entry is locked from the moment it can be seen.
    pub(crate) fn enter(&self, record: &Record) -> Result<Entry, EngineError> {
        let path = self.record_path(&record.id);
        if path.exists() && self.orphan(&record.id)?.is_none() {
            return Err(EngineError::Busy(format!("a sandbox with the id {} is running", record.id)));
        }
        let new = self.dir.join(format!("new-{}-{}", record.id, std::process::id()));
        let file = rustix::fs::open(
            &new,
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )
        .context(|| format!("create {}", new.display()))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .context(|| format!("lock {}", new.display()))?;
        let mut file = File::from(file);
        let json = serde_json::to_vec(record).map_err(std::io::Error::from);
        json.and_then(|json| file.write_all(&json)).context(|| format!("write {}", new.display()))?;
        std::fs::rename(&new, &path).context(|| format!("create {}", path.display()))?;
        Ok(Entry { path, _lock: file.into() })
    }

    /// Ids of all entries.
    pub(crate) fn list(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.join("sandboxes")) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// The entries whose owners live.
    pub(crate) fn live(&self) -> Vec<Record> {
        let lives = |id: &String| matches!(self.orphan(id), Ok(None));
        let read = |id: String| serde_json::from_slice(&std::fs::read(self.record_path(&id)).ok()?).ok();
        self.list().into_iter().filter(lives).filter_map(read).collect()
    }

    /// Whether `id` is the entry of an owner who lives. Asked after something of `id` was seen, the answer holds for what
    /// was seen: owners enter before they make anything.
    pub(crate) fn lives(&self, id: &str) -> bool {
        self.record_path(id).exists() && matches!(self.orphan(id), Ok(None))
    }

    /// Locks the entry `id` and reads it, if its owner is dead. `None`: the owner lives, or there is no such entry.
    pub(crate) fn orphan(&self, id: &str) -> Result<Option<(Record, Entry)>, EngineError> {
        let path = self.record_path(id);
        let file = match rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => other.context(|| format!("open {}", path.display()))?,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other.context(|| format!("lock {}", path.display()))?,
        }
        // The owner may have removed it, or another sweep may have been faster, between open and lock.
        if rustix::fs::fstat(&file).map_or(0, |stat| stat.st_nlink) == 0 {
            return Ok(None);
        }
        let mut file = File::from(file);
        let mut json = Vec::new();
        (&mut file).take(MAX_RECORD).read_to_end(&mut json).context(|| format!("read {}", path.display()))?;
        let entry = Entry { path: path.clone(), _lock: file.into() };
        match serde_json::from_slice::<Record>(&json) {
            Ok(record) if record.version == 1 => Ok(Some((record, entry))),
            Ok(record) => Err(EngineError::Busy(format!(
                "{} was written by another version of Kiln (format {}); use that version's `kiln doctor --fix`",
                path.display(),
                record.version
            ))),
            Err(error) => Err(std::io::Error::from(error)).context(|| format!("understand {}", path.display())),
        }
    }
}

/// A locked entry of the registry. The lock ends with this value or this process.
#[derive(Debug)]
pub(crate) struct Entry {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Entry {
    /// Removes the entry: nothing of the sandbox is left.
    pub(crate) fn remove(self) -> Result<(), EngineError> {
        remove_file(&self.path)
    }
}

/// Removes a file that may be gone already.
pub(crate) fn remove_file(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_lives_from_its_entry_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sandboxes")).unwrap();
        let registry = Registry { dir: dir.path().to_owned() };
        let record = Record {
            version: 1,
            id: "a".to_owned(),
            owner_pid: 1,
            disk: PathBuf::new(),
            cgroups: Vec::new(),
            runtime: None,
        };
        assert!(!registry.lives("a"));
        let entry = registry.enter(&record).unwrap();
        assert!(registry.lives("a"));
        drop(entry); // killed: the entry stays, its lock does not
        assert!(!registry.lives("a"));
    }
}
