//! Directory trees handled by descriptor: every step names one component beneath an open directory and follows no link,
//! so that what hostile content put there cannot lead elsewhere.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::openat2;

/// Deepest directory that layers may hold. Real trees stay below 100; the bound lets every walk hold one descriptor a
/// level.
pub(crate) const MAX_DEPTH: usize = 255;

const DIR_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Extended attributes that make overlayfs hide what lies below a directory: the first is read by mounts made by the
/// host's root, the second by mounts with `userxattr` (inside a user namespace).
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// Opens a directory by path, which must not be a symbolic link.
pub(crate) fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    fs::open(path, DIR_FLAGS, Mode::empty())
}

/// Opens the directory `name` (one component) in `parent`, not following a link.
pub(crate) fn open_dir(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    fs::openat(parent, OsStr::from_bytes(name), DIR_FLAGS, Mode::empty())
}

/// Opens the directory at `path` below `root` (`.` for itself) if the way there is all directories.
pub(crate) fn open_dir_beneath(root: impl AsFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, OsStr::from_bytes(if path.is_empty() { b"." } else { path }), DIR_FLAGS, Mode::empty(), resolve)
}

/// What `name` in `parent` is; `None` if there is nothing.
pub(crate) fn stat(parent: impl AsFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match fs::statat(parent, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The kind of file.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether this is overlayfs's mark for a deleted name: a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether the directory hides what lies below it.
pub(crate) fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    OPAQUE.iter().any(|name| {
        let mut value = [0u8; 1];
        fs::fgetxattr(dir, *name, &mut value).is_ok_and(|n| n == 1) && value == [b'y']
    })
}

/// Makes the directory hide what lies below it. With `trusted`, for both kinds of overlay mounts, else only for those
/// inside a user namespace (others cannot be made, nor the attribute set, without privilege).
pub(crate) fn set_opaque(dir: BorrowedFd<'_>, trusted: bool) -> rustix::io::Result<()> {
    let [trusted_name, user_name] = OPAQUE;
    if trusted {
        fs::fsetxattr(dir, trusted_name, b"y", fs::XattrFlags::empty())?;
    }
    match fs::fsetxattr(dir, user_name, b"y", fs::XattrFlags::empty()) {
        // Some file systems take trusted but no user attributes; then only host mounts can be made there.
        Err(Errno::OPNOTSUPP) if trusted => Ok(()),
        result => result,
    }
}

/// Removes whatever `name` in `parent` is, directories with all they hold. Unreadable directories are made readable
/// first. Nothing there is no error.
pub(crate) fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    remove_below(parent, name, 0)
}

fn remove_below(parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> io::Result<()> {
    let path = OsStr::from_bytes(name);
    match fs::unlinkat(parent, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    // Layers are at most MAX_DEPTH deep; a little more for the directories of the store around them.
    if depth > MAX_DEPTH + 16 {
        return Err(io::Error::other("directories are nested too deeply"));
    }
    let dir = match open_dir(parent, name) {
        Err(Errno::ACCESS) => {
            fs::chmodat(parent, path, Mode::RWXU, AtFlags::empty())?;
            open_dir(parent, name)
        }
        opened => opened,
    };
    let dir = match dir {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let mut made_writable = false;
    let mut listing = Dir::new(dir)?;
    while let Some(entry) = listing.read() {
        let entry = entry?;
        let child = entry.file_name().to_bytes();
        if matches!(child, b"." | b"..") {
            continue;
        }
        match remove_below(listing.fd()?, child, depth + 1) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !made_writable => {
                made_writable = true;
                fs::fchmod(listing.fd()?, Mode::RWXU)?;
                remove_below(listing.fd()?, child, depth + 1)?;
            }
            result => result?,
        }
    }
    drop(listing);
    match fs::unlinkat(parent, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
