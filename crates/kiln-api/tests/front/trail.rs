//! Where the calls of a test are kept.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use kiln_model::{
    ApiError,
    audit::{AuditTrail, Call},
};
use serde_json::Value;

/// A kept call.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Whether its answer waited for it.
    pub(crate) is_recorded: bool,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) arn: String,
    pub(crate) access_key_id: String,
    pub(crate) is_read_only: bool,
    pub(crate) error: String,
    pub(crate) resources: Vec<String>,
    pub(crate) allowed: Vec<bool>,
    pub(crate) parameters: Value,
}

impl Kept {
    fn of(call: Call, is_recorded: bool) -> Self {
        Self {
            is_recorded,
            service: call.service,
            operation: call.operation.unwrap_or_default(),
            arn: call.caller.map(|caller| caller.arn).unwrap_or_default(),
            access_key_id: call.access_key_id.unwrap_or_default(),
            is_read_only: call.is_read_only,
            error: call.error.map(|error| error.code).unwrap_or_default(),
            resources: call.resources,
            allowed: call.rulings.iter().map(|ruling| ruling.allowed).collect(),
            parameters: call.parameters.map(|read| read()).unwrap_or_default(),
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct FakeTrail {
    kept: Mutex<Vec<Kept>>,
    /// Nothing can be kept.
    pub(crate) is_full: AtomicBool,
    /// What is recorded fails, though it was admitted.
    pub(crate) is_failing: AtomicBool,
}

impl FakeTrail {
    pub(crate) fn take(&self) -> Vec<Kept> {
        std::mem::take(&mut self.kept.lock().unwrap())
    }

    /// The only call that was kept.
    pub(crate) fn one(&self) -> Kept {
        let kept = self.take();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept.into_iter().next().unwrap()
    }
}

impl AuditTrail for FakeTrail {
    fn admit(&self) -> Result<(), ApiError> {
        if self.is_full.load(Ordering::Relaxed) { Err(ApiError::unavailable("the audit log is full")) } else { Ok(()) }
    }

    fn note(&self, call: Call) {
        self.kept.lock().unwrap().push(Kept::of(call, false));
    }

    fn record(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>> {
        if self.is_failing.load(Ordering::Relaxed) {
            return Box::pin(async { Err(ApiError::unavailable("the audit log is full")) });
        }
        self.kept.lock().unwrap().push(Kept::of(call, true));
        Box::pin(async { Ok(()) })
    }
}
