//! Images of the store, the other engine, ordinary users (issue items 4 and 7 of "The main job").

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::project::{Project, not_root};

/// A root file system with a shell and a few tools of this machine, as a tarball; `also` makes more of it, in its root.
pub(crate) fn tarball(dir: &Path, also: &str) -> PathBuf {
    let script = "set -e; cd \"$1\"; mkdir -p root bin etc tmp proc sys dev usr/lib lib lib64; \
        for tool in sh cat id ls test env; do cp \"$(command -v $tool)\" bin/ 2>/dev/null || true; done; cp /bin/sh bin/sh; \
        for lib in $(ldd bin/* 2>/dev/null | grep -o '/lib[^ :]*' | sort -u); do mkdir -p .$(dirname $lib); cp -L $lib .$lib; done; \
        echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; echo from-the-image > etc/marker; \
        eval \"$3\"; tar cf \"$2\" .";
    let root = dir.join("rootfs");
    std::fs::create_dir(&root).unwrap();
    let tar = dir.join("image.tar");
    let status = Command::new("sh").args(["-c", script, "sh"]).args([&root, &tar]).arg(also).status().unwrap();
    assert!(status.success());
    tar
}

const SPEC: &str = "version: 0.2\nenv:\n  variables:\n    A: b\nphases:\n  build:\n    commands:\n      - cat /etc/marker; echo $A > out; id -u\n      - test -f buildspec.yml\n      - exit 3\nartifacts:\n  files: [out]\n";

#[test]
fn an_imported_image_runs_the_same_on_both_engines() {
    if not_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let tar = tarball(dir.path(), "");
    let project = Project::new(SPEC);
    let import = project.kiln(&["image", "import", tar.to_str().unwrap(), "--name", "tiny:1"]).output().unwrap();
    assert!(import.status.success(), "{import:?}");
    let native = project.run(&["--image", "tiny:1"]).expect(1);
    native.expect_line("from-the-image").expect_line("0").expect_text("exit 3 exit status 3");
    if Command::new("runc").arg("--version").output().is_err() {
        eprintln!("skipped in part: runc is not installed");
        return;
    }
    let oci = project.run(&["--image", "tiny:1", "--engine", "oci"]).expect(1);
    // What the engines cannot do alike on a machine is said in lines before the first phase.
    let from = |lines: Vec<String>| {
        let start = lines.iter().position(|l| l.ends_with("Entering phase INSTALL")).unwrap();
        lines[start..].iter().filter(|l| !l.contains("discovery took")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(from(oci.lines()), from(native.lines()));
}

#[test]
fn an_image_that_is_not_here_says_how_to_get_it() {
    let outcome = Project::commands(&["true"]).run(&["--image", "nowhere/none:9"]).expect(1);
    outcome.expect_text("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    outcome.expect_text("kiln image pull nowhere/none:9");
    assert_eq!(outcome.phases()[0], "PROVISIONING FAILED");
}

#[test]
fn an_ordinary_user_runs_builds_too() {
    if not_root() {
        return;
    }
    let project = Project::commands(&["id -u; echo x > new; cat new"]);
    // What the user needs: a home for the data, the project readable, the binary where it may be executed.
    let place = tempfile::Builder::new().prefix("kiln-user-").tempdir_in("/var/tmp").unwrap();
    let kiln = place.path().join("kiln");
    // By another process: what is open for writing here, children of other tests hold open too, and it cannot be executed.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_kiln")).arg(&kiln).status().unwrap().success());
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::create_dir(place.path().join("project")).unwrap();
    std::fs::copy(project.source().join("buildspec.yml"), place.path().join("project/buildspec.yml")).unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(place.path(), 0o755);
    let nobody = 65534;
    for path in [&data, &place.path().join("project")] {
        std::os::unix::fs::chown(path, Some(nobody), Some(nobody)).unwrap();
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
        .arg(&kiln)
        .args(["run", "--network", "none"])
        .arg(place.path().join("project"))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", place.path())
        .env("KILN_DATA", &data)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}\n{messages}");
    assert!(log.lines().any(|l| l == "0"), "own id is root inside:\n{log}");
    assert!(log.contains("not enforced"), "one line names what is not enforced:\n{log}");
    assert!(!place.path().join("project/new").exists());
}
