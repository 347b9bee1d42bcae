//! Errors of opening, and what SQLite's errors mean.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{ErrorCode, ffi};

use crate::StoreError;

/// A data directory whose metadata cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Acknowledged changes are missing: the end of the write-ahead log was lost, or the file is an older copy.
    #[error(
        "{} has lost changes that Kiln had acknowledged: it ends at change {database}, but {} says that change {acknowledged} \
         was reached, so the last {} are missing; bring a backup back with 'kiln restore', or, if there is none, go on \
         without them with 'kiln restore --accept-loss'",
        .path.display(), .sequence.display(), .acknowledged - .database
    )]
    Behind {
        /// The database.
        path: PathBuf,
        /// `kiln.seq`.
        sequence: PathBuf,
        /// Where the database ends.
        database: u64,
        /// What was acknowledged.
        acknowledged: u64,
    },
    /// `kiln.seq` is missing, damaged, or of another store, so that nothing says whether the database is complete.
    #[error(
        "{} {what}, so Kiln cannot tell whether {} is complete; bring a backup back with 'kiln restore', or, if you \
         know that the database is the newest, take it as it is with 'kiln restore --accept-loss'",
        .sequence.display(), .path.display()
    )]
    Sequence {
        /// The database.
        path: PathBuf,
        /// `kiln.seq`.
        sequence: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The database is not what was written.
    #[error("{} is damaged: {what}; keep a copy of it and bring a backup back with 'kiln restore'", .path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A backup was only half brought back.
    #[error("bringing a backup back into {} was interrupted: call 'kiln restore' again", .path.display())]
    Restoring {
        /// The data directory.
        path: PathBuf,
    },
    /// Not a database of Kiln.
    #[error("{} is not a database of Kiln: move it away, or choose another directory with --data; if it was Kiln's, bring a backup back with 'kiln restore'", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer Kiln has changed the tables.
    #[error(
        "{} has version {found}, this Kiln knows versions up to {known}: start the newer Kiln that used it last, or \
         bring back a backup made before with 'kiln restore'",
        .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The directory, or a file in it, may not be written.
    #[error("{} may not be written: make it and its file system writable for this user", .path.display())]
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
    },
    /// No space is left.
    #[error("no space is left for {}: free some space there and start again", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the database.
    #[error("{} is in use by another process", .path.display())]
    Busy {
        /// The database.
        path: PathBuf,
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

/// What an error of the database means to the caller of an operation.
pub(super) fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { path, what: error.to_string() }
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            StoreError::Io { doing: "use", path, source: Arc::new(io::Error::other(error.to_string())) }
        }
        Some(ErrorCode::TooBig) => StoreError::Invalid("the value is too long to be stored".to_owned()),
        _ => match error {
            // A column holds another type, or text that is not UTF-8: STRICT tables cannot come to that by themselves.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..) => StoreError::Damaged { path, what: error.to_string() },
            _ => StoreError::Sql(error.to_string()),
        },
    }
}

/// Whether the database found a second row where one may be.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|e| e.extended_code),
        Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE)
    )
}

/// Whether a row refers to another one that is not there, or is referred to.
pub(super) fn is_reference(error: &rusqlite::Error) -> bool {
    error.sqlite_error().map(|e| e.extended_code) == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// What an error of the database means while opening.
pub(super) fn open_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => OpenError::DiskFull { path },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => OpenError::ReadOnly { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, what: error.to_string() },
        Some(ErrorCode::NotADatabase) => OpenError::Damaged { path, what: "its header is not a database's".to_owned() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Busy { path },
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            OpenError::Io { doing: "open", path, source: Arc::new(io::Error::other(error.to_string())) }
        }
        // The tables are not what their version says.
        _ => OpenError::Damaged { path, what: error.to_string() },
    }
}

/// What an error of the operating system means while opening.
pub(super) fn open_io(doing: &'static str, path: &Path, error: io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::DiskFull { path },
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => OpenError::ReadOnly { path },
        _ => OpenError::Io { doing, path, source: Arc::new(error) },
    }
}
