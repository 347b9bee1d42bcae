//! What is kept of each request to a service, whatever becomes of it (`docs/audit.md`).
//!
//! A [`Trail`] goes along with a request and notes what is found out about it. At its end the record is handed over; of
//! a request that changed something the answer waits until the record is on the disk.

mod hidden;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response, header, request::Parts};
use kiln_iam::{Style, sigv4::Claim};
use kiln_model::{
    audit::{AuditTrail, Call, CallError, Parameters, Rulings},
    service::Caller,
};
use serde_json::Value;

use crate::{
    body::Answer,
    config::Clock,
    connection::Peer,
    fault::Fault,
    form,
    operations::Operation,
    query::form_pairs,
    route::{Route, Service},
};

/// Goes along with a request.
pub(crate) struct Trail {
    to: Arc<dyn AuditTrail>,
    clock: Clock,
    request_id: String,
    peer: Peer,
    user_agent: Option<String>,
    /// The decisions about it.
    pub(crate) rulings: Rulings,
    facts: Mutex<Facts>,
}

/// What was found out.
struct Facts {
    service: String,
    operation: Option<String>,
    access_key_id: Option<String>,
    caller: Option<Caller>,
    is_read_only: bool,
    parameters: Option<Parameters>,
    parameter_bytes: usize,
    error: Option<CallError>,
    /// The record was handed over, or there is to be none.
    is_over: bool,
}

impl Trail {
    /// For a request. Pages are no calls, and have no record.
    pub(crate) fn begin(
        to: &Arc<dyn AuditTrail>,
        clock: &Clock,
        route: &Route,
        headers: &HeaderMap,
        request_id: &str,
        peer: &Peer,
    ) -> Self {
        let (service, is_over) = match route {
            Route::Service(service) => (service.name().to_owned(), false),
            Route::Foreign { name, .. } => (name.clone(), false),
            Route::Page(_) => (String::new(), true),
        };
        let agent = headers.get(header::USER_AGENT);
        Self {
            to: Arc::clone(to),
            clock: Arc::clone(clock),
            request_id: request_id.to_owned(),
            peer: *peer,
            user_agent: agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()),
            rulings: Rulings::default(),
            facts: Mutex::new(Facts {
                service,
                operation: None,
                access_key_id: None,
                caller: None,
                // Until an operation that is not is about to be called nothing can change.
                is_read_only: true,
                parameters: None,
                parameter_bytes: 0,
                error: None,
                is_over,
            }),
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who says to have sent it.
    pub(crate) fn claimed(&self, claim: &Claim) {
        self.facts().access_key_id = Some(claim.access_key_id().to_owned());
    }

    /// Who has sent it.
    pub(crate) fn known(&self, caller: &Caller) {
        self.facts().caller = Some(caller.clone());
    }

    /// What it asks for, by name.
    pub(crate) fn named(&self, operation: &str) {
        self.facts().operation = Some(operation.to_owned());
    }

    /// What it asks for: an operation of a JSON or query service with its body, which is read when the record is made.
    pub(crate) fn asked(&self, service: Service, operation: Operation, parts: &Parts, body: Option<&Bytes>) {
        let mut facts = self.facts();
        facts.operation = Some(operation.name().to_owned());
        let Some(body) = body else { return };
        facts.parameter_bytes = body.len();
        let body = body.clone();
        let is_form = matches!(service, Service::Iam | Service::Sts);
        let query = parts.uri.query().filter(|_| is_form && body.is_empty()).map(str::to_owned);
        facts.parameters = Some(Box::new(move || {
            if !is_form {
                let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                return hidden::shown(service.name(), value);
            }
            let text = query.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
            hidden::shown_form(form_pairs(&text))
        }));
    }

    /// What it asks for, where that is not in the body.
    pub(crate) fn with(&self, parameters: Parameters, bytes: usize) {
        let mut facts = self.facts();
        facts.parameters = Some(parameters);
        facts.parameter_bytes = bytes;
    }

    /// From here on it may change something: refused when nothing can be kept of that.
    pub(crate) fn may_change(&self) -> Result<(), kiln_model::ApiError> {
        self.to.admit()?;
        self.facts().is_read_only = false;
        Ok(())
    }

    /// It was refused by what writes its answer itself.
    pub(crate) fn refused(&self, code: String, message: String, status: u16) {
        self.facts().error = Some(CallError { code, message, status });
    }

    /// What it asks for, as far as that is known, and the code of an error that was written already: service, operation,
    /// code. `None` for pages.
    pub(crate) fn told(&self) -> Option<(String, Option<String>, Option<String>)> {
        let facts = self.facts();
        let code = facts.error.as_ref().map(|error| error.code.clone());
        (!facts.is_over).then(|| (facts.service.clone(), facts.operation.clone(), code))
    }

    /// The access key that the request names.
    pub(crate) fn access_key_id(&self) -> Option<String> {
        self.facts().access_key_id.clone()
    }

    /// Hands the record over, and gives the answer back.
    pub(crate) async fn end(
        &self,
        answer: Result<Response<Answer>, Fault>,
        style: Style,
    ) -> Result<Response<Answer>, Fault> {
        let error = match &answer {
            Ok(_) => self.facts().error.take(),
            Err(fault) => Some(fault.as_call_error(style)),
        };
        let Some(call) = self.call(error) else { return answer };
        if call.has_changed() {
            // Without its record nobody may take it for done.
            self.to.record(call).await?;
        } else {
            self.to.note(call);
        }
        answer
    }

    /// The record, once.
    fn call(&self, error: Option<CallError>) -> Option<Call> {
        let mut facts = self.facts();
        if std::mem::replace(&mut facts.is_over, true) {
            return None;
        }
        let rulings = self.rulings.take();
        let mut resources: Vec<String> = rulings.iter().filter_map(|ruling| ruling.resource.clone()).collect();
        resources.sort_unstable();
        resources.dedup();
        Some(Call {
            time: (self.clock)(),
            request_id: self.request_id.clone(),
            service: std::mem::take(&mut facts.service),
            operation: facts.operation.take(),
            caller: facts.caller.take(),
            access_key_id: facts.access_key_id.take(),
            address: self.peer.address.map(|address| address.ip().to_canonical().to_string()),
            user_agent: self.user_agent.clone(),
            is_tls: self.peer.is_tls,
            is_read_only: facts.is_read_only,
            resources,
            rulings,
            error,
            parameters: facts.parameters.take(),
            parameter_bytes: facts.parameter_bytes,
        })
    }
}

impl Drop for Trail {
    /// A request that was not handled to its end, as something panicked: what it changed is not known.
    fn drop(&mut self) {
        let error = CallError {
            code: "InternalFailure".to_owned(),
            message: "Kiln failed at this request; its log says more".to_owned(),
            status: 500,
        };
        if let Some(call) = self.call(Some(error)) {
            self.to.note(call);
        }
    }
}

/// What a request of S3 asks for: its bucket, key, and the parameters and headers that say more.
/// `path` is `/bucket/key` with its escapes.
pub(crate) fn of_s3(path: &str, query: Option<&str>, headers: &HeaderMap) -> Parameters {
    const HEADERS: [&str; 14] = [
        "x-amz-acl",
        "x-amz-bypass-governance-retention",
        "x-amz-copy-source",
        "x-amz-metadata-directive",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-storage-class",
        "x-amz-tagging",
        "content-length",
        "content-type",
        "range",
        "if-match",
        "if-none-match",
        "x-amz-decoded-content-length",
    ];
    let mut pairs = Vec::new();
    for name in HEADERS {
        let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        pairs.extend(value.map(|value| (name.to_owned(), value)));
    }
    let (path, query) = (path.to_owned(), query.map(str::to_owned));
    Box::new(move || {
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        for (name, value) in [("bucketName", bucket), ("key", key)] {
            // A plus is a plus in a path.
            let value = form::decode(&value.replace('+', "%2B")).unwrap_or_else(|| value.to_owned());
            pairs.extend((!value.is_empty()).then(|| (name.to_owned(), value)));
        }
        // What signs a link is as good as a key for a while.
        let is_signature = |name: &str| name.to_ascii_lowercase().starts_with("x-amz-");
        let asked = query.as_deref().map(form_pairs).unwrap_or_default();
        pairs.extend(asked.into_iter().filter(|(name, _)| !is_signature(name)));
        hidden::shown_form(pairs)
    })
}
