//! Databases of earlier versions (fault test 31).

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rusqlite::{Connection, params};

use super::*;

/// A database of version 1 with a bucket and objects, as that version's program left it.
fn version_1(dir: &Path) -> [u8; 16] {
    let store = [7; 16];
    let mut db = Connection::open(dir.join(DATABASE)).unwrap();
    schema::migrate(&mut db, 1).unwrap();
    db.execute("INSERT INTO store (one, id, seq) VALUES (1, ?1, 9)", params![store]).unwrap();
    let sum = rowsum::RowSum::of("buckets").text("b").int(1).text("{}").finish();
    db.execute("INSERT INTO buckets VALUES ('b', 1, '{}', ?1)", [sum]).unwrap();
    for (id, key, blob) in [(1, "a//b", Some("00ff")), (2, "demo", Some("01ff")), (3, "demo/out", None::<&str>)] {
        let sum = rowsum::RowSum::of("objects")
            .text("b")
            .text(key)
            .text("null")
            .int(i64::from(blob.is_some()))
            .text(blob.unwrap_or_default())
            .int(5)
            .text("etag")
            .bytes(b"sha")
            .int(2)
            .text("{}")
            .finish();
        db.execute(
            "INSERT INTO objects VALUES (?1, 'b', ?2, 'null', ?3, 5, 'etag', X'736861', 2, '{}', ?4)",
            params![id, key, blob, sum],
        )
        .unwrap();
    }
    sequence::SequenceFile::replace(dir, sequence::Reached { store, seq: 9 }).unwrap();
    store
}

fn all_is_there(store: &Metadata) {
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    assert_eq!(store.sequence().unwrap(), 9);
    let object = store.read(|v| v.object("b", "a//b")).unwrap().unwrap();
    assert_eq!((object.blob.as_deref(), object.upload, object.size), (Some("00ff"), None, 5));
    let query = ListQuery { bucket: "b", prefix: "", delimiter: None, limit: 10 };
    let listing = store.read(|v| v.list_objects(query, None)).unwrap();
    assert_eq!(listing.items.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["a//b", "demo"]);
    let versions = store.read(|v| v.list_versions(query, None, None)).unwrap();
    assert_eq!(versions.items.len(), 3);
    assert!(store.read(|v| v.is_blob_used("01ff")).unwrap());
}

#[test]
fn a_database_of_version_1_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path());
    all_is_there(&Metadata::open(dir.path()).unwrap());
    all_is_there(&Metadata::open(dir.path()).unwrap());
}

/// How many steps the machine that runs its statements makes in a whole migration.
fn steps() -> u32 {
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path());
    let mut db = Connection::open(dir.path().join(DATABASE)).unwrap();
    let made = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&made);
    db.progress_handler(1, Some(move || counted.fetch_add(1, Ordering::Relaxed) == u32::MAX)).unwrap();
    schema::migrate(&mut db, schema::NEWEST).unwrap();
    made.load(Ordering::Relaxed)
}

/// Stopped at any step of the machine that runs its statements, a migration has not happened; the next one does.
#[test]
fn a_migration_happens_whole_or_not_at_all() {
    let all = steps();
    let rounds = if std::env::var_os("KILN_SOAK").is_some() { 500 } else { 25 };
    let mut finished = false;
    for stop in (0..).step_by(usize::try_from(all / rounds + 1).unwrap()) {
        let dir = tempfile::tempdir().unwrap();
        version_1(dir.path());
        let mut db = Connection::open(dir.path().join(DATABASE)).unwrap();
        let left = AtomicU32::new(stop);
        let count = move || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_err();
        db.progress_handler(1, Some(count)).unwrap();
        finished = schema::migrate(&mut db, schema::NEWEST).is_ok();
        drop(db);
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        let version = schema::version(&db).unwrap();
        assert!(finished && version == schema::NEWEST || version < schema::NEWEST, "{version} after {stop} steps");
        drop(db);
        all_is_there(&Metadata::open(dir.path()).unwrap());
        if finished {
            break;
        }
    }
    assert!(finished, "not within {all} steps");
}

/// What a program of version 1 sees in a database that was migrated: a number that it does not know, which it refuses
/// before it reads anything else (`tests/damage.rs` shows it for a number from the future).
#[test]
fn a_migrated_database_says_so() {
    let dir = tempfile::tempdir().unwrap();
    version_1(dir.path());
    drop(Metadata::open(dir.path()).unwrap());
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    assert_eq!(schema::version(&db).unwrap(), schema::NEWEST);
    const { assert!(schema::NEWEST > 1) };
}
