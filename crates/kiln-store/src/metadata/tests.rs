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

/// Steps of SQLite's machine that `work` takes: the same everywhere, unlike times.
fn steps<T>(dir: &Path, work: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> u64 {
    let path = dir.join(DATABASE);
    let mut db = open::reader(&path).unwrap();
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&count);
    db.progress_handler(
        1,
        Some(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            false
        }),
    )
    .unwrap();
    work(&View::new(&db, &path)).unwrap();
    count.load(std::sync::atomic::Ordering::Relaxed)
}

/// Every question that is asked while builds run costs the same with 10 builds and with very many.
#[test]
fn queries_are_flat() {
    type Question = (&'static str, fn(&View<'_>) -> Result<(), StoreError>);
    let questions: [Question; 17] = [
        ("project", |v| v.project("p3").map(drop)),
        ("names", |v| v.project_names(ProjectSort::Name, Order::Ascending, None, 5).map(drop)),
        ("names by creation", |v| v.project_names(ProjectSort::Created, Order::Descending, None, 5).map(drop)),
        ("names by change", |v| {
            let after = ProjectKey { time_ms: 1, name: "p1".to_owned() };
            v.project_names(ProjectSort::Modified, Order::Ascending, Some(&after), 5).map(drop)
        }),
        ("build", |v| v.build("u5").map(drop)),
        ("build by number", |v| v.build_by_number("p5", 1).map(drop)),
        ("ids", |v| v.build_ids(Order::Descending, None, 5).map(drop)),
        ("ids from the middle", |v| v.build_ids(Order::Ascending, Some(2), 5).map(drop)),
        ("ids of a project", |v| v.build_ids_of_project("q", Order::Descending, None, 1).map(drop)),
        ("ids of a project on", |v| v.build_ids_of_project("q", Order::Ascending, Some(1), 1).map(drop)),
        ("queued", |v| v.active_builds(BuildState::Queued, None, 5).map(drop)),
        ("running", |v| v.active_build_ids(BuildState::Running, None, 5).map(drop)),
        ("counts", |v| v.active_counts().map(drop)),
        ("ended", |v| v.builds_ended_before(i64::MAX, 3).map(drop)),
        ("token", |v| v.token("a", "o", "t5").map(drop)),
        ("object", |v| v.object("b", "k5").map(drop)),
        ("objects", |v| v.objects("b", "k", Some("k1"), 3).map(drop)),
    ];
    let measure = |count: i64| {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let bucket = BucketRecord { name: "b".to_owned(), created_ms: 1, doc: String::new() };
        store.write_blocking(move |tx| tx.insert_bucket(&bucket)).unwrap();
        for from in (0..count).step_by(10_000) {
            let fill = store.write_blocking(move |tx| {
                for n in from..count.min(from + 10_000) {
                    tx.insert_project(&project(&format!("p{n}"), n))?;
                    let state = match n {
                        0..3 => BuildState::Queued,
                        3..5 => BuildState::Running,
                        _ => BuildState::Ended,
                    };
                    let owner = if n % 5 == 0 { format!("p{n}") } else { "q".to_owned() };
                    let number = if n % 5 == 0 { 1 } else { n };
                    let ended_ms = (state == BuildState::Ended).then_some(n);
                    tx.insert_build(&BuildRecord { ended_ms, ..build(&format!("u{n}"), &owner, number, state) })?;
                    tx.put_token(&TokenRecord {
                        account: "a".to_owned(),
                        operation: "o".to_owned(),
                        token: format!("t{n}"),
                        request: Vec::new(),
                        subject: String::new(),
                        expires_ms: n,
                    })?;
                    tx.put_object(&ObjectRecord {
                        bucket: "b".to_owned(),
                        key: format!("k{n}"),
                        version: "null".to_owned(),
                        blob: None,
                        upload: None,
                        size: 0,
                        etag: String::new(),
                        sha256: Vec::new(),
                        created_ms: 1,
                        doc: String::new(),
                    })?;
                }
                Ok(())
            });
            fill.unwrap();
        }
        drop(store);
        questions.map(|(_, question)| steps(dir.path(), question))
    };
    let many = if std::env::var_os("KILN_SOAK").is_some() { 1_000_000 } else { 3_000 };
    for (((name, _), few), many) in questions.iter().zip(measure(10)).zip(measure(many)) {
        assert!(few > 0 && many <= few + few / 4 + 10, "{name}: {few} steps for 10 builds, {many} for many");
    }
}

#[test]
fn waiting_on_a_thread_of_a_runtime_ends_however_often() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // A recovery does so; the runtime's idea of a task's fair share is 128 answers.
    let numbers = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { (0..300).map(|_| store.write_blocking(|tx| tx.next_build_number("demo")).unwrap()).max() });
    assert_eq!(numbers, Some(300));
}

#[test]
fn a_large_database_is_checked_afterwards_and_that_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(store.was_checked());
    for n in 0..100 {
        store.write_blocking(move |tx| tx.put_setting(&format!("n{n}"), &"x".repeat(60_000))).unwrap();
    }
    drop(store);
    let store = open(dir.path());
    assert!(!store.was_checked());
    assert_eq!(store.check_while(|| true).unwrap(), Some(Vec::new()));
    assert_eq!(store.check_while(|| false).unwrap(), None);
}
