//! What is asked of providers, call by call.

use kiln_model::{
    BuildStatus,
    codebuild::{PullRequestBuildApproverRole as Role, ScopeConfiguration, WebhookScopeType},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    outgoing::Method,
    site::{Kind, Site, Trouble, read},
};
use crate::webhook::{
    event::{Account, Event, Files, MOST_FILES},
    policy,
};

/// Items of a page.
const PAGE: usize = 100;
/// Pages of changed files that are read.
const PAGES: usize = 100;

/// Where a provider has a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookAt {
    /// Its address in the provider's API.
    pub(crate) url: String,
}

/// A webhook as a provider should have it.
#[derive(Debug)]
pub(crate) struct HookWish<'a> {
    pub(crate) payload_url: &'a str,
    pub(crate) secret: &'a str,
    /// Of more than the one repository.
    pub(crate) scope: Option<&'a ScopeConfiguration>,
}

impl Site<'_> {
    /// Where hooks are made.
    fn hooks(&self, scope: Option<&ScopeConfiguration>) -> String {
        match scope {
            None => format!("{}/hooks", self.home()),
            Some(ScopeConfiguration { name, scope: WebhookScopeType::GithubOrganization, .. }) => {
                format!("/orgs/{name}/hooks")
            }
            Some(ScopeConfiguration { scope: WebhookScopeType::GithubGlobal, .. }) => "/admin/hooks".to_owned(),
            Some(ScopeConfiguration { name, scope: WebhookScopeType::GitlabGroup, .. }) => {
                format!("/groups/{}/hooks", name.replace('/', "%2F"))
            }
        }
    }

    fn hook_body(&self, wish: &HookWish<'_>) -> Value {
        let HookWish { payload_url, secret, .. } = wish;
        match self.kind {
            Kind::Github => json!({
                "name": "web",
                "active": true,
                "events": ["push", "pull_request", "release", "workflow_job", "issue_comment"],
                "config": { "url": payload_url, "content_type": "json", "secret": secret, "insecure_ssl": "0" },
            }),
            Kind::Gitea => json!({
                "type": "gitea",
                "active": true,
                "events": ["push", "pull_request", "pull_request_sync", "pull_request_comment", "release"],
                "config": { "url": payload_url, "content_type": "json", "secret": secret },
            }),
            Kind::Gitlab => json!({
                "url": payload_url,
                "token": secret,
                "push_events": true,
                "tag_push_events": true,
                "merge_requests_events": true,
                "note_events": true,
                "releases_events": true,
                "job_events": true,
                "enable_ssl_verification": true,
            }),
            Kind::Bitbucket => json!({
                "description": "Kiln",
                "url": payload_url,
                "active": true,
                "secret": secret,
                "events": [
                    "repo:push",
                    "pullrequest:created",
                    "pullrequest:updated",
                    "pullrequest:fulfilled",
                    "pullrequest:rejected",
                    "pullrequest:comment_created",
                ],
            }),
        }
    }

    /// Makes a webhook.
    pub(crate) fn create_hook(&self, wish: &HookWish<'_>) -> Result<HookAt, Trouble> {
        let hooks = self.hooks(wish.scope);
        let answer = self.call(Method::Post, &hooks, Some(&self.hook_body(wish)))?;
        let made: Value = read(&hooks, &answer)?;
        let id = match self.kind {
            Kind::Bitbucket => made["uuid"].as_str().map(|uuid| uuid.replace('{', "%7B").replace('}', "%7D")),
            _ => made["id"].as_u64().map(|id| id.to_string()),
        };
        let id = id.filter(|id| !id.is_empty() && id.len() <= 100 && !id.contains(['/', '?', '#']));
        let id = id.ok_or_else(|| Trouble::Refused {
            status: None,
            why: format!("the answer of {hooks} does not say which webhook was made"),
        })?;
        Ok(HookAt { url: format!("{}{hooks}/{id}", self.api) })
    }

    /// Gives a webhook a new secret.
    pub(crate) fn update_hook(&self, at: &HookAt, wish: &HookWish<'_>) -> Result<(), Trouble> {
        let method = match self.kind {
            Kind::Github | Kind::Gitea => Method::Patch,
            Kind::Gitlab | Kind::Bitbucket => Method::Put,
        };
        self.call(method, &at.url, Some(&self.hook_body(wish))).map(drop)
    }

    /// Removes a webhook. One that is not there is removed.
    pub(crate) fn delete_hook(&self, at: &HookAt) -> Result<(), Trouble> {
        match self.call(Method::Delete, &at.url, None::<&()>) {
            Err(Trouble::Refused { status: Some(404 | 410), .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// Files that an event changed.
    pub(crate) fn files(&self, event: &Event) -> Result<Files, Trouble> {
        let home = self.home();
        let number = event.pull_request.as_ref().map(|request| request.number);
        let (after, before) = (event.commit.as_deref().unwrap_or_default(), event.before.as_deref());
        match (self.kind, number) {
            (Kind::Github | Kind::Gitea, Some(number)) => {
                self.pages(&format!("{home}/pulls/{number}/files"), "", &["filename", "previous_filename"])
            }
            (Kind::Gitlab, Some(number)) => {
                self.pages(&format!("{home}/merge_requests/{number}/diffs"), "", &["new_path", "old_path"])
            }
            (Kind::Gitlab, None) => match before {
                Some(before) => {
                    let path = format!("{home}/repository/compare?from={before}&to={after}");
                    let found: Value = self.get(&path)?;
                    Ok(Files::of(names(&found["diffs"], &["new_path", "old_path"])))
                }
                None => self.pages(&format!("{home}/repository/commits/{after}/diff"), "", &["new_path", "old_path"]),
            },
            (Kind::Bitbucket, Some(number)) => self.linked(&format!("{home}/pullrequests/{number}/diffstat")),
            (Kind::Bitbucket, None) => {
                let range = before.map_or_else(|| after.to_owned(), |before| format!("{after}..{before}"));
                self.linked(&format!("{home}/diffstat/{range}"))
            }
            (Kind::Github | Kind::Gitea, None) => Ok(Files::default()),
        }
    }

    /// Lists of pages that are asked for by their number.
    fn pages(&self, path: &str, query: &str, members: &[&str]) -> Result<Files, Trouble> {
        let mut paths = Vec::new();
        for page in 1..=PAGES {
            let found: Value = self.get(&format!("{path}?{query}per_page={PAGE}&limit={PAGE}&page={page}"))?;
            let count = found.as_array().map_or(0, Vec::len);
            paths.extend(names(&found, members));
            // Servers may have smaller pages than they were asked for.
            if count == 0 || paths.len() > 2 * MOST_FILES {
                break;
            }
        }
        Ok(Files::of(paths))
    }

    /// Lists of Bitbucket, whose pages name the next one.
    fn linked(&self, path: &str) -> Result<Files, Trouble> {
        let mut paths = Vec::new();
        let mut next = format!("{path}?pagelen={PAGE}");
        for _ in 0..PAGES {
            let found: Value = self.get(&next)?;
            for one in found["values"].as_array().into_iter().flatten() {
                paths.extend(
                    [&one["new"]["path"], &one["old"]["path"]].into_iter().filter_map(Value::as_str).map(str::to_owned),
                );
            }
            match found["next"].as_str() {
                Some(address) if paths.len() <= 2 * MOST_FILES => address.clone_into(&mut next),
                _ => break,
            }
        }
        Ok(Files::of(paths))
    }

    /// Message of an event's commit.
    pub(crate) fn message(&self, event: &Event) -> Result<String, Trouble> {
        let (home, commit) = (self.home(), event.commit.as_deref().unwrap_or_default());
        let (path, pointer) = match self.kind {
            Kind::Github => (format!("{home}/commits/{commit}"), "/commit/message"),
            Kind::Gitea => (format!("{home}/git/commits/{commit}"), "/commit/message"),
            Kind::Gitlab => (format!("{home}/repository/commits/{commit}"), "/message"),
            Kind::Bitbucket => (format!("{home}/commit/{commit}"), "/message"),
        };
        let found: Value = self.get(&path)?;
        found
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| Trouble::Refused { status: None, why: format!("the answer of {path} has no message") })
    }

    /// What somebody may do in the repository; `None`: nothing that counts.
    pub(crate) fn role(&self, account: &Account) -> Result<Option<Role>, Trouble> {
        let home = self.home();
        let handle = &account.handle;
        // It becomes part of an address.
        if handle.is_empty() || !handle.chars().all(|c| c.is_ascii_alphanumeric() || "-_.{}[]".contains(c)) {
            return Ok(None);
        }
        let found: Result<Value, Trouble> = match self.kind {
            Kind::Github | Kind::Gitea => {
                let login = handle.replace('[', "%5B").replace(']', "%5D");
                self.get(&format!("{home}/collaborators/{login}/permission"))
            }
            Kind::Gitlab => self.get(&format!("{home}/members/all/{handle}")),
            Kind::Bitbucket => {
                let (workspace, name) = self.repository.split_once('/').unwrap_or((&self.repository, ""));
                let uuid = handle.replace('{', "%7B").replace('}', "%7D");
                self.get(&format!("/workspaces/{workspace}/permissions/repositories/{name}?q=user.uuid%3D%22{uuid}%22"))
            }
        };
        let found = match found {
            // Nobody that is known there.
            Err(Trouble::Refused { status: Some(404), .. }) => return Ok(None),
            found => found?,
        };
        Ok(match self.kind {
            Kind::Github | Kind::Gitea => {
                let named = |member: &str| found[member].as_str().and_then(policy::github);
                named("role_name").or_else(|| named("permission"))
            }
            Kind::Gitlab => found["access_level"].as_u64().and_then(policy::gitlab),
            Kind::Bitbucket => found["values"][0]["permission"].as_str().and_then(policy::bitbucket),
        })
    }

    /// Tells the status of a commit.
    pub(crate) fn status(&self, status: &Status<'_>) -> Result<(), Trouble> {
        let Status { commit, state, context, target_url, description } = *status;
        let home = self.home();
        let name = state.name(self.kind);
        let description: String = description.chars().take(140).collect();
        let (path, body) = match self.kind {
            Kind::Github | Kind::Gitea => (
                format!("{home}/statuses/{commit}"),
                json!({ "state": name, "target_url": target_url, "description": description, "context": context }),
            ),
            Kind::Gitlab => (
                format!("{home}/statuses/{commit}"),
                json!({ "state": name, "target_url": target_url, "description": description, "name": context }),
            ),
            Kind::Bitbucket => (
                format!("{home}/commit/{commit}/statuses/build"),
                json!({
                    "key": key_of(context),
                    "state": name,
                    "name": context,
                    "url": target_url,
                    "description": description,
                }),
            ),
        };
        match self.call(Method::Post, &path, Some(&body)) {
            // GitLab refuses a state that the commit has already (`integrations.md` 4.3).
            Err(Trouble::Refused { status: Some(400), .. }) if self.kind == Kind::Gitlab => Ok(()),
            result => result.map(drop),
        }
    }
}

/// What a commit is told to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status<'a> {
    pub(crate) commit: &'a str,
    pub(crate) state: State,
    pub(crate) context: &'a str,
    pub(crate) target_url: &'a str,
    pub(crate) description: &'a str,
}

/// How a build stands, for its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Success,
    Failure,
    Stopped,
    Error,
}

impl State {
    /// Of a build that is as it is.
    pub(crate) fn of(status: BuildStatus) -> Self {
        match status {
            BuildStatus::InProgress => Self::Pending,
            BuildStatus::Succeeded => Self::Success,
            BuildStatus::Failed => Self::Failure,
            BuildStatus::Stopped => Self::Stopped,
            BuildStatus::Fault | BuildStatus::TimedOut => Self::Error,
        }
    }

    /// A provider's name (`integrations.md` 4.3).
    fn name(self, kind: Kind) -> &'static str {
        match (kind, self) {
            (Kind::Github | Kind::Gitea | Kind::Gitlab, Self::Pending) => "pending",
            (Kind::Github | Kind::Gitea | Kind::Gitlab, Self::Success) => "success",
            (Kind::Github | Kind::Gitea, Self::Failure) => "failure",
            (Kind::Github | Kind::Gitea, Self::Stopped | Self::Error) => "error",
            (Kind::Gitlab, Self::Stopped) => "canceled",
            (Kind::Gitlab, Self::Failure | Self::Error) => "failed",
            (Kind::Bitbucket, Self::Pending) => "INPROGRESS",
            (Kind::Bitbucket, Self::Success) => "SUCCESSFUL",
            (Kind::Bitbucket, Self::Stopped) => "STOPPED",
            (Kind::Bitbucket, Self::Failure | Self::Error) => "FAILED",
        }
    }
}

/// Bitbucket's key of a status has at most 40 characters.
fn key_of(context: &str) -> String {
    use sha2::{Digest as _, Sha256};
    if context.len() <= 40 {
        return context.to_owned();
    }
    Sha256::digest(context.as_bytes()).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// Texts of members of a list's items.
fn names(list: &Value, members: &[&str]) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.flat_map(|item| members.iter().filter_map(|member| item[*member].as_str())).map(str::to_owned).collect()
}
