//! Killed at every step.

use std::{fs, os::unix::process::ExitStatusExt, path::Path};

use kiln_store::{Metadata, backup};

use super::{directory, has_strace, is_soak, run, say, scenario, words};

const SIGKILL: i32 = 9;

/// Copies a data directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Fault test 1, and the kill during a migration of test 31 (the first start makes the tables by one).
#[test]
fn killed_at_every_system_call_that_persists_something() {
    if !has_strace() {
        return;
    }
    // A directory that a run has used before: then the opening thread has few calls, and the calls of the writing thread
    // are reached (strace counts for each thread).
    let used = directory();
    assert!(run(&[], "scenario", used.path(), &[]).status.success());
    let mut kills = 0;
    for (fresh, call, quick_step) in [
        (true, "fsync", 1),
        (true, "fdatasync", 1),
        (true, "rename", 1),
        (true, "pwrite64", 5),
        (false, "fsync", 1),
        (false, "fdatasync", 1),
        (false, "rename", 1),
        (false, "ftruncate", 1),
        (false, "unlink", 1),
        (false, "write", 3),
        (false, "pwrite64", 4),
    ] {
        let step = if is_soak() { 1 } else { quick_step };
        for n in (1..).step_by(step) {
            let dir = directory();
            if !fresh {
                copy(used.path(), dir.path());
            }
            let what = format!("killed at {call} {n} (fresh: {fresh})");
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={n}"));
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let output = run(&strace, "scenario", dir.path(), &[]);
            let said = words(&output);
            scenario::check(dir.path(), &said, &what);
            if output.status.success() {
                break;
            }
            let killed = output.status.signal() == Some(SIGKILL) || output.status.code() == Some(128 + SIGKILL);
            assert!(killed, "{what}: {output:?}");
            // A client that tries again gets through.
            let again = run(&[], "scenario", dir.path(), &[]);
            assert!(again.status.success(), "{what}: {again:?}");
            kills += 1;
        }
    }
    println!("{kills} kills");
    assert!(kills > 20);
}

/// Fault test 2.
#[test]
fn killed_at_every_crash_point() {
    for point in kiln_store::crash::POINTS.into_iter().filter(|point| !point.starts_with("restore_")) {
        for time in [1, 2, 4] {
            let dir = directory();
            let what = format!("killed at {point}, time {time}");
            let output = run(&[], "scenario", dir.path(), &[("KILN_CRASH_POINT", &format!("{point}:{time}"))]);
            assert!(output.status.success() || output.status.signal() == Some(SIGKILL), "{what}: {output:?}");
            assert!(time > 1 || !output.status.success(), "{what}: the point is reached");
            scenario::check(dir.path(), &words(&output), &what);
        }
    }
}

/// The child's part of the next test.
pub(crate) fn bring_back(data: &Path) {
    backup::restore(&data.join("../backup"), data).unwrap();
    say("restored");
}

#[test]
fn killed_while_a_backup_is_brought_back() {
    for point in kiln_store::crash::POINTS.into_iter().filter(|point| point.starts_with("restore_")) {
        let dir = directory();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        assert!(run(&[], "scenario", &data, &[]).status.success());
        let sequence = backup::backup(&data, &dir.path().join("backup")).unwrap().sequence;
        assert!(run(&[], "scenario", &data, &[]).status.success());
        let output = run(&[], "restore", &data, &[("KILN_CRASH_POINT", point)]);
        assert_eq!(output.status.signal(), Some(SIGKILL), "{point}");
        let refused = Metadata::open(&data).unwrap_err().to_string();
        assert!(refused.contains("interrupted") && refused.contains("kiln restore"), "{point}: {refused}");
        assert_eq!(words(&run(&[], "restore", &data, &[])), ["restored"], "{point}");
        assert_eq!(Metadata::open(&data).unwrap().sequence().unwrap(), sequence);
        scenario::check(&data, &[], point);
    }
}
