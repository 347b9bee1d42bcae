//! Composes images from layers that were made here: a layer over those of an image of the store, or alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::assemble::Work;
use super::digest::{Digest, chain_ids};
use super::error::ImageError;
use super::layers::{Lower, Stack};
use super::limits::Budget;
use super::manifest::{Document, MAX_LAYERS, ParsedConfig, Platform, composed_config, synthetic_manifest};
use super::operation::{Cancel, LayerInfo, LayerState, Operation, Progress};
use super::reference::Reference;
use super::store::{Image, ImageStore, Origin, Record};
use super::tree;

/// An image to compose.
#[derive(Clone, Debug)]
pub struct Composition {
    /// What it is called.
    pub name: Reference,
    /// The image whose layers lie below; `None`: the layer stands alone.
    pub parent: Option<Image>,
    /// `NAME=VALUE` entries, all of them: the parent's are not added.
    pub env: Vec<String>,
    /// The program that starts its containers, with arguments; empty: none. The parent's is not taken over.
    pub entrypoint: Vec<String>,
    /// Labels, all of them.
    pub labels: BTreeMap<String, String>,
    /// When it was made (RFC 3339), as its configuration will say. Equal compositions of equal layers give equal digests.
    pub created: String,
}

impl ImageStore {
    /// Unpacks the layer in the file `layer` (tar, compressed or not) over the parent's, and names the image made so.
    ///
    /// # Errors
    /// If the layer cannot be read or unpacked, the parent has too many layers or is damaged, the store cannot be written
    /// to; [`ImageError::Cancelled`].
    pub fn compose(
        &self,
        composition: &Composition,
        layer: &Path,
        operation: &Operation<'_>,
    ) -> Result<Image, ImageError> {
        let _activity = self.begin()?;
        let cancel = Cancel::new(operation.cancel);
        let budget = Budget::new(operation.limits);
        let work = Work { store: self, operation, cancel: &cancel, budget: &budget };
        let name = composition.name.familiar();
        let what = format!("the new layer of `{name}`");
        let below = match &composition.parent {
            Some(parent) => Below::read(self, parent)?,
            None => Below::default(),
        };
        if below.diff_ids.len() >= MAX_LAYERS {
            return Err(ImageError::document(name, format!("it would have more than {MAX_LAYERS} layers")));
        }

        let file = File::open(layer).map_err(ImageError::io("open", layer))?;
        let size = file.metadata().map_err(ImageError::io("examine", layer))?.len();
        (work.operation.progress)(Progress::Layers(&[LayerInfo { digest: Digest::of(b""), size }]));
        let mut roots = Vec::new();
        for path in composition.parent.iter().flat_map(|parent| &parent.layers) {
            roots.push(tree::open_root(path).map_err(ImageError::sys("open", path))?);
        }
        let (count, stack) = (roots.len(), Stack::of(roots));
        let lower = Lower { stack: &stack, count, cancel: &cancel };
        let unpacked = work.unpack(&what, file, false, &lower, &|read| work.report(0, LayerState::Unpacking(read)))?;

        let mut diff_ids = below.diff_ids;
        diff_ids.push(unpacked.stream.diff_id);
        let mut layers = below.layers;
        layers.push((unpacked.stream.diff_id, unpacked.stream.size));
        let chain = chain_ids(&diff_ids).last().copied().unwrap_or(unpacked.stream.diff_id);
        let lock = self.lock_layer(&chain, &cancel, || work.report(0, LayerState::Waiting))?;
        let facts = match self.layer(&chain)? {
            Some(facts) => facts,
            None => unpacked.commit(self, &chain, below.top)?,
        };
        drop(lock);
        work.report(0, LayerState::Done);
        work.report_notes(std::slice::from_ref(&facts));

        let config = composed_config(&Platform::host(), composition, diff_ids);
        let parsed = ParsedConfig::parse(&format!("configuration of `{name}`"), &config)?;
        let manifest = synthetic_manifest(&config, &layers);
        let digest = self.put_document(&manifest)?;
        let id = self.put_document(&config)?;
        let bytes = composition.parent.as_ref().map_or(0, |parent| parent.size).saturating_add(facts.bytes);
        let record = Record::new(&composition.name, digest, id, &parsed, bytes, Origin::Imported, operation.now)?;
        self.put_record(record)?;
        self.resolve(&composition.name.to_string())?
            .ok_or_else(|| ImageError::document(name, "it was removed meanwhile"))
    }
}

/// What lies below the new layer.
#[derive(Default)]
struct Below {
    /// Digests of the uncompressed layers, bottom first.
    diff_ids: Vec<Digest>,
    /// The layers as the parent's manifest names them, with their sizes.
    layers: Vec<(Digest, u64)>,
    /// The topmost layer's name in the store.
    top: Option<Digest>,
}

impl Below {
    fn read(store: &ImageStore, parent: &Image) -> Result<Self, ImageError> {
        let config = format!("configuration of `{}`", parent.familiar());
        let parsed = ParsedConfig::parse(&config, &store.document(&parent.id)?)?;
        let what = format!("manifest of `{}`", parent.familiar());
        let Document::Manifest(manifest) = Document::parse(&what, &store.document(&parent.digest)?)? else {
            return Err(ImageError::document(what, "it is an index"));
        };
        // A registry's layers are compressed: what is made here lists them as they are unpacked. Their sizes are then not
        // those of the manifest, and nobody reads them, since the layers' archives are not kept.
        let layers = parsed.diff_ids.iter().copied().zip(manifest.layers.iter().map(|layer| layer.size)).collect();
        Ok(Self { layers, top: parsed.chain.last().copied(), diff_ids: parsed.diff_ids })
    }
}
