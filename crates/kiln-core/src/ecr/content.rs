//! The bytes of uploads and contents.

use std::{
    io::{self, Read},
    sync::Arc,
};

use kiln_model::{
    ApiError,
    registry::{Digest, LayerContent, RegistryCode, RegistryError},
    s3::ByteRange,
    service::ByteSource,
};
use kiln_store::{
    BlobError, BlobInfo, BlobWriter, Blobs, Metadata, Sealing, StoreError, View, keys::Context, metadata::PieceRecord,
};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::error;
use crate::{
    bytes::{Bytes, Content},
    core::Inner,
    objects::{ObjectReader, Piece},
    records::Refused,
    runners::Runners,
};

/// Bytes that are written at once.
const BATCH: usize = 512 << 10;

/// What a piece is sealed for: it opens in its place only.
pub(super) fn context(content: &str, number: i64) -> Context {
    Context::new().with("kiln:image-content", content).with("kiln:piece", number.to_string())
}

/// What came of a body.
#[derive(Debug)]
pub(super) struct Taken {
    /// A synced blob; none when nothing came.
    pub(super) blob: Option<BlobInfo>,
    /// Why the body did not end as it should.
    pub(super) broke: Option<String>,
}

type Step = JoinHandle<Result<BlobWriter, BlobError>>;

/// Takes bytes as they come into a blob, at most two batches ahead of the disk; a slow client holds no thread. What came
/// before a body broke off is kept. Nothing is when there are more than `most` bytes.
pub(super) async fn take<R: Runners>(
    inner: &Arc<Inner<R>>,
    sealed_with: &str,
    context: Context,
    most: u64,
    mut body: impl ByteSource,
) -> Result<Taken, RegistryError> {
    let (blobs, key) = (inner.blobs.clone(), sealed_with.to_owned());
    let mut step: Step = tokio::task::spawn_blocking(move || blobs.create(Sealing::Key(&key), &context));
    let (mut batch, mut size, mut total, mut broke) = (Vec::new(), 0, 0u64, None);
    while let Some(piece) = body.next().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(e) => {
                broke = Some(e.to_string());
                break;
            }
        };
        total += piece.len() as u64;
        if total > most {
            let message = format!("at most {most} more bytes are taken");
            return Err(RegistryError::new(RegistryCode::SizeInvalid, message).with_status(413));
        }
        size += piece.len();
        batch.push(piece);
        if size >= BATCH {
            let (mut writer, pieces) = (end(inner, step).await?, std::mem::take(&mut batch));
            size = 0;
            step = tokio::task::spawn_blocking(move || {
                pieces.iter().try_for_each(|piece| writer.append(piece))?;
                Ok(writer)
            });
        }
    }
    let mut writer = end(inner, step).await?;
    if total == 0 {
        return Ok(Taken { blob: None, broke });
    }
    let with = Arc::clone(inner);
    let blob = error::blocking(move || {
        batch.iter().try_for_each(|piece| writer.append(piece)).map_err(|e| error::blob(&with, &e))?;
        writer.finish().map_err(|e| error::blob(&with, &e))
    });
    Ok(Taken { blob: Some(blob.await?), broke })
}

async fn end<R: Runners>(inner: &Inner<R>, step: Step) -> Result<BlobWriter, ApiError> {
    match step.await {
        Ok(result) => result.map_err(|e| error::blob(inner, &e)),
        Err(e) => {
            tracing::error!(error = %e, "bytes of an image were not written to their end");
            Err(ApiError::internal("Kiln failed; its log says why"))
        }
    }
}

/// Bytes that are there, as a source.
pub(super) struct Whole(pub(super) Option<Vec<u8>>);

impl ByteSource for Whole {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.0.take().filter(|bytes| !bytes.is_empty()).map(Ok)
    }
}

/// Pieces as they are read.
fn readable(pieces: Vec<PieceRecord>) -> Vec<Piece> {
    let mut start = 0;
    let mut all = Vec::new();
    for piece in pieces {
        let size = piece.size.unsigned_abs();
        all.push(Piece { context: context(&piece.content, piece.number), blob: piece.blob, start, size });
        start += size;
    }
    all
}

/// The digest of pieces in their order. One that is alone was hashed when it came.
pub(super) fn digest<R: Runners>(inner: &Inner<R>, pieces: Vec<PieceRecord>) -> Result<String, ApiError> {
    if let [alone] = pieces.as_slice() {
        return Ok(alone.digest.clone());
    }
    let size = pieces.iter().map(|piece| piece.size.unsigned_abs()).sum();
    let reader = ObjectReader::open(inner, readable(pieces), (0, size)).map_err(|e| error::blob(inner, &e))?;
    Ok(digest_of(reader).map_err(|e| unreadable(&e))?.into())
}

fn digest_of(mut reader: impl Read) -> io::Result<Digest> {
    let mut sum = Sha256::new();
    let mut buffer = vec![0; BATCH];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(Digest::of(&sum.finalize().into())),
            n => sum.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Contents whose bytes cannot be read or are others than their digests say, one text for each: for whoever checks all
/// that is stored.
///
/// # Errors
/// When the records cannot be read.
pub fn damaged(metadata: &Metadata, blobs: &Blobs) -> Result<Vec<String>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = metadata.read(|view| view.contents(after.as_deref(), 100))?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.id.clone());
        for content in page {
            let pieces = metadata.read(|view| view.pieces(&content.id))?;
            let reader = ObjectReader::new(blobs, readable(pieces), (0, content.size.unsigned_abs()));
            match reader.map_err(io::Error::other).and_then(digest_of) {
                Ok(digest) if digest.as_str() == content.digest => {}
                Ok(digest) => found.push(format!("content {} has the digest {digest}", content.digest)),
                Err(e) => found.push(format!("content {}: {e}", content.digest)),
            }
        }
    }
}

fn unreadable(error: &io::Error) -> ApiError {
    tracing::error!(error = %error, "the bytes of an image cannot be read");
    ApiError::internal("The bytes of the image cannot be read; Kiln's log says why")
}

/// A content of a repository that is to be read.
pub(super) struct Found {
    size: u64,
    pieces: Vec<PieceRecord>,
}

/// Looks a content of a repository up.
pub(super) fn find(view: &View<'_>, repository: &str, digest: &str) -> Result<Option<Found>, Refused> {
    let Some(link) = view.repository_content(repository, digest)? else { return Ok(None) };
    let Some(content) = view.content(&link.content)? else { return Ok(None) };
    Ok(Some(Found { size: content.size.unsigned_abs(), pieces: view.pieces(&content.id)? }))
}

impl Found {
    /// How many bytes it has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Opens a range of it; all of it without one.
    pub(super) async fn open<R: Runners>(
        self,
        inner: &Arc<Inner<R>>,
        range: Option<ByteRange>,
    ) -> Result<LayerContent<Bytes>, RegistryError> {
        let size = self.size;
        let range = match range {
            None => (0, size),
            Some(range) => range.of(size).ok_or_else(|| {
                let message = format!("the range is not satisfiable: there are {size} bytes");
                RegistryError::new(RegistryCode::SizeInvalid, message).with_status(416)
            })?,
        };
        let with = Arc::clone(inner);
        let reader = error::blocking(move || {
            ObjectReader::open(&with, readable(self.pieces), range).map_err(|e| error::blob(&with, &e))
        });
        Ok(LayerContent { size, range, body: Bytes::Content(Content::new(reader.await?)) })
    }

    /// Opens all of it, on a thread that may wait for the disk.
    pub(super) fn reader<R: Runners>(self, inner: &Inner<R>) -> Result<ObjectReader, ApiError> {
        ObjectReader::open(inner, readable(self.pieces), (0, self.size)).map_err(|e| error::blob(inner, &e))
    }

    /// All of it, for what is small.
    pub(super) async fn read<R: Runners>(self, inner: &Arc<Inner<R>>) -> Result<Vec<u8>, ApiError> {
        let with = Arc::clone(inner);
        error::blocking(move || {
            let mut bytes = Vec::new();
            self.reader(&with)?.read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
            Ok(bytes)
        })
        .await
    }
}
