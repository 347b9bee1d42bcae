//! The audit log: records that are only ever appended, and each of which proves all before it.
//!
//! ```text
//! audit/<first sequence>-<time>.log       records as they come, at most 8 MiB, then
//! audit/<first sequence>-<time>.log.zst   the same, compressed
//! audit/head                              how far the log reaches, sealed
//! keys/audit.key                          the key of the chain, sealed by the keys of the data directory
//! ```
//!
//! A file is lines of text. The first is `kiln-audit 1 <first sequence> <time, ms> <chain>`, each other one
//! `<chain> <record>`. The chain is an HMAC-SHA-256 under the key of the chain: of the header for the first line, then of
//! the chain before, the record's sequence number and its bytes. So a record that was changed, removed or put in between
//! is found by whoever has the key, at its place, and nobody without the key can make it fit. The head says with which
//! chain the log ends, and with which it begins (old files are removed when their time is over): a log that was cut is
//! found as well. What no file can show is that the whole directory was put back to an earlier time with its own head:
//! who is afraid of that keeps `sequence:chain` of [`Verified`] elsewhere and has it looked for.
//!
//! **What a crash may lose.** [`AuditLog::append`] resolves when its record is on the disk, synced: what is answered after
//! that is never lost. [`AuditLog::note`] does not wait: its record is in the file after 50 milliseconds (a killed process loses no
//! more) and synced after two seconds, at the latest.
//!
//! **When the disk is full**, or the log cannot be written for another reason, [`AuditLog::state`] says so, and `append`
//! fails; notes are counted. As soon as there is room again, a record says how many are missing, and the log goes on. After
//! a failed sync nothing is known of what is on the disk: then the log stays as it is until the service is started anew.
//!
//! What the records say is not this module's: they are bytes without a line feed.

mod chain;
mod error;
mod head;
mod open;
mod segment;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use tokio::sync::oneshot;

use self::{
    chain::{ChainKey, KeyFile},
    writer::{Item, Queue, Shared},
};
pub use self::{
    error::AuditError,
    verify::{Problem, Verified, Wanted},
};
use crate::keys::Keys;

/// Name of the head's file in the log's directory.
pub(crate) const HEAD: &str = head::NAME;

/// Name of the log's directory in the data directory.
pub const DIRECTORY: &str = "audit";

/// Bytes of a file, after which a new one is begun, unless a test wants fewer.
const SEGMENT: u64 = 8 << 20;
/// Bytes that wait to be written; what is noted beyond is counted only.
const WAITING_BYTES: usize = 32 << 20;
/// The same in records.
const WAITING: usize = 65_536;

/// Makes the bytes of a record, given its sequence number. It runs on the log's own thread.
pub type Record = Box<dyn FnOnce(u64) -> Vec<u8> + Send>;

/// What the log says of itself; whoever opens it makes records of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The log was opened.
    Opened(Opened),
    /// So many records are missing here: there was no room for them.
    Gap {
        /// How many.
        lost: u64,
    },
    /// The log was closed; nothing follows until it is opened.
    Closed,
}

/// How the log was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opened {
    /// It was made just now.
    pub is_new: bool,
    /// It had been closed in good order.
    pub was_closed: bool,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// Makes a record of what the log says of itself; the arguments are that, and the record's sequence number.
pub type Marks = Arc<dyn Fn(&Mark, u64) -> Vec<u8> + Send + Sync>;

/// Tells the time for names of files, milliseconds since the epoch.
pub type Now = Box<dyn Fn() -> i64 + Send + Sync>;

/// How a log is kept.
pub struct Options {
    /// The log's records of itself.
    pub marks: Marks,
    /// The time.
    pub now: Now,
    /// Bytes of a file; `None` for what is usual.
    pub segment_bytes: Option<u64>,
}

/// The audit log of a data directory, which one process has open.
pub struct AuditLog {
    shared: Arc<Shared>,
    directory: PathBuf,
    key: ChainKey,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens the log of the data directory `data`, makes it when there is none, and goes on where it ends. A log that is
    /// damaged stays as it is, and goes on in a new file whose first record says so.
    ///
    /// # Errors
    /// [`AuditError::KeyMissing`] when there is a log without its key; [`AuditError::DiskFull`] and [`AuditError::Io`].
    pub fn open(data: &Path, keys: &Keys, options: Options) -> Result<Self, AuditError> {
        let directory = data.join(DIRECTORY);
        let file = KeyFile::open(&data.join("keys"), &directory, keys)?;
        let key = file.key.clone();
        let state = open::open(&directory, &key, !file.is_begun, &options)?;
        file.begun()?;
        let shared = Arc::new(Shared::default());
        let thread = writer::start(Arc::clone(&shared), state, options)?;
        Ok(Self { shared, directory, key, thread: Mutex::new(Some(thread)) })
    }

    /// Notes a record of about `size` bytes, without waiting for it.
    pub fn note(&self, size: usize, record: Record) {
        self.shared.push(Item { size, record: Some(record), waiter: None });
    }

    /// Appends a record of about `size` bytes.
    ///
    /// # Errors
    /// When the log cannot be written: the record is not in it then.
    pub fn append(&self, size: usize, record: Record) -> impl Future<Output = Result<(), AuditError>> + Send + use<> {
        self.wait_for(size, Some(record))
    }

    /// Waits until everything that was noted before is in the log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&self) -> impl Future<Output = Result<(), AuditError>> + Send + use<> {
        self.wait_for(0, None)
    }

    fn wait_for(
        &self,
        size: usize,
        record: Option<Record>,
    ) -> impl Future<Output = Result<(), AuditError>> + Send + use<> {
        let (waiter, done) = oneshot::channel();
        self.shared.push(Item { size, record, waiter: Some(waiter) });
        let shared = Arc::clone(&self.shared);
        async move {
            // Dropped without an answer: the log was closed.
            done.await.unwrap_or_else(|_| Err(shared.state().err().unwrap_or(AuditError::Closed)))
        }
    }

    /// Whether records can be written, as far as is known.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn state(&self) -> Result<(), AuditError> {
        self.shared.state()
    }

    /// Resolves when nothing is written any more because the disk failed; the process should then end: only a new start
    /// finds out what is on the disk. Never resolves otherwise.
    pub fn stopped(&self) -> impl Future<Output = AuditError> + Send + use<> {
        self.shared.stopped()
    }

    /// Shows the records that are in the files, the newest first, until `visit` has enough. `before` is the sequence number
    /// to begin below, `from_ms` the time before which nothing is wanted: files that only have older records are left out.
    ///
    /// # Errors
    /// [`AuditError::Damaged`], [`AuditError::Io`].
    pub fn newest_first(
        &self,
        before: Option<u64>,
        from_ms: Option<i64>,
        mut visit: impl FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<(), AuditError> {
        let _kept = self.shared.keep_files();
        segment::newest_first(&self.directory, before, from_ms, &mut visit)
    }

    /// Checks the whole log.
    ///
    /// # Errors
    /// When it cannot be read; what is wrong with it is in the answer.
    pub fn verify(&self, wanted: Option<&Wanted>) -> Result<Verified, AuditError> {
        let _kept = self.shared.keep_files();
        verify::verify(&self.directory, &self.key, wanted)
    }

    /// Checks the log of a data directory that no server uses. `None`: there is no log.
    ///
    /// # Errors
    /// When it, or its key, cannot be read.
    pub fn verify_closed(data: &Path, keys: &Keys, wanted: Option<&Wanted>) -> Result<Option<Verified>, AuditError> {
        let directory = data.join(DIRECTORY);
        let Some(file) = KeyFile::find(&data.join("keys"), &directory, keys)? else { return Ok(None) };
        // A start that did not come as far as its first record.
        if !file.is_begun {
            return Ok(None);
        }
        verify::verify(&directory, &file.key, wanted).map(Some)
    }

    /// Has the files removed whose records are all older than `before_ms`, but never the one that is being written.
    pub fn prune(&self, before_ms: i64) {
        self.shared.ask(|queue: &mut Queue| queue.prune_before_ms = Some(before_ms));
    }

    /// Writes what waits, seals the log's end, and closes it. What comes afterwards is refused.
    pub fn close(&self) {
        self.shared.ask(|queue: &mut Queue| queue.is_closing = true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            // The panic was printed where it happened.
            self.shared.fail(&AuditError::Closed);
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.close();
    }
}
