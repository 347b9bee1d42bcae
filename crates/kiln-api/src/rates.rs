//! How often somebody may call: a bucket of calls for each caller, service and kind of call, which fills again all the time.
//!
//! Whoever calls more often gets `ThrottlingException` (S3: `SlowDown`), on which SDKs wait and call again. Requests that
//! nobody can be held to answer for are counted by the address that they come from; they never take anything from callers
//! whose signature is good, not even from those behind the same address.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::connection::Peer;

/// Calls that somebody may make in one second. Whoever has not called for a while may make five seconds' worth at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Calls that change nothing, for each caller and service.
    pub reads: u32,
    /// Other calls, for each caller and service.
    pub changes: u32,
    /// Requests without a signature or with a wrong one, for each address.
    pub strangers: u32,
    /// Deliveries, for each webhook.
    pub deliveries: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { reads: 2000, changes: 1000, strangers: 100, deliveries: 200 }
    }
}

/// Seconds for whose calls a full bucket has room.
const BURST: u32 = 5;

/// Buckets of one kind that are told apart, at most. Those beyond share one: only that many can be in use at the same time.
const MOST: usize = 16_384;

/// Between two looks for buckets that are full again and need not be remembered.
const SWEEP: Duration = Duration::from_secs(1);

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A call that changes nothing.
    Read,
    /// Another call.
    Change,
    /// A request of nobody.
    Stranger,
    /// A delivery to a webhook.
    Delivery,
}

impl Kind {
    /// For labels of figures.
    pub(crate) const ALL: [(Self, &str); 4] =
        [(Self::Read, "read"), (Self::Change, "change"), (Self::Stranger, "stranger"), (Self::Delivery, "delivery")];
}

/// Where a request comes from, as far as it is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    /// Over a Unix socket.
    Machine,
    Builds,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Throttle {
    rates: Rates,
    callers: Mutex<Buckets<(String, &'static str, Kind)>>,
    strangers: Mutex<Buckets<Origin>>,
    /// Calls that were refused, by kind.
    refused: [AtomicU64; Kind::ALL.len()],
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        let now = Instant::now();
        Self {
            rates,
            callers: Mutex::new(Buckets::new(now)),
            strangers: Mutex::new(Buckets::new(now)),
            refused: Default::default(),
        }
    }

    /// Whether a caller, named by its ARN, may make one more call of a service now.
    pub(crate) fn admits(&self, caller: &str, service: &'static str, changes: bool) -> bool {
        let (kind, rate) = if changes { (Kind::Change, self.rates.changes) } else { (Kind::Read, self.rates.reads) };
        let mut buckets = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = buckets.take((caller.to_owned(), service, kind), rate, Instant::now());
        drop(buckets);
        self.noted(kind, admitted)
    }

    /// Whether somebody unknown may ask for one more thing now.
    pub(crate) fn admits_stranger(&self, peer: &Peer) -> bool {
        let origin = match peer.address {
            Some(address) => Origin::Address(network_of(address.ip().to_canonical())),
            None if peer.is_build => Origin::Builds,
            None => Origin::Machine,
        };
        let mut buckets = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = buckets.take(origin, self.rates.strangers, Instant::now());
        drop(buckets);
        self.noted(Kind::Stranger, admitted)
    }

    /// Whether a webhook, named by the hash of its token, may be sent one more delivery now.
    pub(crate) fn admits_delivery(&self, webhook: &str) -> bool {
        let mut buckets = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (webhook.to_owned(), "webhook", Kind::Delivery);
        let admitted = buckets.take(key, self.rates.deliveries, Instant::now());
        drop(buckets);
        self.noted(Kind::Delivery, admitted)
    }

    fn noted(&self, kind: Kind, admitted: bool) -> bool {
        if !admitted && let Some(refused) = self.refused.get(kind as usize) {
            refused.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// How many were refused since the server started, by kind.
    pub(crate) fn refused(&self) -> [(&'static str, u64); Kind::ALL.len()] {
        let counts: [u64; Kind::ALL.len()] =
            std::array::from_fn(|kind| self.refused.get(kind).map_or(0, |refused| refused.load(Ordering::Relaxed)));
        std::array::from_fn(|at| {
            (Kind::ALL.get(at).map_or("", |(_, name)| *name), counts.get(at).copied().unwrap_or(0))
        })
    }
}

/// Somebody with IPv6 has a whole network of 64 bits.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// Buckets, each as the moment at which it will be full again (the "virtual scheduling" form of a token bucket).
#[derive(Debug)]
struct Buckets<K> {
    full_at: HashMap<K, Instant>,
    /// The one of all those that there is no room for.
    others: Instant,
    swept: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(now: Instant) -> Self {
        Self { full_at: HashMap::new(), others: now, swept: now }
    }

    /// Takes a call out of a bucket; false when it is empty.
    fn take(&mut self, key: K, per_second: u32, now: Instant) -> bool {
        if self.full_at.len() >= MOST && !self.full_at.contains_key(&key) && now - self.swept >= SWEEP {
            self.swept = now;
            // A bucket that is full is as good as none.
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        let full_at = if self.full_at.len() < MOST || self.full_at.contains_key(&key) {
            self.full_at.entry(key).or_insert(now)
        } else {
            &mut self.others
        };
        let after = (*full_at).max(now) + Duration::from_secs(1) / per_second.max(1);
        if after > now + Duration::from_secs(BURST.into()) {
            return false;
        }
        *full_at = after;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(buckets: &mut Buckets<u32>, key: u32, rate: u32, now: Instant) -> u32 {
        (0..1000).take_while(|_| buckets.take(key, rate, now)).count() as u32
    }

    #[test]
    fn a_bucket_fills_at_its_rate_and_not_beyond_its_size() {
        let now = Instant::now();
        let mut buckets = Buckets::new(now);
        assert_eq!(calls(&mut buckets, 1, 10, now), 50);
        assert_eq!(calls(&mut buckets, 1, 10, now + Duration::from_millis(99)), 0);
        assert_eq!(calls(&mut buckets, 1, 10, now + Duration::from_millis(1000)), 10);
        assert_eq!(calls(&mut buckets, 1, 10, now + Duration::from_secs(3600)), 50);
        assert_eq!(calls(&mut buckets, 2, 10, now), 50, "another's is its own");
    }

    #[test]
    fn memory_is_bounded_and_those_beyond_share() {
        let now = Instant::now();
        let mut buckets = Buckets::new(now);
        for key in 0..u32::try_from(MOST).unwrap() {
            assert!(buckets.take(key, 10, now));
        }
        assert!(!(0..100).all(|key| buckets.take(1_000_000 + key, 10, now)), "a hundred newcomers have one bucket");
        assert_eq!(buckets.full_at.len(), MOST);
        assert_eq!(calls(&mut buckets, 7, 10, now), 49, "who was there before is not concerned");
        let later = now + Duration::from_secs(2);
        assert_eq!(calls(&mut buckets, 2_000_000, 10, later), 50, "those that are full again are forgotten");
        assert!(buckets.full_at.len() < 10, "{}", buckets.full_at.len());
    }

    #[test]
    fn callers_services_kinds_and_addresses_are_told_apart() {
        let throttle = Throttle::new(Rates { reads: 1, changes: 1, strangers: 1, deliveries: 1 });
        let drained = |caller, service, changes| (0..20).filter(|_| throttle.admits(caller, service, changes)).count();
        for caller in ["a", "b"] {
            for service in ["s3", "codebuild"] {
                assert!(drained(caller, service, true) <= 6 && drained(caller, service, false) >= 5);
            }
        }
        let stranger =
            |text: &str| Peer { address: Some(text.parse().unwrap()), local: None, is_tls: false, is_build: false };
        let admitted = |peer: &Peer| (0..20).filter(|_| throttle.admits_stranger(peer)).count();
        assert!((5..=6).contains(&admitted(&stranger("[2001:db8::1]:1"))));
        assert!(admitted(&stranger("[2001:db8::2]:1")) <= 1, "the same network");
        assert!(admitted(&stranger("[2001:db8:0:1::1]:1")) >= 5);
        assert!(admitted(&Peer::on_this_machine(true)) >= 5 && admitted(&Peer::on_this_machine(false)) >= 5);
        let refused = throttle.refused();
        assert_eq!(refused.map(|(kind, _)| kind), ["read", "change", "stranger", "delivery"]);
        let delivered = |hook| (0..20).filter(|_| throttle.admits_delivery(hook)).count();
        assert!((5..=6).contains(&delivered("a")) && delivered("b") >= 5);
        let refused = throttle.refused();
        assert!(refused.iter().all(|(_, count)| *count > 10), "{refused:?}");
    }
}
