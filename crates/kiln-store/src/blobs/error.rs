//! What can go wrong with a blob.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{keys::KeyError, remote::RemoteError};

/// A blob that could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// There is no such blob.
    #[error("there is no blob {0}")]
    NotFound(String),
    /// No space is left. The blob is given up; write it again once there is space.
    #[error("no space is left for {}: free some space there, Kiln then goes on by itself", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// It was cut or changed, or it is another blob than the one that is looked for.
    #[error("{} was changed, or is not what it should be: {what}; bring it back from a backup with 'kiln restore'", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was noticed.
        what: &'static str,
    },
    /// The blobs of the data directory are somewhere else.
    #[error("the objects of {} are kept in {kept}, not in {wanted}: set 'storage.blobs' as it was, or move them and {}", .root.display(), .root.join("kept.json").display())]
    Elsewhere {
        /// The data directory's directory for blobs.
        root: PathBuf,
        /// Where they are.
        kept: super::Kept,
        /// Where they were looked for.
        wanted: super::Kept,
    },
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The server that keeps the blobs cannot be asked, or refuses.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// What was to be stored cannot be read.
    #[error("cannot read what is to be stored")]
    Source(#[source] Arc<io::Error>),
    /// The operating system refused something.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
}

/// What an error of the operating system means here.
pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> BlobError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::DiskFull { path },
        _ => BlobError::Io { doing, path, source: Arc::new(error) },
    }
}
