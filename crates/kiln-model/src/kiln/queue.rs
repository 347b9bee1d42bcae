//! What waits and why.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, codebuild::ComputeType};

/// Which part of the queue to show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeQueueInput {
    /// Waiting builds to show, 1 to 1000; 100 when absent. The counts are of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
}

/// What runs, what waits, what there is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeQueueOutput {
    /// What the machine can do, and what of it is taken.
    pub capacity: Capacity,
    /// Builds that run, oldest first.
    #[serde(default)]
    pub running: Vec<RunningBuild>,
    /// Builds that wait, in the order in which they will start.
    #[serde(default)]
    pub queued: Vec<QueuedBuild>,
}

/// Room for builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Builds that may run at the same time.
    pub max_builds: u32,
    /// Builds that run.
    pub running_builds: u32,
    /// Builds that wait.
    pub queued_builds: u64,
    /// Memory that builds may reserve.
    pub memory_bytes: u64,
    /// Memory that the running builds reserve.
    pub reserved_memory_bytes: u64,
}

/// A build that runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningBuild {
    /// Build id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Project.
    pub project_name: String,
    /// Compute type.
    pub compute_type: ComputeType,
    /// Memory that it reserves.
    pub memory_bytes: u64,
    /// When it left the queue.
    pub start_time: Timestamp,
}

/// A build that waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuedBuild {
    /// Build id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Project.
    pub project_name: String,
    /// Compute type.
    pub compute_type: ComputeType,
    /// When it was accepted.
    pub submitted_time: Timestamp,
    /// Its place.
    pub queue: QueuePlace,
}

/// A build's place in the queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuePlace {
    /// From 1, which starts next.
    pub position: u64,
    /// Memory that it needs.
    pub memory_bytes: u64,
    /// Why it waits, for people: `waiting for 4 GiB; 2 builds ahead`.
    pub reason: String,
}
