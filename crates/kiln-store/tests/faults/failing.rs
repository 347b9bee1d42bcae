//! System calls that fail.

use std::{fs, path::Path};

use kiln_store::{LogError, LogWriter, Metadata, StoreError};

use super::{directory, has_strace, is_soak, numbers, run, say, scenario, words};

/// Writes that a child makes.
const WRITES: u64 = 12;

/// The child of the tests of failing syncs: goes on writing after each error.
pub(crate) fn write_on(data: &Path) {
    let store = match Metadata::open(data) {
        Ok(store) => store,
        Err(e) => return say(&format!("refused {e}")),
    };
    for n in 0..WRITES {
        let written = store.write_blocking(move |tx| tx.put_setting(&format!("n{n}"), &"x".repeat(2000)));
        match written {
            Ok(()) => say(&format!("ack {n}")),
            Err(StoreError::Stopped(_)) => say(&format!("stopped {n}")),
            Err(e) => say(&format!("error {n} {e}")),
        }
    }
    say("end");
}

/// Fault test 10: after a failed sync (or write) nothing is acknowledged any more, and what was acknowledged is there.
#[test]
fn a_failed_sync_stops_the_store() {
    if !has_strace() {
        return;
    }
    let mut stops = 0;
    for (calls, lasting, step) in
        [("fsync,fdatasync", "", 1), ("fsync,fdatasync", "+", 5), ("pwrite64", "", if is_soak() { 1 } else { 4 })]
    {
        for n in (1..).step_by(step) {
            let dir = directory();
            drop(Metadata::open(dir.path()).unwrap());
            let what = format!("{calls} {n}{lasting} fails");
            let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error=EIO:when={n}{lasting}"));
            let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            let output = run(&strace, "writes", dir.path(), &[]);
            assert!(output.status.success(), "{what}: {output:?}");
            let said = words(&output);
            let acknowledged = numbers(&said, "ack");
            let stopped = numbers(&said, "stopped");
            assert!(!said.iter().any(|word| word.starts_with("error")), "{what}: {said:?}");
            if let (Some(last), Some(first)) = (acknowledged.last(), stopped.first()) {
                assert!(last < first, "{what}: {said:?}");
            }
            assert!(said.last().is_some_and(|word| word == "end" || word.starts_with("refused")), "{what}: {said:?}");
            let store = Metadata::open(dir.path()).unwrap();
            for n in &acknowledged {
                assert!(store.read(|view| view.setting(&format!("n{n}"))).unwrap().is_some(), "{what}: {n} is lost");
            }
            assert_eq!(store.check().unwrap(), Vec::<String>::new(), "{what}");
            stops += usize::from(!stopped.is_empty());
            if acknowledged.len() as u64 == WRITES {
                break;
            }
        }
    }
    assert!(stops > 5, "{stops} stops");
}

/// The child of the next test: tries again what found the disk full.
pub(crate) fn retry_when_full(data: &Path) {
    let store = Metadata::open(data).unwrap();
    let mut full = 0;
    for n in 0..WRITES {
        loop {
            match store.write_blocking(move |tx| tx.put_setting(&format!("n{n}"), &"x".repeat(9000))) {
                Ok(()) => break,
                Err(StoreError::DiskFull { path }) => {
                    assert!(path.ends_with("kiln.db"));
                    full += 1;
                    assert!(full < 100, "it never ends");
                }
                Err(e) => panic!("{e}"),
            }
        }
    }
    say(&format!("full {full}"));
}

/// Fault test 9 (a): a disk that is full at any write of the log.
#[test]
fn a_full_disk_refuses_and_recovers() {
    if !has_strace() {
        return;
    }
    let mut refused = 0;
    for n in (1..).step_by(if is_soak() { 1 } else { 3 }) {
        let dir = directory();
        drop(Metadata::open(dir.path()).unwrap());
        let log = dir.path().join("kiln.db-wal");
        let inject = format!("inject=pwrite64:error=ENOSPC:when={n}..{}", n + 2);
        let log = log.to_str().unwrap();
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", log, "-e", "trace=pwrite64", "-e", &inject];
        let output = run(&strace, "retries", dir.path(), &[]);
        assert!(output.status.success(), "from write {n}: {output:?}");
        let said = words(&output);
        let store = Metadata::open(dir.path()).unwrap();
        for n in 0..WRITES {
            assert!(store.read(|view| view.setting(&format!("n{n}"))).unwrap().is_some());
        }
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        assert_eq!(store.sequence().unwrap(), WRITES);
        if said == ["full 0"] {
            break;
        }
        refused += 1;
    }
    assert!(refused > 5, "{refused} times");
}

/// The child of the next test.
pub(crate) fn write_many(data: &Path) {
    let store = Metadata::open(data).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let writes: Vec<_> = (0..2000).map(|_| store.write(|tx| tx.next_build_number("p"))).collect();
        for (write, expected) in writes.into_iter().zip(1..) {
            assert_eq!(write.await.unwrap(), expected);
        }
    });
    say("done");
}

#[test]
fn many_writers_share_one_sync() {
    if !has_strace() {
        return;
    }
    let dir = directory();
    let trace = dir.path().join("trace");
    let options = ["strace", "-f", "-qq", "-o", trace.to_str().unwrap(), "-e", "trace=fsync,fdatasync"];
    let output = run(&options, "many", dir.path(), &[]);
    assert_eq!(words(&output), ["done"], "{output:?}");
    let syncs = fs::read_to_string(trace).unwrap().lines().count();
    assert!(syncs < 500, "{syncs} syncs for 2,000 transactions");
    assert_eq!(Metadata::open(dir.path()).unwrap().sequence().unwrap(), 2000);
}

/// The child of the next test.
pub(crate) fn finish_log(data: &Path) {
    let journal = scenario::journal();
    let mut log = LogWriter::open(data).unwrap();
    log.append(&journal).unwrap();
    match log.finish() {
        Err(LogError::Io { doing: "sync", .. }) => say("failed"),
        other => say(&format!("{other:?}")),
    }
}

#[test]
fn a_log_whose_sync_failed_is_written_again() {
    if !has_strace() {
        return;
    }
    let dir = directory();
    let inject = "inject=fsync,fdatasync:error=EIO:when=1";
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject];
    let output = run(&strace, "log", dir.path(), &[]);
    assert_eq!(words(&output), ["failed"], "{output:?}");
    assert_eq!(LogWriter::open(dir.path()).unwrap().position().offset, 0);
}
