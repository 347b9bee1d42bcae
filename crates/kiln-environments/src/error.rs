//! What can go wrong, for the person who builds an image.

use std::{io, path::PathBuf};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such environment.
    #[error("there is no environment `{name}`: there are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// Those that there are, separated by commas.
        known: String,
    },
    /// A recipe, or a file that it names, is wrong.
    #[error("environment `{name}`: {file}: {problem}")]
    Recipe {
        /// The environment.
        name: String,
        /// The file in its directory.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// A lock is wrong, or not there.
    #[error("environment `{name}`: {problem}")]
    Lock {
        /// The environment.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A client of a registry is not on this machine.
    #[error(
        "`{program}` is not on this machine, and is needed to fetch packages {of}: install it, or copy the files from a machine that has them (docs/environments.md)"
    )]
    NoClient {
        /// The program.
        program: &'static str,
        /// Of which registry.
        of: &'static str,
    },
    /// A client of a registry could not do it.
    #[error("`{program}` could not {what}:\n{said}")]
    Client {
        /// The program.
        program: &'static str,
        /// What it was asked to do.
        what: String,
        /// The end of what it printed.
        said: String,
    },
    /// A registry has another file under that name.
    #[error(
        "{file} is not the file that the lock names: its hash is {actual}, not {expected}. The registry has replaced it, or something between has changed it"
    )]
    Hash {
        /// The file.
        file: String,
        /// SHA-256 by the lock.
        expected: String,
        /// SHA-256 of what came.
        actual: String,
    },
    /// The operating system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
