-- Users, groups, roles and managed policies. `name` is unique within a kind without regard to case: `folded` is in small
-- letters.
CREATE TABLE iam_entities (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       INTEGER NOT NULL CHECK (kind IN (0, 1, 2, 3)),
    name       TEXT    NOT NULL,
    folded     TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    UNIQUE (kind, folded)
) STRICT;

-- Who has what: a managed policy (0), a permissions boundary (1), a group (2). Managed policies are named by their ARN,
-- since those that come with Kiln are no rows.
CREATE TABLE iam_links (
    kind   INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    source TEXT    NOT NULL REFERENCES iam_entities (id),
    target TEXT    NOT NULL,
    sum    INTEGER NOT NULL,
    PRIMARY KEY (kind, source, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX iam_links_by_target ON iam_links (kind, target, source);
CREATE INDEX iam_links_by_source ON iam_links (source);

CREATE INDEX access_keys_by_user ON access_keys (user_arn, id);
