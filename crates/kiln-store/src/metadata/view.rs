//! What transactions and snapshots have in common.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    path::Path,
};

use rusqlite::{CachedStatement, Connection, ErrorCode, Params, Row};

use super::{error, rowsum::RowSum};
use crate::StoreError;

/// A consistent state of the metadata, for reading.
#[derive(Debug)]
pub struct View<'a> {
    pub(super) db: &'a Connection,
    path: &'a Path,
    /// The disk failed under a statement.
    io: RefCell<Option<String>>,
    /// A statement changed users, groups, roles, policies, or who has which.
    identities: Cell<bool>,
}

/// A transaction: everything of a [`View`], and changes. A view in a transaction sees the transaction's own changes.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
}

impl<'a> View<'a> {
    pub(super) fn new(db: &'a Connection, path: &'a Path) -> Self {
        Self { db, path, io: RefCell::new(None), identities: Cell::new(false) }
    }

    /// The number of the last transaction that was committed before this one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sequence(&self) -> Result<u64, StoreError> {
        let seq: i64 = self.row("SELECT seq FROM store WHERE one = 1", [], |row| row.get(0))?.unwrap_or_default();
        u64::try_from(seq).map_err(|_| self.damaged(format!("change {seq}")))
    }

    pub(super) fn fail(&self, e: &rusqlite::Error) -> StoreError {
        if e.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            *self.io.borrow_mut() = Some(e.to_string());
        }
        error::store_error(self.path, e)
    }

    pub(super) fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.path.to_owned(), what }
    }

    /// Compares the checksum of a row that was read.
    pub(super) fn verify(&self, sum: RowSum, stored: i64, what: impl FnOnce() -> String) -> Result<(), StoreError> {
        if sum.finish() == stored {
            return Ok(());
        }
        Err(self.damaged(format!("{} is not what was stored", what())))
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.db.prepare_cached(sql).map_err(|e| self.fail(&e))
    }

    /// The first row of a query, if there is one.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params).map_err(|e| self.fail(&e))?;
        match rows.next().map_err(|e| self.fail(&e))? {
            Some(row) => map(row).map(Some).map_err(|e| self.fail(&e)),
            None => Ok(None),
        }
    }

    /// All rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(params).map_err(|e| self.fail(&e))?;
        while let Some(row) = rows.next().map_err(|e| self.fail(&e))? {
            found.push(map(row).map_err(|e| self.fail(&e))?);
        }
        Ok(found)
    }
}

impl View<'_> {
    /// Calls `look` with every row of a query.
    pub(super) fn each(
        &self,
        sql: &str,
        mut look: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query([]).map_err(|e| self.fail(&e))?;
        while let Some(row) = rows.next().map_err(|e| self.fail(&e))? {
            look(row).map_err(|e| self.fail(&e))?;
        }
        Ok(())
    }
}

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(db: &'a Connection, path: &'a Path) -> Self {
        Self { view: View::new(db, path) }
    }

    /// What the disk answered when it failed under a statement.
    pub(super) fn io_failure(&self) -> Option<String> {
        self.view.io.borrow_mut().take()
    }

    /// Whether it changed anything of IAM.
    pub(super) fn changed_identities(&self) -> bool {
        self.view.identities.get()
    }

    fn note(&self, sql: &str) {
        if sql.contains(" iam_") {
            self.view.identities.set(true);
        }
    }

    /// Runs a statement; returns how many rows it changed.
    pub(super) fn change(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.note(sql);
        self.prepare(sql)?.execute(params).map_err(|e| self.fail(&e))
    }

    /// Runs a statement that must not find its row there already.
    pub(super) fn insert(
        &self,
        sql: &str,
        params: impl Params,
        what: impl FnOnce() -> String,
    ) -> Result<(), StoreError> {
        self.note(sql);
        match self.prepare(sql)?.execute(params) {
            Ok(_) => Ok(()),
            Err(e) if error::is_duplicate(&e) => Err(StoreError::Exists(what())),
            Err(e) => Err(self.fail(&e)),
        }
    }
}
