//! Caches that builds left on this machine.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// All caches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCachesInput {}

/// What there is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCachesOutput {
    /// The one used last first.
    #[serde(default)]
    pub caches: Vec<CacheDetail>,
}

/// A cache.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CacheDetail {
    /// Names it in [`DeleteCachesInput`].
    pub id: String,
    /// Which builds share it: those of a project, or of all projects that name the same place in a bucket.
    pub namespace: String,
    /// The project whose builds share it; absent where it is not of one project alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_name: Option<String>,
    /// Paths of the buildspec; `docker layers` for what a Docker daemon in builds keeps; the address of a repository that sources
    /// are fetched from.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The key that the buildspec gave it; absent for the cache of builds without a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it was saved.
    pub created: Timestamp,
    /// When a build last used it.
    pub last_used: Timestamp,
    /// Files and directories in it; 0 where they are not counted.
    pub entries: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that it takes on the disk. What it shares with other caches is counted in each of them.
    pub stored_bytes: u64,
}

/// Which caches to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteCachesInput {
    /// [`CacheDetail::id`] of 1 to 100 of them.
    pub ids: Vec<String>,
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteCachesOutput {
    /// They are gone.
    #[serde(default)]
    pub deleted: Vec<String>,
    /// There is no cache with these ids.
    #[serde(default)]
    pub not_found: Vec<String>,
    /// A build uses them just now: Docker layers, mirrors of repositories.
    #[serde(default)]
    pub in_use: Vec<String>,
    /// Bytes that are free on the disk now.
    pub freed_bytes: u64,
}
