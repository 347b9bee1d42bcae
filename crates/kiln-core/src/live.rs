//! Builds that are given to a runner, in memory: what their journals have said so far.

use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kiln_runner::job::ServerAccess;
use tokio::sync::watch;

use crate::{document::Document, timeline::Timeline};

/// How far a build is, for those who follow it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of its journal that are whole records.
    pub(crate) bytes: u64,
    /// Its end is committed: everything else is in the store now.
    pub(crate) over: bool,
}

/// What is known of a build.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) document: Document,
    pub(crate) timeline: Timeline,
}

/// One build.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) uuid: String,
    known: Mutex<Known>,
    progress: watch::Sender<Progress>,
    nudged: Mutex<bool>,
    nudge: Condvar,
    access: OnceLock<ServerAccess>,
    is_over: AtomicBool,
}

impl Live {
    pub(crate) fn new(uuid: &str, document: Document) -> Self {
        Self {
            uuid: uuid.to_owned(),
            known: Mutex::new(Known { document, timeline: Timeline::default() }),
            progress: watch::Sender::new(Progress::default()),
            nudged: Mutex::new(false),
            nudge: Condvar::new(),
            access: OnceLock::new(),
            is_over: AtomicBool::new(false),
        }
    }

    /// How its runner may speak to the server; set once, before the runner can.
    pub(crate) fn set_access(&self, access: ServerAccess) {
        self.access.set(access).ok(); // the first one is the runner's
    }

    /// What [`Self::set_access`] set; `None` before, and for builds whose runners do not speak to the server.
    pub(crate) fn access(&self) -> Option<&ServerAccess> {
        self.access.get()
    }

    /// From here on nobody acts for the build any more: its journal has ended, though its end is not recorded yet.
    pub(crate) fn set_over(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Whether the build still runs.
    pub(crate) fn runs(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    /// Reads or changes what is known. A panic while it is changed leaves it as it then was: it is only a copy of what
    /// the journal says.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn document(&self) -> Document {
        self.with(|known| known.document.clone())
    }

    /// Follows its progress.
    pub(crate) fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Tells those who follow.
    pub(crate) fn announce(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }

    /// Wakes its supervisor.
    pub(crate) fn nudge(&self) {
        *self.nudged.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.nudge.notify_one();
    }

    /// Waits to be nudged, at most so long.
    pub(crate) fn wait(&self, limit: Duration) {
        let nudged = self.nudged.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut nudged, _) =
            self.nudge.wait_timeout_while(nudged, limit, |nudged| !*nudged).unwrap_or_else(PoisonError::into_inner);
        *nudged = false;
    }
}

/// The builds that have a supervisor, by uuid.
#[derive(Debug, Default)]
pub(crate) struct LiveBuilds(RwLock<HashMap<String, Arc<Live>>>);

impl LiveBuilds {
    pub(crate) fn get(&self, uuid: &str) -> Option<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(uuid).cloned()
    }

    pub(crate) fn insert(&self, live: Arc<Live>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(live.uuid.clone(), live);
    }

    pub(crate) fn remove(&self, uuid: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(uuid);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
