//! Who called what (`docs/audit.md`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Timestamp, audit::Ruling};

/// Most records of one answer.
pub const MOST_EVENTS: u32 = 1000;

/// Which records to show, the newest first: those that fulfil everything that is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupEventsInput {
    /// From this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// Up to this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// Name of a user, `role/session` of a session, `root`, or an ARN of one of these, or of a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Operation, e.g. `StartBuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<String>,
    /// Service, e.g. `codebuild.amazonaws.com`, or `codebuild`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    /// ARN of what it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The access key that signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Only calls that changed nothing, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// Only calls that were refused, or only others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<bool>,
    /// Records to show, 1 to 1000; 50 when absent. There may be fewer although there are more: then there is a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Records of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupEventsOutput {
    /// The newest first.
    #[serde(default)]
    pub events: Vec<AuditEvent>,
    /// For older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A record: `CloudTrail`'s form, as far as it fits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Form of the record.
    pub event_version: String,
    /// Its place in the log.
    pub sequence: u64,
    /// When the call was answered, e.g. `2026-11-26T17:00:00.123Z`.
    pub event_time: String,
    /// `AwsApiCall`; `AwsServiceEvent` for what the log says of itself.
    pub event_type: String,
    /// E.g. `codebuild.amazonaws.com`.
    pub event_source: String,
    /// Operation.
    pub event_name: String,
    /// Region.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub aws_region: String,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<UserIdentity>,
    /// Address, or `unix socket`.
    #[serde(rename = "sourceIPAddress", default, skip_serializing_if = "Option::is_none")]
    pub source_ip_address: Option<String>,
    /// What the client says to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Whether the call came over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// The request's id.
    #[serde(rename = "requestID", default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether the call cannot have changed anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// What the call was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<AuditResource>,
    /// What the call asked for; values that are secret are not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_parameters: Option<Value>,
    /// The permissions that it needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorization: Vec<Ruling>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The same, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// What the log says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_event_details: Option<Value>,
}

/// Who called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserIdentity {
    /// `Root`, `IAMUser`, `AssumedRole`; `Unknown` when the signature did not show who it was.
    pub r#type: String,
    /// Their id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal_id: Option<String>,
    /// Their ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Their account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The access key that the call names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// A user's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Of a temporary key: when its session began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_creation_date: Option<String>,
}

/// What a call was about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditResource {
    /// Its ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
}

/// What is to be checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyAuditLogInput {
    /// An end of the log that somebody noted, `sequence:chain`: it must still be a part of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// What checking the audit log found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyAuditLogOutput {
    /// Records that are as they were written.
    pub records: u64,
    /// Sequence number of the first record that is kept.
    pub first: u64,
    /// Sequence number of the last record that was found good.
    pub last: u64,
    /// The end of the log, `sequence:chain`, to be noted elsewhere.
    pub end: String,
    /// The first thing that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<AuditProblem>,
}

/// Something that is wrong with the audit log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditProblem {
    /// The record that it is about.
    pub sequence: u64,
    /// The file, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is wrong.
    pub what: String,
}
