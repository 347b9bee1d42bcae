//! What webhooks have delivered, and what became of it.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, codebuild::WebhookFilterType, enumeration::enumeration};

/// Deliveries of one answer, at most.
pub const MOST_DELIVERIES: u32 = 100;

enumeration! {
    /// What became of a delivery, or of one event in it.
    #[derive(Default)]
    DeliveryStatus {
        /// Something has to be asked of the provider first.
        #[default]
        Pending = "PENDING",
        /// A build was started.
        Started = "STARTED",
        /// No filter group matches, or the event is of a kind that builds nothing.
        Ignored = "IGNORED",
        /// The commit is built, or was built, for another delivery.
        Duplicate = "DUPLICATE",
        /// A pull request waits for somebody to approve it.
        AwaitingApproval = "AWAITING_APPROVAL",
        /// A build was to be started, and could not be.
        Failed = "FAILED",
    }
}

/// Which deliveries, of one project's webhook: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListWebhookDeliveriesInput {
    /// Project.
    pub project_name: String,
    /// How many, at most [`MOST_DELIVERIES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<u32>,
    /// Where the answer before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The deliveries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListWebhookDeliveriesOutput {
    /// The newest first.
    pub deliveries: Vec<WebhookDelivery>,
    /// Where the next answer begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Something that a provider delivered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookDelivery {
    /// Kiln's id of it.
    pub id: String,
    /// The provider's id of it, by which a delivery that comes again is known.
    pub delivery_id: String,
    /// Project whose webhook it came to.
    pub project_name: String,
    /// Whose form it has: `github`, `gitlab`, `bitbucket`, `gitea`.
    pub provider: String,
    /// What the provider calls it: `push`, `Merge Request Hook`, `pullrequest:created`.
    pub event: String,
    /// When it came.
    pub received_time: Timestamp,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The same in words.
    pub message: String,
    /// Builds that it started.
    #[serde(default)]
    pub build_ids: Vec<String>,
    /// Kiln's id of the delivery that this one repeats, as somebody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redelivery_of: Option<String>,
    /// Size of the body, bytes.
    pub payload_bytes: u64,
}

/// Which delivery.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetWebhookDeliveryInput {
    /// Project.
    pub project_name: String,
    /// Kiln's id of the delivery.
    pub id: String,
}

/// A delivery in all detail.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetWebhookDeliveryOutput {
    /// The delivery.
    pub delivery: WebhookDelivery,
    /// What was decided on each event in it: most deliveries have one, some of Bitbucket several.
    pub decisions: Vec<EventDecision>,
    /// The body as it came. Absent where it was too large to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// Which delivery is to be looked at once more, as if it had just come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedeliverWebhookDeliveryInput {
    /// Project.
    pub project_name: String,
    /// Kiln's id of the delivery.
    pub id: String,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedeliverWebhookDeliveryOutput {
    /// A delivery of its own.
    pub delivery: WebhookDelivery,
}

/// What was decided on an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDecision {
    /// CodeBuild's name of the event, e.g. `PUSH`; absent for one that it has no name for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What the build is of: `branch/main`, `tag/v1`, `pr/7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Head commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The same in words.
    pub message: String,
    /// What each filter group said; empty where the webhook has none, or none was asked.
    #[serde(default)]
    pub groups: Vec<FilterGroupDecision>,
    /// The build that it started, or that had been started for the same commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Builds that this one stopped, as it is newer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded_build_ids: Vec<String>,
}

/// What a filter group said. All of its filters must match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterGroupDecision {
    /// Whether it matches.
    pub matched: bool,
    /// Its filters, in their order.
    pub filters: Vec<FilterDecision>,
}

/// What a filter said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FilterDecision {
    /// What it looks at.
    pub r#type: WebhookFilterType,
    /// What it looks for.
    pub pattern: String,
    /// Whether a match must not be.
    #[serde(default)]
    pub exclude_matched_pattern: bool,
    /// Whether it lets the event pass. Absent: that could not be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<bool>,
    /// What it looked at: the ref, the message, or the file that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why, in words.
    pub reason: String,
}
