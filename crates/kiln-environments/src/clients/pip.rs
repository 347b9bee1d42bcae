//! PyPI's wheels. Only wheels: a source package would run code to be downloaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::run;
use crate::{
    error::Error,
    lock::{Kind, Package},
    packages::PackageCache,
};

const PROGRAM: &str = "python3";
const OF: &str = "of PyPI (with pip)";
/// The C libraries that the images' Debian is new enough for.
const PLATFORMS: [&str; 4] = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"];

fn command(python: Option<&str>, to: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]);
    command.args(["--only-binary=:all:", "--implementation", "cp"]);
    for platform in PLATFORMS {
        command.args(["--platform", platform]);
    }
    if let Some(python) = python {
        command.args(["--python-version", python]);
    }
    command.arg("--dest").arg(to);
    command
}

/// Downloads the one file of a lock.
pub(super) fn download(package: &Package, python: Option<&str>, to: &Path) -> Result<(), Error> {
    let mut command = command(python, to);
    command.args(["--no-deps", &format!("{}=={}", package.name, package.version)]);
    run(PROGRAM, OF, &format!("download {} {}", package.name, package.version), &mut command, to).map(|_| ())
}

/// Downloads packages with all that they need. Returns the files.
pub(super) fn closure(packages: &[String], python: Option<&str>, to: &Path) -> Result<Vec<PathBuf>, Error> {
    let into = to.join("closure");
    fs::create_dir(&into).map_err(Error::io("create", &into))?;
    run(PROGRAM, OF, "find out what PyPI's packages need", command(python, &into).arg("--").args(packages), to)?;
    files(&into)
}

/// Downloads the newest version that begins so.
pub(super) fn newest(name: &str, version: &str, to: &Path) -> Result<PathBuf, Error> {
    let into = to.join(format!("{name}-{version}"));
    fs::create_dir(&into).map_err(Error::io("create", &into))?;
    let what = format!("find {name} {version}");
    run(PROGRAM, OF, &what, command(None, &into).args(["--no-deps", &format!("{name}=={version}.*")]), to)?;
    files(&into)?.pop().ok_or_else(|| Error::Client { program: PROGRAM, what, said: "it fetched nothing".to_owned() })
}

/// The package of a wheel, whose file goes into the cache.
pub(super) fn locked(file: &Path, kind: Kind, cache: &PackageCache) -> Result<Package, Error> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    // PEP 427: name-version(-build)?-python-abi-platform.whl; in the name, `-` has become `_`.
    let parts: Vec<&str> = name.split('-').collect();
    let (Some(package), Some(version), true) = (parts.first(), parts.get(1), name.ends_with(".whl")) else {
        let said = format!("`{}` is no name of a wheel", name.escape_debug());
        return Err(Error::Client { program: PROGRAM, what: "fetch a wheel".to_owned(), said });
    };
    let (package, version) = (package.replace('_', "-").to_lowercase(), (*version).to_owned());
    let (sha256, size) = cache.take(file)?;
    Ok(Package { kind, name: package, version, file: name, size, sha256 })
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io("list", dir))).collect()
}
