//! What is thrown away: runs beyond the last ten of a directory, and kept file systems beyond the disk budget.

use std::{ffi::OsStr, fs, io, path::Path};

use anyhow::Context as _;

use super::{BuildDir, RUNS_KEPT, Record, Runs, read_directory, write_json};
use crate::exit::usage;

/// Disk space for kept file systems, where `KILN_KEEP_BUDGET` does not say otherwise.
pub(crate) const KEEP_BUDGET: u64 = 10 << 30;

/// A kept file system that was thrown away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) uuid: String,
    pub(crate) bytes: u64,
}

impl Runs {
    /// True when there is something for [`Self::prune`] to do.
    pub(crate) fn has_surplus(&self, dir: &Path) -> bool {
        self.known(dir).ok().flatten().is_some_and(|directory| directory.runs.len() > RUNS_KEPT)
    }

    /// Removes the oldest runs of `dir` beyond [`RUNS_KEPT`], with their artifacts, reports and kept file systems. Runs
    /// that go on, or whose file system is in use, stay.
    pub(crate) fn prune(&self, dir: &Path) -> anyhow::Result<()> {
        let (_lock, path) = self.lock_directories(dir)?;
        let Some(mut directory) = read_directory(&path)? else { return Ok(()) };
        let surplus = directory.runs.len().saturating_sub(RUNS_KEPT);
        if surplus == 0 {
            return Ok(());
        }
        let old: Vec<String> = directory.runs.iter().take(surplus).cloned().collect();
        for uuid in old {
            if self.remove_run(&uuid)? {
                directory.runs.retain(|r| *r != uuid);
            }
        }
        write_json(&path, &directory)
    }

    /// Removes the runs of directories that do not exist any more, but for the newest [`RUNS_KEPT`] of them all: whoever
    /// builds in temporary directories would fill the disk else. The caller holds the lock on what is known of
    /// directories.
    pub(super) fn forget_vanished(&self) -> anyhow::Result<()> {
        let index = self.runs().join(".dirs");
        let mut vanished: Vec<(u64, String)> = Vec::new();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&index).with_context(|| format!("cannot list {}", index.display()))? {
            let path = entry.with_context(|| format!("cannot list {}", index.display()))?.path();
            if path.extension() != Some(OsStr::new("json")) {
                continue;
            }
            let Some(directory) = read_directory(&path)? else { continue };
            let gone = matches!(fs::metadata(&directory.dir), Err(e) if e.kind() == io::ErrorKind::NotFound);
            if gone {
                vanished.extend(directory.runs.iter().map(|uuid| {
                    let ended = Record::read(&self.run_dir(uuid)).map_or(0, |r| r.ended_ns);
                    (ended, uuid.clone())
                }));
                entries.push((path, directory));
            }
        }
        vanished.sort_unstable_by(|a, b| b.cmp(a));
        let mut removed = Vec::new();
        for (_, uuid) in vanished.into_iter().skip(RUNS_KEPT) {
            if self.remove_run(&uuid)? {
                removed.push(uuid);
            }
        }
        for (path, mut directory) in entries {
            directory.runs.retain(|uuid| !removed.contains(uuid));
            if directory.runs.is_empty() {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            } else if !removed.is_empty() {
                write_json(&path, &directory)?;
            }
        }
        Ok(())
    }

    /// Removes a run. False: it is in use.
    fn remove_run(&self, uuid: &str) -> anyhow::Result<bool> {
        if self.in_use(uuid) {
            return Ok(false);
        }
        if let Some(build) = self.lock(uuid)? {
            build.remove()?;
        }
        let run = self.run_dir(uuid);
        match fs::remove_dir_all(&run) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(e).with_context(|| format!("cannot remove {}", run.display())),
        }
    }

    /// Throws away kept file systems, oldest first, until they take at most `budget` bytes. Those in use stay.
    pub(crate) fn keep_within(&self, budget: u64) -> anyhow::Result<Vec<Dropped>> {
        let mut kept: Vec<(Record, u64)> = Vec::new();
        for uuid in self.builds.names().context("cannot list kept file systems")? {
            if !self.builds.of_service(&uuid)
                && let Ok(record) = Record::read(&self.run_dir(&uuid))
                && let Some(bytes) = record.kept_bytes
            {
                kept.push((record, bytes));
            }
        }
        kept.sort_unstable_by_key(|(record, _)| record.ended_ns);
        let mut total: u64 = kept.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
        let mut dropped = Vec::new();
        for (record, bytes) in kept {
            if total <= budget {
                break;
            }
            let Some(build) = self.lock(&record.id)? else { continue };
            self.drop_disk(build, "dropped to stay within the disk budget (KILN_KEEP_BUDGET)")?;
            total = total.saturating_sub(bytes);
            dropped.push(Dropped { uuid: record.id, bytes });
        }
        Ok(dropped)
    }

    /// Throws away a kept file system and notes why.
    pub(crate) fn drop_disk(&self, build: BuildDir, why: &str) -> anyhow::Result<()> {
        let run = self.run_dir(build.uuid());
        if let Ok(mut record) = Record::read(&run) {
            record.kept_bytes = None;
            record.gone = Some(why.to_owned());
            record.write(&run)?;
        }
        build.remove()
    }
}

/// A size: bytes, or a number with `K`, `M`, `G`, `T` (times 1,024), with or without `B` or `iB`.
pub(crate) fn parse_size(text: &str) -> anyhow::Result<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let factor: u64 = match unit.strip_suffix("IB").or_else(|| unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => usage!("'{text}' is not a size: write e.g. 500M, 20GiB or 0"),
    };
    match number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)) {
        Some(bytes) => Ok(bytes),
        None => usage!("'{text}' is not a size: write e.g. 500M, 20GiB or 0"),
    }
}
