//! What a build cannot see or do: other builds, the host, more than its share (issue "The main job", `security.md` 4).

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Stdio,
};

use kiln_model::BuildStatus;
use sha2::{Digest as _, Sha256};

use crate::project::{Project, not_root};

/// Everything that can be seen of a tree: names, owners, modes, times, contents.
fn fingerprint(dir: &Path) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            String::new()
        } else if meta.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            hex::encode(Sha256::digest(fs::read(&path).unwrap()))
        };
        let facts =
            format!("{:o} {}:{} {} {} {content}", meta.mode(), meta.uid(), meta.gid(), meta.mtime(), meta.mtime_nsec());
        seen.insert(path.display().to_string(), facts);
    }
    seen
}

#[test]
fn source_unchanged() {
    let project = Project::commands(&[
        "echo new > new.txt; echo more >> kept.txt; rm gone.txt; chmod 777 kept.txt; mkdir d; mv sub moved; ls",
    ]);
    project.file("kept.txt", "kept");
    project.file("gone.txt", "gone");
    project.file("sub/x", "x");
    std::os::unix::fs::symlink("kept.txt", project.source().join("link")).unwrap();
    let before = fingerprint(project.source());
    project.run(&[]).expect(0).expect_line("moved");
    assert_eq!(fingerprint(project.source()), before);
}

#[test]
fn in_place_writes_the_source_with_its_owner() {
    let project = Project::commands(&["echo new > new.txt"]);
    project.run(&["--in-place"]).expect(0);
    let (new, dir) = (project.source().join("new.txt"), project.source());
    assert_eq!(fs::read_to_string(&new).unwrap(), "new\n");
    assert_eq!(fs::metadata(&new).unwrap().uid(), fs::metadata(dir).unwrap().uid());
}

#[test]
fn two_builds_of_a_project_never_see_each_other() {
    let project = Project::commands(&[
        "ls -A /tmp /root /var/tmp | tee seen; test ! -e mark && test ! -e /tmp/mark && test ! -e /root/mark\ntouch mark /tmp/mark /root/mark",
    ]);
    project.run(&[]).expect(0);
    project.run(&[]).expect(0);
}

#[test]
fn image_host_hides_the_machine() {
    if not_root() {
        return;
    }
    let secret = tempfile::Builder::new().prefix("kiln-secret-").tempdir_in("/var/tmp").unwrap();
    fs::write(secret.path().join("file"), "host-only").unwrap();
    let unreadable = Path::new("/etc/kiln-test-unreadable");
    fs::write(unreadable, "host-only").unwrap();
    fs::set_permissions(unreadable, fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = Project::commands(&[&format!(
        "cat /etc/shadow {} {}/file; ls -A /home /root /srv /mnt /boot; cat /etc/passwd | head -1; ps ax | wc -l",
        unreadable.display(),
        secret.path().display()
    )])
    .run(&[]);
    fs::remove_file(unreadable).unwrap();
    let outcome = outcome.expect(0);
    assert!(!outcome.log.contains("host-only"), "{}", outcome.log);
    assert!(
        !outcome.log.lines().any(|l| l.starts_with("root:$") || l.starts_with("root:*") || l.starts_with("root:!"))
    );
    outcome.expect_line("root:x:0:0:root:/root:/bin/bash");
}

#[test]
fn host_processes_are_not_seen() {
    let outcome =
        Project::commands(&["ls /proc | grep -c '^[0-9]' ; ls /proc/1/fd; cat /proc/1/environ; echo done"]).run(&[]);
    let outcome = outcome.expect(0);
    let count: u32 = outcome.log.lines().find_map(|l| l.parse().ok()).unwrap();
    assert!(count < 10, "{}", outcome.log);
    assert!(!outcome.log.contains(&std::process::id().to_string()) || count < 10);
}

#[test]
fn private_network_reaches_no_loopback_service_of_the_host() {
    if not_root() {
        return;
    }
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let outcome = Project::commands(&[&format!(
        "for host in 127.0.0.1 $(ip -o route 2>/dev/null | awk '/default/{{print $3}}') {}; do\n  if timeout 2 bash -c \"echo > /dev/tcp/$host/{port}\" 2>/dev/null; then echo \"reached $host\"; fi\ndone\necho tried",
        host_addresses().join(" ")
    )])
    .run(&["--network", "private"])
    .expect(0);
    outcome.expect_line("tried");
    assert!(!outcome.log.lines().any(|l| l.starts_with("reached")), "{}", outcome.log);
    assert!(listener.accept().is_err());
    // The same attempt succeeds when the build shares the host's network: the test can fail.
    let shared = Project::commands(&[&format!("timeout 2 bash -c 'echo > /dev/tcp/127.0.0.1/{port}' && echo reached")])
        .run(&["--network", "host"])
        .expect(0);
    shared.expect_line("reached");
}

/// IPv4 addresses of this machine but loopback.
fn host_addresses() -> Vec<String> {
    let text = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].contains("host LOCAL"))
        .filter_map(|pair| pair[0].split_whitespace().last().map(str::to_owned))
        .filter(|address| !address.starts_with("127."))
        .collect()
}

#[test]
fn no_network_has_only_loopback() {
    let outcome = Project::commands(&["ls /sys/class/net"]).run(&["--network", "none"]).expect(0);
    outcome.expect_line("lo");
    assert!(!outcome.log.lines().any(|l| l.starts_with("eth") || l.starts_with("veth")));
}

#[test]
fn a_fork_bomb_stays_inside_its_limit() {
    if not_root() {
        return;
    }
    let outcome = Project::commands(&[
        "perl -e 'for (1..20000) { my $p = fork; if (!defined $p) { print \"refused: $!\\n\"; exit 3 } if (!$p) { sleep 1000 } }'",
    ])
    .run(&[])
    .expect(1);
    outcome.expect_line("refused: Resource temporarily unavailable");
    assert!(outcome.end().context.unwrap().message.contains("limit of processes"));
}

#[test]
fn out_of_memory_is_named() {
    if not_root() {
        return;
    }
    // More than the 4 GiB of the small type, written so that no page is shared.
    let outcome =
        Project::commands(&["python3 -c \"b = bytearray(6 << 30); print(len(b))\" || tail -c 6G /dev/zero | tail"])
            .run(&["--compute", "small"])
            .expect(1);
    let message = outcome.end().context.unwrap().message;
    assert!(message.contains("ran out of memory: the limit is 4.0 GiB, the peak was"), "{message}");
    assert_eq!(outcome.end().status, BuildStatus::Failed);
}

#[test]
fn compute_type_limits() {
    if not_root() {
        return;
    }
    let small = Project::commands(&["df -B1 --output=size / | tail -1"]).run(&["--compute", "small"]).expect(0);
    let size: u64 = small.log.lines().find_map(|l| l.trim().parse().ok()).unwrap();
    assert!((55_000_000_000..=64_000_000_000).contains(&size), "{size}");
}

#[test]
fn compute_larger_than_machine() {
    let outcome = Project::commands(&["true"]).run(&["--compute", "2xlarge"]).expect(0);
    outcome.expect_text("BUILD_GENERAL1_2XLARGE asks for 144.0 GiB of memory; this machine has");
}

#[test]
fn privileged_mounts_and_plain_does_not() {
    if not_root() {
        return;
    }
    let command = "mkdir -p /mnt/t && mount -t tmpfs none /mnt/t && echo mounted";
    Project::commands(&[command]).run(&["--privileged"]).expect(0).expect_line("mounted");
    let plain = Project::commands(&[command]).run(&[]).expect(1);
    assert!(!plain.printed("mounted"));
}

#[test]
fn twenty_builds_at_once() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - seq 1 20000 | sha256sum\n      - echo $CODEBUILD_BUILD_ID > id\nartifacts:\n  files: [id]\n",
    );
    let runs: Vec<_> = (0..20)
        .map(|_| project.run_command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let outputs: Vec<_> = runs.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for output in outputs {
        let log = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{log}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(log.contains("f6351f5ead9a700e34275480b3856ea738122a7c"), "{log}");
    }
    project.check();
}
