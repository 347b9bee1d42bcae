//! Shapes of the part of CloudWatch's API 2010-08-01 that is metrics (`api.md` 5).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. The front end has three wire formats for these shapes (`api.md` 5.4); all of them come here as JSON.

mod data;
mod put;
mod statistics;

pub use data::{
    GetMetricDataInput, GetMetricDataOutput, LabelOptions, MessageData, MetricDataQuery, MetricDataResult, MetricStat,
    ScanBy, StatusCode,
};
pub use put::{Entity, EntityMetricData, MetricDatum, PutMetricDataInput, PutMetricDataOutput, StatisticSet};
pub use statistics::{
    Datapoint, DimensionFilter, GetMetricStatisticsInput, GetMetricStatisticsOutput, ListMetricsInput,
    ListMetricsOutput, RecentlyActive, Statistic,
};

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// What the values of a metric are counted in.
    StandardUnit {
        /// Seconds.
        Seconds = "Seconds",
        /// Millionths of a second.
        Microseconds = "Microseconds",
        /// Thousandths of a second.
        Milliseconds = "Milliseconds",
        /// Bytes.
        Bytes = "Bytes",
        /// Thousands of bytes.
        Kilobytes = "Kilobytes",
        /// Millions of bytes.
        Megabytes = "Megabytes",
        /// 10⁹ bytes.
        Gigabytes = "Gigabytes",
        /// 10¹² bytes.
        Terabytes = "Terabytes",
        /// Bits.
        Bits = "Bits",
        /// Thousands of bits.
        Kilobits = "Kilobits",
        /// Millions of bits.
        Megabits = "Megabits",
        /// 10⁹ bits.
        Gigabits = "Gigabits",
        /// 10¹² bits.
        Terabits = "Terabits",
        /// Hundredths.
        Percent = "Percent",
        /// Things.
        Count = "Count",
        /// Bytes in a second.
        BytesPerSecond = "Bytes/Second",
        /// Thousands of bytes in a second.
        KilobytesPerSecond = "Kilobytes/Second",
        /// Millions of bytes in a second.
        MegabytesPerSecond = "Megabytes/Second",
        /// 10⁹ bytes in a second.
        GigabytesPerSecond = "Gigabytes/Second",
        /// 10¹² bytes in a second.
        TerabytesPerSecond = "Terabytes/Second",
        /// Bits in a second.
        BitsPerSecond = "Bits/Second",
        /// Thousands of bits in a second.
        KilobitsPerSecond = "Kilobits/Second",
        /// Millions of bits in a second.
        MegabitsPerSecond = "Megabits/Second",
        /// 10⁹ bits in a second.
        GigabitsPerSecond = "Gigabits/Second",
        /// 10¹² bits in a second.
        TerabitsPerSecond = "Terabits/Second",
        /// Things in a second.
        CountPerSecond = "Count/Second",
        /// Nothing in particular.
        None = "None",
    }
}

/// What a metric's values are of: a name and a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dimension {
    /// Name, e.g. `ProjectName`.
    pub name: String,
    /// Value, e.g. `demo`.
    pub value: String,
}

/// A metric.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metric {
    /// Its namespace, e.g. `AWS/CodeBuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_name: Option<String>,
    /// Its dimensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<Dimension>>,
}
