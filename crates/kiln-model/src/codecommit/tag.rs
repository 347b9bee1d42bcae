//! Tags of repositories.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of which repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsForResourceInput {
    /// ARN of the repository.
    pub resource_arn: String,
    /// Where the page begins or the next one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Its tags.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsForResourceOutput {
    /// Tags: names and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Where the page begins or the next one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Tags to set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagResourceInput {
    /// ARN of the repository.
    pub resource_arn: String,
    /// Tags: names and values.
    pub tags: BTreeMap<String, String>,
}

/// Tags to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntagResourceInput {
    /// ARN of the repository.
    pub resource_arn: String,
    /// Names of tags.
    pub tag_keys: Vec<String>,
}
