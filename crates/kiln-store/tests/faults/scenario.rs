//! What the child does, and what must be left of it however it ends.

use std::{collections::BTreeSet, fs, io::Read, ops::ControlFlow, path::Path, sync::Arc};

use kiln_store::{
    AuditLog, Blobs, Context, DataLock, Keys, Logs, Metadata, Sealing,
    audit::Options,
    keys::DEFAULT_KEY,
    metadata::{BucketRecord, ObjectRecord},
};
use kiln_wire::journal::{Encoder, file_header};

use super::say;

/// Objects that a run stores.
const OBJECTS: u64 = 4;

pub(crate) struct Open {
    pub(crate) metadata: Metadata,
    pub(crate) keys: Keys,
    pub(crate) blobs: Blobs,
    pub(crate) logs: Logs,
    _lock: DataLock,
}

pub(crate) fn open(data: &Path) -> Open {
    let lock = DataLock::take(data).unwrap();
    let metadata = Metadata::open(data).unwrap();
    let keys = Keys::open(&data.join("keys"), &metadata, 1).unwrap();
    let blobs = Blobs::open(&data.join("blobs"), keys.clone()).unwrap();
    let logs = Logs::open(&data.join("logs")).unwrap();
    Open { metadata, keys, blobs, logs, _lock: lock }
}

pub(crate) fn journal() -> Vec<u8> {
    let mut bytes = file_header().to_vec();
    let mut encoder = Encoder::new();
    for n in 0..40u64 {
        encoder.output(n, 1, format!("line {n}\n").as_bytes(), &mut bytes).unwrap();
    }
    bytes
}

fn content(n: u64) -> Vec<u8> {
    vec![u8::try_from(n % 250).unwrap(); 40_000]
}

fn context(n: u64) -> Context {
    Context::new().with("object", n.to_string())
}

/// Opens the audit log, with small files, so that it begins new ones.
pub(crate) fn audit(data: &Path, keys: &Keys) -> AuditLog {
    let marks = Arc::new(|mark: &kiln_store::audit::Mark, sequence| format!("{sequence} {mark:?}").into_bytes());
    let options = Options { marks, now: Box::new(|| 1), segment_bytes: Some(700) };
    AuditLog::open(data, keys, options).unwrap()
}

/// Stores objects, settings and a log; says what is acknowledged.
pub(crate) fn run(data: &Path) {
    let store = open(data);
    let audit = audit(data, &store.keys);
    say("open");
    let done = store.metadata.read(|view| view.setting("run")).unwrap().map_or(0, |run| run.parse::<u64>().unwrap());
    if store.metadata.read(|view| view.bucket("b")).unwrap().is_none() {
        let bucket = BucketRecord { name: "b".to_owned(), created_ms: 1, doc: "{}".to_owned() };
        store.metadata.write_blocking(move |tx| tx.insert_bucket(&bucket)).unwrap();
    }
    for n in done..done + OBJECTS {
        let info = store.blobs.store(&mut content(n).as_slice(), Sealing::Key(DEFAULT_KEY), &context(n)).unwrap();
        let object = ObjectRecord {
            bucket: "b".to_owned(),
            key: n.to_string(),
            version: "null".to_owned(),
            blob: Some(info.id),
            upload: None,
            size: 40_000,
            etag: String::new(),
            sha256: info.sha256.to_vec(),
            created_ms: 1,
            doc: "x".repeat(3000),
        };
        store
            .metadata
            .write_blocking(move |tx| {
                tx.put_object(&object)?;
                tx.put_setting("run", &(n + 1).to_string())
            })
            .unwrap();
        audit.note(1, Box::new(move |_| format!("read {n}").into_bytes()));
        wait(audit.append(1, Box::new(move |_| format!("put {n}").into_bytes()))).unwrap();
        say(&format!("ack {n}"));
    }
    let journal = journal();
    let mut log = store.logs.writer("group", &format!("run-{done}")).unwrap();
    // A check of what a killed run left may have finished it.
    while !log.is_finished() && log.position().offset < journal.len() as u64 {
        let at = usize::try_from(log.position().offset).unwrap();
        log.append(&journal[at..journal.len().min(at + 300)]).unwrap();
        log.flush().unwrap();
    }
    log.finish().unwrap();
    say(&format!("log {done}"));
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What was acknowledged is in the audit log, and the log is whole.
fn check_audit(data: &Path, keys: &Keys, acknowledged: &BTreeSet<u64>, what: &str) {
    let Some(found) = AuditLog::verify_closed(data, keys, None).unwrap() else {
        assert!(acknowledged.is_empty(), "{what}");
        return;
    };
    assert_eq!(found.problem, None, "{what}");
    let audit = audit(data, keys);
    let mut records = Vec::new();
    audit
        .newest_first(None, None, |_, record| {
            records.push(String::from_utf8_lossy(record).into_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    for n in acknowledged {
        assert!(records.iter().any(|record| *record == format!("put {n}")), "{what}: record {n} is not in {records:?}");
    }
    assert!(!records.iter().any(|record| record.contains("damage: Some")), "{what}: {records:?}");
    drop(audit);
    let found = AuditLog::verify_closed(data, keys, None).unwrap().unwrap();
    assert_eq!((found.problem, found.is_closed), (None, true), "{what}");
}

/// Opens what a child left, and compares it with what it said.
pub(crate) fn check(data: &Path, words: &[String], what: &str) {
    // The kernel ends a killed process's threads one after the other; only then its lock is free.
    let store = open(data);
    assert_eq!(store.metadata.check().unwrap(), Vec::<String>::new(), "{what}");
    let acknowledged = super::numbers(words, "ack");
    check_audit(data, &store.keys, &acknowledged, what);
    let run: u64 = store.metadata.read(|view| view.setting("run")).unwrap().map_or(0, |run| run.parse().unwrap());
    let last = acknowledged.last().map_or(0, |n| n + 1);
    assert!(run >= last, "{what}: object {last} was acknowledged, {run} are there");
    let first = acknowledged.first().copied().unwrap_or(run);
    assert!(run <= last.max(first) + 1 || acknowledged.is_empty(), "{what}: {run} are there, {last} were acknowledged");
    let mut used = Vec::new();
    for n in 0..run {
        let object = store.metadata.read(|view| view.object("b", &n.to_string())).unwrap().unwrap();
        let blob = object.blob.unwrap();
        let mut bytes = Vec::new();
        store.blobs.reader(&blob, &context(n)).unwrap().stream().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, content(n), "{what}");
        used.push(blob);
    }
    // At most the blob whose commit did not come is there without an object, and nothing half written.
    let mut unused = 0;
    store.blobs.each(|id| unused += usize::from(!used.iter().any(|blob| blob == id))).unwrap();
    assert!(unused <= 1, "{what}: {unused} blobs without an object");
    assert_eq!(fs::read_dir(data.join("blobs/partial")).unwrap().count(), 0, "{what}");
    for done in super::numbers(words, "log") {
        let log = store.logs.reader("group", &format!("run-{done}")).unwrap();
        assert!(log.stats().finished, "{what}");
        assert_eq!(read(&log), journal(), "{what}");
    }
    // A log that was begun goes on where it ended.
    let mut log = store.logs.writer("group", "run-0").unwrap();
    if !log.is_finished() {
        let at = usize::try_from(log.position().offset).unwrap();
        log.append(&journal()[at..]).unwrap();
        log.finish().unwrap();
    }
    assert_eq!(read(&store.logs.reader("group", "run-0").unwrap()), journal(), "{what}");
}

fn read(log: &kiln_store::LogReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    log.journal_from(0).read_to_end(&mut bytes).unwrap();
    bytes
}
