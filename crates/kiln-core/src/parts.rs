//! Whether the parts work that the service cannot do without, for those who ask (`/-/ready`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use kiln_model::figures::PartCheck;
use tokio::{task::spawn_blocking, time::timeout};

use crate::{core::Inner, runners::Runners, scheduler};

/// A database that does not answer for so long does not work.
const PATIENCE: Duration = Duration::from_secs(2);
/// The scheduler has looked at its work within this time, however little there is.
const LATEST: Duration = scheduler::IDLE.saturating_mul(3);

/// The scheduler's signs of life.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    is_running: AtomicBool,
    /// When it last looked at its work: milliseconds of the monotonic clock.
    last_ms: AtomicU64,
}

/// Held while the scheduler runs.
pub(crate) struct Running<'a>(&'a Beat);

impl Beat {
    pub(crate) fn begin(&self, now: Duration) -> Running<'_> {
        self.tick(now);
        self.is_running.store(true, Ordering::Release);
        Running(self)
    }

    pub(crate) fn tick(&self, now: Duration) {
        self.last_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn trouble(&self, now: Duration) -> Option<String> {
        if !self.is_running.load(Ordering::Acquire) {
            return Some("no builds are given to runners: the scheduler does not run".to_owned());
        }
        let ago = now.saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)));
        (ago > LATEST).then(|| format!("no builds are given to runners: the scheduler hangs for {} s", ago.as_secs()))
    }
}

impl Drop for Running<'_> {
    /// Also when it panics.
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

impl<R: Runners> Inner<R> {
    /// Looks at each part.
    pub(crate) async fn check_parts(self: &Arc<Self>) -> Vec<PartCheck> {
        let inner = Arc::clone(self);
        let read = timeout(PATIENCE, spawn_blocking(move || inner.metadata.sequence())).await;
        let database = match read {
            Ok(Ok(Ok(_))) => None,
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the database does not answer");
                Some("the records cannot be read; the server's log says why".to_owned())
            }
            Ok(Err(_)) | Err(_) => Some(format!("the records could not be read within {} s", PATIENCE.as_secs())),
        };
        let runners = (!self.runners.is_watching()).then(|| "what runners do is not noticed any more".to_owned());
        [("database", database), ("scheduler", self.beat.trouble(self.clock.monotonic())), ("runners", runners)]
            .into_iter()
            .map(|(part, trouble)| PartCheck { part, trouble })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_that_ended_or_hangs_is_noticed() {
        let beat = Beat::default();
        let at = Duration::from_secs;
        assert!(beat.trouble(at(0)).unwrap().contains("does not run"));
        let running = beat.begin(at(1000));
        assert_eq!(beat.trouble(at(1000) + LATEST), None);
        assert!(beat.trouble(at(1181)).unwrap().contains("hangs for 181 s"));
        beat.tick(at(1181));
        assert_eq!(beat.trouble(at(1181)), None);
        drop(running);
        assert!(beat.trouble(at(1181)).unwrap().contains("does not run"));
    }
}
