-- Git repositories. Their objects are in `repos/<id>.git`; settings are in the document.
CREATE TABLE git_repositories (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;

-- What each reference named when its last change was recorded. What git has beyond that was changed, and not recorded
-- before the server died.
CREATE TABLE git_references (
    repository  TEXT    NOT NULL REFERENCES git_repositories (id),
    name        TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;
