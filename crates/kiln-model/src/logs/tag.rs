//! Tags of log groups, in the newer and in the older form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Input of `TagResource`: sets tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagResourceRequest {
    /// ARN of the log group.
    pub resource_arn: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// Input of `UntagResource`: removes tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntagResourceRequest {
    /// ARN of the log group.
    pub resource_arn: String,
    /// Names of tags.
    pub tag_keys: Vec<String>,
}

/// Input of `ListTagsForResource`: lists tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsForResourceRequest {
    /// ARN of the log group.
    pub resource_arn: String,
}

/// Answer of `ListTagsForResource`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsForResourceResponse {
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

/// Input of `TagLogGroup`: sets tags, in the older form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagLogGroupRequest {
    /// Its name.
    pub log_group_name: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// Input of `UntagLogGroup`: removes tags, in the older form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntagLogGroupRequest {
    /// Its name.
    pub log_group_name: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// Input of `ListTagsLogGroup`: lists tags, in the older form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsLogGroupRequest {
    /// Its name.
    pub log_group_name: String,
}

/// Answer of `ListTagsLogGroup`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListTagsLogGroupResponse {
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}
