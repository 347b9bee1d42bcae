//! Which pull requests wait for somebody to approve them, and whose word counts (`api.md` 3.5).

use kiln_model::codebuild::{
    PullRequestBuildApproverRole as Role, PullRequestBuildCommentApproval as Required, PullRequestBuildPolicy,
    SourceType,
};

use super::event::{Event, EventKind};

/// What a new webhook has: all pull requests wait, but those of people who may write.
#[must_use]
pub fn usual(source: SourceType) -> PullRequestBuildPolicy {
    PullRequestBuildPolicy { requires_comment_approval: Required::AllPullRequests, approver_roles: Some(roles(source)) }
}

fn roles(source: SourceType) -> Vec<Role> {
    match source {
        SourceType::Gitlab | SourceType::GitlabSelfManaged => {
            vec![Role::GitlabOwner, Role::GitlabMaintainer, Role::GitlabDeveloper]
        }
        SourceType::Bitbucket => vec![Role::BitbucketAdmin, Role::BitbucketWrite],
        _ => vec![Role::GithubAdmin, Role::GithubMaintain, Role::GithubWrite],
    }
}

/// The policy with the roles that it leaves out.
#[must_use]
pub fn completed(mut policy: PullRequestBuildPolicy, source: SourceType) -> PullRequestBuildPolicy {
    if policy.requires_comment_approval != Required::Disabled
        && policy.approver_roles.as_ref().is_none_or(Vec::is_empty)
    {
        policy.approver_roles = Some(roles(source));
    }
    policy
}

/// Whether an event builds only if its author, or somebody who comments on it, has one of the roles. What was merged was
/// approved by whoever merged it.
#[must_use]
pub fn asks(policy: &PullRequestBuildPolicy, event: &Event) -> bool {
    let Some(request) = &event.pull_request else { return false };
    let is_open = !matches!(event.kind, EventKind::PullRequestMerged | EventKind::PullRequestClosed);
    is_open
        && match policy.requires_comment_approval {
            Required::Disabled => false,
            Required::AllPullRequests => true,
            Required::ForkPullRequests => request.is_fork,
        }
}

/// Whether one of somebody's roles counts.
#[must_use]
pub fn counts(policy: &PullRequestBuildPolicy, role: Option<Role>) -> bool {
    role.is_some_and(|role| policy.approver_roles.iter().flatten().any(|known| *known == role))
}

/// GitHub's and Gitea's names of roles.
#[must_use]
pub fn github(name: &str) -> Option<Role> {
    match name {
        "admin" | "owner" => Some(Role::GithubAdmin),
        "maintain" => Some(Role::GithubMaintain),
        "write" => Some(Role::GithubWrite),
        "triage" => Some(Role::GithubTriage),
        "read" => Some(Role::GithubRead),
        _ => None,
    }
}

/// GitLab's levels.
#[must_use]
pub fn gitlab(level: u64) -> Option<Role> {
    match level {
        50.. => Some(Role::GitlabOwner),
        40..50 => Some(Role::GitlabMaintainer),
        30..40 => Some(Role::GitlabDeveloper),
        20..30 => Some(Role::GitlabReporter),
        15..20 => Some(Role::GitlabPlanner),
        10..15 => Some(Role::GitlabGuest),
        _ => None,
    }
}

/// Bitbucket's names.
#[must_use]
pub fn bitbucket(name: &str) -> Option<Role> {
    match name {
        "admin" => Some(Role::BitbucketAdmin),
        "write" => Some(Role::BitbucketWrite),
        "read" => Some(Role::BitbucketRead),
        _ => None,
    }
}
