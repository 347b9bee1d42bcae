use std::path::Path;

use rusqlite::{Connection, params};

use super::*;
use crate::{
    Metadata,
    keys::{Change, KeyError, Keys},
    metadata::{
        DATABASE, KeyVersionState, schema,
        sequence::{Reached, SequenceFile},
    },
};

/// Version of the tables before there were keys of KMS.
const BEFORE: i64 = 2;

fn open(dir: &Path) -> Metadata {
    Metadata::open(dir).unwrap()
}

fn key(id: &str) -> KmsKeyRecord {
    KmsKeyRecord {
        id: id.to_owned(),
        material: format!("material of {id}"),
        state: KmsKeyState::Enabled,
        created_ms: 5,
        delete_ms: None,
        rotate_ms: None,
        doc: "{}".to_owned(),
    }
}

fn alias(name: &str, key: &str) -> KmsAliasRecord {
    KmsAliasRecord { name: name.to_owned(), key: key.to_owned(), created_ms: 6, updated_ms: 7 }
}

fn grant(id: &str, key: &str, retiring: Option<&str>) -> KmsGrantRecord {
    KmsGrantRecord {
        id: id.to_owned(),
        key: key.to_owned(),
        retiring: retiring.map(str::to_owned),
        created_ms: 8,
        doc: "{}".to_owned(),
    }
}

/// Makes a key with its material.
fn make(keys: &Keys, record: KmsKeyRecord) {
    let material = record.material.clone();
    let change = Change::NewVersion { now_ms: 5 };
    let made = keys.change_blocking::<_, KeyError, _>(&material, change, move |tx| Ok(tx.insert_kms_key(&record)?));
    made.unwrap();
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
    let store = open(dir.path());
    let keys = Keys::open(&dir.path().join("keys"), &store, 1).unwrap();
    assert_eq!(store.read(|v| v.setting("a")).unwrap().as_deref(), Some("b"));
    make(&keys, key("k"));
    assert_eq!(store.read(|v| v.kms_key("k")).unwrap(), Some(key("k")));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn keys_aliases_and_grants_come_back_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = Keys::open(&dir.path().join("keys"), &store, 1).unwrap();
    for id in ["c", "a", "b"] {
        make(&keys, key(id));
    }
    store
        .write_blocking(|tx| {
            tx.put_kms_alias(&alias("alias/2", "a"))?;
            tx.put_kms_alias(&alias("alias/1", "b"))?;
            tx.put_kms_alias(&alias("alias/3", "a"))?;
            tx.insert_kms_grant(&grant("g2", "a", None))?;
            tx.insert_kms_grant(&grant("g1", "a", Some("r")))?;
            tx.insert_kms_grant(&grant("g3", "b", Some("r")))
        })
        .unwrap();
    assert!(store.write_blocking(|tx| tx.put_kms_alias(&alias("alias/4", "nobody"))).is_err(), "its key must exist");
    drop((store, keys));
    let store = open(dir.path());
    let ids = |found: Vec<KmsKeyRecord>| found.into_iter().map(|k| k.id).collect::<Vec<_>>();
    let names = |found: Vec<KmsAliasRecord>| found.into_iter().map(|a| a.name).collect::<Vec<_>>();
    let grants = |found: Vec<KmsGrantRecord>| found.into_iter().map(|g| g.id).collect::<Vec<_>>();
    store
        .read(|v| {
            assert_eq!(ids(v.kms_keys(None, 2)?), ["a", "b"]);
            assert_eq!(ids(v.kms_keys(Some("b"), 2)?), ["c"]);
            assert_eq!(v.kms_key_of_material("material of c")?, Some(key("c")));
            assert_eq!(v.kms_key_count()?, 3);
            assert_eq!(names(v.kms_aliases(None, None, 9)?), ["alias/1", "alias/2", "alias/3"]);
            assert_eq!(names(v.kms_aliases(Some("a"), Some("alias/2"), 9)?), ["alias/3"]);
            assert_eq!(v.kms_alias("alias/1")?, Some(alias("alias/1", "b")));
            assert_eq!(grants(v.kms_grants("a", None, 9)?), ["g1", "g2"]);
            assert_eq!(grants(v.kms_grants_retired_by("r", Some("g1"), 9)?), ["g3"]);
            assert_eq!((v.kms_grant_count("a")?, v.kms_grant("g1")?), (2, Some(grant("g1", "a", Some("r")))));
            Ok(())
        })
        .unwrap();
    assert!(store.write_blocking(|tx| tx.delete_kms_key("a")).unwrap());
    store
        .read(|v| {
            assert_eq!(names(v.kms_aliases(None, None, 9)?), ["alias/1"]);
            assert_eq!(v.kms_grant("g1")?, None);
            assert_eq!(v.kms_key("a")?, None);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_due_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = Keys::open(&dir.path().join("keys"), &store, 1).unwrap();
    make(&keys, KmsKeyRecord { rotate_ms: Some(100), ..key("rotated") });
    make(&keys, key("plain"));
    make(&keys, key("deleted"));
    let pending = KmsKeyRecord { state: KmsKeyState::PendingDeletion, delete_ms: Some(200), ..key("deleted") };
    store.write_blocking(move |tx| tx.update_kms_key(&pending)).unwrap();
    let due = |now| {
        store
            .read(|v| {
                let ids = |found: Vec<KmsKeyRecord>| found.into_iter().map(|k| k.id).collect::<Vec<_>>();
                Ok((ids(v.kms_keys_to_rotate(now)?), ids(v.kms_keys_to_delete(now)?)))
            })
            .unwrap()
    };
    assert_eq!(due(99), (vec![], vec![]));
    assert_eq!(due(100), (vec!["rotated".to_owned()], vec![]));
    assert_eq!(due(200), (vec!["rotated".to_owned()], vec!["deleted".to_owned()]));
    let other = KmsKeyRecord { material: "another".to_owned(), ..key("plain") };
    assert!(store.write_blocking(move |tx| tx.update_kms_key(&other)).is_err(), "a key keeps its material");
}

#[test]
fn the_check_finds_changed_rows_and_material_that_differs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let keys = Keys::open(&dir.path().join("keys"), &store, 1).unwrap();
    make(&keys, key("k"));
    store
        .write_blocking(|tx| {
            tx.put_kms_alias(&alias("alias/1", "k"))?;
            tx.insert_kms_grant(&grant("g", "k", None))
        })
        .unwrap();
    // All versions and the key at once, or neither.
    let disabled = KmsKeyRecord { state: KmsKeyState::Disabled, ..key("k") };
    let state = Change::State(KeyVersionState::Disabled);
    let undone = keys.change_blocking::<(), KeyError, _>("material of k", state, |_| Err(KeyError::Library));
    assert!(undone.is_err());
    assert!(keys.encrypt("material of k", &Default::default(), b"x").is_ok());
    let stored = disabled.clone();
    keys.change_blocking::<_, KeyError, _>("material of k", state, move |tx| Ok(tx.update_kms_key(&stored)?)).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    let enabled = key("k");
    store.write_blocking(move |tx| tx.update_kms_key(&enabled)).unwrap();
    assert_eq!(store.check().unwrap(), ["key k and its material differ in whether they are enabled"]);
    store.write_blocking(move |tx| tx.update_kms_key(&disabled)).unwrap();
    drop((store, keys));
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    for change in [
        "UPDATE kms_keys SET doc = '{} '",
        "UPDATE kms_aliases SET updated_ms = 8",
        "UPDATE kms_grants SET retiring = ''",
    ] {
        db.execute(change, []).unwrap();
    }
    let found = crate::metadata::check::check(&View::new(&db, dir.path())).unwrap();
    assert_eq!(
        found,
        ["key k is not what was stored", "alias/1 is not what was stored", "grant g is not what was stored"]
    );
}
