//! Calls of the API, counted for those who watch the service.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kiln_model::figures::{CALL_SECONDS, Distribution, Histogram};

/// Operations that are told apart, and operations with a code, at most: more names than the services have can only be
/// made up.
const MOST: usize = 2000;
/// What the others are counted as.
const OTHERS: &str = "other";

/// Service, operation, code.
type Name = (String, String, String);

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    counts: Mutex<BTreeMap<Name, u64>>,
    times: Mutex<BTreeMap<(String, String), Arc<Histogram>>>,
    received: AtomicU64,
    sent: AtomicU64,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) counts: Vec<(Name, u64)>,
    pub(crate) times: Vec<((String, String), Distribution)>,
    /// Bytes of bodies, as their heads announce them.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Calls that were refused because there were too many, by kind.
    pub(crate) throttled: Vec<(&'static str, u64)>,
}

impl Calls {
    /// Counts a call. `operation`: `None` when it names none that there is. `code`: of its error.
    pub(crate) fn count(&self, service: &str, operation: Option<&str>, code: Option<&str>, took: Duration) {
        let (service, mut operation, mut code) = (service, operation.unwrap_or(OTHERS), code.unwrap_or("OK"));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |operation: &str, code: &str| (service.to_owned(), operation.to_owned(), code.to_owned());
        if counts.len() >= MOST && !counts.contains_key(&name(operation, code)) {
            (operation, code) = (OTHERS, OTHERS);
        }
        *counts.entry(name(operation, code)).or_default() += 1;
        drop(counts);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = times
            .entry((service.to_owned(), operation.to_owned()))
            .or_insert_with(|| Arc::new(Histogram::new(&CALL_SECONDS)));
        histogram.observe(took.as_secs_f64());
    }

    /// Counts bytes of bodies.
    pub(crate) fn bytes(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> Counted {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.iter().map(|(name, count)| (name.clone(), *count)).collect();
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let times = times.iter().map(|(name, histogram)| (name.clone(), histogram.read())).collect();
        Counted {
            counts,
            times,
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            throttled: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_and_made_up_names_are_bounded() {
        let calls = Calls::default();
        let took = Duration::from_millis(3);
        calls.count("kms", Some("Encrypt"), None, took);
        calls.count("kms", Some("Encrypt"), None, took);
        calls.count("kms", None, Some("UnknownOperationException"), took);
        for n in 0..3 * MOST {
            calls.count("s3", Some(&format!("made up {n}")), None, took);
        }
        calls.count("kms", Some("Encrypt"), None, took);
        let counted = calls.read();
        assert!(counted.counts.len() <= MOST + 2 && counted.times.len() <= MOST + 2);
        let count = |service: &str, operation: &str, code: &str| {
            let name = (service.to_owned(), operation.to_owned(), code.to_owned());
            counted.counts.iter().find(|(known, _)| *known == name).map(|(_, count)| *count)
        };
        assert_eq!(count("kms", "Encrypt", "OK"), Some(3));
        assert_eq!(count("kms", "other", "UnknownOperationException"), Some(1));
        assert_eq!(counted.counts.iter().map(|(_, count)| count).sum::<u64>(), 3 * MOST as u64 + 4);
        assert_eq!(count("s3", "other", "other"), Some(3 * MOST as u64 - (MOST as u64 - 2)));
    }
}
