//! Why a build cannot go on.

use std::io;

use kiln_engine::Exit;
use rustix::io::Errno;

use crate::{directory::DirectoryError, journal::WriteError, zip::ZipError};

/// Why the build cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// Stopped on request.
    #[error("stopped on request")]
    Stopped,
    /// Whoever started the build killed it, or is gone.
    #[error("killed on request")]
    Killed,
    /// The time limit was reached.
    #[error("the build's time limit was reached")]
    TimedOut,
    /// PID 1 of the container is gone.
    #[error("the build container ended unexpectedly: {}", describe_exit(.0))]
    Died(Exit),
    /// The agent does not keep to the protocol.
    #[error("the agent in the build container broke the protocol: {0}")]
    Protocol(String),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] WriteError),
    /// A socket failed.
    #[error("connection to the agent: {0}")]
    Socket(#[from] io::Error),
    /// The store of artifacts, reports or cache failed.
    #[error("{0}")]
    Sink(String),
    /// The host has no room for what the build made, or its disk fails: no fault of the build's.
    #[error("{0}")]
    Host(String),
}

impl Halt {
    /// The store refused what the build made. That the host's disk is full or fails is no fault of the build's.
    pub(crate) fn unstored(message: String, cause: Option<&io::Error>) -> Self {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let is_the_hosts = |e: &io::Error| {
            matches!(e.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
                || Errno::from_io_error(e) == Some(Errno::IO)
        };
        if cause.is_some_and(is_the_hosts) { Self::Host(message) } else { Self::Sink(message) }
    }
}

impl From<ZipError> for Halt {
    fn from(error: ZipError) -> Self {
        let cause = if let ZipError::Write { source, .. } = &error { Some(source) } else { None };
        Self::unstored(error.to_string(), cause)
    }
}

impl From<DirectoryError> for Halt {
    fn from(error: DirectoryError) -> Self {
        let cause = if let DirectoryError::Write { source, .. } = &error { Some(source) } else { None };
        Self::unstored(error.to_string(), cause)
    }
}

fn describe_exit(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("its first process ended with status {code}"),
        Exit::Signal(signal) => format!("its first process was killed by signal {signal}"),
    }
}
