use rusqlite::Connection;

use super::*;
use crate::{Metadata, metadata::DATABASE};

fn key(namespace: &str, name: &str, dimensions: &str) -> MetricKey {
    MetricKey { namespace: namespace.to_owned(), name: name.to_owned(), dimensions: dimensions.to_owned() }
}

fn block(metric: i64, resolution: i64, start_s: i64, data: &[u8]) -> MetricBlockRecord {
    MetricBlockRecord { metric, resolution, start_s, unit: "Count".to_owned(), data: data.to_vec() }
}

fn with(keys: &[(&str, &str, &str)]) -> (tempfile::TempDir, Metadata) {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    for (namespace, name, dimensions) in keys {
        let key = key(namespace, name, dimensions);
        store.write_blocking(move |tx| tx.insert_metric(&key, 5)).unwrap();
    }
    (dir, store)
}

#[test]
fn metrics_come_back_by_namespace_and_name_in_pages() {
    let (_dir, store) = with(&[("b", "x", ""), ("a", "y", "1"), ("a", "x", ""), ("a", "y", ""), ("c", "x", "")]);
    let found = |namespace, name, after: Option<&MetricKey>, limit| {
        let page = store.read(|v| v.metrics(namespace, name, after, limit)).unwrap();
        page.into_iter().map(|m| format!("{}{}{}", m.key.namespace, m.key.name, m.key.dimensions)).collect::<Vec<_>>()
    };
    assert_eq!(found(None, None, None, 9), ["ax", "ay", "ay1", "bx", "cx"]);
    assert_eq!(found(Some("a"), None, None, 9), ["ax", "ay", "ay1"]);
    assert_eq!(found(Some("a"), Some("y"), None, 1), ["ay"]);
    assert_eq!(found(Some("a"), Some("y"), Some(&key("a", "y", "")), 9), ["ay1"]);
    assert_eq!(found(None, Some("x"), Some(&key("a", "y", "")), 9), ["bx", "cx"]);
    assert_eq!(found(Some("a"), None, Some(&key("b", "x", "")), 9), [""; 0]);
    assert_eq!(store.read(|v| v.metric_count()).unwrap(), 5);
    let again = store.write_blocking(|tx| tx.insert_metric(&key("a", "x", ""), 5));
    assert!(matches!(again, Err(StoreError::Exists(_))), "{again:?}");
}

#[test]
fn blocks_are_replaced_found_by_age_and_keep_their_metric() {
    let (_dir, store) = with(&[("a", "x", "")]);
    let id = store.read(|v| v.metric(&key("a", "x", ""))).unwrap().unwrap().id;
    store
        .write_blocking(move |tx| {
            for (resolution, start) in [(60, 0), (60, 3600), (300, 0), (60, 7200)] {
                tx.put_metric_block(&block(id, resolution, start, b"old"))?;
            }
            tx.put_metric_block(&block(id, 60, 3600, b"new"))
        })
        .unwrap();
    let found = store.read(|v| v.metric_blocks(id, 60, 3600, 7200)).unwrap();
    assert_eq!(found, [block(id, 60, 3600, b"new")]);
    assert_eq!(store.read(|v| v.metric_block(id, 60, 3600, "Bytes")).unwrap(), None);
    let old = store.read(|v| v.metric_blocks_before(60, 7200, 9)).unwrap();
    assert_eq!(old.iter().map(|b| b.start_s).collect::<Vec<_>>(), [0, 3600]);
    assert_eq!(store.write_blocking(|tx| tx.delete_empty_metrics(100, 9)).unwrap(), 0, "it has points");
    let gone = store.write_blocking(move |tx| {
        for (resolution, start) in [(60, 0), (60, 3600), (300, 0), (60, 7200)] {
            assert!(tx.delete_metric_block(&block(id, resolution, start, b""))?);
        }
        assert_eq!(tx.delete_empty_metrics(5, 9)?, 0, "its last point was not before");
        tx.delete_empty_metrics(6, 9)
    });
    assert_eq!(gone.unwrap(), 1);
    assert_eq!(store.read(|v| v.metric_count()).unwrap(), 0);
}

#[test]
fn changed_rows_are_found_and_never_served() {
    for (sql, what) in [
        ("UPDATE metrics SET newest_ms = 6", "metric a x"),
        ("UPDATE metric_blocks SET data = X'00'", "the points of metric"),
        ("UPDATE metric_blocks SET unit = 'Bytes'", "the points of metric"),
    ] {
        let (dir, store) = with(&[("a", "x", "")]);
        store.write_blocking(|tx| tx.put_metric_block(&block(1, 60, 0, b"data"))).unwrap();
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute(sql, []).unwrap();
        let lines = store.check().unwrap();
        assert!(lines.len() == 1 && lines[0].contains(what), "{lines:?}");
        let read = store.read(|v| {
            v.metric(&key("a", "x", ""))?;
            v.metric_blocks(1, 60, 0, 60)
        });
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{sql}: {read:?}");
    }
}
