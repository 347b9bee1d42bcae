//! Webhooks: what providers deliver, and which builds that starts (`api.md` 3).
//!
//! Reading order: [`event`] (a payload in CodeBuild's words), [`filter`] (whether it builds), [`order`] (what was heard of
//! the same branch before), [`signature`] (who sent it): pure functions, without clock, store or network. The rest are the
//! use cases: `hooks` (making and changing webhooks), `deliver` and `decide` (taking a delivery and deciding on it, in one
//! transaction), `ask` (what a provider has to be asked for first), `look` (the deliveries that were kept).

mod ask;
mod bitbucket;
mod decide;
mod deliver;
pub mod event;
mod explain;
pub mod filter;
mod github;
mod gitlab;
mod hooks;
mod look;
pub mod order;
pub mod policy;
pub mod signature;
mod work;

use std::time::Duration;

use kiln_model::ApiError;
use kiln_store::{
    StoreError,
    metadata::{DeliveryRecord, WebhookRecord},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{core::Inner, runners::Runners};

pub(crate) use self::{
    ask::{millis, pause},
    deliver::{deliver, has_webhook},
    hooks::{create, forget, remove, shown, update},
    look::{get, list, redeliver},
    work::{Work, run},
};
pub use self::{decide::SUPERSEDED, explain::explain};

/// Version of the stored forms.
const VERSION: u32 = 1;

fn parse<T: DeserializeOwned>(what: impl FnOnce() -> String, doc: &str) -> Result<T, StoreError> {
    serde_json::from_str(doc).map_err(|e| StoreError::Invalid(format!("{} cannot be read: {e}", what())))
}

fn write(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Invalid(e.to_string()))
}

/// What is stored of a webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// Last part of the address.
    token: String,
    /// As the project shows it, without what follows from the configuration.
    webhook: kiln_model::codebuild::Webhook,
    /// Where the provider has it; `None`: it was entered by hand.
    #[serde(default)]
    at: Option<crate::providers::HookAt>,
}

impl Stored {
    fn of(record: &WebhookRecord) -> Result<Self, StoreError> {
        parse(|| format!("the record of the webhook of project {}", record.project), &record.doc)
    }
}

/// What is stored of a delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    version: u32,
    provider: event::Provider,
    /// What the provider calls it.
    event: String,
    payload: event::Payload,
    payload_bytes: u64,
    status: kiln_model::kiln::DeliveryStatus,
    message: String,
    decisions: Vec<kiln_model::kiln::EventDecision>,
    /// The sender's program: the initiator of builds (`api.md` 3.4).
    initiator: String,
    #[serde(default)]
    redelivery_of: Option<String>,
    /// How often the provider was asked in vain.
    #[serde(default)]
    attempts: u32,
    /// What the provider said of those whose role counts.
    #[serde(default)]
    roles: decide::Roles,
}

impl Kept {
    fn of(record: &DeliveryRecord) -> Result<Self, StoreError> {
        parse(|| format!("the record of delivery {}", record.uuid), &record.doc)
    }
}

/// For how long deliveries are kept, and known when they come again.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Deliveries that go in one transaction.
const BATCH: usize = 200;

/// Forgets what came long ago.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let before = inner.now().saturating_sub(millis(KEPT));
    let mut count = 0;
    while !inner.is_stopping() {
        let gone = inner.metadata.write_blocking(move |tx| tx.purge_deliveries(before, BATCH))?;
        count += gone;
        if gone == 0 {
            break;
        }
    }
    Ok(count)
}

fn no_webhook(project: &str) -> ApiError {
    ApiError::not_found(format!("Webhook cannot be found for project {project}"))
}
