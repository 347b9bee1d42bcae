//! What overlayfs makes of unpacked layers is what the image means.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kiln_engine::image::LayerForm;

use crate::support::*;

/// Lists an overlay mount of the layers: path, and `d`, `f:content`, `l:target` or another type. `None` if overlay
/// cannot be mounted here.
fn mounted(layers: &[PathBuf], rootless: bool) -> Option<BTreeMap<String, String>> {
    let mut command = Command::new("unshare");
    command.arg(if rootless { "-Urm" } else { "-m" });
    mounted_by(command, layers, rootless)
}

/// The same, with the command that makes the namespaces.
fn mounted_by(mut command: Command, layers: &[PathBuf], rootless: bool) -> Option<BTreeMap<String, String>> {
    let work = tempfile::tempdir().unwrap();
    fs::set_permissions(work.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let empty = work.path().join("empty");
    fs::create_dir(&empty).unwrap();
    // An overlay of one layer is none; an empty one on top changes nothing.
    let mut lower = vec![empty.display().to_string()];
    lower.extend(layers.iter().rev().map(|l| l.display().to_string()));
    let script = r#"
        mkdir "$1/mnt" && mount -t overlay overlay -o "$2" "$1/mnt" || exit 77
        cd "$1/mnt" && find . -mindepth 1 -printf '%P\t%y\t%l\n' | while IFS="$(printf '\t')" read -r path type link; do
            case $type in
                f) printf '%s\tf:%s\n' "$path" "$(cat "./$path")";;
                l) printf '%s\tl:%s\n' "$path" "$link";;
                *) printf '%s\t%s\n' "$path" "$type";;
            esac
        done"#;
    let options = format!("lowerdir={}{}", lower.join(":"), if rootless { ",userxattr" } else { "" });
    command.args(["sh", "-c", script, "sh"]).arg(work.path()).arg(options);
    let output = command.stdin(Stdio::null()).output().unwrap();
    if output.status.code() == Some(77) {
        skip(&format!("overlay cannot be mounted here: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| line.split_once('\t').unwrap()).map(|(p, t)| (p.to_owned(), t.to_owned())).collect())
}

/// Unpacks in both forms and compares what the mounts show.
fn shows(layers: &[Layer], expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    for form in [LayerForm::Host, LayerForm::Single] {
        if form == LayerForm::Host && !is_root() {
            skip("the host's form needs root");
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let unpacked = unpack_all(dir.path(), form, layers).unwrap();
        for rootless in [form == LayerForm::Single, true] {
            if let Some(seen) = mounted(&unpacked, rootless) {
                assert_eq!(seen, expected, "{form:?}, rootless: {rootless}");
            }
        }
    }
}

#[test]
fn deletions_hide_files_and_directories() {
    shows(
        &[
            Layer::new().dir("d").file("d/a", b"1").file("d/b", b"2").dir("gone").file("gone/x", b"").file("f", b"3"),
            Layer::new().dir("d").file("d/.wh.a", b"").file(".wh.gone", b"").file(".wh.f", b""),
        ],
        &[("d", "d"), ("d/b", "f:2")],
    );
}

#[test]
fn deletions_of_nothing_and_in_the_lowest_layer_show_nothing() {
    shows(
        &[Layer::new().dir("d").file("d/.wh.never", b"").file(".wh.never", b""), Layer::new().file("new/.wh.x", b"")],
        &[("d", "d"), ("new", "d")],
    );
}

#[test]
fn opaque_directories_show_only_the_new_content() {
    shows(
        &[
            Layer::new().dir("d").file("d/a", b"1").dir("d/sub").file("d/sub/x", b"").file("e/old", b""),
            // The mark may come after the content.
            Layer::new()
                .dir("d")
                .file("d/b", b"2")
                .file("d/.wh..wh..opq", b"")
                .file("e/.wh..wh..opq", b"")
                .file("e/new", b"3"),
        ],
        &[("d", "d"), ("d/b", "f:2"), ("e", "d"), ("e/new", "f:3")],
    );
}

#[test]
fn what_is_deleted_and_made_anew_is_new() {
    shows(
        &[
            Layer::new()
                .dir("a")
                .file("a/old", b"")
                .dir("b")
                .file("b/old", b"")
                .dir("c")
                .file("c/old", b"")
                .file("f", b"old"),
            Layer::new()
                .file(".wh.a", b"")
                .dir("a")
                .file("a/new", b"1")
                // Content first, then the mark: it only concerns what lies below.
                .dir("b")
                .file("b/new", b"2")
                .file(".wh.b", b"")
                // No entry for the directory at all.
                .file(".wh.c", b"")
                .file("c/new", b"3")
                .file(".wh.f", b"")
                .file("f", b"4"),
        ],
        &[("a", "d"), ("a/new", "f:1"), ("b", "d"), ("b/new", "f:2"), ("c", "d"), ("c/new", "f:3"), ("f", "f:4")],
    );
}

#[test]
fn types_change_between_layers() {
    shows(
        &[
            Layer::new().dir("d").file("d/x", b"").file("f", b"").symlink("l", "d"),
            Layer::new().file("d", b"file").dir("f").file("f/y", b"1").dir("l").file("l/z", b"2"),
            Layer::new().dir("d").file("d/w", b"3").symlink("f", "d"),
        ],
        &[("d", "d"), ("d/w", "f:3"), ("f", "l:d"), ("l", "d"), ("l/z", "f:2")],
    );
}

#[test]
fn deletions_reach_through_several_layers_but_not_back() {
    shows(
        &[
            Layer::new().file("d/a", b"1").file("d/b", b"1"),
            Layer::new().file(".wh.d", b""),
            Layer::new().dir("d").file("d/b", b"3"),
            Layer::new().file("d/.wh.b", b"").file("d/.wh.a", b"").file("d/c", b"4"),
        ],
        &[("d", "d"), ("d/c", "f:4")],
    );
}

#[test]
fn paths_through_links_of_lower_layers_lead_where_docker_s_would() {
    // A merged-usr base, and a layer made by a tool that knows nothing of it.
    shows(
        &[
            Layer::new()
                .dir("usr")
                .dir("usr/lib")
                .file("usr/lib/libc", b"c")
                .symlink("lib", "usr/lib")
                .symlink("abs", "/usr"),
            Layer::new().file("lib/libx", b"x").file("abs/lib/liby", b"y").file("lib/.wh.libc", b""),
        ],
        &[
            ("abs", "l:/usr"),
            ("lib", "l:usr/lib"),
            ("usr", "d"),
            ("usr/lib", "d"),
            ("usr/lib/libx", "f:x"),
            ("usr/lib/liby", "f:y"),
        ],
    );
}

#[test]
fn hard_links_to_files_of_lower_layers_work() {
    shows(
        &[
            Layer::new().file("bin/sh", b"shell"),
            Layer::new().hard_link("bin/bash", "bin/sh").hard_link("rsh", "bin/bash"),
        ],
        &[("bin", "d"), ("bin/bash", "f:shell"), ("bin/sh", "f:shell"), ("rsh", "f:shell")],
    );
    let dir = tempfile::tempdir().unwrap();
    let deleted = [Layer::new().file("a", b""), Layer::new().file(".wh.a", b""), Layer::new().hard_link("b", "a")];
    let error = unpack_all(dir.path(), form(), &deleted).unwrap_err().to_string();
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn directories_without_an_entry_look_like_those_below() {
    if !is_root() {
        return skip("owners are only kept for root");
    }
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let layers = [
        Layer::new()
            .entry(Entry { path: "./", kind: tar::EntryType::Directory, mode: 0o711, ..Entry::default() })
            .entry(Entry {
                path: "tmp",
                kind: tar::EntryType::Directory,
                mode: 0o1777,
                uid: 5,
                gid: 6,
                xattrs: &[("user.x", b"y")],
                ..Entry::default()
            }),
        Layer::new().file("tmp/f", b"").file("other/f", b""),
    ];
    let top = unpack_all(dir.path(), LayerForm::Host, &layers).unwrap().remove(1);
    let facts = |path: &str| {
        let meta = fs::metadata(top.join(path)).unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    assert_eq!(facts("tmp"), (0o1777, 5, 6));
    assert_eq!(facts("other"), (0o755, 0, 0));
    assert_eq!(facts("."), (0o711, 0, 0));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(top.join("tmp"), "user.x", &mut value).unwrap(), 1);
}

/// A tree as GNU tar writes it comes out as GNU tar would unpack it.
#[test]
fn everything_about_files_is_kept() {
    if !is_root() {
        return skip("owners are only kept for root");
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"
        mkdir -p src/d/e src/closed && cd src
        echo text > d/file; ln d/file d/hard; ln -s ../d/file d/e/link; ln -s /nowhere dangling; mkfifo d/fifo
        echo s > d/setuid; chown 1:2 d/setuid; chmod 6755 d/setuid; setcap cap_net_raw+ep d/setuid 2>/dev/null || :
        chmod 1777 d/e; chown 33:44 d/e; chown -h 7:8 dangling; chmod 000 closed
        truncate -s 1M d/sparse; echo tail >> d/sparse
        printf 'odd' > "d/name with
newline and \\ and $(printf '\377')"
        touch -d '2011-12-13 14:15:16.171819202 UTC' d/file; touch -h -d '2001-01-01 UTC' dangling; touch -d '1969-12-31 UTC' d/e
        setfattr -n user.test -v value d/file 2>/dev/null || :
    "#;
    assert!(Command::new("sh").args(["-ec", script]).current_dir(dir.path()).status().unwrap().success());
    for (i, format) in [&["--format=posix", "--xattrs", "--xattrs-include=*", "-S"][..], &["--format=gnu", "-S"]]
        .into_iter()
        .enumerate()
    {
        let archive = Command::new("tar")
            .args(format)
            .args(["-cf", "-", "-C"])
            .arg(dir.path().join("src"))
            .arg(".")
            .output()
            .unwrap();
        assert!(archive.status.success());
        let (ours, theirs) = (dir.path().join(format!("ours{i}")), dir.path().join(format!("theirs{i}")));
        fs::create_dir(&ours).unwrap();
        fs::create_dir(&theirs).unwrap();
        let never = std::sync::atomic::AtomicBool::new(false);
        kiln_engine::image::unpack_layer(
            archive.stdout.as_slice(),
            &ours,
            &[],
            LayerForm::Host,
            Default::default(),
            &never,
        )
        .unwrap();
        let file = dir.path().join("archive.tar");
        fs::write(&file, &archive.stdout).unwrap();
        let status = Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"])
            .arg(&file)
            .arg("-C")
            .arg(&theirs)
            .status();
        assert!(status.unwrap().success());
        let listing = |root: &Path| {
            let find = Command::new("find")
                .arg(".")
                .args(["-printf", "%P %y %m %U:%G %n %s %l %T@\\n"])
                .current_dir(root)
                .output()
                .unwrap();
            let mut lines: Vec<String> = String::from_utf8_lossy(&find.stdout)
                .lines()
                // The size of a directory is the file system's affair.
                .map(|line| if line.contains(" d ") { line.replace(" 4096 ", " ") } else { line.to_owned() })
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(listing(&ours), listing(&theirs), "{format:?}");
        let content = |root: &Path| fs::read(root.join("d/sparse")).unwrap();
        assert!(content(&ours) == content(&theirs));
        for (path, name) in [("d/setuid", "security.capability"), ("d/file", "user.test")] {
            let get = |root: &Path| {
                let mut value = vec![0; 256];
                rustix::fs::getxattr(root.join(path), name, &mut value).map(|n| value[..n].to_vec())
            };
            assert_eq!(get(&ours), get(&theirs), "{path} {name}");
        }
    }
}

/// Random histories of a small tree, told as layers, end in the tree that the history ends in.
#[test]
fn random_layers_mean_what_they_say() {
    if !is_root() {
        return skip("mounting needs root");
    }
    let mut random = fastrand::Rng::with_seed(0x6b69_6c6e);
    for round in 0..40 {
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        let mut layers = Vec::new();
        for number in 0..random.usize(2..5) {
            let mut layer = Layer::new();
            // What this layer has an entry for, or for something below. Real archives are made from the difference of
            // two trees: they do not delete what they hold.
            let mut touched: HashSet<String> = HashSet::new();
            for step in 0..random.usize(1..8) {
                let depth = random.usize(1..4);
                let path: Vec<&str> = (0..depth).map(|_| *random.choice(&["a", "b", "c"]).unwrap()).collect();
                let prefixes: Vec<String> = (1..=depth).map(|n| path[..n].join("/")).collect();
                let (full, parents) = prefixes.split_last().unwrap();
                // Entries below files are errors; this is about what is right.
                if parents.iter().any(|parent| model.get(parent).is_some_and(|t| t != "d")) {
                    continue;
                }
                let below = format!("{full}/");
                match random.u8(0..6) {
                    0 if model.contains_key(full) && !touched.contains(full) => {
                        let mark = format!(".wh.{}", path[depth - 1]);
                        layer =
                            layer.file(&parents.last().map_or(mark.clone(), |parent| format!("{parent}/{mark}")), b"");
                        model.retain(|p, _| p != full && !p.starts_with(&below));
                    }
                    1 if model.get(full).is_some_and(|t| t == "d") && !touched.contains(full) => {
                        layer = layer.file(&format!("{full}/.wh..wh..opq"), b"");
                        model.retain(|p, _| !p.starts_with(&below));
                    }
                    2 | 3 => {
                        layer = layer.dir(full);
                        model.insert(full.clone(), "d".into());
                    }
                    4 | 5 => {
                        let content = format!("{round}.{number}.{step}");
                        layer = layer.file(full, content.as_bytes());
                        model.retain(|p, _| !p.starts_with(&below));
                        model.insert(full.clone(), format!("f:{content}"));
                    }
                    _ => continue,
                }
                model.extend(parents.iter().map(|parent| (parent.clone(), "d".to_owned())));
                touched.extend(prefixes);
            }
            layers.push(layer);
        }
        let dir = tempfile::tempdir().unwrap();
        let unpacked = unpack_all(dir.path(), LayerForm::Host, &layers).unwrap();
        let Some(seen) = mounted(&unpacked, false) else { return };
        assert_eq!(seen, model, "round {round}");
    }
}

/// What the helper below unpacks.
fn for_other_users() -> Vec<Layer> {
    let owned = |path, mode| Entry { path, mode, uid: 33, gid: 44, data: b"x", ..Entry::default() };
    vec![
        Layer::new().dir("d").file("d/old", b"").file("gone", b"").entry(owned("owned", 0o4755)),
        Layer::new().dir("d").file("d/.wh..wh..opq", b"").file("d/new", b"y").file(".wh.gone", b""),
    ]
}

/// Not a test by itself: what the next ones run as somebody else.
#[test]
fn helper_unpack_as_somebody() {
    let Some(dir) = std::env::var_os("KILN_TEST_UNPACK") else { return };
    unpack_all(Path::new(&dir), LayerForm::detect(), &for_other_users()).unwrap();
}

/// This program in a place that every user can reach, and a directory for its work.
fn for_somebody() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, work) = (dir.path().join("program"), dir.path().join("work"));
    // By another process: what is open for writing here, children of other tests hold open too, and it cannot be executed.
    assert!(Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap().success());
    fs::create_dir(&work).unwrap();
    (dir, program, work)
}

const HELPER: [&str; 2] = ["--exact", "overlay::helper_unpack_as_somebody"];

#[test]
fn a_plain_user_s_layers_can_be_mounted_and_changed_by_that_user() {
    if !is_root() {
        return skip("taking on another user needs root");
    }
    let (_dir, program, work) = for_somebody();
    std::os::unix::fs::chown(&work, Some(12_345), Some(12_345)).unwrap();
    let somebody = |program: &Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=12345", "--regid=12345", "--clear-groups"]).arg(program);
        command
    };
    let status = somebody(&program).args(HELPER).env("KILN_TEST_UNPACK", &work).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    let layers = [work.join("layer0"), work.join("layer1")];
    let mut command = somebody(Path::new("unshare"));
    command.arg("-Urm");
    let Some(seen) = mounted_by(command, &layers, true) else { return };
    let expected = [("d", "d"), ("d/new", "f:y"), ("owned", "f:x")].map(|(p, t)| (p.to_owned(), t.to_owned()));
    assert_eq!(seen, BTreeMap::from(expected));
}

#[test]
fn layers_unpacked_in_a_range_of_ids_have_the_image_s_owners_there() {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    if !is_root() {
        return skip("mapping a range of ids needs root");
    }
    let (_dir, program, work) = for_somebody();
    std::os::unix::fs::chown(&work, Some(200_000), Some(200_000)).unwrap();
    // Holds the namespace until its input ends.
    let mut holder = Command::new("unshare")
        .args(["-U", "sh", "-c", "echo made; read end"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "made\n");
    let id = holder.id().to_string();
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{id}/{map}"), "0 200000 65536\n").unwrap();
    }
    let status = Command::new("nsenter")
        .args(["--user", "--target", &id, "--setuid", "0", "--setgid", "0"])
        .arg(&program)
        .args(HELPER)
        .env("KILN_TEST_UNPACK", &work)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(status.success());
    let owned = fs::metadata(work.join("layer0/owned")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), owned.mode() & 0o7777), (200_033, 200_044, 0o4755));
    let gone = fs::symlink_metadata(work.join("layer1/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(work.join("layer1/d"), "user.overlay.opaque", &mut value), Ok(1));
}
