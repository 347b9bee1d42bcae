//! The service: what it is made of, and how it starts and stops.

use std::{
    fs, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use kiln_model::ApiError;
use kiln_runner::{
    clock::Clock,
    job::{Control, Job},
};
use kiln_store::{
    AuditError, AuditLog, Metadata, StoreError, Tx, View,
    blobs::Blobs,
    keys::Keys,
    logs::Logs,
    metadata::BuildState,
    repos::{self, Repos},
};
use tokio::sync::watch;

use crate::{
    audit::{Outage, Strangers},
    codecommit,
    config::Config,
    console::Links,
    document::Document,
    events,
    external::External,
    finish,
    iam::{self, Known},
    job, kms,
    lifecycle::{Event, Millis, State},
    live::{Live, LiveBuilds},
    logs as streams,
    objects::{self, Held},
    parts::Beat,
    providers::{Probed, outgoing::Outgoing},
    queue::{Queue, Waiting},
    records::{self, Refused},
    retention::Rounds,
    runners::Runners,
    scheduler, supervise,
    tally::Tally,
    traces::{self, TraceSink},
    webhook::{self, Work},
};

/// The service of one data directory. Cheap to clone.
#[derive(Debug)]
pub struct Core<R> {
    pub(crate) inner: Arc<Inner<R>>,
}

impl<R> Clone for Core<R> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

#[derive(Debug)]
pub(crate) struct Inner<R> {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) metadata: Metadata,
    pub(crate) keys: Keys,
    pub(crate) blobs: Blobs,
    pub(crate) held: Arc<Held>,
    pub(crate) repos: Repos,
    pub(crate) hosting: codecommit::Hosting,
    pub(crate) external: External,
    pub(crate) logs: Logs,
    pub(crate) puts: streams::Turns,
    pub(crate) tails: streams::Tails,
    pub(crate) audit: AuditLog,
    pub(crate) strangers: Strangers,
    pub(crate) unaudited: Outage,
    pub(crate) known: Known,
    pub(crate) links: Links,
    pub(crate) runners: R,
    pub(crate) live: LiveBuilds,
    pub(crate) tally: Tally,
    pub(crate) beat: Beat,
    pub(crate) traces: Option<Arc<dyn TraceSink>>,
    pub(crate) events: events::Bell,
    pub(crate) outgoing: Arc<dyn Outgoing>,
    pub(crate) probed: Probed,
    pub(crate) webhooks: Work,
    queue: Mutex<Queue>,
    work: Condvar,
    /// Wall clock and monotonic clock when the service started.
    began: (Millis, Duration),
    damage: watch::Sender<Option<StoreError>>,
    stopping: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The records cannot be read.
    #[error("the records of builds cannot be read: {0}")]
    Store(#[from] StoreError),
    /// Directories of builds cannot be read or made.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Cause.
        source: io::Error,
    },
}

/// The service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store of records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log, without which nothing may be changed.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

/// The parts that a service is made of.
#[derive(Debug)]
pub struct Parts<R> {
    /// Settings.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// Records.
    pub metadata: Metadata,
    /// Keys.
    pub keys: Keys,
    /// Object bytes.
    pub blobs: Blobs,
    /// Logs.
    pub logs: Logs,
    /// Who called what.
    pub audit: AuditLog,
    /// Runners.
    pub runners: R,
    /// Who collects the traces of builds.
    pub traces: Option<Arc<dyn TraceSink>>,
    /// Who makes calls to the providers of sources.
    pub outgoing: Arc<dyn Outgoing>,
}

impl<R: Runners> Core<R> {
    /// Starts the service. This is recovery too: builds that an earlier server gave to runners are followed on from
    /// where their journals are, the rest of the queue waits as before.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(parts: Parts<R>) -> Result<Self, StartError> {
        let Parts { config, clock, metadata, keys, blobs, logs, audit, runners, traces, outgoing } = parts;
        let staging = config.staging();
        let io = |what: String| move |source| StartError::Io { what, source };
        // Whatever lies there belongs to builds that are to be looked at again; those that still run have it open.
        fs::create_dir_all(&staging).map_err(io(format!("cannot make {}", staging.display())))?;
        let uploads = config.uploads();
        fs::create_dir_all(&uploads).map_err(io(format!("cannot make {}", uploads.display())))?;
        let external = External::new(config.external.clone(), uploads);
        let queue = Mutex::new(Queue::new(config.capacity));
        let repos = Repos::new(&config.data.join(repos::DIRECTORY));
        let began = (wall_ms(&clock), clock.monotonic());
        let inner = Arc::new(Inner {
            config,
            clock,
            metadata,
            keys,
            blobs,
            held: Arc::default(),
            repos,
            hosting: codecommit::Hosting::default(),
            external,
            logs,
            puts: streams::Turns::default(),
            tails: streams::Tails::default(),
            audit,
            strangers: Strangers::default(),
            unaudited: Outage::default(),
            known: Known::default(),
            links: Links::default(),
            runners,
            live: LiveBuilds::default(),
            tally: Tally::default(),
            beat: Beat::default(),
            traces,
            events: events::Bell::default(),
            outgoing,
            probed: Probed::default(),
            webhooks: Work::default(),
            queue,
            work: Condvar::new(),
            began,
            damage: watch::Sender::new(None),
            stopping: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        });
        let nudged = Arc::downgrade(&inner);
        inner.runners.on_change(Arc::new(move |uuid| {
            if let Some(live) = nudged.upgrade().and_then(|inner| inner.live.get(uuid)) {
                live.nudge();
            }
        }));
        kms::ensure_managed_keys(&inner)?;
        iam::ensure_service_roles(&inner)?;
        let unfinished = inner.external.unfinished();
        if !unfinished.is_empty() {
            let with = Arc::clone(&inner);
            inner.spawn("kiln-uploads", move || with.external.abort(unfinished));
        }
        inner.recover()?;
        let with = Arc::clone(&inner);
        inner.spawn("kiln-repos", move || codecommit::recover(&with));
        traces::resume(&inner)?;
        if !inner.metadata.was_checked() {
            let with = Arc::clone(&inner);
            inner.spawn("kiln-check", move || with.check_records());
        }
        let core = Self { inner };
        let inner = Arc::clone(&core.inner);
        // From now on, however long a busy machine takes to begin the thread.
        let rounds = Rounds::new(inner.now(), inner.clock.monotonic());
        core.inner.spawn("kiln-scheduler", move || scheduler::run(&inner, rounds));
        let inner = Arc::clone(&core.inner);
        core.inner.spawn("kiln-events", move || events::run(&inner));
        let inner = Arc::clone(&core.inner);
        core.inner.spawn("kiln-webhooks", move || webhook::run(&inner));
        Ok(core)
    }

    /// Stops: gives no more builds to runners, and lets go of those that run, which go on without the server.
    pub fn stop(&self) {
        self.inner.stopping.store(true, Ordering::SeqCst);
        self.inner.work.notify_all();
        self.inner.events.ring();
        self.inner.webhooks.nudge();
        for live in self.inner.live.all() {
            live.nudge();
        }
        loop {
            let threads: Vec<_> = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
            if threads.is_empty() {
                break;
            }
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the service panicked");
                }
            }
        }
        self.inner.audit.close();
    }

    /// Resolves when the store or the audit log has failed for good, or the store was found damaged; the process should
    /// end then.
    pub fn failed(&self) -> impl Future<Output = Failure> + Send + use<R> {
        let (failed, mut damage) = (self.inner.metadata.failed(), self.inner.damage.subscribe());
        let unaudited = self.inner.audit.stopped();
        async move {
            let damaged = async {
                match damage.wait_for(Option::is_some).await.map(|damage| damage.clone()) {
                    Ok(Some(error)) => error,
                    // The service is over: nothing can be found any more.
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                error = failed => error.into(),
                error = damaged => error.into(),
                error = unaudited => error.into(),
            }
        }
    }
}

impl<R: Runners> Inner<R> {
    /// Now, in milliseconds since the epoch.
    pub(crate) fn now(&self) -> Millis {
        wall_ms(&self.clock)
    }

    /// As [`Inner::now`] would be if nobody had set the clock since the service started.
    pub(crate) fn steady_now(&self) -> Millis {
        let (wall, monotonic) = self.began;
        let passed = self.clock.monotonic().saturating_sub(monotonic).as_millis();
        wall.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// A transaction that may refuse the client's request; durable when it resolves.
    pub(crate) async fn transact<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, Refused> + Send + 'static,
        T: Send + 'static,
    {
        self.metadata.transact(work).await.map_err(ApiError::from)
    }

    /// Reads from a snapshot; the client's request may be refused.
    pub(crate) fn look<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T, Refused>) -> Result<T, ApiError> {
        let found = self.metadata.read(|view| match work(view) {
            Ok(value) => Ok(Ok(value)),
            Err(Refused::Api(error)) => Ok(Err(error)),
            Err(Refused::Store(error)) => Err(error),
        });
        found.map_err(|error| records::refuse(&error))?
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the scheduler.
    pub(crate) fn nudge_scheduler(&self) {
        self.work.notify_all();
    }

    /// Waits for the scheduler's next work.
    pub(crate) fn wait_for_work(&self, queue: MutexGuard<'_, Queue>, limit: Duration) {
        // Nothing that is pushed meanwhile is missed: whoever pushes holds the lock.
        drop(self.work.wait_timeout(queue, limit).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Runs work on a thread that [`Core::stop`] waits for.
    pub(crate) fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        match thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work) {
            Ok(thread) => threads.push(thread),
            Err(e) => tracing::error!(error = %e, "no thread could be started for {name}"),
        }
    }

    /// A build that waits, for the queue. Its time in the queue counts from when it was accepted; where the machine was
    /// restarted meanwhile, by the wall clock, which alone outlives that.
    pub(crate) fn waiting(&self, document: &Document) -> Waiting {
        let minutes = u64::try_from(document.build.queued_timeout_in_minutes.unwrap_or(480)).unwrap_or(480);
        let limit = Duration::from_secs(minutes * 60);
        let waited = document.accepted.as_ref().and_then(|then| self.clock.boot_time()?.since(then));
        let waited = waited.unwrap_or_else(|| {
            let ms = self.now().saturating_sub(document.lifecycle.submitted_ms).max(0);
            Duration::from_millis(ms.unsigned_abs())
        });
        let left = limit.saturating_sub(waited);
        Waiting {
            uuid: document.uuid().to_owned(),
            project: document.build.project_name.clone(),
            memory_bytes: job::compute(document).memory_bytes(),
            deadline: self.clock.monotonic() + left,
        }
    }

    /// Counts a build whose end was just stored; its event may start others, and its commit is told.
    pub(crate) fn ended(&self, document: &Document) {
        self.tally.ended(document);
        self.events.ring();
        self.webhooks.nudge();
    }

    /// Puts a build that was just accepted into the queue.
    pub(crate) fn enqueue(&self, document: &Document) {
        let waiting = self.waiting(document);
        self.queue().push(waiting);
        self.nudge_scheduler();
        self.events.ring();
        self.webhooks.nudge();
    }

    /// Compares the records with what really runs (DESIGN decision 1).
    fn recover(self: &Arc<Self>) -> Result<(), StartError> {
        self.sweep_blobs();
        let mut active = Vec::new();
        for state in [BuildState::Running, BuildState::Queued] {
            for key in self.metadata.read(|view| view.active_build_ids(state, None, usize::MAX))? {
                let found = self.metadata.read(|view| records::find(view, &key.uuid))?;
                let Some((_, document)) = found else { continue };
                match state {
                    BuildState::Running => self.readopt(document)?,
                    _ => self.enqueue(&document),
                }
                active.push(key.uuid);
            }
        }
        streams::take_in(self)?;
        self.close_others(&active)?;
        self.clear_staging(&active);
        Ok(())
    }

    /// Reads all records, which takes too long to be waited for at the start. Damaged ones are never served; but one that
    /// cannot be found any more would be missing in silence.
    fn check_records(self: &Arc<Self>) {
        let inner = Arc::clone(self);
        let found = match self.metadata.check_while(move || !inner.is_stopping()) {
            Ok(found) => found.unwrap_or_default(),
            Err(error @ StoreError::Damaged { .. }) => {
                self.damage.send_replace(Some(error));
                return;
            }
            Err(e) => {
                tracing::warn!(error = %e, "the records could not be checked");
                return;
            }
        };
        for what in &found {
            tracing::error!("the records are damaged: {what}");
        }
        if let Some(what) = found.into_iter().next() {
            let path = self.config.data.join(kiln_store::metadata::DATABASE);
            self.damage.send_replace(Some(StoreError::Damaged { path, what }));
        }
    }

    /// Removes blobs that a killed server finished and did not record. Listed before anything is written here, so that
    /// none is among them that is about to be recorded; looked at in the background. A bucket is listed there too: its
    /// server may be slow or away.
    fn sweep_blobs(self: &Arc<Self>) {
        let listed = (!self.blobs.are_remote()).then(|| self.leftover_blobs());
        if listed.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let inner = Arc::clone(self);
        self.spawn("kiln-sweep", move || {
            let blobs = listed.unwrap_or_else(|| inner.leftover_blobs());
            for blob in blobs.into_iter().take_while(|_| !inner.is_stopping()) {
                match inner.metadata.read(|view| view.is_blob_used(&blob)) {
                    Ok(false) => objects::give_up(&inner, &[blob]),
                    Ok(true) => {}
                    Err(e) => {
                        tracing::warn!(error = %e, "blobs cannot be compared with their records");
                        return;
                    }
                }
            }
        });
    }

    fn leftover_blobs(&self) -> Vec<String> {
        let mut blobs = Vec::new();
        if let Err(e) = self.blobs.leftovers(self.now(), |blob| blobs.push(blob.to_owned())) {
            tracing::warn!(error = %e, "blobs cannot be listed");
        }
        blobs
    }

    /// A build that was given to a runner: follows it on, or gives it its turn again when its runner never began. The
    /// journal is the first thing that a runner makes; without one nothing of the build has happened.
    fn readopt(self: &Arc<Self>, document: Document) -> Result<(), StartError> {
        let uuid = document.uuid().to_owned();
        let uuid = uuid.as_str();
        let journal = self.runners.dir(uuid).join(kiln_runner::job::JOURNAL_FILE);
        if !self.runners.alive(uuid) && !journal.exists() {
            self.discard(uuid);
            let back = uuid.to_owned();
            self.metadata.write_blocking(move |tx| records::step(tx, &back, &Event::NotBegun))?;
            return Ok(()); // it is among the queued ones now
        }
        if let Err(e) = self.runners.watch(uuid) {
            tracing::warn!(build.id = %document.build.id, error = %e, "build is only looked at once a second");
        }
        self.queue().adopt(uuid, &document.build.project_name, job::compute(&document).memory_bytes());
        let live = Arc::new(Live::new(uuid, document));
        match Job::read(&self.runners.dir(uuid)) {
            Ok(job) => {
                if let Some(access) = job.service.and_then(|service| service.server) {
                    live.set_access(access);
                }
            }
            Err(e) => tracing::warn!(build.uuid = %uuid, error = %e, "a build that runs is not served any more"),
        }
        self.live.insert(Arc::clone(&live));
        let inner = Arc::clone(self);
        self.spawn("kiln-build", move || supervise::follow_on(&inner, &live));
        Ok(())
    }

    /// Directories of builds that are over, or that nothing is known of.
    fn close_others(self: &Arc<Self>, active: &[String]) -> Result<(), StartError> {
        let known = self
            .runners
            .known()
            .map_err(|source| StartError::Io { what: "cannot list the builds".to_owned(), source })?;
        for uuid in known.into_iter().filter(|uuid| !active.contains(uuid)) {
            let kept = match self.metadata.read(|view| records::find(view, &uuid))? {
                Some((_, document)) => document.kept_bytes.is_some(),
                None => {
                    tracing::warn!(build.uuid = %uuid, "a build that no record names is removed");
                    self.runners.tell(&uuid, Control::Kill);
                    false
                }
            };
            if kept {
                continue;
            }
            if self.runners.alive(&uuid) {
                // A server that died recorded the end; the runner is just letting go.
                let inner = Arc::clone(self);
                self.spawn("kiln-close", move || {
                    if finish::has_let_go(&inner, &uuid, thread::sleep) {
                        inner.discard(&uuid);
                    }
                });
            } else {
                self.discard(&uuid);
            }
        }
        Ok(())
    }

    /// Removes everything of a build whose runner is dead.
    pub(crate) fn discard(&self, uuid: &str) {
        for result in [self.runners.clear(uuid), self.runners.close(uuid, false).map(drop)] {
            if let Err(e) = result {
                tracing::warn!(build.uuid = %uuid, error = %e, "a build left something behind");
            }
        }
    }

    /// Archives of builds that are over.
    fn clear_staging(&self, active: &[String]) {
        let Ok(entries) = fs::read_dir(self.config.staging()) else { return };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !active.iter().any(|uuid| name.starts_with(uuid.as_str()))
                && let Err(e) = fs::remove_file(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), error = %e, "a source's archive cannot be removed");
            }
        }
    }

    /// A build with what is known of it now: from memory while it runs, from the store otherwise.
    pub(crate) fn find(&self, uuid: &str, project: &str) -> Result<Option<Document>, ApiError> {
        // Looked at first: what has just ended is in the store before it leaves the memory.
        // One that is just being given to a runner is in the store still.
        let live = self.live.get(uuid).map(|live| live.document()).filter(|d| d.lifecycle.state != State::Queued);
        if live.is_some() {
            return Ok(live.filter(|d| d.build.project_name == project));
        }
        let found = self.metadata.read(|view| records::find(view, uuid)).map_err(|e| records::refuse(&e))?;
        Ok(found.map(|(_, document)| document).filter(|d| d.build.project_name == project))
    }
}

fn wall_ms(clock: &Clock) -> Millis {
    i64::try_from(clock.wall_ns() / 1_000_000).unwrap_or(i64::MAX)
}
