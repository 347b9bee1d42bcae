//! The operations of CodeBuild.

pub(crate) mod builds;
mod credentials;
mod policies;
pub(crate) mod projects;

use kiln_model::{
    ApiError,
    arn::Home,
    codebuild::*,
    service::{CodeBuild, Context},
};

pub(crate) use self::credentials::{StoredCredential, stored_credential};

use crate::{core::Core, runners::Runners, webhook};

/// The project's name in a parameter that takes a name or an ARN.
pub(crate) fn project_of<'a>(home: &Home, text: &'a str) -> Result<&'a str, ApiError> {
    home.project_name(text).ok_or_else(|| {
        let arn = if text.starts_with("arn:") { text.to_owned() } else { home.project_arn(text) };
        ApiError::not_found(format!("Project cannot be found: {arn}"))
    })
}

impl<R: Runners> CodeBuild for Core<R> {
    async fn batch_delete_builds(
        &self,
        _: &Context,
        input: BatchDeleteBuildsInput,
    ) -> Result<BatchDeleteBuildsOutput, ApiError> {
        self.delete_builds(input).await
    }

    async fn batch_get_builds(
        &self,
        _: &Context,
        input: BatchGetBuildsInput,
    ) -> Result<BatchGetBuildsOutput, ApiError> {
        self.get_builds(&input)
    }

    async fn batch_get_projects(
        &self,
        _: &Context,
        input: BatchGetProjectsInput,
    ) -> Result<BatchGetProjectsOutput, ApiError> {
        self.get_projects(&input)
    }

    async fn create_project(&self, _: &Context, input: CreateProjectInput) -> Result<CreateProjectOutput, ApiError> {
        self.create(input).await
    }

    async fn delete_project(
        &self,
        context: &Context,
        input: DeleteProjectInput,
    ) -> Result<DeleteProjectOutput, ApiError> {
        self.delete(context, input).await
    }

    async fn delete_resource_policy(
        &self,
        _: &Context,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, ApiError> {
        self.delete_policy(input).await
    }

    async fn delete_source_credentials(
        &self,
        _: &Context,
        input: DeleteSourceCredentialsInput,
    ) -> Result<DeleteSourceCredentialsOutput, ApiError> {
        self.delete_credentials(input).await
    }

    async fn get_resource_policy(
        &self,
        _: &Context,
        input: GetResourcePolicyInput,
    ) -> Result<GetResourcePolicyOutput, ApiError> {
        self.policy(&input)
    }

    async fn import_source_credentials(
        &self,
        _: &Context,
        input: ImportSourceCredentialsInput,
    ) -> Result<ImportSourceCredentialsOutput, ApiError> {
        self.import_credentials(input).await
    }

    async fn invalidate_project_cache(
        &self,
        _: &Context,
        input: InvalidateProjectCacheInput,
    ) -> Result<InvalidateProjectCacheOutput, ApiError> {
        self.invalidate_cache(input).await
    }

    async fn list_builds(&self, _: &Context, input: ListBuildsInput) -> Result<ListBuildsOutput, ApiError> {
        self.list_all(&input)
    }

    async fn list_builds_for_project(
        &self,
        _: &Context,
        input: ListBuildsForProjectInput,
    ) -> Result<ListBuildsForProjectOutput, ApiError> {
        self.list_of_project(&input)
    }

    async fn list_curated_environment_images(
        &self,
        _: &Context,
        _: ListCuratedEnvironmentImagesInput,
    ) -> Result<ListCuratedEnvironmentImagesOutput, ApiError> {
        Ok(kiln_model::curated::images())
    }

    async fn list_projects(&self, _: &Context, input: ListProjectsInput) -> Result<ListProjectsOutput, ApiError> {
        self.list(&input)
    }

    async fn list_shared_projects(
        &self,
        _: &Context,
        _: ListSharedProjectsInput,
    ) -> Result<ListSharedProjectsOutput, ApiError> {
        // There is one account: nobody else shares anything with it.
        Ok(ListSharedProjectsOutput::default())
    }

    async fn list_shared_report_groups(
        &self,
        _: &Context,
        _: ListSharedReportGroupsInput,
    ) -> Result<ListSharedReportGroupsOutput, ApiError> {
        Ok(ListSharedReportGroupsOutput::default())
    }

    async fn list_source_credentials(
        &self,
        _: &Context,
        _: ListSourceCredentialsInput,
    ) -> Result<ListSourceCredentialsOutput, ApiError> {
        self.list_credentials()
    }

    async fn put_resource_policy(
        &self,
        _: &Context,
        input: PutResourcePolicyInput,
    ) -> Result<PutResourcePolicyOutput, ApiError> {
        self.put_policy(input).await
    }

    async fn retry_build(&self, context: &Context, input: RetryBuildInput) -> Result<RetryBuildOutput, ApiError> {
        self.retry(context, input).await
    }

    async fn start_build(&self, context: &Context, input: StartBuildInput) -> Result<StartBuildOutput, ApiError> {
        self.start_one(context, input).await
    }

    async fn stop_build(&self, _: &Context, input: StopBuildInput) -> Result<StopBuildOutput, ApiError> {
        self.stop_one(&input).await
    }

    async fn update_project(&self, _: &Context, input: UpdateProjectInput) -> Result<UpdateProjectOutput, ApiError> {
        self.update(input).await
    }

    async fn update_project_visibility(
        &self,
        _: &Context,
        input: UpdateProjectVisibilityInput,
    ) -> Result<UpdateProjectVisibilityOutput, ApiError> {
        self.set_visibility(input).await
    }

    async fn create_webhook(
        &self,
        context: &Context,
        input: CreateWebhookInput,
    ) -> Result<CreateWebhookOutput, ApiError> {
        webhook::create(&self.inner, context, input).await
    }

    async fn update_webhook(
        &self,
        context: &Context,
        input: UpdateWebhookInput,
    ) -> Result<UpdateWebhookOutput, ApiError> {
        webhook::update(&self.inner, context, input).await
    }

    async fn delete_webhook(
        &self,
        context: &Context,
        input: DeleteWebhookInput,
    ) -> Result<DeleteWebhookOutput, ApiError> {
        webhook::remove(&self.inner, context, input).await
    }
}
