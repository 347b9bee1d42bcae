-- Secrets of Secrets Manager. `id` is the name with the six characters that end the ARN.
CREATE TABLE secrets (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    -- When it is to be deleted, while that waits.
    delete_ms  INTEGER,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;
CREATE INDEX secrets_deleted ON secrets (delete_ms) WHERE delete_ms IS NOT NULL;

-- Values of secrets, sealed by a key of KMS.
CREATE TABLE secret_versions (
    secret     TEXT    NOT NULL REFERENCES secrets (id),
    version    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (secret, version)
) STRICT, WITHOUT ROWID;

-- Parameters of Parameter Store, and each version of them with its value, sealed.
CREATE TABLE parameters (
    name       TEXT    NOT NULL PRIMARY KEY,
    newest     INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;

CREATE TABLE parameter_versions (
    name       TEXT    NOT NULL REFERENCES parameters (name),
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
