//! The tables, and how older databases come to them.
//!
//! A migration is applied in one transaction together with its number (`user_version`), so that a process that dies in
//! the middle leaves the version before. Never edit one that was released; add another.

use rusqlite::{Connection, TransactionBehavior};

use crate::crash;

/// Marks a file as Kiln's ("KILN").
pub(super) const APPLICATION_ID: i64 = 0x4b49_4c4e;

/// Version 1, 2, …: the number of a migration is its place.
pub(super) const MIGRATIONS: [&str; 12] = [
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
    include_str!("v4.sql"),
    include_str!("v5.sql"),
    include_str!("v6.sql"),
    include_str!("v7.sql"),
    include_str!("v8.sql"),
    include_str!("v9.sql"),
    include_str!("v10.sql"),
    include_str!("v11.sql"),
    include_str!("v12.sql"),
];

/// The version that this program reads and writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// Version of a database; 0 for an empty one.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings `db` to version `to`, one step at a time.
pub(super) fn migrate(db: &mut Connection, to: i64) -> rusqlite::Result<()> {
    let from = version(db)?;
    for (sql, number) in MIGRATIONS.iter().zip(1..).filter(|&(_, number)| from < number && number <= to) {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", number)?;
        crash::point("schema_applied");
        tx.commit()?;
        crash::point("schema_committed");
    }
    Ok(())
}
