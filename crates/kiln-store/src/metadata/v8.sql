-- Credentials that users have for one service, e.g. for git. What checks the password is sealed. `user_id` is the id of the
-- user, whose name may change; `user_name` is what is given with the password.
CREATE TABLE service_credentials (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES iam_entities (id),
    service    TEXT    NOT NULL,
    user_name  TEXT    NOT NULL,
    verifier   BLOB    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    UNIQUE (service, user_name)
) STRICT;
CREATE INDEX service_credentials_by_user ON service_credentials (user_id, id);
