//! The thread that writes: many waiting transactions, one commit.

use std::{
    future::Future,
    io,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle, Thread},
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{oneshot, watch};

use super::{
    OpenError,
    error::{open_io, store_error},
    open::Opened,
    sequence::SequenceFile,
    view::Tx,
};
use crate::{StoreError, crash};

/// Transactions that may wait; more are refused.
const WAITING: usize = 4096;
/// Transactions in one commit, at most.
const BATCH: usize = 512;
/// The log is copied into the database when it has grown to this many pages (of 4 KiB).
const CHECKPOINT_PAGES: u32 = 1000;

/// Handle of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` once dropped.
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    stopped: watch::Receiver<Option<String>>,
    identities: Arc<AtomicU64>,
}

/// A transaction that waits.
trait Job: Send {
    /// Does its work; whether it succeeded.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;

    /// Tells its caller the end: the result of its work when that is stored or failed by itself, else `error`.
    fn answer(self: Box<Self>, error: Option<StoreError>);
}

struct Pending<T, E, F> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Pending<T, E, F>
where
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = work(tx);
        let done = result.is_ok();
        self.result = Some(result);
        done
    }

    fn answer(self: Box<Self>, error: Option<StoreError>) {
        let result = match (self.result, error) {
            (Some(Ok(_)) | None, Some(error)) => Err(error.into()),
            (Some(result), _) => result,
            (None, None) => return,
        };
        // A caller that no longer waits is free to do so.
        self.caller.send(result).ok();
    }
}

impl Writer {
    pub(super) fn start(opened: Opened) -> Result<Self, OpenError> {
        let path = opened.path.clone();
        let failed = |e: io::Error| open_io("start the writer of", &path, e);
        let (queue, jobs) = sync_channel(WAITING);
        let (stop, stopped) = watch::channel(None);
        let identities = Arc::<AtomicU64>::default();
        let committer =
            Committer::new(opened, stop, Arc::clone(&identities)).map_err(|e| super::error::open_error(&path, &e))?;
        let thread = thread::Builder::new()
            .name("kiln-store".to_owned())
            .spawn(move || committer.work_off(&jobs))
            .map_err(failed)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), stopped, identities })
    }

    pub(super) fn submit<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send + use<T, E, F>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending { work: Some(work), result: None, caller });
        let refused = match &self.queue {
            Some(queue) => match queue.try_send(job) {
                Ok(()) => None,
                Err(TrySendError::Full(_)) => Some(StoreError::Overloaded),
                Err(TrySendError::Disconnected(_)) => Some(self.why_stopped()),
            },
            None => Some(self.why_stopped()),
        };
        let stopped = self.stopped.clone();
        async move {
            match refused {
                Some(error) => Err(error.into()),
                None => answer.await.unwrap_or_else(|_| Err(why(&stopped).into())),
            }
        }
    }

    /// Raised by every commit that changed something of IAM, before it is answered.
    pub(super) fn identities(&self) -> u64 {
        self.identities.load(Ordering::Acquire)
    }

    fn why_stopped(&self) -> StoreError {
        why(&self.stopped)
    }

    pub(super) fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        let mut stopped = self.stopped.clone();
        async move {
            let reason = match stopped.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone(),
                // The store was closed: nothing failed.
                Err(_) => None,
            };
            match reason {
                Some(reason) => StoreError::Stopped(reason),
                None => std::future::pending().await,
            }
        }
    }
}

fn why(stopped: &watch::Receiver<Option<String>>) -> StoreError {
    let reason = stopped.borrow().clone();
    StoreError::Stopped(reason.unwrap_or_else(|| "its writer has ended".to_owned()))
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            // The last handle may be dropped by a transaction.
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the writer was printed where it happened.
            thread.join().ok();
        }
    }
}

/// Owns the connection that writes.
struct Committer {
    db: Connection,
    path: PathBuf,
    sequence: SequenceFile,
    seq: u64,
    stop: watch::Sender<Option<String>>,
    log_pages: Arc<AtomicU32>,
    identities: Arc<AtomicU64>,
    /// The batch changes something of IAM.
    changes_identities: bool,
}

/// How a commit went.
enum Outcome {
    /// Everything that succeeded is durable.
    Durable,
    /// Nothing of it is there, and the store goes on.
    Undone(StoreError),
}

impl Committer {
    fn new(opened: Opened, stop: watch::Sender<Option<String>>, identities: Arc<AtomicU64>) -> rusqlite::Result<Self> {
        let Opened { mut db, path, sequence, seq, .. } = opened;
        let log_pages = Arc::new(AtomicU32::new(0));
        let pages = Arc::clone(&log_pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n: std::ffi::c_int| {
            pages.store(u32::try_from(n).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { db, path, sequence, seq, stop, log_pages, identities, changes_identities: false })
    }

    fn work_off(mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut batch: Vec<Box<dyn Job>> = Vec::new();
        while let Ok(first) = jobs.recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = jobs.try_recv()
            {
                batch.push(next);
            }
            let error = match self.stopped() {
                Some(error) => Some(error),
                None => match self.commit(&mut batch) {
                    Ok(Outcome::Durable) => None,
                    Ok(Outcome::Undone(error)) => Some(error),
                    Err(reason) => Some(self.stop(reason)),
                },
            };
            for job in batch.drain(..) {
                job.answer(error.clone());
            }
            if self.log_pages.load(Ordering::Relaxed) >= CHECKPOINT_PAGES {
                self.checkpoint("PASSIVE");
            }
        }
        self.checkpoint("TRUNCATE");
    }

    fn stopped(&self) -> Option<StoreError> {
        self.stop.borrow().clone().map(StoreError::Stopped)
    }

    fn stop(&self, reason: String) -> StoreError {
        self.stop.send_replace(Some(reason.clone()));
        StoreError::Stopped(reason)
    }

    /// Runs and commits a batch. An error means that it is unknown what is on the disk.
    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Outcome, String> {
        let undone = |e: &rusqlite::Error| Outcome::Undone(store_error(&self.path, e));
        if let Err(e) = self.db.execute_batch("BEGIN IMMEDIATE") {
            return if is_io(&e) { Err(e.to_string()) } else { Ok(undone(&e)) };
        }
        let mut changed = 0u64;
        for job in batch.iter_mut() {
            match self.one(job.as_mut()) {
                Ok(did) => changed += u64::from(did),
                Err(Trouble::RolledBack(error)) => return Ok(Outcome::Undone(error)),
                Err(Trouble::Disk(reason)) => return Err(reason),
            }
        }
        if changed == 0 {
            return match self.db.execute_batch("ROLLBACK") {
                Ok(()) => Ok(Outcome::Durable),
                Err(e) => Err(e.to_string()),
            };
        }
        crash::point("store_before_commit");
        let seq = self.seq + changed;
        let raised = self
            .db
            .prepare_cached("UPDATE store SET seq = ?1 WHERE one = 1")
            .and_then(|mut s| s.execute([seq.cast_signed()]))
            .and_then(|_| self.db.execute_batch("COMMIT"));
        if let Err(e) = raised {
            if !matches!(e.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::ReadOnly)) {
                return Err(e.to_string());
            }
            let error = store_error(&self.path, &e);
            if !self.db.is_autocommit() {
                self.db.execute_batch("ROLLBACK").map_err(|e| e.to_string())?;
            }
            return Ok(Outcome::Undone(error));
        }
        crash::point("store_committed");
        if std::mem::take(&mut self.changes_identities) {
            self.identities.fetch_add(1, Ordering::AcqRel);
        }
        self.seq = seq;
        self.sequence.record(seq).map_err(|e| format!("{}: {e}", super::sequence::NAME))?;
        crash::point("store_sequenced");
        Ok(Outcome::Durable)
    }

    /// Runs one transaction in a savepoint of its own; whether it changed something that stays.
    fn one(&mut self, job: &mut dyn Job) -> Result<bool, Trouble> {
        let sql = |sql: &str| self.db.prepare_cached(sql).and_then(|mut s| s.execute([]).map(drop));
        sql("SAVEPOINT one").map_err(|e| self.trouble(&e))?;
        let before = self.db.total_changes();
        let mut tx = Tx::new(&self.db, &self.path);
        let done = job.run(&mut tx);
        let identities = tx.changed_identities();
        if let Some(reason) = tx.io_failure() {
            return Err(Trouble::Disk(reason));
        }
        if self.db.is_autocommit() {
            // SQLite ends the whole transaction by itself when a statement finds the disk full.
            return Err(Trouble::RolledBack(StoreError::DiskFull { path: self.path.clone() }));
        }
        self.changes_identities |= identities;
        let changed = done && self.db.total_changes() != before;
        if !done {
            sql("ROLLBACK TO one").map_err(|e| self.trouble(&e))?;
        }
        sql("RELEASE one").map_err(|e| self.trouble(&e))?;
        Ok(changed)
    }

    fn trouble(&self, e: &rusqlite::Error) -> Trouble {
        if self.db.is_autocommit() && !is_io(e) {
            return Trouble::RolledBack(store_error(&self.path, e));
        }
        Trouble::Disk(e.to_string())
    }

    /// Copies the log into the database, so that it does not grow without end.
    fn checkpoint(&self, mode: &str) {
        if self.stopped().is_some() {
            return;
        }
        match self.db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())) {
            Ok(()) => {}
            // The log keeps what could not be copied; the next time may succeed.
            Err(e) if !is_io(&e) => {}
            Err(e) => {
                self.stop(e.to_string());
            }
        }
    }
}

/// Why a batch ends early.
enum Trouble {
    /// SQLite has rolled everything back.
    RolledBack(StoreError),
    /// The disk failed.
    Disk(String),
}

fn is_io(e: &rusqlite::Error) -> bool {
    !matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Waits for a future of this module on the calling thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    // On a thread of a runtime the channel would, after some answers, wait until the runtime has had its turn, which is
    // never while this waits.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
