//! Removing what nothing needs.

use std::collections::HashSet;
use std::path::PathBuf;

use super::super::digest::Digest;
use super::super::error::ImageError;
use super::super::layers::LayerForm;
use super::super::lock::FileLock;
use super::super::reference::Reference;
use super::{ImageStore, entries, remove_path};

/// What [`ImageStore::prune`] removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneScope {
    /// What no image needs: layers and documents without a name, interrupted downloads, leftovers.
    Unreferenced,
    /// Also every image that no build uses now.
    UnusedImages,
}

/// What pruning removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// References of images.
    pub images: Vec<String>,
    /// Layers and interrupted downloads.
    pub layers: usize,
    /// Their size, bytes.
    pub bytes: u64,
}

/// What removing a name led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The name that is gone.
    pub reference: String,
    /// Bytes freed at once. 0 if other images share the layers, or if they could not be looked at because images were
    /// being brought in (then `prune` frees them).
    pub bytes: u64,
}

/// How much disk the store uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Unpacked layers: bytes of their files.
    pub layers: u64,
    /// Manifests, configurations, downloads.
    pub blobs: u64,
    /// The part of both that [`PruneScope::Unreferenced`] would free.
    pub unreferenced: u64,
}

/// What must stay.
struct Live {
    chains: HashSet<Digest>,
    blobs: HashSet<Digest>,
}

impl ImageStore {
    /// Removes the name `text`, and its layers and documents if nothing else needs them.
    ///
    /// # Errors
    /// [`ImageError::NotFound`]; [`ImageError::InUse`] if a build uses the image and it has no other name.
    pub fn remove(&self, text: &str) -> Result<Removed, ImageError> {
        let record = self
            .find_record(text)?
            .ok_or_else(|| ImageError::NotFound { reference: text.escape_debug().to_string() })?;
        let familiar = Reference::parse(&record.reference).map_or_else(|_| record.reference.clone(), |r| r.familiar());
        self.update_index(|index| {
            let others = index.images.iter().any(|r| r.chain == record.chain && r.reference != record.reference);
            if !others && self.is_leased(&record.chain)? {
                return Err(ImageError::InUse { reference: familiar.clone() });
            }
            index.images.retain(|r| r.reference != record.reference);
            Ok(())
        })?;
        let bytes = match FileLock::try_exclusive(&self.lock_path("activity"))? {
            Some(alone) => {
                let bytes = self.collect(&alone, false)?.bytes;
                drop(alone);
                self.empty_trash()?;
                bytes
            }
            None => 0,
        };
        Ok(Removed { reference: familiar, bytes })
    }

    /// Removes what is not needed. Waits until no image is being brought in, calling `waiting` if it must. Layers that a
    /// running build holds a [`Lease`](super::Lease) on are never touched.
    ///
    /// # Errors
    /// If the store cannot be read or changed.
    pub fn prune(&self, scope: PruneScope, waiting: impl FnOnce()) -> Result<Pruned, ImageError> {
        let activity = self.lock_path("activity");
        let alone = match FileLock::try_exclusive(&activity)? {
            Some(alone) => alone,
            None => {
                waiting();
                FileLock::exclusive(&activity)?
            }
        };
        let mut images = Vec::new();
        if scope == PruneScope::UnusedImages {
            images = self.update_index(|index| {
                let mut gone = Vec::new();
                let mut kept = Vec::new();
                for record in std::mem::take(&mut index.images) {
                    if self.is_leased(&record.chain)? {
                        kept.push(record);
                    } else {
                        gone.push(record.reference);
                    }
                }
                index.images = kept;
                Ok(gone)
            })?;
        }
        self.sweep(&alone)?;
        let mut pruned = self.collect(&alone, true)?;
        pruned.images = images;
        // Deleting takes long; builds may start meanwhile.
        drop(alone);
        self.empty_trash()?;
        Ok(pruned)
    }

    /// Disk usage.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn usage(&self) -> Result<Usage, ImageError> {
        let live = self.live()?;
        let mut usage = Usage::default();
        for form in LayerForm::ALL {
            for (chain, _) in self.layers_of(form)? {
                let bytes = self.layer_in(form, &chain).ok().flatten().map_or(0, |facts| facts.bytes);
                usage.layers = usage.layers.saturating_add(bytes);
                if !live.chains.contains(&chain) {
                    usage.unreferenced = usage.unreferenced.saturating_add(bytes);
                }
            }
        }
        for (dir, referenced) in [("blobs/sha256", true), ("partial", false)] {
            for (name, path) in entries(&self.path(dir))? {
                let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
                usage.blobs = usage.blobs.saturating_add(bytes);
                if !referenced || !Digest::from_hex(&name).is_some_and(|d| live.blobs.contains(&d)) {
                    usage.unreferenced = usage.unreferenced.saturating_add(bytes);
                }
            }
        }
        Ok(usage)
    }

    /// Puts away what crashed processes left. `_alone` is the exclusive activity lock: nobody is unpacking.
    pub(super) fn sweep(&self, _alone: &FileLock) -> Result<(), ImageError> {
        for (_, path) in entries(&self.path("tmp"))? {
            self.trash(&path)?;
        }
        // Locks on single layers are only taken under the activity lock.
        for (name, path) in entries(&self.path("locks"))? {
            if !matches!(name.as_str(), "activity" | "index" | "leases") {
                std::fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Puts away layers and documents that nothing refers to; with `downloads`, interrupted downloads as well. `_alone`
    /// is the exclusive activity lock.
    fn collect(&self, _alone: &FileLock, downloads: bool) -> Result<Pruned, ImageError> {
        let live = self.live()?;
        let mut pruned = Pruned::default();
        for form in LayerForm::ALL {
            for (chain, path) in self.layers_of(form)? {
                if !live.chains.contains(&chain) {
                    let bytes = self.layer_in(form, &chain).ok().flatten().map_or(0, |facts| facts.bytes);
                    self.trash(&path)?;
                    pruned.layers += 1;
                    pruned.bytes = pruned.bytes.saturating_add(bytes);
                }
            }
        }
        let mut unlink = |path: PathBuf, counts: bool| -> Result<(), ImageError> {
            let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
            std::fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            pruned.layers += usize::from(counts);
            pruned.bytes = pruned.bytes.saturating_add(bytes);
            Ok(())
        };
        for (name, path) in entries(&self.path("blobs/sha256"))? {
            if !Digest::from_hex(&name).is_some_and(|digest| live.blobs.contains(&digest)) {
                unlink(path, false)?;
            }
        }
        if downloads {
            for (_, path) in entries(&self.path("partial"))? {
                unlink(path, true)?;
            }
        }
        // Lease files of layers that are gone.
        for (name, path) in entries(&self.path("leases"))? {
            if !Digest::from_hex(&name).is_some_and(|chain| live.chains.contains(&chain)) {
                std::fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
            }
        }
        Ok(pruned)
    }

    /// What names, pins and leases need.
    fn live(&self) -> Result<Live, ImageError> {
        let mut live = Live { chains: HashSet::new(), blobs: HashSet::new() };
        for record in self.index()?.images {
            live.blobs.extend([record.digest, record.config]);
            self.add_chain(&mut live, record.chain)?;
        }
        for (_, path) in entries(&self.path("pins"))? {
            if let Some(pin) = self.read_pin(&path)? {
                live.blobs.extend([pin.digest, pin.config]);
                self.add_chain(&mut live, pin.chain)?;
            }
        }
        for (name, _) in entries(&self.path("leases"))? {
            let Some(chain) = Digest::from_hex(&name) else { continue };
            if self.is_leased(&chain)? {
                self.add_chain(&mut live, chain)?;
            }
        }
        Ok(live)
    }

    /// Adds a layer and those below it, in whatever form they are here.
    fn add_chain(&self, live: &mut Live, top: Digest) -> Result<(), ImageError> {
        let mut next = Some(top);
        while let Some(chain) = next {
            if !live.chains.insert(chain) {
                break;
            }
            next = None;
            for form in LayerForm::ALL {
                if let Some(facts) = self.layer_in(form, &chain)? {
                    next = facts.parent;
                    break;
                }
            }
        }
        Ok(())
    }

    fn layers_of(&self, form: LayerForm) -> Result<Vec<(Digest, PathBuf)>, ImageError> {
        let found = entries(&self.path("layers").join(form.dir_name()))?;
        Ok(found.into_iter().filter_map(|(name, path)| Digest::from_hex(&name).map(|chain| (chain, path))).collect())
    }

    /// Moves something out of sight, for deleting it without holding anyone up.
    fn trash(&self, path: &std::path::Path) -> Result<(), ImageError> {
        match std::fs::rename(path, self.unique("trash")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ImageError::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// Deletes what was moved out of sight. Two processes may do so at once.
    pub(super) fn empty_trash(&self) -> Result<(), ImageError> {
        for (_, path) in entries(&self.path("trash"))? {
            remove_path(&path).map_err(ImageError::io("delete", &path))?;
        }
        Ok(())
    }
}
