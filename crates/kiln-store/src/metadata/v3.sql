-- Keys of the Key Management Service. Their bytes are in key_versions, under the name in `material`.
CREATE TABLE kms_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    material   TEXT    NOT NULL UNIQUE,
    state      INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    created_ms INTEGER NOT NULL,
    -- When it is to be deleted; set only while that waits (state 2).
    delete_ms  INTEGER,
    -- When it is to be rotated by itself, if it is.
    rotate_ms  INTEGER,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    CHECK ((state = 2) = (delete_ms IS NOT NULL))
) STRICT;
CREATE INDEX kms_keys_deleted ON kms_keys (delete_ms) WHERE delete_ms IS NOT NULL;
CREATE INDEX kms_keys_rotated ON kms_keys (rotate_ms) WHERE rotate_ms IS NOT NULL;

CREATE TABLE kms_aliases (
    name       TEXT    NOT NULL PRIMARY KEY,
    key        TEXT    NOT NULL REFERENCES kms_keys (id),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;
CREATE INDEX kms_aliases_by_key ON kms_aliases (key, name);

CREATE TABLE kms_grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    key        TEXT    NOT NULL REFERENCES kms_keys (id),
    retiring   TEXT,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;
CREATE INDEX kms_grants_by_key ON kms_grants (key, id);
CREATE INDEX kms_grants_by_retiring ON kms_grants (retiring, id) WHERE retiring IS NOT NULL;
