//! Objects: their bytes in sealed blobs, their names in records (DESIGN decision 10).

mod service;

use std::{
    fmt::Write as _,
    io::{self, Read},
};

use kiln_store::{
    StoreError, Tx,
    blobs::{BlobError, BlobInfo, BlobStream, BlobWriter, Sealing},
    keys::{Context, DEFAULT_KEY},
    metadata::{BucketRecord, ObjectRecord},
};

use crate::{core::Inner, runners::Runners};

/// Version id of objects in a bucket without versions.
const NO_VERSION: &str = "null";

/// What a blob is sealed for: it opens as this object only.
fn context(bucket: &str, key: &str) -> Context {
    Context::new().with("aws:s3:arn", format!("arn:aws:s3:::{bucket}/{key}"))
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok(); // writing to a String does not fail
        text
    })
}

fn record<R: Runners>(
    inner: &Inner<R>,
    bucket: &str,
    key: &str,
    blob: BlobInfo,
    meta: &serde_json::Value,
) -> ObjectRecord {
    ObjectRecord {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: NO_VERSION.to_owned(),
        blob: Some(blob.id),
        upload: None,
        size: i64::try_from(blob.size).unwrap_or(i64::MAX),
        etag: hex(&blob.md5),
        sha256: blob.sha256.to_vec(),
        created_ms: inner.now(),
        doc: serde_json::json!({ "version": 1, "metadata": meta }).to_string(),
    }
}

/// An object that is being written; nothing of it is there before its record is.
#[derive(Debug)]
pub(crate) struct Writer {
    bucket: String,
    key: String,
    blob: BlobWriter,
    bytes: u64,
}

impl Writer {
    /// Begins an object.
    pub(crate) fn new<R: Runners>(inner: &Inner<R>, bucket: &str, key: &str) -> Result<Self, BlobError> {
        let blob = inner.blobs.create(Sealing::Key(DEFAULT_KEY), &context(bucket, key))?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), blob, bytes: 0 })
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        self.blob.append(bytes)
    }

    /// Completes the blob, synced; returns the object's record, which is yet to be stored.
    pub(crate) fn finish<R: Runners>(
        self,
        inner: &Inner<R>,
        meta: &serde_json::Value,
    ) -> Result<ObjectRecord, BlobError> {
        Ok(record(inner, &self.bucket, &self.key, self.blob.finish()?, meta))
    }
}

/// Stores the bytes of an object; returns its record, which is yet to be stored.
pub(crate) fn store<R: Runners>(
    inner: &Inner<R>,
    bucket: &str,
    key: &str,
    mut from: impl Read,
    sealing: Sealing<'_>,
    meta: &serde_json::Value,
) -> Result<ObjectRecord, BlobError> {
    let blob = inner.blobs.store(&mut from, sealing, &context(bucket, key))?;
    Ok(record(inner, bucket, key, blob, meta))
}

/// The bytes of an object.
pub(crate) fn open<R: Runners>(inner: &Inner<R>, object: &ObjectRecord) -> io::Result<BlobStream> {
    let Some(blob) = &object.blob else { return Err(io::Error::from(io::ErrorKind::NotFound)) };
    let reader = inner.blobs.reader(blob, &context(&object.bucket, &object.key)).map_err(io::Error::other)?;
    Ok(reader.stream())
}

/// Removes a blob.
pub(crate) fn remove<R: Runners>(inner: &Inner<R>, blob: &str) -> Result<(), BlobError> {
    inner.blobs.remove(blob).map(drop)
}

/// Makes a bucket that is not there.
pub(crate) fn ensure_bucket(tx: &mut Tx<'_>, name: &str, now_ms: i64) -> Result<(), StoreError> {
    if tx.bucket(name)?.is_none() {
        tx.insert_bucket(&BucketRecord {
            name: name.to_owned(),
            created_ms: now_ms,
            doc: serde_json::json!({ "version": 1 }).to_string(),
        })?;
    }
    Ok(())
}
