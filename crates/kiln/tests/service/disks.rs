//! A disk that is full, or may not be written: fault test 9 (a, b, e) of `reliability.md`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    client::{Fault, accepted, buildspec, project},
    server::{Server, not_root, wait_for},
};

/// A small file system in a file; unmounted at the end.
pub(crate) struct SmallDisk {
    _work: TempDir,
    mount: PathBuf,
}

impl SmallDisk {
    /// With this many MiB, and an inode for each so many bytes.
    pub(crate) fn new(mib: u32, bytes_per_inode: u32) -> Self {
        let work = TempDir::new().unwrap();
        let (image, mount) = (work.path().join("image"), work.path().join("mount"));
        fs::create_dir(&mount).unwrap();
        run(Command::new("truncate").args(["-s", &format!("{mib}M")]).arg(&image));
        // No blocks for root alone: the service runs as root here.
        let inodes = bytes_per_inode.to_string();
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-i", &inodes]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &mount]));
        run(Command::new("chmod").arg("0711").arg(&mount));
        Self { _work: work, mount }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.mount.join("data")
    }

    /// Takes all space that is left.
    pub(crate) fn fill(&self) {
        let free = rustix::fs::statvfs(&self.mount).unwrap();
        let ballast = self.mount.join("ballast");
        // In the end by single blocks.
        for bytes in [free.f_bavail * free.f_frsize, 1 << 20, 64 << 10, 4 << 10] {
            let mut n = 0;
            while Command::new("fallocate")
                .args(["-l", &bytes.to_string()])
                .arg(ballast.with_extension(format!("{bytes}-{n}")))
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
            {
                n += 1;
            }
        }
    }

    /// Takes all names that are left.
    fn fill_inodes(&self) {
        fs::create_dir_all(self.mount.join("names")).unwrap();
        let mut n = 0u32;
        while fs::write(self.mount.join(format!("names/{n}")), "").is_ok() {
            n += 1;
        }
    }

    pub(crate) fn free(&self) {
        fs::remove_dir_all(self.mount.join("names")).ok();
        for entry in fs::read_dir(&self.mount).unwrap().filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with("ballast") {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Detached at once, gone when its last user is.
        Command::new("umount").arg("-l").arg(&self.mount).status().ok();
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Runs through a time without space: what is asked for is refused clearly, what runs goes on or ends with a cause, and
/// all is well when there is space again, without anybody doing anything. At most so many changes are tried.
fn survives(disk: &SmallDisk, changes: usize, fill: impl Fn(&SmallDisk)) {
    fs::create_dir(disk.data()).unwrap();
    let mut server = Server::prepare(&disk.data(), &[("KILN_NETWORK_MODE", "none")]);
    server.run();
    let client = server.client();
    client.project("full", &["i=0; while [ $i -lt 300 ]; do echo count $i; i=$((i+1)); sleep 0.01; done"]);
    let before = client.start_build("full");
    wait_for("output", || {
        let page = client.kiln("GetBuildLog", &json!({ "id": crate::client::id(&before) })).ok()?;
        page["lines"].as_array()?.iter().any(|l| l["text"] == "count 1").then_some(())
    });
    fill(disk);

    let refused_clearly = |fault: Fault| match fault {
        Fault::Refused { code, message, status } => {
            assert!(status < 500 || status == 503, "{status} {code}: {message}");
            assert!(message.contains("full") || message.contains("space"), "{code}: {message}");
        }
        Fault::Lost(e) => panic!("the server is gone: {e}\n{}", server.log()),
    };
    let mut input = project("other", &buildspec(&["true"]));
    input["description"] = json!("x".repeat(255));
    // A database has some room of its own; then it says no, and never that it was done when it was not.
    let mut made = Vec::new();
    for n in 0..changes {
        input["name"] = json!(format!("other-{n}"));
        match client.call("CreateProject", &input) {
            Ok(_) => made.push(json!(format!("other-{n}"))),
            Err(fault) => {
                refused_clearly(fault);
                break;
            }
        }
    }
    let during = match client.call("StartBuild", &json!({ "projectName": "full" })) {
        Ok(answer) => Some(accepted(&answer["build"])),
        Err(fault) => {
            refused_clearly(fault);
            None
        }
    };
    // Reading works all the while.
    let listed = client.retried("ListProjects", &json!({}))["projects"].as_array().unwrap().len();
    assert!(listed >= 1);

    disk.free();
    wait_for("a change to be accepted", || client.call("UpdateProject", &json!({ "name": "full" })).ok());
    for names in made.chunks(100) {
        let found = client.retried("BatchGetProjects", &json!({ "names": names }));
        assert_eq!(found["projectsNotFound"], json!([]), "what was acknowledged is there");
    }
    // On, or over with a cause.
    let mut builds = vec![before];
    builds.extend(during);
    for build in &builds {
        let ended = client.finished(build);
        let status = ended["buildStatus"].as_str().unwrap();
        assert!(["SUCCEEDED", "FAULT"].contains(&status), "{ended}");
        if status == "FAULT" {
            let text = ended.to_string().to_lowercase();
            assert!(text.contains("space") || text.contains("full"), "{ended}");
        }
    }
    let after = client.start_build("full");
    assert_eq!(client.finished(&after)["buildStatus"], "SUCCEEDED");
    builds.push(after);
    server.check(&builds);
}

#[test]
fn a_full_disk_is_said_and_survived() {
    if not_root() {
        return;
    }
    survives(&SmallDisk::new(256, 16 << 10), 2000, SmallDisk::fill);
}

#[test]
fn a_disk_without_inodes_is_survived() {
    if not_root() {
        return;
    }
    // Its database needs no new file.
    survives(&SmallDisk::new(256, 128 << 10), 10, SmallDisk::fill_inodes);
}

#[test]
fn a_directory_that_may_not_be_written_is_refused() {
    if not_root() {
        return;
    }
    let disk = SmallDisk::new(64, 16 << 10);
    fs::create_dir(disk.data()).unwrap();
    let mut server = Server::prepare(&disk.data(), &[]);
    server.run();
    let client = server.client();
    let made = client.project("kept", &["true"]);
    server.stop();
    remount(&disk.mount, "ro");
    server.launch();
    let status = server.wait();
    assert!(!status.success());
    let log = server.log();
    assert!(log.to_lowercase().contains("read-only") && log.contains(&*disk.data().to_string_lossy()), "{log}");
    remount(&disk.mount, "rw");
    server.run();
    let found = client.retried("BatchGetProjects", &json!({ "names": ["kept"] }));
    assert_eq!(found["projects"][0], made);
    server.check(&[]);
}

fn remount(mount: &Path, how: &str) {
    run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(mount));
}
