//! Artifacts and reports as plain files (packaging NONE, `buildspec.md` 9.1).
//!
//! Everything is first written into a hidden directory beside the target, beneath which every name is opened with
//! `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)`: whatever names and links a build sends, nothing outside is touched
//! (`security.md` 5.4, `reliability.md` 26). Then it gets its name, or its files are moved into a directory that is
//! there already.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use kiln_engine::openat2;
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, Timespec, Timestamps},
    io::Errno,
};

use crate::{
    atomic::{hidden_directory, open_directory, remove_tree, split_target},
    entry::{BadPath, Entry, EntryKind, OutputLimits, check_path, printable, stays_inside},
    zip::Notes,
};

/// Why files could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file was left out: its content broke off. The others can follow.
    #[error("'{path}' was not stored: {source}")]
    Content {
        /// The entry.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// An entry has a name that cannot be stored.
    #[error("the path '{path}' {why}")]
    Path {
        /// The entry.
        path: String,
        /// Why.
        why: BadPath,
    },
    /// Two entries want to be a file and a directory of the same name.
    #[error("'{path}' cannot be stored: another entry has made it, or what leads to it, a file of another kind")]
    Clash {
        /// The entry.
        path: String,
    },
    /// There is more than allowed.
    #[error("there is more to store than allowed: more than {limit} {what}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The host refused: disk full, no permission, …
    #[error("cannot write {}: {source}", target.display())]
    Write {
        /// What was to be written.
        target: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A finished directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectorySummary {
    /// Files and links.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// What was done differently from what was asked, for the build's log.
    pub notes: Vec<String>,
}

/// Up to this many files are synced one by one; more of them together with everything else on their file system, which
/// then costs less although it may wait for what other programs have written.
const SYNCED_ALONE: u64 = 64;

/// Writes files beneath one directory.
#[derive(Debug)]
pub struct DirectoryWriter {
    target: PathBuf,
    /// The target itself when it was there from the start (it may be a mount point), else the directory to hold it.
    parent: OwnedFd,
    into_existing: bool,
    /// Hidden name in `parent`; `None` once it has the target's.
    hidden: Option<OsString>,
    root: OwnedFd,
    limits: OutputLimits,
    summary: DirectorySummary,
    notes: Notes,
    buffer: Vec<u8>,
    /// The directory of the entry before: files of one directory follow each other.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl DirectoryWriter {
    /// Begins; what is given will appear as or in `target`. The directory that holds the target must exist.
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Write`] when no directory can be made beside the target.
    pub fn create(target: &Path, limits: OutputLimits) -> Result<Self, DirectoryError> {
        let begin = || -> io::Result<_> {
            let (parent, _) = split_target(target)?;
            let (parent, into_existing) = match open_directory(target) {
                Ok(existing) => (existing, true),
                Err(e) if e.kind() == io::ErrorKind::NotFound => (open_directory(&parent)?, false),
                Err(e) => return Err(e),
            };
            let (hidden, root) = hidden_directory(parent.as_fd())?;
            Ok((parent, into_existing, hidden, root))
        };
        let (parent, into_existing, hidden, root) =
            begin().map_err(|source| DirectoryError::Write { target: target.to_owned(), source })?;
        Ok(Self {
            target: target.to_owned(),
            parent,
            into_existing,
            hidden: Some(hidden),
            root,
            limits,
            summary: DirectorySummary { entries: 0, bytes: 0, notes: Vec::new() },
            notes: Notes::default(),
            buffer: vec![0; 256 << 10],
            last_parent: None,
        })
    }

    /// Adds an entry with its content (`io::empty()` for anything but a file). Of two with the same path the later one
    /// counts, with a note. Links that could leave the directory are left out with a note.
    ///
    /// # Errors
    ///
    /// After [`DirectoryError::Content`] the file is not there and the next entry may follow; every other error ends the
    /// directory.
    pub fn entry(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> Result<(), DirectoryError> {
        check_path(entry.path).map_err(|why| DirectoryError::Path { path: printable(entry.path), why })?;
        self.summary.entries = self.summary.entries.saturating_add(1);
        if self.summary.entries > self.limits.entries {
            return Err(DirectoryError::Limit { limit: self.limits.entries, what: "files" });
        }
        let (parent, name) = match entry.path.iter().rposition(|&b| b == b'/') {
            Some(at) => (entry.path.get(..at).unwrap_or_default(), entry.path.get(at + 1..).unwrap_or_default()),
            None => (&b""[..], entry.path),
        };
        let name = OsStr::from_bytes(name);
        let directory = self.parent(parent).map_err(|e| self.refused(entry, e))?;
        let done = match entry.kind {
            EntryKind::Directory => match fs::mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                Err(Errno::EXIST) => fs::openat(&directory, name, DIRECTORY, Mode::empty()).map(drop),
                done => done,
            }
            .map_err(|e| self.refused(entry, e)),
            EntryKind::Symlink { target } if stays_inside(entry.path, target) => {
                let target = OsStr::from_bytes(target);
                self.replacing(entry, &directory, name, || fs::symlinkat(target, &directory, name))
            }
            EntryKind::Symlink { target } => {
                self.summary.entries = self.summary.entries.saturating_sub(1);
                self.notes.add(format!(
                    "left out '{}': the link points outside of the artifact, to '{}'",
                    printable(entry.path),
                    printable(target)
                ));
                Ok(())
            }
            EntryKind::File => self.file(entry, &directory, name, content),
        };
        self.last_parent = Some((parent.to_vec(), directory));
        done
    }

    /// Syncs everything and gives it the target's name. When the target was there before, the files are moved into it,
    /// one by one, replacing those of the same names; nothing is removed, as in a bucket
    /// (`buildspec.md` 9.2).
    ///
    /// # Errors
    ///
    /// [`DirectoryError::Write`].
    pub fn finish(mut self) -> Result<DirectorySummary, DirectoryError> {
        self.last_parent = None;
        self.publish().map_err(|source| DirectoryError::Write { target: self.target.clone(), source })?;
        let mut summary =
            std::mem::replace(&mut self.summary, DirectorySummary { entries: 0, bytes: 0, notes: Vec::new() });
        summary.notes = std::mem::take(&mut self.notes).into_lines();
        Ok(summary)
    }

    fn publish(&mut self) -> io::Result<()> {
        if self.summary.entries > SYNCED_ALONE {
            fs::syncfs(&self.root)?;
        }
        fs::fchmod(&self.root, Mode::from_raw_mode(0o755))?;
        let Some(hidden) = &self.hidden else { return Ok(()) };
        if self.into_existing {
            merge(self.root.as_fd(), self.parent.as_fd())?;
            return Ok(fs::fsync(&self.parent)?);
        }
        let (_, name) = split_target(&self.target)?;
        match fs::renameat(&self.parent, hidden, &self.parent, name) {
            Ok(()) => self.hidden = None,
            // Someone made it meanwhile.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                merge(self.root.as_fd(), open_directory(&self.target)?.as_fd())?;
            }
            Err(e) => return Err(e.into()),
        }
        fs::fsync(&self.parent)?;
        Ok(())
    }

    /// Opens the directory `path` beneath the root, making what is missing of it.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if let Some((last, fd)) = self.last_parent.take()
            && last == path
        {
            return Ok(fd);
        }
        let whole = if path.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(path) };
        match openat2(&self.root, whole, DIRECTORY, Mode::empty(), BENEATH) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let mut at = self.root.try_clone().map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::MFILE))?;
        for component in path.split(|&b| b == b'/') {
            let component = OsStr::from_bytes(component);
            match fs::mkdirat(&at, component, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            at = openat2(&at, component, DIRECTORY, Mode::empty(), BENEATH)?;
        }
        Ok(at)
    }

    fn file(
        &mut self,
        entry: &Entry<'_>,
        directory: &OwnedFd,
        name: &OsStr,
        content: &mut dyn Read,
    ) -> Result<(), DirectoryError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened = None;
        self.replacing(entry, directory, name, || {
            opened = Some(openat2(directory, name, flags, Mode::RUSR | Mode::WUSR, BENEATH)?);
            Ok(())
        })?;
        let Some(file) = opened else { return Ok(()) };
        let mut file = File::from(file);
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(n) => self.buffer.get(..n).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    fs::unlinkat(directory, name, AtFlags::empty()).map_err(|e| self.refused(entry, e))?;
                    return Err(DirectoryError::Content { path: printable(entry.path), source });
                }
            };
            self.summary.bytes = self.summary.bytes.saturating_add(read.len() as u64);
            if self.summary.bytes > self.limits.bytes {
                return Err(DirectoryError::Limit { limit: self.limits.bytes, what: "bytes" });
            }
            file.write_all(read)
                .map_err(|source| DirectoryError::Write { target: self.target.join(printable(entry.path)), source })?;
        }
        let stamp = Timespec {
            tv_sec: entry.mtime_ns.div_euclid(1_000_000_000),
            tv_nsec: entry.mtime_ns.rem_euclid(1_000_000_000),
        };
        fs::fchmod(&file, Mode::from_raw_mode(entry.mode & 0o777))
            .and_then(|()| fs::futimens(&file, &Timestamps { last_access: stamp, last_modification: stamp }))
            .and_then(|()| if self.summary.entries <= SYNCED_ALONE { fs::fsync(&file) } else { Ok(()) })
            .map_err(|e| self.refused(entry, e))
    }

    /// Makes something under a name, removing a file or link that has it.
    fn replacing(
        &mut self,
        entry: &Entry<'_>,
        directory: &OwnedFd,
        name: &OsStr,
        mut make: impl FnMut() -> Result<(), Errno>,
    ) -> Result<(), DirectoryError> {
        match make() {
            Err(Errno::EXIST) => {
                fs::unlinkat(directory, name, AtFlags::empty()).map_err(|e| self.refused(entry, e))?;
                self.summary.entries = self.summary.entries.saturating_sub(1);
                self.notes.add(format!("'{}' was given more than once: the last one counts", printable(entry.path)));
                make().map_err(|e| self.refused(entry, e))
            }
            done => done.map_err(|e| self.refused(entry, e)),
        }
    }

    fn refused(&self, entry: &Entry<'_>, errno: Errno) -> DirectoryError {
        match errno {
            Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::XDEV | Errno::NOTEMPTY => {
                DirectoryError::Clash { path: printable(entry.path) }
            }
            e => DirectoryError::Write { target: self.target.join(printable(entry.path)), source: e.into() },
        }
    }
}

impl Drop for DirectoryWriter {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // Nobody is left to tell; the hidden name marks it as unfinished.
            remove_tree(self.parent.as_fd(), Path::new(hidden)).ok();
        }
    }
}

/// Moves every file beneath `from` to the same place beneath `to`. Holds two directories open at a time, however deep
/// the tree is.
fn merge(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    let mut todo = vec![PathBuf::from(".")];
    while let Some(path) = todo.pop() {
        let from = openat2(from, &path, DIRECTORY, Mode::empty(), BENEATH)?;
        let to = openat2(to, &path, DIRECTORY, Mode::empty(), BENEATH)?;
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut listing = RawDir::new(&from, buffer.spare_capacity_mut());
        let mut files = Vec::new();
        while let Some(item) = listing.next() {
            let item = item?;
            let name = OsStr::from_bytes(item.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") {
            } else if item.file_type() == FileType::Directory {
                match fs::mkdirat(&to, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => todo.push(path.join(name)),
                    Err(e) => return Err(e.into()),
                }
            } else {
                files.push(name.to_owned());
            }
        }
        for name in files {
            fs::renameat(&from, &name, &to, &name)?;
        }
    }
    Ok(())
}
