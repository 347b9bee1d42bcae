//! Owners, modes, times and extended attributes of unpacked files.

use std::ffi::{CStr, OsStr};
use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags, Gid, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::super::layers::LayerForm;
use super::super::tar::Entry;

/// Highest id that a build's user namespace has; what is above belongs to nobody.
const MAX_ID: u64 = 65_535;
const NOBODY: u32 = 65_534;
const SETUID_SETGID: u32 = 0o6000;

/// What unpacking left out or changed, counted, with the first name of each sort.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Notes {
    devices: Note,
    foreign_ids: Note,
    attributes: Note,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
struct Note {
    count: u64,
    first: String,
}

impl Note {
    fn add(&mut self, path: &[u8]) {
        if self.count == 0 {
            self.first = path.escape_ascii().to_string().chars().take(200).collect();
        }
        self.count = self.count.saturating_add(1);
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            self.first.clone_from(&other.first);
        }
        self.count = self.count.saturating_add(other.count);
    }
}

impl Notes {
    /// One sentence for each sort.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let sentence = |note: &Note, what: &str| {
            (note.count > 0).then(|| format!("{} {what} (the first: {})", note.count, note.first))
        };
        [
            sentence(&self.devices, "device nodes were left out: they cannot be opened in a build"),
            sentence(&self.foreign_ids, "entries with an owner above 65535 were given to nobody (65534)"),
            sentence(&self.attributes, "extended attributes were left out: they do not apply here"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Adds another layer's notes.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.devices.merge(&other.devices);
        self.foreign_ids.merge(&other.foreign_ids);
        self.attributes.merge(&other.attributes);
    }

    pub(super) fn device(&mut self, path: &[u8]) {
        self.devices.add(path);
    }

    /// The owner to give an entry: as written, or nobody if no build could have that id.
    pub(super) fn ids(&mut self, entry: &Entry) -> (u32, u32) {
        if foreign(entry) {
            self.foreign_ids.add(&entry.path);
        }
        (id(entry.uid), id(entry.gid))
    }

    /// Sets those of an entry's extended attributes that mean something in a build.
    pub(super) fn set_xattrs(
        &mut self,
        file: impl AsFd,
        path: &[u8],
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), Errno> {
        for (name, value) in xattrs {
            if !applies(name) {
                self.attributes.add(path);
                continue;
            }
            match fs::fsetxattr(file.as_fd(), name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => {}
                // Not supported by this file system, not allowed for this user, or not valid.
                Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::RANGE) => {
                    self.attributes.add(path);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Counts the attributes of an entry that can have none here.
    pub(super) fn no_xattrs(&mut self, entry: &Entry) {
        for _ in &entry.xattrs {
            self.attributes.add(&entry.path);
        }
    }
}

/// Whether an attribute is set. Overlayfs's own would let an image redirect lookups or forge deletions; labels of
/// security modules belong to the host that wrote them.
fn applies(name: &[u8]) -> bool {
    if name.starts_with(b"user.overlay.") {
        return false;
    }
    name.starts_with(b"user.")
        || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
}

fn foreign(entry: &Entry) -> bool {
    entry.uid > MAX_ID || entry.gid > MAX_ID
}

fn id(id: u64) -> u32 {
    u32::try_from(id).ok().filter(|id| u64::from(*id) <= MAX_ID).unwrap_or(NOBODY)
}

/// The mode to give an entry. A program must not run as nobody because its owner was unknown.
pub(super) fn mode(entry: &Entry) -> u32 {
    let mode = entry.mode & 0o7777;
    if foreign(entry) { mode & !SETUID_SETGID } else { mode }
}

/// Sets the owner of an open file, where the form keeps owners.
pub(super) fn own(form: LayerForm, file: impl AsFd, uid: u32, gid: u32) -> Result<(), Errno> {
    match form {
        LayerForm::Single => Ok(()),
        LayerForm::Host | LayerForm::Mapped => fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
    }
}

/// Sets the owner of `name` itself, not of what it links to.
pub(super) fn own_at(form: LayerForm, dir: impl AsFd, name: &OsStr, uid: u32, gid: u32) -> Result<(), Errno> {
    match form {
        LayerForm::Single => Ok(()),
        LayerForm::Host | LayerForm::Mapped => {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        }
    }
}

/// Gives the new directory `to` the owner and attributes of `from`.
pub(super) fn copy_dir(form: LayerForm, from: impl AsFd, to: impl AsFd, stat: &Stat) -> Result<(), Errno> {
    own(form, to.as_fd(), stat.st_uid, stat.st_gid)?;
    copy_xattrs(from, to)
}

/// Copies the extended attributes that unpacking sets.
pub(super) fn copy_xattrs(from: impl AsFd, to: impl AsFd) -> Result<(), Errno> {
    let mut names = vec![0u8; 65_536];
    let length = match fs::flistxattr(from.as_fd(), &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut value = Vec::new();
    for name in names.get(..length).unwrap_or_default().split_inclusive(|b| *b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if !applies(name.to_bytes()) {
            continue;
        }
        value.resize(65_536, 0);
        let length = fs::fgetxattr(from.as_fd(), name, &mut value)?;
        fs::fsetxattr(to.as_fd(), name, value.get(..length).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}

/// The modification time of a file.
pub(super) fn mtime(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

/// Both times of a file, set to its modification time: the archive's, so that unpacking twice gives equal trees.
pub(super) fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.min(999_999_999).into() };
    Timestamps { last_access: time, last_modification: time }
}
