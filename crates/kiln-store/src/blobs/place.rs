//! Where finished blobs are: a directory, or a bucket of another S3. Blobs are always written to a file of the directory
//! first, so that one that fails leaves nothing elsewhere.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{
    ID_DIGITS, PARTIAL,
    error::{self, BlobError},
};
use crate::remote::{Attributes, RemoteBucket, RemoteError, RemoteObject};

/// Read at once from a file: little, so that many streams cost little.
const FILE_WINDOW: u64 = 256 << 10;
/// Read at once from another server: much, since each request waits for an answer.
const REMOTE_WINDOW: u64 = 4 << 20;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Place {
    root: PathBuf,
    bucket: Option<RemoteBucket>,
}

impl Place {
    /// A directory, and the bucket that has what is finished, if it is not the directory itself.
    pub(super) fn new(root: &Path, bucket: Option<RemoteBucket>) -> Self {
        Self { root: root.to_owned(), bucket }
    }

    /// Directory of blobs that are being written.
    pub(super) fn partial(&self) -> PathBuf {
        self.root.join(PARTIAL)
    }

    /// Where a finished blob is, for messages.
    pub(super) fn name(&self, id: &str) -> PathBuf {
        match &self.bucket {
            None => self.root.join(id),
            Some(bucket) => bucket.place(id).into(),
        }
    }

    /// Takes a file that is whole and synced as a blob. When this returns, the blob is durable, and its first file is gone.
    pub(super) fn adopt(&self, partial: &Path, id: &str) -> Result<(), BlobError> {
        if let Some(bucket) = &self.bucket {
            let file = File::open(partial).map_err(|e| error::io("read", partial, e))?;
            bucket.put(id, &file, &Attributes::default())?;
            fs::remove_file(partial).ok(); // what stays goes when the blobs are opened the next time
            return Ok(());
        }
        let path = self.root.join(id);
        fs::rename(partial, &path).map_err(|e| error::io("name", partial, e))?;
        if let Err(e) = File::open(&self.root).and_then(|root| root.sync_all()) {
            // It may be gone after a crash: nobody may rely on it.
            fs::remove_file(&path).ok();
            return Err(error::io("sync", &self.root, e));
        }
        Ok(())
    }

    pub(super) fn open(&self, id: &str) -> Result<Source, BlobError> {
        if let Some(bucket) = &self.bucket {
            return match bucket.open(id, None) {
                Ok(object) => Ok(Source::Remote(object)),
                Err(RemoteError::NotFound { .. }) => Err(BlobError::NotFound(id.to_owned())),
                Err(e) => Err(e.into()),
            };
        }
        let path = self.root.join(id);
        match File::open(&path) {
            Ok(file) => Ok(Source::File(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BlobError::NotFound(id.to_owned())),
            Err(e) => Err(error::io("open", &path, e)),
        }
    }

    pub(super) fn remove(&self, id: &str) -> Result<bool, BlobError> {
        if let Some(bucket) = &self.bucket {
            bucket.remove(id)?;
            return Ok(true);
        }
        let path = self.root.join(id);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(error::io("remove", &path, e)),
        }
    }

    pub(super) fn is_remote(&self) -> bool {
        self.bucket.is_some()
    }

    /// All blobs; of a bucket those that were stored before a time, in milliseconds since the epoch.
    pub(super) fn each(&self, before_ms: i64, mut see: impl FnMut(&str)) -> Result<(), BlobError> {
        if let Some(bucket) = &self.bucket {
            bucket.each("", |object| {
                if is_id(&object.key) && object.modified_ms < before_ms {
                    see(&object.key);
                }
            })?;
            return Ok(());
        }
        for entry in fs::read_dir(&self.root).map_err(|e| error::io("read", &self.root, e))? {
            let entry = entry.map_err(|e| error::io("read", &self.root, e))?;
            if let Some(id) = entry.file_name().to_str().filter(|name| is_id(name)) {
                see(id);
            }
        }
        Ok(())
    }
}

/// Whether a text can be the id of a blob: nothing else becomes part of a path.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The stored bytes of a blob.
#[derive(Debug)]
pub(super) enum Source {
    File(File),
    Remote(RemoteObject),
}

impl Source {
    pub(super) fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Remote(object) => Ok(object.size()),
        }
    }

    /// How much a stream is to read at once.
    pub(super) fn window(&self) -> u64 {
        match self {
            Self::File(_) => FILE_WINDOW,
            Self::Remote(_) => REMOTE_WINDOW,
        }
    }

    pub(super) fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(buffer, at),
            Self::Remote(object) => {
                let bytes = object.read(at..at + buffer.len() as u64).map_err(io::Error::other)?;
                if bytes.len() != buffer.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                buffer.copy_from_slice(&bytes);
                Ok(())
            }
        }
    }
}
