//! Layers, as ECR's own clients store and fetch them.

use serde::{Deserialize, Serialize};

use crate::{enumeration::enumeration, kms::Blob};

/// A layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Digest of the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_digest: Option<String>,
    /// Whether it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_availability: Option<LayerAvailability>,
    /// Its size, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_size: Option<i64>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

enumeration! {
    /// Whether a layer is there.
    LayerAvailability {
        /// It is there.
        Available = "AVAILABLE",
        /// It is not there.
        Unavailable = "UNAVAILABLE",
        /// In an archive.
        Archived = "ARCHIVED",
    }
}

/// A layer of which nothing can be said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerFailure {
    /// Digest of the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_digest: Option<String>,
    /// Why, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<LayerFailureCode>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
}

enumeration! {
    /// Why nothing can be said of a layer.
    LayerFailureCode {
        /// That is no digest.
        InvalidLayerDigest = "InvalidLayerDigest",
        /// There is no digest.
        MissingLayerDigest = "MissingLayerDigest",
    }
}

/// Input of `BatchCheckLayerAvailability`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchCheckLayerAvailabilityRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Digests of layers.
    pub layer_digests: Vec<String>,
}

/// Answer of `BatchCheckLayerAvailability`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchCheckLayerAvailabilityResponse {
    /// Layers that are there, or are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// What could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<LayerFailure>>,
}

/// Input of `CompleteLayerUpload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteLayerUploadRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// The upload.
    pub upload_id: String,
    /// Digests of layers.
    pub layer_digests: Vec<String>,
}

/// Answer of `CompleteLayerUpload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteLayerUploadResponse {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// The upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Digest of the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_digest: Option<String>,
}

/// Input of `GetDownloadUrlForLayer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDownloadUrlForLayerRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Digest of the layer.
    pub layer_digest: String,
}

/// Answer of `GetDownloadUrlForLayer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDownloadUrlForLayerResponse {
    /// Where the bytes are, for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// Digest of the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_digest: Option<String>,
}

/// Input of `InitiateLayerUpload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitiateLayerUploadRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
}

/// Answer of `InitiateLayerUpload`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitiateLayerUploadResponse {
    /// The upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Bytes that a part should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<i64>,
}

/// Input of `UploadLayerPart`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadLayerPartRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// The upload.
    pub upload_id: String,
    /// Place of the first byte.
    pub part_first_byte: i64,
    /// Place of the last byte.
    pub part_last_byte: i64,
    /// The bytes.
    pub layer_part_blob: Blob,
}

/// Answer of `UploadLayerPart`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadLayerPartResponse {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// The upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Place of the last byte that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_byte_received: Option<i64>,
}
