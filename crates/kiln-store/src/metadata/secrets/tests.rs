use std::path::Path;

use rusqlite::{Connection, params};

use super::*;
use crate::{
    Metadata,
    metadata::{
        DATABASE, schema,
        sequence::{Reached, SequenceFile},
    },
};

/// Version of the tables before there were secrets.
const BEFORE: i64 = 4;

fn secret(name: &str, delete_ms: Option<i64>) -> SecretRecord {
    SecretRecord { id: format!("{name}-AbCdEf"), name: name.to_owned(), created_ms: 5, delete_ms, doc: "{}".to_owned() }
}

fn version(secret: &str, version: &str, created_ms: i64) -> SecretVersionRecord {
    SecretVersionRecord {
        secret: format!("{secret}-AbCdEf"),
        version: version.to_owned(),
        created_ms,
        sealed: b"sealed".to_vec(),
        doc: "{}".to_owned(),
    }
}

fn damaged(dir: &Path, sql: &str) -> Vec<String> {
    let db = Connection::open(dir.join(DATABASE)).unwrap();
    db.execute(sql, []).unwrap();
    super::super::check::check(&View::new(&db, dir)).unwrap()
}

#[test]
fn a_database_from_before_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    let mut db = Connection::open(&path).unwrap();
    schema::migrate(&mut db, BEFORE).unwrap();
    let reached = Reached { store: [7; 16], seq: 41 };
    db.execute("INSERT INTO store (one, id, seq) VALUES (1, ?1, 41)", params![reached.store]).unwrap();
    Tx::new(&db, &path).put_setting("a", "b").unwrap();
    drop(db);
    SequenceFile::replace(dir.path(), reached).unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    assert_eq!(store.read(|v| v.setting("a")).unwrap().as_deref(), Some("b"));
    store.write_blocking(|tx| tx.insert_secret(&secret("s", None))).unwrap();
    assert_eq!(store.read(|v| v.secret("s")).unwrap(), Some(secret("s", None)));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn secrets_and_versions_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(|tx| {
            for name in ["c", "a", "b/x"] {
                tx.insert_secret(&secret(name, None))?;
            }
            tx.put_secret_version(&version("a", "two", 2))?;
            tx.put_secret_version(&version("a", "one", 1))?;
            tx.put_secret_version(&version("c", "one", 1))
        })
        .unwrap();
    let names = |after, limit| {
        let page = store.read(|v| v.secrets(after, limit)).unwrap();
        page.into_iter().map(|s| s.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 2), ["a", "b/x"]);
    assert_eq!(names(Some("b/x"), 2), ["c"]);
    assert_eq!(store.read(|v| v.secret_by_id("a-AbCdEf")).unwrap(), Some(secret("a", None)));
    assert_eq!(store.read(|v| v.secret_by_id("a-ABCDEF")).unwrap(), None);
    let versions = store.read(|v| v.secret_versions("a-AbCdEf")).unwrap();
    assert_eq!(versions, [version("a", "one", 1), version("a", "two", 2)]);
    let twice = store.write_blocking(|tx| tx.insert_secret(&secret("a", None)));
    assert!(matches!(twice, Err(StoreError::Exists(_))), "{twice:?}");
    let orphan = store.write_blocking(|tx| tx.put_secret_version(&version("nobody", "one", 1)));
    assert!(orphan.is_err());

    let changed = SecretRecord { doc: "{\"a\":1}".to_owned(), ..secret("a", Some(9)) };
    let with = changed.clone();
    store.write_blocking(move |tx| tx.update_secret(&with)).unwrap();
    assert_eq!(store.read(|v| v.secret("a")).unwrap(), Some(changed.clone()));
    assert_eq!(store.read(|v| v.secrets_to_delete(8, 9)).unwrap(), []);
    assert_eq!(store.read(|v| v.secrets_to_delete(9, 9)).unwrap(), [changed]);
    let missing = store.write_blocking(|tx| tx.update_secret(&secret("nobody", None)));
    assert!(matches!(missing, Err(StoreError::NotFound(_))), "{missing:?}");

    store
        .write_blocking(|tx| {
            assert!(tx.delete_secret_version("a-AbCdEf", "one")?);
            assert!(!tx.delete_secret_version("a-AbCdEf", "one")?);
            assert!(tx.delete_secret("a-AbCdEf")?);
            assert!(!tx.delete_secret("a-AbCdEf")?);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.read(|v| v.secret_versions("a-AbCdEf")).unwrap(), []);
    assert_eq!(store.read(|v| v.secret_count()).unwrap(), 2);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn changed_rows_are_found() {
    for (sql, what) in [
        ("UPDATE secrets SET doc = '[]'", "secret s is not what was stored"),
        ("UPDATE secret_versions SET sealed = X'00'", "version one of secret s-AbCdEf is not what was stored"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = Metadata::open(dir.path()).unwrap();
        store
            .write_blocking(|tx| {
                tx.insert_secret(&secret("s", None))?;
                tx.put_secret_version(&version("s", "one", 1))
            })
            .unwrap();
        drop(store);
        assert_eq!(damaged(dir.path(), sql), [what]);
    }
}
