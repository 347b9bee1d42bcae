//! A runner that ends with us: its lifeline is a socket whose other end we hold.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    process::{Child, ExitStatus},
};

use anyhow::Context as _;
use kiln_runner::job::Control;
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{builds::BuildDir, runner};

/// A runner that was started.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
    pidfd: OwnedFd,
    lifeline: OwnedFd,
}

impl Runner {
    /// Starts the runner of a build.
    pub(crate) fn start(build: &BuildDir, program: Option<&Path>) -> anyhow::Result<Self> {
        Self::start_with(build, program, &[])
    }

    /// The same, with further arguments behind the directory.
    pub(crate) fn start_with(build: &BuildDir, program: Option<&Path>, arguments: &[&str]) -> anyhow::Result<Self> {
        let (lifeline_end, lifeline) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .context("cannot create a socket")?;
        let child = runner::spawn(build, lifeline_end, program, arguments)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the runner's process id")?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the runner")?;
        Ok(Self { child, pidfd, lifeline })
    }

    /// Becomes readable when the runner has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop or kill the build. A runner that has just ended needs not be told.
    pub(crate) fn tell(&self, control: Control) {
        rustix::io::retry_on_intr(|| send(&self.lifeline, &[control.byte()], SendFlags::NOSIGNAL)).ok();
    }

    /// Becomes readable when the runner says that the journal grew; call [`Self::hear`] then, and read the journal after
    /// it. A runner that has let go of its lifeline says no more: its end comes soon.
    pub(crate) fn word(&self) -> BorrowedFd<'_> {
        self.lifeline.as_fd()
    }

    /// Takes what the runner said. False: it will say no more.
    pub(crate) fn hear(&self) -> bool {
        let mut bytes = [0u8; 4096];
        loop {
            match recv(&self.lifeline, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}
