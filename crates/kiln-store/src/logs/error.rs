//! What can go wrong with a log.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use kiln_wire::journal::JournalError;

/// A log that could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no such log.
    #[error("there is no log in {}", .path.display())]
    NotFound {
        /// Its directory.
        path: PathBuf,
    },
    /// No space is left. The writer stays usable: what it did not take is appended again once there is space.
    #[error("no space is left for {}: free some space there, Kiln then goes on by itself", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// What was to be appended is not the continuation of the journal.
    #[error("not the next records of the journal: {0}")]
    Journal(#[from] Arc<JournalError>),
    /// The log was closed with its end mark; nothing can follow.
    #[error("the log in {} is finished", .path.display())]
    Finished {
        /// Its directory.
        path: PathBuf,
    },
    /// What is stored is not what was written.
    #[error("{} is damaged: {what}; bring it back from a backup with 'kiln restore'", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        what: String,
    },
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
pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> LogError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::DiskFull { path },
        _ => LogError::Io { doing, path, source: Arc::new(error) },
    }
}
