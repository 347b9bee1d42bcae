//! Fault test 11 of `reliability.md`: damaged, cut and replaced files. The store either has everything that it acknowledged,
//! or refuses and names the file and what to do; it never panics and never serves something else.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_store::{
    Metadata, OpenError,
    metadata::{BuildKey, BuildRecord, BuildState, Order, ProjectRecord},
};

/// Builds in the database.
const BUILDS: i64 = 40;
/// Places in a file that a long run damages, about. They are an odd number of bytes apart: so every bit has its turn.
const MOST: usize = 20_000;

/// A directory in memory where there is one: these tests are about content, not about disks.
fn directory() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap()
}

fn document(number: i64) -> String {
    format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(usize::try_from(number * 37).unwrap() % 900))
}

fn build(number: i64) -> BuildRecord {
    BuildRecord {
        uuid: format!("uuid-{number}"),
        project: "demo".to_owned(),
        number,
        state: if number % 3 == 0 { BuildState::Queued } else { BuildState::Ended },
        status: "SUCCEEDED".to_owned(),
        submitted_ms: number,
        started_ms: Some(number),
        ended_ms: Some(number + 1),
        version: 1,
        doc: document(number),
    }
}

fn fill(store: &Metadata, from: i64, to: i64) {
    for number in from..=to {
        store
            .write_blocking(move |tx| {
                assert_eq!(tx.next_build_number("demo")?, number);
                tx.insert_build(&build(number)).map(drop)
            })
            .unwrap();
    }
}

/// What a crash leaves: the files of a store that is open. Older changes are in the database, newer ones in its log.
struct Crashed {
    dir: tempfile::TempDir,
    /// The same, 10 builds earlier.
    older: tempfile::TempDir,
}

fn crashed() -> Crashed {
    let live = directory();
    let store = Metadata::open(live.path()).unwrap();
    let project =
        ProjectRecord { name: "demo".to_owned(), created_ms: 1, modified_ms: 1, version: 1, doc: document(7) };
    store.write_blocking(move |tx| tx.insert_project(&project)).unwrap();
    fill(&store, 1, 20);
    drop(store);
    let store = Metadata::open(live.path()).unwrap();
    fill(&store, 21, BUILDS - 10);
    let older = copy(live.path());
    fill(&store, BUILDS - 9, BUILDS);
    let dir = copy(live.path());
    Crashed { dir, older }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = directory();
    for name in ["kiln.db", "kiln.db-wal", "kiln.seq"] {
        fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    to
}

/// Whether everything is there; panics when something else is.
fn is_whole(store: &Metadata) -> Result<bool, String> {
    let keys: Vec<BuildKey> = store
        .read(|view| view.build_ids_of_project("demo", Order::Ascending, None, 1000))
        .map_err(|e| e.to_string())?;
    for (key, number) in keys.iter().zip(1..) {
        let found = store.read(|view| view.build(&key.uuid)).map_err(|e| e.to_string())?;
        assert_eq!(found, Some(build(number)), "what is served is what was stored");
    }
    Ok(keys.len() == usize::try_from(BUILDS).unwrap())
}

/// Opens a changed directory; what came of it.
#[track_caller]
fn judge(dir: &Path, what: &str) -> &'static str {
    match Metadata::open(dir) {
        Ok(store) => {
            let whole = is_whole(&store);
            assert_eq!(whole, Ok(true), "{what}: opened, so everything that was acknowledged is there");
            assert_eq!(store.check().unwrap(), Vec::<String>::new(), "{what}");
            // And it works.
            store.write_blocking(|tx| tx.put_setting("works", "yes")).unwrap();
            "whole"
        }
        Err(refused) => {
            let text = refused.to_string();
            assert!(text.contains("kiln.db") || text.contains("kiln.seq"), "{what}: names the file: {text}");
            assert!(text.contains("kiln restore"), "{what}: says what to do: {text}");
            // Refusing changes nothing: it is refused again.
            assert!(Metadata::open(dir).is_err(), "{what}");
            "refused"
        }
    }
}

fn change(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_untouched_crash_loses_nothing() {
    let crashed = crashed();
    assert_eq!(judge(copy(crashed.dir.path()).path(), "as it is"), "whole");
    let refused = Metadata::open(crashed.older.path()).unwrap();
    assert_eq!(is_whole(&refused), Ok(false));
}

#[test]
fn a_cut_log_is_noticed() {
    let crashed = crashed();
    let length = fs::metadata(crashed.dir.path().join("kiln.db-wal")).unwrap().len();
    let step = if std::env::var_os("KILN_SOAK").is_some() { 64 } else { 1500 };
    for cut in (1..=length).step_by(step).chain([length]) {
        let dir = copy(crashed.dir.path());
        change(dir.path(), "kiln.db-wal", |bytes| bytes.truncate(usize::try_from(length - cut).unwrap()));
        let refused = Metadata::open(dir.path()).unwrap_err();
        let OpenError::Behind { database, acknowledged, .. } = refused else { panic!("cut by {cut}: {refused}") };
        assert!(database < acknowledged && acknowledged == 41, "cut by {cut}: {database} of {acknowledged}");
        assert_eq!(judge(dir.path(), &format!("log cut by {cut}")), "refused");
    }
    // Without its log, but with the operator's consent.
    let dir = copy(crashed.dir.path());
    fs::remove_file(dir.path().join("kiln.db-wal")).unwrap();
    assert_eq!(judge(dir.path(), "no log"), "refused");
    assert_eq!(Metadata::accept_loss(dir.path()).unwrap(), 21);
    let store = Metadata::open(dir.path()).unwrap();
    assert_eq!(is_whole(&store), Ok(false));
    assert_eq!(store.sequence().unwrap(), 21);
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    let crashed = crashed();
    let soak = std::env::var_os("KILN_SOAK").is_some();
    for (name, step) in [("kiln.db-wal", 997), ("kiln.db", 127), ("kiln.seq", 1)] {
        let length = fs::read(crashed.dir.path().join(name)).unwrap().len();
        let (mut whole, mut refused) = (0, 0);
        // The headers byte by byte. A database grows with its schema, the time that a long run has does not.
        let step = if soak { step.min(7).max(length / MOST) | 1 } else { step };
        let places = (0..100.min(length)).chain((100..length).step_by(step));
        for at in places {
            let dir = copy(crashed.dir.path());
            change(dir.path(), name, |bytes| bytes[at] ^= 1 << (at % 8));
            match judge(dir.path(), &format!("{name}, bit {} of byte {at}", at % 8)) {
                "whole" => whole += 1,
                _ => refused += 1,
            }
        }
        println!("{name}: {whole} harmless, {refused} refused");
        assert!(refused > 0 || name == "kiln.seq");
    }
}

#[test]
fn a_flipped_bit_in_a_settled_database_is_noticed_or_harmless() {
    let settled = directory();
    let store = Metadata::open(settled.path()).unwrap();
    fill(&store, 1, BUILDS);
    drop(store);
    let copy = || {
        let to = directory();
        for name in ["kiln.db", "kiln.seq"] {
            fs::copy(settled.path().join(name), to.path().join(name)).unwrap();
        }
        to
    };
    let length = fs::read(settled.path().join("kiln.db")).unwrap().len();
    let step = if std::env::var_os("KILN_SOAK").is_some() { 5_usize.max(length / MOST) | 1 } else { 331 };
    for at in (0..length).step_by(step) {
        let dir = copy();
        change(dir.path(), "kiln.db", |bytes| bytes[at] ^= 1 << (at % 8));
        judge(dir.path(), &format!("bit {} of byte {at}", at % 8));
    }
    for cut in (1..length).step_by(step * 13) {
        let dir = copy();
        change(dir.path(), "kiln.db", |bytes| bytes.truncate(length - cut));
        assert_eq!(judge(dir.path(), &format!("database cut by {cut}")), "refused");
    }
}

#[test]
fn an_older_copy_of_any_file_is_noticed_or_harmless() {
    let crashed = crashed();
    let older = |names: &[&str]| {
        let dir = copy(crashed.dir.path());
        for name in names {
            fs::copy(crashed.older.path().join(name), dir.path().join(name)).unwrap();
        }
        dir
    };
    assert_eq!(judge(older(&["kiln.db", "kiln.db-wal"]).path(), "older database"), "refused");
    assert_eq!(judge(older(&["kiln.db-wal"]).path(), "older log"), "refused");
    assert_eq!(judge(older(&["kiln.seq"]).path(), "older kiln.seq"), "whole");
    // Another store's files.
    let other = directory();
    drop(Metadata::open(other.path()).unwrap());
    for names in [&["kiln.db"][..], &["kiln.seq"]] {
        let dir = copy(crashed.dir.path());
        fs::remove_file(dir.path().join("kiln.db-wal")).unwrap();
        for name in names {
            fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
        }
        assert_eq!(judge(dir.path(), "another store's files"), "refused");
    }
}

#[test]
fn missing_files_are_noticed() {
    let crashed = crashed();
    for name in ["kiln.db", "kiln.db-wal", "kiln.seq"] {
        let dir = copy(crashed.dir.path());
        fs::remove_file(dir.path().join(name)).unwrap();
        assert_eq!(judge(dir.path(), &format!("{name} is missing")), "refused");
    }
    let dir = copy(crashed.dir.path());
    fs::remove_file(dir.path().join("kiln.seq")).unwrap();
    assert!(matches!(Metadata::open(dir.path()), Err(OpenError::Sequence { .. })));
    assert_eq!(Metadata::accept_loss(dir.path()).unwrap(), 41);
    assert_eq!(judge(dir.path(), "kiln.seq made again"), "whole");
    for (name, bytes) in [("kiln.db", &b"not a database"[..]), ("kiln.db", b""), ("kiln.seq", b"")] {
        let dir = copy(crashed.dir.path());
        fs::remove_file(dir.path().join("kiln.db-wal")).unwrap();
        fs::write(dir.path().join(name), bytes).unwrap();
        assert_eq!(judge(dir.path(), &format!("{name} with other content")), "refused");
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let dir = directory();
    drop(Metadata::open(dir.path()).unwrap());
    let path = dir.path().join("kiln.db");
    let mut bytes = fs::read(&path).unwrap();
    // The header's user_version, big-endian at byte 60 (SQLite's file format).
    let newer = u32::from_be_bytes(bytes[60..64].try_into().unwrap()) + 1;
    bytes[60..64].copy_from_slice(&newer.to_be_bytes());
    fs::write(&path, &bytes).unwrap();
    let refused = Metadata::open(dir.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found, .. } if found == i64::from(newer)), "{refused}");
    assert!(refused.to_string().contains("newer Kiln"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_database_of_something_else_is_refused() {
    let dir = directory();
    let path = dir.path().join("kiln.db");
    let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute('create table t(x)'); c.commit()";
    match std::process::Command::new("python3").args(["-c", script]).arg(&path).status() {
        Ok(status) if status.success() => {}
        other => {
            println!("skipped: python3 with sqlite3 is needed to make another program's database ({other:?})");
            return;
        }
    }
    let bytes = fs::read(&path).unwrap();
    assert!(matches!(Metadata::open(dir.path()), Err(OpenError::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    let refused = Metadata::open(&PathBuf::from("/nonexistent/kiln")).unwrap_err();
    let OpenError::Io { source, .. } = refused else { panic!("{refused}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
}
