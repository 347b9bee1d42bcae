-- Metrics of CloudWatch. `dimensions` is their canonical text. `newest_ms` says roughly when there was a point last.
CREATE TABLE metrics (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    dimensions TEXT    NOT NULL,
    newest_ms  INTEGER NOT NULL,
    sum        INTEGER NOT NULL,
    UNIQUE (namespace, name, dimensions)
) STRICT;
CREATE INDEX metrics_newest ON metrics (newest_ms);

-- The points of a metric in one stretch of time, as one value: a row for each point would cost ten times as much.
CREATE TABLE metric_blocks (
    metric     INTEGER NOT NULL REFERENCES metrics (id),
    -- Seconds that one point stands for.
    resolution INTEGER NOT NULL,
    start_s    INTEGER NOT NULL,
    unit       TEXT    NOT NULL,
    data       BLOB    NOT NULL,
    sum        INTEGER NOT NULL,
    UNIQUE (metric, resolution, start_s, unit)
) STRICT;
CREATE INDEX metric_blocks_age ON metric_blocks (resolution, start_s);
