//! Lists of secrets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::secret::Tag;
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// What is compared.
    FilterNameStringType {
        /// What it is for.
        Description = "description",
        /// Its name.
        Name = "name",
        /// Names of tags.
        TagKey = "tag-key",
        /// Values of tags.
        TagValue = "tag-value",
        /// The region that it is a copy from.
        PrimaryRegion = "primary-region",
        /// The service that manages it.
        OwningService = "owning-service",
        /// All of these.
        All = "all",
    }
}

enumeration! {
    /// Direction.
    SortOrderType {
        /// Upwards.
        Asc = "asc",
        /// Downwards.
        Desc = "desc",
    }
}

enumeration! {
    /// What the order is by.
    SortByType {
        /// When it was made.
        CreatedDate = "created-date",
        /// When its value was last read.
        LastAccessedDate = "last-accessed-date",
        /// When it was last changed.
        LastChangedDate = "last-changed-date",
        /// Its name.
        Name = "name",
    }
}

/// A condition of a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<FilterNameStringType>,
    /// Values, any of which will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// Which secrets to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretsRequest {
    /// Also those that wait for their deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_planned_deletion: Option<bool>,
    /// Items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Only those that fulfil all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<Filter>>,
    /// Direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// What the order is by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<SortByType>,
}

/// A page of secrets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretsResponse {
    /// Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_list: Option<Vec<SecretListEntry>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A secret in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretListEntry {
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The key that seals it: id, ARN or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_changed_date: Option<Timestamp>,
    /// The day on which its value was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_accessed_date: Option<Timestamp>,
    /// When its deletion was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_date: Option<Timestamp>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Labels, by version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_versions_to_stages: Option<BTreeMap<String, Vec<String>>>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
}
