//! Small file systems (fault test 9 a, b, d and e), in a mount namespace of the child's own.

use std::{fs, io::Write, path::Path, process::Command};

use kiln_store::{
    BlobError, Context, LogError, LogWriter, Metadata, OpenError, Sealing, StoreError, keys::DEFAULT_KEY,
};

use kiln_wire::journal::{Encoder, file_header};

use super::{directory, run, say, scenario, words};

/// Runs the child with a tmpfs over its data directory; `None` where that is not allowed.
fn run_small(options: &str, order: &str) -> Option<Vec<String>> {
    let allowed = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: root is needed to mount a small file system");
        return None;
    }
    let dir = directory();
    let mount = format!("mount -t tmpfs -o {options} tmpfs \"$0\" && exec \"$@\"");
    let output = run(&["unshare", "-m", "sh", "-c", &mount, dir.path().to_str().unwrap()], order, dir.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    Some(words(&output))
}

fn filler(data: &Path) -> std::path::PathBuf {
    data.join("filler")
}

/// Takes all space that is left.
fn take_all(data: &Path) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(filler(data)).unwrap();
    for size in [65_536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// A journal that does not become shorter: its segments need pages of their own.
fn scattered_journal() -> Vec<u8> {
    let mut bytes = file_header().to_vec();
    let mut encoder = Encoder::new();
    let mut number = 1u64;
    for n in 0..100 {
        let text: Vec<u8> = (0..500)
            .map(|_| {
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                number.to_be_bytes()[0]
            })
            .collect();
        encoder.output(n, 1, &text, &mut bytes).unwrap();
    }
    bytes
}

/// The child of the first test.
pub(crate) fn fill(data: &Path) {
    let store = scenario::open(data);
    let put = |n: u32| store.metadata.write_blocking(move |tx| tx.put_setting(&format!("n{n}"), &"x".repeat(20_000)));
    put(0).unwrap();
    let journal = scattered_journal();
    let mut log = store.logs.writer("g", "s").unwrap();
    log.append(&journal[..2000]).unwrap();
    log.flush().unwrap();
    let context = Context::new();
    let store_blob = || store.blobs.store(&mut vec![7; 300_000].as_slice(), Sealing::Key(DEFAULT_KEY), &context);
    let before = store_blob().unwrap();
    take_all(data);

    // Full: refused by name, again and again; what is there can be read.
    for n in 1..4 {
        let refused = put(n).unwrap_err();
        assert!(matches!(&refused, StoreError::DiskFull { path } if path.ends_with("kiln.db")), "{refused}");
        assert!(refused.to_string().contains("goes on by itself"), "{refused}");
        assert!(store.metadata.read(|view| view.setting("n0")).unwrap().is_some());
        assert!(store.metadata.read(|view| view.setting(&format!("n{n}"))).unwrap().is_none());
        assert!(matches!(store_blob(), Err(BlobError::DiskFull { .. })));
        let at = usize::try_from(log.position().offset).unwrap();
        let appended = log.append(&journal[at..]).and_then(|()| log.flush());
        assert!(matches!(appended, Err(LogError::DiskFull { .. })), "{appended:?}");
    }
    assert_eq!(fs::read_dir(data.join("blobs/partial")).unwrap().count(), 0);
    assert_eq!(store.metadata.check().unwrap(), Vec::<String>::new());

    // Space again: all goes on, without opening anything anew.
    fs::remove_file(filler(data)).unwrap();
    put(9).unwrap();
    store_blob().unwrap();
    let at = usize::try_from(log.position().offset).unwrap();
    log.append(&journal[at..]).unwrap();
    log.finish().unwrap();
    store.blobs.reader(&before.id, &context).unwrap();
    drop(store);

    // And what is there is whole.
    let store = scenario::open(data);
    assert_eq!(store.metadata.check().unwrap(), Vec::<String>::new());
    assert!(store.metadata.read(|view| view.setting("n9")).unwrap().is_some());
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut store.logs.reader("g", "s").unwrap().journal_from(0), &mut read).unwrap();
    assert_eq!(read, journal);
    drop(store);

    // Opening on a full disk works or says so.
    take_all(data);
    match Metadata::open(data) {
        Ok(_) => {}
        Err(OpenError::DiskFull { .. }) => {
            fs::remove_file(filler(data)).unwrap();
            Metadata::open(data).unwrap();
        }
        Err(e) => panic!("{e}"),
    }
    say("passed");
}

#[test]
fn a_full_file_system_refuses_and_recovers() {
    if let Some(words) = run_small("size=3m", "full") {
        assert_eq!(words, ["passed"]);
    }
}

/// The child of the next test.
pub(crate) fn use_up_inodes(data: &Path) {
    let store = scenario::open(data);
    let mut made = 0u32;
    while fs::write(data.join(format!("file-{made}")), b"").is_ok() {
        made += 1;
    }
    let context = Context::new();
    let blob = || store.blobs.store(&mut b"x".as_slice(), Sealing::Plain, &context);
    assert!(matches!(blob(), Err(BlobError::DiskFull { .. })));
    assert!(matches!(LogWriter::open(&data.join("logs/new")), Err(LogError::DiskFull { .. })));
    // The database needs no new file.
    store.metadata.write_blocking(|tx| tx.put_setting("a", "b")).unwrap();
    for n in 0..made {
        fs::remove_file(data.join(format!("file-{n}"))).unwrap();
    }
    blob().unwrap();
    LogWriter::open(&data.join("logs/new")).unwrap();
    say("passed");
}

#[test]
fn no_inode_left_refuses_and_recovers() {
    if let Some(words) = run_small("nr_inodes=60", "inodes") {
        assert_eq!(words, ["passed"]);
    }
}

/// The child of the next test.
pub(crate) fn open_read_only(data: &Path) {
    drop(scenario::open(data));
    let remount = |how: &str| {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(data).status().unwrap();
        assert!(status.success());
    };
    remount("ro");
    let refused = Metadata::open(data).unwrap_err();
    assert!(matches!(refused, OpenError::ReadOnly { .. }), "{refused}");
    assert!(refused.to_string().contains("writable"), "{refused}");
    remount("rw");
    drop(scenario::open(data));
    say("passed");
}

#[test]
fn a_read_only_file_system_is_named() {
    if let Some(words) = run_small("size=3m", "read-only") {
        assert_eq!(words, ["passed"]);
    }
}
