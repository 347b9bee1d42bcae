//! Inside the sandbox's own mount namespace: puts the detached mounts below the new root, adds `/proc`, `/sys` and
//! `/dev`, masks what is the host's, and makes the new root the only one.
//!
//! The image is hostile: any path in it may be a link to anywhere. Every path is resolved beneath the new root
//! (`openat2` with `RESOLVE_IN_ROOT`), and mounts go onto descriptors, never onto paths.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags},
};

use crate::{
    error::{Context as _, EngineError},
    layout::Layout,
    openat2,
    sys::mount::set_attributes,
};

/// Hidden from builds: what shows the host's state or keys. Docker's list and what newer engines add (security.md 4.3).
pub(crate) const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Visible, but not to be written.
pub(crate) const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// Devices of the host that are harmless.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Devices that a privileged sandbox gets where the host has them: file systems in user space and tunnels, which
/// container engines use.
const PRIVILEGED_DEVICES: [&str; 2] = ["fuse", "net/tun"];
const DEVICE_LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];
/// As Docker's default.
pub(crate) const SHM_BYTES: u64 = 64 << 20;

/// What the kernel's file systems look like in a sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) privileged: bool,
    /// The sandbox has a network namespace of its own, so `/sys` can be mounted.
    pub(crate) own_network: bool,
    /// Group 5 (`tty`) exists in the user namespace.
    pub(crate) tty_group: bool,
    /// What is mounted below `/sys/fs/cgroup`, and how.
    pub(crate) cgroups: CgroupMounts,
}

/// The cgroup file systems inside.
#[derive(Debug, Clone)]
pub(crate) enum CgroupMounts {
    /// Nothing.
    None,
    /// The one v2 hierarchy.
    Unified,
    /// v1 hierarchies by their mount options, and an empty v2 one.
    V1(Vec<String>),
}

const EMPTY: MoveMountFlags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
const ONTO: MoveMountFlags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH.union(MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH);
const NO_EXEC: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Builds the file system and makes it this process's root. `mounts`: the root's, then one for each of the layout's
/// mount points, then with [`Kernel::own_network`] false the host's `/sys`.
pub(crate) fn enter(layout: &Layout, kernel: &Kernel, mounts: Vec<OwnedFd>) -> Result<(), EngineError> {
    let mut mounts = mounts.into_iter();
    let Some(root) = mounts.next() else { return Err(EngineError::Spec("the root's mount is missing".into())) };
    rustix::mount::move_mount(root.as_fd(), "", CWD, "/", EMPTY).context(|| "mount the root file system")?;
    let root = root.as_fd();
    assemble(root, layout, &mut mounts)?;
    let proc = fresh("proc", &[], NO_EXEC)?;
    put(root, "/proc", &proc)?;
    if kernel.own_network {
        let read_only = if kernel.privileged { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
        put(root, "/sys", &fresh("sysfs", &[], NO_EXEC | read_only)?)?;
    } else if let Some(sys) = mounts.next() {
        put(root, "/sys", &sys)?;
    } else {
        // Without root: the host's, with all that is mounted below it.
        let sys = copy_of(CWD, "/sys", true).context(|| "copy /sys")?;
        set_attributes(sys.as_fd(), NO_EXEC | MountAttrFlags::MOUNT_ATTR_RDONLY, None, true)
            .context(|| "make /sys read-only")?;
        put(root, "/sys", &sys)?;
    }
    cgroups(root, kernel)?;
    devices(root, kernel)?;
    if !kernel.privileged {
        confine(root)?;
    }
    rustix::process::fchdir(root).context(|| "enter the root file system")?;
    rustix::process::pivot_root(".", ".").context(|| "change the root file system")?;
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH).context(|| "leave the host's file system")?;
    rustix::process::chdir("/").context(|| "enter the root file system")
}

/// Puts everything of the layout below `root`, which is mounted. `mounts`: one for each of its mount points.
pub(crate) fn assemble(
    root: BorrowedFd<'_>,
    layout: &Layout,
    mounts: &mut impl Iterator<Item = OwnedFd>,
) -> Result<(), EngineError> {
    directories(root, &layout.directories)?;
    links(root, &layout.links)?;
    for point in &layout.mounts {
        let target = if point.file { file(root, &point.target)? } else { directory(root, &point.target)? };
        let Some(mount) = mounts.next() else { return Err(EngineError::Spec("a mount is missing".into())) };
        rustix::mount::move_mount(mount.as_fd(), "", target.as_fd(), "", ONTO)
            .context(|| format!("mount {} in the sandbox", point.target.display()))?;
    }
    directories(root, &layout.late_directories)
}

/// Refuses an image in which `/proc`, `/sys` or `/dev` is something else than a directory: OCI runtimes have followed
/// such links (security.md 4.2).
pub(crate) fn check_kernel_directories(root: BorrowedFd<'_>) -> Result<(), EngineError> {
    for path in ["/proc", "/sys", "/dev"] {
        kernel_directory(root, path)?;
    }
    Ok(())
}

/// Makes directories with their modes.
fn directories(root: BorrowedFd<'_>, wanted: &[(PathBuf, u32)]) -> Result<(), EngineError> {
    for (path, mode) in wanted {
        let dir = directory(root, path)?;
        let dir = rustix::fs::openat(&dir, ".", OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        match dir.and_then(|dir| rustix::fs::fchmod(dir, Mode::from(*mode))) {
            Ok(()) => {}
            // Another user's directory of the machine, in a sandbox of one user: it stays as it is.
            Err(Errno::ACCESS | Errno::PERM) => {}
            Err(error) => return Err(error).context(|| format!("set the mode of {}", path.display())),
        }
    }
    Ok(())
}

/// Makes symbolic links where nothing is.
fn links(root: BorrowedFd<'_>, wanted: &[(PathBuf, PathBuf)]) -> Result<(), EngineError> {
    for (path, target) in wanted {
        match rustix::fs::symlinkat(target, root, relative(path)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).context(|| format!("create the link {}", path.display())),
        }
    }
    Ok(())
}

/// An absolute path without its leading slash; the root itself is `.`.
fn relative(path: &Path) -> &Path {
    let relative = path.strip_prefix("/").unwrap_or(path);
    if relative.as_os_str().is_empty() { Path::new(".") } else { relative }
}

/// Opens what is at `path` beneath `root`, as a path only.
fn open_in(root: BorrowedFd<'_>, path: &Path, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    openat2(root, relative(path), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const NO_LINKS: ResolveFlags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// The directory `path` beneath `root`; it and its parents are made where they are missing.
pub(crate) fn directory(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, EngineError> {
    let open = |path: &Path| -> Result<Option<OwnedFd>, EngineError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(root, relative(path), flags, Mode::empty(), IN_ROOT) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(EngineError::Image(format!("{} is not a directory", path.display()))),
            Err(Errno::LOOP) => Err(EngineError::Image(format!("{} is a circle of links", path.display()))),
            Err(error) => Err(error).context(|| format!("open {} of the image", path.display())),
        }
    };
    if let Some(dir) = open(path)? {
        return Ok(dir);
    }
    let mut done = PathBuf::from("/");
    let mut parent = open(&done)?.ok_or_else(|| EngineError::Image("it has no root".into()))?;
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        done.push(name);
        parent = match open(&done)? {
            Some(dir) => dir,
            None => {
                match rustix::fs::mkdirat(&parent, name, Mode::from(0o755)) {
                    Ok(()) => {}
                    // It exists and leads nowhere.
                    Err(Errno::EXIST) => {
                        return Err(EngineError::Image(format!("{} is a link to nothing", done.display())));
                    }
                    Err(error) => return Err(error).context(|| format!("create {} in the image", done.display())),
                }
                open(&done)?.ok_or_else(|| EngineError::Image(format!("{} cannot be made", done.display())))?
            }
        };
    }
    Ok(parent)
}

/// The file `path` beneath `root`, made where it is missing. A link is replaced by a file: it may lead nowhere, as
/// `/etc/resolv.conf` does on many systems.
fn file(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, EngineError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(EngineError::Spec(format!("{} cannot be a file", path.display())));
    };
    let parent = directory(root, parent)?;
    let open = || rustix::fs::openat(&parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let describe = || format!("create {} in the image", path.display());
    if let Ok(found) = open() {
        let kind = rustix::fs::fstat(&found).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
        match kind.context(describe)? {
            rustix::fs::FileType::Symlink => {
                rustix::fs::unlinkat(&parent, name, AtFlags::empty()).context(describe)?;
            }
            rustix::fs::FileType::Directory => {
                return Err(EngineError::Image(format!("{} is a directory", path.display())));
            }
            _ => return Ok(found),
        }
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::from(0o644)).context(describe)?;
    open().context(describe)
}

/// A new instance of a kernel file system.
fn fresh(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, EngineError> {
    use rustix::mount::{fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen};
    let make = || -> rustix::io::Result<OwnedFd> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (key, value) in options {
            if value.is_empty() {
                fsconfig_set_flag(context.as_fd(), *key)?;
            } else {
                fsconfig_set_string(context.as_fd(), *key, *value)?;
            }
        }
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().context(|| format!("mount a new {kind} file system"))
}

/// Mounts on a directory of the image that must not be a link: `/proc`, `/sys`, `/dev`.
fn put(root: BorrowedFd<'_>, path: &str, mount: &OwnedFd) -> Result<(), EngineError> {
    let target = kernel_directory(root, path)?;
    rustix::mount::move_mount(mount.as_fd(), "", target.as_fd(), "", ONTO)
        .context(|| format!("mount {path} in the sandbox"))
}

/// Opens a directory that must not be a link, or makes it.
fn kernel_directory(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, EngineError> {
    match open_in(root, Path::new(path), NO_LINKS) {
        Err(Errno::LOOP) => Err(EngineError::Image(format!("its {path} is a symbolic link"))),
        Ok(found) => {
            let stat = rustix::fs::fstat(&found).context(|| format!("look at {path} of the image"))?;
            if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
                return Err(EngineError::Image(format!("its {path} is not a directory")));
            }
            Ok(found)
        }
        Err(_) => directory(root, Path::new(path)),
    }
}

/// A detached copy of the mount at `path` in this process's (still the host's) view.
fn copy_of(from: BorrowedFd<'_>, path: &str, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    rustix::mount::open_tree(from, path, flags)
}

fn cgroups(root: BorrowedFd<'_>, kernel: &Kernel) -> Result<(), EngineError> {
    let read_only = if kernel.privileged { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
    let mountable = || open_in(root, Path::new("/sys/fs/cgroup"), NO_LINKS).is_ok();
    match &kernel.cgroups {
        CgroupMounts::None => {}
        // A kernel without cgroups has no such directory.
        _ if !mountable() => {}
        CgroupMounts::Unified => put(root, "/sys/fs/cgroup", &fresh("cgroup2", &[], NO_EXEC | read_only)?)?,
        CgroupMounts::V1(hierarchies) => {
            put(root, "/sys/fs/cgroup", &fresh("tmpfs", &[("mode", "755"), ("size", "64k")], NO_EXEC)?)?;
            for options in hierarchies {
                let name = options.strip_prefix("name=").unwrap_or(options);
                let keys: Vec<(&str, &str)> =
                    options.split(',').map(|option| option.split_once('=').unwrap_or((option, ""))).collect();
                let path = PathBuf::from("/sys/fs/cgroup").join(name);
                directory(root, &path)?;
                put(root, &path.to_string_lossy(), &fresh("cgroup", &keys, NO_EXEC | read_only)?)?;
            }
            directory(root, Path::new("/sys/fs/cgroup/unified"))?;
            put(root, "/sys/fs/cgroup/unified", &fresh("cgroup2", &[], NO_EXEC | read_only)?)?;
        }
    }
    Ok(())
}

fn devices(root: BorrowedFd<'_>, kernel: &Kernel) -> Result<(), EngineError> {
    let nosuid = MountAttrFlags::MOUNT_ATTR_NOSUID;
    let dev = fresh("tmpfs", &[("mode", "755"), ("size", "64k")], nosuid | MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
    let describe = |name: &str| format!("make /dev/{name} in the sandbox");
    put(root, "/dev", &dev)?;
    let dev = dev.as_fd();
    let wanted = DEVICES.iter().map(|name| (name, true));
    let more = PRIVILEGED_DEVICES.iter().filter(|_| kernel.privileged).map(|name| (name, false));
    for (name, required) in wanted.chain(more) {
        // This process still sees the host's /dev by path; nothing of the image is resolved here.
        let source = match copy_of(CWD, &format!("/dev/{name}"), false) {
            Err(_) if !required => continue,
            other => other.context(|| describe(name))?,
        };
        if let Some((dir, _)) = name.split_once('/') {
            rustix::fs::mkdirat(dev, dir, Mode::from(0o755)).context(|| describe(name))?;
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(dev, *name, flags, Mode::from(0o666)).context(|| describe(name))?;
        rustix::mount::move_mount(source.as_fd(), "", dev, *name, EMPTY).context(|| describe(name))?;
    }
    let gid = if kernel.tty_group { [("gid", "5")].as_slice() } else { &[] };
    let pts = [[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")].as_slice(), gid].concat();
    let shm_size = SHM_BYTES.to_string();
    let shm = [("mode", "1777"), ("size", shm_size.as_str())];
    for (name, mount) in [
        ("pts", fresh("devpts", &pts, nosuid | MountAttrFlags::MOUNT_ATTR_NOEXEC)?),
        ("shm", fresh("tmpfs", &shm, NO_EXEC)?),
        ("mqueue", fresh("mqueue", &[], NO_EXEC)?),
    ] {
        rustix::fs::mkdirat(dev, name, Mode::from(0o755)).context(|| describe(name))?;
        rustix::mount::move_mount(mount.as_fd(), "", dev, name, EMPTY).context(|| describe(name))?;
    }
    for (name, target) in DEVICE_LINKS {
        rustix::fs::symlinkat(target, dev, name).context(|| describe(name))?;
    }
    Ok(())
}

/// Masks paths and makes others read-only.
fn confine(root: BorrowedFd<'_>) -> Result<(), EngineError> {
    let empty = fresh("tmpfs", &[("mode", "755"), ("size", "4k")], NO_EXEC | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    let null = open_in(root, Path::new("/dev/null"), NO_LINKS).context(|| "open /dev/null in the sandbox")?;
    let mut first_empty = Some(empty);
    let mut shared_empty: Option<OwnedFd> = None;
    for path in MASKED {
        let describe = || format!("mask {path}");
        let target = match open_in(root, Path::new(path), NO_LINKS) {
            Err(Errno::NOENT) => continue,
            other => other.context(describe)?,
        };
        let stat = rustix::fs::fstat(&target).context(describe)?;
        let mask = if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
            copy_of(null.as_fd(), "", false).context(describe)?
        } else if let Some(empty) = first_empty.take() {
            empty
        } else if let Some(shared) = &shared_empty {
            copy_of(shared.as_fd(), "", false).context(describe)?
        } else {
            return Err(EngineError::Spec("no mask is left".into()));
        };
        rustix::mount::move_mount(mask.as_fd(), "", target.as_fd(), "", ONTO).context(describe)?;
        if shared_empty.is_none() && rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
            shared_empty = Some(mask);
        }
    }
    for path in READ_ONLY {
        let describe = || format!("make {path} read-only");
        let target = match open_in(root, Path::new(path), NO_LINKS) {
            Err(Errno::NOENT) => continue,
            other => other.context(describe)?,
        };
        let copy = copy_of(target.as_fd(), "", true).context(describe)?;
        set_attributes(copy.as_fd(), NO_EXEC | MountAttrFlags::MOUNT_ATTR_RDONLY, None, true).context(describe)?;
        rustix::mount::move_mount(copy.as_fd(), "", target.as_fd(), "", ONTO).context(describe)?;
    }
    Ok(())
}
