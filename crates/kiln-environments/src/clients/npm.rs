//! npm's packages, as the archives that the registry has: no script of a package runs.

use std::{path::Path, process::Command};

use serde::Deserialize;

use super::run;
use crate::{
    error::Error,
    lock::{Kind, Package},
    packages::PackageCache,
};

const PROGRAM: &str = "npm";
const OF: &str = "of npm";

/// What `npm pack --json` says of a package.
#[derive(Deserialize)]
struct Packed {
    version: String,
    filename: String,
}

/// Downloads a package into `to`, in the version or the newest of those that begin so.
pub(super) fn download(name: &str, version: &str, to: &Path) -> Result<(String, String), Error> {
    let what = format!("download {name} {version}");
    let mut command = Command::new(PROGRAM);
    command.args(["pack", "--json", "--ignore-scripts", "--loglevel=error"]).arg(format!("{name}@{version}"));
    let text = run(PROGRAM, OF, &what, &mut command, to)?;
    let wrong = |said: String| Error::Client { program: PROGRAM, what: what.clone(), said };
    let packed: Vec<Packed> =
        serde_json::from_str(&text).map_err(|e| wrong(format!("what it printed cannot be read: {e}")))?;
    match packed.into_iter().last() {
        Some(packed) if !packed.filename.contains('/') => Ok((packed.version, packed.filename)),
        _ => Err(wrong("it names no file".to_owned())),
    }
}

/// The package, whose file goes into the cache.
pub(super) fn locked(name: &str, version: &str, scratch: &Path, cache: &PackageCache) -> Result<Package, Error> {
    let (version, file) = download(name, version, scratch)?;
    let (sha256, size) = cache.take(&scratch.join(&file))?;
    Ok(Package { kind: Kind::Npm, name: name.to_owned(), version, file, size, sha256 })
}
