//! A build in all detail.

use serde::{Deserialize, Serialize};

use super::QueuePlace;
use crate::{
    BuildStatus, Counter, PhaseContext, PhaseType, ReportFormat, ReportKind, TestSummary, Timestamp,
    codebuild::PhaseStatus,
};

/// Which build to describe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeBuildInput {
    /// Id or ARN.
    pub id: String,
    /// Resource samples to show, 0 to 10000; 1000 when absent. When there are more, they are thinned evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_samples: Option<u32>,
    /// The first command to show, by its place in the order in which they began, from 1; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_command: Option<u32>,
    /// Most commands to show, 0 to 10000; 10000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_commands: Option<u32>,
}

/// A build in all detail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeBuildOutput {
    /// Build id.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Project.
    pub project_name: String,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_status: Option<BuildStatus>,
    /// The running phase; COMPLETED at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_phase: Option<PhaseType>,
    /// Its place in the queue, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlace>,
    /// Phases so far.
    #[serde(default)]
    pub phases: Vec<PhaseDetail>,
    /// Commands so far, in the order in which they began.
    #[serde(default)]
    pub commands: Vec<CommandDetail>,
    /// How many commands have begun so far; of more than 10,000 the first ones are known in detail.
    #[serde(default)]
    pub total_commands: u64,
    /// What the whole build used; absent until it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<BuildResources>,
    /// Resource use, oldest first.
    #[serde(default)]
    pub samples: Vec<ResourceSample>,
    /// Finished artifacts.
    #[serde(default)]
    pub artifacts: Vec<ArtifactDetail>,
    /// Reports that were read.
    #[serde(default)]
    pub reports: Vec<ReportDetail>,
    /// What the build's reader should know about its environment.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Lines of the log so far.
    pub total_lines: u64,
    /// Whether its file system is kept for `kiln debug`.
    pub kept_file_system: bool,
}

/// A phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseDetail {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_type: Option<PhaseType>,
    /// How it ended; absent while it runs, and for COMPLETED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_status: Option<PhaseStatus>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_in_milliseconds: Option<u64>,
    /// Why it ended so; absent when it went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<PhaseContext>,
}

/// A command of the buildspec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandDetail {
    /// Number in the build, from 1.
    pub number: u32,
    /// Phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_type: Option<PhaseType>,
    /// Whether it stands in the phase's `finally` list.
    pub finally: bool,
    /// Which try of the phase, from 1.
    pub attempt: u32,
    /// Text.
    pub text: String,
    /// Line in the buildspec, from 1, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec_line: Option<u32>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// How long it took; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_in_milliseconds: Option<u64>,
    /// Processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milliseconds: Option<u64>,
    /// Highest use of memory of the container during it; absent while it runs, and when an earlier command used more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak_bytes: Option<u64>,
    /// Bytes that the container read from disks during it; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes that it wrote to disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// Exit status; absent while it runs, after a signal, and when it was stopped with its build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Signal that ended it, e.g. `SIGKILL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Whether the kernel killed processes of it because the memory limit was reached.
    pub memory_limit_reached: bool,
    /// First line of its output in the log, from 1; absent when it printed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_line: Option<u64>,
    /// Last line of its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<u64>,
}

/// What a build used from its beginning to its end, as the kernel counted it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildResources {
    /// Processor time.
    pub cpu_milliseconds: u64,
    /// Highest use of memory.
    pub memory_peak_bytes: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub written_bytes: u64,
}

/// Resource use at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSample {
    /// When.
    pub time: Timestamp,
    /// Processor time so far.
    pub cpu_milliseconds: u64,
    /// Memory in use.
    pub memory_bytes: u64,
    /// Highest use of memory so far.
    pub memory_peak_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes read from disks so far.
    pub read_bytes: u64,
    /// Bytes written to disks so far.
    pub written_bytes: u64,
}

/// An artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactDetail {
    /// Name; absent for the primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    /// `arn:aws:s3:::<bucket>/<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// `ZIP` or `NONE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaging: Option<String>,
    /// Files in it.
    pub files: u64,
    /// Size of the ZIP file, or sum of the files.
    pub bytes: u64,
    /// Of the ZIP file, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportDetail {
    /// Name of the report group.
    pub name: String,
    /// Format.
    pub format: ReportFormat,
    /// Tests or coverage.
    pub kind: ReportKind,
    /// `SUCCEEDED` or `FAILED`; never the build's status.
    pub status: BuildStatus,
    /// Files that it was read from.
    pub files: u64,
    /// Counts of a test report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<TestSummary>,
    /// Lines of a coverage report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Counter>,
    /// Branches of a coverage report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Counter>,
}
