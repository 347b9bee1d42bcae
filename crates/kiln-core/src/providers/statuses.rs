//! Statuses of commits: what becomes of builds is told to the providers of their sources (`api.md` 3.6).
//!
//! What is to be told is written by the transaction that starts or ends the build, of each commit the newest, and stays
//! until the provider has taken it. A build never waits for that, and never fails by it.

use std::{sync::Arc, time::Duration};

use kiln_model::codebuild::{EnvironmentVariableType, Project, ProjectSource};
use kiln_store::{StoreError, Tx, metadata::CommitStatusRecord};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Trouble,
    calls::{State, Status},
    credential_now, site,
};
use crate::{
    accept, behalf,
    config::Config,
    core::Inner,
    document::Document,
    lifecycle::{self, Millis},
    records,
    runners::Runners,
    service::projects,
    webhook::{event::is_commit, millis, pause},
};

/// What a pull request is told that waits for its approval (`api.md` 3.5).
pub(crate) const UNAPPROVED: &str = "Pull request approval required for starting a build";

/// So long it is tried to tell a status.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// A build that does not know its commit yet is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(2);

/// What is stored of a status.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    version: u32,
    about: About,
    /// When it was written.
    since_ms: Millis,
    /// How often it was told in vain.
    #[serde(default)]
    attempts: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum About {
    /// A build's, by its uuid.
    Build { build: String, state: State },
    /// A commit that is not built.
    Commit { project: String, commit: String, description: String },
}

/// Whether a build's commit is told what becomes of it: those of webhooks are, others where the project says so.
fn is_told(document: &Document) -> bool {
    let source = &document.build.source;
    let triggered = document.triggered.as_ref().is_some_and(|triggered| triggered.reports);
    super::has_api(source) && (triggered || source.report_build_status == Some(true))
}

/// The commit of a build, as far as it is known.
fn commit_of(document: &Document) -> Option<String> {
    let triggered = document.triggered.as_ref().and_then(|triggered| triggered.commit.clone());
    let resolved = || document.build.resolved_source_version.clone();
    let asked = || document.build.source_version.clone().filter(|version| is_commit(version));
    triggered.or_else(resolved).or_else(asked)
}

/// Statuses of one subject replace each other: those of a project's builds of a commit, unless each has a name of its own.
fn subject_of(document: &Document) -> String {
    let config = document.build.source.build_status_config.as_ref();
    let has_own = config.and_then(|config| config.context.as_deref()).is_some_and(|context| context.contains('$'));
    let commit = document.triggered.as_ref().and_then(|triggered| triggered.commit.as_deref());
    match commit.filter(|_| !has_own) {
        Some(commit) => subject(&document.build.project_name, commit),
        None => format!("build {}", document.uuid()),
    }
}

fn subject(project: &str, commit: &str) -> String {
    format!("{project}@{commit}")
}

fn put(tx: &mut Tx<'_>, subject: &str, about: About, now: Millis) -> Result<(), StoreError> {
    let kept = Kept { version: 1, about, since_ms: now, attempts: 0 };
    let doc = serde_json::to_string(&kept).map_err(|e| StoreError::Invalid(e.to_string()))?;
    // At once, whatever the clock is set to meanwhile.
    tx.put_commit_status(subject, 0, &doc)
}

/// Writes down what is to be told of a build that has started or ended.
pub(crate) fn changed(tx: &mut Tx<'_>, document: &Document) -> Result<(), StoreError> {
    // A build that is tried again says how it ends.
    if !is_told(document) || document.next_try.is_some() {
        return Ok(());
    }
    let state = State::of(document.lifecycle.status);
    let now = document.lifecycle.ended_ms.unwrap_or(document.lifecycle.submitted_ms);
    let about = About::Build { build: document.uuid().to_owned(), state };
    put(tx, &subject_of(document), about, now)
}

/// Writes down what is to be told of a commit that is not built.
pub(crate) fn told(
    tx: &mut Tx<'_>,
    project: &Project,
    commit: &str,
    description: &str,
    now: Millis,
) -> Result<(), StoreError> {
    let about =
        About::Commit { project: project.name.clone(), commit: commit.to_owned(), description: description.to_owned() };
    put(tx, &subject(&project.name, commit), about, now)
}

/// Everything that a provider is told.
struct Message {
    source: ProjectSource,
    commit: String,
    state: State,
    context: String,
    target_url: String,
    description: String,
    /// Who reads the secret of its credential.
    behalf: Document,
}

enum Told {
    This(Box<Message>),
    /// The build has not come so far.
    NotYet,
    /// There is nobody to tell.
    Nobody,
}

/// Tells a status, and notes that it is told.
pub(crate) fn send<R: Runners>(inner: &Arc<Inner<R>>, record: &CommitStatusRecord) -> Result<(), StoreError> {
    let kept: Kept = serde_json::from_str(&record.doc)
        .map_err(|e| StoreError::Invalid(format!("the status of {} cannot be read: {e}", record.subject)))?;
    let now = inner.now();
    let again = |kept: &Kept, after: Duration| {
        let doc = serde_json::to_string(kept).map_err(|e| StoreError::Invalid(e.to_string()))?;
        let later = CommitStatusRecord { due_ms: now + millis(after), doc, ..record.clone() };
        inner.metadata.write_blocking(move |tx| tx.postpone_commit_status(&later))
    };
    let message = match message(inner, &kept.about)? {
        Told::This(message) => message,
        Told::NotYet => return again(&kept, AGAIN),
        Told::Nobody => return done(inner, record),
    };
    let told = behalf::as_context(inner, &message.behalf)
        .and_then(|context| credential_now(inner, &context, &message.source))
        .map_err(|e| Trouble::Refused { status: None, why: e.message })
        .and_then(|credential| match credential {
            // Nobody may say anything there without one: that is no trouble of the build's.
            None => Ok(false),
            Some(credential) => {
                let site = site(inner, &message.source, Some(credential))?;
                let Message { commit, state, context, target_url, description, .. } = &*message;
                site.status(&Status { commit, state: *state, context, target_url, description }).map(|()| true)
            }
        });
    match told {
        Ok(is_told) => {
            if !is_told {
                tracing::debug!(subject = %record.subject, "no status is told: there is no credential for the provider");
            }
            done(inner, record)
        }
        Err(Trouble::Later(why, wait)) if now.saturating_sub(kept.since_ms) < millis(PATIENCE) => {
            if kept.attempts == 0 {
                tracing::warn!(subject = %record.subject, error = why, "a status waits for its provider");
            }
            let after = wait.unwrap_or_default().max(pause(kept.attempts));
            again(&Kept { attempts: kept.attempts + 1, ..kept }, after)
        }
        Err(trouble) => {
            tracing::warn!(subject = %record.subject, error = trouble.text(), "a status is not told: the provider refuses it");
            done(inner, record)
        }
    }
}

fn done<R: Runners>(inner: &Inner<R>, record: &CommitStatusRecord) -> Result<(), StoreError> {
    let (subject, number) = (record.subject.clone(), record.number);
    inner.metadata.write_blocking(move |tx| tx.delete_commit_status(&subject, number))
}

fn message<R: Runners>(inner: &Inner<R>, about: &About) -> Result<Told, StoreError> {
    let config = &inner.config;
    match about {
        About::Build { build, state } => {
            let live = inner.live.get(build).map(|live| live.document());
            let stored = || Ok(inner.metadata.read(|view| records::find(view, build))?.map(|(_, document)| document));
            let Some(document) = live.map_or_else(stored, |document| Ok::<_, StoreError>(Some(document)))? else {
                return Ok(Told::Nobody);
            };
            let Some(commit) = commit_of(&document) else {
                let is_over = document.lifecycle.state == lifecycle::State::Ended;
                return Ok(if is_over { Told::Nobody } else { Told::NotYet });
            };
            let id = &document.build.id;
            let description = match state {
                State::Pending => format!("Build {id} has started"),
                State::Success => format!("Build {id} succeeded"),
                State::Failure => format!("Build {id} failed"),
                State::Stopped => match &document.superseded_by {
                    Some(newer) => format!("Build {id} was stopped: {newer} is newer"),
                    None => format!("Build {id} was stopped"),
                },
                State::Error => format!("Build {id} could not be completed"),
            };
            Ok(Told::This(Box::new(Message {
                source: document.build.source.clone(),
                commit,
                state: *state,
                context: context(config, &document),
                target_url: target_url(config, &document),
                description,
                behalf: document,
            })))
        }
        About::Commit { project, commit, description } => {
            let found = inner
                .metadata
                .read(|view| Ok(projects::stored(view, &config.home, project).ok().map(|(project, _)| project)))?;
            let Some(found) = found else { return Ok(Told::Nobody) };
            let input = kiln_model::codebuild::StartBuildInput {
                project_name: project.clone(),
                ..kiln_model::codebuild::StartBuildInput::default()
            };
            let Ok(behalf) = accept::document(config, &found, input, "", &Uuid::new_v4().to_string(), 0) else {
                return Ok(Told::Nobody);
            };
            Ok(Told::This(Box::new(Message {
                source: found.source,
                commit: commit.clone(),
                state: State::Failure,
                context: usual_context(config, project),
                target_url: format!("{}/-/projects/{project}", config.providers.public_url),
                description: description.clone(),
                behalf,
            })))
        }
    }
}

fn usual_context(config: &Config, project: &str) -> String {
    format!("AWS CodeBuild {} ({project})", config.home.region)
}

/// What the status is called (`api.md` 3.6).
fn context(config: &Config, document: &Document) -> String {
    let own = document.build.source.build_status_config.as_ref().and_then(|own| own.context.as_deref());
    match own.filter(|text| !text.is_empty()) {
        Some(text) => expand(text, &variables(config, document)),
        None => usual_context(config, &document.build.project_name),
    }
}

fn target_url(config: &Config, document: &Document) -> String {
    let own = document.build.source.build_status_config.as_ref().and_then(|own| own.target_url.as_deref());
    match own.filter(|text| !text.is_empty()) {
        Some(text) => expand(text, &variables(config, document)),
        None => format!("{}/-/builds/{}", config.providers.public_url, document.build.id),
    }
}

/// The build's variables, as far as they are known to the service; secrets are not.
fn variables(config: &Config, document: &Document) -> Vec<(String, String)> {
    let build = &document.build;
    let home = &config.home;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut all = vec![
        ("AWS_REGION".to_owned(), home.region.clone()),
        ("AWS_DEFAULT_REGION".to_owned(), home.region.clone()),
        ("AWS_ACCOUNT_ID".to_owned(), home.account.clone()),
        ("CODEBUILD_BUILD_ARN".to_owned(), build.arn.clone()),
        ("CODEBUILD_BUILD_ID".to_owned(), build.id.clone()),
        ("CODEBUILD_BUILD_NUMBER".to_owned(), build.build_number.unwrap_or_default().to_string()),
        ("CODEBUILD_BUILD_IMAGE".to_owned(), build.environment.image.clone()),
        ("CODEBUILD_INITIATOR".to_owned(), text(&build.initiator)),
        ("CODEBUILD_SOURCE_VERSION".to_owned(), text(&build.source_version)),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION".to_owned(), text(&build.resolved_source_version)),
        ("CODEBUILD_SOURCE_REPO_URL".to_owned(), text(&build.source.location)),
        ("CODEBUILD_LOG_PATH".to_owned(), document.log_stream()),
    ];
    all.extend(document.triggered.iter().flat_map(|triggered| triggered.variables.clone()));
    for variable in &build.environment.environment_variables {
        if variable.r#type.unwrap_or_default() == EnvironmentVariableType::Plaintext {
            all.push((variable.name.clone(), variable.value.clone()));
        }
    }
    all
}

/// Replaces `$NAME` and `${NAME}`; a name that is not known is nothing.
fn expand(text: &str, variables: &[(String, String)]) -> String {
    let value = |name: &str| variables.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value);
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let (name, then) = braced.unwrap_or_else(|| {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at(end)
        });
        if name.is_empty() {
            expanded.push('$');
        } else {
            expanded.push_str(value(name));
        }
        rest = then;
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded() {
        let known =
            [("A".to_owned(), "1".to_owned()), ("A_B".to_owned(), "2".to_owned()), ("A".to_owned(), "3".to_owned())];
        for (text, expected) in [
            ("plain", "plain"),
            ("$A-${A_B}/$A_B.$NONE!", "3-2/2.!"),
            ("${A}B", "3B"),
            ("costs $ 5 $", "costs $ 5 $"),
            ("${A", "${A"),
            ("$$A", "$3"),
            ("é$Aé", "é3é"),
        ] {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }
}
