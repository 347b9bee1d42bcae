//! Artifacts as plain files: what arrives, and that nothing outside of the target is ever touched.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use kiln_runner::{
    directory::{DirectoryError, DirectoryWriter},
    entry::{Entry, EntryKind, OutputLimits},
};

fn file(path: &str) -> Entry<'_> {
    Entry { path: path.as_bytes(), kind: EntryKind::File, mode: 0o644, size: 0, mtime_ns: 1_700_000_000_000_000_123 }
}

fn link<'a>(path: &'a str, target: &'a str) -> Entry<'a> {
    Entry { kind: EntryKind::Symlink { target: target.as_bytes() }, ..file(path) }
}

fn start(target: &Path) -> DirectoryWriter {
    DirectoryWriter::create(target, OutputLimits::default()).unwrap()
}

fn put(writer: &mut DirectoryWriter, entry: Entry<'_>, content: &str) {
    writer.entry(&entry, &mut content.as_bytes()).unwrap();
}

/// Every path beneath a directory, hidden ones included, with its content or link.
fn tree(root: &Path) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for item in fs::read_dir(dir).unwrap() {
            let path = item.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                todo.push(path);
            } else if meta.is_symlink() {
                out.push((name, format!("-> {}", fs::read_link(path).unwrap().display())));
            } else {
                out.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    out.sort();
    out
}

fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
}

#[test]
fn files_arrive_whole_and_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let mut writer = start(&target);
    put(&mut writer, file("a/b/c.txt"), "c");
    put(&mut writer, file("a/b/d.txt"), "d");
    put(&mut writer, Entry { mode: 0o6755, ..file("run") }, "#!");
    put(&mut writer, link("a/link", "../run"), "");
    put(&mut writer, Entry { kind: EntryKind::Directory, ..file("empty") }, "");
    assert!(!target.exists());
    let summary = writer.finish().unwrap();
    assert_eq!((summary.entries, summary.bytes, summary.notes.len()), (5, 4, 0));
    let expected = [("a/b/c.txt", "c"), ("a/b/d.txt", "d"), ("a/link", "-> ../run"), ("run", "#!")];
    assert_eq!(tree(&target), pairs(expected));
    assert!(target.join("empty").is_dir());
    let meta = fs::metadata(target.join("run")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o755, 1_700_000_000, 123));
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_existing_directory_is_added_to_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    fs::create_dir_all(target.join("a")).unwrap();
    fs::write(target.join("a/old"), "old").unwrap();
    fs::write(target.join("a/both"), "old").unwrap();
    let mut writer = start(&target);
    put(&mut writer, file("a/both"), "new");
    put(&mut writer, file("b/new"), "new");
    assert_eq!(fs::read_to_string(target.join("a/both")).unwrap(), "old");
    writer.finish().unwrap();
    assert_eq!(tree(dir.path()), pairs([("out/a/both", "new"), ("out/a/old", "old"), ("out/b/new", "new")]));
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for target in [dir.path().join("out"), dir.path().to_owned()] {
        let mut writer = start(&target);
        put(&mut writer, file("a/b/c"), "c");
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn nothing_outside_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), "alive").unwrap();
    let target = dir.path().join("out");
    let mut writer = start(&target);
    for bad in ["../outside/canary", "/etc/passwd", "a/../../outside/canary", "", ".", "a//b", "x\0y"] {
        let e = writer.entry(&file(bad), &mut io::empty()).unwrap_err();
        assert!(matches!(e, DirectoryError::Path { .. }), "{bad:?}: {e}");
    }
    // A link that leads out, and a file through it.
    put(&mut writer, link("l", "../outside"), "");
    put(&mut writer, link("m", "/"), "");
    put(&mut writer, file("l/canary"), "inside");
    // A link that stays inside is kept, but not followed.
    put(&mut writer, file("d/f"), "f");
    put(&mut writer, link("k", "d"), "");
    let e = writer.entry(&file("k/g"), &mut io::empty()).unwrap_err();
    assert!(matches!(e, DirectoryError::Clash { .. }), "{e}");
    let summary = writer.finish().unwrap();
    assert_eq!(summary.notes.len(), 2, "{:?}", summary.notes);
    assert_eq!(tree(&target), pairs([("d/f", "f"), ("k", "-> d"), ("l/canary", "inside")]));
    assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), "alive");

    // Links that lie in an existing target are its owner's, and are not written through either.
    let target = dir.path().join("there");
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("l")).unwrap();
    symlink(outside.join("canary"), target.join("f")).unwrap();
    let mut writer = start(&target);
    put(&mut writer, file("f"), "mine");
    put(&mut writer, file("l/canary"), "dead");
    assert!(writer.finish().is_err());
    let mut writer = start(&target);
    put(&mut writer, file("f"), "mine");
    writer.finish().unwrap();
    assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "mine");
    assert_eq!(tree(&outside), pairs([("canary", "alive")]));
}

/// Content that breaks off.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the file was removed"))
    }
}

#[test]
fn doubles_clashes_limits_and_broken_content() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let mut writer = start(&target);
    put(&mut writer, file("a"), "one");
    put(&mut writer, file("a"), "two");
    assert!(matches!(writer.entry(&file("a/b"), &mut io::empty()), Err(DirectoryError::Clash { .. })));
    put(&mut writer, file("d/e"), "e");
    assert!(matches!(writer.entry(&file("d"), &mut io::empty()), Err(DirectoryError::Clash { .. })));
    let e = writer.entry(&file("x"), &mut (&b"part"[..]).chain(Broken)).unwrap_err();
    assert_eq!(e.to_string(), "'x' was not stored: the file was removed");
    let summary = writer.finish().unwrap();
    assert_eq!(summary.notes, ["'a' was given more than once: the last one counts"]);
    assert_eq!(tree(&target), pairs([("a", "two"), ("d/e", "e")]));

    let limits = OutputLimits { entries: 2, bytes: 1_000_000 };
    let mut writer = DirectoryWriter::create(&dir.path().join("small"), limits).unwrap();
    let e = writer.entry(&file("a"), &mut io::repeat(0)).unwrap_err();
    assert_eq!(e.to_string(), "there is more to store than allowed: more than 1000000 bytes");
    put(&mut writer, file("b"), "");
    assert!(matches!(writer.entry(&file("c"), &mut io::empty()), Err(DirectoryError::Limit { limit: 2, .. })));
    drop(writer);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn deep_and_odd_names() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let deep = "d/".repeat(400) + "f";
    let mut writer = start(&target);
    put(&mut writer, file(&deep), "deep");
    let odd: Vec<u8> = (1..=255u8).filter(|&b| b != b'/').collect();
    let (first, second) = odd.split_at(100);
    for name in [first, second] {
        writer.entry(&Entry { path: name, ..file("") }, &mut &b"odd"[..]).unwrap();
    }
    // Into a directory that is there, which goes through all of it again.
    fs::create_dir(&target).unwrap();
    fs::write(target.join("old"), "").unwrap();
    writer.finish().unwrap();
    assert_eq!(fs::read_dir(&target).unwrap().count(), 4);
    assert_eq!(fs::read_to_string(target.join(deep)).unwrap(), "deep");
}
