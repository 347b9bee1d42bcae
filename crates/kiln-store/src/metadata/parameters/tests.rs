use rusqlite::Connection;

use super::*;
use crate::{Metadata, metadata::DATABASE};

fn parameter(name: &str, newest: i64) -> ParameterRecord {
    ParameterRecord { name: name.to_owned(), newest, doc: "{}".to_owned() }
}

fn version(name: &str, version: i64) -> ParameterVersionRecord {
    ParameterVersionRecord {
        name: name.to_owned(),
        version,
        created_ms: 3,
        sealed: b"sealed".to_vec(),
        doc: "{}".to_owned(),
    }
}

fn with(names: &[&str]) -> (tempfile::TempDir, Metadata) {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    for name in names {
        let name = (*name).to_owned();
        store
            .write_blocking(move |tx| {
                tx.put_parameter(&parameter(&name, 1))?;
                tx.insert_parameter_version(&version(&name, 1))
            })
            .unwrap();
    }
    (dir, store)
}

#[test]
fn parameters_come_back_by_prefix_and_in_pages() {
    let (_dir, store) = with(&["/a/b", "/a/b/c", "/a/bc", "/a", "z", "/b"]);
    let names = |prefix: &str, after: Option<&str>, limit| {
        let page = store.read(|v| v.parameters(prefix, after, limit)).unwrap();
        page.into_iter().map(|p| p.name).collect::<Vec<_>>()
    };
    assert_eq!(names("", None, 9), ["/a", "/a/b", "/a/b/c", "/a/bc", "/b", "z"]);
    assert_eq!(names("/a/", None, 9), ["/a/b", "/a/b/c", "/a/bc"]);
    assert_eq!(names("/a/", Some("/a/b"), 1), ["/a/b/c"]);
    assert_eq!(names("/a/b/", None, 9), ["/a/b/c"]);
    assert_eq!(store.read(|v| v.parameter_count()).unwrap(), 6);
}

#[test]
fn versions_are_in_order_and_go_with_their_parameter() {
    let (_dir, store) = with(&["/a"]);
    store
        .write_blocking(|tx| {
            for n in [2, 10, 3] {
                tx.insert_parameter_version(&version("/a", n))?;
            }
            tx.put_parameter(&parameter("/a", 10))
        })
        .unwrap();
    let numbers = |after, limit| {
        let page = store.read(|v| v.parameter_versions("/a", after, limit)).unwrap();
        page.into_iter().map(|v| v.version).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 9), [1, 2, 3, 10]);
    assert_eq!(numbers(1, 2), [2, 3]);
    let twice = store.write_blocking(|tx| tx.insert_parameter_version(&version("/a", 3)));
    assert!(matches!(twice, Err(StoreError::Exists(_))), "{twice:?}");
    store
        .write_blocking(|tx| {
            assert!(tx.delete_parameter_version("/a", 1)?);
            assert!(!tx.delete_parameter_version("/a", 1)?);
            Ok(())
        })
        .unwrap();
    assert_eq!(numbers(0, 9), [2, 3, 10]);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
    store
        .write_blocking(|tx| {
            assert!(tx.delete_parameter("/a")?);
            assert!(!tx.delete_parameter("/a")?);
            Ok(())
        })
        .unwrap();
    assert_eq!(numbers(0, 9), [0; 0]);
    assert_eq!(store.read(|v| v.parameter("/a")).unwrap(), None);
}

#[test]
fn changed_rows_are_found() {
    for (sql, what) in [
        ("UPDATE parameters SET doc = '[]'", "parameter /a is not what was stored"),
        ("UPDATE parameter_versions SET created_ms = 4", "version 1 of parameter /a is not what was stored"),
        ("DELETE FROM parameter_versions", "parameter /a has no value"),
    ] {
        let (dir, store) = with(&["/a"]);
        drop(store);
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute(sql, []).unwrap();
        assert_eq!(super::super::check::check(&View::new(&db, dir.path())).unwrap(), [what]);
    }
}
