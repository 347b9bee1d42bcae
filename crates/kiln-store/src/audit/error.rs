//! What can go wrong with the audit log.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::keys::KeyError;

/// An audit log that could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// There are records, but not the key of their chain.
    #[error(
        "{} is missing: without it nobody can tell whether {} was changed; bring it back from a backup with 'kiln restore', \
         or move that directory away to begin a new log", .key.display(), .directory.display()
    )]
    KeyMissing {
        /// The key's file.
        key: PathBuf,
        /// The log.
        directory: PathBuf,
    },
    /// The key of the chain does not open.
    #[error("{} cannot be opened: {source}", .path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// No space is left. The log goes on by itself once there is.
    #[error("no space is left for {}: free some space there, the audit log then goes on by itself", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// A sync failed: what is on the disk is not known.
    #[error("the audit log is not written any more, because its disk failed: {0}; Kiln must be started again")]
    Stopped(String),
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
    /// A file is not what was written.
    #[error("{} is damaged: {what} ('kiln audit verify' says more)", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        what: String,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {}: {source}", .path.display())]
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
pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> AuditError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => AuditError::DiskFull { path },
        _ => AuditError::Io { doing, path, source: Arc::new(error) },
    }
}
