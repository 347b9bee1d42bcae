//! Objects: writing, reading, copying, deleting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ByteRange, Checksum, ChecksumAlgorithm, ExpectedChecksum, ReadConditions, Tag, WriteConditions};
use crate::Timestamp;

/// Largest object, bytes: 10,000 parts of 5 GiB are more than S3's limit of 50 TB.
pub const MAX_OBJECT_SIZE: u64 = 50_000_000_000_000;

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Version id; `None` is the newest.
    pub version_id: Option<String>,
}

impl ObjectRef {
    /// The newest version.
    #[must_use]
    pub fn newest(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into(), version_id: None }
    }
}

/// Headers of an object that are given back as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentHeaders {
    /// `Content-Type`; shown as `binary/octet-stream` when it was not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect: Option<String>,
}

/// How a writer wants an object sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EncryptionRequest {
    /// Not said: the bucket's default.
    #[default]
    Default,
    /// `AES256`.
    Aes256,
    /// `aws:kms`.
    Kms {
        /// Id, ARN or alias; `None` is `alias/aws/s3`.
        key: Option<String>,
        /// `x-amz-server-side-encryption-context`: base64 of a JSON object, as it was given.
        context: Option<String>,
        /// `x-amz-server-side-encryption-bucket-key-enabled`.
        bucket_key: bool,
    },
    /// Keys of the client's own (SSE-C), which are refused: `NotImplemented`.
    CustomerKey,
}

/// How an object is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    /// Not at all: outputs of builds whose project says so.
    None,
    /// `AES256`.
    Aes256,
    /// `aws:kms`.
    Kms {
        /// ARN of the key.
        key_arn: String,
        /// `x-amz-server-side-encryption-bucket-key-enabled`.
        bucket_key: bool,
    },
}

/// What a writer says about a new object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewObject {
    /// Headers.
    pub headers: ContentHeaders,
    /// `x-amz-meta-*`, without that prefix, lower-case.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// Sealing.
    pub encryption: EncryptionRequest,
    /// `x-amz-storage-class`: `STANDARD`, or refused.
    pub storage_class: Option<String>,
}

/// Puts an object.
#[derive(Debug, Clone)]
pub struct PutObjectInput {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// What it is.
    pub object: NewObject,
    /// How many bytes come, when that was announced; more and fewer are refused.
    pub content_length: Option<u64>,
    /// `Content-MD5`, decoded.
    pub content_md5: Option<[u8; 16]>,
    /// `x-amz-content-sha256`, when the front end has not compared it itself.
    pub content_sha256: Option<[u8; 32]>,
    /// Checksum.
    pub checksum: Option<ExpectedChecksum>,
    /// Conditions.
    pub conditions: WriteConditions,
}

/// An object that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Its version id, in a bucket with versions.
    pub version_id: Option<String>,
    /// ETag, without quotes.
    pub etag: String,
    /// Its length.
    pub size: u64,
    /// When it was made.
    pub last_modified: Timestamp,
    /// Checksum.
    pub checksum: Option<Checksum>,
    /// Sealing.
    pub encryption: Encryption,
}

/// What is known about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Version id; `None` in a bucket that never had versions.
    pub version_id: Option<String>,
    /// ETag, without quotes.
    pub etag: String,
    /// Length of the whole.
    pub size: u64,
    /// When it was made.
    pub last_modified: Timestamp,
    /// Headers.
    pub headers: ContentHeaders,
    /// `x-amz-meta-*`, without that prefix.
    pub metadata: BTreeMap<String, String>,
    /// How many tags it has.
    pub tag_count: u32,
    /// Checksum; of the part, when one was asked for.
    pub checksum: Option<Checksum>,
    /// Sealing.
    pub encryption: Encryption,
    /// How many parts it was put in; `None` when it was put at once.
    pub parts: Option<u32>,
    /// Rule by which, and time at which it expires (`x-amz-expiration`).
    pub expires: Option<(Timestamp, String)>,
}

/// Reads an object, or its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetObjectInput {
    /// Which.
    pub object: ObjectRef,
    /// Conditions.
    pub conditions: ReadConditions,
    /// A range of it; not together with a part.
    pub range: Option<ByteRange>,
    /// One of its parts, from 1.
    pub part_number: Option<u32>,
}

/// An object, or a part of it.
#[derive(Debug)]
pub struct Object<B> {
    /// What is known about it.
    pub info: ObjectInfo,
    /// First byte that is here, and the one behind the last; the whole object unless a range or part was asked for.
    pub range: (u64, u64),
    /// A range or part was asked for: the answer is `206` and has a `Content-Range`.
    pub partial: bool,
    /// The bytes; nothing for a head.
    pub body: B,
}

impl<B> Object<B> {
    /// How many bytes are here.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.range.1 - self.range.0
    }
}

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// The object.
    pub object: ObjectRef,
    /// `x-amz-copy-source-if-*`; none that is not met is a `304`.
    pub conditions: ReadConditions,
}

/// Copies an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyObjectInput {
    /// From where.
    pub source: CopySource,
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Headers and metadata in place of the source's (`x-amz-metadata-directive: REPLACE`).
    pub replace_metadata: bool,
    /// Tags in place of the source's (`x-amz-tagging-directive: REPLACE`).
    pub replace_tags: bool,
    /// What the copy is; headers, metadata and tags are only used when they replace the source's.
    pub object: NewObject,
    /// Another checksum than the source has.
    pub checksum: Option<ChecksumAlgorithm>,
    /// Conditions on what is there.
    pub conditions: WriteConditions,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOutput {
    /// The copy.
    pub object: StoredObject,
    /// Version of the source that was copied.
    pub source_version_id: Option<String>,
}

/// Deletes an object or a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteObjectInput {
    /// Which. Without a version id the object: where there are versions, a delete marker is put in front of them.
    pub object: ObjectRef,
    /// `If-Match`.
    pub if_match: Option<super::EtagCondition>,
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedObject {
    /// The version that was deleted, or that the new delete marker has.
    pub version_id: Option<String>,
    /// A delete marker was made, or deleted.
    pub delete_marker: bool,
}

/// A part of a finished object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    /// Its number.
    pub number: u32,
    /// Its length.
    pub size: u64,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// What `GetObjectAttributes` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectAttributes {
    /// What is known about it.
    pub info: ObjectInfo,
    /// A page of its parts: behind `part_marker`, at most `max_parts`.
    pub parts: Vec<ObjectPart>,
    /// There are more parts.
    pub truncated: bool,
}
