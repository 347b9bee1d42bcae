//! Answers of the registry.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use kiln_model::registry::{RegistryCode, RegistryError};
use serde_json::{Value, json};

use crate::body::Answer;

/// The digest of what is answered or was stored.
pub(super) const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::default());
    *response.status_mut() = status;
    response
}

/// JSON.
pub(super) fn json(value: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(value.to_string()));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Sets a header to a value that is one.
pub(super) fn set(response: &mut Response<Answer>, name: HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::try_from(value.as_ref()) {
        response.headers_mut().insert(name, value);
    }
}

/// How many bytes an upload has, as the specification writes it.
pub(super) fn set_range(response: &mut Response<Answer>, uploaded: u64) {
    set(response, header::RANGE, format!("0-{}", uploaded.saturating_sub(1)));
}

/// An error. `origin`: what the client calls this server.
pub(super) fn error(error: &RegistryError, origin: &str) -> Response<Answer> {
    let body = json!({ "errors": [{ "code": error.code.as_str(), "message": error.message }] });
    let mut response = json(&body);
    *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.code == RegistryCode::Unauthorized {
        let realm: String = origin.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
        let challenge = format!("Basic realm=\"{realm}/\",service=\"ecr.amazonaws.com\"");
        set(&mut response, header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(uploaded) = error.uploaded {
        set_range(&mut response, uploaded);
    }
    response
}

/// Adds what every answer has: which protocol it is of, and that no browser may take builds' bytes for a page.
pub(super) fn finished(mut response: Response<Answer>) -> Response<Answer> {
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
