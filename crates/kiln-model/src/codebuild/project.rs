//! Projects.

use serde::{Deserialize, Serialize};

use super::{
    LogsConfig, ProjectArtifacts, ProjectCache, ProjectEnvironment, ProjectFileSystemLocation, ProjectSource,
    ProjectSourceVersion, VpcConfig, Webhook,
};
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// Order of projects.
    ProjectSortByType {
        /// By name.
        Name = "NAME",
        /// By age.
        CreatedTime = "CREATED_TIME",
        /// By the time of the last change.
        LastModifiedTime = "LAST_MODIFIED_TIME",
    }
}

enumeration! {
    /// Direction of a list.
    SortOrderType {
        /// Smallest or oldest first.
        Ascending = "ASCENDING",
        /// Largest or newest first.
        Descending = "DESCENDING",
    }
}

enumeration! {
    /// Who may see a project's builds.
    #[derive(Default)]
    ProjectVisibilityType {
        /// Everybody.
        PublicRead = "PUBLIC_READ",
        /// Who is permitted.
        #[default]
        Private = "PRIVATE",
    }
}

enumeration! {
    /// How a batch tells the provider about its builds.
    BatchReportModeType {
        /// Each by itself.
        IndividualBuilds = "REPORT_INDIVIDUAL_BUILDS",
        /// All as one.
        AggregatedBatch = "REPORT_AGGREGATED_BATCH",
    }
}

/// A tag.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// A project's badge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectBadge {
    /// Whether there is one.
    pub badge_enabled: bool,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_request_url: Option<String>,
}

/// What a batch may use.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchRestrictions {
    /// Builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_builds_allowed: Option<i32>,
    /// Compute types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_types_allowed: Option<Vec<String>>,
    /// Fleets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleets_allowed: Option<Vec<String>>,
}

/// How a project runs batches; empty stands for "not at all" in UpdateProject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectBuildBatchConfig {
    /// Role that starts the builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role: Option<String>,
    /// Whether their outputs go to one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combine_artifacts: Option<bool>,
    /// What they may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<BatchRestrictions>,
    /// Time limit of the batch, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_mins: Option<i32>,
    /// How the provider is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_report_mode: Option<BatchReportModeType>,
}

/// A project. The lists without `Option` are always shown, empty or not (`api.md` 1.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Name.
    pub name: String,
    /// ARN.
    pub arn: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Source.
    pub source: ProjectSource,
    /// Further sources.
    #[serde(default)]
    pub secondary_sources: Vec<ProjectSource>,
    /// Version of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// Versions of the further sources.
    #[serde(default)]
    pub secondary_source_versions: Vec<ProjectSourceVersion>,
    /// Output.
    pub artifacts: ProjectArtifacts,
    /// Further outputs.
    #[serde(default)]
    pub secondary_artifacts: Vec<ProjectArtifacts>,
    /// Cache.
    pub cache: ProjectCache,
    /// What builds run in.
    pub environment: ProjectEnvironment,
    /// Role that builds have.
    pub service_role: String,
    /// Time limit of a build, minutes.
    pub timeout_in_minutes: i32,
    /// Time limit in the queue, minutes.
    pub queued_timeout_in_minutes: i32,
    /// Key of the outputs.
    pub encryption_key: String,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed.
    pub last_modified: Timestamp,
    /// Its webhook, without the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
    /// Badge.
    pub badge: ProjectBadge,
    /// Where logs go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_config: Option<LogsConfig>,
    /// Network file systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system_locations: Option<Vec<ProjectFileSystemLocation>>,
    /// How it runs batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_batch_config: Option<ProjectBuildBatchConfig>,
    /// Builds at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_build_limit: Option<i32>,
    /// Who may see its builds.
    pub project_visibility: ProjectVisibilityType,
    /// Name of the public page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_project_alias: Option<String>,
    /// Role that reads logs and outputs for the public page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_access_role: Option<String>,
    /// Further tries after a failed build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_limit: Option<i32>,
}

/// A project to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateProjectInput {
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Source.
    pub source: ProjectSource,
    /// Further sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_sources: Option<Vec<ProjectSource>>,
    /// Version of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// Versions of the further sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_source_versions: Option<Vec<ProjectSourceVersion>>,
    /// Output.
    pub artifacts: ProjectArtifacts,
    /// Further outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_artifacts: Option<Vec<ProjectArtifacts>>,
    /// Cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<ProjectCache>,
    /// What builds run in.
    pub environment: ProjectEnvironment,
    /// Role that builds have.
    pub service_role: String,
    /// Time limit of a build, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<i32>,
    /// Time limit in the queue, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_timeout_in_minutes: Option<i32>,
    /// Key of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
    /// Whether there is a badge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_enabled: Option<bool>,
    /// Where logs go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_config: Option<LogsConfig>,
    /// Network file systems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system_locations: Option<Vec<ProjectFileSystemLocation>>,
    /// How it runs batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_batch_config: Option<ProjectBuildBatchConfig>,
    /// Builds at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_build_limit: Option<i32>,
    /// Further tries after a failed build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_limit: Option<i32>,
}

/// The new project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateProjectOutput {
    /// The project.
    pub project: Project,
}

/// What to change about a project. An absent member leaves things as they are, except `tags` (`api.md` 2.4); a present one, even if empty, replaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateProjectInput {
    /// Name or ARN.
    pub name: String,
    /// For people; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ProjectSource>,
    /// Further sources; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_sources: Option<Vec<ProjectSource>>,
    /// Version of the source; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
    /// Versions of the further sources; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_source_versions: Option<Vec<ProjectSourceVersion>>,
    /// Output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<ProjectArtifacts>,
    /// Further outputs; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_artifacts: Option<Vec<ProjectArtifacts>>,
    /// Cache; `NO_CACHE` clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<ProjectCache>,
    /// What builds run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ProjectEnvironment>,
    /// Role that builds have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role: Option<String>,
    /// Time limit of a build, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_in_minutes: Option<i32>,
    /// Time limit in the queue, minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_timeout_in_minutes: Option<i32>,
    /// Key of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<String>,
    /// Tags; absent clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Network; `{}` clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_config: Option<VpcConfig>,
    /// Whether there is a badge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_enabled: Option<bool>,
    /// Where logs go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs_config: Option<LogsConfig>,
    /// Network file systems; empty clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_system_locations: Option<Vec<ProjectFileSystemLocation>>,
    /// How it runs batches; `{}` clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_batch_config: Option<ProjectBuildBatchConfig>,
    /// Builds at the same time; -1 clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_build_limit: Option<i32>,
    /// Further tries after a failed build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_retry_limit: Option<i32>,
}

/// The changed project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateProjectOutput {
    /// The project.
    pub project: Project,
}

/// Which project to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteProjectInput {
    /// Name or ARN.
    pub name: String,
}

/// Nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteProjectOutput {}

/// Which projects to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetProjectsInput {
    /// Names or ARNs, 1 to 100.
    pub names: Vec<String>,
}

/// Projects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetProjectsOutput {
    /// Those that are there.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// The texts of the others, as they were sent.
    #[serde(default)]
    pub projects_not_found: Vec<String>,
}

/// How to list projects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListProjectsInput {
    /// Order; by name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<ProjectSortByType>,
    /// Direction; ascending when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_order: Option<SortOrderType>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A page of projects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListProjectsOutput {
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Names, at most 100.
    #[serde(default)]
    pub projects: Vec<String>,
}

/// Whose cache to forget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvalidateProjectCacheInput {
    /// Name or ARN.
    pub project_name: String,
}

/// Nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvalidateProjectCacheOutput {}

/// Who may see a project's builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateProjectVisibilityInput {
    /// ARN or name.
    pub project_arn: String,
    /// Who.
    pub project_visibility: ProjectVisibilityType,
    /// Role that reads logs and outputs for the public page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_access_role: Option<String>,
}

/// Who may see a project's builds now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateProjectVisibilityOutput {
    /// ARN.
    pub project_arn: String,
    /// Name of the public page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_project_alias: Option<String>,
    /// Who.
    pub project_visibility: ProjectVisibilityType,
}
