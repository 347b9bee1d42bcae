//! From an event to what rules start because of it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kiln_model::arn::Home;
use kiln_store::{StoreError, Tx, metadata::EventRuleRecord};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    document::{DeliveryDocument, RuleDocument, TargetDocument, rule_arn},
    input::{Path, Surroundings, Template},
    pattern::Pattern,
};
use crate::lifecycle::Millis;

/// Targets of a rule (AWS's quota).
pub(super) const MOST_TARGETS: usize = 5;
/// Further tries of a delivery, and for how long, where its target does not say (`integrations.md` 6.1).
const MOST_ATTEMPTS: u32 = 185;
const LONGEST_SECONDS: i64 = 86_400;

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// A UUID. An event with the id of one that was published before starts nothing twice while that is being started.
    pub(crate) id: String,
    /// When it happened.
    pub(crate) time_ms: Millis,
    /// Who says so, e.g. `aws.codecommit`.
    pub(crate) source: String,
    /// What kind of event, e.g. `CodeCommit Repository State Change`.
    pub(crate) detail_type: String,
    /// ARNs of what it is about.
    pub(crate) resources: Vec<String>,
    /// What happened: a JSON object.
    pub(crate) detail: Value,
}

/// A time as events write it: whole seconds.
fn text_of(ms: Millis) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// The id of an event that these parts tell from all others: the same parts have the same.
pub(super) fn id_of(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

impl Event {
    /// As rules see it.
    pub(super) fn json(&self, home: &Home) -> Value {
        json!({
            "version": "0", "id": self.id, "detail-type": self.detail_type, "source": self.source,
            "account": home.account, "time": text_of(self.time_ms), "region": home.region,
            "resources": self.resources, "detail": self.detail,
        })
    }
}

/// Has everything started that rules say about an event, once the transaction is stored and the worker woken
/// ([`super::Bell::ring`]). How many builds that will be.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn publish(tx: &mut Tx<'_>, home: &Home, event: &Event) -> Result<usize, StoreError> {
    let rules = tx.event_rules_with_pattern()?;
    if rules.is_empty() {
        return Ok(0);
    }
    let whole = event.json(home);
    let mut count = 0;
    for record in rules {
        let document = RuleDocument::of(&record)?;
        // It was read when it was stored.
        let pattern = document.pattern.as_deref().and_then(|text| Pattern::parse(text).ok());
        if pattern.is_some_and(|pattern| pattern.matches(&whole)) {
            count += fan_out(tx, home, &record, &document, &whole, event)?;
        }
    }
    Ok(count)
}

/// Has a rule's targets started with an event.
pub(super) fn fan_out(
    tx: &mut Tx<'_>,
    home: &Home,
    rule: &EventRuleRecord,
    document: &RuleDocument,
    whole: &Value,
    event: &Event,
) -> Result<usize, StoreError> {
    let arn = rule_arn(home, &rule.name);
    let ingested = text_of(event.time_ms);
    let around = Surroundings { rule_arn: &arn, rule_name: &rule.name, ingested: &ingested };
    let targets = tx.event_targets(&rule.name, None, MOST_TARGETS)?;
    let count = targets.len();
    for target in targets {
        let own = TargetDocument::of(&target)?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{}\0{}\0{}", document.uid, event.id, target.id)));
        let retry = own.retry.clone().unwrap_or_default();
        let attempts = retry.maximum_retry_attempts.and_then(|most| u32::try_from(most).ok());
        let seconds = retry.maximum_event_age_in_seconds.map_or(LONGEST_SECONDS, i64::from);
        let delivery = DeliveryDocument {
            version: DeliveryDocument::VERSION,
            rule_uid: document.uid.clone(),
            input: given(&own, whole, around),
            target: target.id,
            arn: target.arn,
            role: own.role,
            attempts: 0,
            waited_ms: 0,
            most_attempts: attempts.unwrap_or(MOST_ATTEMPTS),
            longest_ms: seconds.saturating_mul(1000),
        };
        // At once, whatever the clock says.
        tx.put_event_delivery(&delivery.record(id, &rule.name, Millis::MIN)?)?;
    }
    Ok(count)
}

/// What a target is given of an event. What is stored of it was read when it was stored.
fn given(target: &TargetDocument, event: &Value, around: Surroundings<'_>) -> String {
    if let Some(input) = &target.input {
        return input.clone();
    }
    if let Some(path) = &target.input_path {
        let part = Path::parse(path).and_then(|path| path.of(event).cloned());
        return part.unwrap_or(Value::Null).to_string();
    }
    match target.transformer.as_ref().map(Template::parse) {
        Some(Ok(template)) => template.apply(event, around),
        Some(Err(_)) => String::new(),
        None => event.to_string(),
    }
}
