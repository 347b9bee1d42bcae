//! Resource policies, and what other accounts share.

use serde::{Deserialize, Serialize};

use super::SortOrderType;
use crate::enumeration::enumeration;

enumeration! {
    /// Order of shared resources.
    SharedResourceSortByType {
        /// By ARN.
        Arn = "ARN",
        /// By the time of the last change.
        ModifiedTime = "MODIFIED_TIME",
    }
}

/// A policy to set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutResourcePolicyInput {
    /// The policy, a JSON document.
    pub policy: String,
    /// Of which project or report group.
    pub resource_arn: String,
}

/// Whose policy was set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutResourcePolicyOutput {
    /// Project or report group.
    pub resource_arn: String,
}

/// Whose policy to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetResourcePolicyInput {
    /// Project or report group.
    pub resource_arn: String,
}

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetResourcePolicyOutput {
    /// The policy, a JSON document.
    pub policy: String,
}

/// Whose policy to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteResourcePolicyInput {
    /// Project or report group.
    pub resource_arn: String,
}

/// Nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteResourcePolicyOutput {}

/// Which shared projects to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSharedProjectsInput {
    /// Order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<SharedResourceSortByType>,
    /// Direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// Items of a page, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A page of shared projects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSharedProjectsOutput {
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// ARNs.
    #[serde(default)]
    pub projects: Vec<String>,
}

/// Which shared report groups to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSharedReportGroupsInput {
    /// Direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// Order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<SharedResourceSortByType>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Items of a page, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
}

/// A page of shared report groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSharedReportGroupsOutput {
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// ARNs.
    #[serde(default)]
    pub report_groups: Vec<String>,
}
