//! Verifies the invariants of `reliability.md` section 2 on a data directory and on the machine (never shipped).
//!
//! Every fault test ends with [`check`]; by hand: `cargo run -p kiln-check -- DATA_DIR [--secret VALUE]…`. Where there
//! is a database it is checked too, with the logs and objects that it names; the server must not run then.

mod database;
mod exposure;
mod host;
mod journal;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

pub use database::{Accepted, Ends, check_accepted};

/// I4 gives what carries a build's id this long to go after the build's end: the kernel removes network interfaces and
/// mounts in the background, on a busy machine some seconds later.
const GRACE: Duration = Duration::from_secs(30);
/// How often the machine is looked at until then.
const LOOK: Duration = Duration::from_millis(50);

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, `I1` to `I10`.
    pub invariant: &'static str,
    /// The build it concerns; empty when it concerns none.
    pub build: String,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.invariant, self.build, self.what)
    }
}

/// Checks every build that a data directory knows of, and the machine, where what is still going away is waited for; a
/// build of the service may run meanwhile.
/// `secrets` are values that may be nowhere in it but in job files (which hold what the user passed, readable by the
/// owner alone), nor in temporary directories, core files, and environments of processes.
///
/// # Errors
/// When the data directory cannot be read, or a server uses it.
pub fn check(data: &Path, secrets: &[String]) -> io::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (id, dir) in builds(data)? {
        let path = dir.join("journal");
        if path.is_file() {
            violations.extend(journal::check(&id, &path)?);
        }
    }
    violations.extend(database::check(data)?);
    violations.extend(left_over(data)?);
    violations.extend(exposure::check(data, secrets)?);
    Ok(violations)
}

/// What of ended builds is on the machine, and stays there.
fn left_over(data: &Path) -> io::Result<Vec<Violation>> {
    let deadline = Instant::now() + GRACE;
    loop {
        let mut seen = Vec::new();
        for (id, dir) in builds(data)? {
            if !host::runs_in_service(&dir) {
                seen.extend(host::check(&id, &dir)?);
            }
        }
        seen.extend(host::check_strays(data)?);
        if seen.is_empty() || Instant::now() >= deadline {
            return Ok(seen);
        }
        thread::sleep(LOOK);
    }
}

/// The builds that a data directory knows of: id and directory.
fn builds(data: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for parent in ["builds", "runs"] {
        let parent = data.join(parent);
        if !parent.is_dir() {
            continue;
        }
        for dir in fs::read_dir(&parent)? {
            let dir = dir?.path();
            let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            // Locks and work in progress begin with a dot; everything else here is named by its build.
            if !name.starts_with('.') {
                found.push((name, dir));
            }
        }
    }
    Ok(found)
}
