//! What happened at a provider, in CodeBuild's words (`api.md` 3.2).

use kiln_model::codebuild::SourceType;
use serde::{Deserialize, Serialize};

use super::{bitbucket, github, gitlab};

/// Names of changed files that are kept of an event, at most.
pub const MOST_FILES: usize = 10_000;
/// Bytes of a commit message that are kept.
const MOST_MESSAGE: usize = 64 << 10;
/// Bytes of a name of whatever kind.
const MOST_NAME: usize = 4096;

/// Kind of an event: the names that EVENT filters take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// A branch or a tag was pushed.
    Push,
    /// A pull request was opened.
    PullRequestCreated,
    /// Commits were pushed to one.
    PullRequestUpdated,
    /// It was opened again.
    PullRequestReopened,
    /// It was merged.
    PullRequestMerged,
    /// It was closed without being merged.
    PullRequestClosed,
    /// A release was made.
    Released,
    /// A release was made for trial.
    Prereleased,
    /// A job waits for a runner.
    WorkflowJobQueued,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Push,
        Self::PullRequestCreated,
        Self::PullRequestUpdated,
        Self::PullRequestReopened,
        Self::PullRequestMerged,
        Self::PullRequestClosed,
        Self::Released,
        Self::Prereleased,
        Self::WorkflowJobQueued,
    ];

    /// CodeBuild's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "PUSH",
            Self::PullRequestCreated => "PULL_REQUEST_CREATED",
            Self::PullRequestUpdated => "PULL_REQUEST_UPDATED",
            Self::PullRequestReopened => "PULL_REQUEST_REOPENED",
            Self::PullRequestMerged => "PULL_REQUEST_MERGED",
            Self::PullRequestClosed => "PULL_REQUEST_CLOSED",
            Self::Released => "RELEASED",
            Self::Prereleased => "PRERELEASED",
            Self::WorkflowJobQueued => "WORKFLOW_JOB_QUEUED",
        }
    }

    /// The kind that CodeBuild calls so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it is about a pull request.
    #[must_use]
    pub fn is_pull_request(self) -> bool {
        matches!(
            self,
            Self::PullRequestCreated
                | Self::PullRequestUpdated
                | Self::PullRequestReopened
                | Self::PullRequestMerged
                | Self::PullRequestClosed
        )
    }
}

/// Something that not every payload tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told<T> {
    /// The event has no such thing.
    #[default]
    Nothing,
    /// This.
    Known(T),
    /// The provider has to be asked.
    Ask,
    /// It was asked, and this went wrong.
    Unavailable(String),
}

/// Changed files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    /// Their paths, each once.
    pub paths: Vec<String>,
    /// There are more than [`MOST_FILES`].
    pub is_cut: bool,
}

impl Files {
    /// Of a list in which a path may stand more than once.
    pub fn of(paths: impl IntoIterator<Item = String>) -> Self {
        let mut files = Self::default();
        let mut seen = std::collections::HashSet::new();
        for path in paths {
            let path = cut(path, MOST_NAME);
            if !seen.insert(path.clone()) {
                continue;
            }
            if files.paths.len() >= MOST_FILES {
                files.is_cut = true;
                break;
            }
            files.paths.push(path);
        }
        files
    }
}

/// Somebody at a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// What ACTOR_ACCOUNT_ID filters look at.
    pub id: String,
    /// By what the provider's API finds them: a login, an id.
    pub handle: String,
}

/// A pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Whether its commits are in another repository.
    pub is_fork: bool,
    /// Who opened it.
    pub author: Account,
    /// Whether that is who owns the repository, where the payload tells.
    #[serde(default)]
    pub is_of_owner: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Kind.
    pub kind: EventKind,
    /// Who did it.
    pub actor: Account,
    /// Full name of the repository: `octocat/hello`.
    pub repository: String,
    /// Its own name, without that of its owner.
    pub repository_name: String,
    /// Organization, where the payload names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Full name of the ref that was changed; of a pull request that of its commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_ref: Option<String>,
    /// Full name of the branch that a pull request is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ref: Option<String>,
    /// Head commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What a push moved the ref to: of an annotated tag not the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What the ref was before a push; `None` for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The push removed the ref.
    #[serde(default)]
    pub is_deletion: bool,
    /// Commit that a merge made, where the provider tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_commit: Option<String>,
    /// The pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// Message of the head commit.
    #[serde(default)]
    pub message: Told<String>,
    /// Changed files.
    #[serde(default)]
    pub files: Told<Files>,
    /// Tag of a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Name of a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Workflow of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// When it happened, milliseconds since the epoch, where the payload tells it of the event itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
}

impl Event {
    pub(super) fn new(kind: EventKind, actor: Account, repository: String, repository_name: String) -> Self {
        Self {
            kind,
            actor,
            repository: cut(repository, MOST_NAME),
            repository_name: cut(repository_name, MOST_NAME),
            organization: None,
            head_ref: None,
            base_ref: None,
            commit: None,
            after: None,
            before: None,
            is_deletion: false,
            merge_commit: None,
            pull_request: None,
            message: Told::Nothing,
            files: Told::Nothing,
            tag: None,
            release: None,
            workflow: None,
            at_ms: None,
        }
    }

    /// `CODEBUILD_WEBHOOK_TRIGGER`: `branch/main`, `tag/v1`, `pr/7` (`api.md` 3.4).
    #[must_use]
    pub fn trigger(&self) -> Option<String> {
        if let Some(request) = &self.pull_request {
            return Some(format!("pr/{}", request.number));
        }
        let head = self.head_ref.as_deref()?;
        let branch = head.strip_prefix("refs/heads/").map(|name| format!("branch/{name}"));
        branch.or_else(|| head.strip_prefix("refs/tags/").map(|name| format!("tag/{name}")))
    }

    /// What the order of events is kept of: a ref, or a pull request.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.pull_request.as_ref().map(|request| format!("pr/{}", request.number)).or_else(|| self.head_ref.clone())
    }

    /// What the build is of (`api.md` 3.4): the commit of a push, `pr/N`, the tag of a release. Bitbucket keeps no ref of
    /// a pull request (`integrations.md` 4.2): there it is the commit.
    #[must_use]
    pub fn source_version(&self, source: SourceType) -> Option<String> {
        match (&self.pull_request, &self.tag) {
            (Some(_), _) if source == SourceType::Bitbucket => self.commit.clone(),
            (Some(request), _) => Some(format!("pr/{}", request.number)),
            (None, Some(tag)) => Some(tag.clone()),
            _ => self.commit.clone(),
        }
    }

    /// Variables of the build (`api.md` 3.4).
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("CODEBUILD_WEBHOOK_EVENT".to_owned(), self.kind.as_str().to_owned()),
            ("CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID".to_owned(), self.actor.id.clone()),
        ];
        for (name, value) in [
            ("CODEBUILD_WEBHOOK_TRIGGER", self.trigger()),
            ("CODEBUILD_WEBHOOK_HEAD_REF", self.head_ref.clone()),
            ("CODEBUILD_WEBHOOK_BASE_REF", self.base_ref.clone()),
            ("CODEBUILD_WEBHOOK_PREV_COMMIT", self.before.clone().filter(|_| self.kind == EventKind::Push)),
            ("CODEBUILD_WEBHOOK_MERGE_COMMIT", self.merge_commit.clone()),
        ] {
            variables.extend(value.map(|value| (name.to_owned(), value)));
        }
        variables
    }
}

/// A comment that lets a pull request build (`api.md` 3.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Pull request.
    pub number: u64,
    /// The commit that is approved, in full.
    pub commit: String,
    /// Who says so.
    pub by: Account,
    /// Whether that is who owns the repository, where the payload tells.
    #[serde(default)]
    pub is_of_owner: bool,
}

impl Approval {
    /// What a comment says: `/codebuild_run(<commit>)` on a line of its own.
    pub(super) fn commit_in(comment: &str) -> Option<String> {
        comment.lines().find_map(|line| {
            let commit = line.trim().strip_prefix("/codebuild_run(")?.strip_suffix(')')?.trim();
            is_commit(commit).then(|| commit.to_ascii_lowercase())
        })
    }
}

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Payload {
    /// This happened. Bitbucket tells several pushes at once.
    Events(Vec<Event>),
    /// Somebody lets a pull request build.
    Approval(Approval),
    /// Nothing that builds; why.
    Other(String),
}

impl Payload {
    /// The same, with what could not be found out to be asked for once more.
    pub(super) fn asked_again(mut self) -> Self {
        if let Self::Events(events) = &mut self {
            for event in events {
                if let Told::Unavailable(_) = event.files {
                    event.files = Told::Ask;
                }
                if let Told::Unavailable(_) = event.message {
                    event.message = Told::Ask;
                }
            }
        }
        self
    }
}

/// Whose form a delivery has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// GitHub, and GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Gitea and Forgejo.
    Gitea,
}

impl Provider {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
        }
    }

    /// The one whose header a delivery has, and what the header says. Gitea sends GitHub's as well.
    #[must_use]
    pub fn of<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<(Self, &'a str)> {
        [
            (Self::Gitea, "x-gitea-event"),
            (Self::Gitea, "x-forgejo-event"),
            (Self::Github, "x-github-event"),
            (Self::Gitlab, "x-gitlab-event"),
            (Self::Bitbucket, "x-event-key"),
        ]
        .into_iter()
        .find_map(|(provider, name)| Some((provider, header(name)?)))
    }

    /// Headers that may carry the id of a delivery (`integrations.md` 4.4, `security.md` 5.8).
    #[must_use]
    pub fn id_headers(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["x-github-delivery"],
            Self::Gitlab => &["webhook-id", "x-gitlab-event-uuid", "idempotency-key"],
            Self::Bitbucket => &["x-request-uuid"],
            Self::Gitea => &["x-gitea-delivery", "x-forgejo-delivery", "x-github-delivery"],
        }
    }
}

/// Reads a delivery: the event that its header names, and its body. GitHub may send a form with the JSON in it.
///
/// # Errors
/// What is wrong with it.
pub fn read(provider: Provider, event: &str, body: &[u8]) -> Result<Payload, String> {
    match provider {
        Provider::Github | Provider::Gitea => {
            let body = match body.strip_prefix(b"payload=") {
                Some(form) => unescape(form.split(|byte| *byte == b'&').next().unwrap_or_default())?,
                None => body.to_vec(),
            };
            github::read(event, &body, provider == Provider::Gitea)
        }
        Provider::Gitlab => gitlab::read(body),
        Provider::Bitbucket => bitbucket::read(event, body),
    }
}

/// A value of a form.
fn unescape(form: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(form.len());
    let mut rest = form.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                bytes.push(value.ok_or("the form cannot be read: a % without two digits")?);
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(bytes)
}

pub(super) fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| format!("the body cannot be read: {e}"))
}

/// A hash of git's, in full: SHA-1 or SHA-256.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What stands for a commit: a hash, perhaps a short one as Bitbucket has them; not the one of zeros that stands for none.
pub(super) fn commit(text: Option<String>) -> Option<String> {
    text.filter(|text| (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .filter(|text| text.bytes().any(|byte| byte != b'0'))
        .map(|text| text.to_ascii_lowercase())
}

/// A name of a ref, or nothing where it is none that git could have.
pub(super) fn ref_name(name: String) -> Option<String> {
    let is_plain = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
    let fits = name.len() <= MOST_NAME && name.chars().all(is_plain) && !name.contains("..") && !name.ends_with('/');
    (fits && name.starts_with("refs/")).then_some(name)
}

pub(super) fn message(text: Option<String>) -> Told<String> {
    text.map_or(Told::Nothing, |text| Told::Known(cut(text, MOST_MESSAGE)))
}

pub(super) fn name(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| cut(text, MOST_NAME))
}

/// The first bytes of a text.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// Milliseconds since the epoch of an RFC 3339 time, or of a number of seconds.
pub(super) fn moment(value: &serde_json::Value) -> Option<i64> {
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};
    if let Some(seconds) = value.as_i64() {
        return seconds.checked_mul(1000);
    }
    let time = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}
