//! New material for keys.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// What a list of rotations has.
    IncludeKeyMaterial {
        /// All.
        AllKeyMaterial = "ALL_KEY_MATERIAL",
        /// All but the first.
        RotationsOnly = "ROTATIONS_ONLY",
    }
}

enumeration! {
    /// Whether a material encrypts.
    KeyMaterialState {
        /// It only decrypts.
        NonCurrent = "NON_CURRENT",
        /// It encrypts.
        Current = "CURRENT",
        /// It is imported, and not used yet.
        PendingRotation = "PENDING_ROTATION",
        /// It is not everywhere yet.
        PendingMultiRegionImportAndRotation = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
    }
}

enumeration! {
    /// Who rotated a key.
    RotationType {
        /// The service, by its plan.
        Automatic = "AUTOMATIC",
        /// The customer.
        OnDemand = "ON_DEMAND",
    }
}

/// Which key to rotate by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableKeyRotationRequest {
    /// The key.
    pub key_id: String,
    /// From one rotation to the next, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_period_in_days: Option<i32>,
}

/// Which key to rotate no longer by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableKeyRotationRequest {
    /// The key.
    pub key_id: String,
}

/// Whose rotation to describe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatusRequest {
    /// The key.
    pub key_id: String,
}

/// How a key is rotated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetKeyRotationStatusResponse {
    /// Whether it is rotated by itself.
    #[serde(default)]
    pub key_rotation_enabled: bool,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// From one rotation to the next, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_period_in_days: Option<i32>,
    /// When it is rotated next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_date: Option<Timestamp>,
    /// When the rotation began that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_demand_rotation_start_date: Option<Timestamp>,
}

/// Which key to rotate now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateKeyOnDemandRequest {
    /// The key.
    pub key_id: String,
}

/// The key that was rotated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateKeyOnDemandResponse {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

/// Whose rotations to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyRotationsRequest {
    /// The key.
    pub key_id: String,
    /// Whether the first material is listed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_key_material: Option<IncludeKeyMaterial>,
    /// Items of a page, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
}

/// A page of rotations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyRotationsResponse {
    /// Rotations, the oldest first.
    #[serde(default)]
    pub rotations: Vec<RotationsListEntry>,
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    /// Whether there is a page after.
    #[serde(default)]
    pub truncated: bool,
}

/// A rotation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotationsListEntry {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Which of its materials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_material_id: Option<String>,
    /// Whether it encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_material_state: Option<KeyMaterialState>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_date: Option<Timestamp>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_type: Option<RotationType>,
}
