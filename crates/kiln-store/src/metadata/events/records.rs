//! Rows of the tables of EventBridge.

/// A rule. Its event bus is `default`, the only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRuleRecord {
    /// Name.
    pub name: String,
    /// When its schedule is due next; `None`: it has none, or is disabled.
    pub due_ms: Option<i64>,
    /// Whether it is enabled and for events.
    pub has_pattern: bool,
    /// Everything else, as JSON.
    pub doc: String,
}

/// What a rule starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTargetRecord {
    /// Name of the rule.
    pub rule: String,
    /// Id among the rule's targets.
    pub id: String,
    /// ARN of what is started.
    pub arn: String,
    /// Everything else, as JSON.
    pub doc: String,
}

/// What is to be started and was not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDeliveryRecord {
    /// Id: the same event of the same rule for the same target has the same.
    pub id: String,
    /// Name of the rule, which may be gone.
    pub rule: String,
    /// Not before.
    pub due_ms: i64,
    /// Everything else, as JSON.
    pub doc: String,
}
