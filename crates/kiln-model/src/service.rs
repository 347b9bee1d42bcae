//! What the front end asks of the service: the traits between `kiln-api` and `kiln-core`.
//!
//! Inputs that arrive here fulfil the constraints of their shapes ([`crate::decode`]); rules between members are the
//! service's ([`crate::project`], [`crate::effective`]).

use std::{future::Future, io};

use crate::{
    ApiError,
    arn::Home,
    codebuild::{
        BatchDeleteBuildsInput, BatchDeleteBuildsOutput, BatchGetBuildsInput, BatchGetBuildsOutput,
        BatchGetProjectsInput, BatchGetProjectsOutput, CreateProjectInput, CreateProjectOutput, DeleteProjectInput,
        DeleteProjectOutput, DeleteResourcePolicyInput, DeleteResourcePolicyOutput, DeleteSourceCredentialsInput,
        DeleteSourceCredentialsOutput, GetResourcePolicyInput, GetResourcePolicyOutput, ImportSourceCredentialsInput,
        ImportSourceCredentialsOutput, InvalidateProjectCacheInput, InvalidateProjectCacheOutput,
        ListBuildsForProjectInput, ListBuildsForProjectOutput, ListBuildsInput, ListBuildsOutput,
        ListCuratedEnvironmentImagesInput, ListCuratedEnvironmentImagesOutput, ListProjectsInput, ListProjectsOutput,
        ListSharedProjectsInput, ListSharedProjectsOutput, ListSharedReportGroupsInput, ListSharedReportGroupsOutput,
        ListSourceCredentialsInput, ListSourceCredentialsOutput, PutResourcePolicyInput, PutResourcePolicyOutput,
        RetryBuildInput, RetryBuildOutput, StartBuildInput, StartBuildOutput, StopBuildInput, StopBuildOutput,
        UpdateProjectInput, UpdateProjectOutput, UpdateProjectVisibilityInput, UpdateProjectVisibilityOutput,
    },
    kiln::{
        BadgeInput, BadgeState, DebugBuildInput, DescribeBuildInput, DescribeBuildOutput, DescribeQueueInput,
        DescribeQueueOutput, GetBuildArtifactInput, GetBuildJournalInput, GetBuildLogInput, GetBuildLogOutput,
        LintBuildspecInput, LintBuildspecOutput, UploadSourceInput, UploadSourceOutput,
    },
};

/// Who sent an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Account, twelve digits.
    pub account: String,
    /// E.g. `arn:aws:iam::000000000000:root` or `…:user/alice`.
    pub arn: String,
    /// What builds show as `initiator` (`buildspec.md` 4.3): `root`, `alice`.
    pub name: String,
    /// Access key that signed.
    pub access_key_id: String,
}

/// What surrounds a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who sent it.
    pub caller: Caller,
    /// Region that it was signed for, which is Kiln's own.
    pub region: String,
    /// Its id, a UUID; stands in the answer and in logs.
    pub request_id: String,
}

impl Context {
    /// Account and region that the request's resources are in.
    #[must_use]
    pub fn home(&self) -> Home {
        Home { region: self.region.clone(), account: self.caller.account.clone() }
    }
}

/// The operations of CodeBuild that are implemented. Each error is what the client sees.
#[expect(missing_docs, reason = "each method is the operation of that name in the API")]
pub trait CodeBuild: Send + Sync + 'static {
    fn batch_delete_builds(
        &self,
        context: &Context,
        input: BatchDeleteBuildsInput,
    ) -> impl Future<Output = Result<BatchDeleteBuildsOutput, ApiError>> + Send;

    fn batch_get_builds(
        &self,
        context: &Context,
        input: BatchGetBuildsInput,
    ) -> impl Future<Output = Result<BatchGetBuildsOutput, ApiError>> + Send;

    fn batch_get_projects(
        &self,
        context: &Context,
        input: BatchGetProjectsInput,
    ) -> impl Future<Output = Result<BatchGetProjectsOutput, ApiError>> + Send;

    fn create_project(
        &self,
        context: &Context,
        input: CreateProjectInput,
    ) -> impl Future<Output = Result<CreateProjectOutput, ApiError>> + Send;

    fn delete_project(
        &self,
        context: &Context,
        input: DeleteProjectInput,
    ) -> impl Future<Output = Result<DeleteProjectOutput, ApiError>> + Send;

    fn delete_resource_policy(
        &self,
        context: &Context,
        input: DeleteResourcePolicyInput,
    ) -> impl Future<Output = Result<DeleteResourcePolicyOutput, ApiError>> + Send;

    fn delete_source_credentials(
        &self,
        context: &Context,
        input: DeleteSourceCredentialsInput,
    ) -> impl Future<Output = Result<DeleteSourceCredentialsOutput, ApiError>> + Send;

    fn get_resource_policy(
        &self,
        context: &Context,
        input: GetResourcePolicyInput,
    ) -> impl Future<Output = Result<GetResourcePolicyOutput, ApiError>> + Send;

    fn import_source_credentials(
        &self,
        context: &Context,
        input: ImportSourceCredentialsInput,
    ) -> impl Future<Output = Result<ImportSourceCredentialsOutput, ApiError>> + Send;

    fn invalidate_project_cache(
        &self,
        context: &Context,
        input: InvalidateProjectCacheInput,
    ) -> impl Future<Output = Result<InvalidateProjectCacheOutput, ApiError>> + Send;

    fn list_builds(
        &self,
        context: &Context,
        input: ListBuildsInput,
    ) -> impl Future<Output = Result<ListBuildsOutput, ApiError>> + Send;

    fn list_builds_for_project(
        &self,
        context: &Context,
        input: ListBuildsForProjectInput,
    ) -> impl Future<Output = Result<ListBuildsForProjectOutput, ApiError>> + Send;

    fn list_curated_environment_images(
        &self,
        context: &Context,
        input: ListCuratedEnvironmentImagesInput,
    ) -> impl Future<Output = Result<ListCuratedEnvironmentImagesOutput, ApiError>> + Send;

    fn list_projects(
        &self,
        context: &Context,
        input: ListProjectsInput,
    ) -> impl Future<Output = Result<ListProjectsOutput, ApiError>> + Send;

    fn list_shared_projects(
        &self,
        context: &Context,
        input: ListSharedProjectsInput,
    ) -> impl Future<Output = Result<ListSharedProjectsOutput, ApiError>> + Send;

    fn list_shared_report_groups(
        &self,
        context: &Context,
        input: ListSharedReportGroupsInput,
    ) -> impl Future<Output = Result<ListSharedReportGroupsOutput, ApiError>> + Send;

    fn list_source_credentials(
        &self,
        context: &Context,
        input: ListSourceCredentialsInput,
    ) -> impl Future<Output = Result<ListSourceCredentialsOutput, ApiError>> + Send;

    fn put_resource_policy(
        &self,
        context: &Context,
        input: PutResourcePolicyInput,
    ) -> impl Future<Output = Result<PutResourcePolicyOutput, ApiError>> + Send;

    fn retry_build(
        &self,
        context: &Context,
        input: RetryBuildInput,
    ) -> impl Future<Output = Result<RetryBuildOutput, ApiError>> + Send;

    fn start_build(
        &self,
        context: &Context,
        input: StartBuildInput,
    ) -> impl Future<Output = Result<StartBuildOutput, ApiError>> + Send;

    fn stop_build(
        &self,
        context: &Context,
        input: StopBuildInput,
    ) -> impl Future<Output = Result<StopBuildOutput, ApiError>> + Send;

    fn update_project(
        &self,
        context: &Context,
        input: UpdateProjectInput,
    ) -> impl Future<Output = Result<UpdateProjectOutput, ApiError>> + Send;

    fn update_project_visibility(
        &self,
        context: &Context,
        input: UpdateProjectVisibilityInput,
    ) -> impl Future<Output = Result<UpdateProjectVisibilityOutput, ApiError>> + Send;
}

/// Bytes that come over time, in pieces; an error ends them.
pub trait ByteSource: Send + 'static {
    /// The next piece, not empty; `None` at the end. Nothing is lost when the future is dropped before it is ready.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Vec<u8>>>> + Send;
}

/// Where bytes go to. Dropping it tells the other side that there will be no more.
pub trait ByteSink: Send + 'static {
    /// Hands over a piece; waits while the other side is busy. An error: the other side is gone.
    fn send(&mut self, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// An artifact's bytes, decrypted.
#[derive(Debug)]
pub struct ArtifactContent<B> {
    /// Name for a file that keeps them, without directories.
    pub file_name: String,
    /// How many, when that is known before they are read.
    pub content_length: Option<u64>,
    /// The bytes.
    pub body: B,
}

/// Both directions of a connection into a build's file system.
#[derive(Debug)]
pub struct DebugConnection<B, S> {
    /// From the shell to the client.
    pub output: B,
    /// From the client to the shell.
    pub input: S,
}

/// What AWS has no call for (DESIGN decision 11, `docs/kiln-api.md`).
pub trait KilnService: Send + Sync + 'static {
    /// How bytes come from the service.
    type Bytes: ByteSource;
    /// How bytes go to a shell.
    type Input: ByteSink;

    /// What runs, what waits and why.
    fn describe_queue(
        &self,
        context: &Context,
        input: DescribeQueueInput,
    ) -> impl Future<Output = Result<DescribeQueueOutput, ApiError>> + Send;

    /// A build in all detail: phases, commands, resource use, outputs, reports, place in the queue.
    fn describe_build(
        &self,
        context: &Context,
        input: DescribeBuildInput,
    ) -> impl Future<Output = Result<DescribeBuildOutput, ApiError>> + Send;

    /// Lines of a build's log.
    fn get_build_log(
        &self,
        context: &Context,
        input: GetBuildLogInput,
    ) -> impl Future<Output = Result<GetBuildLogOutput, ApiError>> + Send;

    /// Checks a buildspec.
    fn lint_buildspec(
        &self,
        context: &Context,
        input: LintBuildspecInput,
    ) -> impl Future<Output = Result<LintBuildspecOutput, ApiError>> + Send;

    /// A build's journal from an offset on, as `kiln-wire` defines its records. With `follow` the bytes go on until the
    /// build is over; without, they end at what is there now. The first piece may begin within a record only if the
    /// offset does.
    fn get_build_journal(
        &self,
        context: &Context,
        input: GetBuildJournalInput,
    ) -> impl Future<Output = Result<Self::Bytes, ApiError>> + Send;

    /// Keeps a ZIP archive of a working tree, and answers the S3 location that a build can be started with.
    fn upload_source(
        &self,
        context: &Context,
        input: UploadSourceInput,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<UploadSourceOutput, ApiError>> + Send;

    /// An artifact's bytes.
    fn get_build_artifact(
        &self,
        context: &Context,
        input: GetBuildArtifactInput,
    ) -> impl Future<Output = Result<ArtifactContent<Self::Bytes>, ApiError>> + Send;

    /// A shell in the kept file system of a build that is over. The front end upgrades the connection after this
    /// succeeded; the bytes are those of the protocol of `kiln debug`.
    fn debug_build(
        &self,
        context: &Context,
        input: DebugBuildInput,
    ) -> impl Future<Output = Result<DebugConnection<Self::Bytes, Self::Input>, ApiError>> + Send;

    /// What a badge shows; nobody signs for it. An unknown `uuid` is [`BadgeState::Unknown`], so that nothing can be
    /// learnt by guessing.
    fn badge(&self, input: BadgeInput) -> impl Future<Output = BadgeState> + Send;
}
