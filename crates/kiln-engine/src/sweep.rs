//! Finds and removes what sandboxes left whose owner was killed.
//!
//! Most of a sandbox dies with its owner: its processes by their parent-death signal, its mounts and loop device with
//! the owner's mount namespace, its interface with its network namespace. What stays is what has a name: cgroups, the
//! directory of the disk, the state of an OCI runtime, the entry in the registry.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    cgroup,
    disk::{self, Trash},
    error::EngineError,
    network, oci,
    registry::{Record, Registry},
};

/// How long processes of a dead owner's sandbox may take to disappear after they were killed.
const DEATH: Duration = Duration::from_secs(5);

/// Something that a sandbox left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What it is, e.g. `cgroup /sys/fs/cgroup/kiln/…`.
    pub what: String,
    /// Whether it is gone now; if not, why.
    pub removed: Result<(), String>,
}

/// Removes what is left of sandboxes whose owner is dead. `roots`: directories that hold disk directories
/// ([`Disk::dir`](crate::Disk::dir)). Kept disks stay. Costs next to nothing when there is nothing.
pub fn sweep(roots: &[&Path]) -> Vec<Leftover> {
    let mut found = Vec::new();
    // Before the registry is read: who makes a disk has registered first.
    let disks: Vec<PathBuf> = roots.iter().flat_map(|root| unkept_disks(root)).collect();
    let host = cgroup::Host::detect().unwrap_or_default();
    let cgroups = host.all();
    let registry = Registry::existing();
    if let Some(registry) = &registry {
        for id in registry.list() {
            match registry.orphan(&id) {
                Ok(None) => {}
                Ok(Some((record, entry))) => {
                    let before = found.len();
                    remove_sandbox(&record, &mut found);
                    let all = found.iter().skip(before).all(|leftover| leftover.removed.is_ok());
                    let removed = if all { entry.remove().map_err(|error| error.to_string()) } else { Ok(()) };
                    found.push(Leftover { what: format!("entry of sandbox {id}"), removed });
                }
                Err(error) => {
                    found.push(Leftover { what: format!("entry of sandbox {id}"), removed: Err(error.to_string()) });
                }
            }
        }
    }
    let live = registry.as_ref().map(Registry::live).unwrap_or_default();
    for (id, dir) in cgroups {
        // Of an entry that was lost. With processes it is not ours to judge: another machine's, in a container with our
        // cgroups, or another user's.
        let empty = || cgroup::processes(&dir).is_empty() && dir.exists();
        if !live.iter().any(|record| record.id == id)
            && empty()
            && cgroup::remove(std::slice::from_ref(&dir)).is_empty()
        {
            found.push(Leftover { what: format!("cgroup {}", dir.display()), removed: Ok(()) });
        }
    }
    for dir in disks {
        if !live.iter().any(|record| record.disk == dir) && dir.exists() {
            remove_disk(&dir, &mut found);
        }
    }
    for trash in roots.iter().flat_map(|root| Trash::find(root)) {
        let what = format!("directory {}", trash.path().display());
        found.push(Leftover { what, removed: trash.delete().map_err(|error| error.to_string()) });
    }
    if rustix::process::geteuid().is_root() {
        // Not by `live`: a sandbox may have started since that was read.
        match network::sweep(|id| Registry::existing().is_some_and(|registry| registry.lives(id))) {
            Ok(ids) => {
                found.extend(
                    ids.iter().map(|id| Leftover { what: format!("interface of sandbox {id}"), removed: Ok(()) }),
                );
            }
            Err(error) => {
                found.push(Leftover { what: "interfaces of sandboxes".into(), removed: Err(error.to_string()) });
            }
        }
    }
    found
}

/// Disk directories in `root` that do not outlive their sandbox.
fn unkept_disks(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let dirs = entries.flatten().map(|entry| entry.path());
    dirs.filter(|dir| matches!(disk::state(dir), Ok(Some(state)) if !state.kept)).collect()
}

fn remove_sandbox(record: &Record, found: &mut Vec<Leftover>) {
    if let Some(runtime) = &record.runtime {
        let removed = oci::delete(runtime, &record.id).map_err(|error| error.to_string());
        found.push(Leftover { what: format!("container {} of {}", record.id, runtime.display()), removed });
    }
    let cgroups: Vec<PathBuf> = record.cgroups.iter().filter(|dir| dir.exists()).cloned().collect();
    remove_cgroups(&cgroups, found);
    match disk::state(&record.disk) {
        Ok(Some(state)) if !state.kept => remove_disk(&record.disk, found),
        _ => {}
    }
}

fn remove_cgroups(dirs: &[PathBuf], found: &mut Vec<Leftover>) {
    cgroup::kill(dirs);
    let steps = 500;
    for _ in 0..steps {
        if dirs.iter().all(|dir| cgroup::processes(dir).is_empty()) {
            break;
        }
        std::thread::sleep(DEATH / steps);
    }
    let remaining = cgroup::remove(dirs);
    for dir in dirs {
        let removed = match remaining.iter().find(|left| left.starts_with(dir)) {
            None => Ok(()),
            Some(left) => Err(format!("{} is in use", left.display())),
        };
        found.push(Leftover { what: format!("cgroup {}", dir.display()), removed });
    }
}

fn remove_disk(dir: &Path, found: &mut Vec<Leftover>) {
    let removed = Trash::of(dir).and_then(|trash| trash.map_or(Ok(()), Trash::delete));
    let removed = removed.map_err(|error: EngineError| error.to_string());
    found.push(Leftover { what: format!("disk {}", dir.display()), removed });
}

/// What on this machine still carries the id of a sandbox (reliability.md, invariant I4): processes, cgroups, mounts of
/// this mount namespace, loop devices, interfaces, registry entries, OCI state, and directories in `roots` that are
/// neither kept disks nor anyone's.
pub fn leftovers(id: &str, roots: &[&Path]) -> Vec<String> {
    let mut found = Vec::new();
    for (owner, dir) in cgroup::Host::detect().unwrap_or_default().all() {
        if owner == id {
            found.push(format!("cgroup {}", dir.display()));
            found.extend(cgroup::processes(&dir).iter().map(|pid| format!("process {}", pid.as_raw_nonzero())));
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    found.extend(mounts.lines().filter(|line| line.contains(id)).map(|line| format!("mount {line}")));
    for entry in std::fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = std::fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(id) {
            found.push(format!("loop device {} on {}", entry.file_name().to_string_lossy(), file.trim()));
        }
    }
    for entry in std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        if std::fs::read_to_string(entry.path().join("ifalias")).is_ok_and(|alias| alias.contains(id)) {
            found.push(format!("interface {}", entry.file_name().to_string_lossy()));
        }
    }
    if let Some(registry) = Registry::existing() {
        found.extend(registry.list().iter().filter(|entry| *entry == id).map(|_| "entry in the registry".to_owned()));
    }
    found.extend(oci::state_dir(id).filter(|dir| dir.exists()).map(|dir| format!("OCI state {}", dir.display())));
    for root in roots {
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let kept = matches!(disk::state(&entry.path()), Ok(Some(state)) if state.kept);
            if entry.file_name().to_string_lossy().contains(id) && !kept {
                found.push(format!("directory {}", entry.path().display()));
            }
        }
    }
    found
}
