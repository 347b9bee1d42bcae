//! What a sandbox's file system is put together from, before anything is mounted.

use std::{
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::{
    container_store::DOCKER_STORE,
    error::EngineError,
    host_image::HostImage,
    ids::fnv1a,
    openat2,
    spec::{Access, RootFs, SandboxSpec},
};

/// Where container engines keep images and containers. In a privileged sandbox these lie on the build disk itself: an
/// overlay cannot take the writes of another one, which the root of an image is.
pub(crate) const CONTAINER_STORES: [&str; 3] = [DOCKER_STORE, "/var/lib/containerd", "/var/lib/containers"];

/// How the owners of files show inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// `0..65536` on disk are `0..65536` inside: image layers.
    Image,
    /// Files of this owner and group show as root's, all others as nobody's.
    Only(u32, u32),
    /// Files of this owner and group show as root's, all others keep an owner of their own.
    Owner(u32, u32),
}

/// A directory that is seen through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lower {
    pub(crate) path: PathBuf,
    pub(crate) view: View,
}

/// Where the files at a mount point come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An empty directory on the build disk.
    Scratch {
        /// Name on the disk.
        name: String,
    },
    /// Read-only directories, top first, under one on the build disk that takes the writes.
    Overlay {
        /// Name on the disk.
        name: String,
        lowers: Vec<Lower>,
        /// Paths, relative to the mount point, that do not exist inside.
        hidden: Vec<PathBuf>,
    },
    /// A directory or file of the host itself.
    Bind { path: PathBuf, read_only: bool, view: View },
    /// A small file that Kiln writes, on the build disk, so that the build can change it.
    Text {
        /// Name on the disk.
        name: &'static str,
        text: String,
    },
}

/// A mount point below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountPoint {
    /// Absolute, inside.
    pub(crate) target: PathBuf,
    pub(crate) source: Source,
    /// The target is a file.
    pub(crate) file: bool,
}

/// The whole file system of a sandbox, except `/proc`, `/sys` and `/dev`, which are the kernel's.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) root: Source,
    /// In the order of mounting.
    pub(crate) mounts: Vec<MountPoint>,
    /// Directories with their modes that are made in the root first, parents before children, and symbolic links.
    pub(crate) directories: Vec<(PathBuf, u32)>,
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// Directories that are made after mounting.
    pub(crate) late_directories: Vec<(PathBuf, u32)>,
}

impl Layout {
    /// Decides where everything comes from. `resolv_conf` is the file's content.
    pub(crate) fn plan(
        spec: &SandboxSpec,
        host: Option<&HostImage>,
        resolv_conf: String,
    ) -> Result<Layout, EngineError> {
        let mut layout = match (&spec.root, host) {
            (RootFs::Host, Some(host)) => Layout {
                root: Source::Scratch { name: "root".into() },
                mounts: host.mounts.clone(),
                directories: host.directories.clone(),
                links: host.links.clone(),
                late_directories: host.late_directories.clone(),
            },
            (RootFs::Host, None) => return Err(EngineError::Spec("the host's image was not looked at".into())),
            (RootFs::Layers(layers), _) => {
                if layers.is_empty() {
                    return Err(EngineError::Spec("the image has no layer".into()));
                }
                let lowers = layers.iter().rev().map(|path| Lower { path: path.clone(), view: View::Image }).collect();
                Layout {
                    root: Source::Overlay { name: "root".into(), lowers, hidden: Vec::new() },
                    mounts: Vec::new(),
                    directories: Vec::new(),
                    links: Vec::new(),
                    late_directories: Vec::new(),
                }
            }
        };
        let hosts =
            format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{}\n", spec.hostname);
        for (target, name, text) in [
            ("/etc/hosts", "hosts", hosts),
            ("/etc/hostname", "hostname", format!("{}\n", spec.hostname)),
            ("/etc/resolv.conf", "resolv.conf", resolv_conf),
        ] {
            let source = Source::Text { name, text };
            layout.mounts.push(MountPoint { target: target.into(), source, file: true });
        }
        for volume in &spec.volumes {
            if volume.access == Access::Scratch {
                let source = Source::Scratch { name: disk_name(&volume.target) };
                layout.mounts.push(MountPoint { target: volume.target.clone(), source, file: false });
                continue;
            }
            let meta = rustix::fs::stat(&volume.source).map_err(|error| EngineError::Host {
                what: format!("use {} in the sandbox", volume.source.display()),
                source: error.into(),
            })?;
            let file = !rustix::fs::FileType::from_raw_mode(meta.st_mode).is_dir();
            let (uid, gid) = (meta.st_uid, meta.st_gid);
            let source = match volume.access {
                Access::CopyOnWrite if file => {
                    return Err(EngineError::Spec(format!("{} is not a directory", volume.source.display())));
                }
                Access::CopyOnWrite => Source::Overlay {
                    name: disk_name(&volume.target),
                    lowers: vec![Lower { path: volume.source.clone(), view: View::Owner(uid, gid) }],
                    hidden: Vec::new(),
                },
                Access::ReadOnly => {
                    Source::Bind { path: volume.source.clone(), read_only: true, view: View::Owner(uid, gid) }
                }
                // Only the owner: what the build creates on the host can then belong to no one else, so not to the
                // host's root either.
                Access::ReadWrite => {
                    Source::Bind { path: volume.source.clone(), read_only: false, view: View::Only(uid, gid) }
                }
                Access::Scratch => Source::Scratch { name: disk_name(&volume.target) },
            };
            layout.mounts.push(MountPoint { target: volume.target.clone(), source, file });
        }
        if let (RootFs::Layers(layers), true) = (&spec.root, spec.privileged) {
            for store in CONTAINER_STORES.map(PathBuf::from) {
                let is_mounted = layout.mounts.iter().any(|point| store.starts_with(&point.target));
                if !is_mounted && !layers.iter().any(|layer| has_entries(layer, &store)) {
                    let source = Source::Scratch { name: disk_name(&store) };
                    layout.mounts.push(MountPoint { target: store, source, file: false });
                }
            }
        }
        Ok(layout)
    }
}

/// Whether a layer holds something in this directory. One that is reached through a link is not looked at.
fn has_entries(layer: &Path, directory: &Path) -> bool {
    let open = || -> io::Result<bool> {
        let layer = rustix::fs::open(layer, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let relative = directory.strip_prefix("/").unwrap_or(directory);
        let found = openat2(layer.as_fd(), relative, flags, Mode::empty(), resolve)?;
        for entry in rustix::fs::Dir::read_from(&found)? {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(true);
            }
        }
        Ok(false)
    };
    open().unwrap_or(false)
}

/// Name on the build disk for what is mounted at `target`: the same when the disk is opened again.
pub(crate) fn disk_name(target: &Path) -> String {
    format!("v-{:016x}", fnv1a(target.as_os_str().as_encoded_bytes()))
}
