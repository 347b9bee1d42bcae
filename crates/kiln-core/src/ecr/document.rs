//! What is stored of repositories and images beside their columns.

use std::collections::BTreeMap;

use kiln_model::ecr::{EncryptionConfiguration, ImageTagMutability, ImageTagMutabilityExclusionFilter};
use kiln_store::{
    StoreError,
    metadata::{ImageRecord, RepositoryRecord},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Form of the documents.
const FORM: u32 = 1;

/// A repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Repository {
    form: u32,
    pub(super) mutability: ImageTagMutability,
    /// Tags for which the opposite holds.
    #[serde(default)]
    pub(super) exclusions: Vec<ImageTagMutabilityExclusionFilter>,
    pub(super) scan_on_push: bool,
    pub(super) encryption: EncryptionConfiguration,
    /// The store's name of the key that new bytes are sealed with.
    pub(super) sealed_with: String,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) policy: Option<String>,
    #[serde(default)]
    pub(super) lifecycle: Option<String>,
    /// When images were last looked at by the lifecycle policy.
    #[serde(default)]
    pub(super) evaluated_ms: Option<i64>,
    /// The lifecycle policy whose preview somebody asked for.
    #[serde(default)]
    pub(super) preview: Option<String>,
}

impl Repository {
    pub(super) fn new(encryption: EncryptionConfiguration, sealed_with: String) -> Self {
        Self {
            form: FORM,
            mutability: ImageTagMutability::Mutable,
            exclusions: Vec::new(),
            scan_on_push: false,
            encryption,
            sealed_with,
            tags: BTreeMap::new(),
            policy: None,
            lifecycle: None,
            evaluated_ms: None,
            preview: None,
        }
    }

    pub(super) fn of(record: &RepositoryRecord) -> Result<Self, StoreError> {
        parse(&record.doc, |document: &Self| document.form, || format!("repository {}", record.name))
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }

    /// Whether a tag stays on the image that it is on.
    pub(super) fn is_fixed(&self, tag: &str) -> bool {
        let is_excluded = || self.exclusions.iter().any(|exclusion| super::lifecycle::is_like(tag, &exclusion.filter));
        match self.mutability {
            ImageTagMutability::Mutable => false,
            ImageTagMutability::Immutable => true,
            ImageTagMutability::ImmutableWithExclusion => !is_excluded(),
            ImageTagMutability::MutableWithExclusion => is_excluded(),
        }
    }
}

/// An image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    form: u32,
    /// Media type of the manifest.
    pub(super) media_type: String,
    /// What kind of artifact it is, by its manifest or the media type of its configuration.
    #[serde(default)]
    pub(super) artifact_type: Option<String>,
    /// Size of the manifest, bytes.
    pub(super) manifest_size: u64,
    /// What its maker says of it; kept for images that are about others.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

impl Image {
    pub(super) fn new(media_type: String, artifact_type: Option<String>, manifest_size: u64) -> Self {
        Self { form: FORM, media_type, artifact_type, manifest_size, annotations: BTreeMap::new() }
    }

    pub(super) fn of(record: &ImageRecord) -> Result<Self, StoreError> {
        parse(
            &record.doc,
            |document: &Self| document.form,
            || format!("image {} of repository {}", record.digest, record.repository),
        )
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }
}

fn parse<T: DeserializeOwned>(doc: &str, form: impl Fn(&T) -> u32, name: impl Fn() -> String) -> Result<T, StoreError> {
    let document: T = serde_json::from_str(doc)
        .map_err(|e| StoreError::Invalid(format!("the document of {} cannot be read: {e}", name())))?;
    match form(&document) {
        FORM => Ok(document),
        other => {
            Err(StoreError::Invalid(format!("the document of {} has version {other}, this Kiln knows {FORM}", name())))
        }
    }
}

fn write(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|e| StoreError::Invalid(e.to_string()))
}
