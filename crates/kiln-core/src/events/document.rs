//! What is stored of rules, targets and deliveries.

use std::collections::BTreeMap;

use kiln_model::{
    arn::Home,
    events::{InputTransformer, RetryPolicy, RuleState, Target},
};
use kiln_store::{
    StoreError,
    metadata::{EventDeliveryRecord, EventRuleRecord, EventTargetRecord},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::schedule::{Fired, Schedule};
use crate::lifecycle::Millis;

/// Version of the stored forms.
const VERSION: u32 = 1;

/// What is stored of a rule beside its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RuleDocument {
    pub(super) version: u32,
    /// Never another rule's, whatever that is called.
    pub(super) uid: String,
    pub(super) created_ms: Millis,
    pub(super) state: RuleState,
    pub(super) description: Option<String>,
    pub(super) schedule: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) role: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
    /// From when a rate counts: when the schedule was set.
    pub(super) anchor_ms: Millis,
    /// The times of the schedule that had their turn.
    pub(super) fired: Fired,
    /// Those that had none.
    pub(super) missed: Option<Missed>,
    /// The newest build that it started.
    pub(super) started: Option<Started>,
    /// The newest thing that it could not start.
    pub(super) failed: Option<Failed>,
}

/// Times of a schedule that had no turn: the service was down, or its clock was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missed {
    pub(super) count: u64,
    pub(super) last_ms: Millis,
}

/// A build that a rule started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) at_ms: Millis,
    pub(super) build: String,
}

/// What a rule could not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failed {
    pub(super) at_ms: Millis,
    pub(super) target: String,
    pub(super) code: String,
    pub(super) message: String,
}

fn parse<T: DeserializeOwned>(what: &str, name: &str, doc: &str) -> Result<T, StoreError> {
    serde_json::from_str(doc)
        .map_err(|e| StoreError::Invalid(format!("the record of {what} {name} cannot be read: {e}")))
}

fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Invalid(e.to_string()))
}

/// ARN of a rule.
pub(super) fn rule_arn(home: &Home, name: &str) -> String {
    home.arn("events", &format!("rule/{name}"))
}

impl RuleDocument {
    pub(super) fn new(uid: String, now: Millis) -> Self {
        Self {
            version: VERSION,
            uid,
            created_ms: now,
            state: RuleState::Enabled,
            description: None,
            schedule: None,
            pattern: None,
            role: None,
            tags: BTreeMap::new(),
            anchor_ms: now,
            fired: Fired::default(),
            missed: None,
            started: None,
            failed: None,
        }
    }

    pub(super) fn of(record: &EventRuleRecord) -> Result<Self, StoreError> {
        let document: Self = parse("rule", &record.name, &record.doc)?;
        if document.version > VERSION {
            let (name, version) = (&record.name, document.version);
            let message = format!("the record of rule {name} has version {version}; this kiln reads {VERSION}");
            return Err(StoreError::Invalid(message));
        }
        Ok(document)
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.state != RuleState::Disabled
    }

    /// Its schedule, if it does anything. An expression is stored only when it could be read.
    pub(super) fn schedule(&self) -> Option<Schedule> {
        self.schedule.as_deref().filter(|_| self.is_enabled()).and_then(|text| Schedule::parse(text).ok())
    }

    /// The record of the rule; its schedule is due next at the first time after `now` that had no turn yet.
    pub(super) fn record(&self, name: &str, now: Millis) -> Result<EventRuleRecord, StoreError> {
        let due = |schedule: Schedule| self.fired.next_after(now, |after| schedule.next_after(after, self.anchor_ms));
        Ok(EventRuleRecord {
            name: name.to_owned(),
            due_ms: self.schedule().and_then(due),
            has_pattern: self.pattern.is_some() && self.is_enabled(),
            doc: to_json(self)?,
        })
    }

    /// The record again, which is due when it was.
    pub(super) fn noted(&self, record: EventRuleRecord) -> Result<EventRuleRecord, StoreError> {
        Ok(EventRuleRecord { doc: to_json(self)?, ..record })
    }
}

/// What is stored of a target beside its id and ARN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TargetDocument {
    pub(super) version: u32,
    pub(super) role: String,
    pub(super) input: Option<String>,
    pub(super) input_path: Option<String>,
    pub(super) transformer: Option<InputTransformer>,
    pub(super) retry: Option<RetryPolicy>,
}

impl TargetDocument {
    pub(super) fn of(record: &EventTargetRecord) -> Result<Self, StoreError> {
        parse("target", &record.id, &record.doc)
    }

    pub(super) fn new(target: Target) -> Self {
        Self {
            version: VERSION,
            role: target.role_arn.unwrap_or_default(),
            input: target.input,
            input_path: target.input_path,
            transformer: target.input_transformer,
            retry: target.retry_policy,
        }
    }

    pub(super) fn record(&self, rule: &str, id: String, arn: String) -> Result<EventTargetRecord, StoreError> {
        Ok(EventTargetRecord { rule: rule.to_owned(), id, arn, doc: to_json(self)? })
    }

    /// As the API shows it.
    pub(super) fn show(self, record: EventTargetRecord) -> Target {
        Target {
            id: record.id,
            arn: record.arn,
            role_arn: Some(self.role),
            input: self.input,
            input_path: self.input_path,
            input_transformer: self.transformer,
            retry_policy: self.retry,
            ..Target::default()
        }
    }
}

/// What is stored of a delivery: everything that starting it needs, as it was when it came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DeliveryDocument {
    pub(super) version: u32,
    /// Id of the rule, which may have been made anew since.
    pub(super) rule_uid: String,
    pub(super) target: String,
    /// ARN of what is to be started.
    pub(super) arn: String,
    pub(super) role: String,
    /// What it is given.
    pub(super) input: String,
    /// Tries so far.
    pub(super) attempts: u32,
    /// For how long it was waited between them, milliseconds: no clock that is set makes that more.
    pub(super) waited_ms: Millis,
    pub(super) most_attempts: u32,
    pub(super) longest_ms: Millis,
}

impl DeliveryDocument {
    pub(super) const VERSION: u32 = VERSION;

    pub(super) fn of(record: &EventDeliveryRecord) -> Result<Self, StoreError> {
        parse("delivery", &record.id, &record.doc)
    }

    pub(super) fn record(&self, id: String, rule: &str, due_ms: Millis) -> Result<EventDeliveryRecord, StoreError> {
        Ok(EventDeliveryRecord { id, rule: rule.to_owned(), due_ms, doc: to_json(self)? })
    }
}
