//! The operations of the APIs: which there are, which are implemented, what permission each needs (`api.md` 2, 7.1).

/// Target prefix of CodeBuild: `X-Amz-Target: CodeBuild_20161006.<Operation>`.
pub const CODEBUILD_TARGET: &str = "CodeBuild_20161006";

/// Target prefix of the Kiln API (DESIGN decision 11).
pub const KILN_TARGET: &str = "Kiln_20261122";

/// Target prefix of the Key Management Service.
pub const KMS_TARGET: &str = "TrentService";

/// Target prefix of Secrets Manager.
pub const SECRETS_MANAGER_TARGET: &str = "secretsmanager";

/// Target prefix of Systems Manager, whose Parameter Store is offered.
pub const SSM_TARGET: &str = "AmazonSSM";

/// Target prefix of CloudWatch, in the paths of its CBOR protocol as well.
pub const CLOUDWATCH_TARGET: &str = "GraniteServiceVersion20100801";

/// Target prefix of Elastic Container Registry.
pub const ECR_TARGET: &str = "AmazonEC2ContainerRegistry_V20150921";

/// Target prefix of CloudWatch Logs.
pub const LOGS_TARGET: &str = "Logs_20140328";

/// Target prefix of CodeCommit.
pub const CODECOMMIT_TARGET: &str = "CodeCommit_20150413";

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
    /// A key of KMS.
    Key,
    /// A user, group, role or policy of IAM.
    Identity,
    /// A secret of Secrets Manager.
    Secret,
    /// A parameter of Parameter Store.
    Parameter,
    /// A log group of CloudWatch Logs.
    LogGroup,
    /// A log stream.
    LogStream,
    /// A repository of images.
    Repository,
    /// A rule of EventBridge.
    Rule,
    /// An event bus.
    EventBus,
    /// A git repository.
    GitRepository,
}

/// An operation of one of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationInfo {
    /// Name, e.g. `StartBuild`.
    pub name: &'static str,
    /// Action of the permission, e.g. `codebuild:StartBuild`.
    pub action: &'static str,
    /// What the permission is about.
    pub resource: ResourceKind,
    /// False: the answer says that it is not available.
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

mod events;

pub use self::events::{EVENTS_OPERATIONS, EVENTS_TARGET, events_operation};

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
    CreateWebhook Project implemented,
    DeleteBuildBatch Project later,
    DeleteFleet Fleet later,
    DeleteProject Project implemented,
    DeleteReport ReportGroup later,
    DeleteReportGroup ReportGroup later,
    DeleteResourcePolicy ProjectOrReportGroup implemented,
    DeleteSourceCredentials Any implemented,
    DeleteWebhook Project implemented,
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
    UpdateWebhook Project implemented,
};

/// Every operation of the Kiln API, by name (`docs/kiln-api.md`).
pub const KILN_OPERATIONS: [OperationInfo; 20] = table! { "kiln":
    CountBuildLog Project implemented,
    CreateConsoleLink Any implemented,
    DebugBuild Project implemented,
    DeleteCaches Any implemented,
    DescribeBuild Project implemented,
    DescribeQueue Any implemented,
    DescribeRule Rule implemented,
    ExplainAccess Any implemented,
    GetBuildArtifact Project implemented,
    GetBuildJournal Project implemented,
    GetBuildLog Project implemented,
    GetWebhookDelivery Project implemented,
    LintBuildspec Any implemented,
    ListCaches Any implemented,
    ListWebhookDeliveries Project implemented,
    LookupEvents Any implemented,
    RedeliverWebhookDelivery Project implemented,
    SearchBuildLog Project implemented,
    UploadSource Any implemented,
    VerifyAuditLog Any implemented,
};

/// Every operation of KMS's API 2014-11-01, by name.
pub const KMS_OPERATIONS: [OperationInfo; 56] = table! { "kms":
    CancelKeyDeletion Key implemented,
    ConnectCustomKeyStore Any later,
    CreateAlias Key implemented,
    CreateCustomKeyStore Any later,
    CreateGrant Key implemented,
    CreateKey Any implemented,
    Decapsulate Key later,
    Decrypt Key implemented,
    DeleteAlias Key implemented,
    DeleteCustomKeyStore Any later,
    DeleteImportedKeyMaterial Key later,
    DeriveSharedSecret Key later,
    DescribeCustomKeyStores Any later,
    DescribeKey Key implemented,
    DisableKey Key implemented,
    DisableKeyRotation Key implemented,
    DisconnectCustomKeyStore Any later,
    EnableKey Key implemented,
    EnableKeyRotation Key implemented,
    Encapsulate Key later,
    Encrypt Key implemented,
    GenerateDataKey Key implemented,
    GenerateDataKeyPair Key later,
    GenerateDataKeyPairWithoutPlaintext Key later,
    GenerateDataKeyWithoutPlaintext Key implemented,
    GenerateMac Key later,
    GenerateRandom Any implemented,
    GetKeyLastUsage Key later,
    GetKeyPolicy Key implemented,
    GetKeyRotationStatus Key implemented,
    GetParametersForImport Key later,
    GetPublicKey Key later,
    ImportKeyMaterial Key later,
    ListAliases Any implemented,
    ListGrants Key implemented,
    ListKeyPolicies Key implemented,
    ListKeyRotations Key implemented,
    ListKeys Any implemented,
    ListResourceTags Key implemented,
    ListRetirableGrants Any implemented,
    PutKeyPolicy Key implemented,
    ReEncrypt Key implemented,
    ReplicateKey Key later,
    RetireGrant Key implemented,
    RevokeGrant Key implemented,
    RotateKeyOnDemand Key implemented,
    ScheduleKeyDeletion Key implemented,
    Sign Key later,
    TagResource Key implemented,
    UntagResource Key implemented,
    UpdateAlias Key implemented,
    UpdateCustomKeyStore Any later,
    UpdateKeyDescription Key implemented,
    UpdatePrimaryRegion Key later,
    Verify Key later,
    VerifyMac Key later,
};

/// The operations of IAM's API 2010-05-08 that are offered, by name.
pub const IAM_OPERATIONS: [OperationInfo; 78] = table! { "iam":
    AddUserToGroup Identity implemented,
    AttachGroupPolicy Identity implemented,
    AttachRolePolicy Identity implemented,
    AttachUserPolicy Identity implemented,
    CreateAccessKey Identity implemented,
    CreateGroup Identity implemented,
    CreatePolicy Identity implemented,
    CreatePolicyVersion Identity implemented,
    CreateRole Identity implemented,
    CreateServiceSpecificCredential Identity implemented,
    CreateUser Identity implemented,
    DeleteAccessKey Identity implemented,
    DeleteGroup Identity implemented,
    DeleteGroupPolicy Identity implemented,
    DeletePolicy Identity implemented,
    DeletePolicyVersion Identity implemented,
    DeleteRole Identity implemented,
    DeleteRolePermissionsBoundary Identity implemented,
    DeleteRolePolicy Identity implemented,
    DeleteServiceSpecificCredential Identity implemented,
    DeleteUser Identity implemented,
    DeleteUserPermissionsBoundary Identity implemented,
    DeleteUserPolicy Identity implemented,
    DetachGroupPolicy Identity implemented,
    DetachRolePolicy Identity implemented,
    DetachUserPolicy Identity implemented,
    GetContextKeysForCustomPolicy Any implemented,
    GetContextKeysForPrincipalPolicy Identity implemented,
    GetGroup Identity implemented,
    GetGroupPolicy Identity implemented,
    GetPolicy Identity implemented,
    GetPolicyVersion Identity implemented,
    GetRole Identity implemented,
    GetRolePolicy Identity implemented,
    GetUser Identity implemented,
    GetUserPolicy Identity implemented,
    ListAccessKeys Identity implemented,
    ListAttachedGroupPolicies Identity implemented,
    ListAttachedRolePolicies Identity implemented,
    ListAttachedUserPolicies Identity implemented,
    ListEntitiesForPolicy Identity implemented,
    ListGroupPolicies Identity implemented,
    ListGroups Any implemented,
    ListGroupsForUser Identity implemented,
    ListInstanceProfilesForRole Identity implemented,
    ListPolicies Any implemented,
    ListPolicyTags Identity implemented,
    ListPolicyVersions Identity implemented,
    ListRolePolicies Identity implemented,
    ListRoleTags Identity implemented,
    ListRoles Any implemented,
    ListServiceSpecificCredentials Identity implemented,
    ListUserPolicies Identity implemented,
    ListUserTags Identity implemented,
    ListUsers Any implemented,
    PutGroupPolicy Identity implemented,
    PutRolePermissionsBoundary Identity implemented,
    PutRolePolicy Identity implemented,
    PutUserPermissionsBoundary Identity implemented,
    PutUserPolicy Identity implemented,
    RemoveUserFromGroup Identity implemented,
    ResetServiceSpecificCredential Identity implemented,
    SetDefaultPolicyVersion Identity implemented,
    SimulateCustomPolicy Any implemented,
    SimulatePrincipalPolicy Identity implemented,
    TagPolicy Identity implemented,
    TagRole Identity implemented,
    TagUser Identity implemented,
    UntagPolicy Identity implemented,
    UntagRole Identity implemented,
    UntagUser Identity implemented,
    UpdateAccessKey Identity implemented,
    UpdateAssumeRolePolicy Identity implemented,
    UpdateGroup Identity implemented,
    UpdateRole Identity implemented,
    UpdateRoleDescription Identity implemented,
    UpdateServiceSpecificCredential Identity implemented,
    UpdateUser Identity implemented,
};

/// The operations of STS's API 2011-06-15 that are offered and need a permission, by name. `GetCallerIdentity` and
/// `GetSessionToken` need none.
pub const STS_OPERATIONS: [OperationInfo; 1] = table! { "sts":
    AssumeRole Identity implemented,
};

/// Every operation of Secrets Manager's API 2017-10-17, by name.
pub const SECRETS_MANAGER_OPERATIONS: [OperationInfo; 26] = table! { "secretsmanager":
    AssociateCrossAccountReplica Secret later,
    BatchGetSecretValue Any implemented,
    CancelRotateSecret Secret later,
    CreateSecret Secret implemented,
    DeleteResourcePolicy Secret implemented,
    DeleteSecret Secret implemented,
    DescribeSecret Secret implemented,
    DisassociateCrossAccountReplica Secret later,
    GetRandomPassword Any implemented,
    GetResourcePolicy Secret implemented,
    GetSecretValue Secret implemented,
    ListResourcePolicies Any later,
    ListSecretVersionIds Secret implemented,
    ListSecrets Any implemented,
    PutResourcePolicy Secret implemented,
    PutSecretValue Secret implemented,
    RemoveRegionsFromReplication Secret later,
    ReplicateSecretToRegions Secret later,
    RestoreSecret Secret implemented,
    RotateSecret Secret later,
    StopReplicationToReplica Secret later,
    TagResource Secret implemented,
    UntagResource Secret implemented,
    UpdateSecret Secret implemented,
    UpdateSecretVersionStage Secret implemented,
    ValidateResourcePolicy Secret implemented,
};

/// The operations of Systems Manager's API 2014-11-06 that are offered, by name: those of Parameter Store.
pub const SSM_OPERATIONS: [OperationInfo; 13] = table! { "ssm":
    AddTagsToResource Parameter implemented,
    DeleteParameter Parameter implemented,
    DeleteParameters Parameter implemented,
    DescribeParameters Any implemented,
    GetParameter Parameter implemented,
    GetParameterHistory Parameter implemented,
    GetParameters Parameter implemented,
    GetParametersByPath Parameter implemented,
    LabelParameterVersion Parameter implemented,
    ListTagsForResource Parameter implemented,
    PutParameter Parameter implemented,
    RemoveTagsFromResource Parameter implemented,
    UnlabelParameterVersion Parameter implemented,
};

/// The operations of CloudWatch's API 2010-08-01 that are offered, by name (`api.md` 5.3).
pub const CLOUDWATCH_OPERATIONS: [OperationInfo; 4] = table! { "cloudwatch":
    GetMetricData Any implemented,
    GetMetricStatistics Any implemented,
    ListMetrics Any implemented,
    PutMetricData Any implemented,
};

/// Every operation of CloudWatch Logs' API 2014-03-28, by name.
pub const LOGS_OPERATIONS: [OperationInfo; 118] = table! { "logs":
    AssociateKmsKey Any later,
    AssociateSourceToS3TableIntegration Any later,
    CancelExportTask Any later,
    CancelImportTask Any later,
    CreateDelivery Any later,
    CreateExportTask Any later,
    CreateImportTask Any later,
    CreateLogAnomalyDetector Any later,
    CreateLogGroup LogGroup implemented,
    CreateLogStream LogStream implemented,
    CreateLookupTable Any later,
    CreateScheduledQuery Any later,
    DeleteAccountPolicy Any later,
    DeleteDataProtectionPolicy Any later,
    DeleteDelivery Any later,
    DeleteDeliveryDestination Any later,
    DeleteDeliveryDestinationPolicy Any later,
    DeleteDeliverySource Any later,
    DeleteDestination Any later,
    DeleteIndexPolicy Any later,
    DeleteIntegration Any later,
    DeleteLogAnomalyDetector Any later,
    DeleteLogGroup LogGroup implemented,
    DeleteLogStream LogStream implemented,
    DeleteLookupTable Any later,
    DeleteMetricFilter Any later,
    DeleteQueryDefinition Any later,
    DeleteResourcePolicy Any later,
    DeleteRetentionPolicy LogGroup implemented,
    DeleteScheduledQuery Any later,
    DeleteSubscriptionFilter Any later,
    DeleteSyslogConfiguration Any later,
    DeleteTransformer Any later,
    DescribeAccountPolicies Any later,
    DescribeConfigurationTemplates Any later,
    DescribeDeliveries Any later,
    DescribeDeliveryDestinations Any later,
    DescribeDeliverySources Any later,
    DescribeDestinations Any later,
    DescribeExportTasks Any later,
    DescribeFieldIndexes Any later,
    DescribeImportTaskBatches Any later,
    DescribeImportTasks Any later,
    DescribeIndexPolicies LogGroup implemented,
    DescribeLogGroups LogGroup implemented,
    DescribeLogStreams LogGroup implemented,
    DescribeLookupTables Any later,
    DescribeMetricFilters LogGroup implemented,
    DescribeQueries Any later,
    DescribeQueryDefinitions Any later,
    DescribeResourcePolicies Any later,
    DescribeSubscriptionFilters LogGroup implemented,
    DisassociateKmsKey Any later,
    DisassociateSourceFromS3TableIntegration Any later,
    FilterLogEvents LogGroup implemented,
    GetDataProtectionPolicy Any later,
    GetDelivery Any later,
    GetDeliveryDestination Any later,
    GetDeliveryDestinationPolicy Any later,
    GetDeliverySource Any later,
    GetIntegration Any later,
    GetLogAnomalyDetector Any later,
    GetLogEvents LogStream implemented,
    GetLogFields Any later,
    GetLogGroupFields Any later,
    GetLogObject Any later,
    GetLogRecord Any later,
    GetLookupTable Any later,
    GetQueryResults Any later,
    GetScheduledQuery Any later,
    GetScheduledQueryHistory Any later,
    GetStorageTierPolicy Any later,
    GetTransformer Any later,
    ListAggregateLogGroupSummaries Any later,
    ListAnomalies Any later,
    ListIntegrations Any later,
    ListLogAnomalyDetectors Any later,
    ListLogGroups Any later,
    ListLogGroupsForQuery Any later,
    ListScheduledQueries Any later,
    ListSourcesForS3TableIntegration Any later,
    ListSyslogConfigurations Any later,
    ListTagsForResource LogGroup implemented,
    ListTagsLogGroup LogGroup implemented,
    PutAccountPolicy Any later,
    PutBearerTokenAuthentication Any later,
    PutDataProtectionPolicy Any later,
    PutDeliveryDestination Any later,
    PutDeliveryDestinationPolicy Any later,
    PutDeliverySource Any later,
    PutDestination Any later,
    PutDestinationPolicy Any later,
    PutIndexPolicy Any later,
    PutIntegration Any later,
    PutLogEvents LogStream implemented,
    PutLogGroupDeletionProtection LogGroup implemented,
    PutMetricFilter Any later,
    PutQueryDefinition Any later,
    PutResourcePolicy Any later,
    PutRetentionPolicy LogGroup implemented,
    PutStorageTierPolicy Any later,
    PutSubscriptionFilter Any later,
    PutSyslogConfiguration Any later,
    PutTransformer Any later,
    StartLiveTail LogGroup implemented,
    StartQuery Any later,
    StopQuery Any later,
    TagLogGroup LogGroup implemented,
    TagResource LogGroup implemented,
    TestMetricFilter Any later,
    TestTransformer Any later,
    UntagLogGroup LogGroup implemented,
    UntagResource LogGroup implemented,
    UpdateAnomaly Any later,
    UpdateDeliveryConfiguration Any later,
    UpdateLogAnomalyDetector Any later,
    UpdateLookupTable Any later,
    UpdateScheduledQuery Any later,
};

/// Every operation of Elastic Container Registry's API 2015-09-21, by name.
pub const ECR_OPERATIONS: [OperationInfo; 62] = table! { "ecr":
    BatchCheckLayerAvailability Repository implemented,
    BatchDeleteImage Repository implemented,
    BatchGetImage Repository implemented,
    BatchGetRepositoryScanningConfiguration Any later,
    CompleteLayerUpload Repository implemented,
    CreatePullThroughCacheRule Any later,
    CreateRepository Repository implemented,
    CreateRepositoryCreationTemplate Any later,
    DeleteLifecyclePolicy Repository implemented,
    DeletePullThroughCacheRule Any later,
    DeleteRegistryPolicy Any later,
    DeleteRepository Repository implemented,
    DeleteRepositoryCreationTemplate Any later,
    DeleteRepositoryPolicy Repository implemented,
    DeleteSigningConfiguration Any later,
    DeregisterPullTimeUpdateExclusion Any later,
    DescribeImageReplicationStatus Any later,
    DescribeImageScanFindings Any later,
    DescribeImageSigningStatus Any later,
    DescribeImages Repository implemented,
    DescribePullThroughCacheRules Any later,
    DescribeRegistry Any later,
    DescribeReplicationBackfillResults Any later,
    DescribeRepositories Repository implemented,
    DescribeRepositoryCreationTemplates Any later,
    GetAccountSetting Any later,
    GetAuthorizationToken Any implemented,
    GetDownloadUrlForLayer Repository implemented,
    GetLifecyclePolicy Repository implemented,
    GetLifecyclePolicyPreview Repository implemented,
    GetRegistryPolicy Any later,
    GetRegistryScanningConfiguration Any later,
    GetRepositoryPolicy Repository implemented,
    GetSigningConfiguration Any later,
    InitiateLayerUpload Repository implemented,
    ListImageReferrers Repository implemented,
    ListImages Repository implemented,
    ListPullTimeUpdateExclusions Any later,
    ListReplicationBackfills Any later,
    ListTagsForResource Repository implemented,
    PutAccountSetting Any later,
    PutImage Repository implemented,
    PutImageScanningConfiguration Repository implemented,
    PutImageTagMutability Repository implemented,
    PutLifecyclePolicy Repository implemented,
    PutRegistryPolicy Any later,
    PutRegistryScanningConfiguration Any later,
    PutReplicationConfiguration Any later,
    PutSigningConfiguration Any later,
    RegisterPullTimeUpdateExclusion Any later,
    SetRepositoryPolicy Repository implemented,
    StartImageScan Any later,
    StartLifecyclePolicyPreview Repository implemented,
    StartReplicationBackfill Any later,
    StopReplicationBackfill Any later,
    TagResource Repository implemented,
    UntagResource Repository implemented,
    UpdateImageStorageClass Any later,
    UpdatePullThroughCacheRule Any later,
    UpdateRepositoryCreationTemplate Any later,
    UploadLayerPart Repository implemented,
    ValidatePullThroughCacheRule Any later,
};

/// Every operation of CodeCommit's API 2015-04-13, by name.
pub const CODECOMMIT_OPERATIONS: [OperationInfo; 80] = table! { "codecommit":
    AssociateApprovalRuleTemplateWithRepository Any later,
    BatchAssociateApprovalRuleTemplateWithRepositories Any later,
    BatchDescribeMergeConflicts Any later,
    BatchDisassociateApprovalRuleTemplateFromRepositories Any later,
    BatchGetCommits GitRepository implemented,
    BatchGetRepositories GitRepository implemented,
    CreateApprovalRuleTemplate Any later,
    CreateBranch GitRepository implemented,
    CreateCommit GitRepository implemented,
    CreatePullRequest Any later,
    CreatePullRequestApprovalRule Any later,
    CreateRepository GitRepository implemented,
    CreateUnreferencedMergeCommit Any later,
    DeleteApprovalRuleTemplate Any later,
    DeleteBranch GitRepository implemented,
    DeleteCommentContent Any later,
    DeleteFile GitRepository implemented,
    DeletePullRequestApprovalRule Any later,
    DeleteRepository GitRepository implemented,
    DescribeMergeConflicts Any later,
    DescribePullRequestEvents Any later,
    DisassociateApprovalRuleTemplateFromRepository Any later,
    EvaluatePullRequestApprovalRules Any later,
    GetApprovalRuleTemplate Any later,
    GetBlob GitRepository implemented,
    GetBlobDifferences Any later,
    GetBranch GitRepository implemented,
    GetComment Any later,
    GetCommentReactions Any later,
    GetCommentsForComparedCommit Any later,
    GetCommentsForPullRequest Any later,
    GetCommit GitRepository implemented,
    GetDifferences GitRepository implemented,
    GetFile GitRepository implemented,
    GetFolder GitRepository implemented,
    GetMergeCommit Any later,
    GetMergeConflicts Any later,
    GetMergeOptions Any later,
    GetPullRequest Any later,
    GetPullRequestApprovalStates Any later,
    GetPullRequestOverrideState Any later,
    GetRepository GitRepository implemented,
    GetRepositoryTriggers GitRepository implemented,
    ListApprovalRuleTemplates Any later,
    ListAssociatedApprovalRuleTemplatesForRepository Any later,
    ListBranches GitRepository implemented,
    ListFileCommitHistory Any later,
    ListPullRequests Any later,
    ListRepositories Any implemented,
    ListRepositoriesForApprovalRuleTemplate Any later,
    ListTagsForResource GitRepository implemented,
    MergeBranchesByFastForward Any later,
    MergeBranchesBySquash Any later,
    MergeBranchesByThreeWay Any later,
    MergePullRequestByFastForward Any later,
    MergePullRequestBySquash Any later,
    MergePullRequestByThreeWay Any later,
    OverridePullRequestApprovalRules Any later,
    PostCommentForComparedCommit Any later,
    PostCommentForPullRequest Any later,
    PostCommentReply Any later,
    PutCommentReaction Any later,
    PutFile GitRepository implemented,
    PutRepositoryTriggers GitRepository implemented,
    TagResource GitRepository implemented,
    TestRepositoryTriggers GitRepository implemented,
    UntagResource GitRepository implemented,
    UpdateApprovalRuleTemplateContent Any later,
    UpdateApprovalRuleTemplateDescription Any later,
    UpdateApprovalRuleTemplateName Any later,
    UpdateComment Any later,
    UpdateDefaultBranch GitRepository implemented,
    UpdatePullRequestApprovalRuleContent Any later,
    UpdatePullRequestApprovalState Any later,
    UpdatePullRequestDescription Any later,
    UpdatePullRequestStatus Any later,
    UpdatePullRequestTitle Any later,
    UpdateRepositoryDescription GitRepository implemented,
    UpdateRepositoryEncryptionKey Any later,
    UpdateRepositoryName GitRepository implemented,
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

/// The operation of KMS with that name.
#[must_use]
pub fn kms_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&KMS_OPERATIONS, name)
}

/// The operation of Secrets Manager with that name.
#[must_use]
pub fn secrets_manager_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&SECRETS_MANAGER_OPERATIONS, name)
}

/// The operation of Parameter Store with that name.
#[must_use]
pub fn ssm_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&SSM_OPERATIONS, name)
}

/// The operation of CloudWatch with that name.
#[must_use]
pub fn cloudwatch_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&CLOUDWATCH_OPERATIONS, name)
}

/// The operation of CloudWatch Logs with that name.
#[must_use]
pub fn logs_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&LOGS_OPERATIONS, name)
}

/// The operation of Elastic Container Registry with that name.
#[must_use]
pub fn ecr_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&ECR_OPERATIONS, name)
}

/// The operation of CodeCommit with that name.
#[must_use]
pub fn codecommit_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&CODECOMMIT_OPERATIONS, name)
}

/// The operation of IAM with that name.
#[must_use]
pub fn iam_operation(name: &str) -> Option<&'static OperationInfo> {
    find(&IAM_OPERATIONS, name)
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
            CreateWebhook create_webhook CreateWebhookInput CreateWebhookOutput,
            DeleteProject delete_project DeleteProjectInput DeleteProjectOutput,
            DeleteResourcePolicy delete_resource_policy DeleteResourcePolicyInput DeleteResourcePolicyOutput,
            DeleteSourceCredentials delete_source_credentials
                DeleteSourceCredentialsInput DeleteSourceCredentialsOutput,
            DeleteWebhook delete_webhook DeleteWebhookInput DeleteWebhookOutput,
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
            UpdateWebhook update_webhook UpdateWebhookInput UpdateWebhookOutput,
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
            CountBuildLog count_build_log CountBuildLogInput CountBuildLogOutput,
            CreateConsoleLink create_console_link CreateConsoleLinkInput CreateConsoleLinkOutput,
            DeleteCaches delete_caches DeleteCachesInput DeleteCachesOutput,
            DescribeBuild describe_build DescribeBuildInput DescribeBuildOutput,
            DescribeQueue describe_queue DescribeQueueInput DescribeQueueOutput,
            DescribeRule describe_rule DescribeRuleInput DescribeRuleOutput,
            ExplainAccess explain_access ExplainAccessInput ExplainAccessOutput,
            GetBuildLog get_build_log GetBuildLogInput GetBuildLogOutput,
            GetWebhookDelivery get_webhook_delivery GetWebhookDeliveryInput GetWebhookDeliveryOutput,
            LintBuildspec lint_buildspec LintBuildspecInput LintBuildspecOutput,
            ListCaches list_caches ListCachesInput ListCachesOutput,
            ListWebhookDeliveries list_webhook_deliveries ListWebhookDeliveriesInput ListWebhookDeliveriesOutput,
            LookupEvents lookup_events LookupEventsInput LookupEventsOutput,
            RedeliverWebhookDelivery redeliver_webhook_delivery
                RedeliverWebhookDeliveryInput RedeliverWebhookDeliveryOutput,
            SearchBuildLog search_build_log SearchBuildLogInput SearchBuildLogOutput,
            VerifyAuditLog verify_audit_log VerifyAuditLogInput VerifyAuditLogOutput,
        }
    };
}

/// Calls a macro with every implemented operation of KMS: its name, the method of [`crate::service::Kms`], and the shapes
/// of input and output in [`crate::kms`].
#[macro_export]
macro_rules! for_each_kms_operation {
    ($callback:ident) => {
        $callback! {
            CancelKeyDeletion cancel_key_deletion CancelKeyDeletionRequest CancelKeyDeletionResponse,
            CreateAlias create_alias CreateAliasRequest Empty,
            CreateGrant create_grant CreateGrantRequest CreateGrantResponse,
            CreateKey create_key CreateKeyRequest CreateKeyResponse,
            Decrypt decrypt DecryptRequest DecryptResponse,
            DeleteAlias delete_alias DeleteAliasRequest Empty,
            DescribeKey describe_key DescribeKeyRequest DescribeKeyResponse,
            DisableKey disable_key DisableKeyRequest Empty,
            DisableKeyRotation disable_key_rotation DisableKeyRotationRequest Empty,
            EnableKey enable_key EnableKeyRequest Empty,
            EnableKeyRotation enable_key_rotation EnableKeyRotationRequest Empty,
            Encrypt encrypt EncryptRequest EncryptResponse,
            GenerateDataKey generate_data_key GenerateDataKeyRequest GenerateDataKeyResponse,
            GenerateDataKeyWithoutPlaintext generate_data_key_without_plaintext GenerateDataKeyWithoutPlaintextRequest GenerateDataKeyWithoutPlaintextResponse,
            GenerateRandom generate_random GenerateRandomRequest GenerateRandomResponse,
            GetKeyPolicy get_key_policy GetKeyPolicyRequest GetKeyPolicyResponse,
            GetKeyRotationStatus get_key_rotation_status GetKeyRotationStatusRequest GetKeyRotationStatusResponse,
            ListAliases list_aliases ListAliasesRequest ListAliasesResponse,
            ListGrants list_grants ListGrantsRequest ListGrantsResponse,
            ListKeyPolicies list_key_policies ListKeyPoliciesRequest ListKeyPoliciesResponse,
            ListKeyRotations list_key_rotations ListKeyRotationsRequest ListKeyRotationsResponse,
            ListKeys list_keys ListKeysRequest ListKeysResponse,
            ListResourceTags list_resource_tags ListResourceTagsRequest ListResourceTagsResponse,
            ListRetirableGrants list_retirable_grants ListRetirableGrantsRequest ListGrantsResponse,
            PutKeyPolicy put_key_policy PutKeyPolicyRequest Empty,
            ReEncrypt re_encrypt ReEncryptRequest ReEncryptResponse,
            RetireGrant retire_grant RetireGrantRequest Empty,
            RevokeGrant revoke_grant RevokeGrantRequest Empty,
            RotateKeyOnDemand rotate_key_on_demand RotateKeyOnDemandRequest RotateKeyOnDemandResponse,
            ScheduleKeyDeletion schedule_key_deletion ScheduleKeyDeletionRequest ScheduleKeyDeletionResponse,
            TagResource tag_resource TagResourceRequest Empty,
            UntagResource untag_resource UntagResourceRequest Empty,
            UpdateAlias update_alias UpdateAliasRequest Empty,
            UpdateKeyDescription update_key_description UpdateKeyDescriptionRequest Empty,
        }
    };
}

/// Calls a macro with every implemented operation of Secrets Manager: its name, the method of
/// [`crate::service::SecretsManager`], and the shapes of input and output in [`crate::secretsmanager`].
#[macro_export]
macro_rules! for_each_secrets_manager_operation {
    ($callback:ident) => {
        $callback! {
            BatchGetSecretValue batch_get_secret_value BatchGetSecretValueRequest BatchGetSecretValueResponse,
            CreateSecret create_secret CreateSecretRequest CreateSecretResponse,
            DeleteResourcePolicy delete_resource_policy DeleteResourcePolicyRequest DeleteResourcePolicyResponse,
            DeleteSecret delete_secret DeleteSecretRequest DeleteSecretResponse,
            DescribeSecret describe_secret DescribeSecretRequest DescribeSecretResponse,
            GetRandomPassword get_random_password GetRandomPasswordRequest GetRandomPasswordResponse,
            GetResourcePolicy get_resource_policy GetResourcePolicyRequest GetResourcePolicyResponse,
            GetSecretValue get_secret_value GetSecretValueRequest GetSecretValueResponse,
            ListSecretVersionIds list_secret_version_ids ListSecretVersionIdsRequest ListSecretVersionIdsResponse,
            ListSecrets list_secrets ListSecretsRequest ListSecretsResponse,
            PutResourcePolicy put_resource_policy PutResourcePolicyRequest PutResourcePolicyResponse,
            PutSecretValue put_secret_value PutSecretValueRequest PutSecretValueResponse,
            RestoreSecret restore_secret RestoreSecretRequest RestoreSecretResponse,
            TagResource tag_resource TagResourceRequest Empty,
            UntagResource untag_resource UntagResourceRequest Empty,
            UpdateSecret update_secret UpdateSecretRequest UpdateSecretResponse,
            UpdateSecretVersionStage update_secret_version_stage
                UpdateSecretVersionStageRequest UpdateSecretVersionStageResponse,
            ValidateResourcePolicy validate_resource_policy
                ValidateResourcePolicyRequest ValidateResourcePolicyResponse,
        }
    };
}

/// Calls a macro with every operation of Parameter Store: its name, the method of [`crate::service::Ssm`], and the shapes
/// of input and output in [`crate::ssm`].
#[macro_export]
macro_rules! for_each_ssm_operation {
    ($callback:ident) => {
        $callback! {
            AddTagsToResource add_tags_to_resource AddTagsToResourceRequest AddTagsToResourceResult,
            DeleteParameter delete_parameter DeleteParameterRequest DeleteParameterResult,
            DeleteParameters delete_parameters DeleteParametersRequest DeleteParametersResult,
            DescribeParameters describe_parameters DescribeParametersRequest DescribeParametersResult,
            GetParameter get_parameter GetParameterRequest GetParameterResult,
            GetParameterHistory get_parameter_history GetParameterHistoryRequest GetParameterHistoryResult,
            GetParameters get_parameters GetParametersRequest GetParametersResult,
            GetParametersByPath get_parameters_by_path GetParametersByPathRequest GetParametersByPathResult,
            LabelParameterVersion label_parameter_version LabelParameterVersionRequest LabelParameterVersionResult,
            ListTagsForResource list_tags_for_resource ListTagsForResourceRequest ListTagsForResourceResult,
            PutParameter put_parameter PutParameterRequest PutParameterResult,
            RemoveTagsFromResource remove_tags_from_resource
                RemoveTagsFromResourceRequest RemoveTagsFromResourceResult,
            UnlabelParameterVersion unlabel_parameter_version
                UnlabelParameterVersionRequest UnlabelParameterVersionResult,
        }
    };
}

/// Calls a macro with every operation of CloudWatch: its name, the method of [`crate::service::CloudWatch`], and the
/// shapes of input and output in [`crate::cloudwatch`].
#[macro_export]
macro_rules! for_each_cloudwatch_operation {
    ($callback:ident) => {
        $callback! {
            GetMetricData get_metric_data GetMetricDataInput GetMetricDataOutput,
            GetMetricStatistics get_metric_statistics GetMetricStatisticsInput GetMetricStatisticsOutput,
            ListMetrics list_metrics ListMetricsInput ListMetricsOutput,
            PutMetricData put_metric_data PutMetricDataInput PutMetricDataOutput,
        }
    };
}

/// Calls a macro with every implemented operation of CloudWatch Logs that answers JSON: its name, the method of
/// [`crate::service::Logs`], and the shapes of input and output in [`crate::logs`]. `StartLiveTail` answers events and is a
/// method of the trait alone.
#[macro_export]
macro_rules! for_each_logs_operation {
    ($callback:ident) => {
        $callback! {
            CreateLogGroup create_log_group CreateLogGroupRequest Empty,
            CreateLogStream create_log_stream CreateLogStreamRequest Empty,
            DeleteLogGroup delete_log_group DeleteLogGroupRequest Empty,
            DeleteLogStream delete_log_stream DeleteLogStreamRequest Empty,
            DeleteRetentionPolicy delete_retention_policy DeleteRetentionPolicyRequest Empty,
            DescribeIndexPolicies describe_index_policies DescribeIndexPoliciesRequest DescribeIndexPoliciesResponse,
            DescribeLogGroups describe_log_groups DescribeLogGroupsRequest DescribeLogGroupsResponse,
            DescribeLogStreams describe_log_streams DescribeLogStreamsRequest DescribeLogStreamsResponse,
            DescribeMetricFilters describe_metric_filters DescribeMetricFiltersRequest DescribeMetricFiltersResponse,
            DescribeSubscriptionFilters describe_subscription_filters
                DescribeSubscriptionFiltersRequest DescribeSubscriptionFiltersResponse,
            FilterLogEvents filter_log_events FilterLogEventsRequest FilterLogEventsResponse,
            GetLogEvents get_log_events GetLogEventsRequest GetLogEventsResponse,
            ListTagsForResource list_tags_for_resource ListTagsForResourceRequest ListTagsForResourceResponse,
            ListTagsLogGroup list_tags_log_group ListTagsLogGroupRequest ListTagsLogGroupResponse,
            PutLogEvents put_log_events PutLogEventsRequest PutLogEventsResponse,
            PutLogGroupDeletionProtection put_log_group_deletion_protection PutLogGroupDeletionProtectionRequest Empty,
            PutRetentionPolicy put_retention_policy PutRetentionPolicyRequest Empty,
            TagLogGroup tag_log_group TagLogGroupRequest Empty,
            TagResource tag_resource TagResourceRequest Empty,
            UntagLogGroup untag_log_group UntagLogGroupRequest Empty,
            UntagResource untag_resource UntagResourceRequest Empty,
        }
    };
}

/// Calls a macro with every implemented operation of Elastic Container Registry: its name, the method of
/// [`crate::service::Ecr`], and the shapes of input and output in [`crate::ecr`].
#[macro_export]
macro_rules! for_each_ecr_operation {
    ($callback:ident) => {
        $callback! {
            BatchCheckLayerAvailability batch_check_layer_availability
                BatchCheckLayerAvailabilityRequest BatchCheckLayerAvailabilityResponse,
            BatchDeleteImage batch_delete_image BatchDeleteImageRequest BatchDeleteImageResponse,
            BatchGetImage batch_get_image BatchGetImageRequest BatchGetImageResponse,
            CompleteLayerUpload complete_layer_upload CompleteLayerUploadRequest CompleteLayerUploadResponse,
            CreateRepository create_repository CreateRepositoryRequest CreateRepositoryResponse,
            DeleteLifecyclePolicy delete_lifecycle_policy DeleteLifecyclePolicyRequest DeleteLifecyclePolicyResponse,
            DeleteRepository delete_repository DeleteRepositoryRequest DeleteRepositoryResponse,
            DeleteRepositoryPolicy delete_repository_policy
                DeleteRepositoryPolicyRequest DeleteRepositoryPolicyResponse,
            DescribeImages describe_images DescribeImagesRequest DescribeImagesResponse,
            DescribeRepositories describe_repositories DescribeRepositoriesRequest DescribeRepositoriesResponse,
            GetAuthorizationToken get_authorization_token GetAuthorizationTokenRequest GetAuthorizationTokenResponse,
            GetDownloadUrlForLayer get_download_url_for_layer
                GetDownloadUrlForLayerRequest GetDownloadUrlForLayerResponse,
            GetLifecyclePolicy get_lifecycle_policy GetLifecyclePolicyRequest GetLifecyclePolicyResponse,
            GetLifecyclePolicyPreview get_lifecycle_policy_preview
                GetLifecyclePolicyPreviewRequest GetLifecyclePolicyPreviewResponse,
            GetRepositoryPolicy get_repository_policy GetRepositoryPolicyRequest GetRepositoryPolicyResponse,
            InitiateLayerUpload initiate_layer_upload InitiateLayerUploadRequest InitiateLayerUploadResponse,
            ListImageReferrers list_image_referrers ListImageReferrersRequest ListImageReferrersResponse,
            ListImages list_images ListImagesRequest ListImagesResponse,
            ListTagsForResource list_tags_for_resource ListTagsForResourceRequest ListTagsForResourceResponse,
            PutImage put_image PutImageRequest PutImageResponse,
            PutImageScanningConfiguration put_image_scanning_configuration
                PutImageScanningConfigurationRequest PutImageScanningConfigurationResponse,
            PutImageTagMutability put_image_tag_mutability PutImageTagMutabilityRequest PutImageTagMutabilityResponse,
            PutLifecyclePolicy put_lifecycle_policy PutLifecyclePolicyRequest PutLifecyclePolicyResponse,
            SetRepositoryPolicy set_repository_policy SetRepositoryPolicyRequest SetRepositoryPolicyResponse,
            StartLifecyclePolicyPreview start_lifecycle_policy_preview
                StartLifecyclePolicyPreviewRequest StartLifecyclePolicyPreviewResponse,
            TagResource tag_resource TagResourceRequest TagResourceResponse,
            UntagResource untag_resource UntagResourceRequest UntagResourceResponse,
            UploadLayerPart upload_layer_part UploadLayerPartRequest UploadLayerPartResponse,
        }
    };
}

/// Calls a macro with every implemented operation of CodeCommit: its name, the method of [`crate::service::CodeCommit`],
/// and the shapes of input and output in [`crate::codecommit`].
#[macro_export]
macro_rules! for_each_codecommit_operation {
    ($callback:ident) => {
        $callback! {
            BatchGetCommits batch_get_commits BatchGetCommitsInput BatchGetCommitsOutput,
            BatchGetRepositories batch_get_repositories BatchGetRepositoriesInput BatchGetRepositoriesOutput,
            CreateBranch create_branch CreateBranchInput Empty,
            CreateCommit create_commit CreateCommitInput CreateCommitOutput,
            CreateRepository create_repository CreateRepositoryInput CreateRepositoryOutput,
            DeleteBranch delete_branch DeleteBranchInput DeleteBranchOutput,
            DeleteFile delete_file DeleteFileInput DeleteFileOutput,
            DeleteRepository delete_repository DeleteRepositoryInput DeleteRepositoryOutput,
            GetBlob get_blob GetBlobInput GetBlobOutput,
            GetBranch get_branch GetBranchInput GetBranchOutput,
            GetCommit get_commit GetCommitInput GetCommitOutput,
            GetDifferences get_differences GetDifferencesInput GetDifferencesOutput,
            GetFile get_file GetFileInput GetFileOutput,
            GetFolder get_folder GetFolderInput GetFolderOutput,
            GetRepository get_repository GetRepositoryInput GetRepositoryOutput,
            GetRepositoryTriggers get_repository_triggers GetRepositoryTriggersInput GetRepositoryTriggersOutput,
            ListBranches list_branches ListBranchesInput ListBranchesOutput,
            ListRepositories list_repositories ListRepositoriesInput ListRepositoriesOutput,
            ListTagsForResource list_tags_for_resource ListTagsForResourceInput ListTagsForResourceOutput,
            PutFile put_file PutFileInput PutFileOutput,
            PutRepositoryTriggers put_repository_triggers PutRepositoryTriggersInput PutRepositoryTriggersOutput,
            TagResource tag_resource TagResourceInput Empty,
            TestRepositoryTriggers test_repository_triggers TestRepositoryTriggersInput TestRepositoryTriggersOutput,
            UntagResource untag_resource UntagResourceInput Empty,
            UpdateDefaultBranch update_default_branch UpdateDefaultBranchInput Empty,
            UpdateRepositoryDescription update_repository_description UpdateRepositoryDescriptionInput Empty,
            UpdateRepositoryName update_repository_name UpdateRepositoryNameInput Empty,
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_found_by_name() {
        for table in [
            OPERATIONS.as_slice(),
            KILN_OPERATIONS.as_slice(),
            KMS_OPERATIONS.as_slice(),
            IAM_OPERATIONS.as_slice(),
            SECRETS_MANAGER_OPERATIONS.as_slice(),
            SSM_OPERATIONS.as_slice(),
            CLOUDWATCH_OPERATIONS.as_slice(),
            LOGS_OPERATIONS.as_slice(),
            ECR_OPERATIONS.as_slice(),
            CODECOMMIT_OPERATIONS.as_slice(),
        ] {
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
        let listed: Vec<_> = for_each_kms_operation!(names).into_iter().collect();
        let implemented: Vec<_> = KMS_OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        let listed: Vec<_> = for_each_secrets_manager_operation!(names).into_iter().collect();
        let implemented: Vec<_> = SECRETS_MANAGER_OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        let listed: Vec<_> = for_each_ssm_operation!(names).into_iter().collect();
        assert_eq!(listed, SSM_OPERATIONS.map(|o| o.name));
        let listed: Vec<_> = for_each_cloudwatch_operation!(names).into_iter().collect();
        assert_eq!(listed, CLOUDWATCH_OPERATIONS.map(|o| o.name));
        let listed: Vec<_> = for_each_logs_operation!(names).into_iter().collect();
        let answers_json = |o: &&OperationInfo| o.implemented && o.name != "StartLiveTail";
        let implemented: Vec<_> = LOGS_OPERATIONS.iter().filter(answers_json).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        let listed: Vec<_> = for_each_ecr_operation!(names).into_iter().collect();
        let implemented: Vec<_> = ECR_OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
        let listed: Vec<_> = for_each_codecommit_operation!(names).into_iter().collect();
        let implemented: Vec<_> = CODECOMMIT_OPERATIONS.iter().filter(|o| o.implemented).map(|o| o.name).collect();
        assert_eq!(listed, implemented);
    }
}
