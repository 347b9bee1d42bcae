//! What can go wrong while the store works. Opening has errors of its own: [`crate::OpenError`].

use std::{io, path::PathBuf, sync::Arc};

/// An operation of the store that was not carried out. Unless a variant says otherwise nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What was to be changed is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// What was to be made is there already.
    #[error("{0} exists already")]
    Exists(String),
    /// Compare-and-swap lost: the record has another version than the one that the caller read. Read again.
    #[error("{0} was changed by someone else meanwhile")]
    Conflict(String),
    /// No space (or no inode) is left. Nothing needs repair: the same call works again once there is space.
    #[error("no space is left for {}: free some space there, Kiln then goes on by itself", .path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The file or its file system may not be written.
    #[error("{} may not be written: make the file and its file system writable for this user", .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// What is stored is not what was written.
    #[error("{} is damaged: {what}; stop Kiln, keep a copy of the file and bring a backup back with 'kiln restore'", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        what: String,
    },
    /// A commit failed in a way that leaves unknown what is on the disk. This change may have been stored or not; it is
    /// decided when the store is opened again, and nothing is written until then. The process must stop.
    #[error("the store stopped because its disk failed: {0}; Kiln must be started again")]
    Stopped(String),
    /// More changes wait for the disk than the store queues.
    #[error("too many changes wait for the disk; try again later")]
    Overloaded,
    /// A value that cannot be stored.
    #[error("{0}")]
    Invalid(String),
    /// The operating system refused something.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Its answer.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database refused a statement: a defect of Kiln.
    #[error("the database refused a statement: {0}")]
    Sql(String),
}
