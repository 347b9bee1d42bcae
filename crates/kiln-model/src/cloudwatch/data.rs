//! Several metrics at once, and expressions of them.

use serde::{Deserialize, Serialize};

use super::{Metric, StandardUnit};
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// In which order points are.
    ScanBy {
        /// Newest first.
        TimestampDescending = "TimestampDescending",
        /// Oldest first.
        TimestampAscending = "TimestampAscending",
    }
}

enumeration! {
    /// Whether all points are there.
    StatusCode {
        /// All of them.
        Complete = "Complete",
        /// Kiln failed.
        InternalError = "InternalError",
        /// The next page has more.
        PartialData = "PartialData",
        /// The caller may not read them.
        Forbidden = "Forbidden",
    }
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricDataInput {
    /// Metrics and expressions.
    pub metric_data_queries: Vec<MetricDataQuery>,
    /// First point in time.
    pub start_time: Timestamp,
    /// End, which is not part of it.
    pub end_time: Timestamp,
    /// Where the page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// In which order points are; newest first, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_by: Option<ScanBy>,
    /// Points of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_datapoints: Option<i64>,
    /// How labels are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_options: Option<LabelOptions>,
}

/// How labels are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LabelOptions {
    /// Time zone of times in labels, `+0130`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// A metric or an expression.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataQuery {
    /// Name for expressions.
    pub id: String,
    /// A metric's statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
    /// An expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is in the answer; true, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_data: Option<bool>,
    /// Seconds that a point of an expression stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<i64>,
    /// The account that the metric is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// A metric's statistic.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricStat {
    /// The metric.
    pub metric: Metric,
    /// Seconds that a point stands for.
    pub period: i64,
    /// What to make of the values: `Sum`, `p99`.
    pub stat: String,
    /// Only values in that unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StandardUnit>,
}

/// A page of points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricDataOutput {
    /// What was found for each query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_data_results: Option<Vec<MetricDataResult>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// What is to be said of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageData>>,
}

/// What was found for a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDataResult {
    /// The query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When the periods of the points begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Vec<Timestamp>>,
    /// The points, in the same order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<f64>>,
    /// Whether all are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<StatusCode>,
    /// What is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageData>>,
}

/// Something to be said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageData {
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}
