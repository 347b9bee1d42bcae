//! The only place that reads clocks. Tests set the time; everything else takes it from here.

use std::{
    fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A moment that another process of the same boot of the machine can tell its distance from, whatever became of the wall
/// clock meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootTime {
    /// Which boot.
    pub boot: String,
    /// Milliseconds since then, also those that the machine slept.
    pub ms: u64,
}

impl BootTime {
    /// The time from `earlier` to this moment; `None`: the machine was started in between.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        (self.boot == earlier.boot).then(|| Duration::from_millis(self.ms.saturating_sub(earlier.ms)))
    }
}

/// Wall clock for stamps, monotonic clock for durations and time limits (`reliability.md` I10).
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clocks.
    System {
        /// Origin of the monotonic time.
        origin: Instant,
    },
    /// Times that a test sets.
    Manual(Arc<ManualClock>),
}

/// Times that a test sets; both start at 0 and only move when told.
#[derive(Debug, Default)]
pub struct ManualClock {
    wall_ns: AtomicU64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// Sets the wall clock, in nanoseconds since the epoch; it may go back.
    pub fn set_wall_ns(&self, ns: u64) {
        self.wall_ns.store(ns, Ordering::Relaxed);
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.wall_ns.fetch_add(ns, Ordering::Relaxed);
        self.monotonic_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self::System { origin: Instant::now() }
    }

    /// Nanoseconds since the epoch; 0 when the machine's clock stands before it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn wall_ns(&self) -> u64 {
        match self {
            Self::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|d| u64::try_from(d.as_nanos()).ok())
                .unwrap_or(0),
            Self::Manual(clock) => clock.wall_ns.load(Ordering::Relaxed),
        }
    }

    /// The clock that stamps inodes (`CLOCK_REALTIME_COARSE`), nanoseconds since the epoch: a file whose change time is
    /// older was not written since.
    #[must_use]
    pub fn coarse_wall_ns(&self) -> i64 {
        match self {
            Self::System { .. } => {
                let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
                now.tv_sec.saturating_mul(1_000_000_000).saturating_add(now.tv_nsec)
            }
            Self::Manual(clock) => i64::try_from(clock.wall_ns.load(Ordering::Relaxed)).unwrap_or(i64::MAX),
        }
    }

    /// Now, as later processes can place it; `None` where the kernel does not say which boot this is.
    #[must_use]
    pub fn boot_time(&self) -> Option<BootTime> {
        static BOOT: OnceLock<Option<String>> = OnceLock::new();
        match self {
            Self::System { .. } => {
                let boot = BOOT.get_or_init(|| {
                    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
                    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
                });
                let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let ms = now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000);
                Some(BootTime { boot: boot.clone()?, ms: u64::try_from(ms).ok()? })
            }
            Self::Manual(_) => {
                let ms = u64::try_from(self.monotonic().as_millis()).ok()?;
                Some(BootTime { boot: "manual".to_owned(), ms })
            }
        }
    }

    /// Time since some fixed moment; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match self {
            Self::System { origin } => origin.elapsed(),
            Self::Manual(clock) => Duration::from_nanos(clock.monotonic_ns.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_jumps_back_does_not_touch_durations() {
        let manual = Arc::new(ManualClock::default());
        let clock = Clock::Manual(Arc::clone(&manual));
        manual.set_wall_ns(10_000_000_000);
        let start = clock.monotonic();
        manual.advance(Duration::from_secs(2));
        manual.set_wall_ns(1);
        assert_eq!(clock.monotonic() - start, Duration::from_secs(2));
        assert_eq!(clock.wall_ns(), 1);
    }
}
