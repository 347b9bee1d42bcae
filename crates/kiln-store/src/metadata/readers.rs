//! Connections that read.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::Connection;

use super::{error::store_error, open, view::View};
use crate::StoreError;

/// Connections that are kept while nobody reads. More are opened when more threads read at once.
const KEPT: usize = 4;

/// Steps of SQLite's machine after which a reader that may be stopped is asked whether it is to go on: some milliseconds.
const STEPS: i32 = 100_000;

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

    /// Long work on a connection of its own; `None`: it was given up, as `go_on` said no.
    pub(super) fn read_while<T>(
        &self,
        go_on: impl Fn() -> bool + Send + 'static,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let failed = |e: rusqlite::Error| store_error(&self.path, &e);
        let mut db = open::reader(&self.path).map_err(failed)?;
        // A small database takes fewer steps than would be asked after.
        if !go_on() {
            return Ok(None);
        }
        let given_up = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given_up);
        let ask = move || {
            let stop = !go_on();
            seen.fetch_or(stop, Ordering::Relaxed);
            stop
        };
        db.progress_handler(STEPS, Some(ask)).map_err(failed)?;
        let result =
            db.unchecked_transaction().map_err(failed).and_then(|snapshot| work(&View::new(&snapshot, &self.path)));
        if given_up.load(Ordering::Relaxed) { Ok(None) } else { result.map(Some) }
    }
}
