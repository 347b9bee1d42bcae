//! Signals as descriptors to poll.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::net::UnixStream,
    sync::OnceLock,
};

use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};

/// One kind of signal: readable when it came.
#[derive(Debug)]
pub(crate) struct Signal {
    readable: UnixStream,
    /// Held, so that what nobody writes to, as the signals are ignored, is not at its end: that would always be readable.
    _writable: UnixStream,
}

impl Signal {
    /// Signals that were ignored when kiln started stay ignored: `nohup kiln run`, `kiln run &` in a script.
    fn on(signals: &[i32]) -> io::Result<Self> {
        let ignored = ignored();
        let (readable, writable) = UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        for signal in signals.iter().filter(|s| ignored & (1 << (**s - 1)) == 0) {
            signal_hook::low_level::pipe::register(*signal, writable.try_clone()?)?;
        }
        Ok(Self { readable, _writable: writable })
    }

    /// To poll for reading.
    pub(crate) fn fd(&self) -> &UnixStream {
        &self.readable
    }

    /// How many came since the last call; several that came at once may count as one.
    pub(crate) fn take(&self) -> u32 {
        let mut bytes = [0u8; 64];
        loop {
            match rustix::io::read(&self.readable, &mut bytes) {
                Ok(n) => return u32::try_from(n).unwrap_or(u32::MAX),
                Err(Errno::INTR) => {}
                Err(_) => return 0,
            }
        }
    }
}

/// The set of signals that were ignored when kiln started; bit 0 is signal 1.
fn ignored() -> u64 {
    static IGNORED: OnceLock<u64> = OnceLock::new();
    *IGNORED.get_or_init(|| {
        let mut status = Vec::with_capacity(4096); // one read instead of many small ones
        let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_end(&mut status));
        let text = String::from_utf8_lossy(&status);
        let mask = read.ok().and_then(|_| text.lines().find_map(|line| line.strip_prefix("SigIgn:")));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    })
}

/// Ctrl-C.
pub(crate) fn interrupt() -> io::Result<Signal> {
    Signal::on(&[SIGINT])
}

/// A request to end, or a terminal that is gone.
pub(crate) fn terminate() -> io::Result<Signal> {
    Signal::on(&[SIGTERM, SIGHUP])
}

/// The terminal's size changed.
pub(crate) fn window_change() -> io::Result<Signal> {
    Signal::on(&[SIGWINCH])
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn signals_that_are_all_ignored_wake_nobody() {
        let signal = Signal::on(&[]).unwrap();
        let mut fds = [PollFd::new(signal.fd(), PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&Timespec::default())).unwrap(), 0);
        assert_eq!(signal.take(), 0);
    }
}
