//! What builds keep for the next one.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kind of a cache.
    #[derive(Default)]
    CacheType {
        /// None.
        #[default]
        NoCache = "NO_CACHE",
        /// In a bucket.
        S3 = "S3",
        /// On the machine.
        Local = "LOCAL",
    }
}

enumeration! {
    /// What a local cache holds.
    CacheMode {
        /// Layers of docker images.
        DockerLayers = "LOCAL_DOCKER_LAYER_CACHE",
        /// Git metadata.
        Source = "LOCAL_SOURCE_CACHE",
        /// The buildspec's paths.
        Custom = "LOCAL_CUSTOM_CACHE",
    }
}

/// Cache of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectCache {
    /// Kind.
    pub r#type: CacheType,
    /// `bucket[/prefix]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// What a local cache holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<Vec<CacheMode>>,
    /// Name under which projects share a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_namespace: Option<String>,
}
