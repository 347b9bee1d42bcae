//! The runners of the service's builds: [`ServerRunners`] starts them, tells them, learns of their ends, and clears up
//! behind them.
//!
//! A runner outlives the server. Its lifeline is the FIFO `control` in the build's directory, which it holds open for
//! writing too and so never sees end; whoever may write to it tells. It is known by its directory alone: a restarted
//! server finds its builds there, and by the lock knows which still run.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use kiln_core::runners::{Nudge, RegistryImage, Runners, RunnersError, Shell};
use kiln_runner::job::{CONTROL_FILE, Control, DISK_DIR, JOB_FILE, Job};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat, openat},
    io::Errno,
};

use crate::{
    builds::{self, BuildDir, Builds, LOCK},
    data, runner,
};

mod images;
mod shell;
mod watcher;

use shell::ServerShell;
use watcher::Watcher;

/// Whoever looks whether a build is in use holds its lock for an instant, and so does a process that is just being
/// started, until it executes its own program.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts runners below one data directory.
#[derive(Debug)]
pub(crate) struct ServerRunners {
    builds: Builds,
    data: PathBuf,
    program: Option<PathBuf>,
    watcher: Arc<Watcher>,
}

impl ServerRunners {
    /// `program` is started as the runner in place of this executable (`KILN_RUNNER`).
    ///
    /// # Errors
    /// When the kernel gives no more watches, or is too old.
    pub(crate) fn new(data: &Path, program: Option<PathBuf>) -> io::Result<Self> {
        // Ours are closed in our children anyway; those that somebody left open for us are not.
        kiln_engine::pass_on_no_descriptors()?;
        let builds = Builds::new(data);
        let watcher = Watcher::start(builds.clone())?;
        Ok(Self { builds, data: data.to_owned(), program, watcher })
    }

    fn begin(&self, job: &Job) -> anyhow::Result<()> {
        let uuid = job.id.uuid();
        data::ensure(&self.data, 0o711).with_context(|| format!("cannot create {}", self.data.display()))?;
        let build = self
            .builds
            .create(uuid, |dir| make_lifeline(&dir.join(CONTROL_FILE)))
            .with_context(|| format!("cannot create {}", self.builds.dir(uuid).display()))?;
        let started = self.spawn(&build, job);
        if started.is_err() {
            // Why it did not start says more than why this fails.
            build.remove().ok();
        }
        started
    }

    fn spawn(&self, build: &BuildDir, job: &Job) -> anyhow::Result<()> {
        job.write(build.path())?;
        let lifeline = open_lifeline(&build.path().join(CONTROL_FILE), OFlags::RDWR)
            .context("cannot open the lifeline of the runner")?;
        // Before anything can happen to it. Without a watch its end is still seen.
        self.watcher.watch(build.uuid()).ok();
        let child = runner::spawn(build, lifeline, self.program.as_deref(), &[])?;
        self.watcher.adopt(build.uuid(), child).context("cannot watch the runner")
    }

    /// Takes the directory of a build whose runner has ended; `None`: there is none.
    fn take(&self, uuid: &str) -> Result<Option<BuildDir>, RunnersError> {
        let dir = self.builds.dir(uuid);
        let begun = Instant::now();
        loop {
            match self.builds.lock(uuid) {
                Ok(Some(build)) => return Ok(Some(build)),
                Ok(None) if !dir.exists() => return Ok(None),
                Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
                Ok(None) => return Err(failed(&anyhow::anyhow!("{} is in use", dir.display()))),
                Err(e) => return Err(failed(&anyhow::Error::new(e).context(format!("cannot lock {}", dir.display())))),
            }
        }
    }
}

impl Runners for ServerRunners {
    fn take_image(&self, image: &dyn RegistryImage, now_ms: i64) -> Result<(), RunnersError> {
        images::take(&self.data.join("images"), image, now_ms)
    }

    fn start(&self, job: &Job) -> Result<(), RunnersError> {
        self.begin(job).map_err(|e| failed(&e.context("the build's runner cannot be started")))
    }

    fn dir(&self, uuid: &str) -> PathBuf {
        self.builds.dir(uuid)
    }

    fn known(&self) -> io::Result<Vec<String>> {
        Ok(self.builds.names()?.into_iter().filter(|uuid| self.builds.of_service(uuid)).collect())
    }

    fn alive(&self, uuid: &str) -> bool {
        self.builds.in_use(uuid)
    }

    fn tell(&self, uuid: &str, control: Control) {
        // Without a reader it cannot be opened: the runner has ended. A full pipe holds words enough.
        if let Ok(lifeline) = open_lifeline(&self.builds.dir(uuid).join(CONTROL_FILE), OFlags::WRONLY) {
            rustix::io::retry_on_intr(|| rustix::io::write(&lifeline, &[control.byte()])).ok();
        }
    }

    fn clear(&self, uuid: &str) -> Result<(), RunnersError> {
        if self.alive(uuid) {
            return Err(failed(&anyhow::anyhow!("the runner of build {uuid} lives")));
        }
        builds::clear(&self.builds.dir(uuid)).map_err(|e| failed(&e))
    }

    fn close(&self, uuid: &str, keep: bool) -> Result<Option<u64>, RunnersError> {
        let Some(build) = self.take(uuid)? else { return Ok(None) };
        self.watcher.forget(uuid);
        if keep && self.builds.has_disk(uuid) {
            strip(&build).map_err(|e| failed(&e))?;
            return Ok(Some(build.disk_bytes()));
        }
        build.remove().map_err(|e| failed(&e))?;
        Ok(None)
    }

    fn shell(&self, uuid: &str) -> Result<Arc<dyn Shell>, RunnersError> {
        let build = self.take(uuid)?.filter(|_| self.builds.has_disk(uuid));
        let Some(build) = build else {
            return Err(failed(&anyhow::anyhow!("the file system of build {uuid} is not there any more")));
        };
        Ok(Arc::new(ServerShell::open(build, self.program.as_deref()).map_err(|e| failed(&e))?))
    }

    fn on_change(&self, nudge: Nudge) {
        self.watcher.on_change(nudge);
    }

    fn is_watching(&self) -> bool {
        self.watcher.is_at_work()
    }

    fn watch(&self, uuid: &str) -> io::Result<()> {
        self.watcher.watch(uuid)?;
        // For what happened before.
        self.watcher.nudge(uuid);
        Ok(())
    }
}

/// Makes a FIFO that only we may open.
fn make_lifeline(path: &Path) -> io::Result<()> {
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
}

/// Opens one end of a FIFO, or both; never waits for the other.
fn open_lifeline(path: &Path, access: OFlags) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Removes everything from a build's directory that `kiln debug` does not need.
fn strip(build: &BuildDir) -> anyhow::Result<()> {
    let list = || format!("cannot list {}", build.path().display());
    for entry in fs::read_dir(build.path()).with_context(list)? {
        let entry = entry.with_context(list)?;
        if [CONTROL_FILE, DISK_DIR, JOB_FILE, LOCK].iter().any(|needed| entry.file_name() == *needed) {
            continue;
        }
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
            _ => fs::remove_file(entry.path()),
        };
        removed.with_context(|| format!("cannot remove {}", entry.path().display()))?;
    }
    Ok(())
}

fn failed(error: &anyhow::Error) -> RunnersError {
    let disk_full = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| is_full(e.kind()))
            || cause.downcast_ref::<Errno>().is_some_and(|e| is_full(e.kind()))
    });
    RunnersError { message: format!("{error:#}"), disk_full }
}

fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
