-- Objects in parts. An upload's parts are rows from the moment they are stored; when it is completed its id becomes the
-- object's, and they stay where they are: completing does not depend on how many there are.

-- Begun, neither completed nor given up. `seq` is the order in which they were begun.
CREATE TABLE uploads (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    bucket     TEXT    NOT NULL REFERENCES buckets (name),
    key        TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;
CREATE INDEX uploads_by_key ON uploads (bucket, key, seq);

-- Parts of uploads, and of objects that were uploads.
CREATE TABLE parts (
    upload     TEXT    NOT NULL,
    number     INTEGER NOT NULL,
    blob       TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    etag       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    doc        TEXT    NOT NULL,
    sum        INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_by_blob ON parts (blob);

-- The upload whose parts are the object's bytes; then `blob` is NULL. Both NULL: a delete marker.
ALTER TABLE objects ADD COLUMN upload TEXT;
CREATE INDEX objects_by_upload ON objects (upload) WHERE upload IS NOT NULL;

-- Versions of a key newest first, as they are listed.
DROP INDEX objects_newest;
CREATE INDEX objects_newest ON objects (bucket, key, id DESC);
