//! The constraints, shape by shape.

use super::{Member, Pattern, Rule, Structure};
use crate::{
    codebuild::{
        ArtifactNamespace, ArtifactPackaging, ArtifactsType, AuthType, BatchDeleteBuildsInput, BatchGetBuildsInput,
        BatchGetProjectsInput, BatchReportModeType, BucketOwnerAccess, CacheMode, CacheType, ComputeType,
        CreateProjectInput, CreateWebhookInput, CredentialProviderType, DeleteProjectInput, DeleteResourcePolicyInput,
        DeleteSourceCredentialsInput, DeleteWebhookInput, EnvironmentType, EnvironmentVariableType, FileSystemType,
        GetResourcePolicyInput, HostKernel, ImagePullCredentialsType, ImportSourceCredentialsInput,
        InvalidateProjectCacheInput, ListBuildsForProjectInput, ListBuildsInput, ListCuratedEnvironmentImagesInput,
        ListProjectsInput, ListSharedProjectsInput, ListSharedReportGroupsInput, ListSourceCredentialsInput,
        LogsConfigStatusType, MachineType, ProjectSortByType, ProjectVisibilityType, PullRequestBuildApproverRole,
        PullRequestBuildCommentApproval, PutResourcePolicyInput, RetryBuildInput, ServerType, SharedResourceSortByType,
        SortOrderType, SourceAuthType, SourceType, StartBuildInput, StopBuildInput, UpdateProjectInput,
        UpdateProjectVisibilityInput, UpdateWebhookInput, WebhookBuildType, WebhookFilterType, WebhookScopeType,
    },
    decode::Input,
    kiln::{
        CountBuildLogInput, CreateConsoleLinkInput, DebugBuildInput, DeleteCachesInput, DescribeBuildInput,
        DescribeQueueInput, DescribeRuleInput, ExplainAccessInput, GetBuildArtifactInput, GetBuildJournalInput,
        GetBuildLogInput, GetPublicBuildArtifactInput, GetPublicBuildInput, GetPublicBuildLogInput,
        GetWebhookDeliveryInput, LintBuildspecInput, ListCachesInput, ListPublicBuildsInput,
        ListWebhookDeliveriesInput, LookupEventsInput, MOST_DELIVERIES, MOST_EVENTS, MOST_LINES, MOST_MATCHES,
        RedeliverWebhookDeliveryInput, SearchBuildLogInput, UploadSourceInput, VerifyAuditLogInput,
    },
};

pub(super) const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, required: true, rule }
}

pub(super) const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, required: false, rule }
}

pub(super) const fn one_of(names: &'static [&'static str]) -> Rule {
    Rule::OneOf { names, called: None }
}

pub(super) const fn list(min: usize, max: usize, item: &'static Rule) -> Rule {
    Rule::List { min, max, item }
}

/// A text of so many characters.
pub(super) const fn text(min: usize, max: usize) -> Rule {
    Rule::Text { min, max, pattern: None }
}

/// The same, of a form.
pub(super) const fn formed(min: usize, max: usize, pattern: Pattern) -> Rule {
    Rule::Text { min, max, pattern: Some(pattern) }
}

/// A text of so many characters that no message may repeat.
pub(super) const fn hidden(min: usize, max: usize) -> Rule {
    Rule::Hidden { min, max }
}

/// `NonEmptyString`.
const NON_EMPTY: Rule = Rule::Text { min: 1, max: usize::MAX, pattern: None };
/// `ProjectDescription`.
const DESCRIPTION: Rule = Rule::Text { min: 0, max: 255, pattern: None };
/// `BuildTimeOut`, minutes.
const BUILD_TIME_OUT: Rule = Rule::Number { min: 5, max: 2160 };
/// `TimeOut`, minutes.
const TIME_OUT: Rule = Rule::Number { min: 5, max: 480 };
/// `GitCloneDepth`.
const GIT_CLONE_DEPTH: Rule = Rule::Number { min: 0, max: i64::MAX };
/// `PageSize`.
const PAGE_SIZE: Rule = Rule::Number { min: 1, max: 100 };
/// `ProjectNames`, `BuildIds`.
const NAMES: Rule = list(1, 100, &NON_EMPTY);
/// Lists of texts that are not empty.
const TEXTS: Rule = list(0, usize::MAX, &NON_EMPTY);
const COMPUTE_TYPE: Rule = Rule::OneOf { names: ComputeType::NAMES, called: Some("compute type") };
const ENVIRONMENT_TYPE: Rule = Rule::OneOf { names: EnvironmentType::NAMES, called: Some("type") };
const SOURCE_TYPE: Rule = Rule::OneOf { names: SourceType::NAMES, called: Some("type") };
const ARTIFACTS_TYPE: Rule = Rule::OneOf { names: ArtifactsType::NAMES, called: Some("type") };
const SORT_ORDER: Rule = one_of(SortOrderType::NAMES);

const SOURCE: Rule = Rule::Structure(&Structure {
    name: "ProjectSource",
    members: &[
        required("type", SOURCE_TYPE),
        optional("gitCloneDepth", GIT_CLONE_DEPTH),
        optional("gitSubmodulesConfig", SUBMODULES),
        optional("auth", SOURCE_AUTH),
    ],
});

const SUBMODULES: Rule =
    Rule::Structure(&Structure { name: "GitSubmodulesConfig", members: &[required("fetchSubmodules", Rule::Any)] });

const SOURCE_AUTH: Rule =
    Rule::Structure(&Structure { name: "SourceAuth", members: &[required("type", one_of(SourceAuthType::NAMES))] });

const SOURCES: Rule = list(0, 12, &SOURCE);

const SOURCE_VERSIONS: Rule = list(
    0,
    12,
    &Rule::Structure(&Structure {
        name: "ProjectSourceVersion",
        members: &[required("sourceIdentifier", Rule::Any), required("sourceVersion", Rule::Any)],
    }),
);

const ARTIFACTS: Rule = Rule::Structure(&Structure {
    name: "ProjectArtifacts",
    members: &[
        required("type", ARTIFACTS_TYPE),
        optional("namespaceType", one_of(ArtifactNamespace::NAMES)),
        optional("packaging", one_of(ArtifactPackaging::NAMES)),
        optional("bucketOwnerAccess", one_of(BucketOwnerAccess::NAMES)),
    ],
});

const ARTIFACTS_LIST: Rule = list(0, 12, &ARTIFACTS);

const CACHE: Rule = Rule::Structure(&Structure {
    name: "ProjectCache",
    members: &[
        required("type", one_of(CacheType::NAMES)),
        optional("modes", list(0, usize::MAX, &one_of(CacheMode::NAMES))),
    ],
});

const ENVIRONMENT: Rule = Rule::Structure(&Structure {
    name: "ProjectEnvironment",
    members: &[
        required("type", ENVIRONMENT_TYPE),
        required("image", NON_EMPTY),
        required("computeType", COMPUTE_TYPE),
        optional(
            "computeConfiguration",
            Rule::Structure(&Structure {
                name: "ComputeConfiguration",
                members: &[optional("machineType", one_of(MachineType::NAMES)), optional("instanceType", NON_EMPTY)],
            }),
        ),
        optional("environmentVariables", VARIABLES),
        optional("registryCredential", REGISTRY_CREDENTIAL),
        optional("imagePullCredentialsType", one_of(ImagePullCredentialsType::NAMES)),
        optional(
            "dockerServer",
            Rule::Structure(&Structure {
                name: "DockerServer",
                members: &[required("computeType", COMPUTE_TYPE), optional("securityGroupIds", SECURITY_GROUPS)],
            }),
        ),
        optional("hostKernel", one_of(HostKernel::NAMES)),
    ],
});

const VARIABLES: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "EnvironmentVariable",
        members: &[
            required("name", NON_EMPTY),
            required("value", Rule::Any),
            optional("type", one_of(EnvironmentVariableType::NAMES)),
        ],
    }),
);

const REGISTRY_CREDENTIAL: Rule = Rule::Structure(&Structure {
    name: "RegistryCredential",
    members: &[
        required("credential", NON_EMPTY),
        required("credentialProvider", one_of(CredentialProviderType::NAMES)),
    ],
});

const SECURITY_GROUPS: Rule = list(0, 5, &NON_EMPTY);

const TAG_KEY: Rule = Rule::Text { min: 1, max: 127, pattern: Some(Pattern::Tag) };
const TAG_VALUE: Rule = Rule::Text { min: 0, max: 255, pattern: Some(Pattern::Tag) };

const TAGS: Rule = list(
    0,
    50,
    &Rule::Structure(&Structure { name: "Tag", members: &[optional("key", TAG_KEY), optional("value", TAG_VALUE)] }),
);

const VPC_CONFIG: Rule = Rule::Structure(&Structure {
    name: "VpcConfig",
    members: &[
        optional("vpcId", NON_EMPTY),
        optional("subnets", list(0, 16, &NON_EMPTY)),
        optional("securityGroupIds", SECURITY_GROUPS),
    ],
});

const LOGS_STATUS: Rule = one_of(LogsConfigStatusType::NAMES);

const LOGS_CONFIG: Rule = Rule::Structure(&Structure {
    name: "LogsConfig",
    members: &[
        optional(
            "cloudWatchLogs",
            Rule::Structure(&Structure { name: "CloudWatchLogsConfig", members: &[required("status", LOGS_STATUS)] }),
        ),
        optional(
            "s3Logs",
            Rule::Structure(&Structure {
                name: "S3LogsConfig",
                members: &[
                    required("status", LOGS_STATUS),
                    optional("bucketOwnerAccess", one_of(BucketOwnerAccess::NAMES)),
                ],
            }),
        ),
    ],
});

const FILE_SYSTEMS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "ProjectFileSystemLocation",
        members: &[optional("type", one_of(FileSystemType::NAMES))],
    }),
);

const BATCH_CONFIG: Rule = Rule::Structure(&Structure {
    name: "ProjectBuildBatchConfig",
    members: &[
        optional("serviceRole", NON_EMPTY),
        optional(
            "restrictions",
            Rule::Structure(&Structure {
                name: "BatchRestrictions",
                members: &[optional("computeTypesAllowed", TEXTS), optional("fleetsAllowed", TEXTS)],
            }),
        ),
        optional("batchReportMode", one_of(BatchReportModeType::NAMES)),
    ],
});

/// States the constraints of an input.
macro_rules! input {
    ($input:ident: $($member:expr,)*) => {
        impl Input for $input {
            const SHAPE: &'static Structure =
                &Structure { name: stringify!($input), members: &[$($member,)*] };
        }
    };
}

input! { CreateProjectInput:
    required("name", PROJECT_NAME),
    optional("description", DESCRIPTION),
    required("source", SOURCE),
    optional("secondarySources", SOURCES),
    optional("secondarySourceVersions", SOURCE_VERSIONS),
    required("artifacts", ARTIFACTS),
    optional("secondaryArtifacts", ARTIFACTS_LIST),
    optional("cache", CACHE),
    required("environment", ENVIRONMENT),
    required("serviceRole", NON_EMPTY),
    optional("timeoutInMinutes", BUILD_TIME_OUT),
    optional("queuedTimeoutInMinutes", TIME_OUT),
    optional("encryptionKey", NON_EMPTY),
    optional("tags", TAGS),
    optional("vpcConfig", VPC_CONFIG),
    optional("logsConfig", LOGS_CONFIG),
    optional("fileSystemLocations", FILE_SYSTEMS),
    optional("buildBatchConfig", BATCH_CONFIG),
}

input! { UpdateProjectInput:
    required("name", NON_EMPTY),
    optional("description", DESCRIPTION),
    optional("source", SOURCE),
    optional("secondarySources", SOURCES),
    optional("secondarySourceVersions", SOURCE_VERSIONS),
    optional("artifacts", ARTIFACTS),
    optional("secondaryArtifacts", ARTIFACTS_LIST),
    optional("cache", CACHE),
    optional("environment", ENVIRONMENT),
    optional("serviceRole", NON_EMPTY),
    optional("timeoutInMinutes", BUILD_TIME_OUT),
    optional("queuedTimeoutInMinutes", TIME_OUT),
    optional("encryptionKey", NON_EMPTY),
    optional("tags", TAGS),
    optional("vpcConfig", VPC_CONFIG),
    optional("logsConfig", LOGS_CONFIG),
    optional("fileSystemLocations", FILE_SYSTEMS),
    optional("buildBatchConfig", BATCH_CONFIG),
}

input! { DeleteProjectInput: required("name", NON_EMPTY), }
input! { BatchGetProjectsInput: required("names", NAMES), }

input! { ListProjectsInput:
    optional("sortBy", one_of(ProjectSortByType::NAMES)),
    optional("sortOrder", SORT_ORDER),
    optional("nextToken", NON_EMPTY),
}

input! { UpdateProjectVisibilityInput:
    required("projectArn", NON_EMPTY),
    required("projectVisibility", one_of(ProjectVisibilityType::NAMES)),
    optional("resourceAccessRole", NON_EMPTY),
}

input! { InvalidateProjectCacheInput: required("projectName", NON_EMPTY), }

input! { StartBuildInput:
    required("projectName", NON_EMPTY),
    optional("secondarySourcesOverride", SOURCES),
    optional("secondarySourcesVersionOverride", SOURCE_VERSIONS),
    optional("artifactsOverride", ARTIFACTS),
    optional("secondaryArtifactsOverride", ARTIFACTS_LIST),
    optional("environmentVariablesOverride", VARIABLES),
    optional("sourceTypeOverride", SOURCE_TYPE),
    optional("sourceAuthOverride", SOURCE_AUTH),
    optional("gitCloneDepthOverride", GIT_CLONE_DEPTH),
    optional("gitSubmodulesConfigOverride", SUBMODULES),
    optional("environmentTypeOverride", ENVIRONMENT_TYPE),
    optional("imageOverride", NON_EMPTY),
    optional("computeTypeOverride", COMPUTE_TYPE),
    optional("cacheOverride", CACHE),
    optional("serviceRoleOverride", NON_EMPTY),
    optional("timeoutInMinutesOverride", BUILD_TIME_OUT),
    optional("queuedTimeoutInMinutesOverride", TIME_OUT),
    optional("encryptionKeyOverride", NON_EMPTY),
    optional("logsConfigOverride", LOGS_CONFIG),
    optional("registryCredentialOverride", REGISTRY_CREDENTIAL),
    optional("imagePullCredentialsTypeOverride", one_of(ImagePullCredentialsType::NAMES)),
    optional("hostKernelOverride", one_of(HostKernel::NAMES)),
}

input! { StopBuildInput: required("id", NON_EMPTY), }
input! { RetryBuildInput: optional("id", NON_EMPTY), }
input! { BatchGetBuildsInput: required("ids", NAMES), }
input! { BatchDeleteBuildsInput: required("ids", NAMES), }
input! { ListBuildsInput: optional("sortOrder", SORT_ORDER), }

input! { ListBuildsForProjectInput:
    required("projectName", NON_EMPTY),
    optional("sortOrder", SORT_ORDER),
}

input! { ListCuratedEnvironmentImagesInput: }

input! { ImportSourceCredentialsInput:
    optional("username", NON_EMPTY),
    required("token", NON_EMPTY),
    required("serverType", one_of(ServerType::NAMES)),
    required("authType", one_of(AuthType::NAMES)),
}

input! { ListSourceCredentialsInput: }
input! { DeleteSourceCredentialsInput: required("arn", NON_EMPTY), }

input! { PutResourcePolicyInput:
    required("policy", NON_EMPTY),
    required("resourceArn", NON_EMPTY),
}

input! { GetResourcePolicyInput: required("resourceArn", NON_EMPTY), }
input! { DeleteResourcePolicyInput: required("resourceArn", NON_EMPTY), }

input! { ListSharedProjectsInput:
    optional("sortBy", one_of(SharedResourceSortByType::NAMES)),
    optional("sortOrder", SORT_ORDER),
    optional("maxResults", PAGE_SIZE),
    optional("nextToken", NON_EMPTY),
}

input! { ListSharedReportGroupsInput:
    optional("sortOrder", SORT_ORDER),
    optional("sortBy", one_of(SharedResourceSortByType::NAMES)),
    optional("maxResults", PAGE_SIZE),
}

const FILTER_GROUPS: Rule = list(
    0,
    usize::MAX,
    &list(
        0,
        usize::MAX,
        &Rule::Structure(&Structure {
            name: "WebhookFilter",
            members: &[required("type", one_of(WebhookFilterType::NAMES)), required("pattern", Rule::Any)],
        }),
    ),
);

const PULL_REQUEST_POLICY: Rule = Rule::Structure(&Structure {
    name: "PullRequestBuildPolicy",
    members: &[
        required("requiresCommentApproval", one_of(PullRequestBuildCommentApproval::NAMES)),
        optional("approverRoles", list(0, usize::MAX, &one_of(PullRequestBuildApproverRole::NAMES))),
    ],
});

/// `ProjectName`.
const PROJECT_NAME: Rule = Rule::Text { min: 2, max: 150, pattern: Some(Pattern::ProjectName) };

input! { CreateWebhookInput:
    required("projectName", PROJECT_NAME),
    optional("filterGroups", FILTER_GROUPS),
    optional("buildType", one_of(WebhookBuildType::NAMES)),
    optional(
        "scopeConfiguration",
        Rule::Structure(&Structure {
            name: "ScopeConfiguration",
            members: &[required("name", Rule::Any), required("scope", one_of(WebhookScopeType::NAMES))],
        }),
    ),
    optional("pullRequestBuildPolicy", PULL_REQUEST_POLICY),
}

input! { UpdateWebhookInput:
    required("projectName", PROJECT_NAME),
    optional("filterGroups", FILTER_GROUPS),
    optional("buildType", one_of(WebhookBuildType::NAMES)),
    optional("pullRequestBuildPolicy", PULL_REQUEST_POLICY),
}

input! { DeleteWebhookInput: required("projectName", PROJECT_NAME), }

input! { ListWebhookDeliveriesInput:
    required("projectName", NON_EMPTY),
    optional("maxResults", Rule::Number { min: 1, max: MOST_DELIVERIES as i64 }),
    optional("nextToken", NON_EMPTY),
}

input! { GetWebhookDeliveryInput: required("projectName", NON_EMPTY), required("id", NON_EMPTY), }
input! { RedeliverWebhookDeliveryInput: required("projectName", NON_EMPTY), required("id", NON_EMPTY), }

input! { DescribeQueueInput: optional("maxResults", Rule::Number { min: 1, max: 1000 }), }

input! { DescribeRuleInput: required("name", formed(1, 64, Pattern::EventName)), }

input! { DescribeBuildInput:
    required("id", NON_EMPTY),
    optional("maxSamples", Rule::Number { min: 0, max: 10_000 }),
    optional("fromCommand", Rule::Number { min: 1, max: u32::MAX as i64 }),
    optional("maxCommands", Rule::Number { min: 0, max: 10_000 }),
}

/// Number of a line of a log.
const LINE: Rule = Rule::Number { min: 1, max: i64::MAX };

input! { GetBuildLogInput:
    required("id", NON_EMPTY),
    optional("fromLine", LINE),
    optional("toLine", LINE),
    optional("fromByte", Rule::Number { min: 0, max: i64::MAX }),
    optional("tail", Rule::Number { min: 0, max: i64::MAX }),
    optional("maxLines", Rule::Number { min: 1, max: MOST_LINES as i64 }),
    optional("waitSeconds", Rule::Number { min: 0, max: 20 }),
}

input! { SearchBuildLogInput:
    required("id", NON_EMPTY),
    optional("fromLine", LINE),
    optional("toLine", LINE),
    optional("maxMatches", Rule::Number { min: 1, max: MOST_MATCHES as i64 }),
}

input! { CountBuildLogInput:
    required("id", NON_EMPTY),
    optional("fromLine", LINE),
    optional("toLine", LINE),
}

input! { CreateConsoleLinkInput:
    optional("durationSeconds", Rule::Number { min: 900, max: 43_200 }),
}

input! { LintBuildspecInput: required("buildspec", Rule::Any), }

input! { ExplainAccessInput:
    required("principal", NON_EMPTY),
    required("action", NON_EMPTY),
}

input! { LookupEventsInput:
    optional("userName", NON_EMPTY),
    optional("eventName", NON_EMPTY),
    optional("eventSource", NON_EMPTY),
    optional("resource", NON_EMPTY),
    optional("accessKeyId", NON_EMPTY),
    optional("requestId", NON_EMPTY),
    optional("maxResults", Rule::Number { min: 1, max: MOST_EVENTS as i64 }),
    optional("nextToken", NON_EMPTY),
}

input! { ListCachesInput: }

input! { DeleteCachesInput: required("ids", NAMES), }

/// `publicProjectAlias`.
const ALIAS: Rule = text(1, 64);

/// The part of a build's id behind the colon.
const BUILD_UUID: Rule = text(1, 64);

input! { ListPublicBuildsInput:
    required("alias", ALIAS),
    optional("nextToken", NON_EMPTY),
}

input! { GetPublicBuildInput:
    required("alias", ALIAS),
    required("uuid", BUILD_UUID),
}

input! { GetPublicBuildLogInput:
    required("alias", ALIAS),
    required("uuid", BUILD_UUID),
    optional("fromLine", LINE),
    optional("tail", Rule::Number { min: 0, max: 1000 }),
    optional("maxLines", Rule::Number { min: 1, max: 1000 }),
}

input! { GetPublicBuildArtifactInput:
    required("alias", ALIAS),
    required("uuid", BUILD_UUID),
    optional("artifactIdentifier", NON_EMPTY),
}

input! { VerifyAuditLogInput: optional("expected", NON_EMPTY), }

input! { GetBuildJournalInput:
    required("id", NON_EMPTY),
    optional("offset", Rule::Number { min: 0, max: i64::MAX }),
}

input! { UploadSourceInput: optional("contentLength", Rule::Number { min: 0, max: i64::MAX }), }
input! { GetBuildArtifactInput: required("id", NON_EMPTY), }
input! { DebugBuildInput: required("id", NON_EMPTY), }
