//! Deliveries of GitHub, GitHub Enterprise, and of Gitea and Forgejo, which have the same form.

use serde::Deserialize;
use serde_json::Value;

use super::event::{
    Account, Approval, Event, EventKind, Files, Payload, PullRequest, Told, commit, json, message, moment, name,
    ref_name,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    action: Option<String>,
    r#ref: Option<String>,
    before: Option<String>,
    after: Option<String>,
    deleted: bool,
    commits: Option<Vec<Commit>>,
    head_commit: Option<Commit>,
    repository: Option<Repository>,
    sender: Option<User>,
    organization: Option<User>,
    pull_request: Option<Request>,
    release: Option<Release>,
    workflow_job: Option<Job>,
    issue: Option<Issue>,
    is_pull: bool,
    comment: Option<Comment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commit {
    id: Option<String>,
    message: Option<String>,
    added: Option<Vec<String>>,
    removed: Option<Vec<String>>,
    modified: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Repository {
    id: u64,
    name: String,
    full_name: String,
    owner: Option<User>,
    /// Seconds in pushes, a text elsewhere.
    pushed_at: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    id: u64,
    login: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    number: u64,
    head: Side,
    base: Side,
    merged: Option<bool>,
    user: Option<User>,
    updated_at: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Side {
    r#ref: String,
    sha: Option<String>,
    /// Missing of a fork that is gone.
    repo: Option<Repository>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Release {
    tag_name: Option<String>,
    name: Option<String>,
    prerelease: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Job {
    workflow_name: Option<String>,
    head_branch: Option<String>,
    head_sha: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Issue {
    number: u64,
    pull_request: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Comment {
    body: String,
    user: Option<User>,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self { id: user.id.to_string(), handle: user.login.unwrap_or_default() }
    }
}

pub(super) fn read(event: &str, body: &[u8], is_gitea: bool) -> Result<Payload, String> {
    let body: Body = json(body)?;
    if event == "ping" {
        return Ok(Payload::Other("a ping: the webhook works".to_owned()));
    }
    let Some(repository) = &body.repository else {
        return Ok(Payload::Other(format!("{event} is about no repository")));
    };
    let owner = repository.owner.as_ref().map(|owner| owner.id).filter(|id| *id != 0);
    let action = body.action.as_deref().unwrap_or_default();
    let other = || Ok(Payload::Other(format!("{event} {action} builds nothing").replace("  ", " ")));
    let kind = match (event, action) {
        ("push", _) => EventKind::Push,
        ("pull_request", "opened") => EventKind::PullRequestCreated,
        ("pull_request", "reopened") => EventKind::PullRequestReopened,
        // Gitea has an event of its own for new commits.
        ("pull_request" | "pull_request_sync", "synchronize" | "synchronized") => EventKind::PullRequestUpdated,
        ("pull_request", "closed") if body.pull_request.as_ref().is_some_and(|r| r.merged == Some(true)) => {
            EventKind::PullRequestMerged
        }
        ("pull_request", "closed") => EventKind::PullRequestClosed,
        ("release", "prereleased") => EventKind::Prereleased,
        ("release", "released") => EventKind::Released,
        ("release", "published") if is_gitea => match &body.release {
            Some(release) if release.prerelease => EventKind::Prereleased,
            _ => EventKind::Released,
        },
        ("workflow_job", "queued") => EventKind::WorkflowJobQueued,
        ("issue_comment" | "pull_request_comment", "created") => return Ok(comment(body, owner)),
        _ => return other(),
    };
    let Body { repository, sender, organization, .. } = body;
    let repository = repository.unwrap_or_default();
    let pushed_at = moment(&repository.pushed_at);
    let mut event =
        Event::new(kind, sender.map(Account::from).unwrap_or_default(), repository.full_name, repository.name);
    event.organization = name(organization.and_then(|organization| organization.login));
    match kind {
        EventKind::Push => {
            event.head_ref = body.r#ref.and_then(ref_name);
            event.after = commit(body.after);
            event.before = commit(body.before);
            event.is_deletion = body.deleted || event.after.is_none();
            event.at_ms = pushed_at;
            let commits = body.commits.unwrap_or_default();
            let head = body.head_commit.unwrap_or_default();
            event.commit = commit(head.id.clone()).or_else(|| event.after.clone());
            event.message = message(head.message.clone());
            event.files =
                Told::Known(Files::of(commits.into_iter().chain([head]).flat_map(|commit| {
                    [commit.added, commit.removed, commit.modified].into_iter().flatten().flatten()
                })));
        }
        EventKind::WorkflowJobQueued => {
            let job = body.workflow_job.unwrap_or_default();
            event.workflow = name(job.workflow_name);
            event.commit = commit(job.head_sha);
            event.head_ref = job.head_branch.and_then(|branch| ref_name(format!("refs/heads/{branch}")));
        }
        EventKind::Released | EventKind::Prereleased => {
            let release = body.release.unwrap_or_default();
            event.tag = name(release.tag_name);
            event.release = name(release.name);
            event.head_ref = event.tag.as_ref().and_then(|tag| ref_name(format!("refs/tags/{tag}")));
        }
        _ => {
            let request = body.pull_request.unwrap_or_default();
            let home = |side: &Side| side.repo.as_ref().map(|repo| repo.id);
            let author = request.user.unwrap_or_default();
            event.pull_request = Some(PullRequest {
                number: request.number,
                is_fork: home(&request.head) != home(&request.base) || home(&request.head).is_none(),
                is_of_owner: owner == Some(author.id),
                author: author.into(),
            });
            event.head_ref = ref_name(format!("refs/heads/{}", request.head.r#ref));
            event.base_ref = ref_name(format!("refs/heads/{}", request.base.r#ref));
            event.commit = commit(request.head.sha);
            event.at_ms = moment(&request.updated_at);
            event.message = Told::Ask;
            event.files = Told::Ask;
        }
    }
    Ok(Payload::Events(vec![event]))
}

fn comment(body: Body, owner: Option<u64>) -> Payload {
    let (issue, comment) = (body.issue.unwrap_or_default(), body.comment.unwrap_or_default());
    let is_of_request = body.is_pull || issue.pull_request.is_some_and(|request| !request.is_null());
    match Approval::commit_in(&comment.body).filter(|_| is_of_request) {
        Some(commit) => {
            let by = comment.user.or(body.sender).unwrap_or_default();
            Payload::Approval(Approval {
                number: issue.number,
                commit,
                is_of_owner: owner == Some(by.id),
                by: by.into(),
            })
        }
        None => Payload::Other("the comment approves no build of a pull request".to_owned()),
    }
}
