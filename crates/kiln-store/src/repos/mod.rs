//! Git repositories: bare ones, one directory each, that only git itself reads and writes.
//!
//! Git runs as a child process, with a configuration that is ours alone ([`command`]), for clones and pushes with its bytes
//! streamed ([`serve`]), else for one answer at a time ([`read`], [`mod@write`]). Nothing that a user says becomes an option or a
//! path: repositories are named by their ids, which are ours, and objects by ids or checked names.

mod command;
mod error;
mod read;
mod serve;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use kiln_model::git::{ObjectId, RefUpdate};
use rustix::fs::{FlockOperation, flock};

use self::command::Git;
pub use self::{
    error::GitError,
    read::{Commit, Entry, EntryKind, ObjectKind, Person, RawDifference},
    serve::{GitProcess, Service},
    write::{CommitText, FileChange},
};

/// The directory of git repositories in a data directory.
pub const DIRECTORY: &str = "repos";

/// In a repository, files that running git processes keep locked.
const CALLS: &str = "kiln-calls";

/// How long processes of a server that is gone may take to end.
const LEFT_TIME: Duration = Duration::from_secs(60);

/// The git repositories of one data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repos {
    root: PathBuf,
    running: Arc<serve::Slots>,
}

impl Repos {
    /// The git repositories below `root`, a directory that need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), running: Arc::default() }
    }

    /// Where a repository is. `id` is one that [`Repos::create`] was called with.
    #[must_use]
    pub fn path(&self, id: &str) -> PathBuf {
        self.root.join(format!("{id}.git"))
    }

    /// Makes an empty repository, synced. `id` is a UUID.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn create(&self, id: &str) -> Result<(), GitError> {
        let path = self.path(id);
        fs::create_dir_all(&self.root).map_err(|e| GitError::io("make", &self.root, &e))?;
        let new = self.root.join(format!("{id}.new"));
        remove(&new)?;
        Git::outside(&self.root)
            .args(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--object-format=sha1"])
            .arg(new.as_os_str())
            .run(b"")?;
        let calls = new.join(CALLS);
        fs::create_dir(&calls).map_err(|e| GitError::io("make", &calls, &e))?;
        sync(&new)?;
        fs::rename(&new, &path).map_err(|e| GitError::io("name", &path, &e))?;
        sync(&self.root)
    }

    /// Removes a repository; one that is not there is removed already.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, id: &str) -> Result<(), GitError> {
        let (path, old) = (self.path(id), self.root.join(format!("{id}.old")));
        match fs::rename(&path, &old) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(GitError::io("remove", &path, &e)),
            _ => {}
        }
        remove(&old)
    }

    /// Removes the repositories that are not wanted: of deletions and creations that a server did not live to end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep(&self, is_wanted: impl Fn(&str) -> bool) -> Result<(), GitError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(GitError::io("read", &self.root, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| GitError::io("read", &self.root, &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.strip_suffix(".git").is_some_and(&is_wanted) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Waits for git processes that an earlier server left in a repository, and removes what killed ones left: locks of
    /// references, and objects that no push completed.
    ///
    /// # Errors
    /// When they do not end, or the disk fails.
    pub fn settle(&self, id: &str) -> Result<(), GitError> {
        let path = self.path(id);
        let calls = path.join(CALLS);
        fs::create_dir_all(&calls).map_err(|e| GitError::io("make", &calls, &e))?;
        let end = Instant::now() + LEFT_TIME;
        for entry in fs::read_dir(&calls).map_err(|e| GitError::io("read", &calls, &e))? {
            let file = entry.map_err(|e| GitError::io("read", &calls, &e))?.path();
            let opened = fs::File::open(&file).map_err(|e| GitError::io("open", &file, &e))?;
            while flock(&opened, FlockOperation::NonBlockingLockExclusive).is_err() {
                if Instant::now() > end {
                    return Err(GitError::Busy { path });
                }
                thread::sleep(Duration::from_millis(20));
            }
            remove(&file)?;
        }
        remove_locks(&path, 64)?;
        let objects = path.join("objects");
        for entry in fs::read_dir(&objects).map_err(|e| GitError::io("read", &objects, &e))? {
            let entry = entry.map_err(|e| GitError::io("read", &objects, &e))?;
            if entry.file_name().to_string_lossy().starts_with("tmp_objdir-") {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Every reference with what it names.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn references(&self, id: &str) -> Result<Vec<(String, ObjectId)>, GitError> {
        let lines = self.git(id).args(["for-each-ref", "--format=%(objectname) %(refname)"]).run(b"")?;
        let lines = String::from_utf8(lines).map_err(|_| GitError::unreadable("for-each-ref"))?;
        let parse = |line: &str| {
            let (target, name) = line.split_once(' ')?;
            Some((name.to_owned(), target.parse().ok()?))
        };
        lines.lines().map(|line| parse(line).ok_or_else(|| GitError::unreadable("for-each-ref"))).collect()
    }

    /// Changes references, all or none; those that are not as said are [`GitError::Moved`].
    ///
    /// # Errors
    /// When one was changed meanwhile, or git or the disk fails.
    pub fn update(&self, id: &str, updates: &[RefUpdate]) -> Result<(), GitError> {
        const NONE: &str = "0000000000000000000000000000000000000000";
        let mut input = String::new();
        for RefUpdate { name, old, new } in updates {
            let text = |id: &Option<ObjectId>| id.as_ref().map_or(NONE, ObjectId::as_str).to_owned();
            input.push_str(&format!("update {name}\0{}\0{}\0", text(new), text(old)));
        }
        match self.git(id).args(["update-ref", "--stdin", "-z"]).run(input.as_bytes()) {
            Err(GitError::Failed { message, .. }) if message.contains("cannot lock ref") => Err(GitError::Moved),
            other => other.map(drop),
        }
    }

    /// Lets clones check out that branch, which need not be there.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn set_head(&self, id: &str, branch: &str) -> Result<(), GitError> {
        self.git(id).args(["symbolic-ref", "HEAD"]).arg(format!("refs/heads/{branch}").as_ref()).run(b"").map(drop)
    }

    /// Packs what has become many files, as git itself decides.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn tidy(&self, id: &str) -> Result<(), GitError> {
        self.git(id).args(["gc", "--auto", "--quiet"]).limit(Duration::from_secs(3600)).run(b"").map(drop)
    }

    /// Copies a repository as it is at one moment, while it may be in use.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn copy(from: &Path, to: &Path) -> Result<(), GitError> {
        let root = to.parent().unwrap_or(Path::new("/"));
        Git::outside(root)
            .args([
                "-c",
                "protocol.file.allow=always",
                "clone",
                "--quiet",
                "--mirror",
                "--no-local",
                "--template=",
                "--",
            ])
            .arg(from.as_os_str())
            .arg(to.as_os_str())
            .limit(Duration::from_secs(4 * 3600))
            .run(b"")
            .map(drop)
    }

    fn git(&self, id: &str) -> Git {
        Git::within(&self.path(id))
    }
}

/// Removes a file or a tree; what is not there is removed already.
fn remove(path: &Path) -> Result<(), GitError> {
    let is_tree = path.symlink_metadata().is_ok_and(|m| m.is_dir());
    match if is_tree { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(GitError::io("remove", path, &e)),
        _ => Ok(()),
    }
}

/// Locks that a killed git left: of references, and of the files beside them.
fn remove_locks(directory: &Path, depth: usize) -> Result<(), GitError> {
    for entry in fs::read_dir(directory).map_err(|e| GitError::io("read", directory, &e))? {
        let entry = entry.map_err(|e| GitError::io("read", directory, &e))?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_tree = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_tree && depth > 0 && name != "objects" && name != CALLS {
            remove_locks(&path, depth - 1)?;
        } else if !is_tree && name.to_string_lossy().ends_with(".lock") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn sync(directory: &Path) -> Result<(), GitError> {
    let opened = fs::File::open(directory).map_err(|e| GitError::io("open", directory, &e))?;
    rustix::fs::syncfs(&opened).map_err(|e| GitError::io("sync", directory, &e.into()))
}
