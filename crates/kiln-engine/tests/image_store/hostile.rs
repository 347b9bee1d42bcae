//! Layers that try to write outside their directory, to exhaust the machine, or to fool overlayfs (security.md 5.4,
//! reliability.md 26).

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::AtomicBool;

use kiln_engine::image::{ImageError, LayerForm, Limits, unpack_layer};
use proptest::prelude::*;

use crate::support::*;

/// Unpacks beside a canary and checks that the canary lives.
fn attack(layer: &Layer) -> (tempfile::TempDir, Result<std::path::PathBuf, ImageError>) {
    let dir = tempfile::tempdir().unwrap();
    let canary = canary(dir.path());
    let before = fingerprint(&canary);
    let result = unpack_one(dir.path(), layer);
    assert_eq!(fingerprint(&canary), before, "the canary was touched");
    let beside: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(beside.len(), 2, "something appeared beside the layer: {beside:?}");
    (dir, result)
}

fn refused(layer: Layer, says: &str) {
    let (_dir, result) = attack(&layer);
    let error = result.expect_err(says).to_string();
    assert!(error.contains(says), "`{error}` should say `{says}`");
}

#[test]
fn names_that_climb_out_are_refused() {
    for path in ["../canary/secret", "a/../../canary/secret", "..", "a/..", "/../canary/secret", "./../canary/x"] {
        refused(Layer::new().file(path, b"evil"), "climbs out");
        refused(Layer::new().dir(path), "climbs out");
        refused(Layer::new().symlink(path, "x"), "climbs out");
        refused(Layer::new().file("f", b"").hard_link("x", path), "climbs out");
    }
}

#[test]
fn absolute_names_stay_inside() {
    let (_dir, result) = attack(&Layer::new().file("/etc/kiln-test-absolute", b"inside"));
    assert_eq!(read(&result.unwrap(), "etc/kiln-test-absolute"), "inside");
    assert!(!std::path::Path::new("/etc/kiln-test-absolute").exists());
}

#[test]
fn links_do_not_lead_out() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "untouched").unwrap();
    let outside_text = outside.to_str().unwrap();
    // An absolute link means a place below the layer's root; `..` ends there.
    for (i, target) in [outside_text, "../outside", "../../../../../../../../../..", "/", "/../.."].iter().enumerate() {
        let target_dir = dir.path().join(format!("t{i}"));
        fs::create_dir(&target_dir).unwrap();
        let layer = Layer::new()
            .symlink("out", target)
            .file("out/secret", b"evil")
            .file("out/new", b"evil")
            .dir("out/dir")
            .symlink("out/link", "x")
            .entry(Entry { path: "out/.wh.gone", ..Entry::default() });
        unpack_layer(layer.tar().as_slice(), &target_dir, &[], form(), Limits::default(), &AtomicBool::new(false))
            .unwrap();
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{target}");
        assert!(fs::symlink_metadata(target_dir.join("out")).unwrap().is_symlink());
    }
    // And hard links cannot reach what such a link seems to point to.
    let layer = Layer::new().symlink("out", outside_text).hard_link("stolen", "out/secret");
    let target = dir.path().join("hard");
    fs::create_dir(&target).unwrap();
    let result = unpack_layer(layer.tar().as_slice(), &target, &[], form(), Limits::default(), &AtomicBool::new(false));
    assert!(result.unwrap_err().to_string().contains("does not exist"));
    assert_eq!(fs::metadata(outside.join("secret")).unwrap().nlink(), 1);
}

#[test]
fn a_link_replaced_by_a_file_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let canary = canary(dir.path());
    let secret = canary.join("secret");
    let layer = Layer::new()
        .symlink("f", secret.to_str().unwrap())
        .file("f", b"evil")
        .symlink("d", canary.to_str().unwrap())
        .dir("d")
        .entry(Entry {
            path: "g",
            kind: tar::EntryType::Symlink,
            link: secret.to_str().unwrap(),
            mode: 0o777,
            uid: 1234,
            ..Entry::default()
        });
    let root = unpack_one(dir.path(), &layer).unwrap();
    assert_eq!(read(&root, "f"), "evil");
    assert!(fs::symlink_metadata(root.join("d")).unwrap().is_dir());
    // Neither the mode nor the owner of a link went through it.
    let meta = fs::metadata(&secret).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.uid()), (0o640, rustix::process::geteuid().as_raw()));
    assert_eq!(fs::read_to_string(secret).unwrap(), "untouched");
}

#[test]
fn paths_through_files_and_endless_links_are_refused() {
    refused(Layer::new().file("f", b"x").file("f/g", b"y"), "which is a file");
    refused(
        Layer::new().entry(Entry { path: "p", kind: tar::EntryType::Fifo, ..Entry::default() }).file("p/g", b""),
        "which is a file",
    );
    refused(Layer::new().symlink("a", "b").symlink("b", "a").file("a/x", b""), "too many links");
    refused(Layer::new().symlink("a", "a/a").file("a/x", b""), "too many links");
    refused(Layer::new().hard_link("a", "a"), "does not exist");
    refused(Layer::new().dir("d").hard_link("a", "d"), "no file");
    refused(Layer::new().hard_link("a", "/"), "root directory");
    refused(Layer::new().file(".", b"x"), "root directory");
    refused(Layer::new().symlink(".", "x"), "root directory");
    refused(Layer::new().symlink("a", ""), "to nothing");
    refused(Layer::new().file(&format!("{}/f", "d/".repeat(300)), b""), "deep");
    refused(Layer::new().file(&"x".repeat(300), b""), "longer than 255");
    refused(Layer::new().file("a/.wh.b/c", b""), "mark of a deleted file");
    refused(Layer::new().file(".wh...", b""), "can have a name");
    refused(Layer::new().file(".wh.", b""), "can have a name");
    // Links that make a path longer and longer.
    let deep = "d/".repeat(100);
    let layer = Layer::new().dir(&deep).symlink("a", &deep).file(&format!("a/{deep}x"), b"");
    let deeper = (0..3).fold(layer, |layer, i| {
        layer.symlink(&format!("l{i}"), &format!("/{deep}{deep}")).file(&format!("l{i}/{deep}y"), b"")
    });
    refused(deeper, "too long");
}

#[test]
fn the_last_of_several_entries_counts() {
    let layer = Layer::new()
        .file("x", b"first")
        .file("x", b"second")
        .dir("y")
        .file("y/inner", b"")
        .file("y", b"a file now")
        .file("z", b"")
        .dir("z")
        .file("z/inner", b"deep")
        .file("a", b"linked")
        .hard_link("b", "a")
        .file("a", b"other")
        .hard_link("b", "b");
    let (_dir, root) = attack(&layer);
    let root = root.unwrap();
    assert_eq!(
        (read(&root, "x"), read(&root, "y"), read(&root, "z/inner")),
        ("second".into(), "a file now".into(), "deep".into())
    );
    assert_eq!((read(&root, "a"), read(&root, "b")), ("other".into(), "linked".into()));
}

#[test]
fn devices_are_left_out_and_fifos_do_not_hang() {
    let device = |path, kind| Entry { path, kind, mode: 0o666, ..Entry::default() };
    let layer = Layer::new()
        .entry(device("dev/null", tar::EntryType::Char))
        .entry(device("dev/sda", tar::EntryType::Block))
        .entry(device("fifo", tar::EntryType::Fifo))
        .file("fifo-was-here", b"");
    let (_dir, root) = attack(&layer);
    let root = root.unwrap();
    // In particular no 0:0 device, which overlayfs would take for a deletion.
    assert!(
        fs::symlink_metadata(root.join("dev/null")).is_err() && fs::symlink_metadata(root.join("dev/sda")).is_err()
    );
    let fifo = fs::symlink_metadata(root.join("fifo")).unwrap();
    assert!(fifo.file_type().is_fifo() && fifo.mode() & 0o7777 == 0o666);
}

#[test]
fn attributes_that_steer_overlayfs_are_dropped() {
    let xattrs: &[(&str, &[u8])] = &[
        ("trusted.overlay.opaque", b"y"),
        ("trusted.overlay.redirect", b"/etc"),
        ("user.overlay.opaque", b"y"),
        ("user.overlay.whiteout", b"y"),
        ("security.selinux", b"label"),
        ("user.kept", b"value"),
    ];
    let layer = Layer::new()
        .entry(Entry { path: "d", kind: tar::EntryType::Directory, mode: 0o755, xattrs, ..Entry::default() })
        .entry(Entry { path: "f", xattrs, ..Entry::default() });
    let (_dir, root) = attack(&layer);
    let root = root.unwrap();
    for name in ["d", "f"] {
        let mut names = vec![0; 4096];
        let length = rustix::fs::listxattr(root.join(name), &mut names).unwrap();
        let names = String::from_utf8(names[..length].to_vec()).unwrap();
        assert_eq!(names.trim_end_matches('\0'), "user.kept", "{name}");
    }
}

#[test]
fn owners_beyond_the_range_become_nobody_without_setuid() {
    if !is_root() {
        return skip("owners are only kept for root");
    }
    let owned = |path, uid, gid| Entry { path, uid, gid, mode: 0o6755, ..Entry::default() };
    let layer = Layer::new()
        .entry(owned("low", 65_535, 33))
        .entry(owned("high", 65_536, 0))
        .entry(owned("group", 0, 2_000_000))
        .entry(owned("huge", u64::from(u32::MAX), 0));
    let (_dir, root) = attack(&layer);
    let root = root.unwrap();
    let facts = |name: &str| {
        let meta = fs::metadata(root.join(name)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(facts("low"), (65_535, 33, 0o6755));
    assert_eq!(facts("high"), (65_534, 0, 0o755));
    assert_eq!(facts("group"), (0, 65_534, 0o755));
    assert_eq!(facts("huge"), (65_534, 0, 0o755));
}

#[test]
fn bombs_hit_a_named_limit() {
    let dir = tempfile::tempdir().unwrap();
    let unpack = |bytes: &[u8], limits: Limits| {
        let target = tempfile::tempdir_in(dir.path()).unwrap();
        unpack_layer(bytes, target.path(), &[], form(), limits, &AtomicBool::new(false)).map_err(|e| e.to_string())
    };
    let zeros = Layer::new().file("zeros", &vec![0; 8 << 20]);
    let small = Limits { ratio_from: 1 << 20, ..Limits::default() };
    for bomb in [gzip(&zeros.tar()), zstd(&zeros.tar())] {
        let error = unpack(&bomb, small).unwrap_err();
        assert!(error.contains("bomb") && error.contains("200:1"), "{error}");
        unpack(&bomb, Limits::default()).unwrap();
    }
    let error = unpack(&zeros.tar(), Limits { bytes: 1 << 20, ..Limits::default() }).unwrap_err();
    assert!(error.contains("1048576 bytes"), "{error}");
    let many = (0..100).fold(Layer::new(), |layer, i| layer.file(&format!("f{i}"), b""));
    let error = unpack(&many.tar(), Limits { entries: 50, ..Limits::default() }).unwrap_err();
    assert!(error.contains("50 entries"), "{error}");
    // Directories that one entry implies count as well.
    let deep = Layer::new().file(&format!("{}f", "d/".repeat(60)), b"");
    let error = unpack(&deep.tar(), Limits { entries: 50, ..Limits::default() }).unwrap_err();
    assert!(error.contains("50 entries"), "{error}");
    // A file of holes costs no disk, but whoever reads it pays.
    let sparse = sparse_terabyte();
    let error = unpack(&sparse, Limits::default()).unwrap_err();
    assert!(error.contains("too large"), "{error}");
}

/// An old GNU sparse file of 1 TiB without data.
fn sparse_terabyte() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("holes").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.as_mut_bytes()[483] = 0x80;
    header.as_mut_bytes()[487..495].copy_from_slice(&(1u64 << 40).to_be_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn what_is_cut_off_or_damaged_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::new().file("a", &noise(1, 300_000)).file("b", b"end");
    let unpack = |bytes: &[u8]| {
        let target = tempfile::tempdir_in(dir.path()).unwrap();
        unpack_layer(bytes, target.path(), &[], form(), Limits::default(), &AtomicBool::new(false))
    };
    for whole in [layer.tar(), layer.gzip(), zstd(&layer.tar())] {
        unpack(&whole).unwrap();
        for length in [whole.len() / 3, whole.len() / 2, 513] {
            let error = unpack(&whole[..length]).unwrap_err().to_string();
            assert!(error.contains("cut off") || error.contains("middle") || error.contains("damaged"), "{error}");
        }
    }
    for (magic, says) in
        [(&b"\xfd7zXZ\0\0\0"[..], "xz"), (b"BZh91AY&SY", "bzip2"), (b"PK\x03\x04zzzz", "ZIP"), (b"garbage!", "middle")]
    {
        let error = unpack(magic).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let mut damaged = layer.gzip();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xa5);
    assert!(unpack(&damaged).is_err());
}

#[test]
fn cancelling_stops_at_once_and_says_so() {
    let target = tempfile::tempdir().unwrap();
    let cancel = AtomicBool::new(true);
    let layer = Layer::new().file("a", b"x").tar();
    let result = unpack_layer(layer.as_slice(), target.path(), &[], form(), Limits::default(), &cancel);
    assert!(matches!(result, Err(ImageError::Cancelled)));
}

#[test]
fn a_plain_user_can_unpack_what_only_root_could_write() {
    // As a plain user would: no owners, and directories that the user may not write into.
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .entry(Entry { path: "closed", kind: tar::EntryType::Directory, mode: 0o000, uid: 5, ..Entry::default() })
        .file("closed/inner", b"x")
        .entry(Entry { path: "closed/deep", kind: tar::EntryType::Directory, mode: 0o555, ..Entry::default() })
        .entry(Entry {
            path: "closed/deep/f",
            mode: 0o000,
            data: b"y",
            xattrs: &[("user.a", b"b")],
            ..Entry::default()
        });
    let root = unpack_all(dir.path(), LayerForm::Single, &[layer]).unwrap().remove(0);
    assert_eq!(fs::metadata(root.join("closed")).unwrap().permissions().mode() & 0o7777, 0);
    assert_eq!(fs::metadata(root.join("closed")).unwrap().uid(), rustix::process::geteuid().as_raw());
}

/// One random entry. Few names, so that they meet.
fn any_entry() -> impl Strategy<Value = (String, u8, String, u32)> {
    let component = prop_oneof![
        4 => Just("a".to_owned()), 4 => Just("b".to_owned()), 2 => Just("c".to_owned()),
        1 => Just("..".to_owned()), 1 => Just(".".to_owned()), 1 => Just(String::new()),
        1 => Just(".wh.a".to_owned()), 1 => Just(".wh.b".to_owned()), 1 => Just(".wh..wh..opq".to_owned()),
        1 => Just("canary".to_owned()), 1 => Just("secret".to_owned()), 1 => "[a-z.\\\\\\x01\\x7f]{1,6}",
    ];
    let path = proptest::collection::vec(component, 1..5).prop_map(|c| c.join("/"));
    let kind = prop_oneof![3 => Just(b'0'), 3 => Just(b'5'), 3 => Just(b'2'), 2 => Just(b'1'), 1 => Just(b'6'), 1 => Just(b'3')];
    (path.clone(), kind, prop_oneof![path, Just("/canary".to_owned()), Just("../canary".to_owned())], 0u32..0o10000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_layers_never_touch_what_is_not_theirs(
        layers in proptest::collection::vec(proptest::collection::vec(any_entry(), 1..12), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let canary = canary(dir.path());
        let layers: Vec<Layer> = layers.iter().map(|entries| {
            entries.iter().fold(Layer::new(), |layer, (path, kind, link, mode)| {
                let kind = tar::EntryType::new(*kind);
                let data: &[u8] = if kind == tar::EntryType::Regular { b"data" } else { b"" };
                // Links to the real canary as well, not only to a name like it.
                let link = if link == "/canary" { canary.to_str().unwrap() } else { link };
                layer.entry(Entry { path, kind, link, data, mode: *mode, ..Entry::default() })
            })
        }).collect();
        let before = fingerprint(&canary);
        unpack_all(dir.path(), form(), &layers).ok();
        prop_assert_eq!(fingerprint(&canary), before);
        for entry in fs::read_dir(dir.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            prop_assert!(name == "canary" || name.starts_with("layer"), "{} appeared", name);
        }
    }
}
