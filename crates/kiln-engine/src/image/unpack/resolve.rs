//! Finds the directory that an entry goes into.
//!
//! An archive may name its entries through links (`lib/x.so` where `lib` links to `usr/lib`), of this layer or of one
//! below, and may leave out entries for parent directories. Writers of layers count on the first, since docker unpacks
//! onto the image's whole tree, and tools that make layers without running anything do the second. So each component is
//! looked up in this layer, then in those below; links are followed here, by hand, within the layer; a directory that
//! only exists below is made anew with the attributes it has there.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::super::error::ImageError;
use super::super::layers::Found;
use super::super::tree;
use super::{DirEnd, Unpacker, attributes};

/// As many links in one path as Linux follows.
const MAX_LINKS: u32 = 40;
const MAX_PATH: usize = 4095;

/// A directory of the layer being unpacked.
pub(super) struct Parent {
    pub(super) dir: OwnedFd,
    /// Its path below the root, free of links; empty for the root.
    pub(super) path: Vec<u8>,
}

impl Parent {
    /// Path of `name` in it.
    pub(super) fn child(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, name].join(&b'/') }
    }
}

impl Unpacker<'_> {
    /// Opens the directory `parents` of the entry `entry`. With `create`, what exists nowhere is made and gets that
    /// time; without, `None` says that it is missing.
    pub(super) fn parent(
        &mut self,
        entry: &[&[u8]],
        parents: &[&[u8]],
        create: Option<(i64, u32)>,
    ) -> Result<Option<Parent>, ImageError> {
        let path = parents.join(&b'/');
        // Nearly always all of it is there and free of links: one system call.
        match tree::open_dir_beneath(&self.root, &path) {
            Ok(dir) => return Ok(Some(Parent { dir, path })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {}
            Err(e) => return Err(self.failed("open", &path)(e)),
        }
        self.walk(entry, parents, create)
    }

    fn walk(
        &mut self,
        entry: &[&[u8]],
        parents: &[&[u8]],
        create: Option<(i64, u32)>,
    ) -> Result<Option<Parent>, ImageError> {
        let shown = entry.join(&b'/');
        let mut pending: Vec<Vec<u8>> = parents.iter().rev().map(|c| c.to_vec()).collect();
        let mut at = Parent { dir: self.root.try_clone().map_err(ImageError::io("open", "/"))?, path: Vec::new() };
        let mut links = 0;
        while let Some(component) = pending.pop() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    let end = at.path.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    at.path.truncate(end);
                    at.dir = tree::open_dir_beneath(&self.root, &at.path).map_err(self.failed("open", &at.path))?;
                    continue;
                }
                _ => {}
            }
            let path = at.child(&component);
            if path.len() > MAX_PATH || component.len() > 255 || path.split(|b| *b == b'/').count() > tree::MAX_DEPTH {
                return Err(self.refused(&shown, "leads through links to a path that is too long"));
            }
            let here = tree::stat(&at.dir, &component).map_err(self.failed("examine", &path))?;
            let below = match here {
                Some(_) => None,
                None => self.below(&at, &component)?,
            };
            let link = match (&here, &below) {
                (Some(stat), _) if tree::file_type(stat) == FileType::Symlink => {
                    Some(fs::readlinkat(&at.dir, OsStr::from_bytes(&component), Vec::new()))
                }
                (None, Some(found)) if tree::file_type(&found.stat) == FileType::Symlink => {
                    Some(fs::readlinkat(&found.parent, OsStr::from_bytes(&component), Vec::new()))
                }
                _ => None,
            };
            if let Some(target) = link {
                let target = target.map_err(self.failed("read the link", &path))?;
                links += 1;
                if links > MAX_LINKS {
                    return Err(self.refused(&shown, "leads through too many links"));
                }
                if target.as_bytes().starts_with(b"/") {
                    at = Parent { dir: self.root.try_clone().map_err(ImageError::io("open", "/"))?, path: Vec::new() };
                }
                pending.extend(target.as_bytes().split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
                continue;
            }
            match (here, below) {
                (Some(stat), _) if tree::file_type(&stat) == FileType::Directory => {}
                (Some(stat), _) if tree::is_whiteout(&stat) => {
                    let Some(mtime) = create else { return Ok(None) };
                    // Deleted earlier in this layer, and made anew: nothing from below may show in it.
                    self.clear(&at, &component)?;
                    self.make(&at, &component, None, mtime, true)?;
                }
                (None, Some(found)) if tree::file_type(&found.stat) == FileType::Directory => {
                    self.make(&at, &component, Some(&found), (0, 0), false)?;
                }
                (None, None) => {
                    let Some(mtime) = create else { return Ok(None) };
                    self.make(&at, &component, None, mtime, false)?;
                }
                _ => {
                    return Err(self.refused(&shown, format!("lies below `{}`, which is a file", path.escape_ascii())));
                }
            }
            at.dir = tree::open_dir(&at.dir, &component).map_err(self.failed("open", &path))?;
            at.path = path;
        }
        Ok(Some(at))
    }

    /// What the layers below show as `name` in `parent`, unless this layer hides it.
    pub(super) fn below(&self, parent: &Parent, name: &[u8]) -> Result<Option<Found>, ImageError> {
        if self.lower.count == 0 {
            return Ok(None);
        }
        let mut components: Vec<&[u8]> = parent.path.split(|b| *b == b'/').filter(|c| !c.is_empty()).collect();
        for end in 0..=components.len() {
            let path = components.get(..end).unwrap_or_default().join(&b'/');
            let dir = tree::open_dir_beneath(&self.root, &path).map_err(self.failed("open", &path))?;
            if tree::is_opaque(dir.as_fd()) {
                return Ok(None);
            }
        }
        components.push(name);
        self.lower.find(&components)
    }

    /// Makes a directory that the archive has no entry for: like the one below, or plain and root's.
    fn make(
        &mut self,
        parent: &Parent,
        name: &[u8],
        like: Option<&Found>,
        mtime: (i64, u32),
        opaque: bool,
    ) -> Result<(), ImageError> {
        let path = parent.child(name);
        self.budget.use_entry(self.what)?;
        fs::mkdirat(&parent.dir, OsStr::from_bytes(name), Mode::RWXU).map_err(self.failed("create", &path))?;
        let dir = tree::open_dir(&parent.dir, name).map_err(self.failed("open", &path))?;
        let end = match like {
            Some(found) => {
                let model = tree::open_dir(&found.parent, name).map_err(self.failed("open", &path))?;
                attributes::copy_dir(self.form, &model, &dir, &found.stat)
                    .map_err(self.failed("set the attributes of", &path))?;
                DirEnd { mode: found.stat.st_mode & 0o7777, mtime: attributes::mtime(&found.stat) }
            }
            None => {
                attributes::own(self.form, &dir, 0, 0).map_err(self.failed("set the owner of", &path))?;
                DirEnd { mode: 0o755, mtime }
            }
        };
        if opaque {
            tree::set_opaque(dir.as_fd(), self.trusted()).map_err(self.failed("mark as replaced", &path))?;
        }
        self.dirs.insert(path, end);
        Ok(())
    }

    /// Copies the file `name` of the layers below into `parent`, if there is one.
    pub(super) fn copy_up(&mut self, parent: &Parent, name: &[u8]) -> Result<(), ImageError> {
        let path = parent.child(name);
        let Some(found) = self.below(parent, name)? else { return Ok(()) };
        let os_name = OsStr::from_bytes(name);
        let (uid, gid) = (found.stat.st_uid, found.stat.st_gid);
        let times = attributes::times(attributes::mtime(&found.stat));
        match tree::file_type(&found.stat) {
            FileType::RegularFile => {
                let size = u64::try_from(found.stat.st_size).unwrap_or(0);
                self.budget.use_bytes(self.what, size)?;
                self.tally.bytes = self.tally.bytes.saturating_add(size);
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let from =
                    fs::openat(&found.parent, os_name, flags, Mode::empty()).map_err(self.failed("open", &path))?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let to = fs::openat(&parent.dir, os_name, flags, Mode::RUSR | Mode::WUSR)
                    .map_err(self.failed("create", &path))?;
                let (mut from, mut to) = (File::from(from), File::from(to));
                io::copy(&mut from, &mut to).map_err(self.io_failed("copy", &path))?;
                attributes::own(self.form, &to, uid, gid).map_err(self.failed("set the owner of", &path))?;
                attributes::copy_xattrs(&from, &to).map_err(self.failed("set the attributes of", &path))?;
                fs::fchmod(&to, Mode::from_raw_mode(found.stat.st_mode & 0o7777))
                    .map_err(self.failed("set the mode of", &path))?;
                fs::futimens(&to, &times).map_err(self.failed("set the time of", &path))
            }
            FileType::Symlink => {
                let target =
                    fs::readlinkat(&found.parent, os_name, Vec::new()).map_err(self.failed("read the link", &path))?;
                fs::symlinkat(target.as_c_str(), &parent.dir, os_name).map_err(self.failed("create", &path))?;
                attributes::own_at(self.form, &parent.dir, os_name, uid, gid)
                    .map_err(self.failed("set the owner of", &path))?;
                fs::utimensat(&parent.dir, os_name, &times, fs::AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(self.failed("set the time of", &path))
            }
            _ => Err(self.refused(&path, "is the target of a hard link, but no file")),
        }
    }
}
