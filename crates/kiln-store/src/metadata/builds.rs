//! Builds, and the tokens that make starting one idempotent.

use std::collections::BTreeMap;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{ActiveBuilds, BuildKey, BuildRecord, BuildState, Order, TokenRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "uuid, project, number, state, status, submitted_ms, started_ms, ended_ms, version, doc, sum";
const TOKEN_COLUMNS: &str = "account, operation, token, request, subject, expires_ms, sum";

fn sum(b: &BuildRecord) -> RowSum {
    RowSum::of("builds")
        .text(&b.uuid)
        .text(&b.project)
        .int(b.number)
        .int(b.state.column())
        .text(&b.status)
        .int(b.submitted_ms)
        .maybe(b.started_ms)
        .maybe(b.ended_ms)
        .int(b.version)
        .text(&b.doc)
}

fn map(row: &Row<'_>) -> rusqlite::Result<(BuildRecord, i64)> {
    let state = row.get(3)?;
    let build = BuildRecord {
        uuid: row.get(0)?,
        project: row.get(1)?,
        number: row.get(2)?,
        state: BuildState::from_column(state).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, state))?,
        status: row.get(4)?,
        submitted_ms: row.get(5)?,
        started_ms: row.get(6)?,
        ended_ms: row.get(7)?,
        version: row.get(8)?,
        doc: row.get(9)?,
    };
    Ok((build, row.get(10)?))
}

fn name_of(uuid: &str) -> String {
    format!("build {uuid}")
}

fn token_sum(t: &TokenRecord) -> RowSum {
    RowSum::of("tokens")
        .text(&t.account)
        .text(&t.operation)
        .text(&t.token)
        .bytes(&t.request)
        .text(&t.subject)
        .int(t.expires_ms)
}

fn map_token(row: &Row<'_>) -> rusqlite::Result<(TokenRecord, i64)> {
    let token = TokenRecord {
        account: row.get(0)?,
        operation: row.get(1)?,
        token: row.get(2)?,
        request: row.get(3)?,
        subject: row.get(4)?,
        expires_ms: row.get(5)?,
    };
    Ok((token, row.get(6)?))
}

impl View<'_> {
    /// A build by the part of its id after the colon.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn build(&self, uuid: &str) -> Result<Option<BuildRecord>, StoreError> {
        let found = self.row(&format!("SELECT {COLUMNS} FROM builds WHERE uuid = ?1"), [uuid], map)?;
        found.map(|row| self.verified_build(row)).transpose()
    }

    /// A build by its number in its project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn build_by_number(&self, project: &str, number: i64) -> Result<Option<BuildRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM builds WHERE project = ?1 AND number = ?2");
        let found = self.row(&sql, params![project, number], map)?;
        found.map(|row| self.verified_build(row)).transpose()
    }

    fn verified_build(&self, (build, stored): (BuildRecord, i64)) -> Result<BuildRecord, StoreError> {
        self.verify(sum(&build), stored, || name_of(&build.uuid))?;
        Ok(build)
    }

    /// A page of all builds in the order of their acceptance: at most `limit`, from behind position `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn build_ids(&self, order: Order, after: Option<i64>, limit: usize) -> Result<Vec<BuildKey>, StoreError> {
        let sql = match order {
            Order::Ascending => "SELECT id, project, uuid FROM builds WHERE id > ?1 ORDER BY id LIMIT ?2",
            Order::Descending => "SELECT id, project, uuid FROM builds WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        };
        self.rows(sql, params![after.unwrap_or(end_of(order)), limit_column(limit)], map_key)
    }

    /// A page of a project's builds in the order of their numbers: at most `limit`, from behind number `after`. Also
    /// those of a project that was deleted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn build_ids_of_project(
        &self,
        project: &str,
        order: Order,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<BuildKey>, StoreError> {
        let sql = match order {
            Order::Ascending => {
                "SELECT number, project, uuid FROM builds WHERE project = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
            }
            Order::Descending => {
                "SELECT number, project, uuid FROM builds WHERE project = ?1 AND number < ?2 \
                 ORDER BY number DESC LIMIT ?3"
            }
        };
        self.rows(sql, params![project, after.unwrap_or(end_of(order)), limit_column(limit)], map_key)
    }

    /// Builds that are not over and in this state, oldest first: at most `limit`, from behind position `after`.
    ///
    /// # Errors
    /// When the database cannot be read, or [`StoreError::Invalid`] for [`BuildState::Ended`].
    pub fn active_builds(
        &self,
        state: BuildState,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>, StoreError> {
        let keys = self.active_build_ids(state, after, limit)?;
        let mut builds = Vec::with_capacity(keys.len());
        for key in keys {
            builds.push(self.build(&key.uuid)?.ok_or_else(|| self.damaged(name_of(&key.uuid)))?);
        }
        Ok(builds)
    }

    /// As [`View::active_builds`], without their records.
    ///
    /// # Errors
    /// As [`View::active_builds`].
    pub fn active_build_ids(
        &self,
        state: BuildState,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<BuildKey>, StoreError> {
        if state == BuildState::Ended {
            return Err(StoreError::Invalid("builds that are over are not active".to_owned()));
        }
        self.rows(
            "SELECT id, project, uuid FROM builds INDEXED BY builds_active \
             WHERE state = ?1 AND state < 2 AND id > ?2 ORDER BY id LIMIT ?3",
            params![state.column(), after.unwrap_or(0), limit_column(limit)],
            map_key,
        )
    }

    /// How many builds are not over, for each project that has any.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn active_counts(&self) -> Result<BTreeMap<String, ActiveBuilds>, StoreError> {
        let rows = self.rows(
            "SELECT project, state, count(*) FROM builds INDEXED BY builds_active \
             WHERE state < 2 GROUP BY project, state",
            [],
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)),
        )?;
        let mut counts = BTreeMap::<String, ActiveBuilds>::new();
        for (project, state, count) in rows {
            let of = counts.entry(project).or_default();
            let count = i64::unsigned_abs(count);
            if state == BuildState::Queued.column() {
                of.queued = count;
            } else {
                of.running = count;
            }
        }
        Ok(counts)
    }

    /// Ids of builds that were over before `before_ms`, longest over first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn builds_ended_before(&self, before_ms: i64, limit: usize) -> Result<Vec<BuildKey>, StoreError> {
        self.rows(
            "SELECT id, project, uuid FROM builds INDEXED BY builds_ended \
             WHERE state = 2 AND ended_ms < ?1 ORDER BY ended_ms, id LIMIT ?2",
            params![before_ms, limit_column(limit)],
            map_key,
        )
    }

    /// What a token stands for. Tokens that have expired are found until they are purged: compare `expires_ms`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn token(&self, account: &str, operation: &str, token: &str) -> Result<Option<TokenRecord>, StoreError> {
        let sql = format!("SELECT {TOKEN_COLUMNS} FROM tokens WHERE account = ?1 AND operation = ?2 AND token = ?3");
        let Some((token, stored)) = self.row(&sql, [account, operation, token], map_token)? else { return Ok(None) };
        self.verify(token_sum(&token), stored, || format!("the token of {}", token.subject))?;
        Ok(Some(token))
    }
}

impl Tx<'_> {
    /// Stores a new build, with version 1; returns its position in the order of acceptance.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its uuid, or its number in its project, is taken.
    pub fn insert_build(&mut self, build: &BuildRecord) -> Result<i64, StoreError> {
        let build = BuildRecord { version: 1, ..build.clone() };
        self.insert(
            &format!("INSERT INTO builds ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
            params![
                build.uuid,
                build.project,
                build.number,
                build.state.column(),
                build.status,
                build.submitted_ms,
                build.started_ms,
                build.ended_ms,
                build.version,
                build.doc,
                sum(&build).finish()
            ],
            || name_of(&build.uuid),
        )?;
        Ok(self.db.last_insert_rowid())
    }

    /// Replaces a build whose version still is `build.version`; returns its new version. Uuid, project and number are
    /// its identity and must be the same.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has another version, [`StoreError::NotFound`] when it is not there.
    pub fn update_build(&mut self, build: &BuildRecord) -> Result<i64, StoreError> {
        let new = BuildRecord { version: build.version + 1, ..build.clone() };
        let changed = self.change(
            "UPDATE builds SET state = ?4, status = ?5, submitted_ms = ?6, started_ms = ?7, ended_ms = ?8, \
             version = ?9, doc = ?10, sum = ?11 WHERE uuid = ?1 AND project = ?2 AND number = ?3 AND version = ?12",
            params![
                new.uuid,
                new.project,
                new.number,
                new.state.column(),
                new.status,
                new.submitted_ms,
                new.started_ms,
                new.ended_ms,
                new.version,
                new.doc,
                sum(&new).finish(),
                build.version
            ],
        )?;
        if changed == 1 {
            return Ok(new.version);
        }
        Err(match self.build(&build.uuid)? {
            Some(_) => StoreError::Conflict(name_of(&build.uuid)),
            None => StoreError::NotFound(name_of(&build.uuid)),
        })
    }

    /// Deletes a build; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_build(&mut self, uuid: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM builds WHERE uuid = ?1", [uuid])? == 1)
    }

    /// Stores what a token stands for, in place of what it stood for before.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_token(&mut self, token: &TokenRecord) -> Result<(), StoreError> {
        self.change(
            &format!("INSERT OR REPLACE INTO tokens ({TOKEN_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![
                token.account,
                token.operation,
                token.token,
                token.request,
                token.subject,
                token.expires_ms,
                token_sum(token).finish()
            ],
        )
        .map(drop)
    }

    /// Deletes at most `limit` tokens that had expired at `now_ms`; returns how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn purge_tokens(&mut self, now_ms: i64, limit: usize) -> Result<usize, StoreError> {
        self.change(
            "DELETE FROM tokens WHERE (account, operation, token) IN \
             (SELECT account, operation, token FROM tokens WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)",
            params![now_ms, limit_column(limit)],
        )
    }
}

fn map_key(row: &Row<'_>) -> rusqlite::Result<BuildKey> {
    Ok(BuildKey { position: row.get(0)?, project: row.get(1)?, uuid: row.get(2)? })
}

/// The place before the first of an order.
const fn end_of(order: Order) -> i64 {
    match order {
        Order::Ascending => i64::MIN,
        Order::Descending => i64::MAX,
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM builds"), |row| {
        let (build, stored) = map(row)?;
        bad(sum(&build), stored, name_of(&build.uuid));
        Ok(())
    })?;
    view.each(&format!("SELECT {TOKEN_COLUMNS} FROM tokens"), |row| {
        let (token, stored) = map_token(row)?;
        bad(token_sum(&token), stored, format!("the token of {}", token.subject));
        Ok(())
    })
}
