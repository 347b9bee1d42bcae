//! Lifecycle rules: what is deleted when.

use serde::{Deserialize, Serialize};

use super::Tag;
use crate::Timestamp;

/// When objects (or their newest versions) go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expiration {
    /// So many days after they were made, at the midnight (UTC) that follows.
    Days(i32),
    /// From this midnight (UTC) on.
    Date(Timestamp),
    /// `ExpiredObjectDeleteMarker`: delete markers behind which nothing is left.
    DeleteMarkers,
}

/// When versions go that are not the newest any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentExpiration {
    /// So many days after a newer one came.
    pub days: i32,
    /// So many of them are kept all the same.
    pub keep: Option<i32>,
}

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleRule {
    /// `ID`, made up when the client gave none.
    pub id: String,
    /// `Status` is `Enabled`.
    pub enabled: bool,
    /// The client wrote the prefix into the rule, not into its filter: shown the same way again.
    pub prefix_in_rule: bool,
    /// Keys begin with this; `None`: the client named none.
    pub prefix: Option<String>,
    /// Objects have these tags.
    pub tags: Vec<Tag>,
    /// Objects are larger than this.
    pub larger_than: Option<i64>,
    /// Objects are smaller than this.
    pub smaller_than: Option<i64>,
    /// `Expiration`.
    pub expiration: Option<Expiration>,
    /// `NoncurrentVersionExpiration`.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// `AbortIncompleteMultipartUpload`: days after they were begun.
    pub abort_uploads_after_days: Option<i32>,
}
