//! What is stored of a log group beside its columns.

use std::collections::BTreeMap;

use kiln_model::logs::LogGroupClass;
use kiln_store::{StoreError, metadata::LogGroupRecord};
use serde::{Deserialize, Serialize};

/// Form of the documents.
const FORM: u32 = 1;

/// Everything of a group that no query looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    form: u32,
    pub(super) class: LogGroupClass,
    /// Days after which events are deleted; for ever without.
    pub(super) retention_days: Option<i32>,
    pub(super) is_protected: bool,
    pub(super) tags: BTreeMap<String, String>,
}

impl Document {
    pub(super) fn new() -> Self {
        Self {
            form: FORM,
            class: LogGroupClass::Standard,
            retention_days: None,
            is_protected: false,
            tags: BTreeMap::new(),
        }
    }

    pub(super) fn of(record: &LogGroupRecord) -> Result<Self, StoreError> {
        let document: Self = serde_json::from_str(&record.doc).map_err(|e| {
            StoreError::Invalid(format!("the document of log group {} cannot be read: {e}", record.name))
        })?;
        match document.form {
            FORM => Ok(document),
            other => Err(StoreError::Invalid(format!(
                "the document of log group {} has version {other}, this Kiln knows {FORM}",
                record.name
            ))),
        }
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|e| StoreError::Invalid(e.to_string()))
    }
}
