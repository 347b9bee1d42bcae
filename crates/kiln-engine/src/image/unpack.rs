//! Unpacks one layer into a directory, in the form that overlayfs reads.
//!
//! The archive is hostile. Names are split into components, `..` is refused, and every operation names one component
//! beneath a directory descriptor that was reached without following links ([`tree`]); links in an archive's own paths
//! are followed by [`resolve`], which keeps within the layer by construction. Deletions (`.wh.*`, OCI image layer
//! specification, "Whiteouts") become character devices 0:0 and opaque directories. Device nodes are left out: they
//! could not be opened inside a user namespace. Attributes that steer overlayfs are dropped.

mod attributes;
mod resolve;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::ImageError;
use super::layers::{LayerForm, Lower};
use super::limits::Budget;
use super::tar::{Entry, EntryKind, Stream, TarError, TarReader};
use super::tree;

pub(crate) use attributes::Notes;
use resolve::Parent;

const WHITEOUT_PREFIX: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
/// Other names of this form are aufs's own files.
const AUFS_PREFIX: &[u8] = b".wh..wh.";
const BUFFER: usize = 128 * 1024;

/// What unpacking a layer made.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Bytes of all files, holes included.
    pub(crate) bytes: u64,
    /// Entries of the archive.
    pub(crate) entries: u64,
    /// What was left out or changed.
    pub(crate) notes: Notes,
}

/// Unpacks the tar archive `archive` into the empty directory `root`.
pub(crate) fn unpack(
    what: &str,
    archive: impl Read,
    root: OwnedFd,
    form: LayerForm,
    lower: &Lower<'_>,
    budget: &Budget,
) -> Result<Tally, ImageError> {
    let mut unpacker = Unpacker {
        what,
        root,
        form,
        lower,
        budget,
        dirs: BTreeMap::new(),
        tally: Tally { bytes: 0, entries: 0, notes: Notes::default() },
        buffer: vec![0; BUFFER],
    };
    let mut reader = TarReader::new(Stream(archive));
    while let Some(entry) = reader.next().map_err(|e| unpacker.tar_error(e, None))? {
        unpacker.budget.use_entry(what)?;
        unpacker.tally.entries += 1;
        unpacker.entry(&entry, &mut reader)?;
    }
    // The source holds what follows the archive; the caller reads it to its end for the digest.
    drop(reader.into_source());
    unpacker.finish()
}

/// A directory's mode and time, set when nothing is written into it any more.
struct DirEnd {
    mode: u32,
    mtime: (i64, u32),
}

struct Unpacker<'a> {
    what: &'a str,
    root: OwnedFd,
    form: LayerForm,
    lower: &'a Lower<'a>,
    budget: &'a Budget,
    /// By canonical path below the root; the root itself is the empty path.
    dirs: BTreeMap<Vec<u8>, DirEnd>,
    tally: Tally,
    buffer: Vec<u8>,
}

type Reader<R> = TarReader<Stream<R>>;

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, data: &mut Reader<R>) -> Result<(), ImageError> {
        let components = self.clean(&entry.path, "")?;
        let Some((name, parents)) = components.split_last() else {
            return self.root_entry(entry);
        };
        // Below directories that aufs kept for itself there is nothing that an image shows.
        if parents.iter().any(|c| c.starts_with(AUFS_PREFIX)) {
            return Ok(());
        }
        if let Some(bad) = parents.iter().find(|c| c.starts_with(WHITEOUT_PREFIX)) {
            return Err(
                self.refused(&entry.path, format!("lies below `{}`, the mark of a deleted file", bad.escape_ascii()))
            );
        }
        if name.starts_with(AUFS_PREFIX) && *name != OPAQUE_MARK {
            return Ok(());
        }
        let parent = self
            .parent(&components, parents, Some(entry.mtime))?
            .ok_or_else(|| self.refused(&entry.path, "has no parent directory"))?;
        if *name == OPAQUE_MARK {
            return tree::set_opaque(parent.dir.as_fd(), self.trusted())
                .map_err(self.failed("mark as replaced", &parent.path));
        }
        if let Some(deleted) = name.strip_prefix(WHITEOUT_PREFIX) {
            return self.delete_lower(&entry.path, &parent, deleted);
        }
        match entry.kind {
            EntryKind::File => self.file(entry, &parent, name, data),
            EntryKind::Dir => self.directory(entry, &parent, name),
            EntryKind::Symlink => self.symlink(entry, &parent, name),
            EntryKind::HardLink => self.hard_link(entry, &parent, name),
            EntryKind::Fifo => self.fifo(entry, &parent, name),
            EntryKind::CharDevice | EntryKind::BlockDevice => {
                self.tally.notes.device(&entry.path);
                Ok(())
            }
        }
    }

    /// The entry `./`: attributes for the root directory.
    fn root_entry(&mut self, entry: &Entry) -> Result<(), ImageError> {
        if entry.kind != EntryKind::Dir {
            return Err(self.refused(&entry.path, "names the root directory, but is no directory"));
        }
        let root = self.root.try_clone().map_err(ImageError::io("open", "/"))?;
        self.dir_attributes(entry, &root, Vec::new())
    }

    fn directory(&mut self, entry: &Entry, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let path = parent.child(name);
        let create = || fs::mkdirat(&parent.dir, OsStr::from_bytes(name), Mode::RWXU);
        let mut replaced = false;
        match create() {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let existing = tree::stat(&parent.dir, name).map_err(self.failed("examine", &path))?;
                if !existing.is_some_and(|s| tree::file_type(&s) == FileType::Directory) {
                    self.clear(parent, name)?;
                    create().map_err(self.failed("create", &path))?;
                    replaced = true;
                }
            }
            Err(e) => return Err(self.failed("create", &path)(e)),
        }
        let dir = tree::open_dir(&parent.dir, name).map_err(self.failed("open", &path))?;
        if replaced {
            // This layer deleted or replaced what was there, so nothing of a directory below may show through.
            tree::set_opaque(dir.as_fd(), self.trusted()).map_err(self.failed("mark as replaced", &path))?;
        }
        self.dir_attributes(entry, &dir, path)
    }

    fn dir_attributes(&mut self, entry: &Entry, dir: &OwnedFd, path: Vec<u8>) -> Result<(), ImageError> {
        let (uid, gid) = self.tally.notes.ids(entry);
        attributes::own(self.form, dir, uid, gid).map_err(self.failed("set the owner of", &path))?;
        self.tally
            .notes
            .set_xattrs(dir, &entry.path, &entry.xattrs)
            .map_err(self.failed("set the attributes of", &path))?;
        self.dirs.insert(path, DirEnd { mode: attributes::mode(entry), mtime: entry.mtime });
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        parent: &Parent,
        name: &[u8],
        data: &mut Reader<R>,
    ) -> Result<(), ImageError> {
        let path = parent.child(name);
        let logical = entry.sparse.as_ref().map_or(entry.size, |s| s.real_size);
        self.budget.use_bytes(self.what, logical)?;
        self.tally.bytes = self.tally.bytes.saturating_add(logical);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || fs::openat(&parent.dir, OsStr::from_bytes(name), flags, Mode::RUSR | Mode::WUSR);
        let created = match create() {
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                create()
            }
            created => created,
        };
        let mut file = File::from(created.map_err(self.failed("create", &path))?);
        self.write(entry, &mut file, data, &path)?;
        let (uid, gid) = self.tally.notes.ids(entry);
        // Changing the owner clears setuid bits and capabilities, so it comes first; user attributes can only be set
        // while the mode lets the owner write, so the mode comes last.
        attributes::own(self.form, &file, uid, gid).map_err(self.failed("set the owner of", &path))?;
        let set = self.tally.notes.set_xattrs(&file, &entry.path, &entry.xattrs);
        set.map_err(self.failed("set the attributes of", &path))?;
        let mode = Mode::from_raw_mode(attributes::mode(entry));
        fs::fchmod(&file, mode).map_err(self.failed("set the mode of", &path))?;
        fs::futimens(&file, &attributes::times(entry.mtime)).map_err(self.failed("set the time of", &path))
    }

    /// Writes a file's data: straight, or piece by piece with holes between.
    fn write<R: Read>(
        &mut self,
        entry: &Entry,
        file: &mut File,
        data: &mut Reader<R>,
        path: &[u8],
    ) -> Result<(), ImageError> {
        let Some(sparse) = &entry.sparse else {
            loop {
                let n = data.read_data(&mut self.buffer).map_err(|e| self.tar_error(e.into(), Some(&entry.path)))?;
                if n == 0 {
                    return Ok(());
                }
                let piece = self.buffer.get(..n).unwrap_or_default();
                file.write_all(piece).map_err(self.io_failed("write", path))?;
            }
        };
        file.set_len(sparse.real_size).map_err(self.io_failed("write", path))?;
        for (start, length) in &sparse.segments {
            let (mut at, mut left) = (*start, *length);
            while left > 0 {
                let want = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
                let room = self.buffer.get_mut(..want).unwrap_or_default();
                let n = data.read_data(room).map_err(|e| self.tar_error(e.into(), Some(&entry.path)))?;
                if n == 0 {
                    return Err(self.refused(&entry.path, "has less data than its map says"));
                }
                let piece = self.buffer.get(..n).unwrap_or_default();
                file.write_all_at(piece, at).map_err(self.io_failed("write", path))?;
                at = at.saturating_add(n as u64);
                left = left.saturating_sub(n as u64);
            }
        }
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        if entry.link.is_empty() {
            return Err(self.refused(&entry.path, "is a symbolic link to nothing"));
        }
        // The target is only text: it is resolved inside the container, or by `resolve`.
        let create = || fs::symlinkat(OsStr::from_bytes(&entry.link), &parent.dir, OsStr::from_bytes(name));
        let created = match create() {
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                create()
            }
            created => created,
        };
        created.map_err(|e| self.failed("create", &parent.child(name))(e))?;
        self.plain_attributes(entry, parent, name)
    }

    fn fifo(&mut self, entry: &Entry, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let create = || fs::mknodat(&parent.dir, OsStr::from_bytes(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
        let created = match create() {
            Err(Errno::EXIST) => {
                self.clear(parent, name)?;
                create()
            }
            created => created,
        };
        let path = parent.child(name);
        created.map_err(self.failed("create", &path))?;
        self.plain_attributes(entry, parent, name)?;
        // Just made here, and nobody else writes into this directory: it is no link.
        fs::chmodat(
            &parent.dir,
            OsStr::from_bytes(name),
            Mode::from_raw_mode(attributes::mode(entry)),
            AtFlags::empty(),
        )
        .map_err(self.failed("set the mode of", &path))
    }

    /// Owner and time of what cannot be opened. Extended attributes of links are dropped: only the host's root could
    /// give them any, and images have none.
    fn plain_attributes(&mut self, entry: &Entry, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let (uid, gid) = self.tally.notes.ids(entry);
        self.tally.notes.no_xattrs(entry);
        let path = parent.child(name);
        let os_name = OsStr::from_bytes(name);
        attributes::own_at(self.form, &parent.dir, os_name, uid, gid)
            .map_err(self.failed("set the owner of", &path))?;
        fs::utimensat(&parent.dir, os_name, &attributes::times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.failed("set the time of", &path))
    }

    fn hard_link(&mut self, entry: &Entry, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let target = self.clean(&entry.link, "link target ")?;
        let missing = |this: &Self| {
            this.refused(
                &entry.path,
                format!("is a hard link to `{}`, which does not exist", entry.link.escape_ascii()),
            )
        };
        let Some((target_name, target_parents)) = target.split_last() else {
            return Err(self.refused(&entry.path, "is a hard link to the root directory"));
        };
        if target_name.starts_with(WHITEOUT_PREFIX) {
            return Err(missing(self));
        }
        let from = self.parent(&target, target_parents, None)?.ok_or_else(|| missing(self))?;
        let from_path = from.child(target_name);
        let found = tree::stat(&from.dir, target_name).map_err(self.failed("examine", &from_path))?;
        let found = match found {
            Some(stat) => stat,
            None => {
                // The file is one of a lower layer: bring it up, as writing to it in a container would.
                self.copy_up(&from, target_name)?;
                tree::stat(&from.dir, target_name)
                    .map_err(self.failed("examine", &from_path))?
                    .ok_or_else(|| missing(self))?
            }
        };
        if tree::file_type(&found) == FileType::Directory || tree::is_whiteout(&found) {
            return Err(self
                .refused(&entry.path, format!("is a hard link to `{}`, which is no file", entry.link.escape_ascii())));
        }
        let existing = tree::stat(&parent.dir, name).map_err(|e| self.failed("examine", &parent.child(name))(e))?;
        if let Some(existing) = existing {
            if (existing.st_dev, existing.st_ino) == (found.st_dev, found.st_ino) {
                return Ok(());
            }
            self.clear(parent, name)?;
        }
        match fs::linkat(
            &from.dir,
            OsStr::from_bytes(target_name),
            &parent.dir,
            OsStr::from_bytes(name),
            AtFlags::empty(),
        ) {
            // Replacing the name removed a directory that held the target.
            Err(Errno::NOENT) => Err(missing(self)),
            result => result.map_err(|e| self.failed("link", &parent.child(name))(e)),
        }
    }

    /// `.wh.NAME`: hides NAME of the layers below. What this layer itself has of that name stays.
    fn delete_lower(&mut self, shown: &[u8], parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        if matches!(name, b"" | b"." | b"..") {
            return Err(self.refused(shown, "deletes nothing that can have a name"));
        }
        let path = parent.child(name);
        match tree::stat(&parent.dir, name).map_err(self.failed("examine", &path))? {
            Some(stat) if tree::file_type(&stat) == FileType::Directory => {
                let dir = tree::open_dir(&parent.dir, name).map_err(self.failed("open", &path))?;
                tree::set_opaque(dir.as_fd(), self.trusted()).map_err(self.failed("mark as replaced", &path))
            }
            Some(_) => Ok(()),
            // A mark over nothing would show up as a device: in a directory that no layer below has, overlayfs does not
            // look for them.
            None if self.below(parent, name)?.is_none() => Ok(()),
            None => fs::mknodat(&parent.dir, OsStr::from_bytes(name), FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(self.failed("mark as deleted", &path)),
        }
    }

    /// Removes what `name` is in this layer, for something else in its place.
    fn clear(&mut self, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let path = parent.child(name);
        tree::remove(parent.dir.as_fd(), name).map_err(self.io_failed("replace", &path))?;
        self.dirs.remove(&path);
        let below = [path.as_slice(), b"/"].concat();
        let gone: Vec<Vec<u8>> =
            self.dirs.range(below.clone()..).map(|(p, _)| p).take_while(|p| p.starts_with(&below)).cloned().collect();
        for path in gone {
            self.dirs.remove(&path);
        }
        Ok(())
    }

    /// Sets modes and times of directories, innermost first, now that nothing is written into them any more.
    fn finish(mut self) -> Result<Tally, ImageError> {
        if !self.dirs.contains_key(&[][..]) {
            let end = self.inherit_root()?;
            self.dirs.insert(Vec::new(), end);
        }
        for (path, end) in self.dirs.iter().rev() {
            let dir = tree::open_dir_beneath(&self.root, path).map_err(self.failed("open", path))?;
            fs::fchmod(&dir, Mode::from_raw_mode(end.mode)).map_err(self.failed("set the mode of", path))?;
            fs::futimens(&dir, &attributes::times(end.mtime)).map_err(self.failed("set the time of", path))?;
        }
        Ok(self.tally)
    }

    /// Gives the root directory the attributes that it has below, for archives without an entry for it. (At the end,
    /// since the layer below may still be at work.)
    fn inherit_root(&self) -> Result<DirEnd, ImageError> {
        let Some(top) = self.lower.top()? else {
            attributes::own(self.form, &self.root, 0, 0).map_err(self.failed("set the owner of", b""))?;
            return Ok(DirEnd { mode: 0o755, mtime: (0, 0) });
        };
        let stat = fs::fstat(&top).map_err(self.failed("examine", b""))?;
        attributes::copy_dir(self.form, &top, &self.root, &stat).map_err(self.failed("set the attributes of", b""))?;
        Ok(DirEnd { mode: stat.st_mode & 0o7777, mtime: attributes::mtime(&stat) })
    }

    /// Splits a name into its components. A leading slash means the layer's root; `..` is refused.
    fn clean<'p>(&self, path: &'p [u8], which: &str) -> Result<Vec<&'p [u8]>, ImageError> {
        let components: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|c| !matches!(*c, b"" | b".")).collect();
        for component in &components {
            if *component == b".." {
                return Err(self.refused(path, format!("{which}climbs out of its directory with `..`")));
            }
            if component.len() > 255 {
                return Err(self.refused(path, format!("{which}has a component longer than 255 bytes")));
            }
        }
        if components.len() > tree::MAX_DEPTH {
            return Err(self.refused(path, format!("{which}is nested more than {} directories deep", tree::MAX_DEPTH)));
        }
        Ok(components)
    }

    /// Whether the attributes of mounts by the host's root can be set.
    fn trusted(&self) -> bool {
        self.form == LayerForm::Host
    }

    fn refused(&self, path: &[u8], problem: impl std::fmt::Display) -> ImageError {
        let path: String = path.escape_ascii().to_string().chars().take(300).collect();
        ImageError::archive(self.what, format!("entry `{path}` {problem}"))
    }

    fn tar_error(&self, error: TarError, entry: Option<&[u8]>) -> ImageError {
        match error {
            TarError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => match entry {
                Some(path) => self.refused(path, "is cut off: the archive ends in the middle of it"),
                None => ImageError::archive(self.what, "the archive ends in the middle of an entry"),
            },
            TarError::Io(e) => ImageError::io("read", self.what)(e),
            malformed => ImageError::archive(self.what, malformed.to_string()),
        }
    }

    /// A path of the layer, for errors of the system.
    fn shown(&self, path: &[u8]) -> std::path::PathBuf {
        format!("{} in {}", if path.is_empty() { "/".into() } else { path.escape_ascii().to_string() }, self.what)
            .into()
    }

    /// Words a failed system call. (Called for each entry, several times: it does nothing until something fails.)
    fn failed<'e>(&'e self, action: &'static str, path: &'e [u8]) -> impl FnOnce(Errno) -> ImageError + 'e {
        move |errno| ImageError::sys(action, self.shown(path))(errno)
    }

    fn io_failed<'e>(&'e self, action: &'static str, path: &'e [u8]) -> impl FnOnce(io::Error) -> ImageError + 'e {
        move |error| ImageError::io(action, self.shown(path))(error)
    }
}
