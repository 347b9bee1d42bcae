//! The records of repositories and images. Times are milliseconds since the epoch; documents are the caller's.

/// A repository of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryRecord {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Everything else.
    pub doc: String,
}

/// A layer that is being uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUploadRecord {
    /// Its id.
    pub id: String,
    /// The repository that it is for.
    pub repository: String,
    /// When something was last done with it.
    pub touched_ms: i64,
    /// Bytes that are stored.
    pub size: i64,
    /// Pieces that they are in.
    pub pieces: i64,
    /// The key that they are sealed with.
    pub sealed_with: String,
}

/// Bytes of a layer, a configuration or a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRecord {
    /// Its id, which is that of the upload that brought it.
    pub id: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The key that they are sealed with.
    pub sealed_with: String,
    /// How many there are.
    pub size: i64,
}

/// A blob of an upload or of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceRecord {
    /// Id of the upload or content.
    pub content: String,
    /// Its place, from 1.
    pub number: i64,
    /// The blob.
    pub blob: String,
    /// Its bytes.
    pub size: i64,
    /// Digest of its bytes alone.
    pub digest: String,
}

/// A content that a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryContentRecord {
    /// The repository.
    pub repository: String,
    /// Digest of the content.
    pub digest: String,
    /// Its id.
    pub content: String,
    /// When somebody last wanted it to be there.
    pub touched_ms: i64,
}

/// An image. Its manifest is a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The repository that it is in.
    pub repository: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Digest of the image that it is about.
    pub subject: Option<String>,
    /// Size of its configuration and layers, bytes.
    pub size: i64,
    /// When it was pushed.
    pub pushed_ms: i64,
    /// When it was pulled; not each pull is noted.
    pub pulled_ms: Option<i64>,
    /// Everything else.
    pub doc: String,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTagRecord {
    /// The repository that it is in.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Digest of the image that it is on.
    pub digest: String,
}
