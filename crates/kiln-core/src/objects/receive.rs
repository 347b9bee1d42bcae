//! Bytes on their way into a blob.

use std::io::Read;

use kiln_model::{
    s3::{Checksum, ChecksumAlgorithm, ExpectedChecksum, MAX_PART_SIZE, S3Code, S3Error},
    service::ByteSource,
};
use kiln_store::{BlobError, BlobInfo, BlobWriter, Blobs, keys::Context};
use tokio::task::JoinHandle;

use super::{
    document::Sealed,
    error,
    sums::{self, Hasher},
};

/// Bytes that are written at once.
const BATCH: usize = 512 << 10;

/// What the client said about the bytes that it sends.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) length: Option<u64>,
    pub(crate) md5: Option<[u8; 16]>,
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) checksum: Option<ExpectedChecksum>,
}

/// A synced blob that no record names yet. Dropped, it is removed; a record's transaction is begun by [`Self::keep`].
#[derive(Debug)]
pub(crate) struct Received {
    blobs: Blobs,
    pub(crate) info: BlobInfo,
    kept: bool,
    pub(crate) checksums: Vec<Checksum>,
}

impl Received {
    /// The caller removes the blob if its transaction fails.
    pub(crate) fn keep(mut self) -> BlobInfo {
        self.kept = true;
        self.info.clone()
    }

    pub(crate) fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|c| c.algorithm == algorithm)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.kept
            && let Err(e) = self.blobs.remove(&self.info.id)
        {
            tracing::warn!(blob = %self.info.id, error = %e, "a blob stays that nothing refers to");
        }
    }
}

/// A blob that is being written, with the checksums of its bytes.
pub(crate) struct Source {
    blobs: Blobs,
    writer: BlobWriter,
    hashers: Vec<Hasher>,
    bytes: u64,
}

impl Source {
    /// Begins a blob. `algorithms` are computed beside MD5 and SHA-256.
    pub(crate) fn new(
        blobs: &Blobs,
        sealed: &Sealed,
        context: &Context,
        algorithms: &[ChecksumAlgorithm],
    ) -> Result<Self, BlobError> {
        let writer = blobs.create(sealed.sealing(), context)?;
        let mut hashers: Vec<Hasher> = Vec::new();
        for (n, algorithm) in algorithms.iter().enumerate() {
            if !algorithms.get(..n).is_some_and(|before| before.contains(algorithm)) {
                hashers.push(Hasher::new(*algorithm));
            }
        }
        Ok(Self { blobs: blobs.clone(), writer, hashers, bytes: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        for hasher in &mut self.hashers {
            hasher.update(bytes);
        }
        self.writer.append(bytes)
    }

    /// Everything that `source` gives.
    pub(crate) fn write_all(&mut self, source: &mut dyn Read) -> Result<(), BlobError> {
        let mut buffer = vec![0; BATCH];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => self.write(buffer.get(..n).unwrap_or_default())?,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(BlobError::Source(e.into())),
            }
        }
    }

    /// Syncs the blob.
    pub(crate) fn finish(self) -> Result<Received, BlobError> {
        let checksums = self.hashers.into_iter().map(Hasher::finish).collect();
        Ok(Received { blobs: self.blobs, info: self.writer.finish()?, kept: false, checksums })
    }
}

type Step = JoinHandle<Result<Source, BlobError>>;

/// Waits for a step of the work.
async fn end(step: Step) -> Result<Source, S3Error> {
    match step.await {
        Ok(result) => result.map_err(|e| error::blob(&e)),
        Err(e) => Err(error::broken(&e)),
    }
}

/// Takes bytes as they come, at most two batches ahead of the disk; a slow client holds no thread. Gives a blob whose
/// bytes are all that was announced, and what their checksums say.
pub(crate) async fn receive(
    blobs: &Blobs,
    sealed: &Sealed,
    context: Context,
    algorithms: Vec<ChecksumAlgorithm>,
    expected: Expected,
    mut body: impl ByteSource,
) -> Result<Received, S3Error> {
    if expected.length.is_some_and(|length| length > MAX_PART_SIZE) {
        return Err(too_large());
    }
    let (blobs, sealed) = (blobs.clone(), sealed.clone());
    let mut step: Step = tokio::task::spawn_blocking(move || Source::new(&blobs, &sealed, &context, &algorithms));
    let (mut batch, mut size, mut total) = (Vec::new(), 0, 0u64);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|e| interrupted(&e))?;
        total += piece.len() as u64;
        if total > MAX_PART_SIZE {
            return Err(too_large());
        }
        if expected.length.is_some_and(|length| total > length) {
            return Err(incomplete(total, expected.length));
        }
        size += piece.len();
        batch.push(piece);
        if size >= BATCH {
            let (mut source, pieces) = (end(step).await?, std::mem::take(&mut batch));
            size = 0;
            step = tokio::task::spawn_blocking(move || {
                pieces.iter().try_for_each(|piece| source.write(piece))?;
                Ok(source)
            });
        }
    }
    if expected.length.is_some_and(|length| length != total) {
        return Err(incomplete(total, expected.length));
    }
    let mut source = end(step).await?;
    error::blocking(move || {
        batch.iter().try_for_each(|piece| source.write(piece)).map_err(|e| error::blob(&e))?;
        let received = source.finish().map_err(|e| error::blob(&e))?;
        check(&received, &expected)?;
        Ok(received)
    })
    .await
}

/// Compares what came with what was said about it.
fn check(received: &Received, expected: &Expected) -> Result<(), S3Error> {
    let info = &received.info;
    if expected.sha256.is_some_and(|sha256| sha256 != info.sha256) {
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return Err(S3Error::new(S3Code::XAmzContentSha256Mismatch, text));
    }
    if expected.md5.is_some_and(|md5| md5 != info.md5) {
        let text = "The Content-MD5 you specified did not match what we received.";
        return Err(S3Error::new(S3Code::BadDigest, text));
    }
    let Some(checksum) = &expected.checksum else { return Ok(()) };
    let sent = match checksum {
        ExpectedChecksum::Value(_, value) => Some(value.clone()),
        ExpectedChecksum::Trailing(algorithm, trailing) => Some(trailing.value().ok_or_else(|| {
            S3Error::bad_request(format!("The trailer with the {algorithm} checksum was announced and did not come"))
        })?),
        ExpectedChecksum::Computed(_) => None,
    };
    let computed = received.checksum(checksum.algorithm());
    match (computed, sent) {
        (Some(computed), Some(sent)) => sums::compare(computed, &sent),
        _ => Ok(()),
    }
}

/// An error that the front end wants to give itself is inside of the body's.
fn interrupted(error: &std::io::Error) -> S3Error {
    if let Some(inner) = error.get_ref().and_then(|e| e.downcast_ref::<S3Error>()) {
        return inner.clone();
    }
    S3Error::new(S3Code::IncompleteBody, format!("The body did not arrive whole: {error}"))
}

fn incomplete(came: u64, announced: Option<u64>) -> S3Error {
    let announced = announced.unwrap_or_default();
    S3Error::new(
        S3Code::IncompleteBody,
        format!(
            "You did not provide the number of bytes specified by the Content-Length HTTP header: {announced} were \
             announced, {came} came"
        ),
    )
}

fn too_large() -> S3Error {
    S3Error::new(
        S3Code::EntityTooLarge,
        format!(
            "Your proposed upload exceeds the maximum allowed size of {MAX_PART_SIZE} bytes; use a multipart upload"
        ),
    )
}
