//! Tags of rules.

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResourceRequest {
    /// ARN of a rule.
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// They are set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TagResourceResponse {}

/// Tags to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResourceRequest {
    /// ARN of a rule.
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
    /// Their names.
    pub tag_keys: Vec<String>,
}

/// They are gone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UntagResourceResponse {}

/// Whose tags to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceRequest {
    /// ARN of a rule.
    #[serde(rename = "ResourceARN")]
    pub resource_arn: String,
}

/// Tags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceResponse {
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
}
