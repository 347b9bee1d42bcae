//! The thread that looks at the clock and starts what is to be started.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use kiln_store::StoreError;

use super::{deliver, due};
use crate::{core::Inner, lifecycle::Millis, runners::Runners};

/// Between two looks at the clock, which may be set, while there are schedules.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks when nothing is known to be due.
const IDLE: Duration = Duration::from_secs(60);
/// Deliveries that are read at once.
const BATCH: usize = 50;

/// Wakes the thread.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    /// There may be something to do.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Waits until it rings, or until the time is over.
    fn wait(&self, limit: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, limit, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Until the service stops.
pub(crate) fn run<R: Runners>(inner: &Arc<Inner<R>>) {
    // Whatever the clock was set to meanwhile.
    let mut seen = Millis::MAX;
    while !inner.is_stopping() {
        let now = inner.now();
        let went_back = now < std::mem::replace(&mut seen, now);
        let wait = match look(inner, now, went_back) {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(error = %error, "rules cannot be looked at now; tried again in a while");
                // What was not done then is done the next time.
                seen = if went_back { Millis::MAX } else { seen };
                LOOK
            }
        };
        inner.events.wait(wait);
    }
}

/// Does what is due; for how long nothing will be.
fn look<R: Runners>(inner: &Arc<Inner<R>>, now: Millis, went_back: bool) -> Result<Duration, StoreError> {
    let next = inner.metadata.read(|view| view.next_scheduled_event())?;
    if next.is_some_and(|due| due <= now || went_back) {
        let home = inner.config.home.clone();
        inner.metadata.write_blocking(move |tx| due::fire(tx, &home, now, went_back))?;
    }
    let (next, waiting) =
        inner.metadata.read(|view| Ok((view.next_scheduled_event()?, view.event_deliveries(BATCH)?)))?;
    let is_due = |due: Millis| deliver::is_due(due, now);
    let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|delivery| is_due(delivery.due_ms));
    let until = |at: Millis| Duration::from_millis(at.saturating_sub(now).max(0).unsigned_abs());
    let mut wait = next.map_or(IDLE, |at| until(at).min(LOOK));
    if let Some(first) = later.first() {
        wait = wait.min(until(first.due_ms)).min(LOOK);
    }
    for delivery in due {
        if inner.is_stopping() {
            break;
        }
        // There may be more of them, and some to be tried again.
        wait = Duration::ZERO;
        deliver::deliver(inner, &delivery, now)?;
    }
    Ok(wait)
}
