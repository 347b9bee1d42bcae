//! What is stored of a secret beside its columns.

use std::collections::BTreeMap;

use kiln_store::{
    StoreError,
    metadata::{SecretRecord, SecretVersionRecord},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Form of the documents.
const FORM: u32 = 1;

/// Everything of a secret that no query looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    form: u32,
    pub(super) description: Option<String>,
    /// The key as its caller named it; `None`: the service's own.
    pub(super) key: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// Which version has a label.
    pub(super) stages: BTreeMap<String, String>,
    pub(super) policy: Option<String>,
    pub(super) changed_ms: i64,
    /// When its deletion was asked for, while that waits.
    pub(super) deleted_ms: Option<i64>,
    /// The day on which a value was last read.
    pub(super) accessed_ms: Option<i64>,
}

impl Document {
    pub(super) fn new(now: i64) -> Self {
        Self {
            form: FORM,
            description: None,
            key: None,
            tags: BTreeMap::new(),
            stages: BTreeMap::new(),
            policy: None,
            changed_ms: now,
            deleted_ms: None,
            accessed_ms: None,
        }
    }

    pub(super) fn of(record: &SecretRecord) -> Result<Self, StoreError> {
        parse(&record.doc, |document: &Self| document.form, &record.name)
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }

    /// Labels of a version, in order.
    pub(super) fn stages_of(&self, version: &str) -> Vec<String> {
        self.stages.iter().filter(|(_, on)| *on == version).map(|(stage, _)| stage.clone()).collect()
    }

    /// Labels by version.
    pub(super) fn by_version(&self) -> BTreeMap<String, Vec<String>> {
        let mut versions = BTreeMap::<String, Vec<String>>::new();
        for (stage, version) in &self.stages {
            versions.entry(version.clone()).or_default().push(stage.clone());
        }
        versions
    }
}

/// Everything of a version that no query looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VersionDocument {
    form: u32,
    /// The value is bytes, not text.
    pub(super) is_binary: bool,
    /// ARN of the key that sealed it; `None`: the service's own.
    pub(super) key: Option<String>,
    /// The day on which it was last read.
    pub(super) accessed_ms: Option<i64>,
}

impl VersionDocument {
    pub(super) fn new(is_binary: bool, key: Option<String>) -> Self {
        Self { form: FORM, is_binary, key, accessed_ms: None }
    }

    pub(super) fn of(record: &SecretVersionRecord) -> Result<Self, StoreError> {
        parse(&record.doc, |document: &Self| document.form, &record.secret)
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }
}

fn parse<T: DeserializeOwned>(doc: &str, form: impl Fn(&T) -> u32, name: &str) -> Result<T, StoreError> {
    let document: T = serde_json::from_str(doc)
        .map_err(|e| StoreError::Invalid(format!("the document of secret {name} cannot be read: {e}")))?;
    match form(&document) {
        FORM => Ok(document),
        other => Err(StoreError::Invalid(format!(
            "the document of secret {name} has version {other}, this Kiln knows {FORM}"
        ))),
    }
}

fn write(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|e| StoreError::Invalid(e.to_string()))
}
