//! Connections that read.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{error::store_error, open, view::View};
use crate::StoreError;

/// Connections that are kept while nobody reads. More are opened when more threads read at once.
const KEPT: usize = 4;

/// Readers' connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = |e: rusqlite::Error| store_error(&self.path, &e);
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match kept {
            Some(db) => db,
            None => open::reader(&self.path).map_err(failed)?,
        };
        // A connection whose transaction did not end well is dropped, not kept.
        let snapshot = db.unchecked_transaction().map_err(failed)?;
        let result = work(&View::new(&snapshot, &self.path));
        let ended = snapshot.rollback();
        if ended.is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < KEPT {
                idle.push(db);
            }
        }
        result
    }
}
