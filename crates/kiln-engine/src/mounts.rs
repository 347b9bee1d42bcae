//! Turns a [`Layout`]'s sources into detached mounts.

mod copy;

use std::{
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags},
};

use crate::{
    container_store::DOCKER_STORE,
    disk::attach,
    error::{Context as _, EngineError},
    ids::{IdMap, user_namespace},
    layout::{Layout, Lower, MountPoint, Source, View},
    sys::mount::set_attributes,
};

/// Whether overlayfs takes its layers as descriptors (about Linux 6.13). Until a kernel refuses, it is assumed to.
static LAYERS_AS_DESCRIPTORS: AtomicBool = AtomicBool::new(true);

/// Makes overlays of this process as kernels before 6.13 need them: for tests.
#[doc(hidden)]
pub fn force_overlays_by_path(force: bool) {
    LAYERS_AS_DESCRIPTORS.store(!force, Ordering::Relaxed);
}

/// Who mounts.
#[derive(Debug)]
enum Rights {
    /// The host's root: lower layers are id-mapped.
    Root {
        /// Maps the sandbox's ids.
        userns: OwnedFd,
        base: u32,
        /// Namespaces that were made for other views.
        views: Vec<(View, OwnedFd)>,
    },
    /// Root of the sandbox's own user namespace.
    Rootless,
}

/// Makes detached mounts for one sandbox.
#[derive(Debug)]
pub(crate) struct Mounter {
    rights: Rights,
    /// Root of the build disk.
    disk: PathBuf,
    /// Directory in which lower layers get paths, in this process's own mount namespace.
    scratch: PathBuf,
    attached: Vec<PathBuf>,
    pub(crate) notices: Vec<String>,
}

impl Mounter {
    /// For the host's root. `userns` is the sandbox's.
    pub(crate) fn root(userns: OwnedFd, base: u32, disk: &Path, scratch: PathBuf) -> Mounter {
        let rights = Rights::Root { userns, base, views: Vec::new() };
        Mounter { rights, disk: disk.to_path_buf(), scratch, attached: Vec::new(), notices: Vec::new() }
    }

    /// For a process that is root of its user namespace only.
    pub(crate) fn rootless(disk: &Path) -> Mounter {
        Mounter {
            rights: Rights::Rootless,
            disk: disk.to_path_buf(),
            scratch: PathBuf::new(),
            attached: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// The host's id of the sandbox's root, for what is created on the disk; `None` where that is the caller itself.
    fn owner(&self) -> Option<u32> {
        match self.rights {
            Rights::Root { base, .. } => Some(base),
            Rights::Rootless => None,
        }
    }

    /// The mount for one source.
    pub(crate) fn mount(&mut self, source: &Source) -> Result<OwnedFd, EngineError> {
        match source {
            Source::Scratch { name } => {
                let dir = self.directory(Path::new(name), 0o755)?;
                self.bind(&dir, MountAttrFlags::MOUNT_ATTR_NODEV, None)
            }
            Source::Text { name, text } => {
                let dir = self.directory(Path::new("etc"), 0o755)?;
                let file = dir.join(name);
                std::fs::write(&file, text).context(|| format!("write {}", file.display()))?;
                self.give(&file)?;
                rustix::fs::chmod(&file, Mode::from(0o644))
                    .context(|| format!("set the mode of {}", file.display()))?;
                self.bind(&file, MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID, None)
            }
            Source::Bind { path, read_only, view } => self.host_bind(path, *read_only, *view),
            Source::Overlay { name, lowers, hidden } => self.overlay(name, lowers, hidden),
        }
    }

    /// The mounts for all of a layout's mount points. `store`: where Docker's images are passed on, if they are.
    pub(crate) fn points(&mut self, layout: &Layout, store: Option<&Path>) -> Result<Vec<OwnedFd>, EngineError> {
        let mount = |point: &MountPoint| match store {
            Some(store) if point.target == Path::new(DOCKER_STORE) => self.store(store),
            _ => self.mount(&point.source),
        };
        layout.mounts.iter().map(mount).collect()
    }

    /// The mount for a directory that sandboxes of these ids pass on to each other, on a disk of its own.
    fn store(&mut self, path: &Path) -> Result<OwnedFd, EngineError> {
        // It is absolute: not on the build disk.
        let dir = self.directory(path, 0o711)?;
        self.bind(&dir, MountAttrFlags::MOUNT_ATTR_NODEV, None)
    }

    /// Detaches what was attached for the making of overlays, which hold on to it by themselves.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, EngineError> {
        for path in std::mem::take(&mut self.attached) {
            crate::disk::unmount(&path)?;
        }
        Ok(self.notices)
    }

    /// Makes a directory of the build disk that the sandbox's root owns. One that exists is used as it is.
    fn directory(&self, name: &Path, mode: u32) -> Result<PathBuf, EngineError> {
        let path = self.disk.join(name);
        match rustix::fs::mkdir(&path, Mode::from(0o700)) {
            Ok(()) => {
                self.give(&path)?;
                rustix::fs::chmod(&path, Mode::from(mode)).context(|| format!("set the mode of {}", path.display()))?;
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error).context(|| format!("create {}", path.display())),
        }
        Ok(path)
    }

    fn give(&self, path: &Path) -> Result<(), EngineError> {
        let Some(base) = self.owner() else { return Ok(()) };
        set_owner(path, Uid::from_raw(base), Gid::from_raw(base))
            .context(|| format!("give {} to the sandbox", path.display()))
    }

    /// A detached copy of the mount at `path`, without what is mounted below it.
    fn bind(
        &self,
        path: &Path,
        attributes: MountAttrFlags,
        idmap: Option<BorrowedFd<'_>>,
    ) -> Result<OwnedFd, EngineError> {
        let tree =
            rustix::mount::open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
                .context(|| format!("make {} visible to the sandbox", path.display()))?;
        set_attributes(tree.as_fd(), attributes, idmap, false)
            .context(|| format!("map the owners of {}", path.display()))?;
        Ok(tree)
    }

    fn host_bind(&mut self, path: &Path, read_only: bool, view: View) -> Result<OwnedFd, EngineError> {
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
        if read_only {
            attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        if matches!(self.rights, Rights::Rootless) {
            return self.bind(path, attributes, None);
        }
        match self.mapped(path, attributes, view) {
            Err(error) if read_only && cannot_map(&error) => {
                self.notices.push(format!(
                    "files of {} belong to nobody inside: its file system cannot be id-mapped",
                    path.display()
                ));
                self.bind(path, attributes, None)
            }
            other => other,
        }
    }

    /// [`Mounter::bind`] with the owners shown as `view` says.
    fn mapped(&mut self, path: &Path, attributes: MountAttrFlags, view: View) -> Result<OwnedFd, EngineError> {
        let Rights::Root { userns, base, views } = &mut self.rights else {
            return self.bind(path, attributes, None);
        };
        let namespace = if matches!(view, View::Image | View::Owner(0, 0)) {
            userns.try_clone()
        } else {
            let position = views.iter().position(|(known, _)| *known == view);
            match position.and_then(|position| views.get(position)) {
                Some((_, namespace)) => namespace.try_clone(),
                None => {
                    let (uids, gids) = match view {
                        View::Only(uid, gid) => (IdMap::single(uid, *base), IdMap::single(gid, *base)),
                        View::Owner(uid, gid) => (IdMap::owner_as_root(uid, *base), IdMap::owner_as_root(gid, *base)),
                        View::Image => (IdMap::all(*base), IdMap::all(*base)),
                    };
                    let namespace = user_namespace(&uids, &gids)?;
                    let copy = namespace.try_clone();
                    views.push((view, namespace));
                    copy
                }
            }
        };
        let namespace = namespace.context(|| "duplicate a descriptor")?;
        self.bind(path, attributes, Some(namespace.as_fd()))
    }

    fn overlay(&mut self, name: &str, lowers: &[Lower], hidden: &[PathBuf]) -> Result<OwnedFd, EngineError> {
        let dir = self.directory(Path::new(name), 0o700)?;
        let upper_name = Path::new(name).join("upper");
        let fresh = !dir.join("upper").exists();
        let upper = self.directory(&upper_name, 0o755)?;
        if fresh && let Some(top) = lowers.first() {
            // The merged directory has the upper's mode.
            let stat = rustix::fs::stat(&top.path).context(|| format!("look at {}", top.path.display()))?;
            rustix::fs::chmod(&upper, Mode::from_raw_mode(stat.st_mode))
                .context(|| format!("set the mode of {}", upper.display()))?;
        }
        let work = dir.join("work");
        // An overlay with `volatile` leaves a mark against being mounted twice, because its upper may not have been
        // written. Ours was: the disk was unmounted by the kernel, whoever died.
        match std::fs::remove_dir_all(work.join("work").join("incompat")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(|| format!("clean {}", work.display()));
            }
            _ => {}
        }
        self.directory(&Path::new(name).join("work"), 0o755)?;
        if let Some(lower) = lowers.first() {
            for path in hidden {
                self.hide(&upper, &lower.path, path)?;
            }
        }
        let mut layers = Vec::new();
        for lower in lowers {
            layers.push(match self.rights {
                Rights::Root { .. } => match self.lower(lower)? {
                    Some(layer) => layer,
                    None => return self.copied(lower, &upper, fresh),
                },
                // A detached copy would not do: the kernel wants the layers of a user namespace's overlay attached.
                Rights::Rootless => open_path(&lower.path).context(|| format!("open {}", lower.path.display()))?,
            });
        }
        if LAYERS_AS_DESCRIPTORS.load(Ordering::Relaxed) {
            let made = open_path(&upper)
                .and_then(|upper| Ok((upper, open_path(&work)?)))
                .and_then(|(upper, work)| self.overlay_of_descriptors(&layers, &upper, &work));
            match made {
                Err(Errno::INVAL) => LAYERS_AS_DESCRIPTORS.store(false, Ordering::Relaxed),
                other => return other.context(|| format!("put an overlay on {}", upper.display())),
            }
        }
        let mut paths = Vec::new();
        for (layer, lower) in layers.iter().zip(lowers) {
            paths.push(match self.rights {
                Rights::Root { .. } => self.attach_lower(layer)?,
                Rights::Rootless => lower.path.clone(),
            });
        }
        self.overlay_of_paths(&dir, &paths).context(|| format!("put an overlay on {}", upper.display()))
    }

    /// The detached mount of a lower layer. Where a file system cannot be id-mapped, the files of a volume must be
    /// copied (`None`), and those of an image show as nobody's.
    fn lower(&mut self, lower: &Lower) -> Result<Option<OwnedFd>, EngineError> {
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
        match self.mapped(&lower.path, attributes, lower.view) {
            Err(error) if cannot_map(&error) && matches!(lower.view, View::Owner(..)) => Ok(None),
            Err(error) if cannot_map(&error) => {
                self.notices.push(format!(
                    "files of {} belong to nobody inside and cannot be changed: its file system cannot be id-mapped",
                    lower.path.display()
                ));
                self.bind(&lower.path, attributes, None).map(Some)
            }
            other => other.map(Some),
        }
    }

    /// A copy of a volume's source, in place of an overlay over it.
    fn copied(&mut self, lower: &Lower, upper: &Path, fresh: bool) -> Result<OwnedFd, EngineError> {
        if let (true, View::Owner(uid, gid), Some(base)) = (fresh, lower.view, self.owner()) {
            copy::tree(&lower.path, upper, (uid, gid), base)?;
        }
        self.notices.push(format!("{} was copied: its file system cannot be id-mapped", lower.path.display()));
        self.bind(upper, MountAttrFlags::MOUNT_ATTR_NODEV, None)
    }

    /// Gives a detached mount a path, in this process's own mount namespace.
    fn attach_lower(&mut self, tree: &OwnedFd) -> Result<PathBuf, EngineError> {
        let path = self.scratch.join(self.attached.len().to_string());
        std::fs::create_dir_all(&path).context(|| format!("create {}", path.display()))?;
        let copy = rustix::mount::open_tree(
            tree.as_fd(),
            "",
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH,
        );
        // Kernels before 6.15 cannot copy a detached mount; attaching the original does as well.
        match copy {
            Ok(copy) => attach(&copy, &path)?,
            Err(_) => attach(tree, &path)?,
        }
        self.attached.push(path.clone());
        Ok(path)
    }

    fn overlay_of_descriptors(
        &self,
        lowers: &[OwnedFd],
        upper: &OwnedFd,
        work: &OwnedFd,
    ) -> rustix::io::Result<OwnedFd> {
        use rustix::mount::{
            fsconfig_create, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
        };
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let fd = context.as_fd();
        fsconfig_set_string(fd, "source", "kiln")?;
        for lower in lowers {
            fsconfig_set_fd(fd, "lowerdir+", lower.as_fd())?;
        }
        fsconfig_set_fd(fd, "upperdir", upper.as_fd())?;
        fsconfig_set_fd(fd, "workdir", work.as_fd())?;
        // No sync of the upper at unmount, and none for each fsync of the build.
        fsconfig_set_flag(fd, "volatile")?;
        if matches!(self.rights, Rights::Rootless) {
            fsconfig_set_flag(fd, "userxattr")?;
        }
        fsconfig_create(fd)?;
        fsmount(fd, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)
    }

    /// The same through `mount(2)`, whose options are one page and whose paths need escapes; `dir` holds `upper` and
    /// `work`. Paths below the scratch directory are given relative to it, so that many fit.
    fn overlay_of_paths(&self, dir: &Path, lowers: &[PathBuf]) -> rustix::io::Result<OwnedFd> {
        use rustix::mount::{MountFlags, UnmountFlags, mount, open_tree, unmount};
        let here = open_path(Path::new("."));
        if self.scratch.is_dir() {
            rustix::process::chdir(&self.scratch)?;
        }
        let short: Vec<&Path> = lowers.iter().map(|path| path.strip_prefix(&self.scratch).unwrap_or(path)).collect();
        let mut options = b"volatile,".to_vec();
        if matches!(self.rights, Rights::Rootless) {
            options.extend_from_slice(b"userxattr,");
        }
        options.extend_from_slice(b"lowerdir=");
        escape(&mut options, &short);
        for (name, sub) in [("upperdir", "upper"), ("workdir", "work")] {
            options.extend_from_slice(format!(",{name}=").as_bytes());
            escape(&mut options, &[&dir.join(sub)]);
        }
        let point = dir.join("merged");
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        let mounted = match rustix::fs::mkdir(&point, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => mount("kiln", &point, "overlay", MountFlags::NODEV, options.as_c_str()),
            Err(error) => Err(error),
        };
        let tree = mounted.and_then(|()| {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let tree = open_tree(CWD, &point, flags);
            unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).and(tree)
        });
        if let Ok(here) = here {
            rustix::process::fchdir(here)?;
        }
        tree
    }

    /// Makes `path` of the lower directory invisible, by a whiteout in the upper one.
    fn hide(&self, upper: &Path, lower: &Path, path: &Path) -> Result<(), EngineError> {
        let mut done = PathBuf::new();
        let Some(parent) = path.parent() else { return Ok(()) };
        for component in parent.components() {
            done.push(component);
            let dir = upper.join(&done);
            match rustix::fs::mkdir(&dir, Mode::RWXU) {
                Err(Errno::EXIST) => continue,
                other => other.context(|| format!("create {}", dir.display()))?,
            }
            self.give(&dir)?;
            let mode = rustix::fs::lstat(lower.join(&done)).map_or(0o755, |stat| stat.st_mode);
            rustix::fs::chmod(&dir, Mode::from_raw_mode(mode))
                .context(|| format!("set the mode of {}", dir.display()))?;
        }
        let whiteout = upper.join(path);
        match rustix::fs::mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(0, 0)) {
            // A disk that was opened again has it, or what the build put in its place.
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error).context(|| format!("hide {}", lower.join(path).display())),
        }
    }
}

/// Adds paths to overlayfs's options, with the escapes for what separates paths and options.
fn escape(options: &mut Vec<u8>, paths: &[&Path]) {
    for (number, path) in paths.iter().enumerate() {
        if number > 0 {
            options.push(b':');
        }
        for byte in path.as_os_str().as_bytes() {
            if matches!(byte, b':' | b'\\' | b',') {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
}

fn set_owner(path: &Path, uid: Uid, gid: Gid) -> rustix::io::Result<()> {
    rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Whether an error says that a file system, or this kernel, cannot id-map mounts.
fn cannot_map(error: &EngineError) -> bool {
    matches!(error, EngineError::Host { source, .. } if matches!(source.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)))
}

/// Opens a path as such.
fn open_path(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// A detached copy of the host's `/sys`, without what is mounted below it, for sandboxes in the host's network
/// namespace, which cannot mount their own.
pub(crate) fn host_sys() -> Result<OwnedFd, EngineError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, "/sys", flags).context(|| "make /sys visible to the sandbox")?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    set_attributes(tree.as_fd(), attributes, None, false).context(|| "make /sys read-only")?;
    Ok(tree)
}

/// Moves this process into a mount namespace of its own, once: what it mounts is seen by no one else and vanishes with
/// it, and what the host unmounts vanishes here too.
pub(crate) fn enter_private_namespace() -> Result<(), EngineError> {
    static ENTERED: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    if ENTERED.get().is_some() {
        return Ok(());
    }
    crate::sys::process::unshare(crate::sys::process::flag::NEWNS).context(|| "make a mount namespace")?;
    use rustix::mount::{MountPropagationFlags, mount_change};
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .context(|| "separate the mount namespace from the host's")?;
    let _first = ENTERED.set(());
    Ok(())
}
