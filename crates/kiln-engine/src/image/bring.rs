//! Brings an image in: manifest, configuration, then the layers that are not here yet, wherever they come from.

use super::assemble::{LayerSource, LayerSpec, Work};
use super::digest::Digest;
use super::error::ImageError;
use super::manifest::{Descriptor, Document, MAX_DOCUMENT, Manifest, ParsedConfig, Platform, select};
use super::operation::{LayerInfo, Progress};
use super::reference::Reference;
use super::store::{Image, Origin, Record};

/// Where the documents and layers of an image are.
pub(crate) trait Source: Sync {
    /// A manifest or index: the one that the reference means, or another one that it names. At most [`MAX_DOCUMENT`] bytes.
    fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, ImageError>;

    /// The bytes of a configuration, up to one more than the descriptor says.
    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError>;

    /// A layer. Asked for from several threads.
    fn layer(&self, index: usize, descriptor: &Descriptor) -> Result<LayerSource, ImageError>;

    /// All layers are unpacked.
    ///
    /// # Errors
    /// When what was fetched for that cannot be removed.
    fn unpacked(&self, _: &[LayerInfo]) -> Result<(), ImageError> {
        Ok(())
    }
}

/// An image that is brought in.
pub(crate) struct Bring<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) platform: Platform,
    pub(crate) work: &'a Work<'a>,
}

impl Bring<'_> {
    /// All of it.
    pub(crate) fn run(&self, source: &impl Source, document: &[u8], manifest: &Manifest) -> Result<Image, ImageError> {
        let store = self.work.store;
        let config_bytes = self.config(source, &manifest.config)?;
        let name = self.reference.familiar();
        let config = ParsedConfig::parse(&format!("configuration of `{name}`"), &config_bytes)?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(ImageError::document(
                format!("manifest of `{name}`"),
                format!("it has {} layers, its configuration {}", manifest.layers.len(), config.diff_ids.len()),
            ));
        }
        self.check_platform(&config);
        let infos: Vec<LayerInfo> =
            manifest.layers.iter().map(|layer| LayerInfo { digest: layer.digest, size: layer.size }).collect();
        for info in &infos {
            if info.size > self.work.budget.limits.blob {
                return Err(ImageError::Limit {
                    what: format!("layer {} of `{name}`", info.digest),
                    problem: format!("it has {} bytes", info.size),
                    limit: format!("{} bytes", self.work.budget.limits.blob),
                });
            }
        }
        (self.work.operation.progress)(Progress::Layers(&infos));
        let specs: Vec<LayerSpec> = infos
            .iter()
            .zip(config.chain.iter().zip(&config.diff_ids))
            .map(|(info, (chain, diff_id))| LayerSpec {
                what: format!("layer {} of `{name}`", info.digest.short()),
                chain: *chain,
                diff_id: *diff_id,
            })
            .collect();
        let fetch = |index: usize| -> Result<LayerSource, ImageError> {
            source.layer(index, manifest.layers.get(index).ok_or(ImageError::Cancelled)?)
        };
        let facts = self.work.layers(&specs, &fetch)?;
        self.work.report_notes(&facts);
        source.unpacked(&infos)?;
        let digest = store.put_document(document)?;
        let id = store.put_document(&config_bytes)?;
        let bytes = facts.iter().fold(0u64, |sum, facts| sum.saturating_add(facts.bytes));
        let now = self.work.operation.now;
        store.put_record(Record::new(self.reference, digest, id, &config, bytes, Origin::Pulled, now)?)?;
        store
            .resolve(&self.reference.to_string())?
            .ok_or_else(|| ImageError::NotFound { reference: self.reference.familiar() })
    }

    fn config(&self, source: &impl Source, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let what = format!("configuration of `{}`", self.reference.familiar());
        if descriptor.size > MAX_DOCUMENT {
            return Err(ImageError::Limit {
                what,
                problem: format!("it has {} bytes", descriptor.size),
                limit: format!("{MAX_DOCUMENT} bytes"),
            });
        }
        // Unchanged images are brought in again and again: then it is here already.
        if let Ok(bytes) = self.work.store.document(&descriptor.digest) {
            return Ok(bytes);
        }
        let bytes = source.config(descriptor)?;
        let actual = Digest::of(&bytes);
        if actual == descriptor.digest {
            Ok(bytes)
        } else {
            Err(ImageError::Digest { what, expected: descriptor.digest, actual })
        }
    }

    /// An image without an index says in its configuration what it is for. Running another machine's programs may work
    /// (with emulation), so this is only worth a note.
    fn check_platform(&self, config: &ParsedConfig) {
        let architecture = &config.config.architecture;
        if !architecture.is_empty() && *architecture != self.platform.architecture {
            (self.work.operation.progress)(Progress::Note(&format!(
                "this image is for {}, this machine is {}: its programs may not run",
                architecture.escape_debug(),
                self.platform.architecture
            )));
        }
    }
}

/// The manifest for the platform, through at most two indexes.
pub(crate) fn manifest(
    source: &impl Source,
    reference: &Reference,
    platform: &Platform,
) -> Result<(Vec<u8>, Manifest), ImageError> {
    let name = reference.familiar();
    let mut wanted = None;
    for _ in 0..3 {
        let document = source.manifest(wanted.as_ref())?;
        match Document::parse(&format!("manifest of `{name}`"), &document)? {
            Document::Manifest(manifest) => return Ok((document, manifest)),
            Document::Index(index) => wanted = Some(select(&name, &index, platform)?.digest),
        }
    }
    Err(ImageError::document(format!("index of `{name}`"), "it leads to further indexes, more than two deep"))
}
