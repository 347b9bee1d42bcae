//! Ending everything in the container but the agent.

use std::time::{Duration, Instant};

use crate::sys;

/// The signal that processes are first asked to end with.
pub(crate) const TERM: i32 = 15;
const KILL: i32 = 9;
const CONT: i32 = 18;

/// How often KILL is sent again while processes are left.
const AGAIN: Duration = Duration::from_millis(10);
/// How long after the first KILL a process may still be there (in an uninterruptible wait) before it is given up.
const GIVE_UP: Duration = Duration::from_secs(2);

/// TERM was sent; KILL follows.
#[derive(Debug)]
pub(crate) struct Ending {
    kill_at: Instant,
    give_up: Option<Instant>,
    /// The agent ends too.
    pub(crate) exit: bool,
}

impl Ending {
    /// Sends TERM to all.
    pub(crate) fn start(now: Instant, grace: Duration, exit: bool) -> Self {
        sys::signal_all(Some(TERM));
        sys::signal_all(Some(CONT)); // a stopped process gets to see TERM
        Self { kill_at: now + grace, give_up: None, exit }
    }

    /// A second request while one runs: the earlier KILL counts.
    pub(crate) fn hasten(&mut self, now: Instant, grace: Duration, exit: bool) {
        if self.give_up.is_none() {
            self.kill_at = self.kill_at.min(now + grace);
        }
        self.exit |= exit;
    }

    /// When [`Ending::advance`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.kill_at
    }

    /// Sends what is due; true when no process is left (or KILL does not help). To be called after each reaping.
    pub(crate) fn advance(&mut self, now: Instant) -> bool {
        if !sys::signal_all(None) {
            return true;
        }
        if now < self.kill_at {
            return false;
        }
        // One call reaches every process at once: fork fails in a process with a fatal signal pending, so that a fork
        // storm cannot outrun it.
        sys::signal_all(Some(KILL));
        let give_up = *self.give_up.get_or_insert(now + GIVE_UP);
        self.kill_at = now + AGAIN;
        now >= give_up
    }
}
