//! Nothing of an ended build may stay on the machine: I4.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::Violation;

/// Where things carry a build's id.
const CGROUPS: &str = "/sys/fs/cgroup";

/// True when it is a build of the service, known by its lifeline, whose runner lives: it holds the lock.
pub(crate) fn runs_in_service(dir: &Path) -> bool {
    dir.join("control").exists()
        && File::open(dir.join("lock"))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Checks that nothing on the machine carries the build's id.
pub(crate) fn check(id: &str, dir: &Path) -> io::Result<Vec<Violation>> {
    let mut seen = Vec::new();
    for (pid, path) in processes()? {
        if is_zombie(&path) {
            continue;
        }
        let Ok(command) = fs::read(path.join("cmdline")) else { continue };
        if contains(&command, id) && !contains(&command, "kiln-check") {
            seen.push(format!("process {pid}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
        if fs::read_to_string(path.join("cgroup")).is_ok_and(|text| text.contains(id)) {
            seen.push(format!("process {pid} is in a cgroup of the build"));
        }
        if fs::read_to_string(path.join("mountinfo")).is_ok_and(|text| text.contains(id)) {
            seen.push(format!("process {pid} sees a mount of the build"));
        }
    }
    for cgroup in directories_named(Path::new(CGROUPS), id, 4)? {
        seen.push(format!("cgroup {}", cgroup.display()));
    }
    for backing in loop_files()? {
        if backing.contains(id) {
            seen.push(format!("loop device on {backing}"));
        }
    }
    // A build's directory stays only when its file system is kept; its secrets' job file then stays with it.
    let name = dir.parent().and_then(Path::file_name);
    if name.is_some_and(|n| n == "builds") && !dir.join("disk").exists() {
        seen.push(format!("directory {}", dir.display()));
    }
    Ok(seen.into_iter().map(|what| Violation { invariant: "I4", build: id.to_owned(), what }).collect())
}

/// Network interfaces of builds that no process uses any more, and temporary files in the data directory.
pub(crate) fn check_strays(data: &Path) -> io::Result<Vec<Violation>> {
    let mut seen = Vec::new();
    let runners = processes()?
        .into_iter()
        .any(|(_, path)| fs::read(path.join("cmdline")).is_ok_and(|c| contains(&c, "runner") && contains(&c, "kiln")));
    if !runners {
        for interface in fs::read_dir("/sys/class/net")? {
            let name = interface?.file_name().to_string_lossy().into_owned();
            if name.starts_with("kiln") {
                seen.push(format!("network interface {name} without a runner"));
            }
        }
    }
    let trash = data.join("builds");
    if trash.is_dir() {
        for entry in fs::read_dir(trash)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(".trash") && !runners {
                seen.push(format!("{name} is left in builds/"));
            }
        }
    }
    Ok(seen.into_iter().map(|what| Violation { invariant: "I4", build: String::new(), what }).collect())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len().max(1)).any(|w| w == text.as_bytes())
}

/// A process that has ended and waits for its parent, which is not ours, to notice.
fn is_zombie(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("stat")).unwrap_or_default();
    status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

pub(crate) fn processes() -> io::Result<Vec<(u32, PathBuf)>> {
    let own = std::process::id();
    Ok(fs::read_dir("/proc")?
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(pid, _)| *pid != own)
        .collect())
}

fn directories_named(root: &Path, id: &str, depth: u32) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![(root.to_owned(), 0)];
    while let Some((dir, level)) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type()?.is_dir() {
                continue;
            }
            if entry.file_name().to_string_lossy().contains(id) {
                found.push(entry.path());
            } else if level < depth {
                todo.push((entry.path(), level + 1));
            }
        }
    }
    Ok(found)
}

fn loop_files() -> io::Result<Vec<String>> {
    Ok(fs::read_dir("/sys/block")?
        .filter_map(Result::ok)
        .filter_map(|entry| fs::read_to_string(entry.path().join("loop/backing_file")).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_build_of_the_service_is_no_leftover() {
        let data = tempfile::tempdir().unwrap();
        let build = data.path().join("builds/5eed5eed-1111-4222-8333-444455556666");
        fs::create_dir_all(&build).unwrap();
        fs::write(build.join("control"), "").unwrap();
        fs::write(build.join("lock"), "").unwrap();
        assert!(!runs_in_service(&build));
        let lock = File::open(build.join("lock")).unwrap();
        lock.lock().unwrap();
        assert!(runs_in_service(&build));
        fs::remove_file(build.join("control")).unwrap();
        assert!(!runs_in_service(&build), "a build of kiln run ends with it");
    }
}
