//! Builds.

use serde::{Deserialize, Serialize};

use super::{
    BuildArtifacts, BuildStatusConfig, ComputeType, EnvironmentType, EnvironmentVariable, GitSubmodulesConfig,
    HostKernel, ImagePullCredentialsType, LogsConfig, LogsLocation, ProjectArtifacts, ProjectCache, ProjectEnvironment,
    ProjectFileSystemLocation, ProjectFleet, ProjectSource, ProjectSourceVersion, RegistryCredential, SortOrderType,
    SourceAuth, SourceType, VpcConfig,
};
use crate::{BuildStatus, PhaseContext, PhaseType, Timestamp, enumeration::enumeration};

enumeration! {
    /// Status of a phase: a build's, or what live phases show besides (`api.md` 2.2).
    PhaseStatus {
        /// Everything went well.
        Succeeded = "SUCCEEDED",
        /// The user's part failed.
        Failed = "FAILED",
        /// The service itself failed.
        Fault = "FAULT",
        /// The time limit was reached.
        TimedOut = "TIMED_OUT",
        /// Not ended yet.
        InProgress = "IN_PROGRESS",
        /// Stopped on request.
        Stopped = "STOPPED",
        /// The request asked for something that cannot be had; not in the model's enumeration.
        ClientError = "CLIENT_ERROR",
    }
}

impl From<BuildStatus> for PhaseStatus {
    fn from(status: BuildStatus) -> Self {
        match status {
            BuildStatus::Succeeded => Self::Succeeded,
            BuildStatus::Failed => Self::Failed,
            BuildStatus::Fault => Self::Fault,
            BuildStatus::TimedOut => Self::TimedOut,
            BuildStatus::InProgress => Self::InProgress,
            BuildStatus::Stopped => Self::Stopped,
        }
    }
}

/// A phase of a build (`buildspec.md` 4.1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildPhase {
    /// Which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_type: Option<PhaseType>,
    /// How it ended; absent while it runs, and for COMPLETED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_status: Option<PhaseStatus>,
    /// When it began: exactly when the one before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Whole seconds between the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_in_seconds: Option<i64>,
    /// Why it ended so; absent for SUBMITTED and QUEUED that went well, and for COMPLETED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contexts: Option<Vec<PhaseContext>>,
}

/// The build's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkInterface {
    /// Part of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// Interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface_id: Option<String>,
}

/// A variable that the buildspec exports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedEnvironmentVariable {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Value at the end of the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A session in a paused build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugSession {
    /// Whether the build pauses at breakpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_enabled: Option<bool>,
    /// Where to connect while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_target: Option<String>,
}

/// The build's place in a chain of tries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoRetryConfig {
    /// Further tries after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_limit: Option<i32>,
    /// Number of this try, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_number: Option<i32>,
    /// ARN of the try after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_auto_retry: Option<String>,
    /// ARN of the try before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_auto_retry: Option<String>,
}

/// A build: the effective values after overrides, and what became of it. The lists without `Option` are always shown (`buildspec.md` 4.4).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// `<project>:<uuid>`.
    pub id: String,
    /// ARN.
    pub arn: String,
    /// Number in the project, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_number: Option<i64>,
    /// When it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When COMPLETED began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// The running phase; COMPLETED at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_phase: Option<PhaseType>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_status: Option<BuildStatus>,
    /// Version of the source, as asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// The commit that it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_source_version: Option<String>,
    /// Project.
    pub project_name: String,
    /// Phases so far.
    #[serde(default)]
    pub phases: Vec<BuildPhase>,
    /// Source.
    pub source: ProjectSource,
    /// Further sources.
    #[serde(default)]
    pub secondary_sources: Vec<ProjectSource>,
    /// Versions of the further sources.
    #[serde(default)]
    pub secondary_source_versions: Vec<ProjectSourceVersion>,
    /// Output.
    pub artifacts: BuildArtifacts,
    /// Further outputs.
    #[serde(default)]
    pub secondary_artifacts: Vec<BuildArtifacts>,
    /// Cache.
    pub cache: ProjectCache,
    /// What it runs in.
    pub environment: ProjectEnvironment,
    /// Role that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role: Option<String>,
    /// Where its log is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsLocation>,
    /// Time limit, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<i32>,
    /// Time limit in the queue, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_timeout_in_minutes: Option<i32>,
    /// Whether it is over.
    pub build_complete: bool,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiator: Option<String>,
    /// Network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
    /// Place in the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_interface: Option<NetworkInterface>,
    /// Key of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Exported variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported_environment_variables: Option<Vec<ExportedEnvironmentVariable>>,
    /// Reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_arns: Option<Vec<String>>,
    /// Network file systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system_locations: Option<Vec<ProjectFileSystemLocation>>,
    /// Session in the paused build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_session: Option<DebugSession>,
    /// The batch that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_batch_arn: Option<String>,
    /// Its place in a chain of tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_config: Option<AutoRetryConfig>,
}

/// A build to start: overrides of its project's members (`api.md` 2.5).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartBuildInput {
    /// Name or ARN.
    pub project_name: String,
    /// The whole list of further sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_sources_override: Option<Vec<ProjectSource>>,
    /// The whole list of their versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_sources_version_override: Option<Vec<ProjectSourceVersion>>,
    /// Version of the source; empty is none (`integrations.md` 1.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// The whole output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_override: Option<ProjectArtifacts>,
    /// The whole list of further outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_artifacts_override: Option<Vec<ProjectArtifacts>>,
    /// Variables, merged by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_variables_override: Option<Vec<EnvironmentVariable>>,
    /// `source.type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type_override: Option<SourceType>,
    /// `source.location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_location_override: Option<String>,
    /// `source.auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_auth_override: Option<SourceAuth>,
    /// `source.gitCloneDepth`; taken for every type (`integrations.md` 1.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_clone_depth_override: Option<i32>,
    /// `source.gitSubmodulesConfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_submodules_config_override: Option<GitSubmodulesConfig>,
    /// `source.buildspec`; empty is none (`integrations.md` 1.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec_override: Option<String>,
    /// `source.insecureSsl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_ssl_override: Option<bool>,
    /// `source.reportBuildStatus`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_build_status_override: Option<bool>,
    /// `source.buildStatusConfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_status_config_override: Option<BuildStatusConfig>,
    /// `environment.type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment_type_override: Option<EnvironmentType>,
    /// `environment.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_override: Option<String>,
    /// `environment.computeType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_type_override: Option<ComputeType>,
    /// `environment.certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_override: Option<String>,
    /// The whole cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_override: Option<ProjectCache>,
    /// `serviceRole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role_override: Option<String>,
    /// `environment.privilegedMode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileged_mode_override: Option<bool>,
    /// `timeoutInMinutes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes_override: Option<i32>,
    /// `queuedTimeoutInMinutes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_timeout_in_minutes_override: Option<i32>,
    /// `encryptionKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key_override: Option<String>,
    /// The same token within 5 minutes starts one build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_token: Option<String>,
    /// The whole logs configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_config_override: Option<LogsConfig>,
    /// `environment.registryCredential`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_credential_override: Option<RegistryCredential>,
    /// `environment.imagePullCredentialsType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_credentials_type_override: Option<ImagePullCredentialsType>,
    /// Whether the build pauses at breakpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug_session_enabled: Option<bool>,
    /// `environment.fleet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet_override: Option<ProjectFleet>,
    /// `autoRetryLimit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_limit_override: Option<i32>,
    /// `environment.hostKernel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_kernel_override: Option<HostKernel>,
}

/// The new build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartBuildOutput {
    /// The build.
    pub build: Build,
}

/// Which build to stop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopBuildInput {
    /// Id or ARN.
    pub id: String,
}

/// The stopped build; one that was over already is as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopBuildOutput {
    /// The build.
    pub build: Build,
}

/// Which build to repeat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBuildInput {
    /// Id or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The same token within 5 minutes starts one build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_token: Option<String>,
}

/// The new build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBuildOutput {
    /// The build.
    pub build: Build,
}

/// Which builds to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetBuildsInput {
    /// Ids or ARNs, 1 to 100.
    pub ids: Vec<String>,
}

/// Builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetBuildsOutput {
    /// Those that are there.
    #[serde(default)]
    pub builds: Vec<Build>,
    /// The texts of the others, as they were sent.
    #[serde(default)]
    pub builds_not_found: Vec<String>,
}

/// Which builds to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchDeleteBuildsInput {
    /// Ids or ARNs, 1 to 100.
    pub ids: Vec<String>,
}

/// A build that stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildNotDeleted {
    /// ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why, e.g. `BUILD_IN_PROGRESS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<String>,
}

/// What became of the builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchDeleteBuildsOutput {
    /// ARNs of the deleted ones.
    #[serde(default)]
    pub builds_deleted: Vec<String>,
    /// The others.
    #[serde(default)]
    pub builds_not_deleted: Vec<BuildNotDeleted>,
}

/// How to list builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBuildsInput {
    /// Direction; newest first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A page of builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBuildsOutput {
    /// Ids, at most 100.
    #[serde(default)]
    pub ids: Vec<String>,
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// How to list a project's builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBuildsForProjectInput {
    /// Name or ARN.
    pub project_name: String,
    /// Direction; highest number first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A page of a project's builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBuildsForProjectOutput {
    /// Ids, at most 100.
    #[serde(default)]
    pub ids: Vec<String>,
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}
