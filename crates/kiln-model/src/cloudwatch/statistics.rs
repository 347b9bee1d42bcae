//! Statistics of one metric, and lists of metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Dimension, Metric, StandardUnit};
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// What is made of the values of a period.
    Statistic {
        /// How many there are.
        SampleCount = "SampleCount",
        /// Their mean.
        Average = "Average",
        /// Their sum.
        Sum = "Sum",
        /// The smallest.
        Minimum = "Minimum",
        /// The largest.
        Maximum = "Maximum",
    }
}

enumeration! {
    /// Which metrics a list has.
    RecentlyActive {
        /// Those with a point in the last three hours.
        ThreeHours = "PT3H",
    }
}

/// Which metric's values to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricStatisticsInput {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub metric_name: String,
    /// Its dimensions, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<Dimension>>,
    /// First point in time.
    pub start_time: Timestamp,
    /// End, which is not part of it.
    pub end_time: Timestamp,
    /// Seconds that a point of the answer stands for.
    pub period: i64,
    /// What to make of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Vec<Statistic>>,
    /// Percentiles and the like: `p99`, `tm90`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_statistics: Option<Vec<String>>,
    /// Only values in that unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StandardUnit>,
}

/// Points, in no order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetMetricStatisticsOutput {
    /// Name of the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datapoints: Option<Vec<Datapoint>>,
}

/// What is known of a period.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Datapoint {
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// How many values there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<f64>,
    /// Their mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// Their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<f64>,
    /// The smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// What they are counted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StandardUnit>,
    /// Percentiles and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_statistics: Option<BTreeMap<String, f64>>,
}

/// Which metrics to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListMetricsInput {
    /// Of that namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// That have all of these dimensions, perhaps with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<DimensionFilter>>,
    /// Where the page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// That had a point of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recently_active: Option<RecentlyActive>,
    /// Those of other accounts as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_linked_accounts: Option<bool>,
    /// Those of another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owning_account: Option<String>,
}

/// A dimension that metrics of a list have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DimensionFilter {
    /// Its name.
    pub name: String,
    /// Its value; any, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A page of metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListMetricsOutput {
    /// The metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<Metric>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// The accounts that they are of, one for each, when those of others were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owning_accounts: Option<Vec<String>>,
}
