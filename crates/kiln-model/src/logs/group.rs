//! Log groups: what a group is, making, deleting and listing them, how long their events are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

/// Input of `CreateLogGroup`: makes a log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateLogGroupRequest {
    /// Its name.
    pub log_group_name: String,
    /// ARN of the key that seals it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Class of storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_class: Option<LogGroupClass>,
    /// Whether it is protected from deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection_enabled: Option<bool>,
}

enumeration! {
    /// Classes of storage of log groups.
    LogGroupClass {
        /// `STANDARD`.
        Standard = "STANDARD",
        /// `INFREQUENT_ACCESS`.
        InfrequentAccess = "INFREQUENT_ACCESS",
        /// `DELIVERY`.
        Delivery = "DELIVERY",
        /// `ESSENTIALS`.
        Essentials = "ESSENTIALS",
    }
}

/// Input of `DeleteLogGroup`: deletes a log group with all its streams and events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteLogGroupRequest {
    /// Its name.
    pub log_group_name: String,
}

/// Input of `DescribeLogGroups`: lists log groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeLogGroupsRequest {
    /// Accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_identifiers: Option<Vec<String>>,
    /// Only names that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name_prefix: Option<String>,
    /// Only names that contain this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name_pattern: Option<String>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Most items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// Those of linked accounts as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_linked_accounts: Option<bool>,
    /// Class of storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_class: Option<LogGroupClass>,
    /// Log groups: names or ARNs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_identifiers: Option<Vec<String>>,
}

/// Answer of `DescribeLogGroups`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeLogGroupsResponse {
    /// Log groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_groups: Option<Vec<LogGroup>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogGroup {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    /// When it was made, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<i64>,
    /// Days after which events are deleted; for ever without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_in_days: Option<i32>,
    /// Metric filters on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_filter_count: Option<i32>,
    /// ARN, which ends with `:*` for a log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Bytes that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<i64>,
    /// ARN of the key that seals it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// State of its data protection policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_protection_status: Option<DataProtectionStatus>,
    /// What it has of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited_properties: Option<Vec<InheritedProperty>>,
    /// Class of storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_class: Option<LogGroupClass>,
    /// ARN without `:*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_arn: Option<String>,
    /// Whether it is protected from deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_protection_enabled: Option<bool>,
    /// Whether events may be put with a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_authentication_enabled: Option<bool>,
    /// Name of the policy that its retention is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_policy_name: Option<String>,
}

enumeration! {
    /// States of data protection policies.
    DataProtectionStatus {
        /// `ACTIVATED`.
        Activated = "ACTIVATED",
        /// `DELETED`.
        Deleted = "DELETED",
        /// `ARCHIVED`.
        Archived = "ARCHIVED",
        /// `DISABLED`.
        Disabled = "DISABLED",
    }
}

enumeration! {
    /// What a log group may have of its account.
    InheritedProperty {
        /// `ACCOUNT_DATA_PROTECTION`.
        AccountDataProtection = "ACCOUNT_DATA_PROTECTION",
    }
}

/// Input of `PutLogGroupDeletionProtection`: protects a log group from deletion, or not any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutLogGroupDeletionProtectionRequest {
    /// Name or ARN of the log group.
    pub log_group_identifier: String,
    /// Whether it is protected from deletion.
    pub deletion_protection_enabled: bool,
}

/// Input of `PutRetentionPolicy`: says how long events are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutRetentionPolicyRequest {
    /// Its name.
    pub log_group_name: String,
    /// Days after which events are deleted; for ever without.
    pub retention_in_days: i32,
}

/// Input of `DeleteRetentionPolicy`: keeps events for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRetentionPolicyRequest {
    /// Its name.
    pub log_group_name: String,
}
