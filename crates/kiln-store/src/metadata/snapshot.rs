//! One moment of a database that is in use, as a file of its own.

use std::{fs, path::Path};

use rusqlite::{Connection, backup::Backup};

use super::{
    DATABASE, LOG_FILES, OpenError,
    error::{open_error, open_io},
    open,
    sequence::{Reached, SequenceFile},
};

/// Copies the metadata of `from` into `to`, in place of what is there; returns the last transaction that is in it.
/// Writers and readers are not held up.
pub(crate) fn snapshot(from: &Path, to: &Path) -> Result<u64, OpenError> {
    let source = from.join(DATABASE);
    let target = to.join(DATABASE);
    for name in [DATABASE].into_iter().chain(LOG_FILES) {
        let path = to.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(open_io("remove", &path, e)),
            _ => {}
        }
    }
    let db = open::reader(&source).map_err(|e| open_error(&source, &e))?;
    let failed = |e: rusqlite::Error| open_error(&target, &e);
    let mut copy = Connection::open(&target).map_err(failed)?;
    // All pages in one step: one read transaction, so one moment.
    Backup::new(&db, &mut copy).and_then(|backup| backup.step(-1)).map_err(failed)?;
    let (store, seq) = copy
        .query_row("SELECT id, seq FROM store WHERE one = 1", [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
        .map_err(failed)?;
    let seq = u64::try_from(seq)
        .map_err(|_| OpenError::Damaged { path: source.clone(), what: format!("it ends at change {seq}") })?;
    drop(copy);
    SequenceFile::replace(to, Reached { store, seq }).map_err(|e| open_io("write", &target, e))?;
    Ok(seq)
}
