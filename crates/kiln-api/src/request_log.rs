//! A line in the server's own log for each request, when it is over: its answer sent, or given up.
//!
//! Nothing that would let a reader of the log do anything is in it: no signature, no token, no body. Nobody who does not want
//! the lines pays for them.

use std::fmt::Write as _;

use http::{Method, Request, Response, Uri};
use kiln_iam::Style;
use tokio::time::Instant;
use tracing::Level;

use crate::{
    connection::Peer,
    route::{Page, Route},
};

/// The target of the lines, by which filters know them; they are of level `debug`.
pub const TARGET: &str = "kiln_api::requests";

/// Characters of a path that are told, at most: S3's keys have up to 1,024 bytes.
const LONGEST_PATH: usize = 1200;

/// What is known of a request, until it is over.
#[derive(Debug)]
pub(crate) struct RequestLine {
    begun: Instant,
    request_id: String,
    method: Method,
    uri: Uri,
    peer: String,
    received: u64,
    sent: u64,
    answer: Option<AnswerFacts>,
}

#[derive(Debug)]
struct AnswerFacts {
    status: u16,
    service: String,
    operation: Option<String>,
    code: Option<String>,
    access_key_id: Option<String>,
    path: String,
}

impl RequestLine {
    /// For a request that has just begun; `None` when nobody wants to know.
    pub(crate) fn begin<B>(request: &Request<B>, request_id: &str, peer: &Peer, received: u64) -> Option<Self> {
        tracing::enabled!(target: TARGET, Level::DEBUG).then(|| Self {
            begun: Instant::now(),
            request_id: request_id.to_owned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer: peer.name(),
            received,
            sent: 0,
            answer: None,
        })
    }

    /// Notes how it is answered. `told`: service, operation and code of a call, `failed`: the code of a refusal.
    pub(crate) fn answered<B>(
        mut self,
        response: &Response<B>,
        route: &Route,
        told: Option<&(String, Option<String>, Option<String>)>,
        failed: Option<&str>,
        access_key_id: Option<String>,
    ) -> Self {
        let (service, operation, code) = told.cloned().unwrap_or_else(|| ("page".to_owned(), None, None));
        self.answer = Some(AnswerFacts {
            status: response.status().as_u16(),
            service,
            operation,
            code: failed.map(str::to_owned).or(code),
            access_key_id,
            path: shown(&self.uri, route),
        });
        self
    }

    /// Notes that bytes of the answer were handed to the connection.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }
}

impl Drop for RequestLine {
    fn drop(&mut self) {
        let answer = self.answer.as_ref();
        // Without an answer something panicked, and the client was told that.
        let status = answer.map_or(500, |answer| answer.status);
        let code = answer.map_or(Some("InternalFailure"), |answer| answer.code.as_deref());
        tracing::debug!(
            target: TARGET,
            request_id = self.request_id.as_str(),
            peer = self.peer.as_str(),
            method = self.method.as_str(),
            path = answer.map(|answer| answer.path.as_str()),
            service = answer.map(|answer| answer.service.as_str()),
            operation = answer.and_then(|answer| answer.operation.as_deref()),
            access_key_id = answer.and_then(|answer| answer.access_key_id.as_deref()),
            status,
            code,
            duration_ms = self.begun.elapsed().as_secs_f64() * 1000.0,
            received_bytes = self.received,
            sent_bytes = self.sent,
            "request"
        );
    }
}

/// The path, and of S3 the parameters; those that sign a link are as good as a key for a while, those of other services may
/// have anything in them.
fn shown(uri: &Uri, route: &Route) -> String {
    // The rest of it is what providers know, and nobody else.
    if *route == Route::Page(Page::Webhook) {
        return "/-/webhooks/…".to_owned();
    }
    let mut shown: String = uri.path().chars().take(LONGEST_PATH).collect();
    if route.style() != Style::S3 {
        return shown;
    }
    for (at, pair) in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Of an escaped name nobody knows at once what it is.
        let is_secret = name.to_ascii_lowercase().starts_with("x-amz-") || name.contains('%');
        let value = if is_secret && !value.is_empty() { "…" } else { value };
        if shown.len() + pair.len() > 2 * LONGEST_PATH {
            shown.push('…');
            break;
        }
        // Writing to a text cannot fail.
        write!(shown, "{}{name}{}{value}", if at == 0 { '?' } else { '&' }, if pair.contains('=') { "=" } else { "" })
            .ok();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Service;

    #[test]
    fn what_signs_a_link_is_not_told() {
        let s3 = Route::Service(Service::S3);
        let link = "/b/key?versionId=v1&X-Amz-Signature=abc&x-amz-security-token=t%2B&X-Amz-Credential=AK%2F1&%58-Amz-X=abc&uploads";
        assert_eq!(
            shown(&link.parse().unwrap(), &s3),
            "/b/key?versionId=v1&X-Amz-Signature=…&x-amz-security-token=…&X-Amz-Credential=…&%58-Amz-X=…&uploads"
        );
        let form = "/?Action=UpdateLoginProfile&Password=secret".parse().unwrap();
        assert_eq!(shown(&form, &Route::Service(Service::Iam)), "/");
        assert_eq!(shown(&"/badges?uuid=secret".parse().unwrap(), &Route::Page(Page::Badge)), "/badges");
        let hook = "/-/webhooks/TOKEN?x".parse().unwrap();
        assert_eq!(shown(&hook, &Route::Page(Page::Webhook)), "/-/webhooks/…");
        let long: Uri = format!("/{}?a={}", "k".repeat(5000), "v".repeat(5000)).parse().unwrap();
        assert!(shown(&long, &s3).chars().count() < 1300);
    }
}
