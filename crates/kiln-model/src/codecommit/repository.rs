//! Repositories: made, described, deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Timestamp, enumeration::enumeration};

/// Which repositories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetRepositoriesInput {
    /// Names of repositories.
    pub repository_names: Vec<String>,
}

/// The repositories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetRepositoriesOutput {
    /// Repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<RepositoryMetadata>>,
    /// Names that no repository has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories_not_found: Option<Vec<String>>,
    /// What could not be told, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<BatchGetRepositoriesError>>,
}

/// A repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryMetadata {
    /// Account that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Its id, which it keeps under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_description: Option<String>,
    /// The branch that is checked out by a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified_date: Option<Timestamp>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Timestamp>,
    /// Where git clones it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_url_http: Option<String>,
    /// Where git clones it from over SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_url_ssh: Option<String>,
    /// Its ARN.
    #[serde(rename = "Arn", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// The key that it is encrypted with: id, ARN or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// A repository that could not be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetRepositoriesError {
    /// Its id, which it keeps under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<BatchGetRepositoriesErrorCodeEnum>,
    /// The error's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

enumeration! {
    /// Why a repository could not be told.
    BatchGetRepositoriesErrorCodeEnum {
        /// Its encryption is damaged.
        EncryptionIntegrityChecksFailed = "EncryptionIntegrityChecksFailedException",
        /// Its key may not be used.
        EncryptionKeyAccessDenied = "EncryptionKeyAccessDeniedException",
        /// Its key is disabled.
        EncryptionKeyDisabled = "EncryptionKeyDisabledException",
        /// Its key is not there.
        EncryptionKeyNotFound = "EncryptionKeyNotFoundException",
        /// Its key cannot be reached.
        EncryptionKeyUnavailable = "EncryptionKeyUnavailableException",
        /// It is not there.
        RepositoryDoesNotExist = "RepositoryDoesNotExistException",
    }
}

/// A repository to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateRepositoryInput {
    /// Name of the repository.
    pub repository_name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_description: Option<String>,
    /// Tags: names and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// The key that it is encrypted with: id, ARN or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// It was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateRepositoryOutput {
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_metadata: Option<RepositoryMetadata>,
}

/// A repository to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRepositoryInput {
    /// Name of the repository.
    pub repository_name: String,
}

/// It is gone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteRepositoryOutput {
    /// Its id, which it keeps under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
}

/// Which repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRepositoryInput {
    /// Name of the repository.
    pub repository_name: String,
}

/// The repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRepositoryOutput {
    /// The repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_metadata: Option<RepositoryMetadata>,
}

/// In which order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRepositoriesInput {
    /// Where the page begins or the next one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// What they are sorted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<SortByEnum>,
    /// In which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderEnum>,
}

enumeration! {
    /// What repositories are sorted by.
    SortByEnum {
        /// Its name.
        RepositoryName = "repositoryName",
        /// When it was last changed.
        LastModifiedDate = "lastModifiedDate",
    }
}

enumeration! {
    /// Orders of a list.
    OrderEnum {
        /// Smallest first.
        Ascending = "ascending",
        /// Largest first.
        Descending = "descending",
    }
}

/// A page of repositories.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListRepositoriesOutput {
    /// Repositories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<Vec<RepositoryNameIdPair>>,
    /// Where the page begins or the next one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Name and id of a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryNameIdPair {
    /// Name of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_name: Option<String>,
    /// Its id, which it keeps under another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
}

/// What a repository is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRepositoryDescriptionInput {
    /// Name of the repository.
    pub repository_name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_description: Option<String>,
}

/// Another name for a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRepositoryNameInput {
    /// The name that it has.
    pub old_name: String,
    /// The name that it is to have.
    pub new_name: String,
}
