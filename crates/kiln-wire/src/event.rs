//! What happens in a build, as the journal's event records say it and as `kiln run --json` prints it.
//!
//! The JSON form is stable: fields are added, never renamed or removed (`docs/events.md`).

use std::collections::BTreeMap;

use kiln_model::{
    BuildStatus, ComputeType, Counter, PhaseContext, PhaseType, ReportFormat, ReportKind, TestCase, TestSummary,
};
use serde::{Deserialize, Serialize};

use crate::agent::{CommandExit, Holder};

/// One event. Its time stands beside it (journal record, `time` field of the JSON stream).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The runner took the job; always the first event.
    BuildStarted(BuildStarted),
    /// Something that the person who reads the log should know about the environment.
    Notice {
        /// One sentence.
        text: String,
    },
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: PhaseType,
    },
    /// A phase ended.
    PhaseEnded {
        /// Which.
        phase: PhaseType,
        /// How.
        status: BuildStatus,
        /// Why; absent where AWS has none (a stopped phase).
        context: Option<PhaseContext>,
        /// Duration in milliseconds, by the monotonic clock.
        duration_ms: u64,
    },
    /// A command begins.
    CommandStarted(CommandStarted),
    /// A command ended.
    CommandEnded(CommandEnded),
    /// Resource use, about once a second.
    Sample(Sample),
    /// A git source is in place.
    SourceFetched {
        /// `None`: the primary source.
        identifier: Option<String>,
        /// The commit that is checked out.
        commit: String,
    },
    /// Cache restored, saved, missed.
    Cache {
        /// What happened.
        action: CacheAction,
        /// Files concerned.
        files: u64,
        /// Bytes concerned.
        bytes: u64,
        /// Bytes that were newly written to the store (save).
        new_bytes: u64,
        /// Detail for people, e.g. the key that matched.
        detail: String,
    },
    /// An artifact is complete at its place.
    Artifact(Artifact),
    /// A report was read.
    Report(Report),
    /// Values of `exported-variables`.
    Exported {
        /// Names and values.
        variables: BTreeMap<String, String>,
    },
    /// Output was left out because the log reached its limit.
    Truncated {
        /// Bytes left out.
        bytes: u64,
        /// Complete lines left out.
        lines: u64,
    },
    /// The build is over; always the last event.
    BuildEnded(BuildEnded),
}

/// Start of a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BuildStarted {
    /// Build id.
    pub id: String,
    /// Image.
    pub image: String,
    /// Engine: `native`, `oci`.
    pub engine: String,
    /// Compute type.
    pub compute: ComputeType,
    /// Memory limit in bytes; `None` when not enforced.
    pub memory_limit_bytes: Option<u64>,
    /// `private`, `host` or `none`.
    pub network: String,
    /// Version of Kiln.
    pub kiln: String,
    /// The build whose file system this one goes on with (`--resume`).
    pub resumes: Option<String>,
}

/// A command begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandStarted {
    /// Number of the command in this build, from 1; output records carry it.
    pub command: u32,
    /// Phase.
    pub phase: PhaseType,
    /// `commands` or `finally`.
    pub section: Section,
    /// Index in its list, from 0.
    pub index: u32,
    /// Line in the buildspec, from 1; 0 when unknown.
    pub line: u32,
    /// Text.
    pub text: String,
    /// Which try of the phase, from 1 (`on-failure: RETRY`).
    pub attempt: u32,
}

/// The list that a command stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// `commands`.
    Commands,
    /// `finally`.
    Finally,
    /// What the image does for `runtime-versions`: commands of its runtimes file, not of the buildspec.
    Runtimes,
}

/// A command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandEnded {
    /// Number.
    pub command: u32,
    /// How.
    pub exit: CommandExit,
    /// Duration in milliseconds, by the monotonic clock.
    pub duration_ms: u64,
    /// CPU time in milliseconds.
    pub cpu_ms: u64,
    /// Highest use of memory of the container during the command, bytes; `None` when it is not known: the kernel keeps
    /// one peak for the whole build, and an earlier command used more.
    #[serde(default)]
    pub memory_peak_bytes: Option<u64>,
    /// Bytes that the container read from disks during the command.
    #[serde(default)]
    pub read_bytes: u64,
    /// Bytes that it wrote to disks.
    #[serde(default)]
    pub written_bytes: u64,
    /// Processes that the kernel killed during the command because the memory limit was reached.
    pub oom_kills: u64,
    /// Forks that the process limit refused during the command.
    pub pids_refused: u64,
    /// Processes that still hold its output.
    pub holders: Vec<Holder>,
}

/// Resource use at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// CPU time so far, nanoseconds.
    pub cpu_ns: u64,
    /// Memory in use, bytes.
    pub memory_bytes: u64,
    /// Highest memory use so far, bytes.
    pub memory_peak_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Bytes read from disks so far.
    pub read_bytes: u64,
    /// Bytes written to disks so far.
    pub written_bytes: u64,
}

/// What happened to the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheAction {
    /// Files were put into the container.
    Restored,
    /// There was nothing to restore.
    Missed,
    /// Saved.
    Saved,
    /// Nothing changed, nothing written; or the key exists already.
    Unchanged,
    /// Could not be restored or saved; never fails the build.
    Problem,
}

/// A finished artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// `None` for the primary artifact.
    pub identifier: Option<String>,
    /// The buildspec's `artifacts.name`, evaluated, where a project lets it name the artifact
    /// (`overrideArtifactName`). What the build made of it: any text of 1 to 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The buildspec's `artifacts.s3-prefix`, evaluated, for a build of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where it is on the host.
    pub path: String,
    /// `ZIP` or `NONE`.
    pub packaging: String,
    /// Files in it.
    pub files: u64,
    /// Size in bytes (of the ZIP, or the sum of the files).
    pub bytes: u64,
    /// SHA-256 of the ZIP, hex.
    pub sha256: Option<String>,
    /// MD5 of the ZIP, hex.
    pub md5: Option<String>,
}

/// A report that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the report group.
    pub name: String,
    /// Format.
    pub format: ReportFormat,
    /// Tests or coverage.
    pub kind: ReportKind,
    /// `SUCCEEDED` or `FAILED`; never changes the build's status.
    pub status: BuildStatus,
    /// Files that it was read from.
    pub files: u64,
    /// Counts of a test report.
    pub tests: Option<TestSummary>,
    /// Failed and broken cases of a test report, at most 50.
    pub failures: Vec<TestCase>,
    /// Lines of a coverage report.
    pub lines: Option<Counter>,
    /// Branches of a coverage report.
    pub branches: Option<Counter>,
}

/// End of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEnded {
    /// How.
    pub status: BuildStatus,
    /// The phase that decided it, when it did not succeed.
    pub phase: Option<PhaseType>,
    /// Its context.
    pub context: Option<PhaseContext>,
    /// The command that failed, when one did.
    pub failed_command: Option<u32>,
    /// Duration in milliseconds, by the monotonic clock.
    pub duration_ms: u64,
    /// CPU time of the whole container, milliseconds.
    pub cpu_ms: u64,
    /// Highest memory use, bytes.
    pub memory_peak_bytes: u64,
    /// Bytes read from disks by the whole container.
    #[serde(default)]
    pub read_bytes: u64,
    /// Bytes written to disks.
    #[serde(default)]
    pub written_bytes: u64,
    /// True when the file system is kept for `kiln debug` and `--resume`.
    pub kept: bool,
    /// What could not be cleaned up, each a sentence; empty normally.
    pub leftovers: Vec<String>,
}
