//! What is stored of a parameter beside its columns.

use std::collections::BTreeMap;

use kiln_model::ssm::{ParameterTier, ParameterType};
use kiln_store::{
    StoreError,
    metadata::{ParameterRecord, ParameterVersionRecord},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Form of the documents.
const FORM: u32 = 1;

/// What all versions have in common.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    form: u32,
    pub(super) tags: BTreeMap<String, String>,
    /// Which version has a label.
    pub(super) labels: BTreeMap<String, i64>,
}

impl Document {
    pub(super) fn new() -> Self {
        Self { form: FORM, ..Self::default() }
    }

    pub(super) fn of(record: &ParameterRecord) -> Result<Self, StoreError> {
        parse(&record.doc, |document: &Self| document.form, &record.name)
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }

    /// Labels of a version, in order.
    pub(super) fn labels_of(&self, version: i64) -> Vec<String> {
        self.labels.iter().filter(|(_, on)| **on == version).map(|(label, _)| label.clone()).collect()
    }
}

/// Everything of a version that no query looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VersionDocument {
    form: u32,
    pub(super) kind: ParameterType,
    pub(super) tier: ParameterTier,
    pub(super) description: Option<String>,
    pub(super) allowed_pattern: Option<String>,
    pub(super) data_type: String,
    /// Of a `SecureString`: the key as its caller named it.
    pub(super) key: Option<String>,
    /// ARN of who made it.
    pub(super) user: String,
}

impl VersionDocument {
    pub(super) fn new(kind: ParameterType, tier: ParameterTier, user: String) -> Self {
        Self {
            form: FORM,
            kind,
            tier,
            description: None,
            allowed_pattern: None,
            data_type: "text".to_owned(),
            key: None,
            user,
        }
    }

    pub(super) fn of(record: &ParameterVersionRecord) -> Result<Self, StoreError> {
        parse(&record.doc, |document: &Self| document.form, &record.name)
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        write(self)
    }
}

fn parse<T: DeserializeOwned>(doc: &str, form: impl Fn(&T) -> u32, name: &str) -> Result<T, StoreError> {
    let document: T = serde_json::from_str(doc)
        .map_err(|e| StoreError::Invalid(format!("the document of parameter {name} cannot be read: {e}")))?;
    match form(&document) {
        FORM => Ok(document),
        other => Err(StoreError::Invalid(format!(
            "the document of parameter {name} has version {other}, this Kiln knows {FORM}"
        ))),
    }
}

fn write(document: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(document).map_err(|e| StoreError::Invalid(e.to_string()))
}
