//! Reading a request's body.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kiln_model::{ApiError, ErrorCode};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, timeout_at},
};

use crate::{config::Limits, fault::Fault};

/// How slowly a body may come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    begun: Instant,
    grace: Duration,
    bytes_per_second: u32,
}

impl Pace {
    /// The pace of a body that begins now.
    pub(crate) fn begin(limits: &Limits) -> Self {
        let bytes_per_second = limits.body_bytes_per_second.max(1);
        Self { begun: Instant::now(), grace: limits.body, bytes_per_second }
    }

    /// When the next bytes must have come, after so many.
    pub(crate) fn deadline(&self, received: u64) -> Instant {
        let earned = Duration::from_secs(received / u64::from(self.bytes_per_second));
        self.begun + self.grace + earned
    }
}

/// Memory for bodies of requests that are being read or handled.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// Memory is counted in units of this size.
const UNIT: usize = 1024;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }
}

/// A body with its share of the memory.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// So many bytes are read of a body that nobody wants.
const MOST_DISCARDED: u64 = 64 << 20;

/// Reads a body that nobody wants, so that its sender gets to read why: one that still sends when the connection is closed
/// may lose the answer. Who asks before sending gets the answer at once.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Incoming, pace: Pace) {
    let mut received = 0;
    while !headers.contains_key(header::EXPECT) && received < MOST_DISCARDED {
        let Ok(Some(Ok(frame))) = timeout_at(pace.deadline(received), body.frame()).await else { return };
        received += frame.data_ref().map_or(0, Bytes::len) as u64;
    }
}

/// Reads a body of at most `most` bytes.
///
/// Memory is taken as bytes arrive, not as they are announced: a client that announces much and sends nothing holds
/// nothing.
pub(crate) async fn read_whole(
    mut body: Incoming,
    announced: u64,
    most: usize,
    pace: Pace,
    budget: &Budget,
) -> Result<Whole, Fault> {
    let too_large =
        || Fault::Framing(ApiError::invalid_input(format!("the body has {announced} bytes; at most {most} are read")));
    if announced > most as u64 {
        return Err(too_large());
    }
    let mut received = Vec::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    loop {
        let frame = timeout_at(pace.deadline(received.len() as u64), body.frame()).await;
        let frame = frame.map_err(|_| {
            let text = format!("the body came too slowly: {} of {announced} bytes", received.len());
            Fault::Framing(ApiError::serialization(text))
        })?;
        let Some(frame) = frame else { break };
        // The client is gone, or broke the framing; whoever is left to read this gets a documented code.
        let frame = frame.map_err(|_| Fault::Framing(ApiError::serialization("the body is incomplete")))?;
        let Ok(data) = frame.into_data() else { continue };
        if received.len() + data.len() > most {
            return Err(too_large());
        }
        let held = share.as_ref().map_or(0, |share| share.num_permits() * UNIT);
        let missing = (received.len() + data.len()).saturating_sub(held).div_ceil(UNIT);
        if missing > 0 {
            let more =
                u32::try_from(missing).ok().and_then(|units| Arc::clone(&budget.0).try_acquire_many_owned(units).ok());
            let more = more.ok_or_else(|| Fault::Framing(ApiError::new(ErrorCode::Throttling, "Rate exceeded")))?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
        }
        received.extend_from_slice(&data);
    }
    Ok(Whole { bytes: received.into(), _share: share })
}
