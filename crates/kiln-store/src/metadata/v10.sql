-- Rules of EventBridge, on the one event bus that there is. `due_ms`: when a schedule is due next, NULL for rules without
-- one and for those that are disabled; `pattern`: 1 when the rule is enabled and for events.
CREATE TABLE event_rules (
    name    TEXT    NOT NULL PRIMARY KEY,
    due_ms  INTEGER,
    pattern INTEGER NOT NULL,
    doc     TEXT    NOT NULL,
    sum     INTEGER NOT NULL
) STRICT;
CREATE INDEX event_rules_due ON event_rules (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX event_rules_pattern ON event_rules (name) WHERE pattern = 1;

-- What rules start.
CREATE TABLE event_targets (
    rule TEXT    NOT NULL REFERENCES event_rules (name),
    id   TEXT    NOT NULL,
    arn  TEXT    NOT NULL,
    doc  TEXT    NOT NULL,
    sum  INTEGER NOT NULL,
    PRIMARY KEY (rule, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_targets_by_arn ON event_targets (arn, rule);

-- What is to be started and was not yet. Gone in the transaction that starts it. `due_ms`: not before.
CREATE TABLE event_deliveries (
    id     TEXT    NOT NULL PRIMARY KEY,
    rule   TEXT    NOT NULL,
    due_ms INTEGER NOT NULL,
    doc    TEXT    NOT NULL,
    sum    INTEGER NOT NULL
) STRICT;
CREATE INDEX event_deliveries_due ON event_deliveries (due_ms, id);
