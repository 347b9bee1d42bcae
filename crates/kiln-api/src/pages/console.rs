//! The web console: files that the binary brings along, and the session that a link of `kiln console` is for.
//!
//! The console is a client of the public API like any other (DESIGN decision 11). Nothing here knows what is in its
//! files; it runs under a policy that lets it load and call nothing but this server.

use std::io::Read as _;

use flate2::read::GzDecoder;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kiln_model::{Secret, service::KilnService};
use serde::Deserialize;
use serde_json::json;

use crate::{
    body::{Answer, Budget, Pace, read_whole},
    config::{ConsoleFile, Limits},
    fault::Fault,
};

/// What the console may do in a browser: its own scripts, styles, fonts and images, calls to where it came from. Values of
/// styles that its components set from scripts are no inline styles.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Longest request of [`sign_in`].
const LONGEST: usize = 1024;

/// The page whose script shows the rest.
const INDEX: &str = "index.html";

/// The file of a path below `/-/`: an asset, or for every other path the page.
pub(super) fn file(files: &'static [ConsoleFile], parts: &Parts) -> Option<Response<Answer>> {
    let path = parts.uri.path().strip_prefix("/-/").unwrap_or_default();
    let is_asset = path.starts_with("assets/");
    let wanted = if is_asset { path } else { INDEX };
    let file = files.iter().find(|file| file.path == wanted)?;
    let takes_gzip = parts.headers.get_all(header::ACCEPT_ENCODING).iter().any(|value| {
        let codings = value.to_str().unwrap_or_default().split(',');
        codings.map(str::trim).any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    });
    let mut response = if takes_gzip {
        let mut response = Response::new(Answer::whole(file.gzip));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let mut bytes = Vec::new();
        // The build compressed them.
        GzDecoder::new(file.gzip).read_to_end(&mut bytes).ok()?;
        Response::new(Answer::whole(bytes))
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_asset {
        // Their names change with their content.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    Some(response)
}

#[derive(Deserialize)]
struct Link {
    link: Secret,
}

/// Gives the session that a link is for. The type of the request's content is one that pages of other sites cannot send
/// without being asked first, which nothing here answers.
pub(crate) async fn sign_in(
    parts: &Parts,
    body: Incoming,
    length: u64,
    limits: &Limits,
    bodies: &Budget,
    service: &impl KilnService,
) -> Result<Response<Answer>, Fault> {
    let told = |status: StatusCode, message: &str| answer(status, &json!({ "message": message }));
    if parts.method != Method::POST {
        let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "A link is handed in with POST");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Ok(response);
    }
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Ok(told(StatusCode::UNSUPPORTED_MEDIA_TYPE, "A link is handed in as application/json"));
    }
    let whole = read_whole(body, length, LONGEST, Pace::begin(limits), bodies).await?;
    let Ok(Link { link }) = serde_json::from_slice(&whole.bytes) else {
        return Ok(told(StatusCode::BAD_REQUEST, "A link is handed in as {\"link\": \"…\"}"));
    };
    Ok(match service.open_console_link(&link) {
        Some(session) => answer(StatusCode::OK, &json!(session)),
        None => told(
            StatusCode::FORBIDDEN,
            "This link was opened before, or is older than ten minutes. `kiln console` prints another one.",
        ),
    })
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}
