//! Which times of a schedule had their turn already: however the clock is set, none has a second one.

use serde::{Deserialize, Serialize};

/// Stretches of time that are remembered. Another one begins wherever a time was left out: after an outage, or when the
/// clock was set forward.
const MOST: usize = 32;

/// Stretches of time whose times of the schedule had their turn, from the oldest entry to the newest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Fired {
    runs: Vec<(i64, i64)>,
}

impl Fired {
    /// The end of the stretch that `time` lies in.
    fn covering(&self, time: i64) -> Option<i64> {
        self.runs.iter().filter(|(from, to)| (*from..=*to).contains(&time)).map(|(_, to)| *to).max()
    }

    /// Notes that everything from `from` to `to` had its turn; `follows`: nothing lies between that and the newest entry.
    pub(in super::super) fn note(&mut self, from: i64, to: i64, follows: impl FnOnce(i64) -> bool) {
        match self.runs.last_mut() {
            Some((_, end)) if from > *end && follows(*end) => *end = to,
            _ => {
                self.runs.push((from, to));
                let surplus = self.runs.len().saturating_sub(MOST);
                self.runs.drain(..surplus);
            }
        }
    }

    /// The first time after `after` that had no turn yet.
    pub(in super::super) fn next_after(&self, after: i64, next: impl Fn(i64) -> Option<i64>) -> Option<i64> {
        let mut found = next(after)?;
        while let Some(end) = self.covering(found) {
            found = next(end)?;
        }
        Some(found)
    }

    /// The newest time that had its turn.
    pub(in super::super) fn newest(&self) -> Option<i64> {
        self.runs.last().map(|(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Every tenth.
    fn tens(after: i64) -> Option<i64> {
        Some((after.div_euclid(10) + 1) * 10)
    }

    #[test]
    fn stretches_grow_while_nothing_is_left_out() {
        let mut fired = Fired::default();
        for time in [10, 20, 30, 60, 70] {
            fired.note(time, time, |end| tens(end) == Some(time));
        }
        assert_eq!(fired.runs, [(10, 30), (60, 70)]);
        assert_eq!(fired.next_after(5, tens), Some(40));
        assert_eq!(fired.next_after(55, tens), Some(80));
        assert_eq!(fired.next_after(0, |after| tens(after).filter(|time| *time < 30)), None);
        assert_eq!(fired.newest(), Some(70));
    }

    proptest! {
        /// A clock that is set as anybody likes: no time has two turns, as long as it is remembered.
        #[test]
        fn no_time_has_two_turns(clock in prop::collection::vec(-200i64..200, 1..30)) {
            let (mut fired, mut turns, mut now) = (Fired::default(), BTreeSet::new(), 0i64);
            for step in clock {
                now += step;
                let Some(due) = fired.next_after(now, tens) else { continue };
                prop_assert!(turns.insert(due), "{due} a second time");
                fired.note(due, due, |end| tens(end) == Some(due));
                now = due;
            }
        }
    }
}
