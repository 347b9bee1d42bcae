//! The pseudo-terminal of the shell, and our own terminal meanwhile.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    stdio::stdin,
    termios::{
        LocalModes, OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
    },
};

/// A pseudo-terminal: our side, and the name of the shell's.
#[derive(Debug)]
pub(crate) struct Pty {
    pub(crate) master: OwnedFd,
    pub(crate) name: String,
    /// Held open, so that our side does not hang up before the shell has begun.
    slave: OwnedFd,
}

impl Pty {
    /// Opens one that is set as our terminal is, or for text that comes from a pipe.
    pub(crate) fn open() -> io::Result<Self> {
        let pty = Self::remote()?;
        if let Ok(ours) = tcgetattr(stdin()) {
            tcsetattr(&pty.slave, OptionalActions::Now, &ours)?;
        } else {
            // Nobody types: what is read is not to be seen, and what is written is to be as it was written.
            let mut plain = tcgetattr(&pty.slave)?;
            plain.local_modes.remove(LocalModes::ECHO);
            plain.output_modes.remove(OutputModes::OPOST);
            tcsetattr(&pty.slave, OptionalActions::Now, &plain)?;
        }
        pty.copy_size();
        Ok(pty)
    }

    /// Opens one with the kernel's settings, for a terminal that is elsewhere.
    pub(crate) fn remote() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
        let slave = rustix::fs::open(name.as_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self { master, name, slave })
    }

    /// Gives it the size of our terminal.
    pub(crate) fn copy_size(&self) {
        if let Ok(size) = tcgetwinsize(stdin()) {
            // The shell goes on with the size that it has.
            tcsetwinsize(self.master.as_fd(), size).ok();
        }
    }
}

/// Our terminal hands over every key as it is, until this is dropped.
#[derive(Debug)]
pub(crate) struct RawMode {
    before: Option<Termios>,
}

impl RawMode {
    /// Switches it, if there is a terminal.
    pub(crate) fn enter() -> Self {
        let before = if isatty(stdin()) { tcgetattr(stdin()).ok() } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            // Left as it is, keys still arrive, by the line.
            tcsetattr(stdin(), OptionalActions::Flush, &raw).ok();
        }
        Self { before }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs it no more.
            tcsetattr(stdin(), OptionalActions::Now, before).ok();
        }
    }
}
