//! Inputs and outputs of the operations that carry bytes, and of the badge.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

/// Which part of a journal to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBuildJournalInput {
    /// Id or ARN.
    pub id: String,
    /// First byte; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Whether to go on until the build is over; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
}

/// What is known of an archive before its bytes come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadSourceInput {
    /// Its size, when the client says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u64>,
    /// Its SHA-256 in hex; another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The kept archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadSourceOutput {
    /// `bucket/key`, for `sourceLocationOverride` of a build with source type S3.
    pub location: String,
    /// Version of the object, for `sourceVersion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// Which artifact to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBuildArtifactInput {
    /// Id or ARN.
    pub id: String,
    /// Name; absent for the primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    /// A file of an artifact that is not a ZIP file; absent: all its files, as a ZIP file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Into which build's file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugBuildInput {
    /// Id or ARN.
    pub id: String,
}

/// Whose state a badge shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BadgeInput {
    /// The project's opaque name in `badgeRequestUrl`.
    pub uuid: String,
    /// Of which branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Of which tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

enumeration! {
    /// What a badge shows (`api.md` 2.4).
    BadgeState {
        /// The last build succeeded.
        Passing = "PASSING",
        /// It failed, faulted, timed out or was stopped.
        Failing = "FAILING",
        /// It runs.
        InProgress = "IN_PROGRESS",
        /// There is no build of that branch or tag, or no badge.
        Unknown = "UNKNOWN",
    }
}
