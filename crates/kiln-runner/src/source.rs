//! Reads files of the source directory on the host, never following a link out of it (DESIGN decision 7).

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use kiln_engine::openat2;
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat},
    io::Errno,
};

/// A file of the source that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// It is not there.
    #[error("{0}: no such file or directory")]
    Missing(PathBuf),
    /// It, or a link on the way to it, leads out of the source directory.
    #[error("{0} leads out of the source directory")]
    Outside(PathBuf),
    /// It is not a regular file.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    /// It is larger than asked for.
    #[error("{path} is larger than {limit} bytes")]
    TooLarge {
        /// Path.
        path: PathBuf,
        /// Limit in bytes.
        limit: u64,
    },
    /// Anything else.
    #[error("{path}: {source}")]
    Io {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// The root of a source.
#[derive(Debug)]
pub(crate) struct SourceRoot {
    dir: OwnedFd,
}

impl SourceRoot {
    /// Opens the directory.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(dir: &Path) -> Result<Self, SourceError> {
        openat(CWD, dir, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map(|dir| Self { dir })
            .map_err(|e| SourceError::Io { path: dir.to_owned(), source: e.into() })
    }

    /// Reads a regular file beneath the root.
    ///
    /// # Errors
    /// When there is none, when it lies outside, or when it is larger than `limit` bytes.
    pub(crate) fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
        let owned = || path.to_owned();
        let io_error = |source| SourceError::Io { path: owned(), source };
        // NONBLOCK: opening a FIFO must not hang.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(self.dir.as_fd(), path, flags, Mode::empty(), resolve).map_err(|e| match e {
            Errno::NOENT | Errno::NOTDIR => SourceError::Missing(owned()),
            Errno::XDEV | Errno::LOOP => SourceError::Outside(owned()),
            e => io_error(e.into()),
        })?;
        let file = File::from(file);
        if !file.metadata().map_err(io_error)?.is_file() {
            return Err(SourceError::NotAFile(owned()));
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io_error)?;
        if bytes.len() as u64 > limit {
            return Err(SourceError::TooLarge { path: owned(), limit });
        }
        Ok(bytes)
    }

    /// The commit that the working tree stands on, read from `.git` without running git (whose configuration belongs to
    /// the repository). `None` when there is none, or when `.git` is a link to elsewhere (worktrees, submodules).
    #[must_use]
    pub(crate) fn git_commit(&self) -> Option<String> {
        let head = self.text(".git/HEAD")?;
        let commit = match head.strip_prefix("ref: ") {
            None => head,
            Some(reference) if reference.starts_with("refs/") && !reference.split('/').any(|part| part == "..") => {
                match self.text(&format!(".git/{reference}")) {
                    Some(commit) => commit,
                    None => self.packed_ref(reference)?,
                }
            }
            Some(_) => return None,
        };
        let hex = commit.len() == 40 || commit.len() == 64;
        (hex && commit.bytes().all(|b| b.is_ascii_hexdigit())).then_some(commit)
    }

    fn packed_ref(&self, reference: &str) -> Option<String> {
        let refs = self.read(Path::new(".git/packed-refs"), 8 << 20).ok()?;
        String::from_utf8_lossy(&refs)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, name)| *name == reference)
            .map(|(commit, _)| commit.to_owned())
    }

    fn text(&self, path: &str) -> Option<String> {
        let bytes = self.read(Path::new(path), 4096).ok()?;
        Some(String::from_utf8(bytes).ok()?.trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_may_not_lead_out_of_the_source() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("ci")).unwrap();
        fs::write(dir.path().join("ci/real.yml"), "x").unwrap();
        symlink("ci/real.yml", dir.path().join("inside.yml")).unwrap();
        symlink("/etc/passwd", dir.path().join("absolute.yml")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("out.yml")).unwrap();
        rustix::fs::mknodat(CWD, dir.path().join("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let root = SourceRoot::open(dir.path()).unwrap();
        let read = |path: &str| root.read(Path::new(path), 100);
        assert_eq!(read("inside.yml").unwrap(), b"x");
        for path in ["absolute.yml", "out.yml", "../x", "/etc/passwd", "ci/../../x"] {
            assert!(matches!(read(path), Err(SourceError::Outside(_))), "{path}: {:?}", read(path));
        }
        assert!(matches!(read("none.yml"), Err(SourceError::Missing(_))));
        assert!(matches!(read("ci"), Err(SourceError::NotAFile(_))));
        assert!(matches!(read("fifo"), Err(SourceError::NotAFile(_))));
        fs::write(dir.path().join("large"), vec![b'x'; 101]).unwrap();
        assert!(matches!(read("large"), Err(SourceError::TooLarge { limit: 100, .. })));
    }

    #[test]
    fn the_commit_is_read_from_loose_and_packed_refs() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        let root = SourceRoot::open(dir.path()).unwrap();
        assert_eq!(root.git_commit(), None);
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(git.join("packed-refs"), format!("# pack-refs with: peeled\n{b} refs/heads/main\n")).unwrap();
        assert_eq!(root.git_commit(), Some(b));
        fs::write(git.join("refs/heads/main"), format!("{a}\n")).unwrap();
        assert_eq!(root.git_commit(), Some(a));
        fs::write(git.join("HEAD"), "ref: refs/../../../etc/passwd\n").unwrap();
        assert_eq!(root.git_commit(), None);
    }
}
