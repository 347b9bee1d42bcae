use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn read_all(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut reader = TarReader::new(Stream(bytes));
    let mut all = Vec::new();
    while let Some(entry) = reader.next()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data)?;
        all.push((entry, data));
    }
    Ok(all)
}

/// A header block with a right checksum.
fn header(name: &[u8], kind: u8, size: u64, change: impl FnOnce(&mut [u8; BLOCK])) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000001");
    block[116..123].copy_from_slice(b"0000002");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000003");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    change(&mut block);
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn member(name: &[u8], kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, data.len() as u64, |_| {}).to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let mut length = body.len() + 1;
        while length != body.len() + length.to_string().len() {
            length += 1;
        }
        data.extend_from_slice(length.to_string().as_bytes());
        data.extend_from_slice(&body);
    }
    member(b"PaxHeaders/x", b'x', &data)
}

/// Runs GNU tar over a tree made by `script`.
fn gnu_tar(script: &str, options: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("sh").args(["-ec", script]).current_dir(dir.path()).status().unwrap();
    assert!(made.success());
    let tar = Command::new("tar").args(options).args(["-cf", "-", "."]).current_dir(dir.path()).output().unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    tar.stdout
}

fn find<'a>(all: &'a [(Entry, Vec<u8>)], name: &str) -> &'a (Entry, Vec<u8>) {
    all.iter().find(|(e, _)| e.path == name.as_bytes()).unwrap_or_else(|| panic!("{name} is missing"))
}

#[test]
fn archives_of_gnu_tar_are_read_in_every_format() {
    let long = "d".repeat(120);
    let script = format!(
        "mkdir -p {long}/{long}; echo hello > {long}/{long}/file; ln -s {long}/{long} link; ln {long}/{long}/file hard; \
         mkfifo fifo; chmod 4755 hard; touch -d '2001-02-03 04:05:06.789 UTC' hard"
    );
    for format in ["gnu", "posix", "oldgnu"] {
        let all = read_all(&gnu_tar(&script, &["--format", format, "--sort=name"])).unwrap();
        let (file, data) = find(&all, &format!("./{long}/{long}/file"));
        assert_eq!((file.kind, data.as_slice()), (EntryKind::File, &b"hello\n"[..]), "{format}");
        let (link, _) = find(&all, "./link");
        assert_eq!((link.kind, link.link.len()), (EntryKind::Symlink, 241));
        let (hard, _) = find(&all, "./hard");
        assert_eq!((hard.kind, hard.mode & 0o7777), (EntryKind::HardLink, 0o4755));
        assert_eq!(hard.mtime, (981_173_106, if format == "posix" { 789_000_000 } else { 0 }));
        assert_eq!(find(&all, "./fifo").0.kind, EntryKind::Fifo);
    }
}

#[test]
fn sparse_files_are_read_in_all_four_formats() {
    let script = "truncate -s 3M s; for i in 1 3 5 7 9 11 13 15 17 19 21 23 25 27 29; do \
                  printf block%s $i | dd of=s bs=65536 seek=$i conv=notrunc status=none; done";
    for options in [
        &["--format=gnu", "-S"][..],
        &["--format=posix", "-S", "--sparse-version=0.0"],
        &["--format=posix", "-S", "--sparse-version=0.1"],
        &["--format=posix", "-S", "--sparse-version=1.0"],
    ] {
        let all = read_all(&gnu_tar(script, options)).unwrap();
        let (entry, data) = find(&all, "./s");
        let sparse = entry.sparse.as_ref().unwrap_or_else(|| panic!("{options:?}"));
        assert_eq!(sparse.real_size, 3 << 20, "{options:?}");
        let mut whole = vec![0; 3 << 20];
        let mut at = 0;
        for (offset, length) in &sparse.segments {
            let (offset, length) = (*offset as usize, *length as usize);
            whole[offset..offset + length].copy_from_slice(&data[at..at + length]);
            at += length;
        }
        assert_eq!(at, data.len());
        assert!(data.len() < 1 << 20, "{options:?} has no holes");
        for i in (1..30).step_by(2) {
            assert!(whole[i * 65536..].starts_with(format!("block{i}").as_bytes()), "{options:?} {i}");
        }
    }
}

#[test]
fn pax_records_win_over_the_header() {
    let big = 1u64 << 33;
    let archive = [
        pax(&[
            ("path", b"long/name"),
            ("uid", b"70000"),
            ("mtime", b"-1.25"),
            ("SCHILY.xattr.user.a", b"v\n\0w"),
            ("comment", b"ignored"),
        ]),
        member(b"short", b'0', b"data"),
        pax(&[("size", b"4")]),
        header(b"sized", b'0', 0, |_| {}).to_vec(),
        b"DATA".to_vec(),
        vec![0; 508],
        header(b"base256", b'5', 0, |block| {
            block[108..116].copy_from_slice(&[0x80, 0, 0, 0, 0, 1, 0x11, 0x71]);
            block[136..148].fill(0xff);
        })
        .to_vec(),
    ]
    .concat();
    let all = read_all(&archive).unwrap();
    let (first, data) = &all[0];
    assert_eq!(
        (first.path.as_slice(), first.uid, first.mtime, data.as_slice()),
        (&b"long/name"[..], 70_000, (-2, 750_000_000), &b"data"[..])
    );
    assert_eq!(first.xattrs, [(b"user.a".to_vec(), b"v\n\0w".to_vec())]);
    assert_eq!(all[1].1, b"DATA");
    assert_eq!((all[2].0.uid, all[2].0.mtime), (70_001, (-1, 0)));
    let cut = [pax(&[("size", big.to_string().as_bytes())]), member(b"huge", b'0', b"x")].concat();
    assert!(matches!(read_all(&cut), Err(TarError::Io(e)) if e.kind() == io::ErrorKind::UnexpectedEof));
}

#[test]
fn hostile_archives_are_refused() {
    let refused = |bytes: Vec<u8>, says: &str| {
        let error = read_all(&bytes).expect_err(says).to_string();
        assert!(error.contains(says), "{error} should say {says}");
    };
    let mut damaged = member(b"a", b'0', b"");
    damaged[0] = b'b';
    refused(damaged, "checksum");
    refused(vec![b'x'; 1024], "checksum");
    refused(header(b"a", b'Z', 0, |_| {}).to_vec(), "unknown type");
    refused(header(b"a", b'M', 0, |_| {}).to_vec(), "volume");
    refused(header(b"a", b'x', 1 << 30, |_| {}).to_vec(), "extension header of");
    refused(header(b"a", b'L', 1 << 30, |_| {}).to_vec(), "extension header of");
    refused(header(b"a", b'0', 0, |b| b[124..136].copy_from_slice(b"99999999999\0")).to_vec(), "size is no number");
    refused(header(b"a", b'0', 0, |b| b[124..136].fill(0xff)).to_vec(), "size is no number");
    refused(pax(&[("path", b"a\0b")]).into_iter().chain(member(b"a", b'0', b"")).collect(), "NUL");
    refused(member(b"x", b'x', b"5 a=b"), "malformed");
    refused(member(b"x", b'x', b"99999 path=x\n"), "malformed");
    refused(member(b"x", b'x', b"18446744073709551616 a=b\n"), "malformed");
    let numbers = |map: &str| {
        let map = map.as_bytes();
        [pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", b"100")]), member(b"s", b'0', b"abcdefghij")].concat()
    };
    assert!(read_all(&numbers("0,5,50,5")).is_ok());
    for map in ["0,5,3,5", "0,5,96,5", "0,5,18446744073709551615,5", "0,18446744073709551615", "0,5", "0,5,7"] {
        assert!(read_all(&numbers(map)).is_err(), "{map}");
    }
    let endless: Vec<u8> = (0..64).flat_map(|_| member(b"x", b'L', b"name")).collect();
    refused(endless, "too many extension headers");
    let nine =
        [pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"9")]), member(b"s", b'0', &[b'9'; 512])].concat();
    refused(nine, "no number");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        read_all(&bytes).ok();
    }

    #[test]
    fn damaged_archives_are_survived(
        kinds in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'5'), Just(b'S'), Just(b'x'), Just(b'L'), any::<u8>()], 1..6),
        data in proptest::collection::vec(any::<u8>(), 0..1500),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut archive: Vec<u8> = kinds.iter().flat_map(|kind| member(b"name", *kind, &data)).collect();
        let at = at.index(archive.len());
        // The checksum of the header it lies in is made right again, or nearly all changes would end there.
        archive[at] = to;
        let start = at / BLOCK * BLOCK;
        if let Some(block) = archive.get_mut(start..start + BLOCK) {
            block[148..156].fill(b' ');
            let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
            write!(&mut block[148..156], "{sum:06o}\0 ").unwrap();
        }
        read_all(&archive).ok();
    }
}

#[test]
fn an_archive_that_we_write_is_read_by_tar() {
    // The helpers above must write what they claim to.
    let archive = [pax(&[("path", b"renamed")]), member(b"name", b'0', b"data"), vec![0; 1024]].concat();
    let mut tar = Command::new("tar").args(["-tvf", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(&archive).unwrap();
    let output = tar.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("renamed"));
}
