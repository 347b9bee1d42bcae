use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use super::*;
use crate::Metadata;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A data directory with its keys.
struct World {
    dir: tempfile::TempDir,
    keys: Keys,
    now: Arc<AtomicI64>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(dir.path()).unwrap();
        let keys = Keys::open(&dir.path().join("keys"), &metadata, 7).unwrap();
        Self { dir, keys, now: Arc::new(AtomicI64::new(1_000)) }
    }

    fn data(&self) -> &Path {
        self.dir.path()
    }

    fn open(&self) -> AuditLog {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<AuditLog, AuditError> {
        let now = Arc::clone(&self.now);
        let options = Options {
            marks: Arc::new(|mark, _| format!("{mark:?}").into_bytes()),
            now: Box::new(move || now.load(Ordering::Relaxed)),
            segment_bytes: Some(2_000),
        };
        AuditLog::open(self.data(), &self.keys, options)
    }

    fn verify(&self) -> Verified {
        AuditLog::verify_closed(self.data(), &self.keys, None).unwrap().unwrap()
    }

    fn problem(&self) -> Problem {
        self.verify().problem.expect("something is wrong")
    }

    fn segments(&self) -> Vec<PathBuf> {
        let segments = segment::list(&self.data().join(DIRECTORY)).unwrap();
        segments.into_iter().map(|segment| segment.path).collect()
    }

    /// A log of that many records, beside its first one.
    fn with_records(count: usize) -> Self {
        let world = Self::new();
        let log = world.open();
        for n in 0..count {
            append(&log, &format!("record {n}"));
        }
        world
    }
}

fn append(log: &AuditLog, text: &str) {
    try_append(log, text).unwrap();
}

fn try_append(log: &AuditLog, text: &str) -> Result<(), AuditError> {
    let text = text.to_owned();
    wait(log.append(text.len(), Box::new(move |_| text.into_bytes())))
}

fn records(log: &AuditLog) -> Vec<(u64, String)> {
    wait(log.flush()).unwrap();
    let mut found = Vec::new();
    log.newest_first(None, None, |sequence, record| {
        found.push((sequence, String::from_utf8(record.to_vec()).unwrap()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

#[test]
fn records_are_there_newest_first_over_files_and_starts() {
    let world = World::new();
    let log = world.open();
    for n in 0..60 {
        append(&log, &format!("a\n{n}"));
    }
    drop(log);
    let closed = world.verify();
    assert_eq!((closed.problem, closed.is_closed, closed.records), (None, true, 62));
    let log = world.open();
    append(&log, "b");
    let found = records(&log);
    assert_eq!(found.len(), 64);
    assert_eq!(found[0], (64, "b".to_owned()));
    assert!(found[1].1.contains("was_closed: true, damage: None"), "{found:?}");
    assert_eq!(found[2].1, "Closed");
    assert_eq!(found[3], (61, "a 59".to_owned()), "a record is one line");
    assert!(found[63].1.contains("is_new: true"), "{found:?}");
    let compressed = world.segments().iter().filter(|path| path.extension().is_some_and(|e| e == "zst")).count();
    assert!(compressed >= 2, "{:?}", world.segments());
    assert_eq!(log.verify(None).unwrap().problem, None, "while it is open, too");
    let mut some = Vec::new();
    let visit = |sequence, _: &[u8]| {
        some.push(sequence);
        if some.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    log.newest_first(Some(10), None, visit).unwrap();
    assert_eq!(some, [9, 8, 7]);
}

#[test]
fn every_changed_byte_is_found_at_its_record() {
    let world = World::with_records(6);
    let path = world.segments().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let lines: Vec<usize> = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at).collect();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let line = lines.iter().filter(|end| **end < at).count() as u64;
        let problem = world.problem();
        // Line 0 is the header, whose record is the first.
        assert!(problem.sequence <= line.max(1) && problem.sequence + 1 >= line, "byte {at}: {problem:?}");
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(world.verify().problem, None);
}

#[test]
fn removed_and_moved_records_are_found() {
    let world = World::with_records(6);
    let path = world.segments().pop().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let write = |lines: &[&str]| fs::write(&path, lines.concat()).unwrap();
    let without: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| *line).collect();
    write(&without);
    assert_eq!(world.problem().sequence, 3);
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    write(&swapped);
    assert_eq!(world.problem().sequence, 2);
    let mut twice = lines.clone();
    twice.insert(5, lines[4]);
    write(&twice);
    assert_eq!(world.problem().sequence, 5);
    // The end: as if the last three had never been.
    write(&lines[..lines.len() - 3]);
    let problem = world.problem();
    assert_eq!(problem.sequence, 6);
    assert_eq!(problem.what, "the end of the log is missing: records 6 to 8 were there");
    write(&lines);
    assert_eq!(world.verify().problem, None);
}

#[test]
fn a_file_or_the_head_that_is_gone_is_found_and_the_log_goes_on_behind_it() {
    for gone in ["first", "middle", "last", "head", "changed head", "all"] {
        let world = World::with_records(60);
        let directory = world.data().join(DIRECTORY);
        let segments = world.segments();
        assert!(segments.len() >= 3, "{segments:?}");
        match gone {
            "first" => fs::remove_file(&segments[0]).unwrap(),
            "middle" => fs::remove_file(&segments[1]).unwrap(),
            "last" => fs::remove_file(segments.last().unwrap()).unwrap(),
            "head" => fs::remove_file(directory.join("head")).unwrap(),
            "changed head" => fs::write(directory.join("head"), [0; 1024]).unwrap(),
            _ => fs::remove_dir_all(&directory).unwrap(),
        }
        world.problem();
        let log = world.open();
        append(&log, "later");
        drop(log);
        world.problem(); // it stays to be seen
        let found = records(&world.open());
        assert!(found.iter().any(|(_, text)| text == "later"), "{gone}");
        // The log tells of it itself where its end does not fit; a gap in the middle is for who checks it.
        let told = found.iter().any(|(_, text)| text.contains("damage: Some"));
        assert_eq!(told, !["first", "middle", "last"].contains(&gone), "{gone}: {found:?}");
    }
}

#[test]
fn a_torn_last_line_was_never_answered_and_goes() {
    let world = World::with_records(6);
    let path = world.segments().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"0123456789abcdef {\"torn"].concat()).unwrap();
    let log = world.open();
    let found = records(&log);
    assert!(found[0].1.contains("damage: None"), "{found:?}");
    drop(log);
    assert_eq!(world.verify().problem, None);
}

#[test]
fn an_end_that_was_noted_is_looked_for() {
    let world = World::with_records(6);
    let end = world.verify();
    let noted: Wanted = format!("{}:{}", end.last, end.chain).parse().unwrap();
    let whole = |data: &Path| AuditLog::verify_closed(data, &world.keys, Some(&noted)).unwrap().unwrap().problem;
    // The whole directory is put back to an earlier time.
    let (audit, earlier) = (world.data().join(DIRECTORY), World::new().dir.keep());
    for entry in fs::read_dir(&audit).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, earlier.join(path.file_name().unwrap())).unwrap();
    }
    let log = world.open();
    append(&log, "one that somebody regrets");
    drop(log);
    assert_eq!(whole(world.data()), None);
    let later = world.verify();
    fs::remove_dir_all(&audit).unwrap();
    fs::rename(&earlier, &audit).unwrap();
    assert_eq!(world.verify().problem, None, "which the files alone do not show");
    let noted: Wanted = format!("{}:{}", later.last, later.chain).parse().unwrap();
    let found = AuditLog::verify_closed(world.data(), &world.keys, Some(&noted)).unwrap().unwrap().problem.unwrap();
    assert!(found.what.starts_with("the end of the log is missing"), "{found:?}");
    for wrong in ["", "5", "5:zz", "x:00"] {
        assert!(wrong.parse::<Wanted>().unwrap_err().contains("kiln audit verify"), "{wrong}");
    }
}

#[test]
fn old_files_go_and_the_rest_still_proves_itself() {
    let world = World::with_records(40);
    world.now.store(50_000, Ordering::Relaxed);
    let log = world.open();
    for n in 0..40 {
        append(&log, &format!("later {n}"));
    }
    let before = records(&log).len();
    log.prune(40_000);
    wait(log.flush()).unwrap();
    append(&log, "after");
    let after = records(&log);
    assert!(after.len() < before - 20, "{} of {before}", after.len());
    assert!(after.iter().any(|(_, text)| text == "later 0"), "only what is old goes");
    drop(log);
    let found = world.verify();
    assert_eq!(found.problem, None);
    assert!(found.first > 20);
    // A removed file is found now as well.
    fs::remove_file(&world.segments()[0]).unwrap();
    assert!(world.problem().what.contains("missing"));
}

#[test]
fn a_log_without_its_key_is_refused_and_another_key_does_not_fit() {
    let world = World::with_records(3);
    let key = world.data().join("keys/audit.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let refused = world.try_open().unwrap_err();
    assert!(matches!(refused, AuditError::KeyMissing { .. }), "{refused}");
    assert!(refused.to_string().contains("kiln restore"), "{refused}");
    fs::write(&key, [&kept[..2], b"x"].concat()).unwrap();
    assert!(matches!(world.try_open().unwrap_err(), AuditError::Key { .. }));
    fs::write(&key, kept).unwrap();
    assert_eq!(world.verify().problem, None);
}

#[test]
fn many_writers_have_one_order() {
    let world = World::new();
    let log = Arc::new(world.open());
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for n in 0..40 {
                    if n % 4 == 0 {
                        append(&log, &format!("{thread} {n}"));
                    } else {
                        log.note(8, Box::new(move |_| format!("{thread} {n}").into_bytes()));
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    wait(log.flush()).unwrap();
    let mut found = records(&log);
    found.reverse();
    assert_eq!(found.len(), 1 + 8 * 40);
    assert!(found.iter().zip(1..).all(|((sequence, _), n)| *sequence == n));
    for thread in 0..8 {
        let own: Vec<&str> = found.iter().filter_map(|(_, text)| text.strip_prefix(&format!("{thread} "))).collect();
        let expected: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        assert_eq!(own, expected, "each in its own order");
    }
    assert_eq!(log.verify(None).unwrap().problem, None);
}

#[test]
fn what_is_closed_takes_no_more() {
    let world = World::with_records(1);
    let log = world.open();
    log.close();
    assert!(matches!(try_append(&log, "late"), Err(AuditError::Closed)));
    log.note(1, Box::new(|_| b"late".to_vec()));
    assert_eq!(world.verify().problem, None);
}
