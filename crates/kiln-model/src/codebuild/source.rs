//! Where sources come from.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// Kind of a source.
    #[derive(Default)]
    SourceType {
        /// A CodeCommit repository.
        CodeCommit = "CODECOMMIT",
        /// The source that a pipeline hands over.
        CodePipeline = "CODEPIPELINE",
        /// A repository on github.com.
        Github = "GITHUB",
        /// A repository on gitlab.com.
        Gitlab = "GITLAB",
        /// A repository of a GitLab server.
        GitlabSelfManaged = "GITLAB_SELF_MANAGED",
        /// A ZIP file or a folder in a bucket.
        S3 = "S3",
        /// A repository on bitbucket.org.
        Bitbucket = "BITBUCKET",
        /// A repository of a GitHub Enterprise server.
        GithubEnterprise = "GITHUB_ENTERPRISE",
        /// None; the buildspec is part of the project.
        #[default]
        NoSource = "NO_SOURCE",
    }
}

impl SourceType {
    /// True for what is fetched with git.
    #[must_use]
    pub fn is_git(self) -> bool {
        self == Self::CodeCommit || self.reports_build_status()
    }

    /// True for providers that show a build's status beside the commit (`api.md` 2.4).
    #[must_use]
    pub fn reports_build_status(self) -> bool {
        matches!(self, Self::Github | Self::Gitlab | Self::GitlabSelfManaged | Self::Bitbucket | Self::GithubEnterprise)
    }
}

enumeration! {
    /// How a build shows itself to the source's provider.
    #[derive(Default)]
    SourceAuthType {
        /// The account's credential of that server type.
        #[default]
        OAuth = "OAUTH",
        /// A connection.
        CodeConnections = "CODECONNECTIONS",
        /// A secret.
        SecretsManager = "SECRETS_MANAGER",
    }
}

/// Credential of one source, stronger than the account's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceAuth {
    /// Kind.
    pub r#type: SourceAuthType,
    /// ARN of the connection or the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// What to do with submodules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitSubmodulesConfig {
    /// Whether they are fetched.
    pub fetch_submodules: bool,
}

/// What the commit's status shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStatusConfig {
    /// Its name; may contain variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Where it leads; may contain variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
}

/// A source of a project or build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSource {
    /// Kind.
    pub r#type: SourceType,
    /// `bucket/key.zip`, `bucket/folder/`, or the URL of a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Commits of history; 0, absent or more than 25 is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_clone_depth: Option<i32>,
    /// Submodules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_submodules_config: Option<GitSubmodulesConfig>,
    /// A path, an ARN of an object, or the text itself (`api.md` 2.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildspec: Option<String>,
    /// Credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SourceAuth>,
    /// Whether the provider is told how the build went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_build_status: Option<bool>,
    /// What it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_status_config: Option<BuildStatusConfig>,
    /// Whether certificates are not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_ssl: Option<bool>,
    /// Name of a secondary source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_identifier: Option<String>,
}

/// Version of a secondary source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSourceVersion {
    /// Which source.
    pub source_identifier: String,
    /// Which version.
    pub source_version: String,
}
