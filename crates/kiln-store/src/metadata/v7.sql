-- Log groups of CloudWatch Logs. `stored` is the sum of its streams'.
CREATE TABLE log_groups (
    name        TEXT    NOT NULL PRIMARY KEY,
    created_ms  INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;

-- Log streams. Their events are in files; of a stream whose events are put, `stored` says how much of its file counts.
CREATE TABLE log_streams (
    log_group   TEXT    NOT NULL REFERENCES log_groups (name),
    name        TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    -- The build whose log it is.
    build       TEXT,
    -- 1 while the build runs: what is said about events is not known yet.
    open        INTEGER NOT NULL,
    events      INTEGER NOT NULL,
    -- Times of the first and of the last event; of the stream's creation while there are none.
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    ingested_ms INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (log_group, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX log_streams_first ON log_streams (log_group, first_ms, name);
CREATE INDEX log_streams_last ON log_streams (log_group, last_ms, name);
CREATE INDEX log_streams_open ON log_streams (log_group, name) WHERE open = 1;

-- What was done once to bring an older data directory up to date.
CREATE TABLE done (
    what        TEXT    NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
