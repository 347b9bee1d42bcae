//! The operations of the APIs: which there are, which are implemented, what permission each needs (`api.md` 2, 7.1).

/// Target prefix of CodeBuild: `X-Amz-Target: CodeBuild_20161006.<Operation>`.
pub const CODEBUILD_TARGET: &str = "CodeBuild_20161006";

/// Target prefix of the Kiln API (DESIGN decision 11).
pub const KILN_TARGET: &str = "Kiln_20261122";

/// What a permission of an operation is about (`api.md` 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Nothing in particular: `*`.
    Any,
    /// A project; builds and batches are authorized on theirs.
    Project,
    /// A report group; reports are authorized on theirs.
    ReportGroup,
    /// A project or a report group.
    ProjectOrReportGroup,
    /// A fleet.
    Fleet,
    /// A sandbox.
    Sandbox,
}

/// An operation of CodeBuild or of the Kiln API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationInfo {
    /// Name, e.g. `StartBuild`.
    pub name: &'static str,
    /// Action of the permission, e.g. `codebuild:StartBuild`.
    pub action: &'static str,
    /// What the permission is about.
    pub resource: ResourceKind,
    /// False: the answer is [`crate::ApiError::unsupported`].
    pub implemented: bool,
}

macro_rules! table {
    ($service:literal: $($name:ident $resource:ident $state:ident,)+) => {
        [$(OperationInfo {
            name: stringify!($name),
            action: concat!($service, ":", stringify!($name)),
            resource: ResourceKind::$resource,
            implemented: table!(@$state),
        },)+]
    };
    (@implemented) => { true };
    (@later) => { false };
}

/// Every operation of the API 2016-10-06, by name.
pub const OPERATIONS: [OperationInfo; 59] = table! { "codebuild":
    BatchDeleteBuilds Project implemented,
    BatchGetBuildBatches Project later,
    BatchGetBuilds Project implemented,
    BatchGetCommandExecutions Sandbox later,
    BatchGetFleets Fleet later,
    BatchGetProjects Project implemented,
    BatchGetReportGroups ReportGroup later,
    BatchGetReports ReportGroup later,
    BatchGetSandboxes Project later,
    CreateFleet Fleet later,
    CreateProject Project implemented,
    CreateReportGroup ReportGroup later,
    CreateWebhook Project later,
    DeleteBuildBatch Project later,
    DeleteFleet Fleet later,
    DeleteProject Project implemented,
    DeleteReport ReportGroup later,
    DeleteReportGroup ReportGroup later,
    DeleteResourcePolicy ProjectOrReportGroup implemented,
    DeleteSourceCredentials Any implemented,
    DeleteWebhook Project later,
    DescribeCodeCoverages ReportGroup later,
    DescribeTestCases ReportGroup later,
    GetReportGroupTrend ReportGroup later,
    GetResourcePolicy ProjectOrReportGroup implemented,
    ImportSourceCredentials Any implemented,
    InvalidateProjectCache Project implemented,
    ListBuildBatches Any later,
    ListBuildBatchesForProject Project later,
    ListBuilds Any implemented,
    ListBuildsForProject Project implemented,
    ListCommandExecutionsForSandbox Sandbox later,
    ListCuratedEnvironmentImages Any implemented,
    ListFleets Any later,
    ListProjects Any implemented,
    ListReportGroups Any later,
    ListReports Any later,
    ListReportsForReportGroup ReportGroup later,
    ListSandboxes Any later,
    ListSandboxesForProject Project later,
    ListSharedProjects Any implemented,
    ListSharedReportGroups Any implemented,
    ListSourceCredentials Any implemented,
    PutResourcePolicy ProjectOrReportGroup implemented,
    RetryBuild Project implemented,
    RetryBuildBatch Project later,
    StartBuild Project implemented,
    StartBuildBatch Project later,
    StartCommandExecution Sandbox later,
    StartSandbox Project later,
    StartSandboxConnection Sandbox later,
    StopBuild Project implemented,
    StopBuildBatch Project later,
    StopSandbox Project later,
    UpdateFleet Fleet later,
    UpdateProject Project implemented,
    UpdateProjectVisibility Project implemented,
    UpdateReportGroup ReportGroup later,
    UpdateWebhook Project later,
};

/// Every operation of the Kiln API, by name (`docs/kiln-api.md`).
pub const KILN_OPERATIONS: [OperationInfo; 8] = table! { "kiln":
    DebugBuild Project implemented,
    DescribeBuild Project implemented,
    DescribeQueue Any implemented,
    GetBuildArtifact Project implemented,
    GetBuildJournal Project implemented,
    GetBuildLog Project implemented,
    LintBuildspec Any implemented,
    UploadSource Any implemented,
};

/// The operation of CodeBuild with that name.
#[must_use]
pub fn codebuild_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&OPERATIONS, name)
}

/// The operation of the Kiln API with that name.
#[must_use]
pub fn kiln_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&KILN_OPERATIONS, name)
}

fn find(table: &'static [OperationInfo], name: &str) -> Option<&'static OperationInfo> {
    table.binary_search_by(|operation| operation.name.cmp(name)).ok().and_then(|index| table.get(index))
}

/// Calls a macro with every implemented operation of CodeBuild: its name, the method of [`crate::service::CodeBuild`],
/// and the shapes of input and output in [`crate::codebuild`].
#[macro_export]
macro_rules! for_each_codebuild_operation {
    ($callback:ident) => {
        $callback! {
            BatchDeleteBuilds batch_delete_builds BatchDeleteBuildsInput BatchDeleteBuildsOutput,
            BatchGetBuilds batch_get_builds BatchGetBuildsInput BatchGetBuildsOutput,
            BatchGetProjects batch_get_projects BatchGetProjectsInput BatchGetProjectsOutput,
            CreateProject create_project CreateProjectInput CreateProjectOutput,
            DeleteProject delete_project DeleteProjectInput DeleteProjectOutput,
            DeleteResourcePolicy delete_resource_policy DeleteResourcePolicyInput DeleteResourcePolicyOutput,
            DeleteSourceCredentials delete_source_credentials
                DeleteSourceCredentialsInput DeleteSourceCredentialsOutput,
            GetResourcePolicy get_resource_policy GetResourcePolicyInput GetResourcePolicyOutput,
            ImportSourceCredentials import_source_credentials
                ImportSourceCredentialsInput ImportSourceCredentialsOutput,
            InvalidateProjectCache invalidate_project_cache InvalidateProjectCacheInput InvalidateProjectCacheOutput,
            ListBuilds list_builds ListBuildsInput ListBuildsOutput,
            ListBuildsForProject list_builds_for_project ListBuildsForProjectInput ListBuildsForProjectOutput,
            ListCuratedEnvironmentImages list_curated_environment_images
                ListCuratedEnvironmentImagesInput ListCuratedEnvironmentImagesOutput,
            ListProjects list_projects ListProjectsInput ListProjectsOutput,
            ListSharedProjects list_shared_projects ListSharedProjectsInput ListSharedProjectsOutput,
            ListSharedReportGroups list_shared_report_groups ListSharedReportGroupsInput ListSharedReportGroupsOutput,
            ListSourceCredentials list_source_credentials ListSourceCredentialsInput ListSourceCredentialsOutput,
            PutResourcePolicy put_resource_policy PutResourcePolicyInput PutResourcePolicyOutput,
            RetryBuild retry_build RetryBuildInput RetryBuildOutput,
            StartBuild start_build StartBuildInput StartBuildOutput,
            StopBuild stop_build StopBuildInput StopBuildOutput,
            UpdateProject update_project UpdateProjectInput UpdateProjectOutput,
            UpdateProjectVisibility update_project_visibility
                UpdateProjectVisibilityInput UpdateProjectVisibilityOutput,
        }
    };
}

/// Calls a macro with every operation of the Kiln API that takes and answers JSON: its name, the method of
/// [`crate::service::KilnService`], and the shapes of input and output in [`crate::kiln`]. The others carry bytes and
/// are methods of the trait only.
#[macro_export]
macro_rules! for_each_kiln_operation {
    ($callback:ident) => {
        $callback! {
            DescribeBuild describe_build DescribeBuildInput DescribeBuildOutput,
            DescribeQueue describe_queue DescribeQueueInput DescribeQueueOutput,
            GetBuildLog get_build_log GetBuildLogInput GetBuildLogOutput,
            LintBuildspec lint_buildspec LintBuildspecInput LintBuildspecOutput,
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_found_by_name() {
        for table in [OPERATIONS.as_slice(), KILN_OPERATIONS.as_slice()] {
            assert!(table.is_sorted_by(|a, b| a.name < b.name));
        }
        let start = codebuild_operation("StartBuild").unwrap();
        assert_eq!(
            (start.action, start.resource, start.implemented),
            ("codebuild:StartBuild", ResourceKind::Project, true)
        );
        assert_eq!(kiln_operation("DescribeQueue").unwrap().action, "kiln:DescribeQueue");
        assert!(codebuild_operation("startbuild").is_none());
    }

    #[test]
    fn what_is_implemented_has_a_method() {
        macro_rules! names {
            ($($name:ident $method:ident $input:ident $output:ident,)+) => { [$(stringify!($name),)+] };
        }
        let listed: Vec<_> = for_each_codebuild_operation!(names).into_iter().collect();
        let implemented: Vec<_> = OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        assert!(for_each_kiln_operation!(names).into_iter().all(|name| kiln_operation(name).is_some()));
    }
}
