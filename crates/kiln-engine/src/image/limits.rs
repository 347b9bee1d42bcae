//! Bounds on what an image may cost, and the account of what it has cost so far.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ImageError;

/// Bounds on one image. Each is named in the error that exceeding it gives.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together, with holes counted in full. Default: 100 GB, the largest image that CodeBuild runs
    /// (buildspec.md 13.3).
    pub bytes: u64,
    /// Files, directories and links of all layers together. Default: 4 million.
    pub entries: u64,
    /// Largest growth in decompression (security.md 5.4: 200)…
    pub ratio: u64,
    /// …which counts once this many bytes came out of a layer. Default: 256 MiB. An honest layer can hold a few files of
    /// zeros, which deflate shrinks 1,000-fold; up to this size they do no harm.
    pub ratio_from: u64,
    /// Largest compressed layer. Default: 50 GB.
    pub blob: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 100_000_000_000,
            entries: 4_000_000,
            ratio: 200,
            ratio_from: 256 * 1024 * 1024,
            blob: 50_000_000_000,
        }
    }
}

/// What an image has used of its limits; its layers, unpacked in parallel, share one.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    bytes: AtomicU64,
    entries: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, bytes: AtomicU64::new(0), entries: AtomicU64::new(0) }
    }

    /// Counts `n` bytes of files of the layer `what`.
    pub(crate) fn use_bytes(&self, what: &str, n: u64) -> Result<(), ImageError> {
        take(&self.bytes, n, self.limits.bytes).ok_or_else(|| ImageError::Limit {
            what: what.to_owned(),
            problem: "the image's files are too large together".to_owned(),
            limit: format!("{} bytes", self.limits.bytes),
        })
    }

    /// Counts one entry of the layer `what`.
    pub(crate) fn use_entry(&self, what: &str) -> Result<(), ImageError> {
        take(&self.entries, 1, self.limits.entries).ok_or_else(|| ImageError::Limit {
            what: what.to_owned(),
            problem: "the image has too many files".to_owned(),
            limit: format!("{} entries", self.limits.entries),
        })
    }

    /// Checks the growth of one decompressed stream.
    pub(crate) fn check_stream(&self, what: &str, compressed: u64, produced: u64) -> Result<(), ImageError> {
        let Limits { bytes, ratio, ratio_from, .. } = self.limits;
        // Headers and padding of the archive come on top of the files, at most 2 KiB for each.
        let stream_limit = bytes.saturating_add(self.limits.entries.saturating_mul(2048));
        if produced > stream_limit {
            return Err(ImageError::Limit {
                what: what.to_owned(),
                problem: "the layer is too large when decompressed".to_owned(),
                limit: format!("{stream_limit} bytes"),
            });
        }
        if produced > ratio_from && produced / ratio > compressed {
            return Err(ImageError::Limit {
                what: what.to_owned(),
                problem: format!(
                    "{compressed} compressed bytes became {produced}: this is a decompression bomb, or a layer of zeros"
                ),
                limit: format!("{ratio}:1 after the first {ratio_from} bytes"),
            });
        }
        Ok(())
    }
}

fn take(counter: &AtomicU64, n: u64, limit: u64) -> Option<()> {
    let before = counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(n).filter(|sum| *sum <= limit));
    before.ok().map(drop)
}
