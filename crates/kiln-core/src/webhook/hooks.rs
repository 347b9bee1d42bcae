//! Making, changing and removing webhooks (`api.md` 2.8).

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    arn::Home,
    codebuild::{
        CreateWebhookInput, CreateWebhookOutput, DeleteWebhookInput, DeleteWebhookOutput, Project, ProjectSource,
        ScopeConfiguration, Sensitive, SourceType, UpdateWebhookInput, UpdateWebhookOutput, Webhook, WebhookBuildType,
        WebhookFilter, WebhookStatus,
    },
    service::Context,
};
use kiln_store::{StoreError, Tx, View, metadata::WebhookRecord};
use sha2::{Digest as _, Sha256};

use super::{Stored, VERSION, filter, no_webhook, policy, write};
use crate::{
    core::Inner,
    iam::random_name,
    providers::{self, HookAt, HookWish, Site, Trouble, server_type},
    records::{Refused, keys_failed, refuse},
    runners::Runners,
    service::{project_of, projects},
};

/// What secrets are sealed for.
const PURPOSE: &str = "webhook";

/// The location of a source whose webhook is of an organization's repositories (`api.md` 3.3).
pub(super) const OF_ALL: &str = "CODEBUILD_DEFAULT_WEBHOOK_SOURCE_LOCATION";

/// What the store calls the webhook of a token: its hash.
pub(super) fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Secrets that deliveries may be signed with: one, and while the provider is given a new one the old as well.
fn seal<R: Runners>(inner: &Inner<R>, token: &str, secrets: &[&str]) -> Result<Vec<u8>, ApiError> {
    let text = serde_json::to_vec(secrets).map_err(|e| ApiError::internal(e.to_string()))?;
    inner.keys.seal_small(PURPOSE, token, &text).map_err(|e| keys_failed(&e))
}

pub(super) fn secrets<R: Runners>(inner: &Inner<R>, record: &WebhookRecord) -> Result<Vec<Sensitive>, ApiError> {
    let text = inner.keys.open_small(PURPOSE, &record.token, &record.sealed).map_err(|e| keys_failed(&e))?;
    serde_json::from_slice(&text).map_err(|e| {
        tracing::error!(project = %record.project, error = %e, "the secret of a webhook cannot be read");
        ApiError::internal("the secret of the webhook cannot be read")
    })
}

/// A project's webhook as everybody may see it.
pub(crate) fn shown<R: Runners>(
    inner: &Inner<R>,
    view: &View<'_>,
    project: &str,
) -> Result<Option<Webhook>, StoreError> {
    let Some(record) = view.webhook(project)? else { return Ok(None) };
    Ok(Some(show(inner, &Stored::of(&record)?)))
}

fn show<R: Runners>(inner: &Inner<R>, stored: &Stored) -> Webhook {
    Webhook {
        url: stored.at.as_ref().map(|at| at.url.clone()),
        payload_url: Some(payload_url(inner, &stored.token)),
        ..stored.webhook.clone()
    }
}

fn payload_url<R: Runners>(inner: &Inner<R>, token: &str) -> String {
    format!("{}/-/webhooks/{token}", inner.config.providers.public_url)
}

fn look_up<R: Runners>(inner: &Inner<R>, name: &str) -> Result<(Project, Option<WebhookRecord>), ApiError> {
    let home = inner.config.home.clone();
    inner.look(|view| Ok((projects::stored(view, &home, name)?.0, view.webhook(name)?)))
}

/// Groups of filters, and what their owner should know of them.
type Checked = (Option<Vec<Vec<WebhookFilter>>>, Option<String>);

/// What filters say is checked, and each is shown with all its members, as old clients need them (`api.md` 2.8).
fn groups(groups: Option<Vec<Vec<WebhookFilter>>>, branch: Option<&str>) -> Result<Checked, ApiError> {
    if branch == Some("") {
        return Err(ApiError::invalid_input("Invalid input: branchFilter must not be empty"));
    }
    let mut groups = groups.filter(|groups| !groups.is_empty());
    if groups.is_some() && branch.is_some() {
        return Err(ApiError::invalid_input("Invalid input: give filterGroups or branchFilter, not both"));
    }
    let warnings = filter::check(groups.as_deref().unwrap_or_default(), branch)?;
    for filter in groups.iter_mut().flatten().flatten() {
        filter.exclude_matched_pattern.get_or_insert(false);
    }
    Ok((groups, (!warnings.is_empty()).then(|| warnings.join(". "))))
}

fn check_build_type(kind: Option<WebhookBuildType>) -> Result<(), ApiError> {
    if kind == Some(WebhookBuildType::RunnerBuildkiteBuild) {
        return Err(ApiError::invalid_input(
            "Invalid input: buildType RUNNER_BUILDKITE_BUILD is not available in this version of Kiln; use BUILD",
        ));
    }
    Ok(())
}

fn check_scope(source: &ProjectSource, scope: Option<&ScopeConfiguration>) -> Result<(), ApiError> {
    let is_of_all = source.location.as_deref() == Some(OF_ALL);
    let Some(scope) = scope else {
        return if is_of_all {
            Err(ApiError::invalid_input(format!("Invalid input: source location {OF_ALL} needs a scopeConfiguration")))
        } else {
            Ok(())
        };
    };
    if !is_of_all {
        return Err(ApiError::invalid_input(format!(
            "Invalid input: a webhook with a scopeConfiguration needs the source location {OF_ALL}"
        )));
    }
    let is_plain = |text: &str, more: &str| {
        !text.is_empty() && text.len() <= 255 && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !is_plain(&scope.name, "-_./") || scope.name.contains("..") {
        return Err(ApiError::invalid_input(
            "Invalid input: the name of the scopeConfiguration is none of a provider's",
        ));
    }
    let needs_domain = matches!(source.r#type, SourceType::GithubEnterprise | SourceType::GitlabSelfManaged);
    match &scope.domain {
        Some(domain) if !is_plain(domain, "-.:") => {
            Err(ApiError::invalid_input("Invalid input: the domain of the scopeConfiguration is no host's name"))
        }
        None if needs_domain => Err(ApiError::invalid_input(
            "Invalid input: the scopeConfiguration of a server of your own needs its domain",
        )),
        _ => Ok(()),
    }
}

/// The source whose provider has the webhook: of an organization's the place of its repositories.
fn source_of(project: &Project, scope: Option<&ScopeConfiguration>) -> ProjectSource {
    let mut source = project.source.clone();
    if let Some(scope) = scope {
        source.location = Some(repository_in(source.r#type, scope.domain.as_deref(), &format!("{}/*", scope.name)));
    }
    source
}

/// The address of a repository that a provider calls by its full name.
pub(super) fn repository_in(source: SourceType, domain: Option<&str>, name: &str) -> String {
    let host = match (source, domain) {
        (_, Some(domain)) => domain,
        (SourceType::Gitlab, None) => "gitlab.com",
        (SourceType::Bitbucket, None) => "bitbucket.org",
        _ => "github.com",
    };
    format!("https://{host}/{}", name.replace("/*", "/all"))
}

/// Calls a source's provider on a thread that may wait.
async fn ask<R: Runners, T: Send + 'static>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    source: ProjectSource,
    call: impl FnOnce(&Site<'_>) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Failure> {
    let credential = providers::credential(inner, context, &source).await.map_err(Failure::Api)?;
    let Some(credential) = credential else { return Err(Failure::NoToken) };
    let with = Arc::clone(inner);
    let called = tokio::task::spawn_blocking(move || call(&providers::site(&with, &source, Some(credential))?));
    match called.await {
        Ok(result) => result.map_err(Failure::Provider),
        Err(_) => Err(Failure::Api(ApiError::internal("the call to the provider was broken off"))),
    }
}

enum Failure {
    /// There is no credential for the provider.
    NoToken,
    Provider(Trouble),
    Api(ApiError),
}

impl Failure {
    /// AWS's error (`api.md` 2.8). `does`: `create`, `update`, `delete`.
    fn told(self, source: SourceType, does: &str) -> ApiError {
        let failed = |why: String| ApiError::new(ErrorCode::OAuthProvider, format!("Failed to {does} webhook. {why}"));
        match self {
            Self::NoToken => {
                let server = server_type(source);
                ApiError::not_found(format!("Could not find access token for server type {server}"))
            }
            Self::Provider(Trouble::Refused { status: Some(401 | 403 | 404), .. }) => failed(
                "Repository not found or permission denied. Please make sure the source credentials associated with your \
                 project have the permission to create webhook."
                    .to_owned(),
            ),
            Self::Provider(Trouble::Later(why, wait)) if why.ends_with(" 429") || wait.is_some() => {
                let name = match source {
                    SourceType::Gitlab | SourceType::GitlabSelfManaged => "GitLab",
                    SourceType::Bitbucket => "Bitbucket",
                    _ => "GitHub",
                };
                failed(format!("{name} API limit reached. Please try again later."))
            }
            Self::Provider(trouble) => failed(trouble.text().to_owned()),
            Self::Api(error) => error,
        }
    }
}

/// CreateWebhook.
pub(crate) async fn create<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: CreateWebhookInput,
) -> Result<CreateWebhookOutput, ApiError> {
    let name = project_of(&inner.config.home, &input.project_name)?.to_owned();
    let (project, before) = look_up(inner, &name)?;
    let kind = project.source.r#type;
    if !providers::has_api(&project.source) {
        return Err(ApiError::invalid_input(format!("Invalid input: source type {kind} has no webhooks")));
    }
    check_build_type(input.build_type)?;
    check_scope(&project.source, input.scope_configuration.as_ref())?;
    let (filter_groups, status_message) = groups(input.filter_groups, input.branch_filter.as_deref())?;
    let exists = || ApiError::already_exists(format!("Webhook already exists for project {name}"));
    if before.is_some() {
        return Err(exists());
    }
    let (token, secret) = (random_name(), random_name());
    let webhook = Webhook {
        branch_filter: input.branch_filter,
        filter_groups,
        build_type: input.build_type,
        manual_creation: input.manual_creation,
        last_modified_secret: Some(Timestamp::from_millis(inner.now())),
        pull_request_build_policy: Some(
            input.pull_request_build_policy.map_or_else(|| policy::usual(kind), |own| policy::completed(own, kind)),
        ),
        scope_configuration: input.scope_configuration,
        status: Some(WebhookStatus::Active),
        status_message,
        ..Webhook::default()
    };
    let mut stored = Stored { version: VERSION, token, webhook, at: None };
    let source = source_of(&project, stored.webhook.scope_configuration.as_ref());
    if stored.webhook.manual_creation != Some(true) {
        let (url, scope) = (payload_url(inner, &stored.token), stored.webhook.scope_configuration.clone());
        let wished = secret.clone();
        let made = ask(inner, context, source.clone(), move |site| {
            site.create_hook(&HookWish { payload_url: &url, secret: &wished, scope: scope.as_ref() })
        });
        stored.at = Some(made.await.map_err(|failure| failure.told(kind, "create"))?);
    }
    let at = hash(&stored.token);
    let record = WebhookRecord {
        project: name.clone(),
        sealed: seal(inner, &at, &[&secret])?,
        token: at,
        doc: write(&stored).map_err(|e| refuse(&e))?,
    };
    let home = inner.config.home.clone();
    let inserted = inner.transact(move |tx| {
        projects::stored(tx, &home, &record.project)?;
        Ok(tx.insert_webhook(&record).is_ok())
    });
    match (inserted.await, stored.at.clone()) {
        (Ok(true), _) => {}
        // Somebody else's came first, or the project went.
        (other, at) => {
            if let Some(at) = at {
                let removed = ask(inner, context, source, move |site| site.delete_hook(&at)).await;
                if removed.is_err() {
                    tracing::warn!(project = %name, "a webhook that was made and is not used stays at the provider");
                }
            }
            return Err(other.err().unwrap_or_else(exists));
        }
    }
    let webhook = Webhook { secret: Some(Sensitive::new(secret)), ..show(inner, &stored) };
    Ok(CreateWebhookOutput { webhook: Some(webhook) })
}

/// UpdateWebhook.
pub(crate) async fn update<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: UpdateWebhookInput,
) -> Result<UpdateWebhookOutput, ApiError> {
    let name = project_of(&inner.config.home, &input.project_name)?.to_owned();
    let (project, record) = look_up(inner, &name)?;
    let record = record.ok_or_else(|| no_webhook(&name))?;
    let kind = project.source.r#type;
    check_build_type(input.build_type)?;
    let branch = input.branch_filter;
    let changes_filters = branch.is_some() || input.filter_groups.is_some();
    let (filter_groups, status_message) = groups(input.filter_groups, branch.as_deref())?;
    let given = input.pull_request_build_policy.map(|own| policy::completed(own, kind));
    let (build_type, modified) = (input.build_type, Timestamp::from_millis(inner.now()));
    let change = move |stored: &mut Stored, is_new_secret: bool| {
        let webhook = &mut stored.webhook;
        if changes_filters {
            webhook.branch_filter.clone_from(&branch);
            webhook.filter_groups.clone_from(&filter_groups);
            webhook.status_message.clone_from(&status_message);
        }
        if build_type.is_some() {
            webhook.build_type = build_type;
        }
        if let Some(policy) = &given {
            webhook.pull_request_build_policy = Some(policy.clone());
        }
        if is_new_secret {
            webhook.last_modified_secret = Some(modified);
        }
    };
    let stored = Stored::of(&record).map_err(|e| refuse(&e))?;
    let mut secret = None;
    if input.rotate_secret == Some(true) {
        let new = random_name();
        let old = secrets(inner, &record)?;
        let old = old.first().map(|old| old.expose().to_owned()).unwrap_or_default();
        if let Some(at) = stored.at.clone() {
            // Until the provider has the new one it signs with the old.
            replace_secret(inner, &record, seal(inner, &record.token, &[&new, &old])?).await?;
            let (url, scope) = (payload_url(inner, &stored.token), stored.webhook.scope_configuration.clone());
            let wished = new.clone();
            let source = source_of(&project, scope.as_ref());
            let told = ask(inner, context, source, move |site| {
                site.update_hook(&at, &HookWish { payload_url: &url, secret: &wished, scope: scope.as_ref() })
            });
            if let Err(failure) = told.await {
                replace_secret(inner, &record, seal(inner, &record.token, &[&old])?).await?;
                return Err(failure.told(kind, "update"));
            }
        }
        replace_secret(inner, &record, seal(inner, &record.token, &[&new])?).await?;
        secret = Some(Sensitive::new(new));
    }
    let is_new = secret.is_some();
    let token = record.token.clone();
    let changed = inner.transact(move |tx| {
        let record = tx.webhook(&name)?.filter(|now| now.token == token);
        let mut record = record.ok_or_else(|| Refused::Api(no_webhook(&name)))?;
        let mut stored = Stored::of(&record)?;
        change(&mut stored, is_new);
        record.doc = write(&stored)?;
        tx.update_webhook(&record)?;
        Ok(stored)
    });
    let webhook = Webhook { secret, ..show(inner, &changed.await?) };
    Ok(UpdateWebhookOutput { webhook: Some(webhook) })
}

async fn replace_secret<R: Runners>(inner: &Inner<R>, record: &WebhookRecord, sealed: Vec<u8>) -> Result<(), ApiError> {
    let (project, token) = (record.project.clone(), record.token.clone());
    let changed = inner.transact(move |tx| {
        let record = tx.webhook(&project)?.filter(|now| now.token == token);
        let record = record.ok_or_else(|| Refused::Api(no_webhook(&project)))?;
        Ok(tx.update_webhook(&WebhookRecord { sealed, ..record })?)
    });
    changed.await
}

/// DeleteWebhook.
pub(crate) async fn remove<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: DeleteWebhookInput,
) -> Result<DeleteWebhookOutput, ApiError> {
    let name = project_of(&inner.config.home, &input.project_name)?.to_owned();
    let (project, record) = look_up(inner, &name)?;
    let record = record.ok_or_else(|| no_webhook(&name))?;
    let stored = Stored::of(&record).map_err(|e| refuse(&e))?;
    if let Some(at) = stored.at {
        let source = source_of(&project, stored.webhook.scope_configuration.as_ref());
        match ask(inner, context, source, move |site| site.delete_hook(&at)).await {
            Ok(()) => {}
            Err(Failure::Provider(trouble @ Trouble::Later(..))) => {
                return Err(Failure::Provider(trouble).told(project.source.r#type, "delete"));
            }
            // What is delivered from now on is refused; whoever can reach the provider removes it there.
            Err(_) => {
                tracing::warn!(project = %name, "the provider does not let Kiln remove a webhook: it stays there");
            }
        }
    }
    let deleted =
        inner.transact(move |tx| if tx.delete_webhook(&name)? { Ok(()) } else { Err(Refused::Api(no_webhook(&name))) });
    deleted.await?;
    Ok(DeleteWebhookOutput {})
}

/// A webhook whose project is deleted, for [`Forgotten::at_provider`].
pub(crate) struct Forgotten {
    source: ProjectSource,
    at: HookAt,
}

/// Deletes the webhook of a project that is being deleted.
pub(crate) fn forget(tx: &mut Tx<'_>, home: &Home, name: &str) -> Result<Option<Forgotten>, StoreError> {
    let Some(record) = tx.webhook(name)? else { return Ok(None) };
    tx.delete_webhook(name)?;
    let (Ok((project, _)), Ok(stored)) = (projects::stored(tx, home, name), Stored::of(&record)) else {
        return Ok(None);
    };
    let source = source_of(&project, stored.webhook.scope_configuration.as_ref());
    Ok(stored.at.map(|at| Forgotten { source, at }))
}

impl Forgotten {
    /// Removes it from its provider, if that lets us: its project is gone in any case.
    pub(crate) fn at_provider<R: Runners>(self, inner: &Arc<Inner<R>>, context: &Context) {
        let (with, context) = (Arc::clone(inner), context.clone());
        tokio::spawn(async move {
            let Self { source, at } = self;
            if ask(&with, &context, source, move |site| site.delete_hook(&at)).await.is_err() {
                tracing::warn!("the webhook of a deleted project stays at its provider");
            }
        });
    }
}
