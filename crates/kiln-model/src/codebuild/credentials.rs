//! Credentials of source providers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kind of a provider's server.
    #[derive(Default)]
    ServerType {
        /// github.com.
        #[default]
        Github = "GITHUB",
        /// bitbucket.org.
        Bitbucket = "BITBUCKET",
        /// A GitHub Enterprise server.
        GithubEnterprise = "GITHUB_ENTERPRISE",
        /// gitlab.com.
        Gitlab = "GITLAB",
        /// A GitLab server.
        GitlabSelfManaged = "GITLAB_SELF_MANAGED",
    }
}

enumeration! {
    /// Kind of a credential.
    #[derive(Default)]
    AuthType {
        /// Made in the console; cannot be imported.
        OAuth = "OAUTH",
        /// User name and app password.
        BasicAuth = "BASIC_AUTH",
        /// A token.
        #[default]
        PersonalAccessToken = "PERSONAL_ACCESS_TOKEN",
        /// A connection; the token is its ARN.
        CodeConnections = "CODECONNECTIONS",
        /// A secret; the token is its ARN.
        SecretsManager = "SECRETS_MANAGER",
    }
}

/// A secret text: not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive(String);

impl Sensitive {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A credential to keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSourceCredentialsInput {
    /// User name, for BASIC_AUTH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Token, app password, or ARN.
    pub token: Sensitive,
    /// Whose.
    pub server_type: ServerType,
    /// Kind.
    pub auth_type: AuthType,
    /// Whether it may replace another; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_overwrite: Option<bool>,
}

/// The kept credential.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportSourceCredentialsOutput {
    /// Its ARN.
    pub arn: String,
}

/// Nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSourceCredentialsInput {}

/// A kept credential, without its secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceCredentialsInfo {
    /// Its ARN.
    pub arn: String,
    /// Whose.
    pub server_type: ServerType,
    /// Kind.
    pub auth_type: AuthType,
    /// ARN of the connection or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// All credentials.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListSourceCredentialsOutput {
    /// Credentials.
    #[serde(default)]
    pub source_credentials_infos: Vec<SourceCredentialsInfo>,
}

/// Which credential to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteSourceCredentialsInput {
    /// Its ARN.
    pub arn: String,
}

/// The deleted credential.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteSourceCredentialsOutput {
    /// Its ARN.
    pub arn: String,
}
