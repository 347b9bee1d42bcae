//! Log groups and log streams of CloudWatch Logs; their events are in files.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{LogGroupRecord, LogStreamRecord, LogStreamSort},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "name, created_ms, stored, doc, sum";
const STREAM_COLUMNS: &str =
    "log_group, name, created_ms, build, open, events, first_ms, last_ms, ingested_ms, stored, sum";

fn group_sum(g: &LogGroupRecord) -> RowSum {
    RowSum::of("log_groups").text(&g.name).int(g.created_ms).int(g.stored).text(&g.doc)
}

fn map_group(row: &Row<'_>) -> rusqlite::Result<(LogGroupRecord, i64)> {
    let group = LogGroupRecord { name: row.get(0)?, created_ms: row.get(1)?, stored: row.get(2)?, doc: row.get(3)? };
    Ok((group, row.get(4)?))
}

fn group_name(name: &str) -> String {
    format!("log group {name}")
}

fn stream_sum(s: &LogStreamRecord) -> RowSum {
    RowSum::of("log_streams")
        .text(&s.group)
        .text(&s.name)
        .int(s.created_ms)
        .int(i64::from(s.build.is_some()))
        .text(s.build.as_deref().unwrap_or_default())
        .int(i64::from(s.open))
        .int(s.events)
        .int(s.first_ms)
        .int(s.last_ms)
        .int(s.ingested_ms)
        .int(s.stored)
}

fn map_stream(row: &Row<'_>) -> rusqlite::Result<(LogStreamRecord, i64)> {
    let stream = LogStreamRecord {
        group: row.get(0)?,
        name: row.get(1)?,
        created_ms: row.get(2)?,
        build: row.get(3)?,
        open: row.get(4)?,
        events: row.get(5)?,
        first_ms: row.get(6)?,
        last_ms: row.get(7)?,
        ingested_ms: row.get(8)?,
        stored: row.get(9)?,
    };
    Ok((stream, row.get(10)?))
}

fn stream_name(stream: &LogStreamRecord) -> String {
    format!("log stream {} of log group {}", stream.name, stream.group)
}

impl View<'_> {
    /// A log group by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_group(&self, name: &str) -> Result<Option<LogGroupRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM log_groups WHERE name = ?1");
        self.row(&sql, [name], map_group)?.map(|row| self.verified_group(row)).transpose()
    }

    /// A page of the log groups whose names begin with `prefix`, by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_groups(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<LogGroupRecord>, StoreError> {
        // What begins with a text lies between it and it with the highest of all characters behind.
        let sql = format!(
            "SELECT {COLUMNS} FROM log_groups WHERE name > ?1 AND name >= ?2 AND name < ?2 || ?4 ORDER BY name LIMIT ?3"
        );
        let with = params![after.unwrap_or_default(), prefix, limit_column(limit), "\u{10ffff}"];
        let rows = self.rows(&sql, with, map_group)?;
        rows.into_iter().map(|row| self.verified_group(row)).collect()
    }

    fn verified_group(&self, (group, stored): (LogGroupRecord, i64)) -> Result<LogGroupRecord, StoreError> {
        self.verify(group_sum(&group), stored, || group_name(&group.name))?;
        Ok(group)
    }

    /// A log stream by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_stream(&self, group: &str, name: &str) -> Result<Option<LogStreamRecord>, StoreError> {
        let sql = format!("SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND name = ?2");
        self.row(&sql, [group, name], map_stream)?.map(|row| self.verified_stream(row)).transpose()
    }

    /// A page of the streams of a group whose names begin with `prefix`: at most `limit`, in that order, from behind the
    /// stream with the name and, where the order is by it, the time of the last event.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_streams(
        &self,
        group: &str,
        prefix: &str,
        sort: LogStreamSort,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<LogStreamRecord>, StoreError> {
        let (ms, name) = after.unwrap_or(match sort {
            LogStreamSort::Name | LogStreamSort::LastEvent => (i64::MIN, ""),
            LogStreamSort::NameDescending | LogStreamSort::LastEventDescending => (i64::MAX, "\u{10ffff}"),
        });
        // A row value compares as an order by its columns does.
        let (condition, order) = match sort {
            LogStreamSort::Name => ("name > ?3 AND ?2 = ?2", "name"),
            LogStreamSort::NameDescending => ("name < ?3 AND ?2 = ?2", "name DESC"),
            LogStreamSort::LastEvent => ("(last_ms, name) > (?2, ?3)", "last_ms, name"),
            LogStreamSort::LastEventDescending => ("(last_ms, name) < (?2, ?3)", "last_ms DESC, name DESC"),
        };
        let sql = format!(
            "SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND {condition} \
             AND name >= ?4 AND name < ?4 || ?5 ORDER BY {order} LIMIT ?6"
        );
        let with = params![group, ms, name, prefix, "\u{10ffff}", limit_column(limit)];
        let rows = self.rows(&sql, with, map_stream)?;
        rows.into_iter().map(|row| self.verified_stream(row)).collect()
    }

    /// The streams of a group that may have events at `from_ms` or later and began at or before it: those that have to be
    /// looked at when its events are read from that time on. The others are [`View::log_streams_after`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_streams_at(&self, group: &str, from_ms: i64) -> Result<Vec<LogStreamRecord>, StoreError> {
        let sql = format!(
            "SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND last_ms >= ?2 AND first_ms <= ?2 \
             AND open = 0 AND events > 0 \
             UNION ALL SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND open = 1"
        );
        let rows = self.rows(&sql, params![group, from_ms], map_stream)?;
        rows.into_iter().map(|row| self.verified_stream(row)).collect()
    }

    /// A page of the streams of a group whose first event is later than that, by its time and their names; those of
    /// running builds are left out. `after` is time and name of the one before the page.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_streams_after(
        &self,
        group: &str,
        after: (i64, &str),
        limit: usize,
    ) -> Result<Vec<LogStreamRecord>, StoreError> {
        let sql = format!(
            "SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND (first_ms, name) > (?2, ?3) \
             AND open = 0 AND events > 0 ORDER BY first_ms, name LIMIT ?4"
        );
        let rows = self.rows(&sql, params![group, after.0, after.1, limit_column(limit)], map_stream)?;
        rows.into_iter().map(|row| self.verified_stream(row)).collect()
    }

    /// A page of the streams of a group that have something stored and whose first event is older than `before_ms`, by its
    /// time and their names; those of running builds are left out. `after` is time and name of the one before the page.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn log_streams_before(
        &self,
        group: &str,
        before_ms: i64,
        after: Option<(i64, &str)>,
        limit: usize,
    ) -> Result<Vec<LogStreamRecord>, StoreError> {
        let (ms, name) = after.unwrap_or((i64::MIN, ""));
        let sql = format!(
            "SELECT {STREAM_COLUMNS} FROM log_streams WHERE log_group = ?1 AND first_ms < ?2 \
             AND (first_ms, name) > (?3, ?4) AND open = 0 AND stored > 0 ORDER BY first_ms, name LIMIT ?5"
        );
        let rows = self.rows(&sql, params![group, before_ms, ms, name, limit_column(limit)], map_stream)?;
        rows.into_iter().map(|row| self.verified_stream(row)).collect()
    }

    /// The streams of all groups that are logs of builds which run.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn open_log_streams(&self) -> Result<Vec<LogStreamRecord>, StoreError> {
        let sql = format!("SELECT {STREAM_COLUMNS} FROM log_streams WHERE open = 1 ORDER BY log_group, name");
        let rows = self.rows(&sql, [], map_stream)?;
        rows.into_iter().map(|row| self.verified_stream(row)).collect()
    }

    fn verified_stream(&self, (stream, stored): (LogStreamRecord, i64)) -> Result<LogStreamRecord, StoreError> {
        self.verify(stream_sum(&stream), stored, || stream_name(&stream))?;
        Ok(stream)
    }

    /// Whether [`Tx::set_done`] was called.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_done(&self, what: &str) -> Result<bool, StoreError> {
        Ok(self.row("SELECT 1 FROM done WHERE what = ?1", [what], |row| row.get::<_, i64>(0))?.is_some())
    }
}

impl Tx<'_> {
    /// Stores a log group, in place of the one with the same name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_log_group(&mut self, group: &LogGroupRecord) -> Result<(), StoreError> {
        let LogGroupRecord { name, created_ms, stored, doc } = group;
        self.change(
            &format!(
                "INSERT INTO log_groups ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET \
                 created_ms = excluded.created_ms, stored = excluded.stored, doc = excluded.doc, sum = excluded.sum"
            ),
            params![name, created_ms, stored, doc, group_sum(group).finish()],
        )
        .map(drop)
    }

    /// Deletes a log group, which has no streams any more; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_log_group(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM log_groups WHERE name = ?1", [name])? == 1)
    }

    /// Stores a log stream, in place of the one with the same name, and keeps the sum of its group right. The group must
    /// exist.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_log_stream(&mut self, stream: &LogStreamRecord) -> Result<(), StoreError> {
        let before = self.log_stream(&stream.group, &stream.name)?.map_or(0, |stream| stream.stored);
        let LogStreamRecord { group, name, created_ms, build, open, events, first_ms, last_ms, ingested_ms, stored } =
            stream;
        self.change(
            &format!(
                "INSERT INTO log_streams ({STREAM_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (log_group, name) DO UPDATE SET created_ms = excluded.created_ms, build = excluded.build, \
                 open = excluded.open, events = excluded.events, first_ms = excluded.first_ms, \
                 last_ms = excluded.last_ms, ingested_ms = excluded.ingested_ms, stored = excluded.stored, \
                 sum = excluded.sum"
            ),
            params![
                group,
                name,
                created_ms,
                build,
                open,
                events,
                first_ms,
                last_ms,
                ingested_ms,
                stored,
                stream_sum(stream).finish()
            ],
        )?;
        self.add_stored(group, stored - before)
    }

    /// Deletes a log stream, and keeps the sum of its group right; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_log_stream(&mut self, group: &str, name: &str) -> Result<bool, StoreError> {
        let Some(stream) = self.log_stream(group, name)? else { return Ok(false) };
        self.change("DELETE FROM log_streams WHERE log_group = ?1 AND name = ?2", [group, name])?;
        self.add_stored(group, -stream.stored)?;
        Ok(true)
    }

    fn add_stored(&mut self, group: &str, bytes: i64) -> Result<(), StoreError> {
        if bytes == 0 {
            return Ok(());
        }
        let Some(mut record) = self.log_group(group)? else { return Ok(()) };
        record.stored = record.stored.saturating_add(bytes);
        self.put_log_group(&record)
    }

    /// Notes that something was done that is done once in the life of a data directory.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn set_done(&mut self, what: &str) -> Result<(), StoreError> {
        self.change("INSERT OR IGNORE INTO done (what) VALUES (?1)", [what]).map(drop)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM log_groups"), |row| {
        let (group, stored) = map_group(row)?;
        bad(group_sum(&group), stored, group_name(&group.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {STREAM_COLUMNS} FROM log_streams"), |row| {
        let (stream, stored) = map_stream(row)?;
        bad(stream_sum(&stream), stored, stream_name(&stream));
        Ok(())
    })?;
    view.each(
        "SELECT name FROM log_groups WHERE stored != \
         (SELECT coalesce(sum(stored), 0) FROM log_streams WHERE log_group = log_groups.name)",
        |row| {
            found.push(format!("{} does not have the bytes of its streams", group_name(&row.get::<_, String>(0)?)));
            Ok(())
        },
    )
}
