//! Deliveries of GitLab.

use serde::Deserialize;
use serde_json::Value;

use super::event::{
    Account, Approval, Event, EventKind, Files, Payload, PullRequest, Told, commit, json, message, moment, name,
    ref_name,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    object_kind: String,
    r#ref: Option<String>,
    before: Option<String>,
    after: Option<String>,
    checkout_sha: Option<String>,
    user_id: Option<u64>,
    user_username: Option<String>,
    user: Option<User>,
    project: Option<Project>,
    commits: Option<Vec<Commit>>,
    total_commits_count: u64,
    object_attributes: Option<Attributes>,
    merge_request: Option<MergeRequest>,
    action: Option<String>,
    tag: Value,
    name: Option<String>,
    commit: Option<Commit>,
    build_status: Option<String>,
    build_name: Option<String>,
    sha: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    id: Option<u64>,
    username: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Project {
    name: String,
    path_with_namespace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Commit {
    /// A number in the hook of a job.
    id: Value,
    message: Option<String>,
    added: Option<Vec<String>>,
    removed: Option<Vec<String>>,
    modified: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes {
    action: Option<String>,
    iid: u64,
    source_branch: String,
    target_branch: String,
    source_project_id: Option<u64>,
    target_project_id: Option<u64>,
    last_commit: Option<Commit>,
    merge_commit_sha: Option<String>,
    squash_commit_sha: Option<String>,
    author_id: Option<u64>,
    updated_at: Value,
    note: Option<String>,
    noteable_type: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MergeRequest {
    iid: u64,
}

fn account(id: Option<u64>) -> Account {
    let id = id.map(|id| id.to_string()).unwrap_or_default();
    Account { handle: id.clone(), id }
}

pub(super) fn read(body: &[u8]) -> Result<Payload, String> {
    let body: Body = json(body)?;
    let actor = account(body.user_id.or(body.user.as_ref().and_then(|user| user.id)));
    let project = body.project.unwrap_or_default();
    let make = |kind| Event::new(kind, actor.clone(), project.path_with_namespace.clone(), project.name.clone());
    let attributes = body.object_attributes.unwrap_or_default();
    let action = attributes.action.as_deref().or(body.action.as_deref()).unwrap_or_default();
    let event = match (body.object_kind.as_str(), action) {
        ("push" | "tag_push", _) => {
            let mut event = make(EventKind::Push);
            event.head_ref = body.r#ref.and_then(ref_name);
            event.after = commit(body.after);
            event.before = commit(body.before);
            event.is_deletion = event.after.is_none();
            event.commit = commit(body.checkout_sha).or_else(|| event.after.clone());
            let commits = body.commits.unwrap_or_default();
            let head = commits.iter().find(|one| one.id.as_str() == event.commit.as_deref()).or(commits.last());
            event.message = head.map_or(Told::Ask, |head| message(head.message.clone()));
            // A delivery has the newest twenty.
            event.files = if body.total_commits_count > commits.len() as u64 {
                Told::Ask
            } else {
                Told::Known(Files::of(commits.into_iter().flat_map(|commit| {
                    [commit.added, commit.removed, commit.modified].into_iter().flatten().flatten()
                })))
            };
            event
        }
        ("merge_request", action) => {
            let kind = match action {
                "open" => EventKind::PullRequestCreated,
                "update" => EventKind::PullRequestUpdated,
                "reopen" => EventKind::PullRequestReopened,
                "merge" => EventKind::PullRequestMerged,
                "close" => EventKind::PullRequestClosed,
                _ => return Ok(Payload::Other(format!("merge_request {action} builds nothing"))),
            };
            let mut event = make(kind);
            event.pull_request = Some(PullRequest {
                number: attributes.iid,
                is_fork: attributes.source_project_id != attributes.target_project_id
                    || attributes.source_project_id.is_none(),
                author: account(attributes.author_id),
                is_of_owner: false,
            });
            event.head_ref = ref_name(format!("refs/heads/{}", attributes.source_branch));
            event.base_ref = ref_name(format!("refs/heads/{}", attributes.target_branch));
            event.merge_commit = commit(attributes.squash_commit_sha).or_else(|| commit(attributes.merge_commit_sha));
            event.at_ms = moment(&attributes.updated_at);
            let last = attributes.last_commit.unwrap_or_default();
            event.commit = commit(last.id.as_str().map(str::to_owned));
            event.message = message(last.message);
            event.files = Told::Ask;
            event
        }
        ("note", _) => {
            let comment = attributes.note.unwrap_or_default();
            let request = body.merge_request.filter(|_| attributes.noteable_type.as_deref() == Some("MergeRequest"));
            return Ok(match (request, Approval::commit_in(&comment)) {
                (Some(request), Some(commit)) => {
                    Payload::Approval(Approval { number: request.iid, commit, by: actor, is_of_owner: false })
                }
                _ => Payload::Other("the comment approves no build of a merge request".to_owned()),
            });
        }
        ("release", "create" | "update") => {
            let mut event = make(EventKind::Released);
            event.tag = name(body.tag.as_str().map(str::to_owned));
            event.release = name(body.name);
            event.head_ref = event.tag.as_ref().and_then(|tag| ref_name(format!("refs/tags/{tag}")));
            let released = body.commit.unwrap_or_default();
            event.commit = commit(released.id.as_str().map(str::to_owned));
            event
        }
        ("build", _) if body.build_status.as_deref() == Some("pending") => {
            let mut event = make(EventKind::WorkflowJobQueued);
            event.workflow = name(body.build_name);
            event.commit = commit(body.sha);
            let kind = if body.tag == Value::Bool(true) { "tags" } else { "heads" };
            event.head_ref = body.r#ref.and_then(|name| ref_name(format!("refs/{kind}/{name}")));
            event
        }
        (kind, action) => {
            let text = format!("{kind} {action}");
            return Ok(Payload::Other(format!("{} builds nothing", text.trim())));
        }
    };
    Ok(Payload::Events(vec![event]))
}
