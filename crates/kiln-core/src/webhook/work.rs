//! The thread that asks providers for what deliveries need, and tells them the statuses of commits. What it has to do is in
//! the store: a server that starts goes on where the last one was.

use std::{
    collections::HashSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::ask;
use crate::{core::Inner, providers::statuses, runners::Runners, supervise};

/// Calls at the same time: a provider that hangs does not keep the others waiting.
const MOST: usize = 8;
/// How often it is looked for what is due while something is waited for.
const LOOK: Duration = Duration::from_millis(500);
/// The same while nothing is.
const IDLE: Duration = Duration::from_secs(60);

/// What is being done.
#[derive(Debug, Default)]
pub(crate) struct Work {
    state: Mutex<Doing>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Doing {
    in_flight: HashSet<String>,
    is_nudged: bool,
}

impl Work {
    fn state(&self) -> MutexGuard<'_, Doing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is to be done.
    pub(crate) fn nudge(&self) {
        self.state().is_nudged = true;
        self.changed.notify_all();
    }
}

/// Until the service stops.
pub(crate) fn run<R: Runners>(inner: &Arc<Inner<R>>) {
    while !inner.is_stopping() {
        let limit = match begin(inner) {
            Ok(true) => LOOK,
            Ok(false) => IDLE,
            Err(e) => {
                tracing::warn!(error = %e, "what is to be asked of providers cannot be read");
                LOOK
            }
        };
        let state = inner.webhooks.state();
        let waiting = |doing: &mut Doing| !doing.is_nudged && !inner.is_stopping();
        let waited = inner.webhooks.changed.wait_timeout_while(state, limit, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_nudged = false;
    }
}

/// Begins what is due; whether anything is waited for.
fn begin<R: Runners>(inner: &Arc<Inner<R>>) -> Result<bool, kiln_store::StoreError> {
    let Some(next) = inner.metadata.read(|view| view.next_webhook_work())? else { return Ok(false) };
    let now = inner.now();
    if next > now {
        return Ok(true);
    }
    let (deliveries, due) =
        inner.metadata.read(|view| Ok((view.deliveries_due(now, 4 * MOST)?, view.statuses_due(now, 4 * MOST)?)))?;
    for uuid in deliveries {
        let with = Arc::clone(inner);
        let id = uuid.clone();
        start(inner, uuid, move || {
            if let Err(e) = ask::process(&with, &id) {
                tracing::warn!(delivery = %id, error = %e, "a delivery could not be decided yet");
                supervise::pause(&with);
            }
        });
    }
    for record in due {
        let with = Arc::clone(inner);
        start(inner, format!("status {}", record.subject), move || {
            if let Err(e) = statuses::send(&with, &record) {
                tracing::warn!(subject = %record.subject, error = %e, "a status could not be told yet");
                supervise::pause(&with);
            }
        });
    }
    Ok(true)
}

fn start<R: Runners>(inner: &Arc<Inner<R>>, key: String, work: impl FnOnce() + Send + 'static) {
    {
        let mut doing = inner.webhooks.state();
        if doing.in_flight.len() >= MOST || !doing.in_flight.insert(key.clone()) {
            return;
        }
    }
    // Dropped with the closure, whether that runs, panics, or gets no thread.
    let doing = InFlight { inner: Arc::clone(inner), key };
    inner.spawn("kiln-provider", move || {
        work();
        drop(doing);
    });
}

/// Something that is being done, and may be begun again when this goes.
struct InFlight<R: Runners> {
    inner: Arc<Inner<R>>,
    key: String,
}

impl<R: Runners> Drop for InFlight<R> {
    fn drop(&mut self) {
        self.inner.webhooks.state().in_flight.remove(&self.key);
        self.inner.webhooks.nudge();
    }
}
