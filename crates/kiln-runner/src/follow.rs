//! Reads a journal while it grows.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use kiln_wire::journal::{Decoder, JournalError, Record};
use rustix::fs::inotify;

/// A journal cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The file cannot be read.
    #[error("journal {path}: {source}")]
    Io {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The file is not a journal.
    #[error("journal {path}: {source}")]
    Journal {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: JournalError,
    },
}

/// Follows one journal from its start. Never blocks: poll [`Follower::changes`] between reads, or wait for the word of
/// the runner that writes it ([`crate::job`]).
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: File,
    watch: Option<OwnedFd>,
    decoder: Decoder,
    buffer: Vec<u8>,
}

impl Follower {
    /// Opens a journal that exists, and watches it.
    ///
    /// # Errors
    /// When it cannot be opened or watched.
    pub fn open(path: &Path) -> Result<Self, FollowError> {
        let io_error = |source: io::Error| FollowError::Io { path: path.to_owned(), source };
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)
            .map_err(|e| io_error(e.into()))?;
        inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY).map_err(|e| io_error(e.into()))?;
        Ok(Self { watch: Some(watch), ..Self::unwatched(path)? })
    }

    /// Opens a journal that exists; the caller learns in another way when it grew.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn unwatched(path: &Path) -> Result<Self, FollowError> {
        let file = File::open(path).map_err(|source| FollowError::Io { path: path.to_owned(), source })?;
        let buffer = vec![0; 256 * 1024];
        Ok(Self { path: path.to_owned(), file, watch: None, decoder: Decoder::new(), buffer })
    }

    /// Becomes readable when the journal grew. Call [`Self::read`] after it, and once before the first poll. `None`: it
    /// is not watched.
    #[must_use]
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there now and hands each whole record to `each`. Returns when the end of the file is reached or
    /// `each` returns false.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(&mut self, mut each: impl FnMut(Record<'_>) -> bool) -> Result<(), FollowError> {
        // Drain the watch before reading, so that a change after the last read wakes the next poll.
        let mut events = [0u8; 4096];
        if let Some(watch) = &self.watch {
            while matches!(rustix::io::read(watch, &mut events), Ok(n) if n > 0) {}
        }
        loop {
            loop {
                match self.decoder.next_record() {
                    Ok(Some(record)) => {
                        if !each(record) {
                            return Ok(());
                        }
                    }
                    Ok(None) => break,
                    Err(source) => return Err(FollowError::Journal { path: self.path.clone(), source }),
                }
            }
            let n = match self.file.read(&mut self.buffer) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(FollowError::Io { path: self.path.clone(), source }),
            };
            if n == 0 {
                return Ok(());
            }
            self.decoder.push(&self.buffer[..n]);
        }
    }

    /// Bytes of a record that is not whole yet; more than 0 when the writer is gone means a torn end.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.decoder.pending()
    }
}
