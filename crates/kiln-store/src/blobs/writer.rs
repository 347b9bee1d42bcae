//! Writes a blob.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use aws_lc_rs::digest;
use md5::{Digest as _, Md5};

use super::{
    ID_DIGITS, MAGIC, PLAIN_END, Sealing, VERSION, content_context,
    error::{BlobError, io as io_error},
    place::Place,
};
use crate::{
    chunked::{CHUNK, Chunks, TAG},
    crash,
    keys::{Context, KeyError, Keys},
};

/// Written at once.
const BLOCK: usize = 16 * (CHUNK + TAG);

/// A blob that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Length of its content.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
    /// MD5 of its content, which S3's ETags and CodeBuild's artifacts show.
    pub md5: [u8; 16],
}

/// A blob that is being written. Dropped before [`Self::finish`], it leaves nothing.
pub struct BlobWriter {
    place: Place,
    id: String,
    partial: PathBuf,
    file: File,
    sealing: Option<Chunks>,
    /// Number of the next chunk.
    number: u64,
    /// Content of the chunk that is not full yet; wiped by sealing in place.
    chunk: Vec<u8>,
    /// What is to be written next.
    block: Vec<u8>,
    size: u64,
    sha256: digest::Context,
    md5: Md5,
    /// Whether the file still has its first name.
    unfinished: bool,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobWriter {
    pub(super) fn create(
        place: &Place,
        keys: &Keys,
        sealing: Sealing<'_>,
        context: &Context,
    ) -> Result<Self, BlobError> {
        let mut random = [0; ID_DIGITS / 2];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Library)?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut block = Vec::with_capacity(BLOCK + CHUNK);
        block.extend_from_slice(&MAGIC);
        let sealing = match sealing {
            Sealing::Plain => {
                block.extend_from_slice(&[VERSION, 0, 0, 0]);
                None
            }
            Sealing::Key(key) => {
                let data = keys.new_data_key(key, context)?;
                let length = u16::try_from(data.wrapped.len()).map_err(|_| KeyError::Library)?;
                block.extend_from_slice(&[VERSION, 1]);
                block.extend_from_slice(&length.to_le_bytes());
                block.extend_from_slice(&data.wrapped);
                let (chunks, header) = Chunks::seal(&data.key, &content_context(&id)).map_err(|_| KeyError::Library)?;
                block.extend_from_slice(&header);
                Some(chunks)
            }
        };
        let partial = place.partial().join(&id);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|e| io_error("make", &partial, e))?;
        Ok(Self {
            place: place.clone(),
            id,
            partial,
            file,
            sealing,
            number: 0,
            chunk: Vec::with_capacity(CHUNK + TAG),
            block,
            size: 0,
            sha256: digest::Context::new(&digest::SHA256),
            md5: Md5::new(),
            unfinished: true,
        })
    }

    /// The id that the blob will have.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Appends content.
    ///
    /// # Errors
    /// [`BlobError::DiskFull`] and others of the disk: the blob is to be given up then.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = rest;
            if self.chunk.len() == CHUNK {
                self.close_chunk()?;
                if self.block.len() >= BLOCK {
                    self.write_block()?;
                }
            }
        }
        Ok(())
    }

    fn close_chunk(&mut self) -> Result<(), BlobError> {
        if let Some(chunks) = &self.sealing {
            chunks.seal_chunk(self.number, &mut self.chunk).map_err(|_| KeyError::Library)?;
        }
        self.block.extend_from_slice(&self.chunk);
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }

    fn write_block(&mut self) -> Result<(), BlobError> {
        self.file.write_all(&self.block).map_err(|e| io_error("write", &self.partial, e))?;
        self.block.clear();
        Ok(())
    }

    /// Ends the blob, syncs it and takes it to its place. When this returns, the blob is durable.
    ///
    /// # Errors
    /// [`BlobError::DiskFull`] and others of the disk, or of the server that keeps blobs: there is no blob then.
    pub fn finish(mut self) -> Result<BlobInfo, BlobError> {
        // The last chunk of a sealed blob is never full, and may be empty.
        self.close_chunk()?;
        let digest = self.sha256.clone().finish();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest.as_ref());
        if self.sealing.is_none() {
            self.block.extend_from_slice(&self.size.to_le_bytes());
            self.block.extend_from_slice(&sha256);
            self.block.extend_from_slice(&PLAIN_END);
        }
        self.write_block()?;
        self.file.sync_all().map_err(|e| io_error("sync", &self.partial, e))?;
        crash::point("blob_synced");
        self.place.adopt(&self.partial, &self.id)?;
        self.unfinished = false;
        crash::point("blob_named");
        let md5 = std::mem::take(&mut self.md5).finalize().into();
        Ok(BlobInfo { id: std::mem::take(&mut self.id), size: self.size, sha256, md5 })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(e @ BlobError::DiskFull { .. }) => Err(io::Error::new(io::ErrorKind::StorageFull, e)),
            Err(e) => Err(io::Error::other(e)),
        }
    }

    /// Does nothing: content is durable when the blob is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.unfinished {
            // What stays is removed when the blobs are opened the next time.
            fs::remove_file(&self.partial).ok();
        }
    }
}
