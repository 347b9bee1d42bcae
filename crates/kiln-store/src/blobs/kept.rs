//! Where the blobs of a data directory are, as it says itself: with another configuration a server would not find them, and
//! would take the objects for lost.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::{self, BlobError},
    place::is_id,
};
use crate::atomic;

/// Name of the note in the directory `blobs` of a data directory; without one, blobs are beside it.
const NOTE: &str = "kept.json";

/// Where blobs are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kept {
    /// In the data directory.
    Here,
    /// In another directory.
    Directory(PathBuf),
    /// In a bucket: `s3://bucket/prefix at https://…`.
    Bucket(String),
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here => f.write_str("the data directory"),
            Self::Directory(path) => path.display().fmt(f),
            Self::Bucket(place) => f.write_str(place),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Note {
    version: u32,
    kept: Kept,
}

impl Kept {
    /// Where the blobs of a data directory's directory `blobs` are.
    ///
    /// # Errors
    /// When its note cannot be read.
    pub fn of(root: &Path) -> Result<Self, BlobError> {
        let path = root.join(NOTE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::Here),
            Err(e) => return Err(error::io("read", &path, e)),
        };
        match serde_json::from_slice::<Note>(&text) {
            Ok(Note { version: 1, kept }) => Ok(kept),
            _ => Err(BlobError::Refused { path, what: "it does not say where blobs are" }),
        }
    }

    /// Holds the data directory to it.
    pub(super) fn hold(&self, root: &Path) -> Result<(), BlobError> {
        let before = Self::of(root)?;
        if *self == before {
            return Ok(());
        }
        let mut entries = fs::read_dir(root).map_err(|e| error::io("read", root, e))?;
        let is_blob = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|e| e.file_name().to_str().is_some_and(is_id));
        if before != Self::Here || entries.any(is_blob) {
            return Err(BlobError::Elsewhere { root: root.to_owned(), kept: before, wanted: self.clone() });
        }
        let path = root.join(NOTE);
        let note = serde_json::to_vec(&Note { version: 1, kept: self.clone() });
        note.map_err(io::Error::from)
            .and_then(|note| atomic::write(&path, &note))
            .map_err(|e| error::io("write", &path, e))
    }
}
