//! The kernel calls that need `unsafe`, each behind a safe function; nothing else in this crate may use it.
#![expect(unsafe_code, reason = "the one place where this crate talks to the kernel directly")]

pub(crate) mod block;
pub(crate) mod mount;
pub(crate) mod process;

use std::io;

/// Turns the result of a C call into a [`io::Result`].
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
