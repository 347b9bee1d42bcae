//! Lists.

use super::{Checksum, ChecksumAlgorithm, ChecksumKind};
use crate::Timestamp;

/// Lists objects. Both forms of S3's call: a continuation token or marker is [`ListObjectsOutput::next`] of the page
/// before, which the front end may wrap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListObjectsInput {
    /// Bucket.
    pub bucket: String,
    /// Keys begin with this.
    pub prefix: String,
    /// What lies behind this within a key is summed up; empty is as `None`.
    pub delimiter: Option<String>,
    /// From behind this key, or behind everything below this common prefix.
    pub after: Option<String>,
    /// At most so many keys and common prefixes together; the front end cuts it at 1,000.
    pub limit: usize,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Key.
    pub key: String,
    /// ETag, without quotes.
    pub etag: String,
    /// Length.
    pub size: u64,
    /// When it was made.
    pub last_modified: Timestamp,
    /// Its checksum's algorithm and kind.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// A page of objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListObjectsOutput {
    /// Objects, by key.
    pub objects: Vec<ListedObject>,
    /// Common prefixes, sorted.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<String>,
}

/// Lists versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListVersionsInput {
    /// Bucket.
    pub bucket: String,
    /// Keys begin with this.
    pub prefix: String,
    /// What lies behind this within a key is summed up.
    pub delimiter: Option<String>,
    /// From behind this key.
    pub key_marker: Option<String>,
    /// From behind this version of `key_marker`.
    pub version_id_marker: Option<String>,
    /// At most so many versions and common prefixes together.
    pub limit: usize,
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// The object; of a delete marker only key and time are of use.
    pub object: ListedObject,
    /// Version id; `null` where there is none.
    pub version_id: String,
    /// The newest.
    pub is_latest: bool,
    /// A delete marker.
    pub delete_marker: bool,
}

/// A page of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListVersionsOutput {
    /// Versions and delete markers, by key, newest first.
    pub versions: Vec<ListedVersion>,
    /// Common prefixes, sorted.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins: key and, if it ends within one, version id.
    pub next: Option<(String, Option<String>)>,
}

/// Lists the parts of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPartsInput {
    /// The upload.
    pub upload: super::UploadId,
    /// From behind this number.
    pub after: u32,
    /// At most so many.
    pub limit: usize,
}

/// A part in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Its number.
    pub number: u32,
    /// ETag, without quotes.
    pub etag: String,
    /// Length.
    pub size: u64,
    /// When it was put.
    pub last_modified: Timestamp,
    /// Checksum.
    pub checksum: Option<Checksum>,
}

/// A page of parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPartsOutput {
    /// Parts, by number.
    pub parts: Vec<ListedPart>,
    /// Number behind which the next page begins; `None`: this was the last.
    pub next: Option<u32>,
    /// Checksum's algorithm and kind.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// Lists uploads that are not completed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListUploadsInput {
    /// Bucket.
    pub bucket: String,
    /// Keys begin with this.
    pub prefix: String,
    /// What lies behind this within a key is summed up.
    pub delimiter: Option<String>,
    /// From behind this key.
    pub key_marker: Option<String>,
    /// From behind this upload of `key_marker`.
    pub upload_id_marker: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// An upload in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// Key.
    pub key: String,
    /// Its id.
    pub upload_id: String,
    /// When it was begun.
    pub initiated: Timestamp,
    /// Checksum's algorithm and kind.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// A page of uploads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListUploadsOutput {
    /// Uploads, by key and time.
    pub uploads: Vec<ListedUpload>,
    /// Common prefixes, sorted.
    pub common_prefixes: Vec<String>,
    /// Where the next page begins: key and upload id.
    pub next: Option<(String, String)>,
}
