//! Deliveries of Bitbucket Cloud.

use serde::Deserialize;
use serde_json::Value;

use super::event::{
    Account, Approval, Event, EventKind, Payload, PullRequest, Told, commit, json, message, moment, ref_name,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    actor: Option<User>,
    repository: Option<Repository>,
    push: Option<Push>,
    pullrequest: Option<Request>,
    comment: Option<Comment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    account_id: Option<String>,
    uuid: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Repository {
    uuid: Option<String>,
    name: String,
    full_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Push {
    changes: Vec<Change>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    new: Option<Ref>,
    old: Option<Ref>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ref {
    r#type: String,
    name: String,
    target: Target,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Target {
    hash: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    id: u64,
    source: Side,
    destination: Side,
    merge_commit: Option<Target>,
    author: Option<User>,
    updated_on: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Side {
    branch: Named,
    commit: Option<Target>,
    /// Missing of a fork that is gone.
    repository: Option<Repository>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Comment {
    content: Content,
    user: Option<User>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    raw: String,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        let uuid = user.uuid.unwrap_or_default();
        Self { id: user.account_id.unwrap_or_else(|| uuid.clone()), handle: uuid }
    }
}

/// At most so many changes of one push are looked at; Bitbucket sends fewer.
const MOST_CHANGES: usize = 100;

pub(super) fn read(event: &str, body: &[u8]) -> Result<Payload, String> {
    let body: Body = json(body)?;
    let actor = body.actor.map(Account::from).unwrap_or_default();
    let repository = body.repository.unwrap_or_default();
    let make = |kind| Event::new(kind, actor.clone(), repository.full_name.clone(), repository.name.clone());
    let kind = match event {
        "repo:push" => {
            let changes = body.push.unwrap_or_default().changes;
            let events: Vec<Event> =
                changes.into_iter().take(MOST_CHANGES).map(|change| pushed(change, make(EventKind::Push))).collect();
            return Ok(if events.is_empty() {
                Payload::Other("the push changes no ref".to_owned())
            } else {
                Payload::Events(events)
            });
        }
        "pullrequest:created" => EventKind::PullRequestCreated,
        "pullrequest:updated" => EventKind::PullRequestUpdated,
        "pullrequest:fulfilled" => EventKind::PullRequestMerged,
        "pullrequest:rejected" => EventKind::PullRequestClosed,
        "pullrequest:comment_created" => {
            let comment = body.comment.unwrap_or_default();
            let number = body.pullrequest.map(|request| request.id);
            return Ok(match (number, Approval::commit_in(&comment.content.raw)) {
                (Some(number), Some(commit)) => {
                    let by = comment.user.map_or(actor, Account::from);
                    Payload::Approval(Approval { number, commit, by, is_of_owner: false })
                }
                _ => Payload::Other("the comment approves no build of a pull request".to_owned()),
            });
        }
        other => return Ok(Payload::Other(format!("{other} builds nothing"))),
    };
    let request = body.pullrequest.unwrap_or_default();
    let mut event = make(kind);
    let home = |side: &Side| side.repository.as_ref().and_then(|repository| repository.uuid.clone());
    event.pull_request = Some(PullRequest {
        number: request.id,
        is_fork: home(&request.source) != home(&request.destination) || home(&request.source).is_none(),
        author: request.author.map(Account::from).unwrap_or_default(),
        is_of_owner: false,
    });
    event.head_ref = ref_name(format!("refs/heads/{}", request.source.branch.name));
    event.base_ref = ref_name(format!("refs/heads/{}", request.destination.branch.name));
    event.commit = commit(request.source.commit.and_then(|target| target.hash));
    event.merge_commit = commit(request.merge_commit.and_then(|target| target.hash));
    event.at_ms = moment(&request.updated_on);
    event.message = Told::Ask;
    event.files = Told::Ask;
    Ok(Payload::Events(vec![event]))
}

fn pushed(change: Change, mut event: Event) -> Event {
    let full = |one: &Ref| {
        let kind = if one.r#type == "tag" { "tags" } else { "heads" };
        ref_name(format!("refs/{kind}/{}", one.name))
    };
    event.head_ref = change.new.as_ref().or(change.old.as_ref()).and_then(full);
    event.before = commit(change.old.and_then(|old| old.target.hash));
    let new = change.new.unwrap_or_default();
    event.after = commit(new.target.hash);
    event.commit.clone_from(&event.after);
    event.is_deletion = event.after.is_none();
    event.message = message(new.target.message);
    event.files = Told::Ask;
    event
}
