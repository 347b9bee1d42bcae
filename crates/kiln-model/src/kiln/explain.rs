//! What policies say about a call, statement by statement.

use serde::{Deserialize, Serialize};

/// A call that somebody would make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainAccessInput {
    /// ARN of a user or role of the account.
    pub principal: String,
    /// E.g. `codebuild:StartBuild`.
    pub action: String,
    /// ARN; nothing in particular when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Condition keys that the call would bring along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<KeyValues>,
}

/// The values of a condition key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyValues {
    /// E.g. `aws:SourceIp`.
    pub key: String,
    /// One, or several for a key that may have several.
    #[serde(default)]
    pub values: Vec<String>,
}

/// What would be decided, and what each statement has to do with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainAccessOutput {
    /// `allowed`, `explicitDeny` or `implicitDeny`.
    pub decision: String,
    /// What the caller would be told who may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The resource as policies name it.
    pub resource: String,
    /// Every statement of every policy that counts.
    #[serde(default)]
    pub statements: Vec<ExplainedStatement>,
}

/// A statement of a policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedStatement {
    /// The kind of the policy: `identity-based policy`, `permissions boundary`, `resource-based policy`.
    pub policy_type: String,
    /// Its ARN or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The statement: its `Sid`, else its number from 1.
    pub statement: String,
    /// `Allow` or `Deny`.
    pub effect: String,
    /// Whether it applies to the call.
    pub applies: bool,
    /// Why it does not: `other actions`, `other resources`, `another principal`, or the condition that does not hold and what
    /// the call has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}
