//! `kiln debug`: a shell in the kept file system of a build.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use kiln_engine::{EngineError, Exit};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
};

use crate::{
    job::{Job, JobError},
    provision,
};

/// There is no shell.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The job file.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The terminal cannot be opened.
    #[error("terminal {path}: {source}")]
    Terminal {
        /// Its name.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The container does not start.
    #[error("{0}")]
    Start(String),
    /// The container failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Waiting failed.
    #[error("waiting for the shell: {0}")]
    Wait(io::Error),
}

/// Runs a shell in the kept file system of the build in `build_dir`, on `terminal` (the name of a pseudo-terminal's
/// other side); returns its exit status. The file system stays. Ends the shell when `lifeline` is closed or says so.
///
/// # Errors
/// When the container cannot be started or watched.
pub fn shell(build_dir: &Path, agent: &[u8], terminal: &Path, lifeline: Option<OwnedFd>) -> Result<u8, ShellError> {
    let job = Job::read(build_dir)?;
    let open = || {
        openat(CWD, terminal, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| ShellError::Terminal { path: terminal.to_owned(), source: e.into() })
    };
    let started = provision::start_shell(&job, build_dir, agent, [open()?, open()?, open()?]);
    let (mut sandbox, lease) = started.map_err(ShellError::Start)?;
    // Whatever becomes of this process: what the user does in there is not lost.
    sandbox.keep_disk()?;
    let exit = loop {
        if let Some(exit) = sandbox.try_wait()? {
            break exit;
        }
        let mut fds = vec![PollFd::from_borrowed_fd(sandbox.init_pidfd(), PollFlags::IN)];
        if let Some(lifeline) = &lifeline {
            fds.push(PollFd::new(lifeline, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(ShellError::Wait(e.into())),
        }
        // Any word on the lifeline, and its end, mean the same here.
        let told = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        drop(fds);
        if told {
            sandbox.kill();
        }
    };
    sandbox.destroy(true)?;
    drop(lease);
    Ok(match exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
        Exit::Signal(signal) => u8::try_from(128_i32.saturating_add(signal)).unwrap_or(u8::MAX),
    })
}
