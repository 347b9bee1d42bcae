use rusqlite::Connection;

use super::*;
use crate::{Metadata, metadata::DATABASE};

fn group(name: &str) -> LogGroupRecord {
    LogGroupRecord { name: name.to_owned(), created_ms: 1, stored: 0, doc: "{}".to_owned() }
}

fn stream(name: &str, first_ms: i64, last_ms: i64, open: bool) -> LogStreamRecord {
    LogStreamRecord {
        group: "g".to_owned(),
        name: name.to_owned(),
        created_ms: 1,
        build: open.then(|| "uuid".to_owned()),
        open,
        events: i64::from(!open),
        first_ms,
        last_ms,
        ingested_ms: last_ms,
        stored: 10,
    }
}

fn with(streams: Vec<LogStreamRecord>) -> (tempfile::TempDir, Metadata) {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(move |tx| {
            for name in ["a", "g", "g/x", "z"] {
                tx.put_log_group(&group(name))?;
            }
            streams.iter().try_for_each(|stream| tx.put_log_stream(stream))
        })
        .unwrap();
    (dir, store)
}

#[test]
fn groups_come_back_by_prefix_and_in_pages() {
    let (_dir, store) = with(Vec::new());
    let names = |prefix: &str, after: Option<&str>, limit| {
        let page = store.read(|v| v.log_groups(prefix, after, limit)).unwrap();
        page.into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    assert_eq!(names("", None, 9), ["a", "g", "g/x", "z"]);
    assert_eq!(names("g", None, 9), ["g", "g/x"]);
    assert_eq!(names("", Some("g"), 1), ["g/x"]);
    assert_eq!(names("G", None, 9), [""; 0]);
}

#[test]
fn streams_come_back_in_each_order_and_in_pages() {
    let (_dir, store) = with(vec![
        stream("a", 5, 50, false),
        stream("b", 5, 20, false),
        stream("b/c", 30, 50, false),
        stream("d", 10, 10, true),
    ]);
    let all = |prefix: &str, sort: LogStreamSort, limit: usize| {
        let (mut names, mut after) = (Vec::new(), None::<(i64, String)>);
        loop {
            let begin = after.as_ref().map(|(ms, name)| (*ms, name.as_str()));
            let page = store.read(|v| v.log_streams("g", prefix, sort, begin, limit)).unwrap();
            let Some(last) = page.last() else { return names.join(" ") };
            after = Some((last.last_ms, last.name.clone()));
            names.extend(page.into_iter().map(|stream| stream.name));
        }
    };
    for limit in [1, 2, 9] {
        assert_eq!(all("", LogStreamSort::Name, limit), "a b b/c d");
        assert_eq!(all("", LogStreamSort::NameDescending, limit), "d b/c b a");
        assert_eq!(all("b", LogStreamSort::Name, limit), "b b/c");
        assert_eq!(all("", LogStreamSort::LastEvent, limit), "d b a b/c");
        assert_eq!(all("", LogStreamSort::LastEventDescending, limit), "b/c a b d");
    }
    let names = |page: Vec<LogStreamRecord>| page.into_iter().map(|stream| stream.name).collect::<Vec<_>>();
    let at = |ms| {
        let mut found = names(store.read(|v| v.log_streams_at("g", ms)).unwrap());
        found.sort_unstable();
        found
    };
    assert_eq!(at(5), ["a", "b", "d"], "one that runs may have anything");
    assert_eq!(at(21), ["a", "d"]);
    assert_eq!(at(51), ["d"]);
    let after = |ms, name| names(store.read(|v| v.log_streams_after("g", (ms, name), 9)).unwrap());
    assert_eq!(after(0, ""), ["a", "b", "b/c"]);
    assert_eq!(after(5, "a"), ["b", "b/c"]);
    assert_eq!(after(5, "\u{10ffff}"), ["b/c"]);
    assert_eq!(names(store.read(|v| v.open_log_streams()).unwrap()), ["d"]);
    let before = |ms, after, limit| names(store.read(|v| v.log_streams_before("g", ms, after, limit)).unwrap());
    assert_eq!(before(31, None, 9), ["a", "b", "b/c"], "one that runs is left out");
    assert_eq!(before(30, None, 1), ["a"]);
    assert_eq!(before(30, Some((5, "a")), 9), ["b"]);
    assert_eq!(before(5, None, 9), [""; 0]);
    let empty = LogStreamRecord { stored: 0, ..stream("a", 5, 50, false) };
    store.write_blocking(move |tx| tx.put_log_stream(&empty)).unwrap();
    assert_eq!(before(30, None, 9), ["b"]);
}

#[test]
fn groups_have_the_bytes_of_their_streams() {
    let (_dir, store) = with(vec![stream("a", 5, 50, false), stream("b", 5, 20, false)]);
    let stored = || store.read(|v| v.log_group("g")).unwrap().unwrap().stored;
    assert_eq!(stored(), 20);
    store.write_blocking(|tx| tx.put_log_stream(&LogStreamRecord { stored: 3, ..stream("a", 5, 50, false) })).unwrap();
    assert_eq!(stored(), 13);
    store
        .write_blocking(|tx| {
            assert!(tx.delete_log_stream("g", "b")?);
            assert!(!tx.delete_log_stream("g", "b")?);
            Ok(())
        })
        .unwrap();
    assert_eq!(stored(), 3);
    let kept = store.write_blocking(|tx| tx.delete_log_group("g"));
    assert!(kept.is_err(), "it has a stream still");
    store
        .write_blocking(|tx| {
            tx.delete_log_stream("g", "a")?;
            assert!(tx.delete_log_group("g")? && !tx.delete_log_group("g")?);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_done_once_is_remembered() {
    let (dir, store) = with(Vec::new());
    assert!(!store.read(|v| v.is_done("x")).unwrap());
    for _ in 0..2 {
        store.write_blocking(|tx| tx.set_done("x")).unwrap();
    }
    drop(store);
    let store = Metadata::open(dir.path()).unwrap();
    assert!(store.read(|v| v.is_done("x")).unwrap() && !store.read(|v| v.is_done("y")).unwrap());
}

#[test]
fn changed_rows_are_found() {
    for (sql, what) in [
        ("UPDATE log_groups SET doc = '[]' WHERE name = 'a'", "log group a is not what was stored"),
        ("UPDATE log_streams SET build = 'x'", "log stream s of log group g is not what was stored"),
        ("DELETE FROM log_streams", "log group g does not have the bytes of its streams"),
    ] {
        let (dir, store) = with(vec![stream("s", 1, 2, false)]);
        drop(store);
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute(sql, []).unwrap();
        assert_eq!(super::super::check::check(&View::new(&db, dir.path())).unwrap(), [what]);
    }
}
