use std::sync::atomic::{AtomicU32, Ordering};

use kiln_runner::job::{CONTROL_FILE, DISK_DIR, JOB_FILE};

use super::{prune::Dropped, *};

fn uuid(n: u32) -> String {
    format!("{n:08x}-1111-4222-8333-444455556666")
}

fn ended(runs: &Runs, dir: &Path, n: u32, kept_bytes: Option<u64>) -> String {
    let id = uuid(n);
    let build = runs.create(&id).unwrap();
    let number = runs.count(dir, &id).unwrap();
    let mut record = Record::new(&id, number, dir, "host", u64::from(n));
    record.ended_ns = u64::from(n);
    record.kept_bytes = kept_bytes;
    record.write(&runs.run_dir(&id)).unwrap();
    if kept_bytes.is_some() {
        fs::create_dir(build.path().join(DISK_DIR)).unwrap();
        fs::write(build.path().join(JOB_FILE), "{}").unwrap();
    } else {
        build.remove().unwrap();
    }
    id
}

#[test]
fn runs_are_counted_per_directory() {
    let data = tempfile::tempdir().unwrap();
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = Runs::new(data.path().to_owned());
    for (n, (dir, number)) in [(a.path(), 1), (b.path(), 1), (a.path(), 2), (a.path(), 3)].into_iter().enumerate() {
        let id = ended(&runs, dir, u32::try_from(n).unwrap(), None);
        assert_eq!(Record::read(&runs.run_dir(&id)).unwrap().number, number);
    }
    assert_eq!(runs.of(a.path()).unwrap().iter().map(|r| r.number).collect::<Vec<_>>(), [3, 2, 1]);
}

#[test]
fn the_last_ten_runs_of_a_directory_stay_and_numbers_go_on() {
    let data = tempfile::tempdir().unwrap();
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = Runs::new(data.path().to_owned());
    let other = ended(&runs, b.path(), 100, None);
    for n in 0..13 {
        ended(&runs, a.path(), n, Some(1));
    }
    runs.prune(a.path()).unwrap();
    let numbers: Vec<u64> = runs.of(a.path()).unwrap().iter().map(|r| r.number).collect();
    assert_eq!(numbers, (4..=13).rev().collect::<Vec<_>>());
    assert!(!runs.run_dir(&uuid(2)).exists() && !runs.has_disk(&uuid(2)));
    assert!(runs.run_dir(&uuid(3)).exists() && runs.has_disk(&uuid(3)));
    assert!(runs.run_dir(&other).exists());
    ended(&runs, a.path(), 50, None);
    assert_eq!(runs.of(a.path()).unwrap().first().unwrap().number, 14);
}

#[test]
fn a_run_in_use_is_not_pruned() {
    let data = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    for n in 0..12 {
        ended(&runs, dir.path(), n, Some(1));
    }
    let used = runs.lock(&uuid(0)).unwrap().unwrap();
    assert!(runs.in_use(&uuid(0)) && runs.lock(&uuid(0)).unwrap().is_none());
    runs.prune(dir.path()).unwrap();
    assert!(runs.has_disk(&uuid(0)) && !runs.has_disk(&uuid(1)));
    drop(used);
    runs.prune(dir.path()).unwrap();
    assert!(!runs.has_disk(&uuid(0)));
}

#[test]
fn a_build_can_be_made_and_locked_while_somebody_looks_whether_it_is_in_use() {
    let data = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    let next = AtomicU32::new(0);
    let made: Vec<anyhow::Result<_>> = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let n @ 0..300 = next.load(Ordering::Relaxed) {
                    runs.in_use(&uuid(n));
                }
            });
        }
        let make = |n| {
            next.store(n, Ordering::Relaxed);
            let build = runs.create(&uuid(n))?;
            drop(build);
            Ok(runs.lock(&uuid(n))?)
        };
        let made = (0..300).map(make).collect();
        next.store(u32::MAX, Ordering::Relaxed);
        made
    });
    for build in made {
        assert!(runs.in_use(build.unwrap().expect("nobody uses it").uuid()));
    }
}

#[test]
fn runs_of_directories_that_are_gone_are_forgotten() {
    let data = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    for n in 0..14 {
        let gone = tempfile::tempdir().unwrap();
        ended(&runs, gone.path(), n, None);
    }
    let here = tempfile::tempdir().unwrap();
    ended(&runs, here.path(), 14, None);
    let left = names(&data.path().join("runs")).unwrap();
    assert_eq!(left.len(), RUNS_KEPT + 1);
    assert!(!left.contains(&uuid(0)) && left.contains(&uuid(13)));
}

#[test]
fn kept_file_systems_stay_within_the_budget_oldest_go_first() {
    let data = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    for n in 0..4 {
        ended(&runs, dir.path(), n, Some(100));
    }
    let used = runs.lock(&uuid(0)).unwrap().unwrap();
    let dropped = runs.keep_within(250).unwrap();
    assert_eq!(
        dropped,
        [Dropped { uuid: uuid(1), bytes: 100 }, Dropped { uuid: uuid(2), bytes: 100 }],
        "the oldest is in use"
    );
    drop(used);
    let record = Record::read(&runs.run_dir(&uuid(1))).unwrap();
    assert_eq!(record.kept_bytes, None);
    assert!(record.gone.unwrap().contains("KILN_KEEP_BUDGET"));
    assert_eq!(runs.keep_within(0).unwrap().len(), 2);
}

#[test]
fn a_dead_build_is_swept_and_a_living_or_kept_one_is_not() {
    let data = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    let kept = ended(&runs, dir.path(), 1, Some(1));
    let living = runs.create(&uuid(2)).unwrap();
    let dead = runs.create(&uuid(3)).unwrap();
    fs::write(dead.path().join(JOURNAL_FILE), kiln_wire::journal::file_header()).unwrap();
    drop(dead);
    assert_eq!(runs.sweep().unwrap(), [uuid(3)]);
    assert!(runs.has_disk(&kept) && living.path().exists());
    assert!(!data.path().join("builds").join(uuid(3)).exists());
    assert!(runs.run_dir(&uuid(3)).join(JOURNAL_FILE).exists());
}

#[test]
fn builds_are_found_by_the_start_of_their_id() {
    let data = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    for n in [0xabcd_0001, 0xabcd_0002, 0x1234_0000] {
        runs.create(&uuid(n)).unwrap();
    }
    assert_eq!(runs.find("1234").unwrap(), uuid(0x1234_0000));
    assert_eq!(runs.find(&format!("local:{}", uuid(0xabcd_0001))).unwrap(), uuid(0xabcd_0001));
    assert!(runs.find("abcd").unwrap_err().to_string().contains("not unique"));
    assert!(runs.find("9999").unwrap_err().to_string().contains("no build"));
    assert!(runs.find("../x").unwrap_err().to_string().contains("not a build"));
}

#[test]
fn keys_are_readable_unique_and_safe_as_names() {
    assert!(key(Path::new("/home/me/my app")).starts_with("my-app-"));
    assert_ne!(key(Path::new("/a/app")), key(Path::new("/b/app")));
    assert!(!key(Path::new("/")).contains('/'));
}

#[test]
fn sizes_are_read() {
    for (text, bytes) in
        [("0", 0), ("123", 123), ("10GiB", 10 << 30), ("2G", 2 << 30), ("5 mb", 5 << 20), ("1T", 1 << 40)]
    {
        assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
    }
    for bad in ["", "G", "-1", "1.5G", "1X", "99999999999999999999"] {
        assert!(parse_size(bad).is_err(), "{bad}");
    }
}

#[test]
fn builds_of_the_service_are_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let runs = Runs::new(data.path().to_owned());
    let builds = Builds::new(data.path());
    // One whose runner is dead, and one that is kept.
    for n in [1, 2] {
        let build = builds.create(&uuid(n), |dir| fs::write(dir.join(CONTROL_FILE), "")).unwrap();
        if n == 2 {
            fs::create_dir(build.path().join(DISK_DIR)).unwrap();
            fs::write(build.path().join(JOB_FILE), "{}").unwrap();
        }
    }
    ended(&runs, dir.path(), 3, Some(5));
    assert!(runs.sweep().unwrap().is_empty());
    assert_eq!(runs.keep_within(0).unwrap(), [Dropped { uuid: uuid(3), bytes: 5 }]);
    runs.prune(dir.path()).unwrap();
    for n in [1, 2] {
        assert!(builds.dir(&uuid(n)).exists());
        assert!(runs.find(&uuid(n)).is_err(), "not one of `kiln debug` and `kiln logs`");
    }
}

#[test]
fn a_build_that_cannot_be_made_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let builds = Builds::new(data.path());
    let error = builds.create(&uuid(1), |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(builds.names().unwrap().is_empty());
    builds.create(&uuid(1), |_| Ok(())).unwrap();
    assert_eq!(builds.create(&uuid(1), |_| Ok(())).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}
