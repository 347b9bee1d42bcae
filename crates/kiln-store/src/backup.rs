//! Backup of a data directory while it is in use, and restoring one.
//!
//! A backup is a directory of the same form: `kiln.db` (one moment of it) with its `kiln.seq`, `blobs/`, `logs/`,
//! `audit/`, `keys/`, `repos/` (each git repository as git itself copies it), and at last `backup.json`, which says that it is complete. **It holds the root key**: whoever reads it reads everything.
//! Blobs that are in a bucket of another S3 are not in it, those in another directory are.
//! What belongs to running builds (`builds/`), images and caches are not in it. Logs that still grow are in it as far as
//! they had got; a build that ran then ends as after a crash of the machine.

mod copy;
mod restore;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use self::copy::{Copied, copy_tree};
pub use self::restore::{Restored, restore};
use crate::{
    BlobError, LockError, audit,
    blobs::Kept,
    keys::{KeyError, Keys},
    metadata::{self, Metadata, OpenError},
    repos::{self, GitError, Repos},
};

/// Directories of a backup beside the database, whose files are copied.
const TREES: [&str; 4] = ["keys", "logs", "audit", "blobs"];
/// The file that makes a backup complete.
const MANIFEST: &str = "backup.json";
/// Form of backups.
const FORMAT: u32 = 1;
/// Times that a backup is begun again because objects were deleted under it.
const ATTEMPTS: usize = 5;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// Form of the backup.
    pub format: u32,
    /// The last transaction that is in it.
    pub sequence: u64,
    /// Files, the database not counted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The bucket that has the bytes of objects, which are not in the backup then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

/// A backup that could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The target is there already.
    #[error("{} exists already: give the name of a directory that does not", .path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// Not a backup, or one that was not finished.
    #[error("{} is not a complete backup: {what}", .path.display())]
    Incomplete {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// What is to be saved, or the backup, is damaged.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is nothing to be saved.
    #[error("there is no Kiln data in {}", .path.display())]
    NoData {
        /// The data directory.
        path: PathBuf,
    },
    /// The data directory is in use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The metadata in it cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The keys in it cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A git repository cannot be copied.
    #[error("a git repository cannot be copied: {0}")]
    Git(#[from] GitError),
    /// Where objects are kept cannot be read.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// No space is left.
    #[error("no space is left for {}", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
}

/// Saves the data directory `data`, which may be in use by a server, as the new directory `target`. Synced when it
/// returns; until then it is `<target>.partial`.
///
/// # Errors
/// [`BackupError`]; a database with any damaged row is not saved as if it were whole.
pub fn backup(data: &Path, target: &Path) -> Result<Backup, BackupError> {
    if !data.join(metadata::DATABASE).is_file() {
        return Err(BackupError::NoData { path: data.to_owned() });
    }
    if target.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: target.to_owned() });
    }
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    remove_tree(&partial)?;
    make_directory(&partial)?;
    let mut copied = Copied::default();
    let kept = Kept::of(&data.join("blobs"))?;
    let (blobs, bucket) = match kept {
        Kept::Here => (data.join("blobs"), None),
        Kept::Directory(directory) => (directory, None),
        Kept::Bucket(place) => (data.join("blobs"), Some(place)),
    };
    let tree_of = |name: &str| if name == "blobs" { blobs.clone() } else { data.join(name) };
    for attempt in 1.. {
        // Blobs before the database, so that one whose object is deleted meanwhile is there; and again behind it, for those
        // that came in between. The other trees only need to be as new as the database.
        copy_tree(&blobs, &partial.join("blobs"), &mut copied)?;
        let sequence = metadata::snapshot(data, &partial)?;
        // Its head first: what the files have beyond it does no harm, a head that is beyond them would be a cut end. A file
        // that is compressed while the others are copied is found by the copy below.
        let (audit, audit_copy) = (data.join(audit::DIRECTORY), partial.join(audit::DIRECTORY));
        make_directory(&audit_copy)?;
        copy::copy_file(&audit.join(audit::HEAD), &audit_copy.join(audit::HEAD), &mut copied)?;
        copy_tree(&audit, &audit_copy, &mut copied)?;
        for tree in TREES {
            copy_tree(&tree_of(tree), &partial.join(tree), &mut copied)?;
        }
        if let Some(id) = copy_repositories(data, &partial, &mut copied)? {
            if attempt < ATTEMPTS {
                continue;
            }
            return Err(BackupError::Damaged {
                path: Repos::new(&data.join(repos::DIRECTORY)).path(&id),
                what: "a git repository has a record, but it is missing".to_owned(),
            });
        }
        let missing = verify(&partial)?;
        if let Some(blob) = missing {
            if attempt < ATTEMPTS {
                continue;
            }
            return Err(BackupError::Damaged {
                path: blobs.join(&blob),
                what: "an object has this blob, but it is missing".to_owned(),
            });
        }
        let manifest = Backup { format: FORMAT, sequence, files: copied.files, bytes: copied.bytes, bucket };
        finish(&partial, target, &manifest)?;
        return Ok(manifest);
    }
    Err(BackupError::NoData { path: data.to_owned() })
}

/// Copies the git repositories that the database of a backup has. They may be newer than that: what was pushed meanwhile is
/// recorded when the backup is used, as after a crash. Tells one that is missing, as it was deleted meanwhile.
fn copy_repositories(data: &Path, partial: &Path, copied: &mut Copied) -> Result<Option<String>, BackupError> {
    let (from, to) = (Repos::new(&data.join(repos::DIRECTORY)), partial.join(repos::DIRECTORY));
    // Of an attempt before this one.
    remove_tree(&to)?;
    for id in repository_ids(partial)? {
        make_directory(&to)?;
        let target = Repos::new(&to).path(&id);
        match Repos::copy(&from.path(&id), &target) {
            Err(_) if from.path(&id).symlink_metadata().is_err() => return Ok(Some(id)),
            other => other?,
        }
        copy::count(&target, copied)?;
    }
    Ok(None)
}

/// Ids of the git repositories that the database in a directory has.
fn repository_ids(directory: &Path) -> Result<Vec<String>, BackupError> {
    let store = Metadata::open(directory)?;
    let found = store
        .read(|view| view.git_repositories())
        .map_err(|e| BackupError::Damaged { path: directory.join(metadata::DATABASE), what: e.to_string() })?;
    Ok(found.into_iter().map(|record| record.id).collect())
}

fn finish(partial: &Path, target: &Path, manifest: &Backup) -> Result<(), BackupError> {
    let json = serde_json::to_vec(manifest).map_err(|e| failed("write", partial, e.into()))?;
    let path = partial.join(MANIFEST);
    fs::write(&path, json).map_err(|e| failed("write", &path, e))?;
    copy::sync_file_system(partial)?;
    fs::rename(partial, target).map_err(|e| failed("name", target, e))?;
    copy::sync_parent(target)
}

/// Checks a directory of a backup's form: every row, and that the root key is the right one. Tells a blob that an object
/// has and that is missing; blobs in a bucket are not looked for.
fn verify(directory: &Path) -> Result<Option<String>, BackupError> {
    let path = directory.join(metadata::DATABASE);
    let store = Metadata::open(directory)?;
    let damaged = |what: String| BackupError::Damaged { path: path.clone(), what };
    let found = store.check().map_err(|e| damaged(e.to_string()))?;
    if let Some(first) = found.first() {
        return Err(damaged(first.clone()));
    }
    let sealed = store.read(|view| view.all_key_versions()).map_err(|e| damaged(e.to_string()))?;
    if !sealed.is_empty() {
        Keys::open(&directory.join("keys"), &store, 0)?;
    }
    let blobs = directory.join("blobs");
    if matches!(Kept::of(&blobs)?, Kept::Bucket(_)) {
        return Ok(None);
    }
    let mut missing = None;
    store
        .read(|view| {
            view.each_blob(|blob| {
                if missing.is_none() && !blobs.join(blob).is_file() {
                    missing = Some(blob.to_owned());
                }
            })
        })
        .map_err(|e| damaged(e.to_string()))?;
    Ok(missing)
}

fn make_directory(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("make", path, e))
}

fn remove_tree(path: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> BackupError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackupError::DiskFull { path },
        _ => BackupError::Io { doing, path, source: Arc::new(source) },
    }
}
