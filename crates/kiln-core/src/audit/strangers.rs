//! Calls of those whom nobody knows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kiln_model::audit::Call;

/// So many are kept in each [`WINDOW`].
const KEPT: u32 = 50;
const WINDOW: Duration = Duration::from_secs(1);

/// Counts them.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    begun: Duration,
    kept: u32,
    untold: u64,
}

impl Strangers {
    /// `None`: this one is only counted. Else how many were only counted before it. Of known callers each is kept.
    pub(crate) fn admit(&self, call: &Call, now: Duration) -> Option<u64> {
        if !call.is_strangers() {
            return Some(0);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(now)
    }
}

impl Window {
    fn admit(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.begun) >= WINDOW {
            (self.begun, self.kept) = (now, 0);
        }
        if self.kept == KEPT {
            self.untold += 1;
            return None;
        }
        self.kept += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_of_by_the_next() {
        let mut window = Window::default();
        let at = Duration::from_secs(7);
        let kept = (0..1000).filter(|_| window.admit(at).is_some()).count();
        assert_eq!(kept, KEPT as usize);
        assert_eq!(window.admit(at + WINDOW), Some(950));
        assert_eq!(window.admit(at + WINDOW), Some(0));
    }
}
