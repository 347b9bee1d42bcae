//! Objects: their bytes in sealed blobs, their names in records (DESIGN decision 10). The use cases of S3, and of builds,
//! which put and read through the same functions.
//!
//! A put: bytes → synced blob (`receive`) → one transaction that makes the record (`commit`) → the blob that it replaced
//! is removed. A crash in between leaves a blob that nothing names; the next start sweeps it.

mod buckets;
mod build;
mod commit;
mod copy;
pub(crate) mod document;
mod error;
mod expiry;
mod held;
mod list;
mod multipart;
mod read;
mod receive;
mod remove;
mod sealing;
mod service;
mod settings;
mod sums;
mod tags;

pub use self::read::{ObjectReader, open_object};
pub(crate) use self::{
    build::{open_version, policy_of, put, store_file, store_upload},
    document::Sealed,
    expiry::sweep,
    held::Held,
    remove::give_up,
    tags::existing as existing_tags,
};
pub(crate) use self::{read::Piece, remove::remove_blobs};

use std::fmt::Write as _;

use kiln_store::StoreError;

use crate::{core::Core, runners::Runners};

impl<R: Runners> Core<R> {
    /// Deletes what is over by the lifecycle rules of buckets, and uploads that nobody completes, as is done by itself
    /// every hour; returns how much that was.
    ///
    /// # Errors
    /// When the records cannot be read or changed.
    pub fn expire_objects(&self) -> Result<usize, StoreError> {
        sweep(&self.inner)
    }
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok(); // writing to a String does not fail
        text
    })
}
