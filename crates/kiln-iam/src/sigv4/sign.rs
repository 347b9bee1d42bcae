//! Signing what our own client sends.

use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    ALGORITHM,
    canonical::{PathRule, canonical_request},
    claim::Scope,
    date::{amz_date, day},
    key::{SecretKey, signature},
    request::Request,
};

/// The key that a client signs with.
#[derive(Clone)]
pub struct Credentials {
    /// Public half.
    pub access_key_id: String,
    /// Secret half.
    pub secret: SecretKey,
    /// Token of a temporary key.
    pub session_token: Option<Zeroizing<String>>,
}

/// A request before it is signed.
#[derive(Clone, Copy)]
pub struct ToSign<'a> {
    /// Method, e.g. `POST`.
    pub method: &'a str,
    /// Path with its escapes, as it will be sent.
    pub path: &'a str,
    /// Query with its escapes, without the question mark.
    pub query: Option<&'a str>,
    /// Headers that will be sent and must not change on the way; `host` must be among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// SHA-256 of the body.
    pub body: [u8; 32],
}

/// The headers to add to a request: date, body hash, session token, and the signature over all.
#[must_use]
pub fn sign(
    credentials: &Credentials,
    region: &str,
    service: &str,
    request: &ToSign<'_>,
    now: OffsetDateTime,
) -> Vec<(&'static str, String)> {
    let payload = hex::encode(request.body);
    let date = amz_date(now);
    let mut added = vec![("x-amz-date", date.clone()), ("x-amz-content-sha256", payload.clone())];
    if let Some(token) = &credentials.session_token {
        added.push(("x-amz-security-token", token.to_string()));
    }

    let headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .chain(added.iter().map(|(name, value)| (*name, value.as_bytes())))
        .collect();
    let mut signed_headers: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    signed_headers.sort_unstable();
    signed_headers.dedup();

    let scope = Scope { day: day(now), region: region.to_owned(), service: service.to_owned() };
    let as_sent = Request { method: request.method, path: request.path, query: request.query, headers: &headers };
    // A broken escape in one's own path has no canonical form; the server says so.
    let canonical =
        canonical_request(&as_sent, PathRule::of(service), |_| true, &signed_headers, &payload).unwrap_or_default();
    let signature = signature(&credentials.secret, &scope, &date, &canonical);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
        credentials.access_key_id,
        scope.text(),
        signed_headers.join(";"),
        hex::encode(signature)
    );
    added.push(("authorization", authorization));
    added
}
