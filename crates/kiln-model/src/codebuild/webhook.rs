//! Webhooks, as projects show them and callers make them (`api.md` 2.8).

use serde::{Deserialize, Serialize};

use super::Sensitive;
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// What a filter looks at.
    #[derive(Default)]
    WebhookFilterType {
        /// Kind of event.
        #[default]
        Event = "EVENT",
        /// Branch that would be changed.
        BaseRef = "BASE_REF",
        /// Branch or tag of the change.
        HeadRef = "HEAD_REF",
        /// Who made the change.
        ActorAccountId = "ACTOR_ACCOUNT_ID",
        /// Changed files.
        FilePath = "FILE_PATH",
        /// Message of the head commit.
        CommitMessage = "COMMIT_MESSAGE",
        /// Workflow of a hosted runner's job.
        WorkflowName = "WORKFLOW_NAME",
        /// Tag of a release.
        TagName = "TAG_NAME",
        /// Name of a release.
        ReleaseName = "RELEASE_NAME",
        /// Repository.
        RepositoryName = "REPOSITORY_NAME",
        /// Organization.
        OrganizationName = "ORGANIZATION_NAME",
    }
}

enumeration! {
    /// What a webhook starts.
    WebhookBuildType {
        /// A build.
        Build = "BUILD",
        /// A batch of builds.
        BuildBatch = "BUILD_BATCH",
        /// A Buildkite runner.
        RunnerBuildkiteBuild = "RUNNER_BUILDKITE_BUILD",
    }
}

enumeration! {
    /// Which repositories a webhook hears of.
    #[derive(Default)]
    WebhookScopeType {
        /// Those of a GitHub organization.
        #[default]
        GithubOrganization = "GITHUB_ORGANIZATION",
        /// Those of a GitHub Enterprise.
        GithubGlobal = "GITHUB_GLOBAL",
        /// Those of a GitLab group.
        GitlabGroup = "GITLAB_GROUP",
    }
}

enumeration! {
    /// How a webhook is.
    WebhookStatus {
        /// Being made.
        Creating = "CREATING",
        /// Could not be made.
        CreateFailed = "CREATE_FAILED",
        /// At work.
        Active = "ACTIVE",
        /// Being deleted.
        Deleting = "DELETING",
    }
}

enumeration! {
    /// Which pull requests wait for a comment.
    #[derive(Default)]
    PullRequestBuildCommentApproval {
        /// None.
        Disabled = "DISABLED",
        /// All.
        #[default]
        AllPullRequests = "ALL_PULL_REQUESTS",
        /// Those from forks.
        ForkPullRequests = "FORK_PULL_REQUESTS",
    }
}

enumeration! {
    /// Whose comment lets a pull request build.
    PullRequestBuildApproverRole {
        /// GitHub: may read.
        GithubRead = "GITHUB_READ",
        /// GitHub: may triage.
        GithubTriage = "GITHUB_TRIAGE",
        /// GitHub: may write.
        GithubWrite = "GITHUB_WRITE",
        /// GitHub: maintains.
        GithubMaintain = "GITHUB_MAINTAIN",
        /// GitHub: administers.
        GithubAdmin = "GITHUB_ADMIN",
        /// GitLab: guest.
        GitlabGuest = "GITLAB_GUEST",
        /// GitLab: planner.
        GitlabPlanner = "GITLAB_PLANNER",
        /// GitLab: reporter.
        GitlabReporter = "GITLAB_REPORTER",
        /// GitLab: developer.
        GitlabDeveloper = "GITLAB_DEVELOPER",
        /// GitLab: maintainer.
        GitlabMaintainer = "GITLAB_MAINTAINER",
        /// GitLab: owner.
        GitlabOwner = "GITLAB_OWNER",
        /// Bitbucket: may read.
        BitbucketRead = "BITBUCKET_READ",
        /// Bitbucket: may write.
        BitbucketWrite = "BITBUCKET_WRITE",
        /// Bitbucket: administers.
        BitbucketAdmin = "BITBUCKET_ADMIN",
    }
}

/// One condition of a webhook. All three members are always shown (`api.md` 2.8).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookFilter {
    /// What it looks at.
    pub r#type: WebhookFilterType,
    /// Regular expression, or the list of events.
    pub pattern: String,
    /// Whether a match must not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_matched_pattern: Option<bool>,
}

/// Repositories of a webhook that hears of more than one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScopeConfiguration {
    /// Organization or group.
    pub name: String,
    /// Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Kind.
    pub scope: WebhookScopeType,
}

/// Which pull requests wait for a comment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequestBuildPolicy {
    /// Which.
    pub requires_comment_approval: PullRequestBuildCommentApproval,
    /// Whose comment counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver_roles: Option<Vec<PullRequestBuildApproverRole>>,
}

/// A project's webhook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// At the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the provider sends events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_url: Option<String>,
    /// Shown once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sensitive>,
    /// Regular expression over branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_filter: Option<String>,
    /// Groups of conditions, one of which must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_groups: Option<Vec<Vec<WebhookFilter>>>,
    /// What it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_type: Option<WebhookBuildType>,
    /// Whether the user enters it at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_creation: Option<bool>,
    /// When the secret was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified_secret: Option<Timestamp>,
    /// Repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_configuration: Option<ScopeConfiguration>,
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WebhookStatus>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// Pull requests that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_build_policy: Option<PullRequestBuildPolicy>,
}

/// Input of `CreateWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateWebhookInput {
    /// Project.
    pub project_name: String,
    /// Regular expression over branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_filter: Option<String>,
    /// Groups of conditions, one of which must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_groups: Option<Vec<Vec<WebhookFilter>>>,
    /// What it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_type: Option<WebhookBuildType>,
    /// Whether the user enters it at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_creation: Option<bool>,
    /// Repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_configuration: Option<ScopeConfiguration>,
    /// Pull requests that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_build_policy: Option<PullRequestBuildPolicy>,
}

/// Output of `CreateWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateWebhookOutput {
    /// The webhook, with its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Input of `UpdateWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateWebhookInput {
    /// Project.
    pub project_name: String,
    /// Regular expression over branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch_filter: Option<String>,
    /// Whether the secret is made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_secret: Option<bool>,
    /// Groups of conditions, one of which must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_groups: Option<Vec<Vec<WebhookFilter>>>,
    /// What it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_type: Option<WebhookBuildType>,
    /// Pull requests that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request_build_policy: Option<PullRequestBuildPolicy>,
}

/// Output of `UpdateWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateWebhookOutput {
    /// The webhook; with its secret if that was made anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// Input of `DeleteWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteWebhookInput {
    /// Project.
    pub project_name: String,
}

/// Output of `DeleteWebhook`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DeleteWebhookOutput {}
