//! Mirrors of repositories, which `LOCAL_SOURCE_CACHE` keeps so that the next build of a project fetches only what is new.
//!
//! A mirror belongs to one project and one repository. It is used only behind a fetch that the server has just answered
//! with the source's credentials of today, and is never another project's: who may not read a repository gets nothing of it
//! from here. One build at a time works on it; the others wait, or go without.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{fs::FlockOperation, io::Errno};
use sha2::{Digest as _, Sha256};

/// Bytes that one mirror may have.
pub(super) const MOST_BYTES: u64 = 10 << 30;
/// Digits of a mirror's id.
const DIGITS: usize = 16;
/// What the lock of a mirror is called, behind its directory's name. Its time of change is when the mirror was used last.
const LOCK: &str = ".lock";
/// The directory in which git works.
const CONTENT: &str = "content";
/// Who owns it, where root made it: an id of the range for containers, behind those of sandboxes, so that a git that was
/// tricked leaves nothing that belongs to the machine's root.
const OWNER: u32 = 0x6000_0000;

/// Directory of all mirrors.
#[must_use]
pub fn mirrors(data: &Path) -> PathBuf {
    data.join("cache/git")
}

/// Where the mirror of a repository is kept: `namespace` says which builds share it, `name` shows people whose it is.
#[must_use]
pub fn mirror(data: &Path, name: &str, namespace: &str, url: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let name: String = name.chars().take(64).map(plain).collect();
    let mut hash = Sha256::new();
    for text in [namespace, url] {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    let digest = hex::encode(hash.finalize());
    mirrors(data).join(format!("{name}-{}", digest.get(..DIGITS).unwrap_or_default()))
}

/// A mirror that is there.
#[derive(Debug, Clone)]
pub struct MirrorInfo {
    /// Its directory.
    pub dir: PathBuf,
    /// The name in what [`mirror`] answered.
    pub name: String,
    /// The id in it.
    pub id: String,
    /// The repository, without credentials.
    pub url: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
}

/// A mirror that nobody else uses now.
#[derive(Debug)]
pub(super) struct Held {
    /// The directory in which git works.
    pub(super) content: PathBuf,
    lock: File,
}

impl Held {
    /// Takes the mirror, making an empty one where there is none. `None`: somebody else has it.
    pub(super) fn take(dir: &Path, url: &str) -> io::Result<Option<Self>> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent)?;
        }
        let Some(lock) = lock(dir)? else { return Ok(None) };
        let content = dir.join(CONTENT);
        if !content.is_dir() {
            // The url last: what lacks it was not made whole.
            remove_tree(dir)?;
            fs::DirBuilder::new().mode(0o700).create(dir)?;
            fs::DirBuilder::new().mode(0o755).create(&content)?;
            if rustix::process::geteuid().is_root() {
                chown(&content, Some(OWNER), Some(OWNER))?;
            }
        }
        fs::write(dir.join("url"), url)?;
        Ok(Some(Self { content, lock }))
    }

    /// Bytes of it, as far as `most` are not reached.
    pub(super) fn bytes(&self) -> u64 {
        size(&self.content)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // So that its time is that of its last use; for the order alone in which mirrors go.
        self.lock.set_len(0).and_then(|()| self.lock.write_all(b"\n")).ok();
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    let mut path = dir.as_os_str().to_owned();
    path.push(LOCK);
    path.into()
}

/// `None`: somebody has it.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let lock = File::options().create(true).append(true).open(lock_path(dir))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Bytes on the disk of what is below a directory. What cannot be read, or goes meanwhile, counts nothing.
fn size(dir: &Path) -> u64 {
    let (mut todo, mut bytes) = (vec![dir.to_path_buf()], 0_u64);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            // Of the entry itself: links are not followed.
            let Ok(meta) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(meta.blocks() * 512);
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    bytes
}

/// The mirrors of a data directory, the one used last first.
///
/// # Errors
/// When their directory is there and cannot be read.
pub fn list(data: &Path) -> io::Result<Vec<MirrorInfo>> {
    let entries = match fs::read_dir(mirrors(data)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for dir in entries.flatten().map(|entry| entry.path()).filter(|dir| dir.join(CONTENT).is_dir()) {
        let Some((name, id)) = dir.file_name().and_then(|name| name.to_str()?.rsplit_once('-')) else { continue };
        found.push(MirrorInfo {
            name: name.to_owned(),
            id: id.to_owned(),
            url: fs::read_to_string(dir.join("url")).unwrap_or_default(),
            bytes: size(&dir),
            used: fs::metadata(lock_path(&dir)).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH),
            dir,
        });
    }
    found.sort_by(|one, other| other.used.cmp(&one.used).then_with(|| one.dir.cmp(&other.dir)));
    Ok(found)
}

/// Deletes a mirror. False: a build works on it.
///
/// # Errors
/// What the file system answers.
pub fn remove(dir: &Path) -> io::Result<bool> {
    let Some(_lock) = lock(dir)? else { return Ok(false) };
    remove_tree(dir)?;
    Ok(true)
}

/// Deletes those that were not used for longest until the rest fits; what is in use stays. Answers how many.
///
/// # Errors
/// As [`list`] and [`remove`].
pub fn prune(data: &Path, budget: u64) -> io::Result<u64> {
    let (mut kept, mut removed) = (0_u64, 0_u64);
    for mirror in list(data)? {
        let with = kept.saturating_add(mirror.bytes);
        if with > budget && remove(&mirror.dir)? {
            removed += 1;
        } else {
            kept = with;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_of_one_project_and_one_repository() {
        let at = |namespace, url| mirror(Path::new("/data"), "my ../project", namespace, url);
        let one = at("000000000000:p:1", "https://h/r");
        assert_eq!(one.parent(), Some(Path::new("/data/cache/git")));
        assert!(one.file_name().unwrap().to_str().unwrap().starts_with("my----project-"));
        assert_ne!(at("000000000000:p:2", "https://h/r"), one);
        assert_ne!(at("000000000000:p:1", "https://h/r2"), one);
        assert_ne!(at("000000000000:p:1h", "ttps://h/r"), one);
    }

    #[test]
    fn those_used_last_stay_and_one_in_use_always_does() {
        let data = tempfile::tempdir().unwrap();
        let dirs = ["a", "b", "c"].map(|name| mirror(data.path(), name, "n", name));
        for (n, dir) in dirs.iter().enumerate() {
            let held = Held::take(dir, "https://h/r").unwrap().unwrap();
            fs::write(held.content.join("pack"), vec![7; 100_000]).unwrap();
            assert!(held.bytes() >= 100_000);
            drop(held);
            let when = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + n as u64);
            File::open(lock_path(dir)).unwrap().set_modified(when).unwrap();
        }
        let names = || list(data.path()).unwrap().into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(), ["c", "b", "a"]);
        let held = Held::take(&dirs[0], "https://h/r").unwrap().unwrap();
        assert!(Held::take(&dirs[0], "https://h/r").unwrap().is_none());
        assert!(!remove(&dirs[0]).unwrap());
        assert_eq!(prune(data.path(), 150_000).unwrap(), 1);
        drop(held);
        let mut left = names();
        left.sort();
        assert_eq!(left, ["a", "c"]);
        assert_eq!(prune(data.path(), 0).unwrap(), 2);
        assert_eq!(names(), [""; 0]);
    }
}
