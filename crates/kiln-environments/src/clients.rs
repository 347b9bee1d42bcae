//! The registries' ordinary clients, `apt-get`, `pip` and `npm`, as this machine has them set up: its mirrors, its proxies,
//! its certificates. They resolve and download, and run nothing of what they download: no install script, no build.

mod apt;
mod npm;
mod pip;
mod vendor;

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

pub use apt::Apt;

use crate::{
    error::Error,
    lock::{Kind, Lock, Package},
    packages::PackageCache,
    recipe::Registry,
    recipes::Environment,
};

/// Of what a client printed, an error shows the last lines.
const SAID_LINES: usize = 12;

/// What is told of while clients work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Files of a registry are being downloaded.
    Fetching {
        /// The registry's name.
        of: &'static str,
        /// How many files.
        count: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// It is found out what there is.
    Resolving {
        /// The registry's name.
        of: &'static str,
    },
}

/// Downloads the files of a lock that the cache lacks.
///
/// # Errors
/// If a client is missing or fails, or brings another file than the lock names.
pub fn fetch(environment: &Environment, cache: &PackageCache, told: &mut dyn FnMut(Step)) -> Result<(), Error> {
    let packages = environment.packages()?;
    let missing: Vec<&Package> = packages.iter().filter(|package| cache.get(package).is_none()).collect();
    let of = |kinds: &[Kind]| -> Vec<&Package> {
        missing.iter().copied().filter(|package| kinds.contains(&package.kind)).collect()
    };
    let scratch = cache.scratch("fetch")?;
    let mut tell = |of: &'static str, packages: &[&Package]| {
        let bytes = packages.iter().map(|package| package.size).sum();
        told(Step::Fetching { of, count: packages.len(), bytes });
    };
    // First what is most likely not to be had: nothing else is then fetched in vain.
    let vendored = of(&[Kind::Vendor]);
    if !vendored.is_empty() {
        tell("their vendors", &vendored);
        let items = environment.recipe.unpack.iter();
        for item in items.filter(|item| vendored.iter().any(|package| item.is(package))) {
            vendor::download(environment, item, cache, scratch.path())?;
        }
    }
    let debian = of(&[Kind::Essential, Kind::Debian]);
    if !debian.is_empty() {
        tell("Debian", &debian);
        Apt::open(suite(environment), cache)?.download(&debian, scratch.path()).map_err(|e| gone(environment, e))?;
    }
    let wheels = of(&[Kind::Wheel, Kind::Pypi]);
    if !wheels.is_empty() {
        tell("PyPI", &wheels);
        for package in &wheels {
            pip::download(package, python(environment), scratch.path()).map_err(|e| gone(environment, e))?;
        }
    }
    let npm = of(&[Kind::Npm]);
    if !npm.is_empty() {
        tell("npm", &npm);
        for package in &npm {
            npm::download(&package.name, &package.version, scratch.path()).map_err(|e| gone(environment, e))?;
        }
    }
    let mut fetched = missing.iter().filter(|package| package.kind != Kind::Vendor);
    fetched.try_for_each(|package| cache.add(package, &scratch.path().join(&package.file)))
}

/// A registry that no longer has what a lock names says so in its own words: what to do about it is the same for all.
fn gone(environment: &Environment, error: Error) -> Error {
    match error {
        Error::Client { program, what, said } => {
            let advice = format!(
                "{said}\nIf the registry no longer has a version that the lock names, `kiln image build --update {}` takes \
                 those that it has now.",
                environment.name
            );
            Error::Client { program, what, said: advice }
        }
        other => other,
    }
}

/// Makes a lock of what the registries have now. `epoch`: the time, seconds since 1970. The parent's lock must be usable.
///
/// # Errors
/// If a client is missing or fails.
pub fn resolve(
    environment: &Environment,
    cache: &PackageCache,
    epoch: u64,
    told: &mut dyn FnMut(Step),
) -> Result<Lock, Error> {
    let parent = match &environment.parent {
        Some(parent) => Some(parent.usable_lock()?.hash()),
        None => None,
    };
    let mut packages = Vec::new();
    told(Step::Resolving { of: "Debian" });
    let apt = Apt::open(suite(environment), cache)?;
    let chain = environment.chain();
    let wanted: Vec<&str> =
        chain.iter().flat_map(|environment| &environment.recipe.debian.packages).map(String::as_str).collect();
    let mut debian = apt.closure(&wanted)?;
    if environment.parent.is_none() {
        let essential = apt.closure(&["apt"])?;
        debian.retain(|package| !essential.iter().any(|first| first.name == package.name));
        packages.extend(essential.into_iter().map(|package| Package { kind: Kind::Essential, ..package }));
    }
    let below = chain.iter().filter(|below| below.name != environment.name).filter_map(|below| below.lock.as_ref());
    let there: Vec<&Package> = below.flat_map(|lock| &lock.packages).collect();
    debian.retain(|package| !there.iter().any(|below| below.name == package.name && below.version == package.version));
    debian.sort();
    packages.extend(debian);

    let recipe = &environment.recipe;
    let scratch = cache.scratch("fetch")?;
    if !recipe.pypi.packages.is_empty() {
        told(Step::Resolving { of: "PyPI" });
        let files = pip::closure(&recipe.pypi.packages, python(environment), scratch.path())?;
        let mut wheels = Vec::new();
        for file in files {
            wheels.push(pip::locked(&file, Kind::Wheel, cache)?);
        }
        wheels.sort();
        packages.extend(wheels);
    }
    for unpack in &recipe.unpack {
        let (name, version) = (&unpack.name, &unpack.version);
        match unpack.registry {
            Registry::Pypi => {
                told(Step::Resolving { of: "PyPI" });
                let file = pip::newest(name, version, scratch.path())?;
                packages.push(pip::locked(&file, Kind::Pypi, cache)?);
            }
            Registry::Npm => {
                told(Step::Resolving { of: "npm" });
                packages.push(npm::locked(name, version, scratch.path(), cache)?);
            }
            // The recipe pins it.
            Registry::Vendor => {}
        }
    }
    Ok(Lock { epoch, parent, packages })
}

/// Debian's release, which the environment that begins names.
fn suite(environment: &Environment) -> &str {
    environment.chain().first().and_then(|base| base.recipe.debian.suite.as_deref()).unwrap_or_default()
}

/// The version of Python that wheels are for.
fn python(environment: &Environment) -> Option<&str> {
    environment.recipe.pypi.python.as_deref()
}

/// Runs a client in a directory and returns what it prints.
fn run(
    program: &'static str,
    of: &'static str,
    what: &str,
    command: &mut Command,
    dir: &Path,
) -> Result<String, Error> {
    let output = command.current_dir(dir).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").output().map_err(|e| {
        if e.kind() == io::ErrorKind::NotFound {
            Error::NoClient { program, of }
        } else {
            Error::io("start", program)(e)
        }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let all = [output.stdout, output.stderr].concat();
    let text: String = String::from_utf8_lossy(&all).chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let said = lines.get(lines.len().saturating_sub(SAID_LINES)..).unwrap_or_default().join("\n");
    Err(Error::Client { program, what: what.to_owned(), said })
}
