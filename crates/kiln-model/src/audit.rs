//! What is kept of a call: the front end says what it saw, the service keeps it (`docs/audit.md`).

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApiError, Timestamp, service::Caller};

/// A permission that was asked for, and what was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ruling {
    /// E.g. `codebuild:StartBuild`.
    pub action: String,
    /// ARN; `None` for nothing in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whether it was given.
    pub allowed: bool,
    /// Why: `allowed`, `root`, `explicitDeny`, `implicitDeny`, `failed`.
    pub reason: String,
    /// The kind of policy that decided, or of which none allows: `identity-based policy`, `permissions boundary`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_type: Option<String>,
    /// The policy that decided: the ARN of a managed one, the name of an inline one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its statement: its `Sid`, else its number from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// Rulings that are kept of one call: of a call about a thousand objects not each.
const MOST_RULINGS: usize = 20;

/// The rulings of a call, wherever they are made.
#[derive(Debug, Clone, Default)]
pub struct Rulings(Arc<Mutex<Vec<Ruling>>>);

impl Rulings {
    /// Keeps one more: a refusal always, as it is the last one.
    pub fn add(&self, ruling: Ruling) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_RULINGS {
            all.push(ruling);
        } else if !ruling.allowed {
            all.pop();
            all.push(ruling);
        }
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<Ruling> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// All that were kept.
    #[must_use]
    pub fn take(&self) -> Vec<Ruling> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads what a call asked for, without what must not be kept. It runs after the call was answered.
pub type Parameters = Box<dyn FnOnce() -> Value + Send>;

/// A call, as the front end saw it.
pub struct Call {
    /// When it was answered.
    pub time: Timestamp,
    /// Its id.
    pub request_id: String,
    /// The service that it was for, as signatures name it: `codebuild`.
    pub service: String,
    /// The operation, if it was named.
    pub operation: Option<String>,
    /// Who sent it; `None`: nobody that is known.
    pub caller: Option<Caller>,
    /// The access key that it names, whether or not it is known and the signature is its own.
    pub access_key_id: Option<String>,
    /// Where it came from; `None` over a socket of this machine.
    pub address: Option<String>,
    /// What the client says to be.
    pub user_agent: Option<String>,
    /// Whether it came over TLS.
    pub is_tls: bool,
    /// Whether it cannot have changed anything.
    pub is_read_only: bool,
    /// What it was about, ARNs.
    pub resources: Vec<String>,
    /// The permissions that it needed.
    pub rulings: Vec<Ruling>,
    /// Why it was refused.
    pub error: Option<CallError>,
    /// What it asked for.
    pub parameters: Option<Parameters>,
    /// About how many bytes the parameters hold until they are read.
    pub parameter_bytes: usize,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// AWS's name of the error.
    pub code: String,
    /// Its sentence.
    pub message: String,
    /// HTTP status.
    pub status: u16,
}

impl Call {
    /// Whether something was changed, as far as is known: then the call is answered when its record is on the disk.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        !self.is_read_only && self.error.as_ref().is_none_or(|error| error.status >= 500)
    }

    /// Whether it was sent by nobody who is known.
    #[must_use]
    pub fn is_strangers(&self) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.arn.is_empty())
    }
}

/// Where calls are kept.
pub trait AuditTrail: Send + Sync + 'static {
    /// Whether a call that changes something may begin: not while nothing can be kept of it.
    ///
    /// # Errors
    /// `ServiceUnavailableException`.
    fn admit(&self) -> Result<(), ApiError>;

    /// Keeps a call, soon.
    fn note(&self, call: Call);

    /// Keeps a call; it is on the disk when this resolves.
    fn record(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_among_the_rulings_however_many_there_are() {
        let rulings = Rulings::default();
        for n in 0..100 {
            rulings.add(Ruling { action: n.to_string(), allowed: n != 99, ..Ruling::default() });
        }
        let all = rulings.take();
        assert_eq!(all.len(), MOST_RULINGS);
        assert_eq!(all.last().unwrap().action, "99");
        assert!(rulings.take().is_empty());
    }
}
