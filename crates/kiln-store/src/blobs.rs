//! Blobs: bytes of objects, sealed or plain, each a file of a directory, or an object of a bucket of another S3, named by a
//! random id. A blob never changes.
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
mod kept;
mod place;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    thread,
};

use self::place::{Place, is_id};
pub use self::{
    error::BlobError,
    kept::Kept,
    reader::{BlobReader, BlobStream},
    writer::{BlobInfo, BlobWriter},
};
use crate::{
    keys::{Context, Keys},
    remote::{self, RemoteBucket, RemoteError},
};

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
/// A day in milliseconds.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
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

/// The blobs of a directory, or of a bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    place: Place,
    keys: Keys,
}

impl Blobs {
    /// Opens the blobs in `root`, the data directory's directory for them, which is made when it is not there, and removes
    /// those that were never finished. The caller holds the data directory's [`crate::DataLock`].
    ///
    /// # Errors
    /// When the directory cannot be made or read; [`BlobError::Elsewhere`] when its blobs are somewhere else.
    pub fn open(root: &Path, keys: Keys) -> Result<Self, BlobError> {
        Self::open_kept(root, &Kept::Here, Place::new(root, None), keys)
    }

    /// As [`Self::open`], with the blobs in another directory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_directory(root: &Path, directory: &Path, keys: Keys) -> Result<Self, BlobError> {
        let kept = Kept::Directory(directory.to_owned());
        Self::open_kept(root, &kept, Place::new(directory, None), keys)
    }

    /// As [`Self::open`], with the blobs in a bucket whose uploads are noted in [`Self::partial`]. What a crash left of
    /// uploads is given back in the background: the server of the bucket may be away.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_bucket(root: &Path, bucket: RemoteBucket, keys: Keys) -> Result<Self, BlobError> {
        let kept = Kept::Bucket(bucket.place(""));
        let blobs = Self::open_kept(root, &kept, Place::new(root, Some(bucket.clone())), keys)?;
        let notes = remote::noted(&Self::partial(root)).map_err(|e| error::io("read", &Self::partial(root), e))?;
        let abort = move || notes.iter().for_each(|(_, note)| bucket.abort_unfinished(note));
        let begun = thread::Builder::new().name("kiln-uploads".to_owned()).spawn(abort);
        begun.map_err(|e| RemoteError::Thread(e.into()))?;
        Ok(blobs)
    }

    /// Directory of blobs that are being written, of the blobs in `root`.
    #[must_use]
    pub fn partial(root: &Path) -> PathBuf {
        root.join(PARTIAL)
    }

    fn open_kept(root: &Path, kept: &Kept, place: Place, keys: Keys) -> Result<Self, BlobError> {
        let partial = place.partial();
        for directory in [root, &partial] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|e| error::io("make", directory, e))?;
        }
        kept.hold(root)?;
        for entry in fs::read_dir(&partial).map_err(|e| error::io("read", &partial, e))? {
            let path = entry.map_err(|e| error::io("read", &partial, e))?.path();
            if !remote::is_note(&path) {
                fs::remove_file(&path).map_err(|e| error::io("remove", &path, e))?;
            }
        }
        Ok(Self { place, keys })
    }

    /// Begins a new blob. `context` says what it is, and is needed to open it (also of a plain one, which does not check it).
    ///
    /// # Errors
    /// When its file cannot be made, or its key cannot be used.
    pub fn create(&self, sealing: Sealing<'_>, context: &Context) -> Result<BlobWriter, BlobError> {
        BlobWriter::create(&self.place, &self.keys, sealing, context)
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
        if !is_id(id) {
            return Err(BlobError::NotFound(id.to_owned()));
        }
        BlobReader::open(&self.place, id, &self.keys, context)
    }

    /// Removes a blob; whether it was there, as far as its place says so. Readers that are open go on (those of a bucket fail).
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, id: &str) -> Result<bool, BlobError> {
        if is_id(id) { self.place.remove(id) } else { Err(BlobError::NotFound(id.to_owned())) }
    }

    /// Calls `see` with the id of every finished blob. Blobs that are finished meanwhile may be among them.
    ///
    /// # Errors
    /// When the directory or the bucket cannot be read.
    pub fn each(&self, see: impl FnMut(&str)) -> Result<(), BlobError> {
        self.place.each(i64::MAX, see)
    }

    /// As [`Self::each`], for finding those that no object has, which a crash between the end of a blob and the commit of
    /// its object leaves. Of a bucket, which is listed while others are stored in it, those that are at least a day old.
    ///
    /// # Errors
    /// As [`Self::each`].
    pub fn leftovers(&self, now_ms: i64, see: impl FnMut(&str)) -> Result<(), BlobError> {
        self.place.each(now_ms.saturating_sub(DAY_MS), see)
    }

    /// Whether they are in a bucket of another S3.
    #[must_use]
    pub fn are_remote(&self) -> bool {
        self.place.is_remote()
    }
}

/// What the content of a sealed blob is bound to, beside its data key's context.
fn content_context(id: &str) -> Vec<u8> {
    format!("kiln blob 1 {id}").into_bytes()
}
