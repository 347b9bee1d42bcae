//! By what a source of a project or build shows itself to its server (`api.md` 2.4, 2.9): the account's credential of that
//! kind of server, or a secret that the source names itself. Secrets are read by whoever wants the source: a build by its
//! role.

use kiln_model::{
    ApiError, ErrorCode,
    build_secret::HiddenText,
    build_source::{BuildSource, BuildSourceAnswer},
    codebuild::{AuthType, ProjectSource, Sensitive, ServerType, SourceAuthType, SourceType},
    git_location::{GitLocation, GitScheme},
    secretsmanager::GetSecretValueRequest,
    service::Context,
};
use serde::Deserialize;

use crate::{
    behalf,
    core::Inner,
    document::Document,
    runners::Runners,
    secretsmanager,
    service::{StoredCredential, stored_credential},
};

/// User name and token, for HTTP's basic authentication and for the API of the source's provider.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credential {
    /// What the provider wants as the user of such a token (`integrations.md` 4.1).
    pub(crate) username: String,
    /// Token or app password.
    pub(crate) token: Sensitive,
}

/// By what a source shows itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// User name and token.
    Token(Credential),
    /// A key of SSH, and by which keys the server is known.
    Ssh { key: Sensitive, known_hosts: String },
}

/// The text of a secret that holds a credential. AWS's members, and Kiln's for SSH.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    server_type: Option<String>,
    auth_type: Option<String>,
    token: Option<Sensitive>,
    username: Option<String>,
    private_key: Option<Sensitive>,
    known_hosts: Option<String>,
}

/// The token of a project's source, for the provider's API; `None`: there is none, or one that is of no use there. `context`
/// is who reads the secret where the token is in one.
///
/// # Errors
/// A secret that is missing, may not be read, or holds something else; a credential that cannot be opened.
pub(crate) async fn source_credential<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    source: &ProjectSource,
) -> Result<Option<Credential>, ApiError> {
    Ok(match access(inner, context, source).await? {
        Some(Access::Token(credential)) => Some(credential),
        Some(Access::Ssh { .. }) | None => None,
    })
}

/// By what a source shows itself; `None`: by nothing.
///
/// # Errors
/// As [`source_credential`].
pub(crate) async fn access<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    source: &ProjectSource,
) -> Result<Option<Access>, ApiError> {
    let Some(server) = server_of(source.r#type) else { return Ok(None) };
    let Ok(location) = GitLocation::parse(source.location.as_deref().unwrap_or_default()) else { return Ok(None) };
    let auth = source.auth.as_ref();
    let own = auth.filter(|auth| auth.r#type != SourceAuthType::OAuth);
    let found = match own {
        Some(auth) if auth.r#type == SourceAuthType::SecretsManager => {
            Some(from_secret(inner, context, server, auth.resource.as_deref().unwrap_or_default()).await?)
        }
        Some(auth) => return Err(no_connection(auth.resource.as_deref().unwrap_or_default())),
        None if !is_at_home(server, &location.host) => None,
        None => match stored_credential(inner, server)? {
            Some(StoredCredential { auth: AuthType::SecretsManager, token, .. }) => {
                Some(from_secret(inner, context, server, token.expose()).await?)
            }
            Some(StoredCredential { auth: AuthType::CodeConnections, token, .. }) => {
                return Err(no_connection(token.expose()));
            }
            Some(StoredCredential { auth, username, token }) => {
                let username = username.filter(|_| auth == AuthType::BasicAuth);
                Some(Access::Token(credential(server, username, token)))
            }
            None => None,
        },
    };
    Ok(found.filter(|found| match (found, location.scheme) {
        (Access::Ssh { .. }, scheme) => scheme == GitScheme::Ssh,
        // Over plain HTTP everybody on the way would read it.
        (Access::Token(_), scheme) => scheme == GitScheme::Https,
    }))
}

/// What the runner of a build is told.
pub(crate) async fn of_build<R: Runners>(
    inner: &Inner<R>,
    document: &Document,
    wanted: BuildSource,
) -> BuildSourceAnswer {
    let build = &document.build;
    let source = match &wanted.identifier {
        None => Some(&build.source),
        Some(_) => build.secondary_sources.iter().find(|source| source.source_identifier == wanted.identifier),
    };
    let found = match source {
        Some(source) => match behalf::as_context(inner, document) {
            Ok(context) => access(inner, &context, source).await,
            Err(e) => Err(e),
        },
        None => Err(ApiError::invalid_input("the build has no such source")),
    };
    match found {
        Ok(None) => BuildSourceAnswer::Anonymous,
        Ok(Some(Access::Token(Credential { username, token }))) => BuildSourceAnswer::Password {
            username: HiddenText(username),
            password: HiddenText(token.expose().to_owned()),
        },
        Ok(Some(Access::Ssh { key, known_hosts })) => {
            BuildSourceAnswer::SshKey { key: HiddenText(key.expose().to_owned()), known_hosts }
        }
        Err(ApiError { code, message }) => BuildSourceAnswer::Refused { code: code.as_str().to_owned(), message },
    }
}

/// Whose credential it takes; `None`: it is fetched without.
fn server_of(kind: SourceType) -> Option<ServerType> {
    match kind {
        SourceType::Github => Some(ServerType::Github),
        SourceType::GithubEnterprise => Some(ServerType::GithubEnterprise),
        SourceType::Gitlab => Some(ServerType::Gitlab),
        SourceType::GitlabSelfManaged => Some(ServerType::GitlabSelfManaged),
        SourceType::Bitbucket => Some(ServerType::Bitbucket),
        SourceType::CodeCommit | SourceType::CodePipeline | SourceType::S3 | SourceType::NoSource => None,
    }
}

/// Whether the account's credential is for this host. A project may name any URL: the token of a provider goes nowhere else.
/// Whose server is the user's own is not known.
fn is_at_home(server: ServerType, host: &str) -> bool {
    match server {
        ServerType::Github => host == "github.com",
        ServerType::Gitlab => host == "gitlab.com",
        ServerType::Bitbucket => host == "bitbucket.org",
        ServerType::GithubEnterprise | ServerType::GitlabSelfManaged => true,
    }
}

/// User names that the providers want beside tokens (`integrations.md` 4.1).
fn credential(server: ServerType, username: Option<String>, token: Sensitive) -> Credential {
    let username = username.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        match server {
            ServerType::Github | ServerType::GithubEnterprise => "x-access-token",
            ServerType::Gitlab | ServerType::GitlabSelfManaged => "oauth2",
            ServerType::Bitbucket => "x-token-auth",
        }
        .to_owned()
    });
    Credential { username, token }
}

fn no_connection(arn: &str) -> ApiError {
    // AWS's words (`api.md` 2.4).
    ApiError::new(ErrorCode::InvalidInput, format!("Access denied to connection {arn}"))
}

async fn from_secret<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    server: ServerType,
    arn: &str,
) -> Result<Access, ApiError> {
    let request = GetSecretValueRequest { secret_id: arn.to_owned(), ..Default::default() };
    let answer = secretsmanager::of_build(inner, context, request).await?;
    let text = answer.secret_string;
    let text = text.as_ref().map(|text| text.expose()).unwrap_or_default();
    read(server, text).map_err(|why| ApiError::invalid_input(format!("the secret {arn} holds no credential: {why}")))
}

/// What stands in a secret.
fn read(server: ServerType, text: &str) -> Result<Access, &'static str> {
    let kept: Kept = serde_json::from_str(text).map_err(|_| "it is no JSON object of texts")?;
    if kept.server_type.is_some_and(|kind| kind != server.as_str()) {
        return Err("its ServerType is another than the source's");
    }
    let filled = |text: &Sensitive| !text.expose().is_empty();
    // Each is a line of what git is told.
    let is_line = |text: &str| !text.chars().any(char::is_control);
    match kept.auth_type.as_deref() {
        Some("SSH_KEY") => {
            let key = kept.private_key.filter(filled).ok_or("it has AuthType SSH_KEY and no PrivateKey")?;
            let known_hosts = kept.known_hosts.filter(|lines| !lines.trim().is_empty());
            let known_hosts = known_hosts.ok_or(
                "it has AuthType SSH_KEY and no KnownHosts: the lines that ssh-keyscan prints for the server, once they are checked",
            )?;
            Ok(Access::Ssh { key, known_hosts })
        }
        Some("PERSONAL_ACCESS_TOKEN" | "BASIC_AUTH" | "OAUTH") | None => {
            let token = kept.token.filter(filled).ok_or("it has no Token")?;
            let username = kept.username.unwrap_or_default();
            if !is_line(token.expose()) || !is_line(&username) {
                return Err("its Token or Username has control characters");
            }
            if kept.auth_type.as_deref() == Some("BASIC_AUTH") && username.is_empty() {
                return Err("it has AuthType BASIC_AUTH and no Username");
            }
            Ok(Access::Token(credential(server, Some(username), token)))
        }
        Some(_) => Err("its AuthType is none of PERSONAL_ACCESS_TOKEN, BASIC_AUTH, OAUTH and SSH_KEY"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(username: &str, token: &str) -> Access {
        Access::Token(Credential { username: username.to_owned(), token: Sensitive::new(token) })
    }

    #[test]
    fn secrets_hold_tokens_and_keys() {
        let github = |text| read(ServerType::Github, text);
        assert_eq!(
            github(r#"{"ServerType":"GITHUB","AuthType":"PERSONAL_ACCESS_TOKEN","Token":"t"}"#),
            Ok(token("x-access-token", "t"))
        );
        assert_eq!(read(ServerType::Gitlab, r#"{"Token":"t"}"#), Ok(token("oauth2", "t")));
        assert_eq!(
            read(ServerType::Bitbucket, r#"{"AuthType":"BASIC_AUTH","Username":"u","Token":"t"}"#),
            Ok(token("u", "t"))
        );
        let ssh = read(
            ServerType::GithubEnterprise,
            r#"{"AuthType":"SSH_KEY","PrivateKey":"k\n","KnownHosts":"h ssh-ed25519 A"}"#,
        );
        assert_eq!(ssh, Ok(Access::Ssh { key: Sensitive::new("k\n"), known_hosts: "h ssh-ed25519 A".to_owned() }));
        for (text, why) in [
            ("hunter2", "no JSON"),
            ("[]", "no JSON"),
            ("{}", "no Token"),
            (r#"{"Token":""}"#, "no Token"),
            (r#"{"ServerType":"GITLAB","Token":"t"}"#, "ServerType"),
            (r#"{"AuthType":"CODECONNECTIONS","Token":"t"}"#, "AuthType"),
            (r#"{"AuthType":"BASIC_AUTH","Token":"t"}"#, "no Username"),
            (r#"{"Token":"t\npassword=x"}"#, "control characters"),
            (r#"{"AuthType":"SSH_KEY","KnownHosts":"h"}"#, "no PrivateKey"),
            (r#"{"AuthType":"SSH_KEY","PrivateKey":"k"}"#, "no KnownHosts"),
        ] {
            let error = github(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn a_providers_token_goes_to_the_provider_alone() {
        assert!(is_at_home(ServerType::Github, "github.com"));
        assert!(!is_at_home(ServerType::Github, "github.com.evil.example"));
        assert!(!is_at_home(ServerType::Bitbucket, "github.com"));
        assert!(is_at_home(ServerType::GithubEnterprise, "git.corp.example"));
    }
}
