-- Typed columns are what queries use; everything else is in `doc`, one versioned JSON document that only its owner reads.
-- `sum` is the checksum of the row (module rowsum): SQLite does not notice a flipped bit in a value.

CREATE TABLE store (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    id   BLOB    NOT NULL,
    seq  INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
    name        TEXT    NOT NULL PRIMARY KEY,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;
CREATE INDEX projects_created ON projects (created_ms, name);
CREATE INDEX projects_modified ON projects (modified_ms, name);

-- Survives the project, so that no number is ever used again.
CREATE TABLE build_numbers (
    project TEXT    NOT NULL PRIMARY KEY,
    last    INTEGER NOT NULL,
    sum     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `id` is the order of acceptance; AUTOINCREMENT, so that a deleted newest build does not hand its id on.
CREATE TABLE builds (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid         TEXT    NOT NULL UNIQUE,
    project      TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    state        INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    status       TEXT    NOT NULL,
    submitted_ms INTEGER NOT NULL,
    started_ms   INTEGER,
    ended_ms     INTEGER,
    version      INTEGER NOT NULL,
    doc          TEXT    NOT NULL,
    sum          INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX builds_by_number ON builds (project, number);
-- Small however many builds are stored.
CREATE INDEX builds_active ON builds (state, id, project) WHERE state < 2;
CREATE INDEX builds_ended ON builds (ended_ms, id) WHERE state = 2;

CREATE TABLE tokens (
    account    TEXT    NOT NULL,
    operation  TEXT    NOT NULL,
    token      TEXT    NOT NULL,
    request    BLOB    NOT NULL,
    subject    TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (account, operation, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_expire ON tokens (expires_ms);

CREATE TABLE source_credentials (
    arn         TEXT    NOT NULL PRIMARY KEY,
    server_type TEXT    NOT NULL,
    auth_type   TEXT    NOT NULL,
    sealed      BLOB    NOT NULL,
    created_ms  INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;

CREATE TABLE resource_policies (
    arn    TEXT    NOT NULL PRIMARY KEY,
    policy TEXT    NOT NULL,
    sum    INTEGER NOT NULL
) STRICT;

CREATE TABLE access_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    user_arn   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
    key   TEXT    NOT NULL PRIMARY KEY,
    value TEXT    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key_versions (
    key        TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    wrapped    BLOB    NOT NULL,
    state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    created_ms INTEGER NOT NULL,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE buckets (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;

-- The newest version of a key is the one with the highest id.
CREATE TABLE objects (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket     TEXT    NOT NULL REFERENCES buckets (name),
    key        TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    blob       TEXT,
    size       INTEGER NOT NULL,
    etag       TEXT    NOT NULL,
    sha256     BLOB    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    UNIQUE (bucket, key, version)
) STRICT;
CREATE INDEX objects_newest ON objects (bucket, key, id);
CREATE INDEX objects_by_blob ON objects (blob) WHERE blob IS NOT NULL;
