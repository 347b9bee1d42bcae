//! Images as clients of registries move them: the distribution specification of the Open Container Initiative, version 1.1,
//! whose errors, digests and names these are.

mod error;
mod name;

pub use self::{
    error::{RegistryCode, RegistryError},
    name::{Digest, MOST_NAME, MOST_TAG, Reference, is_path, is_tag},
};

use crate::service::ByteSource;

/// Longest manifest, bytes: what the specification asks registries to take, and ECR's limit.
pub const MOST_MANIFEST: usize = 4 << 20;

/// Longest layer, bytes (ECR's quota).
pub const MOST_LAYER: u64 = 52_000 * 1024 * 1024;

/// An upload of a layer, as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUploadId {
    /// The repository that it is for.
    pub repository: String,
    /// Its id.
    pub id: String,
}

/// What a client says of the bytes that it appends to an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Append {
    /// Place of the first byte; `None`: behind what is there.
    pub start: Option<u64>,
    /// How many bytes there are; `None`: whatever comes.
    pub length: Option<u64>,
}

/// A layer, or a configuration.
#[derive(Debug)]
pub struct LayerContent<B: ByteSource> {
    /// Its size, bytes.
    pub size: u64,
    /// The bytes that are given: the first, and the one behind the last.
    pub range: (u64, u64),
    /// The bytes.
    pub body: B,
}

/// A manifest, as it was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A manifest that a client pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewManifest {
    /// The repository that it is for.
    pub repository: String,
    /// Its digest, or the tag that it is to have.
    pub reference: Reference,
    /// Its media type, as the client says.
    pub media_type: Option<String>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A manifest was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedManifest {
    /// Its digest.
    pub digest: String,
    /// Digest of the image that it is about.
    pub subject: Option<String>,
}

/// A page of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamePage {
    /// The names.
    pub names: Vec<String>,
    /// Whether there are more behind them.
    pub has_more: bool,
}

/// A page of what is about an image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReferrerPage {
    /// Descriptors, as an index has them.
    pub manifests: Vec<serde_json::Value>,
    /// The digest behind which the next page begins.
    pub next: Option<String>,
}
