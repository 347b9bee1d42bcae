//! What Kiln asks of providers of repositories: webhooks, changed files, roles, statuses of commits (`integrations.md` 4).

mod calls;
pub mod outgoing;
mod site;
pub(crate) mod statuses;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kiln_model::{
    ApiError, Secret,
    codebuild::{ProjectSource, SourceType},
    service::Context,
};

pub(crate) use self::{
    calls::{HookAt, HookWish},
    site::{Credential, Location, Site, Trouble, has_api, server_type},
};
use self::{
    outgoing::{Call, Method},
    site::Kind,
};
use crate::{core::Inner, runners::Runners, source_credential};

/// Where providers are, and where Kiln is for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address by which others reach this service: `https://kiln.example`. Providers deliver to it, and statuses of
    /// commits lead there.
    pub public_url: String,
    /// GitHub's API.
    pub github: String,
    /// GitLab's API.
    pub gitlab: String,
    /// Bitbucket's API.
    pub bitbucket: String,
}

impl Settings {
    /// The public providers.
    #[must_use]
    pub fn new(public_url: String) -> Self {
        Self {
            public_url,
            github: "https://api.github.com".to_owned(),
            gitlab: "https://gitlab.com/api/v4".to_owned(),
            bitbucket: "https://api.bitbucket.org/2.0".to_owned(),
        }
    }
}

/// What servers have turned out to be: `true` for Gitea and Forgejo.
#[derive(Debug, Default)]
pub(crate) struct Probed(Mutex<HashMap<String, bool>>);

/// Servers that are remembered.
const MOST_PROBED: usize = 1000;

/// Who Kiln is at a source's provider; `None`: nobody. `context`: who reads the secret where the token is in one.
///
/// # Errors
/// A secret that may not be read or holds something else.
pub(crate) async fn credential<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    source: &ProjectSource,
) -> Result<Option<Credential>, ApiError> {
    let found = source_credential::source_credential(inner, context, source).await?;
    Ok(found.map(|found| Credential {
        // Users that stand for a token alone are for git.
        username: (source.r#type == SourceType::Bitbucket && found.username != "x-token-auth")
            .then_some(found.username),
        token: Secret::new(found.token.expose().to_owned()),
    }))
}

/// As [`credential`], on a thread that may wait.
///
/// # Errors
/// As [`credential`].
pub(crate) fn credential_now<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    source: &ProjectSource,
) -> Result<Option<Credential>, ApiError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|e| ApiError::internal(format!("a credential cannot be read: {e}")))?;
    runtime.block_on(credential(inner, context, source))
}

/// The repository of a source at its provider.
pub(crate) fn site<'a, R: Runners>(
    inner: &'a Inner<R>,
    source: &ProjectSource,
    credential: Option<Credential>,
) -> Result<Site<'a>, Trouble> {
    let refused = |why: String| Trouble::Refused { status: None, why };
    let place = source.location.as_deref().unwrap_or_default();
    let location = Location::parse(place).ok_or_else(|| refused(format!("'{place}' is no address of a repository")))?;
    let settings = &inner.config.providers;
    let (kind, api) = match source.r#type {
        SourceType::Github => (Kind::Github, settings.github.clone()),
        SourceType::Gitlab => (Kind::Gitlab, settings.gitlab.clone()),
        SourceType::Bitbucket => (Kind::Bitbucket, settings.bitbucket.clone()),
        SourceType::GitlabSelfManaged => (Kind::Gitlab, format!("{}/api/v4", location.origin)),
        SourceType::GithubEnterprise if is_gitea(inner, &location.origin)? => {
            (Kind::Gitea, format!("{}/api/v1", location.origin))
        }
        SourceType::GithubEnterprise => (Kind::Github, format!("{}/api/v3", location.origin)),
        kind => return Err(refused(format!("{kind} sources have no provider"))),
    };
    Ok(Site { kind, api, repository: location.path, credential, outgoing: inner.outgoing.as_ref() })
}

/// Whether a server that is called GitHub Enterprise is Gitea or Forgejo, whose API differs in its path
/// (`integrations.md` 4.5). It is asked once.
fn is_gitea<R: Runners>(inner: &Inner<R>, origin: &str) -> Result<bool, Trouble> {
    let known = || inner.probed.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(is) = known().get(origin) {
        return Ok(*is);
    }
    let url = format!("{origin}/api/v1/version");
    let call = Call { method: Method::Get, url: url.clone(), headers: Vec::new(), body: None };
    let answer = inner.outgoing.call(&call)?;
    if answer.status == 429 || answer.status >= 500 {
        return Err(Trouble::Later(format!("GET {url} answered {}", answer.status), answer.retry_after));
    }
    let version = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
    let is = answer.status == 200 && version.is_some_and(|version| version["version"].is_string());
    let mut known = known();
    if known.len() < MOST_PROBED {
        known.insert(origin.to_owned(), is);
    }
    Ok(is)
}
