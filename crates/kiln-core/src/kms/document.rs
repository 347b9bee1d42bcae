//! What is stored of a key beside its columns.

use std::collections::BTreeMap;

use kiln_model::{
    Timestamp,
    arn::Home,
    kms::{
        CustomerMasterKeySpec, EncryptionAlgorithmSpec, KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType,
        OriginType,
    },
};
use kiln_store::{
    StoreError, View,
    keys::Keys,
    metadata::{KmsKeyRecord, KmsKeyState},
};
use serde::{Deserialize, Serialize};

/// Form of the document.
const VERSION: u32 = 1;

/// Everything of a key that no query looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    version: u32,
    /// Made by the service for another service; its users cannot change it.
    pub(crate) managed: bool,
    pub(crate) description: String,
    pub(crate) policy: String,
    /// From one rotation to the next; none: it is not rotated by itself.
    pub(crate) rotation_days: Option<i32>,
    /// Versions that somebody asked for.
    pub(crate) on_demand: Vec<i64>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Document {
    pub(crate) fn new(description: String, policy: String) -> Self {
        Self {
            version: VERSION,
            managed: false,
            description,
            policy,
            rotation_days: None,
            on_demand: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    pub(crate) fn of(record: &KmsKeyRecord) -> Result<Self, StoreError> {
        let document: Self = serde_json::from_str(&record.doc)
            .map_err(|e| StoreError::Invalid(format!("the document of key {} cannot be read: {e}", record.id)))?;
        if document.version == VERSION {
            return Ok(document);
        }
        Err(StoreError::Invalid(format!(
            "the document of key {} has version {}, this Kiln knows {VERSION}",
            record.id, document.version
        )))
    }

    pub(crate) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|e| StoreError::Invalid(e.to_string()))
    }
}

/// AWS's name of a state.
pub(crate) fn key_state(state: KmsKeyState) -> KeyState {
    match state {
        KmsKeyState::Enabled => KeyState::Enabled,
        KmsKeyState::Disabled => KeyState::Disabled,
        KmsKeyState::PendingDeletion => KeyState::PendingDeletion,
    }
}

/// A key as its users see it.
pub(crate) fn describe(view: &View<'_>, home: &Home, record: &KmsKeyRecord) -> Result<KeyMetadata, StoreError> {
    let document = Document::of(record)?;
    let newest = view.key_versions(&record.material)?.last().map(|version| version.version);
    Ok(KeyMetadata {
        aws_account_id: Some(home.account.clone()),
        key_id: record.id.clone(),
        arn: Some(home.key_arn(&record.id)),
        creation_date: Some(Timestamp::from_millis(record.created_ms)),
        enabled: record.state == KmsKeyState::Enabled,
        description: Some(document.description),
        key_usage: Some(KeyUsageType::EncryptDecrypt),
        key_state: Some(key_state(record.state)),
        deletion_date: record.delete_ms.map(Timestamp::from_millis),
        origin: Some(OriginType::AwsKms),
        key_manager: Some(if document.managed { KeyManagerType::Aws } else { KeyManagerType::Customer }),
        customer_master_key_spec: Some(CustomerMasterKeySpec::SymmetricDefault),
        key_spec: Some(KeySpec::SymmetricDefault),
        encryption_algorithms: Some(vec![EncryptionAlgorithmSpec::SymmetricDefault]),
        multi_region: false,
        pending_deletion_window_in_days: None,
        current_key_material_id: newest.map(|version| Keys::material_id(&record.material, version)),
    })
}
