//! File systems: volumes, images, the host as an image.

use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use kiln_engine::{Access, EngineError, Exit, RootFs, Volume, leftovers};

use crate::{
    BOTH, Case, NATIVE,
    fixture::{Fixture, Kind, cstring},
};

pub(crate) const CASES: &[Case] = &[
    Case { name: "copy_on_write_leaves_the_source_as_it_was", kinds: BOTH, run: copy_on_write },
    Case { name: "the_owner_of_a_source_shows_as_root_and_others_as_themselves", kinds: BOTH, run: owners },
    Case { name: "a_source_that_cannot_be_id_mapped_is_copied", kinds: BOTH, run: copied },
    Case { name: "a_read_only_volume_refuses_writes", kinds: BOTH, run: read_only },
    Case { name: "a_read_write_volume_writes_as_its_owner", kinds: BOTH, run: read_write },
    Case { name: "the_hosts_tools_run_and_its_secrets_do_not_exist", kinds: BOTH, run: host_image },
    Case { name: "changes_to_the_hosts_image_stay_inside", kinds: BOTH, run: host_changes },
    Case { name: "image_layers_are_merged_top_over_bottom", kinds: BOTH, run: layers },
    Case { name: "overlays_work_in_both_ways_that_kernels_understand", kinds: NATIVE, run: overlay_ways },
    Case { name: "an_image_with_links_for_kernel_directories_is_refused", kinds: BOTH, run: hostile_image },
    Case { name: "links_in_an_image_do_not_lead_mounts_out_of_it", kinds: BOTH, run: links_out },
    Case { name: "common_tools_of_this_machine_work", kinds: BOTH, run: tools },
];

/// Everything about a tree that a build could change.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(path) = todo.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if meta.is_symlink() {
            format!("{:?}", std::fs::read_link(&path).unwrap())
        } else if meta.is_file() {
            format!("{:?}", std::fs::read(&path).unwrap())
        } else {
            format!("device {}", meta.rdev())
        };
        let facts = format!(
            "{:o} {}:{} {}.{} {} {content}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.nlink()
        );
        all.insert(path, facts);
    }
    all
}

fn volume(source: &Path, target: &str, access: Access) -> Volume {
    Volume { source: source.into(), target: target.into(), access }
}

/// A source tree of user 1234 with one file of user 4321 and one of root.
fn source(fixture: &Fixture) -> PathBuf {
    let dir = fixture.path().join("source");
    std::fs::create_dir_all(dir.join("sub/deep")).unwrap();
    for (name, text) in [("a", "A"), ("sub/b", "B"), ("sub/deep/c", "C"), ("other", "O"), ("roots", "R")] {
        std::fs::write(dir.join(name), text).unwrap();
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    symlink("sub/b", dir.join("link")).unwrap();
    for name in ["", "a", "sub", "sub/b", "sub/deep", "sub/deep/c"] {
        chown(dir.join(name), Some(1234), Some(2345)).unwrap();
    }
    chown(dir.join("other"), Some(4321), Some(4321)).unwrap();
    dir
}

fn copy_on_write(fixture: &Fixture) {
    let source = source(fixture);
    let before = tree(&source);
    let mut spec = fixture.spec(
        "set -e; cd /src; echo more >> a; rm sub/b; mv sub moved; chmod 777 a; chown 7:8 a; rm -rf moved; ln a hard; \
         echo new > new; touch .; rm link; mkdir -p sub/x; ls -A | sort | tr '\\n' ' '; cat a; stat -c %u:%g:%a a",
    );
    spec.volumes.push(volume(&source, "/src", Access::CopyOnWrite));
    assert_eq!(fixture.run(spec).ok(), "a hard new other roots sub Amore\n7:8:777\n");
    assert_eq!(tree(&source), before);
}

fn owners(fixture: &Fixture) {
    let source = source(fixture);
    let mut spec = fixture.spec(
        "cd /src; stat -c '%n %u:%g' . a sub/deep/c other roots; cat a other roots; \
         git init -q repository && cd repository && git status -s && echo git works",
    );
    spec.volumes.push(volume(&source, "/src", Access::CopyOnWrite));
    let output = fixture.run(spec).ok();
    // Root and the owner changed places, as did the groups.
    assert_eq!(output, ". 0:0\na 0:0\nsub/deep/c 0:0\nother 4321:4321\nroots 1234:2345\nAORgit works\n");
}

fn copied(fixture: &Fixture) {
    // After the first start this process has a mount namespace of its own, with which the mount below vanishes.
    fixture.sh("true").ok();
    let lower = source(fixture);
    for name in ["upper", "work", "merged"] {
        std::fs::create_dir(fixture.path().join(name)).unwrap();
    }
    chown(fixture.path().join("upper"), Some(1234), Some(2345)).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        fixture.path().join("upper").display(),
        fixture.path().join("work").display()
    );
    let merged = fixture.path().join("merged");
    let mount =
        std::process::Command::new("mount").args(["-t", "overlay", "kiln-test", "-o", &options]).arg(&merged).status();
    assert!(mount.unwrap().success());
    let before = tree(&merged);
    let mut spec = fixture.spec(
        "cd /src; stat -c '%n %u:%g %a' . a sub/deep/c other roots; cat a link; echo x >> a; rm other; cat /src/a; \
         touch /ro/x 2>/dev/null; ls /ro/a",
    );
    spec.volumes.push(volume(&merged, "/src", Access::CopyOnWrite));
    spec.volumes.push(volume(&merged, "/ro", Access::ReadOnly));
    let outcome = fixture.run(spec);
    let expected = ". 0:0 755\na 0:0 640\nsub/deep/c 0:0 640\nother 4321:4321 640\nroots 1234:2345 640\nABAx\n/ro/a\n";
    assert_eq!(outcome.stdout, expected, "{}", outcome.stderr);
    for word in ["was copied", "belong to nobody"] {
        assert!(outcome.notices.iter().any(|notice| notice.contains(word)), "{:?}", outcome.notices);
    }
    assert_eq!(tree(&merged), before);
    let mut spec = fixture.spec("true");
    spec.volumes.push(volume(&merged, "/rw", Access::ReadWrite));
    let error = fixture.start(spec).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("map the owners"), "{error}");
    assert!(std::process::Command::new("umount").arg(&merged).status().unwrap().success());
}

fn read_only(fixture: &Fixture) {
    let source = source(fixture);
    let before = tree(&source);
    let mut spec = fixture.spec(
        "cat /ro/a /file; stat -c %u:%g /ro/a /file; for c in 'echo x > /ro/a' 'touch /ro/new' 'rm /ro/a' 'chmod 0 /ro/a' \
         'echo x > /file' 'mount -o remount,rw /ro'; do sh -c \"$c\" 2>/dev/null && echo \"allowed: $c\"; done; \
         (echo x > /ro/new)",
    );
    spec.volumes.push(volume(&source, "/ro", Access::ReadOnly));
    spec.volumes.push(volume(&source.join("a"), "/file", Access::ReadOnly));
    let outcome = fixture.run(spec);
    assert_eq!(outcome.stdout, "AA0:0\n0:0\n");
    assert!(outcome.stderr.contains("Read-only file system"), "{outcome:?}");
    assert_eq!(tree(&source), before);
}

fn read_write(fixture: &Fixture) {
    let source = source(fixture);
    let mut spec = fixture.spec(
        "cd /rw; echo changed > a; echo new > new; mkdir d; chown 5 new 2>/dev/null && echo 'gave away'; \
         stat -c %u:%g a new d; stat -c %u other; cat other 2>/dev/null; mknod null c 1 3 2>/dev/null; test -e null; echo $?",
    );
    spec.volumes.push(volume(&source, "/rw", Access::ReadWrite));
    // What belongs to others is nobody's, and not readable in spite of being root.
    assert_eq!(fixture.run(spec).ok(), "0:0\n0:0\n0:0\n65534\n1\n");
    assert_eq!(std::fs::read_to_string(source.join("a")).unwrap(), "changed\n");
    for name in ["a", "new", "d"] {
        let meta = std::fs::metadata(source.join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 2345), "{name}");
    }
}

fn host_image(fixture: &Fixture) {
    let secret = fixture.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let mut hidden: Vec<String> =
        ["/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/root/.ssh", "/root/.bashrc", "/root/.npmrc"]
            .map(str::to_owned)
            .into();
    hidden.extend(
        ["/run/kiln", "/run/docker.sock", "/var/lib/kiln", "/var/log/dpkg.log", "/proc/1/root/etc/shadow"]
            .map(Into::into),
    );
    hidden.push(secret.display().to_string());
    hidden.push(std::env::current_exe().unwrap().display().to_string());
    let script = format!(
        "for f in {}; do test -e $f && echo visible: $f; done; head -1 /etc/passwd | cut -d: -f1; \
         ls -A /home /srv /mnt /media /tmp /var/tmp /var/log | grep -v ':$' | tr -d '\\n'; \
         stat -c %a /tmp /var/tmp; dpkg-query -W -f '${{Status}}\\n' dpkg 2>/dev/null || echo no dpkg",
        hidden.join(" ")
    );
    let output = fixture.sh(&script).ok();
    let dpkg = if Path::new("/var/lib/dpkg").exists() { "install ok installed" } else { "no dpkg" };
    assert_eq!(output, format!("root\n1777\n1777\n{dpkg}\n"));
    // Each path below /etc that others may not read is absent, and all others are there.
    let listing = fixture.sh("cd /etc; find . -mindepth 1 | sort").ok();
    let inside: Vec<&str> = listing.lines().collect();
    let mut closed: Vec<PathBuf> = Vec::new();
    for (path, facts) in tree_modes(Path::new("/etc")) {
        let relative = format!("./{}", path.strip_prefix("/etc").unwrap().display());
        let (link, dir, mode) = facts;
        let open = link || mode & if dir { 0o5 } else { 0o4 } == if dir { 0o5 } else { 0o4 };
        let below_closed = closed.iter().any(|parent| path.starts_with(parent));
        if !open {
            closed.push(path);
        }
        assert_eq!(inside.contains(&relative.as_str()), open && !below_closed, "{relative}");
    }
    assert!(!closed.is_empty(), "this machine has no secrets, so nothing was tested");
}

/// Paths in order with (is a link, is a directory, mode).
fn tree_modes(root: &Path) -> BTreeMap<PathBuf, (bool, bool, u32)> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                todo.push(path.clone());
            }
            all.insert(path, (meta.is_symlink(), meta.is_dir(), meta.mode()));
        }
    }
    all
}

fn host_changes(fixture: &Fixture) {
    let marker = format!("kiln-marker-{}", std::process::id());
    let script = format!(
        "set -e; echo x > /usr/bin/{marker}; echo x > /etc/{marker}; echo x > /opt/{marker}; mkdir /{marker}; \
         echo '# {marker}' >> /etc/passwd; echo '# {marker}' >> /usr/lib/os-release; rm /usr/bin/env; rm -r /usr/share/doc; \
         mkdir /usr/share/doc; ls -A /usr/share/doc; echo done"
    );
    assert_eq!(fixture.sh(&script).ok(), "done\n");
    for path in ["/usr/bin", "/etc", "/opt", "/"] {
        assert!(!Path::new(path).join(&marker).exists());
    }
    assert!(Path::new("/usr/bin/env").exists() && Path::new("/usr/share/doc").read_dir().unwrap().count() > 0);
    for path in ["/etc/passwd", "/usr/lib/os-release"] {
        assert!(!std::fs::read_to_string(path).unwrap().contains(&marker));
    }
    // And a second sandbox begins anew.
    assert_eq!(fixture.sh(&format!("test -e /etc/{marker} || test ! -e /usr/bin/env || echo clean")).ok(), "clean\n");
}

/// An image with a shell: the host's, with the libraries that it needs.
pub(crate) fn shell_layer(fixture: &Fixture, name: &str) -> PathBuf {
    let dir = fixture.path().join(name);
    let libraries = std::process::Command::new("ldd").arg("/bin/sh").output().unwrap();
    let libraries = String::from_utf8(libraries.stdout).unwrap();
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    for path in paths.chain(["/bin/sh"]) {
        let target = dir.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(path, target).unwrap();
    }
    dir
}

fn layers(fixture: &Fixture) {
    let name = fixture.id();
    let bottom = shell_layer(fixture, &format!("{name}/bottom"));
    let (middle, top) = (fixture.path().join(&name).join("middle"), fixture.path().join(&name).join("top"));
    for (layer, name, text) in [
        (&bottom, "one", "bottom"),
        (&bottom, "two", "bottom"),
        (&bottom, "gone", "bottom"),
        (&middle, "one", "middle"),
        (&middle, "three", "middle"),
        (&top, "one", "top"),
    ] {
        std::fs::create_dir_all(layer).unwrap();
        std::fs::write(layer.join(name), text).unwrap();
    }
    chown(bottom.join("two"), Some(33), Some(33)).unwrap();
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, top.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let before: Vec<_> = [&bottom, &middle, &top].map(|layer| tree(layer)).into();
    let mut spec = fixture.spec(
        "read x < /one; read y < /two; read z < /three; echo $x $y $z; test -e /gone || echo whited out; \
         test -O /one && echo mine; test -O /two || echo others; echo changed > /three; echo /proc/[0-9]* /sys/kernel /dev/null; \
         read h < /etc/hostname; echo $h",
    );
    spec.root = RootFs::Layers(vec![bottom.clone(), middle.clone(), top.clone()]);
    spec.process.cwd = "/".into();
    let outcome = fixture.run(spec);
    let expected = "top bottom middle\nwhited out\nmine\nothers\n/proc/1 /sys/kernel /dev/null\nkiln-test\n";
    assert_eq!(outcome.stdout, expected, "{}", outcome.stderr);
    assert_eq!([&bottom, &middle, &top].map(|layer| tree(layer)).as_slice(), before);
}

fn overlay_ways(fixture: &Fixture) {
    for by_path in [true, false] {
        kiln_engine::force_overlays_by_path(by_path);
        layers(fixture);
        copy_on_write(fixture);
        std::fs::remove_dir_all(fixture.path().join("source")).unwrap();
        // Characters that one string of paths must escape.
        let strange = fixture.path().join("a:b\\c,d e");
        std::fs::create_dir_all(&strange).unwrap();
        std::fs::write(strange.join("f"), "strange\n").unwrap();
        let mut spec = fixture.spec("cat /strange/f");
        spec.volumes.push(volume(&strange, "/strange", Access::CopyOnWrite));
        assert_eq!(fixture.run(spec).ok(), "strange\n");
    }
}

fn hostile_image(fixture: &Fixture) {
    let base = shell_layer(fixture, "base");
    for (name, link) in [("dev", "/etc"), ("proc", "tmp"), ("sys", "/")] {
        let layer = fixture.path().join(format!("evil-{name}"));
        std::fs::create_dir_all(layer.join("etc")).unwrap();
        symlink(link, layer.join(name)).unwrap();
        let mut spec = fixture.spec("exit 0");
        spec.root = RootFs::Layers(vec![base.clone(), layer]);
        let id = spec.id.clone();
        match fixture.start(spec).map(|_| ()) {
            Err(EngineError::Image(text)) => assert!(text.contains(&format!("/{name} is a symbolic link")), "{text}"),
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
    }
    let layer = fixture.path().join("evil-file");
    std::fs::create_dir_all(&layer).unwrap();
    std::fs::write(layer.join("dev"), "").unwrap();
    let mut spec = fixture.spec("exit 0");
    spec.root = RootFs::Layers(vec![base, layer]);
    assert!(matches!(fixture.start(spec).map(|_| ()), Err(EngineError::Image(_))));
}

fn links_out(fixture: &Fixture) {
    let base = shell_layer(fixture, "base");
    let outside = fixture.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let before = tree(&outside);
    let layer = fixture.path().join("layer");
    std::fs::create_dir_all(layer.join("real")).unwrap();
    std::fs::create_dir_all(layer.join("etc")).unwrap();
    symlink(format!("../../../../../..{}", outside.display()), layer.join("escape")).unwrap();
    symlink(&outside, layer.join("absolute")).unwrap();
    symlink("/real", layer.join("inner")).unwrap();
    // Where Kiln itself writes.
    symlink(outside.join("resolv.conf"), layer.join("etc/resolv.conf")).unwrap();
    symlink("/proc/self/root/tmp/hosts", layer.join("etc/hosts")).unwrap();
    let source = fixture.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("f"), "content").unwrap();
    let start = |target: &str, script: &str| {
        let mut spec = fixture.spec(script);
        spec.root = RootFs::Layers(vec![base.clone(), layer.clone()]);
        spec.process.cwd = "/".into();
        spec.volumes.push(volume(&source, target, Access::ReadWrite));
        fixture.start(spec)
    };
    let inner = start("/inner/x", "read x < /real/x/f; echo $x; read y < /etc/hosts; echo $y").unwrap();
    assert_eq!(inner.finish(&fixture.disks()).ok(), "content\n127.0.0.1 localhost\n");
    for target in ["/escape/x", "/absolute/x"] {
        // The link leads nowhere inside.
        match start(target, "exit 0").map(|_| ()) {
            Err(EngineError::Image(text)) => assert!(text.contains("link to nothing"), "{text}"),
            other => panic!("{target}: {other:?}"),
        }
    }
    assert_eq!(tree(&outside), before);
    assert!(!Path::new("/tmp/hosts").exists());
}

fn tools(fixture: &Fixture) {
    let mut missing = Vec::new();
    for (tool, args) in [
        ("python3", "-c 'print(6*7)'"),
        ("cargo", "--version"),
        ("go", "version"),
        ("node", "-e 'console.log(6*7)'"),
        ("mvn", "--version"),
        ("git", "--version"),
        ("cc", "--version"),
    ] {
        let on_host = std::process::Command::new("sh").args(["-c", &format!("{tool} {args}")]).output().unwrap();
        if !on_host.status.success() {
            missing.push(tool);
            continue;
        }
        let outcome = fixture.sh(&format!("{tool} {args}"));
        assert_eq!(outcome.exit, Exit::Code(0), "{tool}: {outcome:?}");
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        assert_eq!(first(&outcome.stdout), first(&String::from_utf8_lossy(&on_host.stdout)), "{tool}");
    }
    // The notice about tools below homes is there exactly if there are some.
    let mut spec = fixture.spec("");
    spec.process.argv = ["/bin/sh", "-c", "echo $PATH"].map(cstring).into();
    let outcome = fixture.run(spec);
    let below_home = outcome.stdout.split(':').any(|dir| dir.starts_with("/root/") || dir.starts_with("/home/"));
    assert_eq!(outcome.notices.iter().any(|notice| notice.contains("visible in the build")), below_home, "{outcome:?}");
    if missing.len() > 5 && fixture.kind == Kind::Native {
        crate::skip(&format!("this machine lacks {}", missing.join(", ")));
    }
}
