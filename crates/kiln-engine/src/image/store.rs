//! The store on disk:
//!
//! ```text
//! format                  version of all this
//! index.json              names → manifest, configuration, topmost layer; replaced by rename
//! blobs/sha256/<hex>      manifests and configurations (layer blobs only until they are unpacked)
//! partial/<hex>           downloads under way or interrupted
//! layers/<form>/<chain>/  fs/ (the unpacked tree) and layer.json
//! leases/<chain>          held shared (flock) by who uses that layer and those below it
//! pins/<id>.json          images kept for a purpose beyond a process's life
//! locks/                  activity (shared: bringing images in; exclusive: removing), index, one per layer
//! tmp/, trash/            layers being unpacked, things being deleted; swept
//! ```
//!
//! A layer appears under its final name only when it is complete and on disk, and an image in the index only when its
//! layers are. So a crash leaves nothing but files that the next operation sweeps.

mod collect;
mod image;
mod index;

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::error::ImageError;
use super::layers::LayerForm;
use super::lock::FileLock;
use super::operation::Cancel;
use super::tree;
use super::unpack::Notes;

pub use collect::{PruneScope, Pruned, Removed, Usage};
pub use image::{Image, ImageSummary, Lease};
pub(crate) use index::{Origin, Record};

const FORMAT: &str = "kiln images 1\n";
const DIRECTORIES: [&str; 8] = ["blobs/sha256", "partial", "layers", "leases", "pins", "locks", "tmp", "trash"];

/// A store of images. Cheap to open and to clone; safe to use from many processes at once.
#[derive(Clone, Debug)]
pub struct ImageStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    form: LayerForm,
}

impl ImageStore {
    /// Opens the store in `dir` (`<data>/images`), making it if it is not there, for the calling process.
    ///
    /// # Errors
    /// If the directory cannot be made or used, or has another version's format.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ImageError> {
        Self::open_with(dir, LayerForm::detect())
    }

    /// Opens the store for layers in the given form.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(dir: impl Into<PathBuf>, form: LayerForm) -> Result<Self, ImageError> {
        let dir = dir.into();
        let store = Self { inner: Arc::new(Inner { dir, form }) };
        let format = store.path("format");
        match std::fs::read_to_string(&format) {
            Ok(text) if text == FORMAT => {}
            Ok(text) => {
                return Err(ImageError::Store {
                    path: format,
                    problem: format!(
                        "says `{}`; this kiln reads `{}`: use the version that wrote it, or move the directory away and \
                         pull the images again",
                        text.trim_end().chars().take(80).collect::<String>().escape_debug(),
                        FORMAT.trim_end()
                    ),
                });
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => store.create()?,
            Err(e) => return Err(ImageError::io("read", format)(e)),
        }
        Ok(store)
    }

    fn create(&self) -> Result<(), ImageError> {
        let dir = &self.inner.dir;
        private_dir(dir)?;
        for name in DIRECTORIES {
            private_dir(&dir.join(name))?;
        }
        for form in LayerForm::ALL {
            private_dir(&dir.join("layers").join(form.dir_name()))?;
        }
        // Layers hold setuid programs and world-writable directories of strangers: nobody else may come near them.
        let mode = std::fs::metadata(dir).map_err(ImageError::io("examine", dir))?.mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
                .map_err(ImageError::io("make private", dir))?;
        }
        // Last: a directory with this file is complete.
        self.write_durably(&self.path("format"), FORMAT.as_bytes())
    }

    /// The store's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The form of the layers that this handle reads and makes.
    #[must_use]
    pub fn form(&self) -> LayerForm {
        self.inner.form
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.dir.join(name)
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.dir.join("blobs/sha256").join(digest.hex())
    }

    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.inner.dir.join("partial").join(digest.hex())
    }

    /// Directory of an unpacked layer: its tree is `fs` in it.
    fn layer_path(&self, chain: &Digest) -> PathBuf {
        self.layer_path_in(self.inner.form, chain)
    }

    fn layer_path_in(&self, form: LayerForm, chain: &Digest) -> PathBuf {
        self.inner.dir.join("layers").join(form.dir_name()).join(chain.hex())
    }

    /// The tree of an unpacked layer.
    pub(crate) fn layer_tree(&self, chain: &Digest) -> PathBuf {
        self.layer_path(chain).join("fs")
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.inner.dir.join("locks").join(name)
    }

    /// Starts bringing images in: while the guard lives, nothing that is not yet in the index is collected. Sweeps what
    /// crashed processes left, if nobody else is at work.
    pub(crate) fn begin(&self) -> Result<FileLock, ImageError> {
        let activity = self.lock_path("activity");
        if let Some(alone) = FileLock::try_exclusive(&activity)? {
            self.sweep(&alone)?;
        }
        // What cannot be deleted (another user namespace's files, say) is left for `prune`, which reports it.
        self.empty_trash().ok();
        FileLock::shared(&activity)
    }

    /// Takes the lock on unpacking one layer; `waiting` is called if someone else is at it.
    pub(crate) fn lock_layer(
        &self,
        chain: &Digest,
        cancel: &Cancel<'_>,
        waiting: impl FnOnce(),
    ) -> Result<FileLock, ImageError> {
        let path = self.lock_path(&format!("{}-{}", self.inner.form.dir_name(), chain.hex()));
        FileLock::exclusive_unless(&path, cancel, waiting)
    }

    /// The facts of an unpacked layer, if it is here.
    pub(crate) fn layer(&self, chain: &Digest) -> Result<Option<LayerFacts>, ImageError> {
        self.layer_in(self.inner.form, chain)
    }

    fn layer_in(&self, form: LayerForm, chain: &Digest) -> Result<Option<LayerFacts>, ImageError> {
        let path = self.layer_path_in(form, chain).join("layer.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ImageError::io("read", path)(e)),
        };
        let facts: LayerFacts = serde_json::from_slice(&bytes).map_err(|e| ImageError::Store {
            path: path.clone(),
            problem: format!("is damaged ({e}): remove the image with `kiln image rm` and pull it again"),
        })?;
        Ok(Some(facts))
    }

    /// A new directory for a layer to be unpacked into.
    pub(crate) fn temporary_layer(&self) -> Result<TemporaryLayer, ImageError> {
        let path = self.unique("tmp");
        private_dir(&path.join("fs"))?;
        Ok(TemporaryLayer { path: Some(path) })
    }

    /// Puts a complete layer under its name. The caller holds the layer's lock.
    pub(crate) fn commit_layer(
        &self,
        mut layer: TemporaryLayer,
        chain: &Digest,
        facts: &LayerFacts,
    ) -> Result<(), ImageError> {
        let Some(path) = layer.path.clone() else { return Ok(()) };
        let json = serde_json::to_vec(facts).unwrap_or_default();
        let facts_path = path.join("layer.json");
        std::fs::write(&facts_path, json).map_err(ImageError::io("write", &facts_path))?;
        // Thousands of files: one sync of the file system instead of one for each.
        let dir = std::fs::File::open(&path).map_err(ImageError::io("open", &path))?;
        rustix::fs::syncfs(&dir).map_err(ImageError::sys("write to disk", &path))?;
        let target = self.layer_path(chain);
        std::fs::rename(&path, &target).map_err(ImageError::io("rename", &path))?;
        layer.path = None;
        sync_dir(target.parent().unwrap_or(&self.inner.dir))
    }

    /// Stores a manifest or configuration under its digest.
    pub(crate) fn put_document(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = Digest::of(bytes);
        let path = self.blob_path(&digest);
        if std::fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(digest);
        }
        self.write_durably(&path, bytes)?;
        Ok(digest)
    }

    /// Reads a manifest or configuration and checks its digest.
    pub(crate) fn document(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = self.blob_path(digest);
        let bytes = std::fs::read(&path).map_err(ImageError::io("read", &path))?;
        let actual = Digest::of(&bytes);
        if actual == *digest {
            Ok(bytes)
        } else {
            Err(ImageError::Digest { what: path.display().to_string(), expected: *digest, actual })
        }
    }

    /// Replaces a file so that after a crash it is either the old or the new one.
    fn write_durably(&self, path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
        let temporary = self.unique("tmp");
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::File::create_new(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&temporary, path)
        };
        if let Err(e) = write() {
            // The first error is the one to tell.
            std::fs::remove_file(&temporary).ok();
            return Err(ImageError::io("write", path)(e));
        }
        sync_dir(path.parent().unwrap_or(&self.inner.dir))
    }

    /// A name in `dir` that nobody uses.
    fn unique(&self, dir: &str) -> PathBuf {
        let name = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        self.inner.dir.join(dir).join(name)
    }
}

/// What `layer.json` says about an unpacked layer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LayerFacts {
    pub(crate) version: u32,
    /// Chain id of the layer below.
    pub(crate) parent: Option<Digest>,
    pub(crate) diff_id: Digest,
    /// Bytes of all files.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    pub(crate) notes: Notes,
}

impl LayerFacts {
    pub(crate) const VERSION: u32 = 1;
}

/// A layer that is being unpacked; removed when dropped, unless it was committed.
#[derive(Debug)]
pub(crate) struct TemporaryLayer {
    path: Option<PathBuf>,
}

impl TemporaryLayer {
    /// The directory for the tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.path.as_deref().unwrap_or(Path::new("/nonexistent")).join("fs")
    }
}

impl Drop for TemporaryLayer {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // If this fails, the next sweep tries again.
            remove_path(path).ok();
        }
    }
}

/// Removes a file or a whole directory of the store.
fn remove_path(path: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = tree::open_root(parent)?;
    tree::remove(std::os::fd::AsFd::as_fd(&parent), std::os::unix::ffi::OsStrExt::as_bytes(name))
}

/// Makes a directory and those above it, for this user alone.
fn private_dir(path: &Path) -> Result<(), ImageError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(ImageError::io("create", path))
}

fn sync_dir(path: &Path) -> Result<(), ImageError> {
    std::fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(ImageError::io("write to disk", path))
}

/// The entries of one of the store's own directories.
fn entries(path: &Path) -> Result<Vec<(String, PathBuf)>, ImageError> {
    let listing = match std::fs::read_dir(path) {
        Ok(listing) => listing,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ImageError::io("list", path)(e)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let entry = entry.map_err(ImageError::io("list", path))?;
        // The store's own names are plain; anything else was not made by it, and is left alone.
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}
