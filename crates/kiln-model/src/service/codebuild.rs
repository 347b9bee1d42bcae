//! The operations of CodeBuild.

use std::future::Future;

use super::Context;
use crate::{
    ApiError,
    codebuild::{
        BatchDeleteBuildsInput, BatchDeleteBuildsOutput, BatchGetBuildsInput, BatchGetBuildsOutput,
        BatchGetProjectsInput, BatchGetProjectsOutput, CreateProjectInput, CreateProjectOutput, CreateWebhookInput,
        CreateWebhookOutput, DeleteProjectInput, DeleteProjectOutput, DeleteResourcePolicyInput,
        DeleteResourcePolicyOutput, DeleteSourceCredentialsInput, DeleteSourceCredentialsOutput, DeleteWebhookInput,
        DeleteWebhookOutput, GetResourcePolicyInput, GetResourcePolicyOutput, ImportSourceCredentialsInput,
        ImportSourceCredentialsOutput, InvalidateProjectCacheInput, InvalidateProjectCacheOutput,
        ListBuildsForProjectInput, ListBuildsForProjectOutput, ListBuildsInput, ListBuildsOutput,
        ListCuratedEnvironmentImagesInput, ListCuratedEnvironmentImagesOutput, ListProjectsInput, ListProjectsOutput,
        ListSharedProjectsInput, ListSharedProjectsOutput, ListSharedReportGroupsInput, ListSharedReportGroupsOutput,
        ListSourceCredentialsInput, ListSourceCredentialsOutput, PutResourcePolicyInput, PutResourcePolicyOutput,
        RetryBuildInput, RetryBuildOutput, StartBuildInput, StartBuildOutput, StopBuildInput, StopBuildOutput,
        UpdateProjectInput, UpdateProjectOutput, UpdateProjectVisibilityInput, UpdateProjectVisibilityOutput,
        UpdateWebhookInput, UpdateWebhookOutput,
    },
};

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

    fn create_webhook(
        &self,
        context: &Context,
        input: CreateWebhookInput,
    ) -> impl Future<Output = Result<CreateWebhookOutput, ApiError>> + Send;

    fn update_webhook(
        &self,
        context: &Context,
        input: UpdateWebhookInput,
    ) -> impl Future<Output = Result<UpdateWebhookOutput, ApiError>> + Send;

    fn delete_webhook(
        &self,
        context: &Context,
        input: DeleteWebhookInput,
    ) -> impl Future<Output = Result<DeleteWebhookOutput, ApiError>> + Send;
}
