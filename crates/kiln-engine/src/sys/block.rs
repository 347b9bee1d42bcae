//! Loop devices and the ext4 file systems on them.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use super::check;

const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_NAME_SIZE: usize = 64;
/// `_IOR('X', 125, __u32)`
const EXT4_IOC_SHUTDOWN: libc::c_ulong = 0x8004_587D;
/// Neither the log nor dirty data is written.
const EXT4_GOING_FLAGS_NOLOGFLUSH: u32 = 2;

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; LO_NAME_SIZE],
    crypt_name: [u8; LO_NAME_SIZE],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` (Linux 5.8).
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// A loop device over an image file; the kernel detaches it when the last user (this value, a mount) is gone.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _device: OwnedFd,
}

impl LoopDevice {
    /// Attaches `image` to a free loop device. `label` (cut to 63 bytes) is what `losetup` shows as the file name.
    ///
    /// # Errors
    /// The kernel's; `EBUSY` after 64 lost races against other programs for a free device.
    pub(crate) fn attach(image: BorrowedFd<'_>, label: &[u8]) -> io::Result<LoopDevice> {
        let control = File::options().read(true).write(true).open("/dev/loop-control")?;
        let mut config = LoopConfig {
            fd: image.as_raw_fd().max(0) as u32,
            block_size: 0,
            info: LoopInfo {
                device: 0,
                inode: 0,
                rdevice: 0,
                offset: 0,
                size_limit: 0,
                number: 0,
                encrypt_type: 0,
                encrypt_key_size: 0,
                flags: LO_FLAGS_AUTOCLEAR,
                file_name: [0; LO_NAME_SIZE],
                crypt_name: [0; LO_NAME_SIZE],
                encrypt_key: [0; 32],
                init: [0; 2],
            },
            reserved: [0; 8],
        };
        for (to, from) in config.info.file_name.iter_mut().take(LO_NAME_SIZE - 1).zip(label) {
            *to = *from;
        }
        for _ in 0..64 {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument and returns a device number.
            let number =
                check(libc::c_long::from(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) }))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = File::options().read(true).write(true).open(&path)?;
            // SAFETY: `config` is a whole loop_config, which the kernel only reads.
            let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, &raw const config) };
            match check(libc::c_long::from(result)) {
                Ok(_) => return Ok(LoopDevice { path, _device: device.into() }),
                // Another program took this device between the two calls.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }
}

/// Stops an ext4 file system at once: what is not yet written never will be, so that unmounting it costs nothing. For
/// disks that are thrown away. `root`: any directory of it.
pub(crate) fn abandon_ext4(root: impl AsFd) -> io::Result<()> {
    let how = EXT4_GOING_FLAGS_NOLOGFLUSH;
    // SAFETY: the kernel reads one u32 through the pointer.
    check(libc::c_long::from(unsafe { libc::ioctl(root.as_fd().as_raw_fd(), EXT4_IOC_SHUTDOWN as _, &raw const how) }))
        .map(drop)
}
