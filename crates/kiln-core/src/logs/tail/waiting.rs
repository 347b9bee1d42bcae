//! Events that wait for the next update, and when that is.

use std::collections::VecDeque;

use kiln_model::logs::{LiveTailSessionLogEvent, LiveTailSessionMetadata, LiveTailSessionUpdate};

use super::super::source::OVERHEAD;

/// Events of an update and of a second, at most, and events that wait.
pub(super) const MOST_EVENTS: usize = 500;
/// What the messages count of those that wait, bytes; one event always. An update stays far below what clients take in one
/// message (16 MiB), however its characters are written in JSON.
pub(super) const MOST_BYTES: usize = 512 << 10;
/// Looks in a second.
pub(super) const LOOKS: u32 = 5;

/// The newest events that were not shown yet.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    events: VecDeque<LiveTailSessionLogEvent>,
    bytes: usize,
    /// Some were left out since the last update.
    is_sampled: bool,
    /// Looks in this second, events that were shown in it, and looks since the last update.
    looks: u32,
    shown: usize,
    quiet: u32,
}

fn size(event: &LiveTailSessionLogEvent) -> usize {
    event.message.as_ref().map_or(0, String::len) + OVERHEAD
}

impl Waiting {
    /// Takes an event in; the oldest ones go where there is no room.
    pub(super) fn push(&mut self, event: LiveTailSessionLogEvent) {
        self.bytes += size(&event);
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || (self.bytes > MOST_BYTES && self.events.len() > 1) {
            self.pop();
            self.is_sampled = true;
        }
    }

    fn pop(&mut self) -> Option<LiveTailSessionLogEvent> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        Some(event)
    }

    /// Events were left out before they came here.
    pub(super) fn left_out(&mut self) {
        self.is_sampled = true;
    }

    /// After each look: an update when there is something to show and the second has room for it, or when there was none
    /// for a second.
    pub(super) fn update(&mut self) -> Option<LiveTailSessionUpdate> {
        self.looks += 1;
        self.quiet += 1;
        let room = MOST_EVENTS - self.shown;
        let events: Vec<_> = std::iter::from_fn(|| self.pop()).take(room).collect();
        self.shown += events.len();
        if self.looks == LOOKS {
            (self.looks, self.shown) = (0, 0);
        }
        if events.is_empty() && self.quiet < LOOKS {
            return None;
        }
        self.quiet = 0;
        let sampled = Some(std::mem::take(&mut self.is_sampled));
        Some(LiveTailSessionUpdate {
            session_metadata: Some(LiveTailSessionMetadata { sampled }),
            session_results: Some(events),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize, bytes: usize) -> LiveTailSessionLogEvent {
        LiveTailSessionLogEvent {
            message: Some("x".repeat(bytes)),
            timestamp: i64::try_from(n).ok(),
            ..Default::default()
        }
    }

    /// Numbers of the events of the next update, whether some were left out, and after how many looks it came.
    fn next(waiting: &mut Waiting) -> (Vec<usize>, bool, u32) {
        for looks in 1.. {
            let Some(update) = waiting.update() else { continue };
            let events = update.session_results.unwrap();
            let numbers = events.iter().map(|event| usize::try_from(event.timestamp.unwrap()).unwrap()).collect();
            return (numbers, update.session_metadata.unwrap().sampled.unwrap(), looks);
        }
        unreachable!()
    }

    #[test]
    fn what_comes_is_shown_at_once_and_nothing_once_a_second() {
        let mut waiting = Waiting::default();
        assert_eq!(next(&mut waiting), (vec![], false, LOOKS));
        waiting.push(event(1, 1));
        assert_eq!(next(&mut waiting), (vec![1], false, 1));
        waiting.push(event(2, 1));
        waiting.push(event(3, 1));
        assert_eq!(next(&mut waiting), (vec![2, 3], false, 1));
        assert_eq!(next(&mut waiting), (vec![], false, LOOKS));
    }

    #[test]
    fn a_second_has_so_many_and_the_newest_wait() {
        let mut waiting = Waiting::default();
        (0..300).for_each(|n| waiting.push(event(n, 1)));
        assert_eq!(next(&mut waiting).0.len(), 300);
        (300..900).for_each(|n| waiting.push(event(n, 1)));
        let (numbers, is_sampled, _) = next(&mut waiting);
        assert_eq!((numbers, is_sampled), ((400..600).collect(), true), "a hundred had no room");
        let (numbers, is_sampled, looks) = next(&mut waiting);
        assert_eq!((numbers, is_sampled), ((600..900).collect(), false));
        assert!(looks > 1, "only in the next second");
        assert!(next(&mut waiting).0.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut waiting = Waiting::default();
        (0..100).for_each(|n| waiting.push(event(n, 200 << 10)));
        assert!(waiting.bytes <= MOST_BYTES);
        assert_eq!(next(&mut waiting), (vec![98, 99], true, 1));
        waiting.push(event(7, 2 * MOST_BYTES));
        assert_eq!(next(&mut waiting), (vec![7], false, 1), "one always");
    }
}
