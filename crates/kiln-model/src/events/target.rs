//! Targets: what rules start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Targets to add to a rule, in place of those with the same ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutTargetsRequest {
    /// Name of the rule.
    pub rule: String,
    /// Name or ARN of the event bus; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    /// Targets.
    pub targets: Vec<Target>,
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutTargetsResponse {
    /// How many were not added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_entry_count: Option<i32>,
    /// Those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_entries: Option<Vec<PutTargetsResultEntry>>,
}

/// A target that was not added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutTargetsResultEntry {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Why, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// What a rule starts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Target {
    /// Its id among the rule's targets.
    pub id: String,
    /// ARN of what is started.
    pub arn: String,
    /// The role that starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// What it is given: JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Which part of the event it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    /// How what it is given is made of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_transformer: Option<InputTransformer>,
    /// For streams, which are not started here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinesis_parameters: Option<Value>,
    /// For machines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_command_parameters: Option<Value>,
    /// For tasks of ECS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs_parameters: Option<Value>,
    /// For jobs of Batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_parameters: Option<Value>,
    /// For queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqs_parameters: Option<Value>,
    /// For endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_parameters: Option<Value>,
    /// For databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redshift_data_parameters: Option<Value>,
    /// For pipelines of SageMaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sage_maker_pipeline_parameters: Option<Value>,
    /// Where events go that could not be delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter_config: Option<DeadLetterConfig>,
    /// For how long it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// For APIs of AppSync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_sync_parameters: Option<Value>,
}

/// How what a target is given is made of the event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InputTransformer {
    /// Names, and which parts of the event they stand for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_paths_map: Option<BTreeMap<String, String>>,
    /// The text, with `<name>` for those parts.
    pub input_template: String,
}

/// Where events go that could not be delivered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeadLetterConfig {
    /// ARN of a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

/// For how long a delivery is tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RetryPolicy {
    /// Further tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_retry_attempts: Option<i32>,
    /// Seconds since the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_event_age_in_seconds: Option<i32>,
}

/// Whose targets to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTargetsByRuleRequest {
    /// Name of the rule.
    pub rule: String,
    /// Name or ARN of the event bus; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    /// Where the page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Targets of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
}

/// A page of targets, by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTargetsByRuleResponse {
    /// Targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Targets to remove.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveTargetsRequest {
    /// Name of the rule.
    pub rule: String,
    /// Name or ARN of the event bus; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    /// Their ids.
    pub ids: Vec<String>,
    /// Also if an AWS service made the rule; there are none of those here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveTargetsResponse {
    /// How many were not removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_entry_count: Option<i32>,
    /// Those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_entries: Option<Vec<RemoveTargetsResultEntry>>,
}

/// A target that was not removed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveTargetsResultEntry {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// Why, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

/// Of what to list the rules that start it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRuleNamesByTargetRequest {
    /// Its ARN.
    pub target_arn: String,
    /// Name or ARN of the event bus; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_bus_name: Option<String>,
    /// Where the page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Names of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
}

/// A page of names of rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRuleNamesByTargetResponse {
    /// Names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_names: Option<Vec<String>>,
    /// Where the next page begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}
