//! What can go wrong with git.

use std::{io, path::Path, path::PathBuf, sync::Arc};

/// Git, or the disk, failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git.
    #[error("git cannot be started: {0}; install it, e.g. with apt-get install git")]
    NoGit(Arc<io::Error>),
    /// Git ended with an error.
    #[error("git {command} failed: {message}")]
    Failed {
        /// Git's command.
        command: String,
        /// What it printed, its beginning.
        message: String,
    },
    /// Git took too long.
    #[error("git {command} took too long and was ended")]
    Slow {
        /// Git's command.
        command: String,
    },
    /// Git answered more than anybody may want.
    #[error("the answer of git {command} is larger than {most} bytes")]
    Large {
        /// Git's command.
        command: String,
        /// Bytes that it may have.
        most: usize,
    },
    /// Git answered something else than was asked for.
    #[error("the answer of git {command} cannot be read")]
    Unreadable {
        /// Git's command.
        command: &'static str,
    },
    /// A reference is not what it was taken for.
    #[error("a reference was changed meanwhile")]
    Moved,
    /// So many processes run that this one would have to wait for too long.
    #[error("too many clones and pushes are going on")]
    Full,
    /// Processes of an earlier server do not end.
    #[error("git processes of an earlier server do not end in {}", .path.display())]
    Busy {
        /// The repository.
        path: PathBuf,
    },
    /// The operating system refused something.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

impl GitError {
    pub(super) fn io(doing: &'static str, path: &Path, source: &io::Error) -> Self {
        let again = source
            .raw_os_error()
            .map_or_else(|| io::Error::new(source.kind(), source.to_string()), io::Error::from_raw_os_error);
        Self::Io { doing, path: path.to_owned(), source: Arc::new(again) }
    }

    pub(super) fn unreadable(command: &'static str) -> Self {
        Self::Unreadable { command }
    }
}
