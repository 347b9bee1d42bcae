//! What became of a rule of EventBridge.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Which rule to show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeRuleInput {
    /// Its name.
    pub name: String,
}

/// When a rule is due, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribeRuleOutput {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it does anything.
    pub enabled: bool,
    /// When its schedule is due next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_due: Option<Timestamp>,
    /// The newest time of its schedule that had its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_due: Option<Timestamp>,
    /// Times of its schedule that had no turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<RuleMisses>,
    /// Builds that are to be started and were not yet.
    pub waiting: u64,
    /// The newest build that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start: Option<RuleStart>,
    /// The newest build that could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<RuleFailure>,
}

/// Times of a schedule that had no turn: the service was down or busy then, or its clock was set forward.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleMisses {
    /// How many, since the schedule was set.
    pub count: u64,
    /// The newest.
    pub last: Timestamp,
}

/// A build that a rule started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleStart {
    /// When.
    pub time: Timestamp,
    /// The build's id.
    pub build_id: String,
}

/// A build that a rule could not start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleFailure {
    /// When it was given up.
    pub time: Timestamp,
    /// The target that it was for.
    pub target_id: String,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub message: String,
}
