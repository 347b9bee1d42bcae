//! Putting values of metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Dimension, StandardUnit};
use crate::Timestamp;

/// Values of metrics of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutMetricDataInput {
    /// The namespace.
    pub namespace: String,
    /// The values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_data: Option<Vec<MetricDatum>>,
    /// The values, with what they belong to. What that is, is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_metric_data: Option<Vec<EntityMetricData>>,
    /// Refuse values of what is not described well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_entity_validation: Option<bool>,
}

/// Values of metrics that belong to something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntityMetricData {
    /// What they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Entity>,
    /// The values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_data: Option<Vec<MetricDatum>>,
}

/// What values belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entity {
    /// What tells it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_attributes: Option<BTreeMap<String, String>>,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<BTreeMap<String, String>>,
}

/// They are stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PutMetricDataOutput {}

/// A value of a metric, or several, or what is known of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MetricDatum {
    /// The metric.
    pub metric_name: String,
    /// Its dimensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<Dimension>>,
    /// When it was so; now, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What is known of several values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic_values: Option<StatisticSet>,
    /// Values that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<f64>>,
    /// How often there was each of them; once, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Vec<f64>>,
    /// What the values are counted in; `None` unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<StandardUnit>,
    /// Seconds that one stored point stands for: 1 or 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_resolution: Option<i64>,
}

/// What is known of several values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StatisticSet {
    /// How many there are.
    pub sample_count: f64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
}
