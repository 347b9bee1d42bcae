//! Writing to standard output and error.

use std::{io, os::fd::BorrowedFd};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Writes all of it, also to a descriptor that does not block.
pub(crate) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            },
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Prints on standard output. A reader that is gone is no error.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    match write_all(rustix::stdio::stdout(), bytes) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Why nothing more can be written to standard output.
#[derive(Debug)]
pub(crate) enum Gone {
    /// Its reader is gone (`kiln run | head`), or the terminal is.
    Closed,
    /// It failed, e.g. for want of disk space.
    Failed(io::Error),
}

/// Standard output with a buffer of its own.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) buffer: Vec<u8>,
    gone: Option<Gone>,
}

impl Output {
    /// Writes what is in the buffer. After a failure everything is thrown away.
    pub(super) fn flush(&mut self) {
        if self.gone.is_none()
            && let Err(e) = write_all(rustix::stdio::stdout(), &self.buffer)
        {
            self.gone = Some(match e.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::PIPE | Errno::IO) => Gone::Closed,
                _ => Gone::Failed(e),
            });
        }
        self.buffer.clear();
    }

    /// Why nothing more could be written.
    pub(super) fn into_gone(self) -> Option<Gone> {
        self.gone
    }

    /// Why nothing more can be written.
    pub(super) fn gone(&self) -> Option<&Gone> {
        self.gone.as_ref()
    }
}
