//! Tags.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kinds of things that have tags.
    ResourceTypeForTagging {
        /// A document.
        Document = "Document",
        /// A machine.
        ManagedInstance = "ManagedInstance",
        /// A maintenance window.
        MaintenanceWindow = "MaintenanceWindow",
        /// A parameter: the only kind that is here.
        Parameter = "Parameter",
        /// A patch baseline.
        PatchBaseline = "PatchBaseline",
        /// An item of operations.
        OpsItem = "OpsItem",
        /// Metadata of operations.
        OpsMetadata = "OpsMetadata",
        /// An automation.
        Automation = "Automation",
        /// An association.
        Association = "Association",
        /// A connector.
        CloudConnector = "CloudConnector",
    }
}

/// A tag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
}

/// Tags to set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AddTagsToResourceRequest {
    /// Kind of thing.
    pub resource_type: ResourceTypeForTagging,
    /// The thing: the name of a parameter.
    pub resource_id: String,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// They are set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AddTagsToResourceResult {}

/// Tags to remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveTagsFromResourceRequest {
    /// Kind of thing.
    pub resource_type: ResourceTypeForTagging,
    /// The thing: the name of a parameter.
    pub resource_id: String,
    /// Names of tags.
    pub tag_keys: Vec<String>,
}

/// They are gone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoveTagsFromResourceResult {}

/// Whose tags to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceRequest {
    /// Kind of thing.
    pub resource_type: ResourceTypeForTagging,
    /// The thing: the name of a parameter.
    pub resource_id: String,
}

/// Tags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceResult {
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_list: Option<Vec<Tag>>,
}
