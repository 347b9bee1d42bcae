//! What can go wrong between an engine and its caller.

use std::{fmt::Display, io, path::PathBuf};

/// Why a sandbox could not be started, watched or removed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The request contradicts itself or the contract of [`SandboxSpec`](crate::SandboxSpec): the caller's mistake.
    #[error("cannot start a sandbox: {0}")]
    Spec(String),
    /// The image's content does not allow a start, e.g. its `/proc` is a symbolic link.
    #[error("cannot use the image: {0}")]
    Image(String),
    /// The first process could not be executed.
    #[error("cannot execute {} in the sandbox: {source}{}", path.display(), exec_hint(source))]
    Exec {
        /// The program, inside.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Something that the sandbox needs exclusively is in use.
    #[error("{0}")]
    Busy(String),
    /// The machine refused something.
    #[error("cannot {what}: {source}{}", host_hint(source))]
    Host {
        /// What was tried, as the continuation of "cannot".
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// What to do about a program that cannot be executed.
fn exec_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOENT) => " (it, or the interpreter or loader that it names, does not exist in the image)",
        Some(libc::ENOEXEC) => " (it is neither a program of this machine's architecture nor a script with a #! line)",
        Some(libc::EACCES) => " (it is not an executable file)",
        _ => "",
    }
}

/// What to do about a refusal by the machine.
fn host_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; `kiln doctor` shows which right is missing and how to get it",
        Some(libc::ENOSYS | libc::EINVAL | libc::ENODEV | libc::EOPNOTSUPP) => {
            "; `kiln doctor` shows which kernel feature is missing"
        }
        Some(libc::ENOSPC | libc::EDQUOT) => "; free some space on the file system of the data directory",
        Some(libc::EDEADLK) => "; engines must be used from a process with one thread",
        Some(libc::EMFILE | libc::ENFILE) => "; raise the limit of open files (`ulimit -n`)",
        Some(libc::EAGAIN) => "; this user's or this machine's limit of processes is reached",
        _ => "",
    }
}

/// Adds to an error what was being done.
pub(crate) trait Context<T> {
    /// `what` continues "cannot …".
    fn context<W: Display>(self, what: impl FnOnce() -> W) -> Result<T, EngineError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context<W: Display>(self, what: impl FnOnce() -> W) -> Result<T, EngineError> {
        self.map_err(|error| EngineError::Host { what: what().to_string(), source: error.into() })
    }
}
