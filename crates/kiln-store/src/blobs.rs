//! Blobs: bytes of objects, sealed or plain, each a file named by a random id. A blob never changes.
//!
//! ```text
//! magic "KILB" · version u8 = 1 · kind u8 (0 plain, 1 sealed) · length u16 LE of the data key · the data key, sealed
//! sealed: a message of module `chunked`
//! plain:  the bytes, then their length u64 LE · their SHA-256 · "KILE"
//! ```
//!
//! A blob appears under its name when it is whole and synced ([`BlobWriter::finish`]), never before. What it is (its
//! [`Context`]) and its id are bound to a sealed blob: swapped, moved, cut or changed ones are refused. The last chunk is
//! checked before a reader exists, so that a cut blob gives no byte at all; each chunk is checked before its bytes are
//! given out.

mod error;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

pub use self::{
    error::BlobError,
    reader::{BlobReader, BlobStream},
    writer::{BlobInfo, BlobWriter},
};
use crate::keys::{Context, Keys};

/// First bytes of a blob.
const MAGIC: [u8; 4] = *b"KILB";
/// Version of the form.
const VERSION: u8 = 1;
/// Bytes before the sealed data key.
const PRELUDE: usize = 8;
/// Last bytes of a plain blob.
const PLAIN_END: [u8; 4] = *b"KILE";
/// Bytes behind the content of a plain blob.
const TRAILER: usize = 8 + 32 + 4;
/// Directory of blobs that are being written.
const PARTIAL: &str = "partial";
/// Digits of an id.
const ID_DIGITS: usize = 32;

/// How a blob is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing<'a> {
    /// Sealed with the newest version of this key.
    Key(&'a str),
    /// As it is (`encryptionDisabled`).
    Plain,
}

/// The blobs of a directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
    keys: Keys,
}

impl Blobs {
    /// Opens the blobs in `root`, which is made when it is not there, and removes those that were never finished. The
    /// caller holds the data directory's [`crate::DataLock`].
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(root: &Path, keys: Keys) -> Result<Self, BlobError> {
        let partial = root.join(PARTIAL);
        DirBuilder::new().recursive(true).mode(0o700).create(&partial).map_err(|e| error::io("make", &partial, e))?;
        for entry in fs::read_dir(&partial).map_err(|e| error::io("read", &partial, e))? {
            let path = entry.map_err(|e| error::io("read", &partial, e))?.path();
            fs::remove_file(&path).map_err(|e| error::io("remove", &path, e))?;
        }
        Ok(Self { root: root.to_owned(), keys })
    }

    /// Begins a new blob. `context` says what it is, and is needed to open it (also of a plain one, which does not check it).
    ///
    /// # Errors
    /// When its file cannot be made, or its key cannot be used.
    pub fn create(&self, sealing: Sealing<'_>, context: &Context) -> Result<BlobWriter, BlobError> {
        BlobWriter::create(&self.root, &self.keys, sealing, context)
    }

    /// Stores everything that `source` gives, as one blob.
    ///
    /// # Errors
    /// As [`Self::create`] and [`BlobWriter::finish`], or the source's error as [`BlobError::Source`].
    pub fn store(
        &self,
        source: &mut dyn io::Read,
        sealing: Sealing<'_>,
        context: &Context,
    ) -> Result<BlobInfo, BlobError> {
        let mut writer = self.create(sealing, context)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return writer.finish(),
                Ok(n) => writer.append(&buffer[..n])?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(BlobError::Source(e.into())),
            }
        }
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Refused`] for a blob that is cut, changed, or something else than `context`
    /// says, [`BlobError::Key`] when its key may not be used.
    pub fn reader(&self, id: &str, context: &Context) -> Result<BlobReader, BlobError> {
        BlobReader::open(&self.path(id)?, id, &self.keys, context)
    }

    /// Removes a blob; whether it was there. Readers that are open go on.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, id: &str) -> Result<bool, BlobError> {
        let path = self.path(id)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(error::io("remove", &path, e)),
        }
    }

    /// Calls `see` with the id of every finished blob: for finding those that no object has, which a crash between the end
    /// of a blob and the commit of its object leaves. Blobs that are finished meanwhile may be among them.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn each(&self, mut see: impl FnMut(&str)) -> Result<(), BlobError> {
        for entry in fs::read_dir(&self.root).map_err(|e| error::io("read", &self.root, e))? {
            let entry = entry.map_err(|e| error::io("read", &self.root, e))?;
            if let Some(id) = entry.file_name().to_str().filter(|name| is_id(name)) {
                see(id);
            }
        }
        Ok(())
    }

    fn path(&self, id: &str) -> Result<PathBuf, BlobError> {
        if is_id(id) { Ok(self.root.join(id)) } else { Err(BlobError::NotFound(id.to_owned())) }
    }
}

/// Whether a text can be the id of a blob: nothing else becomes part of a path.
fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the content of a sealed blob is bound to, beside its data key's context.
fn content_context(id: &str) -> Vec<u8> {
    format!("kiln blob 1 {id}").into_bytes()
}
