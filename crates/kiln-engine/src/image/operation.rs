//! What pulling and importing have in common: limits, progress, interruption.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::digest::Digest;
use super::limits::Limits;

/// How an image is to be brought into the store.
#[derive(Clone, Copy)]
pub struct Operation<'a> {
    /// The time to note as the image's arrival.
    pub now: SystemTime,
    /// Set this to stop at the next opportunity, with [`ImageError::Cancelled`](super::ImageError::Cancelled). What was
    /// downloaded stays and is used by the next try.
    pub cancel: &'a AtomicBool,
    /// Told what happens, from several threads at once.
    pub progress: &'a (dyn Fn(Progress<'_>) + Sync),
    /// Bounds on the image.
    pub limits: Limits,
}

impl std::fmt::Debug for Operation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("now", &self.now).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// One layer of the image that is being brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// Digest of the layer as the registry or archive has it.
    pub digest: Digest,
    /// Its size there, bytes.
    pub size: u64,
}

/// What is happening.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The image is known; these are its layers, bottom first.
    Layers(&'a [LayerInfo]),
    /// Something changed for the layer of that index.
    Layer(usize, LayerState<'a>),
    /// Something worth telling the user, a sentence.
    Note(&'a str),
}

/// The state of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerState<'a> {
    /// It was here already.
    Present,
    /// Another process is fetching or unpacking it.
    Waiting,
    /// So many bytes are here.
    Downloading(u64),
    /// The download failed and is tried again; the text says why.
    Retrying(&'a str),
    /// So many (compressed) bytes have been unpacked.
    Unpacking(u64),
    /// Unpacked.
    Done,
}

/// Whether to stop: because the caller said so, or because another thread of the operation failed.
#[derive(Debug)]
pub(crate) struct Cancel<'a> {
    caller: Option<&'a AtomicBool>,
    failed: AtomicBool,
}

impl<'a> Cancel<'a> {
    pub(crate) fn new(caller: &'a AtomicBool) -> Self {
        Self { caller: Some(caller), failed: AtomicBool::new(false) }
    }

    /// Never set from outside.
    pub(crate) fn never() -> Self {
        Self { caller: None, failed: AtomicBool::new(false) }
    }

    pub(crate) fn set(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.caller.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}
