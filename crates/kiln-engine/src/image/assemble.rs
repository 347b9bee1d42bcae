//! Brings the layers of one image into the store, several at a time: fetch, unpack, check, commit.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::decompress::{StreamFacts, StreamOptions, with_decompressed};
use super::digest::Digest;
use super::error::ImageError;
use super::layers::{LayerForm, Lower, Stack};
use super::limits::Budget;
use super::operation::{Cancel, LayerState, Operation, Progress};
use super::store::{ImageStore, LayerFacts, TemporaryLayer};
use super::tree;
use super::unpack::{Notes, Tally, unpack};

/// Layers worked on at once: docker's default for downloads.
const PARALLEL: usize = 3;

/// One layer to bring in.
#[derive(Clone, Debug)]
pub(crate) struct LayerSpec {
    /// Its name in errors.
    pub(crate) what: String,
    pub(crate) chain: Digest,
    pub(crate) diff_id: Digest,
}

/// Where a layer's bytes come from.
pub(crate) struct LayerSource {
    pub(crate) reader: Box<dyn Read + Send>,
    /// Digest and size that the bytes must have, if that has not been checked.
    pub(crate) check: Option<(Digest, u64)>,
}

/// What all layers of an operation share.
pub(crate) struct Work<'a> {
    pub(crate) store: &'a ImageStore,
    pub(crate) operation: &'a Operation<'a>,
    pub(crate) cancel: &'a Cancel<'a>,
    pub(crate) budget: &'a Budget,
}

impl Work<'_> {
    pub(crate) fn report(&self, layer: usize, state: LayerState<'_>) {
        (self.operation.progress)(Progress::Layer(layer, state));
    }

    /// Tells what unpacking left out or changed.
    pub(crate) fn report_notes(&self, layers: &[LayerFacts]) {
        let mut all = Notes::default();
        for layer in layers {
            all.merge(&layer.notes);
        }
        for sentence in all.sentences() {
            (self.operation.progress)(Progress::Note(&sentence));
        }
    }

    /// Makes sure that all layers (bottom first) are unpacked. `fetch` is asked for those that are not, on any thread.
    /// Returns the facts of all, bottom first.
    pub(crate) fn layers(
        &self,
        layers: &[LayerSpec],
        fetch: &(dyn Fn(usize) -> Result<LayerSource, ImageError> + Sync),
    ) -> Result<Vec<LayerFacts>, ImageError> {
        let stack = Stack::new(layers.len());
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<LayerFacts>>> = Mutex::new(vec![None; layers.len()]);
        let failure: Mutex<Option<ImageError>> = Mutex::new(None);
        // Each takes the lowest layer that nobody has taken: `Stack` counts on that.
        let work = || {
            while !self.cancel.is_set() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(spec) = layers.get(index) else { return };
                let parent = index.checked_sub(1).and_then(|below| layers.get(below)).map(|below| below.chain);
                let done = self.layer(index, spec, parent, &stack, fetch).and_then(|facts| {
                    let path = self.store.layer_tree(&spec.chain);
                    stack.complete(index, tree::open_root(&path).map_err(ImageError::sys("open", &path))?);
                    Ok(facts)
                });
                match done {
                    Ok(facts) => {
                        if let Some(slot) = results.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                            *slot = Some(facts);
                        }
                    }
                    Err(error) => {
                        // Noted first: once the flag is set the others stop, with `Cancelled`.
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        self.cancel.set();
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(layers.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().collect::<Option<_>>().ok_or(ImageError::Cancelled)
    }

    fn layer(
        &self,
        index: usize,
        spec: &LayerSpec,
        parent: Option<Digest>,
        stack: &Stack,
        fetch: &(dyn Fn(usize) -> Result<LayerSource, ImageError> + Sync),
    ) -> Result<LayerFacts, ImageError> {
        if let Some(facts) = self.store.layer(&spec.chain)? {
            self.report(index, LayerState::Present);
            return Ok(facts);
        }
        let lock = self.store.lock_layer(&spec.chain, self.cancel, || self.report(index, LayerState::Waiting))?;
        // Whoever had the lock may have brought it.
        if let Some(facts) = self.store.layer(&spec.chain)? {
            self.report(index, LayerState::Present);
            return Ok(facts);
        }
        let source = fetch(index)?;
        let lower = Lower { stack, count: index, cancel: self.cancel };
        let progress = |read| self.report(index, LayerState::Unpacking(read));
        let unpacked = self.unpack(&spec.what, source.reader, source.check.is_some(), &lower, &progress)?;
        if let Some((digest, size)) = source.check {
            let actual = unpacked.stream.blob.unwrap_or(digest);
            if actual != digest || unpacked.stream.blob_size != size {
                return Err(ImageError::Digest { what: spec.what.clone(), expected: digest, actual });
            }
        }
        if unpacked.stream.diff_id != spec.diff_id {
            return Err(ImageError::Digest {
                what: format!("{} (uncompressed)", spec.what),
                expected: spec.diff_id,
                actual: unpacked.stream.diff_id,
            });
        }
        let facts = unpacked.commit(self.store, &spec.chain, parent)?;
        drop(lock);
        self.report(index, LayerState::Done);
        Ok(facts)
    }

    /// Unpacks a layer into a temporary directory.
    pub(crate) fn unpack(
        &self,
        what: &str,
        source: impl Read + Send,
        blob_digest: bool,
        lower: &Lower<'_>,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<UnpackedLayer, ImageError> {
        let layer = self.store.temporary_layer()?;
        let options = StreamOptions { what, budget: self.budget, cancel: self.cancel, blob_digest, progress };
        let (tally, stream) = unpack_stream(source, &options, &layer.tree(), self.store.form(), lower)?;
        Ok(UnpackedLayer { layer, stream, tally })
    }
}

/// Decompresses and unpacks a layer into the directory `target`.
pub(crate) fn unpack_stream(
    source: impl Read + Send,
    options: &StreamOptions<'_>,
    target: &std::path::Path,
    form: LayerForm,
    lower: &Lower<'_>,
) -> Result<(Tally, StreamFacts), ImageError> {
    let root = tree::open_root(target).map_err(ImageError::sys("open", target))?;
    with_decompressed(source, options, |reader| unpack(options.what, reader, root, form, lower, options.budget))
}

/// A layer that is unpacked but has no name yet.
pub(crate) struct UnpackedLayer {
    layer: TemporaryLayer,
    pub(crate) stream: StreamFacts,
    pub(crate) tally: Tally,
}

impl UnpackedLayer {
    /// Puts it under its name. The caller holds the layer's lock and knows that it is not there.
    pub(crate) fn commit(
        self,
        store: &ImageStore,
        chain: &Digest,
        parent: Option<Digest>,
    ) -> Result<LayerFacts, ImageError> {
        let facts = LayerFacts {
            version: LayerFacts::VERSION,
            parent,
            diff_id: self.stream.diff_id,
            bytes: self.tally.bytes,
            entries: self.tally.entries,
            notes: self.tally.notes,
        };
        store.commit_layer(self.layer, chain, &facts)?;
        Ok(facts)
    }
}
