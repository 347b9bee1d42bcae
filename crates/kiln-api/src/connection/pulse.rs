//! What a connection is doing and how long it may: slow and idle clients cost others nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
};

use tokio::{
    sync::Notify,
    time::{Duration, Instant},
};

use crate::config::Limits;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No request is under way.
    Idle,
    /// A request's head has begun.
    Head,
    /// A request is handled, its body arrives or its answer leaves: these have their own limits.
    Busy,
}

/// The state of one connection, shared by its reader, its requests and the register.
#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<(Phase, Instant)>,
    /// The reader, when it waits without a deadline.
    reader: Mutex<Option<Waker>>,
    idle: Duration,
    head: Duration,
    cut: Notify,
}

impl Pulse {
    fn new(limits: &Limits) -> Self {
        let state = Mutex::new((Phase::Idle, Instant::now()));
        Self { state, reader: Mutex::default(), idle: limits.idle, head: limits.head, cut: Notify::new() }
    }

    fn phase(&self) -> (Phase, Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    /// Bytes came in.
    pub(crate) fn received(&self) {
        if self.phase().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// A request's head is complete. The connection is busy until the answer lets go of the guard.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.enter(Phase::Busy);
        Busy(Arc::new(Request(Arc::clone(self))))
    }

    /// When the connection must be cut if nothing more comes in; `None` while it is busy.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase() {
            (Phase::Idle, since) => Some(since + self.idle),
            (Phase::Head, since) => Some(since + self.head),
            (Phase::Busy, _) => None,
        }
    }

    /// Wakes the reader when the connection is no longer busy: it has a deadline again.
    pub(crate) fn wake_when_idle(&self, reader: &Waker) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader.clone());
    }

    /// Resolves when the connection has to give way to another.
    pub(crate) async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// Since when no request is handled; `None` while one is.
    fn waiting_since(&self) -> Option<Instant> {
        let (phase, since) = self.phase();
        (phase != Phase::Busy).then_some(since)
    }
}

/// Held while a request is handled and its answer leaves; clones are for others who still use the connection.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "what counts is that it is held")]
pub(crate) struct Busy(Arc<Request>);

#[derive(Debug)]
struct Request(Arc<Pulse>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
        if let Some(reader) = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }
}

/// All connections of a server.
#[derive(Debug, Default)]
pub(crate) struct Register(Mutex<(u64, HashMap<u64, Arc<Pulse>>)>);

impl Register {
    /// Admits a connection, at the cost of the one that has waited longest when there are too many. `None`: all others
    /// are busy.
    pub(crate) fn admit(self: &Arc<Self>, limits: &Limits) -> Option<Admitted> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, connections) = &mut *inner;
        if connections.len() >= limits.connections {
            let waiting = connections.iter().filter_map(|(id, pulse)| Some((pulse.waiting_since()?, *id)));
            let (_, longest) = waiting.min()?;
            if let Some(pulse) = connections.remove(&longest) {
                pulse.cut.notify_one();
            }
        }
        *next += 1;
        let pulse = Arc::new(Pulse::new(limits));
        connections.insert(*next, Arc::clone(&pulse));
        Some(Admitted { pulse, id: *next, register: Arc::clone(self) })
    }
}

/// A connection's place in the register.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Its state.
    pub(crate) pulse: Arc<Pulse>,
    id: u64,
    register: Arc<Register>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.register.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_waiting_connection_gives_way() {
        let register = Arc::new(Register::default());
        let limits = Limits { connections: 2, ..Limits::default() };
        let first = register.admit(&limits).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = register.admit(&limits).unwrap();
        let busy = first.pulse.busy();

        let third = register.admit(&limits).unwrap();
        second.pulse.is_cut().await;
        let also_busy = third.pulse.busy();
        assert!(register.admit(&limits).is_none(), "nobody to cut");
        drop(busy);
        let _fourth = register.admit(&limits).unwrap();
        first.pulse.is_cut().await;
        drop(also_busy);
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_deadline() {
        let register = Arc::new(Register::default());
        let limits = Limits { idle: Duration::from_secs(60), head: Duration::from_secs(5), ..Limits::default() };
        let connection = register.admit(&limits).unwrap();
        let pulse = &connection.pulse;
        let left = || pulse.deadline().map(|deadline| deadline - Instant::now());
        assert_eq!(left(), Some(Duration::from_secs(60)));
        pulse.received();
        tokio::time::advance(Duration::from_secs(1)).await;
        pulse.received();
        assert_eq!(left(), Some(Duration::from_secs(4)), "more bytes do not buy more time");
        let busy = pulse.busy();
        assert_eq!(left(), None);
        drop(busy);
        assert_eq!(left(), Some(Duration::from_secs(60)));
    }
}
