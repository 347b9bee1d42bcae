use std::path::Path;

use super::*;

fn open(dir: &Path) -> Metadata {
    Metadata::open(dir).unwrap()
}

pub(super) fn project(name: &str, created_ms: i64) -> ProjectRecord {
    ProjectRecord { name: name.to_owned(), created_ms, modified_ms: created_ms, version: 1, doc: "{}".to_owned() }
}

pub(super) fn build(uuid: &str, project: &str, number: i64, state: BuildState) -> BuildRecord {
    BuildRecord {
        uuid: uuid.to_owned(),
        project: project.to_owned(),
        number,
        state,
        status: "IN_PROGRESS".to_owned(),
        submitted_ms: number,
        started_ms: None,
        ended_ms: None,
        version: 1,
        doc: "{}".to_owned(),
    }
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.write_blocking(|tx| tx.insert_project(&project("demo", 5))).unwrap();
    let number = store.write_blocking(|tx| tx.next_build_number("demo")).unwrap();
    assert_eq!(number, 1);
    store.write_blocking(|tx| tx.insert_build(&build("u1", "demo", 1, BuildState::Queued))).unwrap();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.sequence().unwrap(), 3);
    assert_eq!(store.read(|v| v.project("demo")).unwrap(), Some(project("demo", 5)));
    assert_eq!(store.write_blocking(|tx| tx.next_build_number("demo")).unwrap(), 2);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn an_error_undoes_only_its_own_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store.write(|tx| tx.insert_project(&project("a", 1)));
    let second = store.write(|tx| {
        tx.insert_project(&project("b", 1))?;
        tx.insert_project(&project("a", 1))
    });
    let third = store.write(|tx| tx.insert_project(&project("c", 1)));
    writer::wait(first).unwrap();
    assert!(matches!(writer::wait(second), Err(StoreError::Exists(what)) if what == "project a"));
    writer::wait(third).unwrap();
    let names = store.read(|v| v.project_names(ProjectSort::Name, Order::Ascending, None, 10)).unwrap();
    assert_eq!(names.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(store.sequence().unwrap(), 2);
}

#[test]
fn an_old_version_loses() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut b = build("u", "p", 1, BuildState::Queued);
    let first = b.clone();
    store.write_blocking(move |tx| tx.insert_build(&first)).unwrap();
    b.state = BuildState::Running;
    let (once, twice) = (b.clone(), b.clone());
    assert_eq!(store.write_blocking(move |tx| tx.update_build(&once)).unwrap(), 2);
    let lost = store.write_blocking(move |tx| tx.update_build(&twice));
    assert!(matches!(lost, Err(StoreError::Conflict(what)) if what == "build u"));
    b.uuid = "other".to_owned();
    let missing = store.write_blocking(move |tx| tx.update_build(&b));
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
}
