//! The build disk: where everything that a sandbox writes is kept, bounded in size where the machine allows it.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::FileExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, UnmountFlags},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Context as _, EngineError},
    ids::RootlessIds,
    registry::{Registry, remove_file},
    spec::Disk,
    sys::block::{LoopDevice, abandon_ext4},
};

/// Image file of an ext4 disk.
pub(crate) const IMAGE: &str = "disk.img";
/// Where the image is mounted, visible to the runner alone.
const MOUNT: &str = "mnt";
/// Directory on the image that holds everything. Not its root: ext4 spreads the directories there over the whole disk,
/// and each then costs reads of tables that no one has touched.
const DATA: &str = "data";
/// The disk where no image can be mounted.
const DIRECTORY: &str = "disk";
/// What the disk needs to be opened again.
const STATE: &str = "disk.json";
/// Smallest image: ext4's own tables and a little.
const MIN_BYTES: u64 = 16 << 20;
/// Largest image that ext4 with 4 KiB blocks can have without 64-bit block numbers.
const MAX_BYTES: u64 = 8 << 40;

/// `disk.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// Format version; 1.
    version: u32,
    /// The host's id of the sandbox's root, which owns the files on the disk.
    pub(crate) base: u32,
    /// Whether the disk outlives its sandbox.
    pub(crate) kept: bool,
}

/// A build disk that is ready for use.
#[derive(Debug)]
pub(crate) struct OpenDisk {
    dir: PathBuf,
    /// Directory for everything that is kept on it.
    pub(crate) root: PathBuf,
    /// Mounted from an image, so that its size is limited and unmounting is up to [`OpenDisk::close`].
    pub(crate) image: bool,
    state: State,
    /// It existed before, so that a failed start must not delete it.
    pub(crate) reopened: bool,
}

/// Reads the state of a disk that exists in `dir`.
///
/// # Errors
/// When it is there and cannot be understood.
pub(crate) fn state(dir: &Path) -> Result<Option<State>, EngineError> {
    let path = dir.join(STATE);
    let json = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.context(|| format!("read {}", path.display()))?,
    };
    let state: State =
        serde_json::from_slice(&json).map_err(io::Error::from).context(|| format!("understand {}", path.display()))?;
    if state.version != 1 {
        return Err(EngineError::Busy(format!(
            "the disk {} was made by another version of Kiln (format {})",
            dir.display(),
            state.version
        )));
    }
    Ok(Some(state))
}

impl OpenDisk {
    /// Makes the disk that `disk` describes, or opens the one that is there. `base` owns its top directory. With
    /// `image` false no image is tried. A disk that is not limited is a notice.
    pub(crate) fn open(
        disk: &Disk,
        base: u32,
        image: bool,
        notices: &mut Vec<String>,
    ) -> Result<OpenDisk, EngineError> {
        let dir = disk.dir.clone();
        std::fs::create_dir_all(&dir).context(|| format!("create {}", dir.display()))?;
        if let Some(state) = state(&dir)? {
            if dir.join(IMAGE).exists() {
                let root = mount_existing(&dir)?;
                return Ok(OpenDisk { dir, root, image: true, state, reopened: true });
            }
            let root = dir.join(DIRECTORY);
            if root.is_dir() {
                notices.push("disk limit not enforced: the disk is a plain directory".into());
                return Ok(OpenDisk { dir, root, image: false, state, reopened: true });
            }
        }
        let state = State { version: 1, base, kept: false };
        write_state(&dir, &state)?;
        let why = if image {
            match make_image(disk) {
                Ok(root) => return Ok(OpenDisk { dir, root, image: true, state, reopened: false }),
                // A full disk would only be hit again later, by the build.
                Err(error) if is_no_space(&error) => {
                    Trash::of(&dir)?.map_or(Ok(()), Trash::delete)?;
                    return Err(error);
                }
                Err(error) => {
                    remove_file(&dir.join(IMAGE))?;
                    error.to_string()
                }
            }
        } else {
            "loop devices need root".into()
        };
        notices.push(format!("disk limit not enforced: {why}"));
        let root = dir.join(DIRECTORY);
        std::fs::create_dir_all(&root).context(|| format!("create {}", root.display()))?;
        Ok(OpenDisk { dir, root, image: false, state, reopened: false })
    }

    /// Lets the disk outlive its sandbox from now on, even if the owner is killed.
    pub(crate) fn keep(&mut self) -> Result<(), EngineError> {
        if !self.state.kept {
            self.state.kept = true;
            write_state(&self.dir, &self.state)?;
        }
        Ok(())
    }

    /// Unmounts it. Unless it is kept it is moved out of the way, to be deleted by the returned [`Trash`].
    pub(crate) fn close(self) -> Result<Option<Trash>, EngineError> {
        if self.image {
            if !self.state.kept {
                // Saves writing back what is about to be deleted; without it unmounting is only slower.
                let root = rustix::fs::open(&self.root, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
                let _slower = root.map_err(io::Error::from).and_then(abandon_ext4);
            }
            unmount(&self.dir.join(MOUNT))?;
        }
        if self.state.kept {
            return Ok(None);
        }
        Trash::of(&self.dir)
    }
}

/// What is left of a disk: a directory that no one looks at any more.
#[derive(Debug)]
pub(crate) struct Trash(PathBuf);

/// Deletes a kept disk.
///
/// # Errors
/// [`EngineError::Busy`] while a sandbox uses it; what the file system answers otherwise.
pub fn delete_disk(dir: &Path) -> Result<(), EngineError> {
    let live = Registry::existing().map(|registry| registry.live()).unwrap_or_default();
    if live.iter().any(|record| record.disk == dir) {
        return Err(EngineError::Busy(format!("a running sandbox uses the disk {}", dir.display())));
    }
    Trash::of(dir)?.map_or(Ok(()), Trash::delete)
}

/// Prefix of directories to delete.
const TRASH: &str = ".trash-";

impl Trash {
    /// Renames `dir` so that its name is free at once.
    pub(crate) fn of(dir: &Path) -> Result<Option<Trash>, EngineError> {
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else { return Ok(None) };
        for attempt in 0..64 {
            let mut target = std::ffi::OsString::from(format!("{TRASH}{attempt}-"));
            target.push(name);
            let target = parent.join(target);
            use rustix::fs::{CWD, RenameFlags};
            match rustix::fs::renameat_with(CWD, dir, CWD, &target, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Some(Trash(target))),
                Err(rustix::io::Errno::NOENT) => return Ok(None),
                Err(rustix::io::Errno::EXIST) => {}
                // File systems without RENAME_NOREPLACE.
                Err(rustix::io::Errno::INVAL) if !target.exists() => {
                    std::fs::rename(dir, &target).context(|| format!("move {} away", dir.display()))?;
                    return Ok(Some(Trash(target)));
                }
                Err(error) => return Err(error).context(|| format!("move {} away", dir.display())),
            }
        }
        Ok(Some(Trash(dir.to_path_buf())))
    }

    /// What earlier processes left in `parent` undeleted.
    pub(crate) fn find(parent: &Path) -> Vec<Trash> {
        let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
        let trash =
            entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(TRASH.as_bytes()));
        trash.map(|entry| Trash(entry.path())).collect()
    }

    /// Deletes it. The files may belong to the sandbox's ids and their directories be locked against their owner:
    /// without root that needs the modes changed first.
    pub(crate) fn delete(self) -> Result<(), EngineError> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                // Files of sub-ids, and directories that their owner locked: root of the user namespace may all.
                RootlessIds::find().run(|| {
                    unlock(&self.0);
                    std::fs::remove_dir_all(&self.0).is_ok()
                })?;
                if self.0.exists() {
                    return Err(error).context(|| format!("delete {}", self.0.display()));
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.context(|| format!("delete {}", self.0.display())),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Makes directories below `dir` accessible to their owner, as far as this process may.
fn unlock(dir: &Path) {
    let mut todo = vec![dir.to_path_buf()];
    while let Some(dir) = todo.pop() {
        let _not_ours = rustix::fs::chmod(&dir, Mode::RWXU);
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        todo.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
    }
}

fn write_state(dir: &Path, state: &State) -> Result<(), EngineError> {
    let new = dir.join("disk.json.new");
    let json = serde_json::to_vec(state).map_err(io::Error::from);
    json.and_then(|json| std::fs::write(&new, json))
        .and_then(|()| std::fs::rename(&new, dir.join(STATE)))
        .context(|| format!("write {}", dir.join(STATE).display()))
}

fn is_no_space(error: &EngineError) -> bool {
    matches!(error, EngineError::Host { source, .. } if matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)))
}

/// Clones the template into the disk's directory and mounts it.
fn make_image(disk: &Disk) -> Result<PathBuf, EngineError> {
    let template = template(&disk.templates, disk.bytes)?;
    let path = disk.dir.join(IMAGE);
    let image = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .context(|| format!("create {}", path.display()))?;
    copy_sparse(&template, &image).context(|| format!("write {}", path.display()))?;
    mount(&disk.dir, &image)
}

fn mount_existing(dir: &Path) -> Result<PathBuf, EngineError> {
    let path = dir.join(IMAGE);
    let image = File::options().read(true).write(true).open(&path).context(|| format!("open {}", path.display()))?;
    if !is_clean(&image).context(|| format!("read {}", path.display()))? {
        // The machine went down while it was mounted. The file system has no journal, so it must be checked.
        let check = Command::new("e2fsck").args(["-f", "-y"]).arg(&path).stdin(Stdio::null()).output();
        let check = check.context(|| "run e2fsck (package e2fsprogs)")?;
        // 1: errors were corrected.
        if !matches!(check.status.code(), Some(0 | 1)) {
            return Err(EngineError::Busy(format!(
                "the disk {} is damaged beyond repair (e2fsck: {})",
                path.display(),
                check.status
            )));
        }
    }
    mount(dir, &image)
}

/// Mounts an image on [`MOUNT`] in `dir`, in this process's own mount namespace; answers the directory to use.
fn mount(dir: &Path, image: &File) -> Result<PathBuf, EngineError> {
    use std::os::unix::ffi::OsStrExt as _;
    let label = dir.join(IMAGE);
    let device = LoopDevice::attach(image.as_fd(), label.as_os_str().as_bytes())
        .context(|| format!("attach {} to a loop device", label.display()))?;
    let mounted = mount_ext4(&device.path).context(|| format!("mount {}", label.display()))?;
    let point = dir.join(MOUNT);
    std::fs::create_dir_all(&point).context(|| format!("create {}", point.display()))?;
    attach(&mounted, &point)?;
    let data = point.join(DATA);
    match std::fs::create_dir(&data) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            unmount(&point)?;
            Err(error).context(|| format!("create {}", data.display()))
        }
        _ => Ok(data),
    }
}

fn mount_ext4(device: &Path) -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen};
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", device)?;
    // The inode tables are zeroes already, since the image is sparse; writing them would make it dense.
    fsconfig_set_flag(context.as_fd(), "noinit_itable")?;
    // Nothing here must survive a power cut, so no flush has to reach the machine's disk.
    fsconfig_set_flag(context.as_fd(), "nobarrier")?;
    fsconfig_create(context.as_fd())?;
    fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOATIME | MountAttrFlags::MOUNT_ATTR_NODEV,
    )
}

/// Attaches a detached mount at a path.
pub(crate) fn attach(mount: &OwnedFd, point: &Path) -> Result<(), EngineError> {
    rustix::mount::move_mount(mount.as_fd(), "", rustix::fs::CWD, point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .context(|| format!("mount on {}", point.display()))
}

/// Unmounts now, or, if something still uses it, as soon as it no longer does.
pub(crate) fn unmount(point: &Path) -> Result<(), EngineError> {
    match rustix::mount::unmount(point, UnmountFlags::NOFOLLOW) {
        Err(rustix::io::Errno::BUSY) => rustix::mount::unmount(point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
            .context(|| format!("unmount {}", point.display())),
        other => other.context(|| format!("unmount {}", point.display())),
    }
}

/// Whether ext4's superblock says that it was unmounted and has no known errors.
pub(crate) fn is_clean(image: &File) -> io::Result<bool> {
    // s_state, at offset 0x3A of the superblock, which begins at 1024.
    let mut state = [0_u8; 2];
    image.read_exact_at(&mut state, 1024 + 0x3A)?;
    Ok(u16::from_le_bytes(state) & 0b11 == 0b01)
}

/// An empty ext4 file system of that size, made once.
fn template(dir: &Path, bytes: u64) -> Result<File, EngineError> {
    let bytes = bytes.clamp(MIN_BYTES, MAX_BYTES) >> 20 << 20;
    let path = dir.join(format!("ext4-v2-{}m.img", bytes >> 20));
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other.context(|| format!("open {}", path.display())),
    }
    std::fs::create_dir_all(dir).context(|| format!("create {}", dir.display()))?;
    // One process makes it, the others wait.
    let lock = dir.join("lock");
    let lock = File::create(&lock).context(|| format!("create {}", lock.display()))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context(|| "lock the disk templates")?;
    if let Ok(file) = File::open(&path) {
        return Ok(file);
    }
    let new = path.with_extension("new");
    let file = File::create(&new).context(|| format!("create {}", new.display()))?;
    file.set_len(bytes).context(|| format!("create {}", new.display()))?;
    drop(file);
    let mut mkfs = Command::new("mkfs.ext4");
    if let Some(path) = std::env::var_os("PATH") {
        // A user's PATH often lacks the directories of mkfs.
        let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
        dirs.extend(["/usr/sbin".into(), "/sbin".into()]);
        if let Ok(path) = std::env::join_paths(dirs) {
            mkfs.env("PATH", path);
        }
    }
    // No journal: a disk that is lost with its build needs none. Discarding is what keeps the file sparse: it lets mkfs
    // know that the inode tables are zeroes already.
    mkfs.args(["-q", "-F", "-m", "0", "-b", "4096", "-O", "^has_journal,^resize_inode,^metadata_csum"])
        .args(["-E", "discard,root_owner=0:0"])
        .arg(&new)
        .stdin(Stdio::null());
    let output = mkfs.output().context(|| "run mkfs.ext4 (package e2fsprogs)")?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why = why.lines().next().unwrap_or_default();
        return Err(EngineError::Host {
            what: format!("make a file system in {} ({why})", new.display()),
            source: io::Error::other(output.status.to_string()),
        });
    }
    std::fs::rename(&new, &path).context(|| format!("create {}", path.display()))?;
    File::open(&path).context(|| format!("open {}", path.display()))
}

/// Copies a file without its holes; blocks are shared where the file system can.
fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut position = 0;
    while position < size {
        let Some(start) = seek_data(from, position)? else { break };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(start))?;
        let (mut read, mut written) = (start, start);
        while read < end {
            let wish = usize::try_from(end - read).unwrap_or(usize::MAX);
            if rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), wish)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        position = end;
    }
    Ok(())
}

/// Where the next data begins; `None` if only a hole is left.
fn seek_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(start) => Ok(Some(start)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_copy_is_equal_and_stays_sparse() {
        use std::{io::Read as _, os::unix::fs::MetadataExt as _};
        let dir = tempfile::tempdir().unwrap();
        let from = File::options().read(true).write(true).create_new(true).open(dir.path().join("a")).unwrap();
        from.set_len(64 << 20).unwrap();
        from.write_all_at(b"one", 5 << 20).unwrap();
        from.write_all_at(&[7; 9000], 33 << 20).unwrap();
        let to = File::options().read(true).write(true).create_new(true).open(dir.path().join("b")).unwrap();
        copy_sparse(&from, &to).unwrap();
        let read = |name| {
            let mut bytes = Vec::new();
            File::open(dir.path().join(name)).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        assert!(read("a") == read("b"), "the copy differs");
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20, "the copy is not sparse");
    }

    #[test]
    fn trash_frees_the_name_and_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("d");
        std::fs::create_dir_all(disk.join("x/y")).unwrap();
        let trash = Trash::of(&disk).unwrap().unwrap();
        assert!(!disk.exists());
        std::fs::create_dir(&disk).unwrap();
        let second = Trash::of(&disk).unwrap().unwrap();
        assert_ne!(trash.path(), second.path());
        assert_eq!(Trash::find(dir.path()).len(), 2);
        trash.delete().unwrap();
        second.delete().unwrap();
        assert!(Trash::find(dir.path()).is_empty());
        assert!(Trash::of(&disk).unwrap().is_none());
    }
}
