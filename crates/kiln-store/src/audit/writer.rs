//! The thread that writes: what waits goes into the file together, and is synced together.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    Mark, Marks, Opened, Options, Record, SEGMENT, WAITING, WAITING_BYTES,
    chain::{Chain, ChainKey},
    error::{AuditError, io as io_error},
    head::{Head, HeadFile, Place},
    segment::{self, Segment},
};
use crate::crash;

/// So long a noted record may wait for others.
const GATHER: Duration = Duration::from_millis(50);
/// Records that do not wait any longer.
const ENOUGH: usize = 1024;
/// So long a written record may wait for its sync; and between two tries to write when there is no room.
const SYNC: Duration = Duration::from_secs(1);

/// What waits to be written.
pub(super) struct Item {
    pub(super) size: usize,
    /// `None`: only what was before is waited for.
    pub(super) record: Option<Record>,
    /// Who waits for it to be synced.
    pub(super) waiter: Option<oneshot::Sender<Result<(), AuditError>>>,
}

/// What the thread is to do.
#[derive(Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// Somebody waits for one of the items.
    is_urgent: bool,
    /// Records that there was no room for.
    lost: u64,
    pub(super) is_closing: bool,
    pub(super) prune_before_ms: Option<i64>,
    is_over: bool,
}

/// What the thread and the log's users share.
#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    failure: watch::Sender<Option<AuditError>>,
    /// Held while files are removed or replaced, and by those who read them.
    files: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn push(&self, item: Item) {
        let mut queue = lock(&self.queue);
        if queue.is_over {
            return; // dropping the item tells its waiter
        }
        let is_full = queue.items.len() >= WAITING || queue.bytes.saturating_add(item.size) > WAITING_BYTES;
        if is_full && item.waiter.is_none() {
            queue.lost += 1;
            return;
        }
        // The thread looks by itself after a while; it is only woken when it sleeps without end, or must not wait.
        let wakes = queue.items.is_empty() || item.waiter.is_some() || queue.items.len() == ENOUGH;
        queue.is_urgent |= item.waiter.is_some();
        queue.bytes = queue.bytes.saturating_add(item.size);
        queue.items.push_back(item);
        drop(queue);
        if wakes {
            self.work.notify_one();
        }
    }

    pub(super) fn ask(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut lock(&self.queue));
        self.work.notify_one();
    }

    pub(super) fn state(&self) -> Result<(), AuditError> {
        self.failure.borrow().clone().map_or(Ok(()), Err)
    }

    pub(super) fn fail(&self, error: &AuditError) {
        self.failure.send_replace(Some(error.clone()));
    }

    pub(super) fn stopped(&self) -> impl Future<Output = AuditError> + Send + use<> {
        let mut failure = self.failure.subscribe();
        async move {
            let is_for_good = |failure: &Option<AuditError>| matches!(failure, Some(AuditError::Stopped(_)));
            match failure.wait_for(is_for_good).await.map(|failure| failure.clone()) {
                Ok(Some(error)) => error,
                // The log is closed: nothing can fail any more.
                _ => std::future::pending().await,
            }
        }
    }

    pub(super) fn keep_files(&self) -> MutexGuard<'_, ()> {
        lock(&self.files)
    }
}

/// The end of a log, open to be appended to.
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) key: ChainKey,
    /// What the head says when everything that is written is synced; its end is behind the last written record.
    pub(super) head: Head,
    pub(super) head_file: HeadFile,
    pub(super) segment: Segment,
    pub(super) file: File,
    /// The chain at the end of the file: the header's, or the last record's.
    pub(super) chain: Chain,
    /// Of the file, up to the last good record.
    pub(super) length: u64,
    pub(super) opened: Opened,
    /// Earlier files that are still to be compressed.
    pub(super) uncompressed: Vec<Segment>,
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>, state: State, options: Options) -> Result<JoinHandle<()>, AuditError> {
    let directory = state.directory.clone();
    let Options { marks, segment_bytes, now } = options;
    let writer = Writer {
        shared,
        state,
        marks,
        now,
        limit: segment_bytes.unwrap_or(SEGMENT),
        pending: Vec::new(),
        unsynced_since: None,
        stopped: None,
        lost: 0,
        compressing: None,
    };
    let spawned = thread::Builder::new().name("kiln-audit".to_owned()).spawn(move || writer.work_off());
    spawned.map_err(|e| io_error("start the writer of", &directory, e))
}

struct Writer {
    shared: Arc<Shared>,
    state: State,
    marks: Marks,
    now: super::Now,
    limit: u64,
    /// Written, and waiting for the sync.
    pending: Vec<oneshot::Sender<Result<(), AuditError>>>,
    unsynced_since: Option<Instant>,
    /// Nothing is written any more.
    stopped: Option<AuditError>,
    /// Records that are missing and were not told of yet.
    lost: u64,
    compressing: Option<JoinHandle<()>>,
}

/// What was taken from the queue.
struct Batch {
    items: VecDeque<Item>,
    lost: u64,
    is_closing: bool,
    prune_before_ms: Option<i64>,
}

impl Writer {
    fn work_off(mut self) {
        let opened = Mark::Opened(self.state.opened.clone());
        let mut first = VecDeque::from([self.mark(opened)]);
        let uncompressed = std::mem::take(&mut self.state.uncompressed);
        self.write(&mut first);
        self.sync_if_due(true);
        self.compress(uncompressed);
        loop {
            let mut batch = self.next();
            self.lost += batch.lost;
            if self.lost > 0 {
                let gap = self.mark(Mark::Gap { lost: self.lost });
                batch.items.push_front(gap);
            }
            if batch.is_closing {
                batch.items.push_back(self.mark(Mark::Closed));
            }
            let is_urgent = batch.items.iter().any(|item| item.waiter.is_some());
            self.write(&mut batch.items);
            self.sync_if_due(is_urgent || batch.is_closing);
            if let Some(before_ms) = batch.prune_before_ms {
                self.prune(before_ms);
            }
            if batch.is_closing {
                return self.close();
            }
        }
    }

    fn mark(&self, mark: Mark) -> Item {
        let marks = Arc::clone(&self.marks);
        Item { size: 0, record: Some(Box::new(move |sequence| marks(&mark, sequence))), waiter: None }
    }

    /// Waits for something to do.
    fn next(&self) -> Batch {
        let mut queue = lock(&self.shared.queue);
        let has_work = |queue: &Queue| !queue.items.is_empty() || queue.is_closing || queue.prune_before_ms.is_some();
        let is_waiting = self.unsynced_since.is_some() || self.lost > 0;
        if !has_work(&queue) {
            let wait = self.shared.work.wait_timeout_while(queue, SYNC, |queue| !has_work(queue));
            queue = wait.unwrap_or_else(PoisonError::into_inner).0;
            while !is_waiting && !has_work(&queue) {
                queue = self.shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let may_gather = |queue: &mut Queue| {
            !queue.is_urgent && !queue.is_closing && queue.items.len() < ENOUGH && !queue.items.is_empty()
        };
        let wait = self.shared.work.wait_timeout_while(queue, GATHER, may_gather);
        queue = wait.unwrap_or_else(PoisonError::into_inner).0;
        queue.is_urgent = false;
        queue.bytes = 0;
        Batch {
            items: std::mem::take(&mut queue.items),
            lost: std::mem::take(&mut queue.lost),
            is_closing: queue.is_closing,
            prune_before_ms: queue.prune_before_ms.take(),
        }
    }

    /// Writes records into the file, up to its limit at a time.
    fn write(&mut self, items: &mut VecDeque<Item>) {
        while !items.is_empty() {
            let written = match &self.stopped {
                Some(error) => Err(error.clone()),
                None => self.write_some(items),
            };
            let Err(error) = written else { continue };
            self.refuse(items, &error);
        }
    }

    /// Tells everybody who waits that it is not to be.
    fn refuse(&mut self, items: &mut VecDeque<Item>, error: &AuditError) {
        self.shared.fail(error);
        for item in items.drain(..) {
            // A mark is not missed; a gap's count stays.
            self.lost += u64::from(item.record.is_some() && item.size > 0);
            if let Some(waiter) = item.waiter {
                waiter.send(Err(error.clone())).ok();
            }
        }
    }

    fn write_some(&mut self, items: &mut VecDeque<Item>) -> Result<(), AuditError> {
        if self.state.length >= self.limit {
            self.rotate()?;
        }
        let mut bytes = Vec::new();
        let (mut chain, mut sequence) = (self.state.chain, self.state.head.end.sequence);
        let (mut waiters, mut count) = (Vec::new(), 0_u64);
        let room = self.limit.saturating_sub(self.state.length);
        while bytes.len() as u64 <= room {
            let Some(item) = items.pop_front() else { break };
            if let Some(record) = item.record {
                let record = record(sequence + 1);
                let record: Vec<u8> = record.into_iter().map(|byte| if byte == b'\n' { b' ' } else { byte }).collect();
                sequence += 1;
                chain = self.state.key.next(&chain, sequence, &record);
                segment::line(&chain, &record, &mut bytes);
                count += u64::from(item.size > 0);
            }
            waiters.extend(item.waiter);
        }
        if let Err(error) = self.put(&bytes) {
            self.lost += count;
            for waiter in waiters {
                waiter.send(Err(error.clone())).ok();
            }
            return Err(error);
        }
        crash::point("audit_written");
        self.state.chain = chain;
        if sequence > self.state.head.end.sequence {
            self.state.head.end = Place { sequence, chain };
            self.unsynced_since.get_or_insert_with(Instant::now);
            // A gap is told of in front of everything else.
            self.lost = 0;
        }
        self.pending.append(&mut waiters);
        self.shared.failure.send_replace(None);
        Ok(())
    }

    /// Appends bytes to the file, or leaves it as it was.
    fn put(&mut self, bytes: &[u8]) -> Result<(), AuditError> {
        let State { file, length, segment, .. } = &mut self.state;
        match file.write_all(bytes) {
            Ok(()) => {
                *length += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                let error = io_error("write", &segment.path, e);
                let undone = file.set_len(*length).and_then(|()| file.seek(SeekFrom::Start(*length)));
                if let Err(e) = undone {
                    self.stopped = Some(AuditError::Stopped(format!("{} cannot be cut: {e}", segment.path.display())));
                }
                Err(error)
            }
        }
    }

    /// Syncs what was written, if it is time.
    fn sync_if_due(&mut self, now: bool) {
        let is_due = |since: Instant| now || since.elapsed() >= SYNC;
        if self.unsynced_since.is_some_and(is_due) {
            let synced = self.state.file.sync_data();
            crash::point("audit_synced");
            self.unsynced_since = None;
            if let Err(e) = synced {
                let error =
                    AuditError::Stopped(format!("{} could not be synced: {e}", self.state.segment.path.display()));
                self.shared.fail(&error);
                self.stopped = Some(error);
            } else if let Err(error) = self.state.head_file.write(&self.state.head, &self.state.key) {
                self.shared.fail(&error);
            }
        }
        if self.unsynced_since.is_none() {
            let result = self.stopped.clone().map_or(Ok(()), Err);
            for waiter in self.pending.drain(..) {
                // A caller that no longer waits is free to do so.
                waiter.send(result.clone()).ok();
            }
        }
    }

    /// Begins a new file.
    fn rotate(&mut self) -> Result<(), AuditError> {
        self.sync_if_due(true);
        if let Some(error) = &self.stopped {
            return Err(error.clone());
        }
        self.state.head_file.write_synced(&self.state.head, &self.state.key)?;
        let (segment, file, header) = Segment::create(&self.state.directory, &self.state.head.end, (self.now)())?;
        let old = std::mem::replace(&mut self.state.segment, segment);
        self.state.file = file;
        self.state.chain = self.state.key.begin(&header);
        self.state.length = header.len() as u64 + 1;
        self.compress(vec![old]);
        Ok(())
    }

    /// Compresses files that nothing is appended to any more, beside the work. One that cannot be stays as it is, which is
    /// as good; at the next start it is tried again.
    fn compress(&mut self, segments: Vec<Segment>) {
        if segments.is_empty() {
            return;
        }
        self.finish_compressing();
        let shared = Arc::clone(&self.shared);
        let work = move || {
            for segment in segments {
                let _alone = shared.keep_files();
                segment.compress().ok();
            }
        };
        self.compressing = thread::Builder::new().name("kiln-audit-zstd".to_owned()).spawn(work).ok();
    }

    fn finish_compressing(&mut self) {
        if let Some(thread) = self.compressing.take() {
            // A panic was printed where it happened, and the file is still there.
            thread.join().ok();
        }
    }

    /// Removes files that only have records from before that time.
    fn prune(&mut self, before_ms: i64) {
        let shared = Arc::clone(&self.shared);
        let _alone = shared.keep_files();
        let Ok(segments) = segment::list(&self.state.directory) else { return };
        // A file is over when the next one begins.
        let is_old = |pair: &&[Segment]| pair.last().is_some_and(|next| next.time_ms < before_ms);
        let count = segments.windows(2).take_while(is_old).count();
        let (old, kept) = segments.split_at(count);
        let Some(begin) = kept
            .first()
            .filter(|_| count > 0)
            .and_then(|first| segment::header(segment::lines(&first.read().ok()?).next()?))
        else {
            return;
        };
        let head = Head { begin, ..self.synced_head() };
        // First the head: files that are older than it says are removed at last, whatever happens.
        if self.state.head_file.write_synced(&head, &self.state.key).is_ok() {
            self.state.head.begin = begin;
            for segment in old {
                if fs::remove_file(&segment.path).is_err() {
                    // Checking the log will find it, in front of its beginning.
                    return;
                }
            }
        }
    }

    /// The head as it may be written at this moment.
    fn synced_head(&mut self) -> Head {
        self.sync_if_due(true);
        self.state.head
    }

    fn close(mut self) {
        self.finish_compressing();
        self.state.head.is_closed = true;
        if self.stopped.is_none()
            && let Err(error) = self.state.head_file.write_synced(&self.state.head, &self.state.key)
        {
            self.shared.fail(&error);
        }
        let mut queue = lock(&self.shared.queue);
        queue.is_over = true;
        queue.items.clear();
    }
}
