//! Images: stored, listed, read, deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, enumeration::enumeration};

/// Names an image: by its digest, by a tag, or by both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIdentifier {
    /// Digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
}

/// An image with its manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageIdentifier>,
    /// The manifest, as it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_manifest: Option<String>,
    /// Media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_manifest_media_type: Option<String>,
}

/// An image of which that could not be done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageFailure {
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageIdentifier>,
    /// Why, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_code: Option<ImageFailureCode>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
}

enumeration! {
    /// Why something could not be done with an image.
    ImageFailureCode {
        /// That is no digest.
        InvalidImageDigest = "InvalidImageDigest",
        /// That is no tag.
        InvalidImageTag = "InvalidImageTag",
        /// The tag is on another image.
        ImageTagDoesNotMatchDigest = "ImageTagDoesNotMatchDigest",
        /// There is no such image.
        ImageNotFound = "ImageNotFound",
        /// There is neither digest nor tag.
        MissingDigestAndTag = "MissingDigestAndTag",
        /// An index names it.
        ImageReferencedByManifestList = "ImageReferencedByManifestList",
        /// KMS refused.
        KmsError = "KmsError",
        /// The registry behind it refused.
        UpstreamAccessDenied = "UpstreamAccessDenied",
        /// The registry behind it is asked too often.
        UpstreamTooManyRequests = "UpstreamTooManyRequests",
        /// The registry behind it cannot be reached.
        UpstreamUnavailable = "UpstreamUnavailable",
        /// Its bytes cannot be read.
        ImageInaccessible = "ImageInaccessible",
    }
}

/// What is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageDetail {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// Digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tags: Option<Vec<String>>,
    /// Size of what it names, bytes: for an index its own images are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size_in_bytes: Option<i64>,
    /// When it was pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pushed_at: Option<Timestamp>,
    /// Media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_manifest_media_type: Option<String>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_media_type: Option<String>,
    /// When it was last pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_recorded_pull_time: Option<Timestamp>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_manifest_digest: Option<String>,
}

/// Which images are described.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeImagesFilter {
    /// By whether they have tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_status: Option<TagStatus>,
    /// By where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_status: Option<ImageStatusFilter>,
}

/// Which images are listed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImagesFilter {
    /// By whether they have tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_status: Option<TagStatus>,
    /// By where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_status: Option<ImageStatusFilter>,
}

enumeration! {
    /// Images by whether they have tags.
    TagStatus {
        /// With tags.
        Tagged = "TAGGED",
        /// Without.
        Untagged = "UNTAGGED",
        /// All.
        Any = "ANY",
    }
}

enumeration! {
    /// Images by where they are kept; all are active here.
    ImageStatusFilter {
        /// At hand.
        Active = "ACTIVE",
        /// In an archive.
        Archived = "ARCHIVED",
        /// On their way out of it.
        Activating = "ACTIVATING",
        /// All.
        Any = "ANY",
    }
}

/// Names what artifacts are about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectIdentifier {
    /// Digest of the manifest.
    pub image_digest: String,
}

/// Which artifacts are listed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImageReferrersFilter {
    /// Types of artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_types: Option<Vec<String>>,
    /// By where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_status: Option<ArtifactStatusFilter>,
}

enumeration! {
    /// Artifacts by where they are kept; all are active here.
    ArtifactStatusFilter {
        /// At hand.
        Active = "ACTIVE",
        /// In an archive.
        Archived = "ARCHIVED",
        /// On their way out of it.
        Activating = "ACTIVATING",
        /// All.
        Any = "ANY",
    }
}

/// An artifact that is about an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageReferrer {
    /// Digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Size of its manifest, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// What its maker says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Input of `BatchDeleteImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchDeleteImageRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Images.
    pub image_ids: Vec<ImageIdentifier>,
}

/// Answer of `BatchDeleteImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchDeleteImageResponse {
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ids: Option<Vec<ImageIdentifier>>,
    /// What could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<ImageFailure>>,
}

/// Input of `BatchGetImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetImageRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Images.
    pub image_ids: Vec<ImageIdentifier>,
    /// Media types that the caller understands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_media_types: Option<Vec<String>>,
}

/// Answer of `BatchGetImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetImageResponse {
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Vec<Image>>,
    /// What could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<Vec<ImageFailure>>,
}

/// Input of `DescribeImages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeImagesRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ids: Option<Vec<ImageIdentifier>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Size of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Which are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<DescribeImagesFilter>,
}

/// Answer of `DescribeImages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeImagesResponse {
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_details: Option<Vec<ImageDetail>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Input of `ListImageReferrers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImageReferrersRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// What they are about.
    pub subject_id: SubjectIdentifier,
    /// Which are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ListImageReferrersFilter>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Size of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
}

/// Answer of `ListImageReferrers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImageReferrersResponse {
    /// Artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrers: Option<Vec<ImageReferrer>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Input of `ListImages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImagesRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Size of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Which are meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ListImagesFilter>,
}

/// Answer of `ListImages`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListImagesResponse {
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_ids: Option<Vec<ImageIdentifier>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Input of `PutImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutImageRequest {
    /// Account of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_id: Option<String>,
    /// Name of the repository.
    pub repository_name: String,
    /// The manifest, as it was pushed.
    pub image_manifest: String,
    /// Media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_manifest_media_type: Option<String>,
    /// A tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tag: Option<String>,
    /// Digest of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
}

/// Answer of `PutImage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutImageResponse {
    /// The image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}
