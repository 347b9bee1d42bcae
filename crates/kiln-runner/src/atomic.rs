//! Files that appear whole or not at all: written without a name, synced, then given one.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

/// What happens when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The new file takes its place.
    Replace,
    /// The old file stays, the new one is dropped.
    Keep,
}

/// A file that has no name yet. Dropped, or its process killed, it leaves nothing (where the file system has no
/// nameless files: a hidden file, which a drop removes).
#[derive(Debug)]
pub(crate) struct AtomicFile {
    file: Option<File>,
    directory: OwnedFd,
    /// Hidden name, where the file system has no nameless files.
    hidden: Option<OsString>,
}

impl AtomicFile {
    /// Opens a file for reading and writing in `directory`, mode 0600.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        let directory = open_directory(directory)?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        match fs::openat(&directory, ".", flags | OFlags::TMPFILE, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self { file: Some(File::from(file)), directory, hidden: None }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                let (name, file) = with_hidden_name(|name| {
                    fs::openat(&directory, name, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)
                })?;
                Ok(Self { file: Some(File::from(file)), directory, hidden: Some(name) })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The file, to be handed to whoever writes it (the same open file; [`Self::persist`] names it).
    pub(crate) fn try_clone(&self) -> io::Result<File> {
        self.file.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?.try_clone()
    }

    /// Syncs the file and gives it `name` in its directory, then syncs the directory. Returns false when the name was
    /// taken and [`Taken::Keep`] asked for.
    pub(crate) fn persist(mut self, name: &str, taken: Taken) -> io::Result<bool> {
        let Some(file) = self.file.take() else { return Err(io::ErrorKind::NotFound.into()) };
        file.sync_all()?;
        let named = match self.hidden.take() {
            Some(hidden) => {
                let done = match taken {
                    Taken::Replace => fs::renameat(&self.directory, &hidden, &self.directory, name),
                    Taken::Keep => fs::linkat(&self.directory, &hidden, &self.directory, name, AtFlags::empty()),
                };
                if done.is_err() || taken == Taken::Keep {
                    self.hidden = Some(hidden); // removed by drop
                }
                done
            }
            None => {
                let source = format!("/proc/self/fd/{}", file.as_raw_fd());
                let link = |to: &Path| fs::linkat(CWD, &source, &self.directory, to, AtFlags::SYMLINK_FOLLOW);
                match (link(Path::new(name)), taken) {
                    (Err(Errno::EXIST), Taken::Replace) => {
                        let (hidden, ()) = with_hidden_name(|hidden| link(hidden))?;
                        fs::renameat(&self.directory, &hidden, &self.directory, name).inspect_err(|_| {
                            // The error is what matters; a name that cannot be removed either is swept by its owner.
                            fs::unlinkat(&self.directory, &hidden, AtFlags::empty()).ok();
                        })
                    }
                    (done, _) => done,
                }
            }
        };
        match (named, taken) {
            (Ok(()), _) => {
                fs::fsync(&self.directory)?;
                Ok(true)
            }
            (Err(Errno::EXIST), Taken::Keep) => Ok(false),
            (Err(e), _) => Err(e.into()),
        }
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(name) = &self.hidden {
            // Nobody is left to tell; the name marks it as unfinished.
            fs::unlinkat(&self.directory, name, AtFlags::empty()).ok();
        }
    }
}

/// Opens a directory for use with the `*at` calls.
pub(crate) fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(fs::openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Makes a directory with a hidden unique name (mode 0700) in `parent`; returns its name and descriptor.
pub(crate) fn hidden_directory(parent: BorrowedFd<'_>) -> io::Result<(OsString, OwnedFd)> {
    let (name, ()) = with_hidden_name(|name| fs::mkdirat(parent, name, Mode::RWXU))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(parent, &name, flags, Mode::empty())?;
    Ok((name, fd))
}

/// Splits a target path into its directory and last component.
pub(crate) fn split_target(path: &Path) -> io::Result<(PathBuf, &str)> {
    let name = path.file_name().and_then(|n| n.to_str());
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file in UTF-8"))?;
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok((parent, name))
}

/// Calls `make` with random hidden names until one is free.
fn with_hidden_name<T>(mut make: impl FnMut(&Path) -> Result<T, Errno>) -> io::Result<(OsString, T)> {
    loop {
        let name = OsString::from_vec(format!(".kiln-{:016x}.partial", fastrand::u64(..)).into_bytes());
        match make(Path::new(&name)) {
            Ok(made) => return Ok((name, made)),
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Removes what `name` in `parent` holds, following no link.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    // The standard library's removal is safe against links swapped in meanwhile; it wants a path.
    let path = PathBuf::from(format!("/proc/self/fd/{}", parent.as_fd().as_raw_fd())).join(name);
    std::fs::remove_dir_all(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut v: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        v.sort();
        v
    }

    #[test]
    fn a_file_has_no_name_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let file = AtomicFile::create(dir.path()).unwrap();
        file.try_clone().unwrap().write_all(b"one").unwrap();
        assert!(names(dir.path()).iter().all(|n| n.starts_with('.')));
        assert!(file.persist("a", Taken::Keep).unwrap());
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"one");

        let file = AtomicFile::create(dir.path()).unwrap();
        file.try_clone().unwrap().write_all(b"two").unwrap();
        assert!(!file.persist("a", Taken::Keep).unwrap());
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"one");

        let file = AtomicFile::create(dir.path()).unwrap();
        file.try_clone().unwrap().write_all(b"three").unwrap();
        assert!(file.persist("a", Taken::Replace).unwrap());
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"three");

        drop(AtomicFile::create(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["a"]);
    }
}
