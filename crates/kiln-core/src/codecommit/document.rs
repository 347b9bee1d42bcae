//! What is stored of a git repository beside its columns.

use std::collections::BTreeMap;

use kiln_model::codecommit::RepositoryTrigger;
use kiln_store::{StoreError, metadata::GitRepositoryRecord};
use serde::{Deserialize, Serialize};

/// Form of the documents.
const FORM: u32 = 1;

/// A git repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Repository {
    form: u32,
    #[serde(default)]
    pub(super) description: Option<String>,
    /// The branch that is checked out by a clone; none before the first push.
    #[serde(default)]
    pub(super) default_branch: Option<String>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) triggers: Vec<RepositoryTrigger>,
    /// Id of this set of triggers.
    #[serde(default)]
    pub(super) configuration: Option<String>,
}

impl Repository {
    pub(super) fn new() -> Self {
        Self {
            form: FORM,
            description: None,
            default_branch: None,
            tags: BTreeMap::new(),
            triggers: Vec::new(),
            configuration: None,
        }
    }

    pub(super) fn of(record: &GitRepositoryRecord) -> Result<Self, StoreError> {
        let name = || format!("git repository {}", record.name);
        let document: Self = serde_json::from_str(&record.doc)
            .map_err(|e| StoreError::Invalid(format!("the document of {} cannot be read: {e}", name())))?;
        match document.form {
            FORM => Ok(document),
            other => Err(StoreError::Invalid(format!(
                "the document of {} has version {other}, this Kiln knows {FORM}",
                name()
            ))),
        }
    }

    pub(super) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|e| StoreError::Invalid(e.to_string()))
    }
}
