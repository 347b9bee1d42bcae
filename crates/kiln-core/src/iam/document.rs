//! What is stored of users, groups, roles and managed policies beside their columns.

use std::collections::BTreeMap;

use kiln_model::iam::Tag;
use kiln_store::{StoreError, metadata::IamRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The form that this program writes; later ones are refused.
const VERSION: u32 = 1;

/// Of a user, a group or a role.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Identity {
    version: u32,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    /// Inline policies: texts by name.
    #[serde(default)]
    pub(super) inline: BTreeMap<String, String>,
    /// Of a role.
    #[serde(default)]
    pub(super) role: Option<Role>,
}

/// What only roles have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Role {
    /// Who may assume it, as it was written.
    pub(super) trust: String,
    /// Ids of the users and roles that it names, by ARN: another one that gets the name later is not meant.
    pub(super) bound: BTreeMap<String, String>,
    pub(super) description: Option<String>,
    pub(super) max_session_seconds: i64,
}

/// Of a managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Managed {
    version: u32,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    pub(super) description: Option<String>,
    pub(super) updated_ms: i64,
    /// The version that counts.
    pub(super) default: u32,
    /// The highest number that was ever given.
    pub(super) last: u32,
    /// By number.
    pub(super) versions: BTreeMap<u32, Version>,
}

/// A version of a managed policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) created_ms: i64,
    pub(super) document: String,
}

impl Identity {
    pub(super) fn new(tags: Vec<Tag>) -> Self {
        Self { version: VERSION, tags, ..Self::default() }
    }

    pub(super) fn parse(record: &IamRecord) -> Result<Self, StoreError> {
        read(record, |document: &Self| document.version)
    }
}

impl Managed {
    pub(super) fn new(document: String, description: Option<String>, tags: Vec<Tag>, now_ms: i64) -> Self {
        let first = Version { created_ms: now_ms, document };
        let versions = BTreeMap::from([(1, first)]);
        Self { version: VERSION, tags, description, updated_ms: now_ms, default: 1, last: 1, versions }
    }

    pub(super) fn parse(record: &IamRecord) -> Result<Self, StoreError> {
        read(record, |document: &Self| document.version)
    }

    /// The text that counts.
    pub(super) fn text(&self) -> Option<&str> {
        self.versions.get(&self.default).map(|version| version.document.as_str())
    }
}

fn read<T: DeserializeOwned>(record: &IamRecord, version: impl Fn(&T) -> u32) -> Result<T, StoreError> {
    let what = || format!("the record of {} {}", record.kind.name(), record.name);
    let document: T = serde_json::from_str(&record.doc)
        .map_err(|error| StoreError::Invalid(format!("{} cannot be read: {error}", what())))?;
    match version(&document) {
        0..=VERSION => Ok(document),
        later => Err(StoreError::Invalid(format!("{} has version {later}, which a later Kiln wrote", what()))),
    }
}

/// Puts a document into its record.
pub(super) fn fill(record: &mut IamRecord, document: &impl Serialize) -> Result<(), StoreError> {
    record.doc = serde_json::to_string(document)
        .map_err(|error| StoreError::Invalid(format!("{} cannot be written: {error}", record.name)))?;
    Ok(())
}
