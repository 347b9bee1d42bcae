//! The runs on this machine: `<data>/builds/<id>/` while a build runs (and afterwards when its file system is kept),
//! `<data>/runs/<id>/` for what stays of it.
//!
//! Builds of the service, which may run on the same data directory, are none of them ([`Builds::of_service`]).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kiln_runner::job::JOURNAL_FILE;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    builds::{BuildDir, Builds, looks_like_id, names, open_lock},
    data,
    exit::usage,
};

mod prune;
mod record;
mod sweep;

pub(crate) use prune::{KEEP_BUDGET, parse_size};
pub(crate) use record::{FailedCommand, Record, short};

/// How many runs of a directory stay.
pub(crate) const RUNS_KEPT: usize = 10;
/// Project part of the ids of local builds.
pub(crate) const PROJECT: &str = "local";

/// The runs below one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Runs {
    data: PathBuf,
    builds: Builds,
}

/// What is known about a source directory: `runs/.dirs/<key>.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    version: u32,
    dir: PathBuf,
    /// Number of the last build.
    number: u64,
    /// Runs that are still there, oldest first.
    runs: Vec<String>,
}

const DIRECTORY_VERSION: u32 = 1;

impl Runs {
    pub(crate) fn new(data: PathBuf) -> Self {
        Self { builds: Builds::new(&data), data }
    }

    fn runs(&self) -> PathBuf {
        self.data.join("runs")
    }

    /// Where what stays of a run is.
    pub(crate) fn run_dir(&self, uuid: &str) -> PathBuf {
        self.runs().join(uuid)
    }

    /// Where the journal of a run is: beside the job while it runs, afterwards with what stays.
    pub(crate) fn journal(&self, uuid: &str) -> Option<PathBuf> {
        [self.run_dir(uuid), self.builds.dir(uuid)]
            .into_iter()
            .map(|dir| dir.join(JOURNAL_FILE))
            .find(|path| path.exists())
    }

    /// Creates and locks the directory of a new build, and the one for what stays of it.
    pub(crate) fn create(&self, uuid: &str) -> anyhow::Result<BuildDir> {
        let data = self.data.display();
        let make = || -> io::Result<BuildDir> {
            data::ensure(&self.data, 0o711)?;
            data::ensure(&self.run_dir(uuid), 0o700)?;
            self.builds.create(uuid, |_| Ok(()))
        };
        make().with_context(|| {
            format!("cannot create the build's directories in {data} (choose another place with --data or KILN_DATA)")
        })
    }

    /// Locks the directory of a build that nobody uses. `None`: it is not there, or in use.
    pub(crate) fn lock(&self, uuid: &str) -> io::Result<Option<BuildDir>> {
        self.builds.lock(uuid)
    }

    /// True when a build's directory is there and somebody uses it.
    pub(crate) fn in_use(&self, uuid: &str) -> bool {
        self.builds.in_use(uuid)
    }

    /// True when the file system of a build is still there.
    pub(crate) fn has_disk(&self, uuid: &str) -> bool {
        self.builds.has_disk(uuid)
    }

    /// How a run ended.
    pub(crate) fn record(&self, uuid: &str) -> anyhow::Result<Record> {
        if self.in_use(uuid) && Record::read(&self.run_dir(uuid)).is_err() {
            usage!("build {} is still running", short(uuid));
        }
        Record::read(&self.run_dir(uuid))
            .with_context(|| format!("what is known of build {} cannot be read", short(uuid)))
    }

    /// Takes the kept file system of a build for us alone.
    pub(crate) fn take_kept(&self, record: &Record) -> anyhow::Result<BuildDir> {
        let id = record.short();
        if record.kept_bytes.is_some() && self.has_disk(&record.id) {
            return match self.lock(&record.id)? {
                Some(build) => Ok(build),
                None => usage!("the file system of build {id} is in use by another kiln (`kiln debug`, `--resume`)"),
            };
        }
        match &record.gone {
            Some(why) => usage!("the file system of build {id} is not there any more: {why}"),
            None if record.kept_bytes.is_some() => {
                usage!("the file system of build {id} is not there any more: {} is gone", self.builds.root().display())
            }
            None => usage!("the file system of build {id} was not kept (`kiln run --keep` keeps it always)"),
        }
    }

    /// Counts a run of `dir`; returns its number, from 1.
    pub(crate) fn count(&self, dir: &Path, uuid: &str) -> anyhow::Result<u64> {
        let (_lock, path) = self.lock_directories(dir)?;
        let known = read_directory(&path)?;
        let first = known.is_none();
        let mut directory = known.unwrap_or_else(|| Directory {
            version: DIRECTORY_VERSION,
            dir: dir.to_owned(),
            number: 0,
            runs: Vec::new(),
        });
        directory.number = directory.number.saturating_add(1);
        directory.runs.push(uuid.to_owned());
        write_json(&path, &directory)?;
        if first {
            self.forget_vanished()?;
        }
        Ok(directory.number)
    }

    /// Locks what is known about directories, and says where that of `dir` is.
    fn lock_directories(&self, dir: &Path) -> anyhow::Result<(File, PathBuf)> {
        let index = self.runs().join(".dirs");
        data::ensure(&index, 0o700).with_context(|| format!("cannot create {}", index.display()))?;
        let path = index.join(".lock");
        let lock = open_lock(&path).with_context(|| format!("cannot open {}", path.display()))?;
        flock(&lock, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", path.display()))?;
        Ok((lock, index.join(format!("{}.json", key(dir)))))
    }

    /// What is known of `dir`.
    fn known(&self, dir: &Path) -> anyhow::Result<Option<Directory>> {
        read_directory(&self.runs().join(".dirs").join(format!("{}.json", key(dir))))
    }

    /// The finished runs of `dir`, newest first.
    pub(crate) fn of(&self, dir: &Path) -> anyhow::Result<Vec<Record>> {
        let Some(directory) = self.known(dir)? else { return Ok(Vec::new()) };
        Ok(directory.runs.iter().rev().filter_map(|uuid| Record::read(&self.run_dir(uuid)).ok()).collect())
    }

    /// The build that a person means by a whole id, with or without `local:`, or by the first letters of one (at least
    /// four).
    pub(crate) fn find(&self, text: &str) -> anyhow::Result<String> {
        let prefix = text.strip_prefix("local:").unwrap_or(text);
        if !looks_like_id(prefix) {
            usage!("'{text}' is not a build: give its id or the first 4 or more characters of it");
        }
        let mut found: Vec<String> = Vec::new();
        for base in [&self.runs(), self.builds.root()] {
            for name in names(base).with_context(|| format!("cannot list {}", base.display()))? {
                if name.starts_with(prefix) && !found.contains(&name) && !self.builds.of_service(&name) {
                    found.push(name);
                }
            }
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                usage!("no build '{text}' in {} (the last {RUNS_KEPT} of each directory are kept)", self.data.display())
            }
            several => usage!("'{text}' is not unique: {}", several.join(", ")),
        }
    }
}

/// The name under which a directory's runs and cache are kept: readable, and unique.
pub(crate) fn key(dir: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let name = dir.file_name().unwrap_or_default().as_bytes();
    let readable: String = name
        .iter()
        .take(40)
        .map(|b| if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') { char::from(*b) } else { '-' })
        .collect();
    let digest = hex::encode(Sha256::digest(dir.as_os_str().as_bytes()));
    format!("{readable}-{}", digest.get(..16).unwrap_or(&digest))
}

fn read_directory(path: &Path) -> anyhow::Result<Option<Directory>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let directory: Directory =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is malformed", path.display()))?;
    Ok(Some(directory))
}

/// Writes a file so that it is there whole or not at all.
fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut json = serde_json::to_vec(value)?;
        json.push(b'\n');
        fs::write(&new, json)?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
