//! Figures of a running service, for those who watch it (`/-/metrics`).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::BuildStatus;

/// Seconds that builds take and wait: upper bounds.
pub const BUILD_SECONDS: [f64; 13] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 28_800.0];

/// Seconds that calls take: upper bounds.
pub const CALL_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How often there were values up to each of some bounds. Counting takes no lock.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond them.
    counts: Box<[AtomicU64]>,
    /// Millionths.
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds, each with how many values do not exceed it.
    pub up_to: Vec<(f64, u64)>,
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Histogram {
    /// Without values. `bounds` ascend.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a value in seconds, which is not negative.
    pub fn observe(&self, seconds: f64) {
        let at = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of floats saturates")]
        let millionths = (seconds * 1e6) as u64;
        self.sum.fetch_add(millionths, Ordering::Relaxed);
    }

    /// What was counted.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(self.bounds.len());
        for (at, one) in self.counts.iter().enumerate() {
            count += one.load(Ordering::Relaxed);
            up_to.extend(self.bounds.get(at).map(|bound| (*bound, count)));
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a process's life")]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / 1e6;
        Distribution { up_to, count, sum }
    }
}

/// A part without which the service does not work, for those who ask whether it does (`/-/ready`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartCheck {
    /// Its name: a lower-case word.
    pub part: &'static str,
    /// What is wrong with it, as anybody may read it: without paths and names. `None`: it works.
    pub trouble: Option<String>,
}

/// What the service knows of its builds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildFigures {
    /// Builds that wait.
    pub queued: u64,
    /// Builds that run.
    pub running: u64,
    /// Builds that ended since the service started, by how.
    pub ended: Vec<(BuildStatus, u64)>,
    /// Seconds that those waited for their turn.
    pub waited: Distribution,
    /// Seconds from their acceptance to their end.
    pub took: Distribution,
    /// Builds that may run at the same time.
    pub most_running: u64,
    /// Bytes of memory that may be promised to them together.
    pub memory_bytes: u64,
    /// Bytes of memory that are.
    pub promised_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_for_each_bound_that_it_does_not_exceed() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for seconds in [0.0, 0.1, 0.100_001, 1.0, 2.0, f64::MAX] {
            histogram.observe(seconds);
        }
        let read = histogram.read();
        assert_eq!((read.up_to, read.count), (vec![(0.1, 2), (1.0, 4)], 6));
        let some = Histogram::new(&CALL_SECONDS);
        some.observe(0.25);
        some.observe(1.5);
        assert_eq!(some.read().sum, 1.75);
    }

    #[test]
    fn bounds_ascend() {
        assert!(BUILD_SECONDS.is_sorted() && CALL_SECONDS.is_sorted());
    }
}
