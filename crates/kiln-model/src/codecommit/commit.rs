//! Commits, and what differs between them.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

/// Which commits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetCommitsInput {
    /// Ids of commits: full ones, or unambiguous beginnings.
    pub commit_ids: Vec<String>,
    /// Name of the repository.
    pub repository_name: String,
}

/// The commits, and which could not be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetCommitsOutput {
    /// Commits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commits: Option<Vec<Commit>>,
    /// What could not be told, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<BatchGetCommitsError>>,
}

/// A commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// Full id of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// Id of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_id: Option<String>,
    /// Ids of the commits that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Vec<String>>,
    /// Message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<UserInfo>,
    /// Who committed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<UserInfo>,
    /// Anything else that the commit says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_data: Option<String>,
}

/// Who did something, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserInfo {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// When, as git writes it: seconds since 1970 and the offset of the time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// A commit that could not be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchGetCommitsError {
    /// Full id of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The error's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// Which commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCommitInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Full id of the commit.
    pub commit_id: String,
}

/// The commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCommitOutput {
    /// The commit.
    pub commit: Commit,
}

/// Which commits to compare.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDifferencesInput {
    /// Name of the repository.
    pub repository_name: String,
    /// The commit before: a branch, tag, `HEAD` or id; without it all files were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_commit_specifier: Option<String>,
    /// The commit after: a branch, tag, `HEAD` or id.
    pub after_commit_specifier: String,
    /// Only what is at or below this path before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_path: Option<String>,
    /// Only what is at or below this path after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_path: Option<String>,
    /// Items of the page, at most.
    #[serde(rename = "MaxResults", default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins or the next one does.
    #[serde(rename = "NextToken", default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// What differs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDifferencesOutput {
    /// What differs, by path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<Difference>>,
    /// Where the page begins or the next one does.
    #[serde(rename = "NextToken", default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A path that differs between two commits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The file before; `None` where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_blob: Option<BlobMetadata>,
    /// The file after; `None` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_blob: Option<BlobMetadata>,
    /// Added, modified or deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_type: Option<ChangeTypeEnum>,
}

/// A file of one of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobMetadata {
    /// Id of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<String>,
    /// Path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Mode as git writes it, e.g. `100644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

enumeration! {
    /// How a path changed.
    ChangeTypeEnum {
        /// It was added.
        Added = "A",
        /// It was modified.
        Modified = "M",
        /// It was deleted.
        Deleted = "D",
    }
}
