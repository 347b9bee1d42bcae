-- Webhooks: a project has one. `token`: hash of the last part of its address; `sealed`: its secret.
CREATE TABLE webhooks (
    project     TEXT    NOT NULL PRIMARY KEY,
    token       TEXT    NOT NULL UNIQUE,
    sealed      BLOB    NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;

-- What was delivered, in the order of arrival. `hook`: the token's hash; `delivery`: the provider's id, which a hook takes
-- once. `due_ms`: when it is to be decided, as something has to be asked first; NULL: it is decided.
CREATE TABLE webhook_deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid        TEXT    NOT NULL UNIQUE,
    hook        TEXT    NOT NULL,
    delivery    TEXT    NOT NULL,
    project     TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    due_ms      INTEGER,
    payload     BLOB    NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    UNIQUE (hook, delivery)
) STRICT;
CREATE INDEX webhook_deliveries_by_project ON webhook_deliveries (project, id);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_ms, id) WHERE due_ms IS NOT NULL;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (received_ms, id);

-- What a hook has heard of a branch, a tag or a pull request.
CREATE TABLE webhook_refs (
    hook        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    touched_ms  INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (hook, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_refs_by_time ON webhook_refs (touched_ms);

-- Statuses of commits that providers have not taken yet: of each subject the newest, whose number is one more than that of
-- the one before.
CREATE TABLE commit_statuses (
    subject     TEXT    NOT NULL PRIMARY KEY,
    number      INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX commit_statuses_due ON commit_statuses (due_ms, subject);
