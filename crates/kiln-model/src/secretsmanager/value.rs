//! Values and their versions.

use serde::{Deserialize, Serialize};

use super::list::Filter;
use crate::{Secret, Timestamp, kms::Blob};

/// Which value to read; the current one unless version or label are given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSecretValueRequest {
    /// The secret: name, ARN, or the ARN without its last characters.
    pub secret_id: String,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// A label of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stage: Option<String>,
}

/// A value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetSecretValueResponse {
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The value, where it is bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_binary: Option<Blob>,
    /// The value, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_string: Option<Secret>,
    /// Labels of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
}

/// Whose current values to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchGetSecretValueRequest {
    /// Secrets, by name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id_list: Option<Vec<String>>,
    /// Only those that fulfil all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<Filter>>,
    /// Items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatchGetSecretValueResponse {
    /// Values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_values: Option<Vec<SecretValueEntry>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// What could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<APIErrorType>>,
}

/// The value of a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretValueEntry {
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The value, where it is bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_binary: Option<Blob>,
    /// The value, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_string: Option<Secret>,
    /// Labels of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
}

/// Why a secret could not be read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct APIErrorType {
    /// The secret: name, ARN, or the ARN without its last characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<String>,
    /// Code of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A new value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutSecretValueRequest {
    /// The secret: name, ARN, or the ARN without its last characters.
    pub secret_id: String,
    /// The id of the new version, by which a call that is repeated is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_request_token: Option<String>,
    /// The value, where it is bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_binary: Option<Blob>,
    /// The value, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_string: Option<Secret>,
    /// Labels of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
    /// Of who rotates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_token: Option<Secret>,
}

/// It is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutSecretValueResponse {
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Labels of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
}

/// A label to move.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecretVersionStageRequest {
    /// The secret: name, ARN, or the ARN without its last characters.
    pub secret_id: String,
    /// A label of a version.
    pub version_stage: String,
    /// The version that loses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_from_version_id: Option<String>,
    /// The version that gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub move_to_version_id: Option<String>,
}

/// It was moved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateSecretVersionStageResponse {
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Whose versions to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretVersionIdsRequest {
    /// The secret: name, ARN, or the ARN without its last characters.
    pub secret_id: String,
    /// Items of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Also versions without labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_deprecated: Option<bool>,
}

/// A page of versions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListSecretVersionIdsResponse {
    /// Versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<SecretVersionsListEntry>>,
    /// Where the page begins, or the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Its ARN.
    #[serde(rename = "ARN", default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A version in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretVersionsListEntry {
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Labels of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_stages: Option<Vec<String>>,
    /// The day on which its value was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_accessed_date: Option<Timestamp>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// Keys that seal it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_ids: Option<Vec<String>>,
}

/// What a password is to be like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRandomPasswordRequest {
    /// Characters, 32 unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_length: Option<i64>,
    /// Characters to leave out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_characters: Option<String>,
    /// No digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_numbers: Option<bool>,
    /// No punctuation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_punctuation: Option<bool>,
    /// No capital letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_uppercase: Option<bool>,
    /// No small letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_lowercase: Option<bool>,
    /// Blanks as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_space: Option<bool>,
    /// At least one of each kind; so it is unless this says no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_each_included_type: Option<bool>,
}

/// A password.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRandomPasswordResponse {
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_password: Option<Secret>,
}
