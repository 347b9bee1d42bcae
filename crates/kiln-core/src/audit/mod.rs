//! The audit log: what is kept of each call, and how it is looked up (`docs/audit.md`). The files are the store's
//! ([`kiln_store::audit`]); what stands in a record is decided here.

mod lookup;
mod record;
mod strangers;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    audit::{AuditTrail, Call},
};
use kiln_runner::clock::Clock;
use kiln_store::{AuditError, audit::Options};

pub(crate) use self::{
    lookup::{lookup, verify},
    strangers::Strangers,
};
use crate::{core::Core, runners::Runners};

/// How a data directory's audit log is kept; for [`kiln_store::AuditLog::open`].
#[must_use]
pub fn options(home: &Home, clock: Clock) -> Options {
    let now = move || i64::try_from(clock.wall_ns() / 1_000_000).unwrap_or(i64::MAX);
    let (home, time) = (home.clone(), now.clone());
    Options {
        marks: Arc::new(move |mark, sequence| record::of_mark(mark, sequence, &home, time())),
        now: Box::new(now),
        segment_bytes: None,
    }
}

/// Whether calls are refused because the audit log cannot be written: said in the server's log when it begins and when it
/// is over, and not with each call.
#[derive(Debug, Default)]
pub(crate) struct Outage(AtomicBool);

impl Outage {
    fn begins(&self, error: &AuditError) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!(error = %error, "the audit log cannot be written: calls that change something are refused");
        }
    }

    fn is_over(&self) {
        if self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("the audit log is written again");
        }
    }
}

/// What a client is told when nothing can be kept of its call.
fn refuse(error: &AuditError) -> ApiError {
    match error {
        // Clients try again, as with a full disk elsewhere.
        AuditError::DiskFull { .. } => ApiError::new(ErrorCode::Throttling, error.to_string()),
        _ => ApiError::unavailable(format!(
            "the audit log cannot be written, and nothing is changed without it: {error}"
        )),
    }
}

/// Bytes of a record beside its parameters, about.
const RECORD: usize = 600;

impl<R: Runners> AuditTrail for Core<R> {
    fn admit(&self) -> Result<(), ApiError> {
        match self.inner.audit.state() {
            Ok(()) => {
                self.inner.unaudited.is_over();
                Ok(())
            }
            Err(error) => {
                self.inner.unaudited.begins(&error);
                Err(refuse(&error))
            }
        }
    }

    fn note(&self, call: Call) {
        // Whoever has no key could fill the disk: of many only some are kept, with the number of the others.
        let Some(untold) = self.inner.strangers.admit(&call, self.inner.clock.monotonic()) else { return };
        let home = self.inner.config.home.clone();
        let size = RECORD + call.parameter_bytes;
        self.inner.audit.note(size, Box::new(move |sequence| record::of_call(call, untold, sequence, &home)));
    }

    fn record(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>> {
        let home = self.inner.config.home.clone();
        let size = RECORD + call.parameter_bytes;
        let done = self.inner.audit.append(size, Box::new(move |sequence| record::of_call(call, 0, sequence, &home)));
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            done.await.map_err(|error| {
                inner.unaudited.begins(&error);
                refuse(&error)
            })
        })
    }
}
