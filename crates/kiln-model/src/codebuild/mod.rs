//! Shapes of the CodeBuild API 2016-10-06 (`api.md` 2): inputs and outputs of the operations that Kiln implements.
//!
//! Names of shapes and members are AWS's, so the service's own documentation describes them; comments here say what it
//! does not. Members that the API requires are not `Option`s; [`crate::decode`] tells the caller about missing ones
//! before a shape is made. Unknown members are ignored.

mod artifacts;
mod build;
mod cache;
mod credentials;
mod environment;
mod image;
mod logs;
mod policy;
mod project;
mod source;
mod webhook;

pub use artifacts::{
    ArtifactNamespace, ArtifactPackaging, ArtifactsType, BucketOwnerAccess, BuildArtifacts, ProjectArtifacts,
};
pub use build::{
    AutoRetryConfig, BatchDeleteBuildsInput, BatchDeleteBuildsOutput, BatchGetBuildsInput, BatchGetBuildsOutput, Build,
    BuildNotDeleted, BuildPhase, DebugSession, ExportedEnvironmentVariable, ListBuildsForProjectInput,
    ListBuildsForProjectOutput, ListBuildsInput, ListBuildsOutput, NetworkInterface, PhaseStatus, RetryBuildInput,
    RetryBuildOutput, StartBuildInput, StartBuildOutput, StopBuildInput, StopBuildOutput,
};
pub use cache::{CacheMode, CacheType, ProjectCache};
pub use credentials::{
    AuthType, DeleteSourceCredentialsInput, DeleteSourceCredentialsOutput, ImportSourceCredentialsInput,
    ImportSourceCredentialsOutput, ListSourceCredentialsInput, ListSourceCredentialsOutput, Sensitive, ServerType,
    SourceCredentialsInfo,
};
pub use environment::{
    ComputeConfiguration, ComputeType, CredentialProviderType, DockerServer, DockerServerStatus, EnvironmentType,
    EnvironmentVariable, EnvironmentVariableType, FileSystemType, HostKernel, ImagePullCredentialsType, MachineType,
    ProjectEnvironment, ProjectFileSystemLocation, ProjectFleet, RegistryCredential, VpcConfig,
};
pub use image::{
    EnvironmentImage, EnvironmentLanguage, EnvironmentPlatform, LanguageType, ListCuratedEnvironmentImagesInput,
    ListCuratedEnvironmentImagesOutput, PlatformType,
};
pub use logs::{CloudWatchLogsConfig, LogsConfig, LogsConfigStatusType, LogsLocation, S3LogsConfig};
pub use policy::{
    DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicyInput, GetResourcePolicyOutput,
    ListSharedProjectsInput, ListSharedProjectsOutput, ListSharedReportGroupsInput, ListSharedReportGroupsOutput,
    PutResourcePolicyInput, PutResourcePolicyOutput, SharedResourceSortByType,
};
pub use project::{
    BatchGetProjectsInput, BatchGetProjectsOutput, BatchReportModeType, BatchRestrictions, CreateProjectInput,
    CreateProjectOutput, DeleteProjectInput, DeleteProjectOutput, InvalidateProjectCacheInput,
    InvalidateProjectCacheOutput, ListProjectsInput, ListProjectsOutput, Project, ProjectBadge,
    ProjectBuildBatchConfig, ProjectSortByType, ProjectVisibilityType, SortOrderType, Tag, UpdateProjectInput,
    UpdateProjectOutput, UpdateProjectVisibilityInput, UpdateProjectVisibilityOutput,
};
pub use source::{
    BuildStatusConfig, GitSubmodulesConfig, ProjectSource, ProjectSourceVersion, SourceAuth, SourceAuthType, SourceType,
};
pub use webhook::{
    CreateWebhookInput, CreateWebhookOutput, DeleteWebhookInput, DeleteWebhookOutput, PullRequestBuildApproverRole,
    PullRequestBuildCommentApproval, PullRequestBuildPolicy, ScopeConfiguration, UpdateWebhookInput,
    UpdateWebhookOutput, Webhook, WebhookBuildType, WebhookFilter, WebhookFilterType, WebhookScopeType, WebhookStatus,
};
