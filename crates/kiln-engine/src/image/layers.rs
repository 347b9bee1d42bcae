//! Unpacked layers: in which form, and how a stack of them looks to whoever unpacks the next one.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::error::ImageError;
use super::operation::Cancel;
use super::tree;

/// In which form layers lie on disk. It depends on who will mount them (spikes.md 1.4), so a store keeps one set for
/// each form that was used with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LayerForm {
    /// Unpacked by the host's root, with the owners that the image names (0 to 65535). Overlay mounts use the layers
    /// through id-mapped mounts.
    Host,
    /// Unpacked inside a user namespace that has a range of ids (`newuidmap`): owners are as in the image when seen from
    /// inside, so a mount made in a namespace with the same range needs no id mapping.
    Mapped,
    /// Unpacked by a plain user: everything belongs to that user, which is root to a namespace that maps only it.
    Single,
}

impl LayerForm {
    /// The form for the calling process: who it is, and which ids its user namespace has.
    #[must_use]
    pub fn detect() -> Self {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::from_ids(rustix::process::geteuid().as_raw(), &map)
    }

    fn from_ids(euid: u32, uid_map: &str) -> Self {
        if euid != 0 {
            return Self::Single;
        }
        let rows: Vec<Vec<u64>> =
            uid_map.lines().map(|line| line.split_whitespace().filter_map(|n| n.parse().ok()).collect()).collect();
        if matches!(rows.as_slice(), [row] if matches!(row.as_slice(), [0, 0, 4_294_967_295])) {
            return Self::Host;
        }
        let ids: u64 = rows.iter().filter_map(|row| row.get(2)).sum();
        if ids >= 65_536 { Self::Mapped } else { Self::Single }
    }

    /// Directory name.
    pub(crate) fn dir_name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Mapped => "mapped",
            Self::Single => "single",
        }
    }

    /// In words, for errors.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Host => "builds started by root",
            Self::Mapped => "rootless builds with a range of ids",
            Self::Single => "rootless builds with a single id",
        }
    }

    /// All forms.
    pub(crate) const ALL: [Self; 3] = [Self::Host, Self::Mapped, Self::Single];
}

/// The layers of one image while they are unpacked in parallel. Unpacking a layer may need a look at those below it (for
/// a parent directory that the archive leaves out, a deletion, a hard link to a lower file): it then waits until they
/// are complete. Layers are taken on from the bottom up, so whoever waits, waits for layers that someone is at work on.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    state: Mutex<StackState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct StackState {
    roots: Vec<Option<Arc<OwnedFd>>>,
}

impl Stack {
    /// A stack of `len` layers, none complete.
    pub(crate) fn new(len: usize) -> Self {
        Self { state: Mutex::new(StackState { roots: vec![None; len] }), changed: Condvar::new() }
    }

    /// A stack of complete layers, given bottom first.
    pub(crate) fn of(roots: Vec<OwnedFd>) -> Self {
        let roots = roots.into_iter().map(|fd| Some(Arc::new(fd))).collect();
        Self { state: Mutex::new(StackState { roots }), changed: Condvar::new() }
    }

    /// Layer `index` is complete.
    pub(crate) fn complete(&self, index: usize, root: OwnedFd) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = state.roots.get_mut(index) {
            *slot = Some(Arc::new(root));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The root of layer `index`, waiting until it is complete.
    fn root(&self, index: usize, cancel: &Cancel<'_>) -> Result<Arc<OwnedFd>, ImageError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(Some(root)) = state.roots.get(index) {
                return Ok(Arc::clone(root));
            }
            if cancel.is_set() {
                return Err(ImageError::Cancelled);
            }
            // The flag is set without notice, so look at it now and then.
            (state, _) =
                self.changed.wait_timeout(state, Duration::from_millis(100)).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The layers below the one being unpacked.
pub(crate) struct Lower<'a> {
    pub(crate) stack: &'a Stack,
    /// How many layers lie below.
    pub(crate) count: usize,
    pub(crate) cancel: &'a Cancel<'a>,
}

/// What the layers below show at a path.
pub(crate) struct Found {
    /// The directory that holds it, opened.
    pub(crate) parent: OwnedFd,
    pub(crate) stat: Stat,
}

impl Lower<'_> {
    /// Looks up `path` (components, no links followed) as an overlay mount of the lower layers would show it. The last
    /// component is not followed either.
    pub(crate) fn find(&self, path: &[&[u8]]) -> Result<Option<Found>, ImageError> {
        let Some((name, parents)) = path.split_last() else { return Ok(None) };
        'layers: for index in (0..self.count).rev() {
            let root = self.stack.root(index, self.cancel)?;
            let failed = |e: Errno| ImageError::sys("read a lower layer at", joined(path))(e);
            let mut hides = tree::is_opaque(root.as_fd());
            let mut dir = root.try_clone().map_err(ImageError::io("open", "a lower layer"))?;
            for component in parents {
                match tree::open_dir(&dir, component) {
                    Ok(next) => {
                        hides |= tree::is_opaque(next.as_fd());
                        dir = next;
                    }
                    Err(Errno::NOENT) if hides => return Ok(None),
                    Err(Errno::NOENT) => continue 'layers,
                    // A deletion, a file or a link here covers directories further down.
                    Err(Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                    Err(e) => return Err(failed(e)),
                }
            }
            match tree::stat(&dir, name).map_err(failed)? {
                Some(stat) if tree::is_whiteout(&stat) => return Ok(None),
                Some(stat) => return Ok(Some(Found { parent: dir, stat })),
                None if hides => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// The topmost layer's root directory, for its owner and mode.
    pub(crate) fn top(&self) -> Result<Option<Arc<OwnedFd>>, ImageError> {
        self.count.checked_sub(1).map(|top| self.stack.root(top, self.cancel)).transpose()
    }
}

/// Why a stack of layers cannot serve as a root file system: the places where a container's own file systems are mounted
/// must not be links, which could lead such a mount elsewhere (CVE-2026-41579, security.md 4.2).
pub(crate) fn unusable(layers: &[impl AsRef<Path>]) -> Result<Option<String>, ImageError> {
    let mut roots = Vec::with_capacity(layers.len());
    for layer in layers {
        roots.push(tree::open_root(layer.as_ref()).map_err(ImageError::sys("open", layer))?);
    }
    let count = roots.len();
    let stack = Stack::of(roots);
    let lower = Lower { stack: &stack, count, cancel: &Cancel::never() };
    for name in ["dev", "proc", "sys"] {
        if let Some(found) = lower.find(&[name.as_bytes()])? {
            let kind = match tree::file_type(&found.stat) {
                FileType::Directory => continue,
                FileType::Symlink => "a symbolic link",
                _ => "no directory",
            };
            return Ok(Some(format!("its /{name} is {kind}, which a root file system must not have")));
        }
    }
    Ok(None)
}

/// Components as a path, for errors.
pub(crate) fn joined(path: &[&[u8]]) -> std::path::PathBuf {
    std::path::PathBuf::from(std::ffi::OsStr::from_bytes(&path.join(&b'/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_from_who_we_are() {
        assert_eq!(LayerForm::from_ids(0, "         0          0 4294967295\n"), LayerForm::Host);
        assert_eq!(LayerForm::from_ids(1000, "         0          0 4294967295\n"), LayerForm::Single);
        assert_eq!(LayerForm::from_ids(0, "0 1000 1\n1 100000 65536\n"), LayerForm::Mapped);
        assert_eq!(LayerForm::from_ids(0, "0 1000 1\n"), LayerForm::Single);
        assert_eq!(LayerForm::from_ids(0, ""), LayerForm::Single);
    }
}
