//! Mount attributes.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::mount::MountAttrFlags;

use super::check;

/// `struct mount_attr` (Linux 5.12).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets attributes of the detached or attached mount that `mount` is the root of; with `idmap`, a user namespace, also
/// maps the owners that its files show. `recursive`: of all mounts below it, too.
///
/// # Errors
/// `EINVAL` where the file system cannot be id-mapped (overlayfs, NFS, some network and FUSE file systems) or is mapped
/// already; `EPERM` without privilege over the file system's user namespace.
pub(crate) fn set_attributes(
    mount: BorrowedFd<'_>,
    set: MountAttrFlags,
    idmap: Option<BorrowedFd<'_>>,
    recursive: bool,
) -> io::Result<()> {
    let mut attr = MountAttr { attr_set: u64::from(set.bits()), attr_clr: 0, propagation: 0, userns_fd: 0 };
    if let Some(userns) = idmap {
        attr.attr_set |= u64::from(MountAttrFlags::MOUNT_ATTR_IDMAP.bits());
        attr.userns_fd = userns.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string and `attr` a mount_attr of the stated size; the kernel reads both only.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}
