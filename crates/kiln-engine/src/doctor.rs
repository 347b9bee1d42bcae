//! What this machine can and cannot do for builds, and why (`kiln doctor`).
//!
//! Each check does the thing itself, in a process or namespace that is thrown away: a version number or a file in
//! `/proc` says little about what a kernel, a container around it or a security module will refuse.

mod child;
mod host;
mod isolation;
mod leftovers;
mod network;
mod storage;
mod tools;

use std::{path::PathBuf, time::SystemTime};

use serde::Serialize;

use crate::network::NetworkConfig;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Ok,
    /// Builds run, and something is not enforced, slower or not to be had.
    Warning,
    /// Builds do not run.
    Problem,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the check; does not change between versions.
    pub id: &'static str,
    /// What was tried, for people.
    pub title: &'static str,
    /// How it ended.
    pub status: Status,
    /// What was found, as a sentence without full stop.
    pub found: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Check {
    fn new(id: &'static str, title: &'static str, status: Status, found: impl Into<String>) -> Self {
        Self { id, title, status, found: found.into(), fix: None }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// What to examine.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The data directory; made if it is missing.
    pub data: PathBuf,
    /// The time now.
    pub now: SystemTime,
    /// Remove what dead builds have left.
    pub fix: bool,
    /// What the operator says about networks.
    pub network: NetworkConfig,
}

/// What was found; the JSON form of `kiln doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Version of this form: 1.
    pub version: u32,
    /// Whether builds can run.
    pub ok: bool,
    /// In the order in which they were done.
    pub checks: Vec<Check>,
}

impl Examination {
    /// Does all checks. To be called from a process with one thread.
    #[must_use]
    pub fn run(&self) -> Report {
        let root = rustix::process::geteuid().is_root();
        let mut checks = vec![host::kernel(), isolation::user_namespace(root)];
        if !root {
            checks.push(isolation::subordinate_ids());
        }
        checks.extend([isolation::seccomp(root), host::cgroups()]);
        let (data, scratch) = storage::data_directory(&self.data);
        checks.push(data);
        if let Some(scratch) = &scratch {
            checks.extend([
                storage::idmapped_mounts(scratch.path(), root),
                storage::overlay(scratch.path(), root),
                storage::build_disk(scratch.path(), root),
            ]);
        }
        checks.push(network::private(&self.network));
        checks.extend(network::forwarding());
        if let Some(scratch) = &scratch {
            checks.push(isolation::sandbox(scratch.path(), &self.data));
        }
        checks.extend([tools::git(), tools::runc(), leftovers::find(&self.data, self.fix), host::clock(self.now)]);
        Report { version: 1, ok: checks.iter().all(|check| check.status != Status::Problem), checks }
    }
}
