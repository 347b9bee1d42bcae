//! Where container engines inside keep their images: on the build disk itself, or in a store that sandboxes pass on.

use std::{fs::File, os::unix::fs::symlink, path::PathBuf};

use kiln_engine::{Disk, RootFs, SandboxSpec, container_store};
use rustix::fs::FlockOperation;

use crate::{BOTH, Case, files::shell_layer, fixture::Fixture};

pub(crate) const CASES: &[Case] = &[
    Case { name: "container_stores_are_no_overlays", kinds: BOTH, run: plain },
    Case { name: "a_container_store_is_passed_on", kinds: BOTH, run: passed_on },
    Case { name: "a_container_store_is_used_by_one_and_only_while_it_is_whole", kinds: BOTH, run: one_and_whole },
    Case { name: "container_stores_are_pruned_by_last_use", kinds: BOTH, run: pruned },
];

/// Reads the type of what is mounted there, and writes.
const LOOK: &str =
    "while read -r device on kind rest; do case $on in /var/lib/*) echo $on $kind;; esac; done < /proc/mounts; ";

fn privileged(fixture: &Fixture, script: &str) -> SandboxSpec {
    let mut spec = fixture.spec(script);
    spec.root = RootFs::Layers(vec![shell_layer(fixture, &format!("{}-layer", spec.id))]);
    spec.process.cwd = "/".into();
    spec.privileged = true;
    spec
}

fn store(fixture: &Fixture, name: &str) -> Disk {
    let disk = fixture.spec("").disk;
    Disk { dir: fixture.path().join("stores").join(name), bytes: 64 << 20, ..disk }
}

fn with_store(fixture: &Fixture, name: &str, script: &str) -> SandboxSpec {
    let mut spec = privileged(fixture, script);
    spec.container_store = Some(store(fixture, name));
    spec
}

fn plain(fixture: &Fixture) {
    let outcome = fixture.run(privileged(fixture, &format!("{LOOK} echo x > /var/lib/docker/f")));
    let expected = "/var/lib/docker ext4\n/var/lib/containerd ext4\n/var/lib/containers ext4\n";
    assert_eq!(outcome.ok(), expected);
    // What the image has there is seen; what a link leads to is the host's business.
    let mut spec = privileged(fixture, &format!("{LOOK} read x < /var/lib/docker/f; echo $x"));
    let RootFs::Layers(layers) = &spec.root else { unreachable!() };
    let layer = fixture.path().join("filled");
    std::fs::create_dir_all(layer.join("var/lib/docker")).unwrap();
    std::fs::write(layer.join("var/lib/docker/f"), "of the image\n").unwrap();
    symlink("/etc", layer.join("var/lib/containers")).unwrap();
    spec.root = RootFs::Layers(layers.iter().cloned().chain([layer]).collect());
    spec.container_store = Some(store(fixture, "of-nobody"));
    let outcome = fixture.run(spec);
    assert!(outcome.notices.iter().any(|notice| notice.contains("of its own there")), "{:?}", outcome.notices);
    let seen = outcome.ok();
    assert!(seen.ends_with("of the image\n") && !seen.contains("/var/lib/docker "), "{seen}");
    let mut ordinary = privileged(fixture, &format!("{LOOK} echo nothing"));
    ordinary.privileged = false;
    assert_eq!(fixture.run(ordinary).ok(), "nothing\n");
}

fn passed_on(fixture: &Fixture) {
    let script = "read -r x < /var/lib/docker/f || x=none; echo $x; echo $1 > /var/lib/docker/f; test -O /var/lib/docker/f && echo mine";
    let run = |word: &str| {
        let outcome = fixture.run(with_store(fixture, "a", &script.replace("$1", word)));
        assert_eq!(
            outcome.notices.iter().filter(|notice| notice.contains("layers")).count(),
            0,
            "{:?}",
            outcome.notices
        );
        outcome.ok()
    };
    assert_eq!(run("first"), "none\nmine\n");
    assert_eq!(run("second"), "first\nmine\n");
    let mut running = fixture.start(with_store(fixture, "a", "read -r x < /var/lib/docker/f; echo $x")).unwrap();
    running.wait();
    assert!(running.sandbox.has_container_store());
    running.sandbox.forget_container_store();
    assert_eq!(running.finish(&fixture.disks()).ok(), "second\n");
    assert_eq!(run("third"), "none\nmine\n");
    // Who fills it leaves nothing.
    let fill = "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789 || break; done \
        > /var/lib/docker/big 2> /dev/null; echo full";
    assert_eq!(fixture.run(with_store(fixture, "a", fill)).ok(), "full\n");
    assert_eq!(run("fourth"), "none\nmine\n");
}

fn one_and_whole(fixture: &Fixture) {
    let waits = "echo x > /var/lib/docker/f; echo started; read -r for_ever < /dev/ptmx";
    let first = fixture.start(with_store(fixture, "a", waits)).unwrap();
    first.expect("started");
    let second = fixture.run(with_store(fixture, "a", "test -e /var/lib/docker/f || echo empty"));
    assert!(
        second.notices.iter().any(|notice| notice.contains("another build of this project uses them")),
        "{:?}",
        second.notices
    );
    assert_eq!(second.ok(), "empty\n");
    first.sandbox.kill();
    first.finish(&fixture.disks());
    // The machine went down while it was mounted: the file system says so in its first block.
    let dir = store(fixture, "a").dir;
    let image = File::options().write(true).open(dir.join("disk.img")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&image, &[0, 0], 1024 + 0x3a).unwrap();
    drop(image);
    let script = "test -e /var/lib/docker/f || echo empty; echo new > /var/lib/docker/f";
    assert_eq!(fixture.run(with_store(fixture, "a", script)).ok(), "empty\n");
    // What nobody can read is no reason not to build.
    std::fs::write(dir.join("disk.json"), "{").unwrap();
    assert_eq!(fixture.run(with_store(fixture, "a", script)).ok(), "empty\n");
    let mut host = fixture.spec("echo built");
    host.privileged = true;
    host.container_store = Some(store(fixture, "a"));
    let outcome = fixture.run(host);
    assert!(outcome.notices.iter().any(|notice| notice.contains("'host' has none")), "{:?}", outcome.notices);
    let mut ordinary = with_store(fixture, "a", "echo built");
    ordinary.privileged = false;
    assert_eq!(fixture.run(ordinary).ok(), "built\n");
}

fn pruned(fixture: &Fixture) {
    let stores = fixture.path().join("stores");
    assert!(container_store::list(&stores).unwrap().is_empty());
    for name in ["old", "middle", "new"] {
        fixture.run(with_store(fixture, name, "echo x > /var/lib/docker/f")).ok();
    }
    let names = || -> Vec<String> {
        let list = container_store::list(&stores).unwrap();
        list.iter().map(|kept| kept.dir.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(), ["new", "middle", "old"]);
    let sizes: Vec<u64> = container_store::list(&stores).unwrap().iter().map(|kept| kept.bytes).collect();
    assert_eq!(container_store::prune(&stores, sizes.iter().sum()).unwrap(), 0);
    assert_eq!(container_store::prune(&stores, sizes.iter().take(2).sum()).unwrap(), 1);
    assert_eq!(names(), ["new", "middle"]);
    let lock: PathBuf = stores.join("new.lock");
    let lock = File::options().write(true).open(lock).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    assert_eq!(container_store::prune(&stores, 0).unwrap(), 1);
    assert_eq!(names(), ["new"]);
    assert!(!container_store::remove(&stores.join("new")).unwrap());
    drop(lock);
    assert!(container_store::remove(&stores.join("new")).unwrap());
    assert_eq!(names(), Vec::<String>::new());
}
