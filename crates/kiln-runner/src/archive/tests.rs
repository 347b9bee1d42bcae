use std::{fs, io::Write as _};

use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;

use super::*;

const LIMITS: ArchiveLimits = ArchiveLimits { entries: 100, bytes: 64 << 20 };

/// One entry of a corpus archive, byte for byte as the test wants it.
#[derive(Clone)]
struct Raw {
    name: Vec<u8>,
    mode: u32,
    content: Vec<u8>,
    deflate: bool,
    flags: u16,
    /// What the headers announce in place of the content's size.
    announced: Option<u32>,
    /// The entry whose data this one shares.
    shares: Option<usize>,
}

fn file(name: &str, content: &[u8]) -> Raw {
    Raw {
        name: name.into(),
        mode: 0o100_644,
        content: content.to_vec(),
        deflate: false,
        flags: 0,
        announced: None,
        shares: None,
    }
}

fn special(name: &str, mode: u32, content: &[u8]) -> Raw {
    Raw { mode, ..file(name, content) }
}

/// The archive of these entries (APPNOTE 4.3): made on Unix, 2 January 1980, 00:00:02.
fn archive(entries: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut offsets = Vec::new();
    for raw in entries {
        let crc = crc32fast::hash(&raw.content);
        let data = if raw.deflate {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&raw.content).unwrap();
            encoder.finish().unwrap()
        } else {
            raw.content.clone()
        };
        let size = raw.announced.unwrap_or(raw.content.len() as u32);
        let mut common = Vec::new();
        for value in [20, raw.flags, if raw.deflate { 8 } else { 0 }, 1, 0x22] {
            common.extend_from_slice(&value.to_le_bytes());
        }
        for value in [crc, data.len() as u32, size] {
            common.extend_from_slice(&value.to_le_bytes());
        }
        common.extend_from_slice(&(raw.name.len() as u16).to_le_bytes());
        common.extend_from_slice(&0u16.to_le_bytes());
        let offset = raw.shares.map_or(out.len(), |other: usize| offsets[other]);
        offsets.push(offset);
        if raw.shares.is_none() {
            out.extend_from_slice(b"PK\x03\x04");
            out.extend_from_slice(&common);
            out.extend_from_slice(&raw.name);
            out.extend_from_slice(&data);
        }
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&[20, 3]); // made by version 2.0, on Unix
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&(raw.mode << 16).to_le_bytes());
        directory.extend_from_slice(&(offset as u32).to_le_bytes());
        directory.extend_from_slice(&raw.name);
    }
    let start = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    }
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

/// What came out of an archive: path, what it is with its content or target, mode, time.
type Unpacked = Vec<(String, String, u32, i64)>;

fn unpack_bytes(bytes: &[u8], limits: ArchiveLimits) -> Result<Unpacked, String> {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("source.zip");
    fs::write(&path, bytes).unwrap();
    let result = unpack_file(&path, limits);
    // Whatever is in an archive: nothing was written beside it, nor above it.
    assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    result
}

fn unpack_file(path: &Path, limits: ArchiveLimits) -> Result<Unpacked, String> {
    let mut opened = SourceArchive::open(path, limits).map_err(|e| e.to_string())?;
    let mut out: Unpacked = Vec::new();
    let mut open = false;
    let unpacked = opened.unpack(|piece| {
        match piece {
            Piece::Entry(entry) => {
                assert!(!open, "an entry within another");
                assert_eq!(entry::check_path(entry.path), Ok(()));
                let what = match entry.kind {
                    EntryKind::File => "file:".to_owned(),
                    EntryKind::Directory => "directory".to_owned(),
                    EntryKind::Symlink { target } => {
                        assert!(entry::stays_inside(entry.path, target));
                        format!("-> {}", String::from_utf8_lossy(target))
                    }
                };
                open = true;
                out.push((String::from_utf8_lossy(entry.path).into_owned(), what, entry.mode, entry.mtime_ns));
            }
            Piece::Content(bytes) => {
                assert!(open && out.last().is_some_and(|(_, what, ..)| what.starts_with("file:")));
                out.last_mut().unwrap().1.push_str(&String::from_utf8_lossy(bytes.get(..bytes.len().min(20)).unwrap()));
            }
            Piece::End => {
                assert!(open);
                open = false;
            }
        }
        Ok::<(), ()>(())
    });
    match unpacked {
        Ok(()) => Ok(out),
        Err(Unpack::Archive(e)) => Err(e.to_string()),
        Err(Unpack::Taker(())) => unreachable!("the taker takes everything"),
    }
}

fn refused(entries: &[Raw]) -> String {
    unpack_bytes(&archive(entries), LIMITS).unwrap_err()
}

#[test]
fn files_directories_links_modes_and_times_come_out() {
    let entries = [
        special("bin/", 0o040_755, b""),
        special("bin/run", 0o104_755, b"#!/bin/sh\n"),
        special("bin/it", 0o120_777, b"run"),
        Raw { deflate: true, ..file("a b/\u{e4}.txt", b"hello hello hello") },
        Raw { name: b"\xff\xfe".to_vec(), ..file("", b"") },
        special("no-mode", 0, b"x"),
    ];
    let second = 315_619_202_000_000_000; // 1980-01-02T00:00:02Z
    let time = |(path, what, mode): (&str, &str, u32)| (path.to_owned(), what.to_owned(), mode, second);
    let expected = [
        ("bin", "directory", 0o755),
        ("bin/run", "file:#!/bin/sh\n", 0o755), // without its set-user-id bit
        ("bin/it", "-> run", 0o777),
        ("a b/\u{e4}.txt", "file:hello hello hello", 0o644),
        ("\u{fffd}\u{fffd}", "file:", 0o644),
        ("no-mode", "file:x", 0o644),
    ];
    assert_eq!(unpack_bytes(&archive(&entries), LIMITS).unwrap(), expected.map(time));
}

#[test]
fn what_info_zip_and_our_own_writer_make_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.zip");
    let mut writer = crate::zip::ZipWriter::create(&path, crate::zip::ZipOptions::default()).unwrap();
    let entry =
        Entry { path: b"d/f", kind: EntryKind::File, mode: 0o755, size: 2, mtime_ns: 1_700_000_001_000_000_000 };
    writer.entry(&entry, &mut &b"hi"[..]).unwrap();
    writer.finish().unwrap();
    // The extended time stamp has the odd second, which the DOS one cannot say.
    let expected = [("d/f".to_owned(), "file:hi".to_owned(), 0o755, 1_700_000_001_000_000_000)];
    assert_eq!(unpack_file(&path, LIMITS).unwrap(), expected);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, why) in [
        ("../evil", "component"),
        ("a/../../evil", "component"),
        ("/etc/passwd", "absolute"),
        ("..", "component"),
        ("./a", "component"),
        ("a//b", "component"),
        ("..\\evil", "backslash"),
        ("a\\b", "backslash"),
        ("C:/evil", "drive letter"),
        ("c:evil", "drive letter"),
        ("a\0b", "NUL"),
        ("", "empty"),
        ("/", "empty"),
    ] {
        let error = refused(&[file("good", b"x"), file(name, b"evil")]);
        assert!(error.contains(why), "{name:?}: {error}");
    }
    let error = refused(&[file(&"x".repeat(256), b"")]);
    assert!(error.contains("too long"), "{error}");
}

#[test]
fn what_is_no_file_directory_or_link_is_refused() {
    for mode in [0o020_666, 0o060_660, 0o010_644, 0o140_755] {
        let error = refused(&[special("dev", mode, b"")]);
        assert!(error.contains("'dev'") && error.contains("neither a file"), "{error}");
    }
    assert!(refused(&[special("l/", 0o120_777, b"x")]).contains("neither a file"));
}

#[test]
fn links_that_lead_out_are_refused_and_nothing_goes_through_a_link() {
    for target in ["/etc/shadow", "../x", "a/../../x", ""] {
        let error = refused(&[special("link", 0o120_777, target.as_bytes())]);
        assert!(error.contains("'link'") && error.contains("leads out"), "{error}");
    }
    let long = "a/".repeat(3000);
    assert!(refused(&[special("link", 0o120_777, long.as_bytes())]).contains("4096 bytes"));
    let error = refused(&[special("l", 0o120_777, b"d"), special("d/", 0o040_755, b""), file("l/f", b"x")]);
    assert!(error.contains("'l/f'") && error.contains("below 'l'"), "{error}");
    // The other order is no better.
    assert!(refused(&[file("l/f", b"x"), special("l", 0o120_777, b"d")]).contains("below 'l'"));
    assert!(refused(&[file("f", b"x"), file("f/g", b"x")]).contains("below 'f'"));
    assert!(refused(&[file("f", b"x"), special("f/", 0o040_755, b"")]).contains("as a file and as a directory"));
}

#[test]
fn names_that_are_there_twice_and_entries_that_share_bytes_are_refused() {
    assert!(refused(&[file("f", b"1"), file("f", b"2")]).contains("more than once"));
    let shared = Raw { shares: Some(0), ..file("f", b"content") };
    let error = refused(&[file("f", b"content"), Raw { name: b"g".to_vec(), ..shared }]);
    assert!(error.contains("overlap"), "{error}");
}

#[test]
fn encrypted_entries_and_wrong_sizes_and_sums_are_refused() {
    let error = refused(&[Raw { flags: 1, ..file("secret", b"0123456789abcdef") }]);
    assert!(error.contains("'secret'") && error.contains("encrypted"), "{error}");
    let error = refused(&[Raw { deflate: true, announced: Some(3), ..file("liar", &[b'x'; 5000]) }]);
    assert!(error.contains("'liar'"), "{error}");
    let mut damaged = archive(&[file("f", b"0123456789")]);
    damaged[35] ^= 1;
    let error = unpack_bytes(&damaged, LIMITS).unwrap_err();
    assert!(error.contains("'f'") && error.contains("cannot be read"), "{error}");
}

#[test]
fn bombs_are_refused_by_ratio_size_and_number() {
    let zeros = vec![0; 8 << 20];
    let error = refused(&[Raw { deflate: true, ..file("bomb", &zeros) }]);
    assert!(error.contains("'bomb'") && error.contains("200 times"), "{error}");
    // Below 1 MiB a high ratio is an ordinary file.
    let small = Raw { deflate: true, ..file("small", &zeros[..1 << 20]) };
    unpack_bytes(&archive(std::slice::from_ref(&small)), LIMITS).unwrap();
    // Many of them together are a bomb again.
    let many: Vec<Raw> = (0..50).map(|n| Raw { name: format!("small{n}").into_bytes(), ..small.clone() }).collect();
    let error = unpack_bytes(&archive(&many), LIMITS).unwrap_err();
    assert!(error.contains("200 times its own size"), "{error}");

    let limits = ArchiveLimits { bytes: 1000, ..LIMITS };
    let error = unpack_bytes(&archive(&[file("a", &[1; 600]), file("b", &[2; 600])]), limits).unwrap_err();
    assert!(error.contains("more than 1000 B"), "{error}");
    // Announced sizes may be lies; what comes out counts.
    let liar = Raw { deflate: true, announced: Some(u32::MAX), ..file("a", &[1; 600]) };
    assert!(unpack_bytes(&archive(&[liar]), LIMITS).unwrap_err().contains("unpacks to more"));

    let entries: Vec<Raw> = (0..101).map(|n| file(&format!("f{n}"), b"")).collect();
    let error = unpack_bytes(&archive(&entries), LIMITS).unwrap_err();
    assert!(error.contains("101 entries") && error.contains("100"), "{error}");
}

#[test]
fn what_is_no_archive_is_told() {
    for bytes in [&b""[..], b"not a zip", b"PK\x05\x06"] {
        assert!(unpack_bytes(bytes, LIMITS).unwrap_err().contains("source archive"));
    }
    let error = SourceArchive::open(Path::new("/nonexistent/source.zip"), LIMITS).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/source.zip"), "{error}");
}

#[test]
fn a_buildspec_is_read_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("source.zip");
    let entries = [
        Raw { deflate: true, ..file("buildspec.yml", b"version: 0.2") },
        special("ci/link.yml", 0o120_777, b"../buildspec.yml"),
        special("dir.yml/", 0o040_755, b""),
    ];
    fs::write(&path, archive(&entries)).unwrap();
    let mut opened = SourceArchive::open(&path, LIMITS).unwrap();
    assert_eq!(opened.read(b"buildspec.yml", 100).unwrap().unwrap(), b"version: 0.2");
    assert!(opened.read(b"ci/buildspec.yml", 100).unwrap().is_none());
    assert!(opened.read(b"ci/link.yml", 100).unwrap_err().to_string().contains("not a regular file"));
    assert!(opened.read(b"dir.yml/", 100).unwrap_err().to_string().contains("not a regular file"));
    assert!(opened.read(b"buildspec.yml", 5).unwrap_err().to_string().contains("larger than the 5 bytes"));
}

proptest! {
    /// Whatever bytes an archive has: no panic, and what comes out keeps the rules (checked by the taker).
    #[test]
    fn damaged_archives_do_no_harm(at in proptest::collection::vec((0usize..400, any::<u8>()), 0..8), cut in 0usize..400) {
        let mut bytes = archive(&[
            special("d/", 0o040_755, b""),
            Raw { deflate: true, ..file("d/f", &b"hello ".repeat(20)) },
            special("d/l", 0o120_777, b"f"),
        ]);
        for (index, byte) in at {
            if let Some(place) = bytes.get_mut(index) {
                *place = byte;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(350)));
        unpack_bytes(&bytes, LIMITS).ok();
    }
}
