//! What builds leave.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kind of an output.
    #[derive(Default)]
    ArtifactsType {
        /// The output that a pipeline takes over.
        CodePipeline = "CODEPIPELINE",
        /// Objects in a bucket.
        S3 = "S3",
        /// None.
        #[default]
        NoArtifacts = "NO_ARTIFACTS",
    }
}

enumeration! {
    /// What stands between path and name in the key.
    ArtifactNamespace {
        /// Nothing.
        None = "NONE",
        /// The build's uuid.
        BuildId = "BUILD_ID",
    }
}

enumeration! {
    /// Form of the output.
    ArtifactPackaging {
        /// One object for each file.
        None = "NONE",
        /// One ZIP file.
        Zip = "ZIP",
    }
}

enumeration! {
    /// What the owner of another account's bucket may do with the objects.
    BucketOwnerAccess {
        /// Nothing.
        None = "NONE",
        /// Read them.
        ReadOnly = "READ_ONLY",
        /// Everything.
        Full = "FULL",
    }
}

/// Where a project's output goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectArtifacts {
    /// Kind.
    pub r#type: ArtifactsType,
    /// Bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// First part of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Second part of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_type: Option<ArtifactNamespace>,
    /// Last part of the key; `/` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaging: Option<ArtifactPackaging>,
    /// Whether the buildspec's name wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_artifact_name: Option<bool>,
    /// Whether the objects are not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_disabled: Option<bool>,
    /// Name of a secondary output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    /// Rights of the bucket's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_owner_access: Option<BucketOwnerAccess>,
}

/// What a build left. The object is there even when it left nothing (`integrations.md` 1.6).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildArtifacts {
    /// `arn:aws:s3:::<bucket>/<key>`; empty for NO_ARTIFACTS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Of the ZIP file, in hex; empty or absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256sum: Option<String>,
    /// Of the ZIP file, in hex; empty or absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5sum: Option<String>,
    /// As in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_artifact_name: Option<bool>,
    /// As in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_disabled: Option<bool>,
    /// Name of a secondary output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    /// As in the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_owner_access: Option<BucketOwnerAccess>,
}
