//! Public builds: what anybody may see of a project whose visibility is `PUBLIC_READ` (`api.md` 2.4). Nothing of the account is
//! in it: no ARNs, no roles, no values of variables, nobody who started a build.

use serde::{Deserialize, Serialize};

use super::{CommandDetail, PhaseDetail};
use crate::{
    BuildStatus, PhaseType, Timestamp,
    codebuild::{ComputeType, EnvironmentVariableType, SourceType},
};

/// Whose builds to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPublicBuildsInput {
    /// `publicProjectAlias` of the project.
    pub alias: String,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The builds of a public project, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPublicBuildsOutput {
    /// The project.
    pub project_name: String,
    /// 25 at most.
    #[serde(default)]
    pub builds: Vec<PublicBuild>,
    /// Absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A build in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicBuild {
    /// The part of the build's id behind the colon.
    pub uuid: String,
    /// Counts the project's builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_number: Option<i64>,
    /// How it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_status: Option<BuildStatus>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_phase: Option<PhaseType>,
    /// When it was accepted.
    pub start_time: Timestamp,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// What was asked for: a branch, a commit, a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// The commit that was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_source_version: Option<String>,
}

/// Which build to show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPublicBuildInput {
    /// `publicProjectAlias` of the project.
    pub alias: String,
    /// [`PublicBuild::uuid`].
    pub uuid: String,
}

/// A public build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPublicBuildOutput {
    /// The project.
    pub project_name: String,
    /// What lists have of it.
    #[serde(flatten)]
    pub build: PublicBuild,
    /// Kind of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<SourceType>,
    /// Where a repository is; absent for other sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_location: Option<String>,
    /// Size of its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_type: Option<ComputeType>,
    /// Its phases. Only what commands did is explained: other messages speak of the account.
    #[serde(default)]
    pub phases: Vec<PhaseDetail>,
    /// Variables that were set, without their values.
    #[serde(default)]
    pub variables: Vec<PublicVariable>,
    /// Whether the project's `resourceAccessRole` lets the log be read.
    pub log_is_public: bool,
    /// Lines of the log; 0 where it is not public.
    pub total_lines: u64,
    /// Its commands, which the log has as well; none where that is not public.
    #[serde(default)]
    pub commands: Vec<CommandDetail>,
    /// Artifacts that were stored.
    #[serde(default)]
    pub artifacts: Vec<PublicArtifact>,
}

/// A variable of the project or the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicVariable {
    /// Its name.
    pub name: String,
    /// Where its value is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<EnvironmentVariableType>,
}

/// An artifact of a public build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicArtifact {
    /// Absent for the primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
    /// Name of its file.
    pub file_name: String,
    /// Files in it.
    pub files: u64,
    /// Its size.
    pub bytes: u64,
    /// Whether it can be downloaded: it is one ZIP file, and the project's `resourceAccessRole` lets it be read.
    pub is_public: bool,
}

/// Which lines to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPublicBuildLogInput {
    /// `publicProjectAlias` of the project.
    pub alias: String,
    /// [`PublicBuild::uuid`].
    pub uuid: String,
    /// First line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_line: Option<u64>,
    /// The last lines, so many of them; instead of `from_line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Lines at most, 1 to 1000; 1000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lines: Option<u32>,
}

/// Which artifact to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPublicBuildArtifactInput {
    /// `publicProjectAlias` of the project.
    pub alias: String,
    /// [`PublicBuild::uuid`].
    pub uuid: String,
    /// Name; absent for the primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_identifier: Option<String>,
}
