//! Webhooks from their making to the builds that they start, with a provider that says what a test wants.

mod approvals;
mod life;
mod order;
mod payloads;
mod provider;
mod statuses;

use std::sync::Arc;

use kiln_core::Core;
use kiln_model::{
    Secret,
    codebuild::{
        CreateProjectInput, CreateWebhookInput, ListBuildsForProjectInput, ProjectSource,
        PullRequestBuildCommentApproval, PullRequestBuildPolicy, SourceType, Tag, Webhook, WebhookFilter,
        WebhookFilterType,
    },
    kiln::{DeliveryStatus, GetWebhookDeliveryInput, GetWebhookDeliveryOutput},
    service::{CodeBuild as _, Delivered, DeliveryRefusal, KilnService as _, WebhookRequest},
};
use serde_json::{Value, json};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};
use provider::Provider;

/// A project of a repository at GitHub, whose buildspec is a script.
pub(crate) fn project(name: &str, script: &str) -> CreateProjectInput {
    let input = Place::input(name, script);
    CreateProjectInput {
        source: ProjectSource {
            r#type: SourceType::Github,
            location: Some("https://github.com/octocat/hello.git".to_owned()),
            ..input.source
        },
        ..input
    }
}

fn filter(kind: WebhookFilterType, pattern: &str) -> WebhookFilter {
    WebhookFilter { r#type: kind, pattern: pattern.to_owned(), exclude_matched_pattern: None }
}

fn pushes() -> Vec<Vec<WebhookFilter>> {
    vec![vec![filter(WebhookFilterType::Event, "PUSH")]]
}

/// No pull request waits.
fn unasked() -> Option<PullRequestBuildPolicy> {
    let requires_comment_approval = PullRequestBuildCommentApproval::Disabled;
    Some(PullRequestBuildPolicy { requires_comment_approval, approver_roles: None })
}

/// A webhook that was entered by hand, and who delivers to it.
#[derive(Clone)]
struct Hook {
    core: Core<FakeRunners>,
    token: String,
    secret: String,
}

impl Hook {
    fn of(core: &Core<FakeRunners>, webhook: &Webhook) -> Self {
        let url = webhook.payload_url.clone().unwrap();
        Self {
            core: core.clone(),
            token: url.strip_prefix("https://kiln.example/-/webhooks/").unwrap().to_owned(),
            secret: webhook.secret.as_ref().unwrap().expose().to_owned(),
        }
    }

    async fn make(core: &Core<FakeRunners>, project: &str, groups: Option<Vec<Vec<WebhookFilter>>>) -> Self {
        let input = CreateWebhookInput {
            project_name: project.to_owned(),
            filter_groups: groups,
            manual_creation: Some(true),
            pull_request_build_policy: unasked(),
            ..Default::default()
        };
        Self::of(core, &core.create_webhook(&context(), input).await.unwrap().webhook.unwrap())
    }

    /// The same webhook at the next server, which starts when nobody has the one before any more.
    fn beside(self, serve: impl FnOnce() -> Core<FakeRunners>) -> Self {
        let Self { core, token, secret } = self;
        drop(core);
        Self { core: serve(), token, secret }
    }

    fn signed(&self, event: &str, id: &str, body: &Value) -> WebhookRequest {
        let body = body.to_string().into_bytes();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, self.secret.as_bytes());
        let tag: String =
            aws_lc_rs::hmac::sign(&key, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [
            ("x-github-event", event.to_owned()),
            ("x-github-delivery", id.to_owned()),
            ("x-hub-signature-256", format!("sha256={tag}")),
            ("user-agent", "GitHub-Hookshot/044aadd".to_owned()),
        ];
        WebhookRequest {
            token: Secret::new(self.token.clone()),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            body,
        }
    }

    async fn send(&self, event: &str, id: &str, body: &Value) -> Result<Delivered, DeliveryRefusal> {
        self.core.deliver(self.signed(event, id, body)).await
    }

    /// Delivers something that is decided at once.
    async fn deliver(&self, event: &str, id: &str, body: &Value) -> Delivered {
        self.send(event, id, body).await.unwrap()
    }
}

/// A hash that begins with a number.
fn hash(n: u64) -> String {
    format!("{n:08x}{}", "a".repeat(32))
}

/// A push to `main` from one commit to the next, at a second.
fn push(branch: &str, before: Option<u64>, after: Option<u64>, at: Option<u64>) -> Value {
    let zeros = "0".repeat(40);
    let commit = after.map(|after| json!({ "id": hash(after), "message": "m", "added": ["src/a.rs"] }));
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": before.map_or(zeros.clone(), hash),
        "after": after.map_or(zeros, hash),
        "deleted": after.is_none(),
        "commits": commit.iter().collect::<Vec<_>>(),
        "head_commit": commit,
        "repository": {
            "id": 7, "name": "hello", "full_name": "octocat/hello", "owner": { "id": 1, "login": "octocat" }, "pushed_at": at,
        },
        "sender": { "id": 583231, "login": "octocat" },
    })
}

/// An event of a pull request of somebody else's.
fn request(action: &str, commit: u64, author: u64) -> Value {
    json!({
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7,
            "user": { "id": author, "login": format!("user{author}") },
            "head": { "ref": "fix", "sha": hash(commit), "repo": { "id": 8 } },
            "base": { "ref": "main", "sha": hash(1), "repo": { "id": 7 } },
            "updated_at": format!("2026-11-27T07:00:{:02}Z", commit % 60),
        },
        "repository": { "id": 7, "name": "hello", "full_name": "octocat/hello", "owner": { "id": 1, "login": "octocat" } },
        "sender": { "id": author, "login": format!("user{author}") },
    })
}

async fn builds_of(core: &Core<FakeRunners>, project: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut next_token = None;
    loop {
        let input = ListBuildsForProjectInput { project_name: project.to_owned(), next_token, ..Default::default() };
        let page = core.list_builds_for_project(&context(), input).await.unwrap();
        all.extend(page.ids);
        next_token = page.next_token;
        if next_token.is_none() {
            return all;
        }
    }
}

async fn look(core: &Core<FakeRunners>, project: &str, id: &str) -> GetWebhookDeliveryOutput {
    let input = GetWebhookDeliveryInput { project_name: project.to_owned(), id: id.to_owned() };
    core.get_webhook_delivery(&context(), input).await.unwrap()
}

/// Waits until a delivery is decided.
async fn decided(core: &Core<FakeRunners>, project: &str, id: &str) -> GetWebhookDeliveryOutput {
    let wait = async {
        loop {
            let found = look(core, project, id).await;
            if found.delivery.status != DeliveryStatus::Pending {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::place::PATIENCE, wait).await.unwrap_or_else(|_| panic!("{id} is not decided"))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

/// A place whose servers call a provider.
fn at(provider: &Arc<Provider>) -> Place {
    Place::new().calling(Arc::clone(provider) as Arc<_>)
}
