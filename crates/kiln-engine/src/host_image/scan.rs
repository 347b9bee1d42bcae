//! What of the host must not be seen.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    cgroup::unescape,
    error::{Context as _, EngineError},
    ids::fnv1a,
};

/// Entries that one scan looks at.
pub(super) const MAX_ENTRIES: usize = 2_000_000;

/// File names that hold credentials, wherever they are and whoever may read them.
const CREDENTIAL_NAMES: [&str; 17] = [
    ".env",
    ".git-credentials",
    ".gitconfig",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".yarnrc",
    ".yarnrc.yml",
    "auth.json",
    "auth.toml",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
    "pip.conf",
];
/// Directories below a tool's in which credentials are looked for.
const CREDENTIAL_DEPTH: usize = 1;

/// Result of a scan.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// Relative to the scanned directory.
    pub(super) paths: Vec<PathBuf>,
    /// The scan was given up.
    pub(super) too_many: bool,
}

/// Paths below `dir` that users other than owner and group may not read: files, and directories as a whole. Anything
/// that is neither file, directory nor link counts, too. Does not leave the file system.
pub(super) fn unreadable(dir: &Path) -> Result<Unreadable, EngineError> {
    let mut found = Unreadable::default();
    let device = std::fs::metadata(dir).context(|| format!("look at {}", dir.display()))?.dev();
    let mut todo = vec![PathBuf::new()];
    let mut entries = 0;
    while let Some(relative) = todo.pop() {
        let path = dir.join(&relative);
        let list = match std::fs::read_dir(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Not ours to read either (without root).
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error).context(|| format!("read {}", path.display())),
        };
        for entry in list.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                found.too_many = true;
                return Ok(found);
            }
            // Most entries of `/etc` are links; the directory itself says so, without a look at each.
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                continue;
            }
            // Gone meanwhile, then.
            let Ok(meta) = entry.metadata() else { continue };
            let kind = meta.file_type();
            let name = relative.join(entry.file_name());
            let mode = meta.mode();
            let visible = if kind.is_dir() { mode & 0o005 == 0o005 } else { kind.is_file() && mode & 0o004 != 0 };
            if !visible {
                found.paths.push(name);
            } else if kind.is_dir() && meta.dev() == device {
                todo.push(name);
            }
        }
    }
    found.paths.sort();
    Ok(found)
}

/// A remembered scan.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    version: u32,
    dir: PathBuf,
    key: u64,
    paths: Vec<PathBuf>,
}

/// [`unreadable`] of a large directory that only package managers change: scanned again when a package database, or a
/// directory of its first two levels, has changed.
pub(super) fn cached(dir: &Path, cache: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let key = fingerprint(dir);
    let file = cache.join(format!("unreadable-v1-{:016x}.json", fnv1a(dir.as_os_str().as_encoded_bytes())));
    let known = std::fs::read(&file).ok().and_then(|json| serde_json::from_slice::<Remembered>(&json).ok());
    if let Some(known) = known.filter(|known| known.version == 1 && known.key == key && known.dir == dir) {
        return Ok(known.paths);
    }
    let paths = unreadable(dir)?.paths;
    let remembered = Remembered { version: 1, dir: dir.into(), key, paths };
    // A name that is not UTF-8, or a directory that cannot be written: the next start scans again.
    if let Ok(json) = serde_json::to_vec(&remembered) {
        let new = file.with_extension(format!("new-{}", std::process::id()));
        let _scanned_again = std::fs::create_dir_all(cache)
            .and_then(|()| std::fs::write(&new, json))
            .and_then(|()| std::fs::rename(&new, &file));
    }
    Ok(remembered.paths)
}

/// Changes when packages, or the first two levels below `dir`, do.
fn fingerprint(dir: &Path) -> u64 {
    let mut text = Vec::new();
    let mut add = |path: &Path| {
        if let Ok(meta) = std::fs::symlink_metadata(path) {
            text.extend_from_slice(path.as_os_str().as_encoded_bytes());
            for number in [meta.ctime(), meta.ctime_nsec(), meta.mtime(), meta.mtime_nsec(), i64::from(meta.mode())] {
                text.extend_from_slice(&number.to_le_bytes());
            }
        }
    };
    for database in [
        "/var/lib/dpkg/status",
        "/var/lib/rpm",
        "/usr/lib/sysimage/rpm",
        "/lib/apk/db/installed",
        "/var/lib/pacman/local",
    ] {
        add(Path::new(database));
    }
    add(dir);
    for first in directories(dir) {
        add(&first);
        if first.file_name().is_some_and(|name| name == "local") {
            for second in directories(&first) {
                add(&second);
            }
        }
    }
    fnv1a(&text)
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Files near the top of a tool's directory that look like credentials: by name, or because their owner keeps them to
/// themselves.
pub(super) fn credentials(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![(PathBuf::new(), 0)];
    while let Some((relative, depth)) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(dir.join(&relative)) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = relative.join(entry.file_name());
            if kind.is_dir() {
                if entry.file_name() == ".git" {
                    // Its configuration may hold a token.
                    found.push(name.join("config"));
                } else if depth < CREDENTIAL_DEPTH {
                    todo.push((name, depth + 1));
                }
                continue;
            }
            let telling = entry.file_name().to_str().is_some_and(|name| CREDENTIAL_NAMES.contains(&name));
            let secret = || kind.is_file() && entry.metadata().is_ok_and(|meta| meta.mode() & 0o004 == 0);
            if telling || secret() {
                found.push(name);
            }
        }
    }
    found.sort();
    found
}

/// Directories below `roots` on which other file systems of the ordinary kinds are mounted.
pub(super) fn mounts_below(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found = Vec::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let kind = right.split(' ').next().unwrap_or_default();
        if !["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "squashfs", "xfs", "zfs", "erofs"]
            .contains(&kind)
        {
            continue;
        }
        let Some(point) = left.split(' ').nth(4).map(unescape) else { continue };
        if roots.iter().any(|root| point.starts_with(root) && point != *root) && point.is_dir() {
            found.push(point);
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn make(dir: &Path, name: &str, mode: u32) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn finds_what_others_may_not_read() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), "passwd", 0o644);
        make(dir.path(), "shadow", 0o640);
        make(dir.path(), "a/b/key", 0o600);
        make(dir.path(), "private/inner", 0o644);
        std::fs::set_permissions(dir.path().join("private"), std::fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("shadow", dir.path().join("link")).unwrap();
        let found = unreadable(dir.path()).unwrap();
        assert_eq!(found.paths, ["a/b/key", "private", "shadow"].map(PathBuf::from));
        assert!(!found.too_many);
    }

    #[test]
    fn a_remembered_scan_is_repeated_when_the_directory_changes() {
        let (dir, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(dir.path(), "one/secret", 0o600);
        assert_eq!(cached(dir.path(), cache.path()).unwrap(), [PathBuf::from("one/secret")]);
        make(dir.path(), "two/secret", 0o600);
        let both = ["one/secret", "two/secret"].map(PathBuf::from);
        assert_eq!(cached(dir.path(), cache.path()).unwrap(), both);
        assert_eq!(cached(dir.path(), cache.path()).unwrap(), both);
    }

    #[test]
    fn finds_credentials_by_name_and_by_mode() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), "bin/cargo", 0o755);
        make(dir.path(), "credentials.toml", 0o644);
        make(dir.path(), "etc/token", 0o600);
        make(dir.path(), ".git/config", 0o644);
        make(dir.path(), ".git/HEAD", 0o644);
        let found = credentials(dir.path());
        assert_eq!(found, [".git/config", "credentials.toml", "etc/token"].map(PathBuf::from));
    }
}
