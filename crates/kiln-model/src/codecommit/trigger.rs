//! Triggers: what is told when a reference changes.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

/// Of which repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRepositoryTriggersInput {
    /// Name of the repository.
    pub repository_name: String,
}

/// Its triggers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetRepositoryTriggersOutput {
    /// Id of this set of triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_id: Option<String>,
    /// Triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Vec<RepositoryTrigger>>,
}

/// Something that is told when a reference changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryTrigger {
    /// Name.
    pub name: String,
    /// What is told: an ARN.
    pub destination_arn: String,
    /// What it is told besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<String>,
    /// Names of branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Vec<String>>,
    /// Which events.
    pub events: Vec<RepositoryTriggerEventEnum>,
}

enumeration! {
    /// Events of a trigger.
    RepositoryTriggerEventEnum {
        /// Each of the others.
        All = "all",
        /// A branch or tag was moved.
        UpdateReference = "updateReference",
        /// A branch or tag was made.
        CreateReference = "createReference",
        /// A branch or tag was deleted.
        DeleteReference = "deleteReference",
    }
}

/// Triggers in place of those that there are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutRepositoryTriggersInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Triggers.
    pub triggers: Vec<RepositoryTrigger>,
}

/// They were stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutRepositoryTriggersOutput {
    /// Id of this set of triggers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_id: Option<String>,
}

/// Triggers to try.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestRepositoryTriggersInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Triggers.
    pub triggers: Vec<RepositoryTrigger>,
}

/// Which of them work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestRepositoryTriggersOutput {
    /// Names of triggers that work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successful_executions: Option<Vec<String>>,
    /// Triggers that do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_executions: Option<Vec<RepositoryTriggerExecutionFailure>>,
}

/// A trigger that does not work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryTriggerExecutionFailure {
    /// Name of the trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Why it does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_message: Option<String>,
}
