//! Objects that come in parts.

use super::{
    ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, CopySource, Encryption, ExpectedChecksum, NewObject,
    WriteConditions,
};

/// Highest number of a part.
pub const MAX_PART_NUMBER: u32 = 10_000;
/// Smallest part that is not the last.
pub const MIN_PART_SIZE: u64 = 5 << 20;
/// Largest part, and largest object that is put or copied at once.
pub const MAX_PART_SIZE: u64 = 5 << 30;

/// Names an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadId {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Its id.
    pub upload_id: String,
}

/// Begins an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateUploadInput {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// What the object will be.
    pub object: NewObject,
    /// Checksum of its parts and of itself.
    pub checksum: Option<ChecksumAlgorithm>,
    /// What its checksum will be of; the algorithm's usual kind when not said.
    pub checksum_kind: Option<ChecksumKind>,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub upload_id: String,
    /// Sealing of the object.
    pub encryption: Encryption,
    /// Checksum's algorithm and kind.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// Puts a part; in place of what has the same number.
#[derive(Debug, Clone)]
pub struct UploadPartInput {
    /// The upload.
    pub upload: UploadId,
    /// 1 to [`MAX_PART_NUMBER`].
    pub part_number: u32,
    /// How many bytes come, when that was announced.
    pub content_length: Option<u64>,
    /// `Content-MD5`, decoded.
    pub content_md5: Option<[u8; 16]>,
    /// `x-amz-content-sha256`, when the front end has not compared it itself.
    pub content_sha256: Option<[u8; 32]>,
    /// Checksum.
    pub checksum: Option<ExpectedChecksum>,
}

/// A part that comes from an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyPartInput {
    /// The upload.
    pub upload: UploadId,
    /// 1 to [`MAX_PART_NUMBER`].
    pub part_number: u32,
    /// From where.
    pub source: CopySource,
    /// `x-amz-copy-source-range`, which must lie within the source.
    pub range: Option<ByteRange>,
}

/// A part that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// ETag, without quotes.
    pub etag: String,
    /// Checksum.
    pub checksum: Option<Checksum>,
    /// Sealing.
    pub encryption: Encryption,
    /// When it was put.
    pub last_modified: crate::Timestamp,
    /// Version of the source, when it was copied.
    pub source_version_id: Option<String>,
}

/// A part as the client names it when it completes an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedPart {
    /// Its number.
    pub part_number: u32,
    /// ETag, without quotes.
    pub etag: String,
    /// Its checksum, base64.
    pub checksum: Option<(ChecksumAlgorithm, String)>,
}

/// Makes the object of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteUploadInput {
    /// The upload.
    pub upload: UploadId,
    /// Its parts, in ascending order.
    pub parts: Vec<CompletedPart>,
    /// Checksum of the object: algorithm and base64, a composite one with or without `-N`.
    pub checksum: Option<(ChecksumAlgorithm, String)>,
    /// `x-amz-checksum-type`.
    pub checksum_kind: Option<ChecksumKind>,
    /// `x-amz-mp-object-size`.
    pub object_size: Option<u64>,
    /// Conditions on what is there.
    pub conditions: WriteConditions,
}
