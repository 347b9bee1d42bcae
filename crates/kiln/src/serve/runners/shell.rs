//! A shell in a kept file system, on a pseudo-terminal whose other side is far away.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom},
    os::fd::AsFd as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use kiln_core::runners::Shell;
use kiln_runner::job::Control;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{Winsize, tcsetwinsize},
};

use crate::{
    builds::BuildDir,
    debug::{END_OF_INPUT, Pty, read_result},
    run::runner::Runner,
};

/// See the module. It holds the build's lock: there is one shell at a time.
#[derive(Debug)]
pub(super) struct ServerShell {
    build: BuildDir,
    pty: Pty,
    runner: Mutex<Option<Runner>>,
    /// A handle of its own: [`Runner`] is waited for while others read.
    watched: Watched,
    result: Mutex<File>,
    result_from: u64,
}

/// What tells that the runner has ended.
#[derive(Debug)]
struct Watched(std::os::fd::OwnedFd);

impl ServerShell {
    pub(super) fn open(build: BuildDir, program: Option<&Path>) -> anyhow::Result<Self> {
        let mut result = build.lock().try_clone().context("cannot read the build's lock")?;
        let result_from = result.seek(SeekFrom::End(0)).context("cannot read the build's lock")?;
        let pty = Pty::remote().context("cannot open a pseudo-terminal")?;
        let runner = Runner::start_with(&build, program, &[&pty.name])?;
        let watched = Watched(runner.ended().try_clone_to_owned().context("cannot watch the runner")?);
        Ok(Self { build, pty, runner: Mutex::new(Some(runner)), watched, result: Mutex::new(result), result_from })
    }

    fn tell(&self, control: Control) {
        if let Some(runner) = self.runner.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            runner.tell(control);
        }
    }

    /// Waits until the terminal is ready, or the runner has ended: false.
    fn ready(&self, wanted: PollFlags) -> io::Result<bool> {
        loop {
            let mut fds = [PollFd::new(&self.pty.master, wanted), PollFd::new(&self.watched.0, PollFlags::IN)];
            match poll(&mut fds, None::<&Timespec>) {
                Ok(_) => return Ok(fds[1].revents().is_empty()),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Shell for ServerShell {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let runs = self.ready(PollFlags::IN)?;
            match rustix::io::read(&self.pty.master, &mut *buffer) {
                Ok(n) if n > 0 => return Ok(n),
                Err(Errno::INTR) => {}
                // What was written is read to its end first.
                _ if !runs => return Ok(0),
                Ok(_) | Err(Errno::AGAIN | Errno::IO) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if !self.ready(PollFlags::OUT)? {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            match rustix::io::write(&self.pty.master, rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn end_input(&self) -> io::Result<()> {
        self.write(&[END_OF_INPUT])
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // The shell goes on with the size that it has.
        tcsetwinsize(self.pty.master.as_fd(), size).ok();
    }

    fn kill(&self) {
        self.tell(Control::Kill);
    }

    fn wait(&self) -> Result<u8, String> {
        // Before it is taken: until it has ended it may have to be killed.
        let mut ended = [PollFd::new(&self.watched.0, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut ended, None::<&Timespec>))
            .map_err(|e| format!("the shell's runner cannot be waited for: {e}"))?;
        let runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runner) = runner {
            runner.wait().map_err(|e| format!("the shell's runner cannot be waited for: {e}"))?;
        }
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        match read_result(&mut result, self.result_from) {
            Ok(Some(status)) => Ok(status),
            _ => Err(format!(
                "the shell of build {} could not be started, or ended with its container",
                self.build.uuid()
            )),
        }
    }
}
