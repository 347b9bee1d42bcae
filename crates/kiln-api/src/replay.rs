//! Requests that somebody sends a second time.
//!
//! A signature is good for minutes and has no serial number: whoever reads along may send the request again. TLS is the
//! defence. Over plain HTTP from another machine, a signature that was seen before is refused for operations that change
//! something, but not at once: two honest calls of boto3 within one second are the same bytes, as its signature covers
//! nothing that differs (`security.md` 1.3, 1.4).

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use kiln_iam::sigv4::{Claim, MAX_SKEW_MINUTES, sha256};
use kiln_model::{ApiError, ErrorCode};
use tokio::time::{Duration, Instant};

/// The same bytes within this time are taken for honest calls.
const HONEST: Duration = Duration::from_secs(10);

/// A signature is acceptable for this long at most: made ahead by a clock that is fast, and used at its end.
const MEMORY: Duration = Duration::from_secs(2 * 60 * MAX_SKEW_MINUTES.unsigned_abs());

/// Signatures that are remembered; beyond, the oldest are forgotten.
const MOST: usize = 65_536;

/// The signatures of requests that changed something.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// In the order of their arrival.
    order: VecDeque<(Instant, [u8; 32])>,
    /// Those of `order` that are no longer taken for honest.
    old: HashSet<[u8; 32]>,
    /// So many at the front of `order` are in `old`.
    aged: usize,
}

impl Replays {
    /// Remembers a request whose signature is genuine, or refuses it.
    pub(crate) fn check(&self, claim: &Claim) -> Result<(), ApiError> {
        let mut identity = claim.access_key_id().as_bytes().to_vec();
        identity.extend_from_slice(claim.signature());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_replay(sha256(&identity), Instant::now()) {
            return Err(ApiError::new(
                ErrorCode::InvalidSignature,
                "this signed request was received before; a request that changes something is taken once: sign it anew",
            ));
        }
        Ok(())
    }
}

impl Seen {
    fn is_replay(&mut self, identity: [u8; 32], now: Instant) -> bool {
        while let Some((at, aged)) = self.order.get(self.aged).filter(|(at, _)| now - *at > HONEST) {
            let (_, aged) = (at, *aged);
            self.old.insert(aged);
            self.aged += 1;
        }
        while let Some((at, _)) = self.order.front() {
            if self.order.len() < MOST && now - *at <= MEMORY {
                break;
            }
            if let Some((_, forgotten)) = self.order.pop_front()
                && self.aged > 0
            {
                self.aged -= 1;
                self.old.remove(&forgotten);
            }
        }
        if self.old.contains(&identity) {
            return true;
        }
        self.order.push_back((now, identity));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_honest_for_a_moment_only() {
        let mut seen = Seen::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!seen.is_replay([1; 32], at(0)));
        assert!(!seen.is_replay([1; 32], at(10)), "two calls within a second, the second delayed");
        assert!(!seen.is_replay([2; 32], at(11)));
        assert!(seen.is_replay([1; 32], at(11)));
        assert!(seen.is_replay([1; 32], at(1000)));
        assert!(seen.is_replay([2; 32], at(1800)));
        assert!(!seen.is_replay([3; 32], at(4000)));
        assert_eq!(seen.order.len(), 1, "what no signature check would let through is forgotten");
        assert!(seen.old.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        let begin = Instant::now();
        for n in 0..(MOST as u64 + 100) {
            let mut identity = [0; 32];
            identity[..8].copy_from_slice(&n.to_le_bytes());
            assert!(!seen.is_replay(identity, begin + Duration::from_millis(n)));
        }
        assert_eq!(seen.order.len(), MOST);
        assert!(seen.old.len() <= MOST);
    }
}
