//! What is counted of builds while the service runs, for those who watch it.

use std::sync::atomic::{AtomicU64, Ordering};

use kiln_model::{
    BuildStatus, PhaseType,
    figures::{BUILD_SECONDS, BuildFigures, Histogram},
};

use crate::{core::Inner, document::Document, runners::Runners};

/// How builds end.
const ENDS: [BuildStatus; 5] =
    [BuildStatus::Succeeded, BuildStatus::Failed, BuildStatus::Fault, BuildStatus::TimedOut, BuildStatus::Stopped];

/// The counters.
#[derive(Debug)]
pub(crate) struct Tally {
    ended: [AtomicU64; ENDS.len()],
    waited: Histogram,
    took: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self { ended: Default::default(), waited: Histogram::new(&BUILD_SECONDS), took: Histogram::new(&BUILD_SECONDS) }
    }
}

impl Tally {
    /// Counts a build whose end was just stored.
    pub(crate) fn ended(&self, document: &Document) {
        let life = &document.lifecycle;
        let Some(end) = life.ended_ms else { return };
        for (status, count) in ENDS.iter().zip(&self.ended) {
            count.fetch_add(u64::from(*status == life.status), Ordering::Relaxed);
        }
        let seconds = |from: i64, to: i64| (to - from).max(0) as f64 / 1000.0;
        self.took.observe(seconds(life.submitted_ms, end));
        if let Some(queued) = life.phases.iter().find(|phase| phase.phase == PhaseType::Queued) {
            self.waited.observe(seconds(queued.start_ms, queued.end_ms.unwrap_or(end)));
        }
    }
}

impl<R: Runners> Inner<R> {
    /// What is known now.
    pub(crate) fn figures(&self) -> BuildFigures {
        let (queued, running, promised_bytes, capacity) = {
            let queue = self.queue();
            (queue.waiting() as u64, queue.running() as u64, queue.memory_used(), queue.capacity())
        };
        let counts = self.tally.ended.iter().map(|count| count.load(Ordering::Relaxed));
        BuildFigures {
            queued,
            running,
            ended: ENDS.into_iter().zip(counts).collect(),
            waited: self.tally.waited.read(),
            took: self.tally.took.read(),
            most_running: u64::from(capacity.builds),
            memory_bytes: capacity.memory_bytes,
            promised_bytes,
        }
    }
}
