//! Images that are ready to use, and what keeps them so.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::super::digest::Digest;
use super::super::error::ImageError;
use super::super::layers;
use super::super::lock::FileLock;
use super::super::manifest::{ImageConfig, ParsedConfig};
use super::super::reference::Reference;
use super::{ImageStore, Origin, Record, private_dir};

/// An unpacked image.
#[derive(Clone, Debug)]
pub struct Image {
    /// Canonical reference.
    pub reference: String,
    /// Digest of the manifest for this platform.
    pub digest: Digest,
    /// Digest of the configuration: docker's image id.
    pub id: Digest,
    /// Its configuration.
    pub config: ImageConfig,
    /// Unpacked layers, bottom first.
    pub layers: Vec<PathBuf>,
    /// Bytes of all files.
    pub size: u64,
    chain: Digest,
    store: ImageStore,
}

/// Keeps an image's layers from being removed while it lives, and no longer than its process, however that ends.
#[derive(Debug)]
pub struct Lease {
    _lock: FileLock,
}

/// An image in a list.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    /// Canonical reference.
    pub reference: String,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Digest of the configuration: docker's image id.
    pub id: Digest,
    /// Architecture in Go's spelling.
    pub architecture: String,
    /// Bytes of all files of all layers (shared ones counted in full).
    pub size: u64,
    /// Whether it came from an archive, not from a registry.
    pub imported: bool,
    /// When it was brought in.
    pub added: SystemTime,
    /// Whether a build holds a lease on it now.
    pub in_use: bool,
    /// Whether its layers are unpacked in the form that this process uses.
    pub unpacked: bool,
}

/// What a pin file says.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Pin {
    version: u32,
    pub(super) reference: String,
    pub(super) digest: Digest,
    pub(super) config: Digest,
    pub(super) chain: Digest,
    bytes: u64,
}

impl ImageStore {
    /// The image of that name (or digest, or id), if it is here.
    ///
    /// # Errors
    /// If `text` is no reference, the store cannot be read, or the image is only here in a form that this process
    /// cannot use ([`ImageError::NotUnpacked`]).
    pub fn resolve(&self, text: &str) -> Result<Option<Image>, ImageError> {
        let Some(record) = self.find_record(text)? else { return Ok(None) };
        self.load(record.reference, record.digest, record.config, record.bytes).map(Some)
    }

    fn load(&self, reference: String, digest: Digest, id: Digest, size: u64) -> Result<Image, ImageError> {
        let parsed = ParsedConfig::parse(&format!("configuration of `{reference}`"), &self.document(&id)?)?;
        let not_unpacked = || ImageError::NotUnpacked { reference: reference.clone(), form: self.form().words() };
        let chain = *parsed.chain.last().ok_or_else(not_unpacked)?;
        let layers: Vec<PathBuf> = parsed.chain.iter().map(|chain| self.layer_tree(chain)).collect();
        if !layers.iter().all(|path| path.is_dir()) {
            return Err(not_unpacked());
        }
        Ok(Image { reference, digest, id, config: parsed.config, layers, size, chain, store: self.clone() })
    }

    /// All images, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn list(&self) -> Result<Vec<ImageSummary>, ImageError> {
        let mut list = Vec::new();
        for record in self.index()?.images {
            let in_use = self.is_leased(&record.chain)?;
            let unpacked = self.layer_tree(&record.chain).is_dir();
            list.push(ImageSummary {
                added: record.added_at(),
                reference: record.reference,
                digest: record.digest,
                id: record.config,
                architecture: record.architecture,
                size: record.bytes,
                imported: record.origin == Origin::Imported,
                in_use,
                unpacked,
            });
        }
        Ok(list)
    }

    pub(super) fn lease_path(&self, chain: &Digest) -> PathBuf {
        self.path("leases").join(chain.hex())
    }

    /// Whether someone holds a lease on exactly this layer. Asking means trying the lock, so those who ask take turns,
    /// or one would take another for a build.
    pub(super) fn is_leased(&self, chain: &Digest) -> Result<bool, ImageError> {
        let path = self.lease_path(chain);
        if !path.exists() {
            return Ok(false);
        }
        let _turn = FileLock::exclusive(&self.lock_path("leases"))?;
        Ok(FileLock::try_exclusive(&path)?.is_none())
    }

    /// The image that [`Image::pin`] keeps under `id`.
    ///
    /// # Errors
    /// If `id` is not a plain name, or the pin or its image cannot be read.
    pub fn pinned(&self, id: &str) -> Result<Option<Image>, ImageError> {
        let path = self.pin_path(id)?;
        match self.read_pin(&path)? {
            Some(pin) => self.load(pin.reference, pin.digest, pin.config, pin.bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Lets go of what [`Image::pin`] kept. It is no error if there is nothing.
    ///
    /// # Errors
    /// If `id` is not a plain name or the pin cannot be removed.
    pub fn unpin(&self, id: &str) -> Result<(), ImageError> {
        let path = self.pin_path(id)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ImageError::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    fn pin_path(&self, id: &str) -> Result<PathBuf, ImageError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if id.is_empty() || id.len() > 128 || id.starts_with('.') || !id.bytes().all(plain) {
            return Err(ImageError::Store {
                path: self.path("pins"),
                problem: format!("cannot hold a pin named `{}`", id.escape_debug()),
            });
        }
        Ok(self.path("pins").join(format!("{id}.json")))
    }

    pub(super) fn read_pin(&self, path: &std::path::Path) -> Result<Option<Pin>, ImageError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ImageError::io("read", path)(e)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| ImageError::Store { path: path.to_owned(), problem: format!("is damaged ({e}): remove it") })
    }
}

impl Image {
    /// Keeps the layers from being removed until the lease is dropped. Take it before mounting them.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] if the image has been removed meanwhile; [`ImageError::Unusable`] if it must not be used
    /// as a root file system (`/dev`, `/proc` or `/sys` are links).
    pub fn lease(&self) -> Result<Lease, ImageError> {
        // While this is held nobody removes anything, so the lease is there before anyone could.
        let _activity = FileLock::shared(&self.store.lock_path("activity"))?;
        let lock = FileLock::shared(&self.store.lease_path(&self.chain))?;
        if !self.layers.iter().all(|path| path.is_dir()) {
            return Err(ImageError::NotFound { reference: self.familiar() });
        }
        match layers::unusable(&self.layers)? {
            Some(problem) => Err(ImageError::Unusable { reference: self.familiar(), problem }),
            None => Ok(Lease { _lock: lock }),
        }
    }

    /// Keeps the image under `id` until [`ImageStore::unpin`], whatever happens to its name and to this process: for
    /// builds whose file system is kept.
    ///
    /// # Errors
    /// [`ImageError::NotFound`] if the image has been removed meanwhile; if `id` is not a plain name; if the pin cannot
    /// be written.
    pub fn pin(&self, id: &str) -> Result<(), ImageError> {
        let path = self.store.pin_path(id)?;
        let _activity = FileLock::shared(&self.store.lock_path("activity"))?;
        if !self.layers.iter().all(|path| path.is_dir()) {
            return Err(ImageError::NotFound { reference: self.familiar() });
        }
        private_dir(&self.store.path("pins"))?;
        let pin = Pin {
            version: 1,
            reference: self.reference.clone(),
            digest: self.digest,
            config: self.id,
            chain: self.chain,
            bytes: self.size,
        };
        self.store.write_durably(&path, &serde_json::to_vec(&pin).unwrap_or_default())
    }

    /// The reference as people write it.
    #[must_use]
    pub fn familiar(&self) -> String {
        Reference::parse(&self.reference).map_or_else(|_| self.reference.clone(), |r| r.familiar())
    }
}

impl Record {
    /// The record of a new image.
    pub(crate) fn new(
        reference: &Reference,
        digest: Digest,
        config: Digest,
        parsed: &ParsedConfig,
        bytes: u64,
        origin: Origin,
        now: SystemTime,
    ) -> Result<Self, ImageError> {
        let chain = parsed.chain.last().copied();
        Ok(Self {
            reference: reference.to_string(),
            digest,
            config,
            chain: chain.ok_or_else(|| ImageError::document(reference.to_string(), "the image has no layers"))?,
            architecture: parsed.config.architecture.clone(),
            bytes,
            origin,
            added: now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        })
    }
}
