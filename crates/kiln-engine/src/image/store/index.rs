//! Names of images.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::super::digest::Digest;
use super::super::error::ImageError;
use super::super::lock::FileLock;
use super::super::reference::Reference;
use super::ImageStore;

const VERSION: u32 = 1;

/// Where an image came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    Pulled,
    Imported,
}

/// One name and what it stands for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Record {
    /// Canonical reference.
    pub(crate) reference: String,
    /// Manifest.
    pub(crate) digest: Digest,
    /// Configuration: docker's image id.
    pub(crate) config: Digest,
    /// Topmost layer.
    pub(crate) chain: Digest,
    pub(crate) architecture: String,
    /// Bytes of all files of all layers.
    pub(crate) bytes: u64,
    pub(crate) origin: Origin,
    /// Seconds since 1970.
    pub(crate) added: u64,
}

impl Record {
    pub(crate) fn added_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.added)).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Index {
    version: u32,
    pub(super) images: Vec<Record>,
}

impl ImageStore {
    /// All names. Needs no lock: the file is only ever replaced.
    pub(super) fn index(&self) -> Result<Index, ImageError> {
        let path = self.path("index.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Index { version: VERSION, images: Vec::new() });
            }
            Err(e) => return Err(ImageError::io("read", path)(e)),
        };
        let damaged = |problem: String| ImageError::Store {
            path: path.clone(),
            problem: format!(
                "cannot be used ({problem}): move it away and pull the images again (layers are kept until `prune`)"
            ),
        };
        let index: Index = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if index.version == VERSION {
            Ok(index)
        } else {
            Err(damaged(format!("version {} of the index is unknown", index.version)))
        }
    }

    /// Changes the index.
    pub(super) fn update_index<T>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let _lock = FileLock::exclusive(&self.lock_path("index"))?;
        let mut index = self.index()?;
        let value = change(&mut index)?;
        index.images.sort_by(|a, b| a.reference.cmp(&b.reference));
        let bytes = serde_json::to_vec_pretty(&index).unwrap_or_default();
        self.write_durably(&self.path("index.json"), &bytes)?;
        Ok(value)
    }

    /// Gives an image its name; one that had the name loses it.
    pub(crate) fn put_record(&self, record: Record) -> Result<(), ImageError> {
        self.update_index(|index| {
            index.images.retain(|other| other.reference != record.reference);
            index.images.push(record);
            Ok(())
        })
    }

    /// Finds what `text` means: a name, a digest reference, an image id or its first 12 or more digits.
    pub(super) fn find_record(&self, text: &str) -> Result<Option<Record>, ImageError> {
        let index = self.index()?;
        let parsed = Reference::parse(text);
        if let Ok(reference) = &parsed {
            let canonical = reference.to_string();
            let by_name = index.images.iter().find(|r| r.reference == canonical);
            let by_digest = || {
                let digest = reference.digest()?;
                index.images.iter().find(|record| {
                    record.digest == digest
                        && Reference::parse(&record.reference)
                            .is_ok_and(|r| (r.domain(), r.path()) == (reference.domain(), reference.path()))
                })
            };
            if let Some(record) = by_name.or_else(by_digest) {
                return Ok(Some(record.clone()));
            }
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if (12..=64).contains(&hex.len()) && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            let mut matches =
                index.images.iter().filter(|r| r.config.hex().starts_with(hex) || r.digest.hex().starts_with(hex));
            if let Some(first) = matches.next() {
                if matches.any(|other| other.config != first.config) {
                    return Err(ImageError::Reference {
                        text: text.to_owned(),
                        problem: "several images begin with these digits; give more of them",
                    });
                }
                return Ok(Some(first.clone()));
            }
            return Ok(None);
        }
        parsed.map(|_| None)
    }
}
