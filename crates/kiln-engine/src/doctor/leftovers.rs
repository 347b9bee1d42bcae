//! What builds left whose runner died before it could clean up.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Check, Status};
use crate::{disk::Trash, network, registry::Registry, sweep};

/// Looks for leftovers, and with `fix` removes them.
pub(super) fn find(data: &Path, fix: bool) -> Check {
    let check = |status, found: String| Check::new("leftovers", "leftovers of dead builds", status, found);
    let roots = disk_roots(data);
    let roots: Vec<&Path> = roots.iter().map(PathBuf::as_path).collect();
    if fix {
        let swept = sweep(&roots);
        let count = swept.len();
        let stayed: Vec<_> =
            swept.iter().filter_map(|left| Some(format!("{}: {}", left.what, left.removed.as_ref().err()?))).collect();
        return match (count, stayed.is_empty()) {
            (0, _) => check(Status::Ok, "none".to_owned()),
            (_, true) => {
                let what: Vec<_> = swept.into_iter().map(|left| left.what).collect();
                check(Status::Ok, format!("removed: {}", what.join("; ")))
            }
            (_, false) => check(Status::Warning, format!("not removed: {}", stayed.join("; ")))
                .fix("run it again as root, or as the user whose builds they were"),
        };
    }
    let mut found = Vec::new();
    let registry = Registry::existing();
    if let Some(registry) = &registry {
        // An entry that cannot be read is nobody's who lives.
        let dead = registry.list().into_iter().filter(|id| !matches!(registry.orphan(id), Ok(None)));
        found.extend(dead.map(|id| format!("sandbox {id}")));
    }
    found.extend(interfaces().into_iter().map(|id| format!("interface of sandbox {id}")));
    let trash = roots.iter().flat_map(|root| Trash::find(root));
    found.extend(trash.map(|trash| format!("directory {}", trash.path().display())));
    if found.is_empty() {
        return check(Status::Ok, "none".to_owned());
    }
    check(Status::Warning, found.join("; ")).fix("`kiln doctor --fix` removes them")
}

/// Interfaces of builds that are gone. Those of others cannot be seen.
fn interfaces() -> Vec<String> {
    let lives = |id: &str| Registry::existing().is_some_and(|registry| registry.lives(id));
    let left = || network::left(lives).unwrap_or_default();
    let mut interfaces = left();
    // The kernel removes the interface of a build a while after the build's end.
    for _ in 0..20 {
        if interfaces.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        let still = left();
        interfaces.retain(|id| still.contains(id));
    }
    interfaces
}

/// The directories in which builds of this data directory have their disks.
fn disk_roots(data: &Path) -> Vec<PathBuf> {
    let builds = data.join("builds");
    let each = std::fs::read_dir(&builds).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut roots: Vec<_> = each.filter(|path| path.is_dir()).collect();
    roots.push(builds);
    roots
}
