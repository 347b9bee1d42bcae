//! What clients look for beside a log group: index policies and filters, of which there are none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

/// Input of `DescribeIndexPolicies`: lists index policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeIndexPoliciesRequest {
    /// Log groups: names or ARNs.
    pub log_group_identifiers: Vec<String>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Answer of `DescribeIndexPolicies`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeIndexPoliciesResponse {
    /// Policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_policies: Option<Vec<IndexPolicy>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A policy that makes indexes of fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexPolicy {
    /// Name or ARN of the log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_identifier: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<i64>,
    /// The policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_document: Option<String>,
    /// Name of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_name: Option<String>,
    /// Whether it is of the account or of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IndexSource>,
}

enumeration! {
    /// Where an index policy is from.
    IndexSource {
        /// `ACCOUNT`.
        Account = "ACCOUNT",
        /// `LOG_GROUP`.
        LogGroup = "LOG_GROUP",
    }
}

/// Input of `DescribeMetricFilters`: lists metric filters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeMetricFiltersRequest {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    /// Only filters whose names begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_name_prefix: Option<String>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Most items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// Only filters that count this metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// Only filters that count metrics of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_namespace: Option<String>,
}

/// Answer of `DescribeMetricFilters`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeMetricFiltersResponse {
    /// Filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_filters: Option<Vec<MetricFilter>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A filter that counts events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricFilter {
    /// Name of the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_name: Option<String>,
    /// Which events: a filter pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_pattern: Option<String>,
    /// What it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_transformations: Option<Vec<MetricTransformation>>,
    /// When it was made, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<i64>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    /// Whether it sees transformed events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_on_transformed_logs: Option<bool>,
    /// Which sources it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_selection_criteria: Option<String>,
    /// Fields that become dimensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit_system_field_dimensions: Option<Vec<String>>,
}

/// What a metric filter counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricTransformation {
    /// Only filters that count this metric.
    pub metric_name: String,
    /// Only filters that count metrics of this namespace.
    pub metric_namespace: String,
    /// The value that is counted.
    pub metric_value: String,
    /// The value where nothing matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<f64>,
    /// Dimensions of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<BTreeMap<String, String>>,
    /// Unit of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StandardUnit>,
}

enumeration! {
    /// Units of metrics.
    StandardUnit {
        /// `Seconds`.
        Seconds = "Seconds",
        /// `Microseconds`.
        Microseconds = "Microseconds",
        /// `Milliseconds`.
        Milliseconds = "Milliseconds",
        /// `Bytes`.
        Bytes = "Bytes",
        /// `Kilobytes`.
        Kilobytes = "Kilobytes",
        /// `Megabytes`.
        Megabytes = "Megabytes",
        /// `Gigabytes`.
        Gigabytes = "Gigabytes",
        /// `Terabytes`.
        Terabytes = "Terabytes",
        /// `Bits`.
        Bits = "Bits",
        /// `Kilobits`.
        Kilobits = "Kilobits",
        /// `Megabits`.
        Megabits = "Megabits",
        /// `Gigabits`.
        Gigabits = "Gigabits",
        /// `Terabits`.
        Terabits = "Terabits",
        /// `Percent`.
        Percent = "Percent",
        /// `Count`.
        Count = "Count",
        /// `Bytes/Second`.
        BytesPerSecond = "Bytes/Second",
        /// `Kilobytes/Second`.
        KilobytesPerSecond = "Kilobytes/Second",
        /// `Megabytes/Second`.
        MegabytesPerSecond = "Megabytes/Second",
        /// `Gigabytes/Second`.
        GigabytesPerSecond = "Gigabytes/Second",
        /// `Terabytes/Second`.
        TerabytesPerSecond = "Terabytes/Second",
        /// `Bits/Second`.
        BitsPerSecond = "Bits/Second",
        /// `Kilobits/Second`.
        KilobitsPerSecond = "Kilobits/Second",
        /// `Megabits/Second`.
        MegabitsPerSecond = "Megabits/Second",
        /// `Gigabits/Second`.
        GigabitsPerSecond = "Gigabits/Second",
        /// `Terabits/Second`.
        TerabitsPerSecond = "Terabits/Second",
        /// `Count/Second`.
        CountPerSecond = "Count/Second",
        /// `None`.
        None = "None",
    }
}

/// Input of `DescribeSubscriptionFilters`: lists subscription filters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeSubscriptionFiltersRequest {
    /// Its name.
    pub log_group_name: String,
    /// Only filters whose names begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_name_prefix: Option<String>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Most items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
}

/// Answer of `DescribeSubscriptionFilters`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeSubscriptionFiltersResponse {
    /// Filters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_filters: Option<Vec<SubscriptionFilter>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A filter that sends events on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionFilter {
    /// Name of the filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_name: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    /// Which events: a filter pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_pattern: Option<String>,
    /// Where events go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_arn: Option<String>,
    /// The role that sends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// How they are distributed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Whether it sees transformed events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_on_transformed_logs: Option<bool>,
    /// When it was made, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<i64>,
    /// Which sources it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_selection_criteria: Option<String>,
    /// Fields that are sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit_system_fields: Option<Vec<String>>,
}

enumeration! {
    /// How events are distributed.
    Distribution {
        /// `Random`.
        Random = "Random",
        /// `ByLogStream`.
        ByLogStream = "ByLogStream",
    }
}
