//! Who sent a request.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

use http::request::Parts;
use kiln_iam::{
    AuthError, Style,
    sigv4::{Body, Claim, Expected, Key, Request},
};
use kiln_model::{ApiError, Timestamp, service::Caller};
use time::OffsetDateTime;
use tokio::time::{Duration, Instant};

use crate::{connection::Peer, fault::Fault, route::Service};

/// What the service knows of an access key.
#[derive(Clone)]
pub struct KnownKey {
    /// Its secret, and the session of a temporary key.
    pub key: Key,
    /// Whose it is.
    pub caller: Caller,
}

/// Where access keys are.
pub trait Keys: Send + Sync + 'static {
    /// The key with that id; `None` when there is none, or when it is one of a session and the token is not its own.
    fn lookup(
        &self,
        access_key_id: &str,
        token: Option<&str>,
    ) -> impl Future<Output = Result<Option<KnownKey>, ApiError>> + Send;
}

/// The headers of a request as a signature sees them.
pub(crate) fn headers(parts: &Parts) -> Vec<(&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// A request as a signature sees it.
pub(crate) fn as_signed<'a>(parts: &'a Parts, headers: &'a [(&'a str, &'a [u8])]) -> Request<'a> {
    Request { method: parts.method.as_str(), path: parts.uri.path(), query: parts.uri.query(), headers }
}

/// The checks that need neither secret nor body.
pub(crate) fn claim(
    request: &Request<'_>,
    service: Service,
    region: &str,
    now: OffsetDateTime,
) -> Result<Claim, AuthError> {
    let claim = Claim::parse(request)?;
    // IAM and STS are global as well: their clients sign for us-east-1 wherever they are (DESIGN section 5).
    let regions: &[&str] =
        if matches!(service, Service::Iam | Service::Sts) { &[region, "us-east-1"] } else { &[region] };
    claim.check(request, &Expected { regions, service: service.name() }, now)?;
    Ok(claim)
}

/// The checks that need them. Afterwards the body may be read, and the key's caller believed.
pub(crate) async fn verify(
    keys: &impl Keys,
    claim: &Claim,
    request: &Request<'_>,
    now: OffsetDateTime,
    body: Body,
) -> Result<KnownKey, Fault> {
    let known = keys.lookup(claim.access_key_id(), claim.token()).await?;
    claim.verify(request, known.as_ref().map(|known| &known.key), now, body)?;
    // A key that is unknown has not come this far.
    known.ok_or(Fault::Auth(AuthError::UnknownKey))
}

/// The time of the server's clock as signatures take it.
pub(crate) fn time_of(now: Timestamp) -> OffsetDateTime {
    let nanoseconds = i128::from(now.millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Tells the operator of requests that were refused, and no more often than a log can bear.
#[derive(Debug)]
pub(crate) struct Refusals(Mutex<Window>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    told: u32,
    untold: u64,
}

/// So many refusals are told of in each [`WINDOW`].
const TOLD: u32 = 20;

const WINDOW: Duration = Duration::from_secs(1);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Window { begun: Instant::now(), told: 0, untold: 0 }))
    }

    /// Tells of one: who, with which key, why. Neither signature nor token is in it, both are as good as a secret for a
    /// while.
    pub(crate) fn tell(&self, peer: &Peer, claim: Option<&Claim>, error: &AuthError, request_id: &str) {
        let Some(untold) = self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()) else { return };
        if untold > 0 {
            tracing::warn!(untold, "more requests were refused than are told of");
        }
        tracing::warn!(
            peer = peer.name(),
            access_key_id = claim.map(Claim::access_key_id),
            code = error.answer(Style::Json).code,
            request_id,
            "a request was not authenticated"
        );
    }
}

impl Window {
    /// `None`: not this one. Else how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now - self.begun >= WINDOW {
            let untold = std::mem::take(&mut self.untold);
            *self = Self { begun: now, told: 1, untold: 0 };
            return Some(untold);
        }
        if self.told == TOLD {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted() {
        let begun = Instant::now();
        let mut window = Window { begun, told: 0, untold: 0 };
        let told = (0..100).filter(|_| window.admit(begun).is_some()).count();
        assert_eq!(told, TOLD as usize);
        assert_eq!(window.admit(begun + WINDOW), Some(80));
        assert_eq!(window.admit(begun + WINDOW), Some(0));
    }
}
