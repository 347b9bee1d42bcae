//! Docker in a build (`buildspec.md` 10.5, 13.3): the daemon in the build's own container, in an image made of this machine's
//! Docker.

use std::{fs, path::Path, process::Command};

use crate::{
    environments::tarball,
    project::{Outcome, Project, not_root},
};

/// Programs that a daemon needs, and what the builds below do.
const PROGRAMS: &str = "dockerd docker containerd containerd-shim-runc-v2 ctr runc docker-init docker-proxy iptables ip6tables \
    tar mkdir sleep tail nohup cp rm grep ps kill timeout mount ldd sort dirname bash";

/// Imports the image `docker:1`; `entry_point`: with the one of AWS's images. False: this machine has no Docker.
fn image(project: &Project, entry_point: bool, also: &str) -> bool {
    for program in ["/usr/sbin/dockerd", "/usr/bin/docker"] {
        if !Path::new(program).exists() {
            println!("skipped: {program} is not installed (Debian: docker.io)");
            return false;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    // Without networks: a daemon that has them needs more of the machine's programs.
    let make = format!(
        "export PATH=$PATH:/usr/sbin:/sbin; mkdir -p etc/docker var/lib run; ln -s ../run var/run; \
         echo '{{\"bridge\": \"none\", \"iptables\": false}}' > etc/docker/daemon.json; \
         for tool in {PROGRAMS}; do path=$(command -v $tool) || continue; case $path in /*) cp -L $path bin/;; esac; done; \
         for lib in $(ldd bin/* 2>/dev/null | grep -o '/[^ :]*' | grep '^/.*/' | grep -v '^/bin/' | sort -u); do \
         mkdir -p .$(dirname $lib); test -e .$lib || cp -L $lib .$lib; done; \
         printf '#!/bin/sh\\nexec \"$@\"\\n' > bin/dockerd-entrypoint.sh; chmod 755 bin/dockerd-entrypoint.sh; {also}"
    );
    let layer = tarball(dir.path(), &make);
    let archive = dir.path().join("docker.tar");
    let entry_point = if entry_point { "/bin/dockerd-entrypoint.sh" } else { "/bin/sh" };
    let packed = Command::new("python3").args(["-c", PACK]).args([&layer, &archive]).arg(entry_point).status().unwrap();
    assert!(packed.success());
    let import = ["image", "import", archive.to_str().unwrap(), "--format", "image"];
    let import = project.kiln(&import).output().unwrap();
    assert!(import.status.success(), "{import:?}");
    true
}

/// Makes an archive of `docker save`.
const PACK: &str = r#"
import hashlib, io, json, sys, tarfile
layer, archive, entry_point = sys.argv[1:]
with open(layer, "rb") as file:
    digest = hashlib.file_digest(file, "sha256").hexdigest()
config = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "Entrypoint": [entry_point]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
}
with tarfile.open(archive, "w") as tar:
    def add(name, document):
        data = json.dumps(document).encode()
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    add("manifest.json", [{"Config": "config.json", "RepoTags": ["docker:1"], "Layers": ["layer.tar"]}])
    add("config.json", config)
    tar.add(layer, "layer.tar")
"#;

/// An image with a shell, and one made of it.
const BUILD: [&str; 4] = [
    "mkdir -p r/bin; cp /bin/sh /bin/cat r/bin/; for lib in $(ldd /bin/sh /bin/cat | grep -o '/[^ :]*' | sort -u); do \
     mkdir -p r$(dirname $lib); cp $lib r$lib; done",
    "docker image inspect base > /dev/null 2>&1 || tar -C r -c . | docker import - base > /dev/null",
    "mkdir c; printf 'FROM base\\nRUN echo made > /file\\nCMD [\"/bin/cat\", \"/file\"]\\n' > c/Dockerfile; \
     DOCKER_BUILDKIT=0 docker build --network none -t made c",
    "docker run --rm --network none --memory 50m made",
];

const PRIVILEGED: [&str; 3] = ["--image", "docker:1", "--privileged"];

fn is_cached(outcome: &Outcome) -> bool {
    outcome.log.contains("---> Using cache")
}

#[test]
fn a_privileged_build_runs_docker_with_the_layers_of_the_one_before() {
    if not_root() {
        return;
    }
    let project = Project::commands(&BUILD);
    if !image(&project, true, "") {
        return;
    }
    let first = project.run(&PRIVILEGED).expect(0);
    first.expect_line("made");
    assert!(!is_cached(&first), "{}", first.log);
    let second = project.run(&PRIVILEGED).expect(0);
    second.expect_line("made");
    assert!(is_cached(&second), "{}", second.log);

    let listed = |args: &[&str]| String::from_utf8(project.kiln(args).output().unwrap().stdout).unwrap();
    let list = listed(&["cache", "ls"]);
    let line = list.lines().find(|line| line.ends_with("/var/lib/docker")).unwrap_or_else(|| panic!("{list}"));
    let removed = listed(&["cache", "rm", line.split(' ').next().unwrap()]);
    assert!(removed.starts_with("Removed 1 cache, "), "{removed}");
    assert!(!is_cached(&project.run(&PRIVILEGED).expect(0)));
    assert!(!is_cached(&project.run(&["--image", "docker:1", "--privileged", "--no-cache"]).expect(0)));
}

#[test]
fn without_privileged_mode_there_is_no_daemon() {
    if not_root() {
        return;
    }
    let project = Project::commands(&["docker version || echo none"]);
    if !image(&project, true, "") {
        return;
    }
    let outcome = project.run(&["--image", "docker:1"]).expect(0);
    outcome.expect_line("none").expect_text("Cannot connect to the Docker daemon");
    assert!(!project.data().join("layers").exists());
}

#[test]
fn in_an_image_of_ones_own_the_buildspec_starts_the_daemon() {
    if not_root() {
        return;
    }
    // As AWS's documentation has it, without the port.
    let start = [
        "test ! -e /var/run/docker.sock",
        "nohup dockerd --host=unix:///var/run/docker.sock --storage-driver=overlay2 > /tmp/log 2>&1 &",
        "timeout 60 sh -c 'until docker info > /dev/null 2>&1; do sleep 0.1; done' || { cat /tmp/log; exit 1; }",
    ];
    let project = Project::commands(&[&start[..], &BUILD[..]].concat());
    if !image(&project, false, "") {
        return;
    }
    project.run(&PRIVILEGED).expect(0).expect_line("made");
    assert!(is_cached(&project.run(&PRIVILEGED).expect(0)));
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_the_build_goes_on() {
    if not_root() {
        return;
    }
    let project = Project::commands(&["echo built; env | grep KILN_DOCKER || echo clean"]);
    if !image(&project, true, "echo 'no JSON' > etc/docker/daemon.json") {
        return;
    }
    let outcome = project.run(&PRIVILEGED).expect(0);
    outcome.expect_line("built").expect_line("clean").expect_text("unable to configure the Docker daemon");
    outcome.expect_text("Timed out trying to connect to internal docker host: no answer from it. Its log, ");
    // What it could not start with is not there for the next one.
    let left = fs::read_dir(project.data().join("layers")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(left.filter(|path| path.is_dir()).count(), 0);
}
