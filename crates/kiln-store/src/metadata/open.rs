//! Opening, which is recovery.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, params};
use rustix::fs::{Access, access};

use super::{
    DATABASE, RESTORING, check,
    error::{OpenError, open_error, open_io},
    schema,
    sequence::{self, Reached, SequenceFile},
    view::View,
};

/// Databases up to this size are checked whole at each opening (about 30 ms); a larger one would delay the start.
const CHECKED_AT_OPENING: u64 = 4 << 20;
/// Page cache of the writer, KiB.
const WRITER_CACHE_KIB: i64 = 2048;
/// Page cache of each reader, KiB: an idle server must stay small.
const READER_CACHE_KIB: i64 = 256;

/// What the writer needs.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) sequence: SequenceFile,
    pub(super) seq: u64,
    /// Everything in it was read and found well.
    pub(super) checked: bool,
}

/// The database's own idea of itself.
#[derive(Debug, Clone, Copy)]
enum State {
    /// No tables yet.
    Fresh,
    /// A store, with where it ends.
    Store(Reached),
}

pub(super) fn open(directory: &Path) -> Result<Opened, OpenError> {
    access(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|e| open_io("write to", directory, e.into()))?;
    if directory.join(RESTORING).symlink_metadata().is_ok() {
        return Err(OpenError::Restoring { path: directory.to_owned() });
    }
    let path = directory.join(DATABASE);
    let said = read_sequence(directory)?;
    let (mut db, state) = inspect(&path)?;
    let behind = |database, acknowledged| OpenError::Behind {
        path: path.clone(),
        sequence: directory.join(sequence::NAME),
        database,
        acknowledged,
    };
    let unsure = |what| OpenError::Sequence { path: path.clone(), sequence: directory.join(sequence::NAME), what };
    let reached = match (state, said) {
        (State::Fresh, None) => {
            let mut store = [0; 16];
            aws_lc_rs::rand::fill(&mut store)
                .map_err(|_| open_io("get random numbers for", &path, std::io::ErrorKind::Other.into()))?;
            Reached { store, seq: 0 }
        }
        // A process that died while it made the directory: nothing was acknowledged.
        (State::Fresh, Some(Some(said))) if said.seq == 0 => said,
        (State::Fresh, Some(Some(said))) => return Err(behind(0, said.seq)),
        (_, Some(None)) => return Err(unsure("is damaged")),
        (State::Store(_), None) => return Err(unsure("is missing")),
        (State::Store(reached), Some(Some(said))) => {
            if said.store != reached.store {
                return Err(unsure("belongs to another database"));
            }
            if reached.seq < said.seq {
                return Err(behind(reached.seq, said.seq));
            }
            // Ahead by one commit: the process died between the commit and the file.
            reached
        }
    };
    let write_sequence =
        || SequenceFile::replace(directory, reached).map_err(|e| open_io("write", &directory.join(sequence::NAME), e));
    let first = match state {
        // Before the tables, so that a database with content never lacks it.
        State::Fresh => Some(write_sequence()?),
        State::Store(_) => None,
    };
    let failed = |e: rusqlite::Error| open_error(&path, &e);
    prepare_writer(&db).map_err(failed)?;
    let checked = match state {
        State::Store(_) => whole(&db, &path)?,
        State::Fresh => true,
    };
    schema::migrate(&mut db, schema::NEWEST).map_err(failed)?;
    if matches!(state, State::Fresh) {
        db.execute("INSERT OR IGNORE INTO store (one, id, seq) VALUES (1, ?1, 0)", params![reached.store])
            .map_err(failed)?;
        File::open(directory).and_then(|d| d.sync_all()).map_err(|e| open_io("sync", directory, e))?;
    }
    // A sync may have failed in the process before: then the log's pages are in the kernel's memory but not on the
    // disk, and the kernel believes they are. Copying them into the database writes them again and syncs that.
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
    if busy != 0 {
        return Err(OpenError::Busy { path });
    }
    // Written anew for the same reason.
    let sequence = match first {
        Some(sequence) => sequence,
        None => write_sequence()?,
    };
    Ok(Opened { db, path, sequence, seq: reached.seq, checked })
}

pub(super) fn accept_loss(directory: &Path) -> Result<u64, OpenError> {
    let path = directory.join(DATABASE);
    let (_db, state) = inspect(&path)?;
    let State::Store(reached) = state else {
        return Err(OpenError::Damaged { path, what: "it is empty".to_owned() });
    };
    SequenceFile::replace(directory, reached).map_err(|e| open_io("write", &directory.join(sequence::NAME), e))?;
    Ok(reached.seq)
}

fn read_sequence(directory: &Path) -> Result<Option<Option<Reached>>, OpenError> {
    SequenceFile::read(directory).map_err(|e| open_io("read", &directory.join(sequence::NAME), e))
}

/// Opens the database and finds out what it is, without changing it.
fn inspect(path: &Path) -> Result<(Connection, State), OpenError> {
    let failed = |e: rusqlite::Error| open_error(path, &e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    // A refused database keeps its log, as evidence and for repair.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    // Another opening process, or a backup, is done in a moment.
    db.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
    if db.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
        // As root a file's mode does not matter: then its header says that it must not be written.
        return Err(match access(path, Access::WRITE_OK) {
            Ok(()) => OpenError::Damaged { path: path.to_owned(), what: "its header forbids to write it".to_owned() },
            Err(_) => OpenError::ReadOnly { path: path.to_owned() },
        });
    }
    let application: i64 = db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let version = schema::version(&db).map_err(failed)?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if tables == 0 && version == 0 && application == 0 {
        return Ok((db, State::Fresh));
    }
    if application != schema::APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    if version > schema::NEWEST {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known: schema::NEWEST });
    }
    let row = db.query_row("SELECT id, seq FROM store WHERE one = 1", [], |row| {
        Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, i64>(1)?))
    });
    match row {
        Ok((store, seq)) => {
            let seq = u64::try_from(seq)
                .map_err(|_| OpenError::Damaged { path: path.to_owned(), what: format!("it ends at change {seq}") })?;
            Ok((db, State::Store(Reached { store, seq })))
        }
        // The process that made the tables died before it filled this one.
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok((db, State::Fresh)),
        Err(e) => Err(OpenError::Damaged { path: path.to_owned(), what: e.to_string() }),
    }
}

/// Sets a connection up for writing.
fn prepare_writer(db: &Connection) -> rusqlite::Result<()> {
    let mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!("the file system does not allow write-ahead logs (journal mode {mode})")),
        ));
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    // The writer checkpoints by itself: SQLite's own automatic checkpoint hides a failed sync.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    prepare(db, WRITER_CACHE_KIB)
}

/// A connection for readers.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "query_only", true)?;
    prepare(&db, READER_CACHE_KIB)?;
    Ok(db)
}

fn prepare(db: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", -cache_kib)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // A damaged or foreign file must not run functions, nor crash on a wrong page.
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Refuses a database that is visibly damaged. False: it is too large to be read whole now.
fn whole(db: &Connection, path: &Path) -> Result<bool, OpenError> {
    let failed = |e: rusqlite::Error| open_error(path, &e);
    let pages: u64 = db.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map_err(failed)?.cast_unsigned();
    let size: u64 = db.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0)).map_err(failed)?.cast_unsigned();
    if pages.saturating_mul(size) > CHECKED_AT_OPENING || schema::version(db).map_err(failed)? != schema::NEWEST {
        return Ok(false);
    }
    let found = check::check(&View::new(db, path))
        .map_err(|e| OpenError::Damaged { path: path.to_owned(), what: e.to_string() })?;
    match found.first() {
        None => Ok(true),
        Some(first) => Err(OpenError::Damaged { path: path.to_owned(), what: first.clone() }),
    }
}
