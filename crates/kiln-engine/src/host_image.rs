//! Image `host`: the machine's own tools, seen through (DESIGN decision 5).
//!
//! An allow-list: programs, libraries, `/etc` and package databases are lower layers, everything else is empty. Only
//! files of the host's root keep an owner, and what "other" may not read on the host does not exist inside: a build is
//! root in its user namespace and would read `/etc/shadow` otherwise. Tools that their user installed below a home
//! (rustup, pyenv, nvm and so on) are visible where PATH names them.

mod scan;
mod tools;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::{
    error::EngineError,
    layout::{Lower, MountPoint, Source, View, disk_name},
    spec::EnvPair,
};

/// Programs, libraries, configuration.
const TOP: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc"];
/// Package databases, so that `dpkg`, `rpm` and the like work, and certificates of distributions that keep them there.
const STATE: [&str; 7] = [
    "/var/lib/alternatives",
    "/var/lib/apk",
    "/var/lib/apt",
    "/var/lib/ca-certificates",
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
];
/// Directories that exist empty, with their modes.
const EMPTY: [(&str, u32); 19] = [
    ("/boot", 0o755),
    ("/dev", 0o755),
    ("/home", 0o755),
    ("/media", 0o755),
    ("/mnt", 0o755),
    ("/proc", 0o555),
    // Not closed: tools below it serve the build's other users too.
    ("/root", 0o711),
    ("/run", 0o755),
    ("/run/lock", 0o1777),
    ("/srv", 0o755),
    ("/sys", 0o555),
    ("/tmp", 0o1777),
    ("/var", 0o755),
    ("/var/cache", 0o755),
    ("/var/lib", 0o755),
    ("/var/log", 0o755),
    ("/var/mail", 0o1777),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];
/// Directories that apt owns by a user that has no owner inside: hidden and made anew.
const APT_PARTIAL: [&str; 3] =
    ["/var/lib/apt/lists/partial", "/var/cache/apt/archives/partial", "/var/lib/apt/mirrors/partial"];
/// Names that may appear in `/etc` while a build runs (an administrator's `passwd` writes them and renames).
const ETC_SECRETS: [&str; 8] =
    ["shadow", "shadow-", "shadow+", "shadow.lock", "gshadow", "gshadow-", "gshadow+", "gshadow.lock"];
/// Directories of PATH that every system has.
const SYSTEM_PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Variables that say where tools are; they are passed on if what they name is visible inside.
const TOOL_VARIABLES: [&str; 16] = [
    "ANDROID_HOME",
    "CARGO_HOME",
    "DOTNET_ROOT",
    "GOROOT",
    "GRADLE_HOME",
    "GRAALVM_HOME",
    "JAVA_HOME",
    "M2_HOME",
    "MAVEN_HOME",
    "NVM_DIR",
    "PYENV_ROOT",
    "RBENV_ROOT",
    "RUSTUP_HOME",
    "SDKMAN_DIR",
    "VOLTA_HOME",
    "ASDF_DATA_DIR",
];

/// The machine, as an image.
#[derive(Debug, Clone)]
pub(crate) struct HostImage {
    pub(crate) mounts: Vec<MountPoint>,
    pub(crate) directories: Vec<(PathBuf, u32)>,
    /// Directories to make after mounting.
    pub(crate) late_directories: Vec<(PathBuf, u32)>,
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    pub(crate) env: Vec<EnvPair>,
    pub(crate) notices: Vec<String>,
}

impl HostImage {
    /// Looks at the machine. `cache`: a directory in which slow findings are kept.
    pub(crate) fn look(cache: &Path) -> Result<HostImage, EngineError> {
        let mut image = HostImage {
            mounts: Vec::new(),
            directories: EMPTY.iter().map(|(path, mode)| (PathBuf::from(path), *mode)).collect(),
            late_directories: Vec::new(),
            links: vec![("/var/run".into(), "/run".into()), ("/var/lock".into(), "/run/lock".into())],
            env: Vec::new(),
            notices: Vec::new(),
        };
        for path in TOP.into_iter().map(Path::new) {
            match std::fs::symlink_metadata(path) {
                Ok(meta) if meta.is_symlink() => {
                    if let Ok(target) = std::fs::read_link(path) {
                        image.links.push((path.into(), target));
                    }
                }
                Ok(meta) if meta.is_dir() => image.expose(path, cache)?,
                _ => {}
            }
        }
        for path in STATE.into_iter().map(Path::new).filter(|path| path.is_dir()) {
            image.expose(path, cache)?;
        }
        for path in APT_PARTIAL {
            if Path::new("/var/lib/apt").is_dir() {
                image.late_directories.push((path.into(), 0o700));
            }
        }
        let roots: Vec<PathBuf> = image.mounts.iter().map(|mount| mount.target.clone()).collect();
        for path in scan::mounts_below(&roots) {
            image.expose(&path, cache)?;
        }
        image.tools(std::env::vars_os().collect());
        Ok(image)
    }

    /// Adds a directory of root's as a lower layer at its own place.
    fn expose(&mut self, path: &Path, cache: &Path) -> Result<(), EngineError> {
        let hidden = if path.starts_with("/var/lib/apt") {
            APT_PARTIAL
                .iter()
                .filter_map(|partial| Path::new(partial).strip_prefix(path).ok())
                .map(PathBuf::from)
                .collect()
        } else if !rustix::process::geteuid().is_root() {
            // Root of a user's own namespace may read no more than that user.
            Vec::new()
        } else if path.starts_with("/usr") {
            scan::cached(path, cache)?
        } else if path == Path::new("/etc") {
            let mut hidden = scan::unreadable(path)?.paths;
            hidden.extend(ETC_SECRETS.iter().map(PathBuf::from));
            hidden.sort();
            hidden.dedup();
            hidden
        } else if STATE.iter().any(|state| path.starts_with(state)) {
            Vec::new()
        } else {
            let found = scan::unreadable(path)?;
            if found.too_many {
                self.notices.push(format!(
                    "{} is not visible inside: it has more than {} entries to check for secrets",
                    path.display(),
                    scan::MAX_ENTRIES
                ));
                self.directories.push((path.into(), 0o755));
                return Ok(());
            }
            found.paths
        };
        self.mounts.push(overlay(path, View::Only(0, 0), hidden));
        Ok(())
    }

    /// Whether the host's `path` is visible inside.
    fn shows(&self, path: &Path) -> bool {
        self.mounts.iter().any(|mount| path.starts_with(&mount.target))
            || self.links.iter().any(|(link, _)| path.starts_with(link))
    }

    /// Adds tools below homes, PATH, and variables that tools need.
    fn tools(&mut self, variables: Vec<(OsString, OsString)>) {
        let get = |name: &str| {
            variables.iter().find(|(variable, _)| variable == OsStr::new(name)).map(|(_, value)| value.clone())
        };
        let path = get("PATH").unwrap_or_default();
        let entries: Vec<PathBuf> = std::env::split_paths(&path).filter(|entry| entry.is_absolute()).collect();
        let home = get("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let mut exposed = Vec::new();
        for tool in tools::below_homes(&entries, home.as_deref()) {
            if self.shows(&tool.dir) {
                continue;
            }
            let Ok(meta) = rustix::fs::stat(&tool.dir) else { continue };
            let hidden = scan::credentials(&tool.dir);
            for ancestor in tool.dir.ancestors().skip(1).filter(|dir| *dir != Path::new("/")) {
                if !self.directories.iter().any(|(known, _)| known == ancestor) {
                    self.directories.push((ancestor.into(), 0o755));
                }
            }
            self.mounts.push(overlay(&tool.dir, View::Only(meta.st_uid, meta.st_gid), hidden));
            exposed.push(tool.dir.display().to_string());
            if let Some(variable) = tool.variable {
                self.env.push((variable.into(), tool.dir.into_os_string()));
            }
        }
        // Parents first.
        self.directories.sort();
        if !exposed.is_empty() {
            self.notices.push(format!("tools of this user are visible in the build: {}", exposed.join(", ")));
        }
        let mut visible: Vec<PathBuf> = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.is_dir()).chain(SYSTEM_PATH.map(PathBuf::from)) {
            if self.shows(&entry) && !visible.contains(&entry) {
                visible.push(entry);
            }
        }
        if let Ok(path) = std::env::join_paths(visible) {
            self.env.push(("PATH".into(), path));
        }
        for name in TOOL_VARIABLES {
            let known = self.env.iter().any(|(variable, _)| variable == OsStr::new(name));
            if let Some(value) = get(name).filter(|value| !known && self.shows(Path::new(value))) {
                self.env.push((name.into(), value));
            }
        }
    }
}

fn overlay(path: &Path, view: View, hidden: Vec<PathBuf>) -> MountPoint {
    let source =
        Source::Overlay { name: disk_name(path), lowers: vec![Lower { path: path.to_path_buf(), view }], hidden };
    MountPoint { target: path.to_path_buf(), source, file: false }
}
