//! What is served to anybody: what this is, how it is, badges. No other site may read or frame it.

mod badge;
mod console;
mod metrics;
mod public;
mod webhook;

pub(crate) use console::sign_in;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use kiln_model::{figures::PartCheck, kiln::BadgeInput, service::KilnService};
pub(crate) use public::public;
use serde_json::{Map, Value, json};
pub(crate) use webhook::deliver;

use crate::{
    body::Answer,
    calls::Counted,
    config::{Scraping, State},
    connection::Peer,
    form,
    route::Page,
    server::Server,
};

const INDEX: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Kiln</title>
<h1>Kiln</h1>
<p>This is a Kiln server: AWS CodeBuild as software that anyone can run. Its program was built without the web console:
<code>scripts/console</code> in Kiln's repository builds that, and the next <code>cargo build</code> takes it along. AWS
clients use the server with this address as their endpoint:</p>
<pre>aws --endpoint-url http://… codebuild list-projects</pre>
<p><code>kiln env</code> on the server prints the settings, <a href=\"/-/health\">health</a> says how it is.</p>
</html>
";

/// Answers a request for a page.
pub(crate) async fn answer<S: KilnService, K, A>(
    page: Page,
    parts: &Parts,
    peer: &Peer,
    server: &Server<S, K, A>,
) -> Response<Answer> {
    let mut policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";
    let mut response = if matches!(parts.method, Method::GET | Method::HEAD) {
        match page {
            Page::Console => match console::file(server.config.console, parts) {
                Some(found) => {
                    policy = console::POLICY;
                    found
                }
                None if server.config.console.is_empty() => html(INDEX),
                None => status(StatusCode::NOT_FOUND),
            },
            Page::ToIndex => {
                let mut response = status(StatusCode::FOUND);
                response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/-/"));
                response
            }
            Page::Health => health(server.config.readiness.get()),
            Page::Ready => ready(server).await,
            Page::Metrics => metrics(parts, peer, server),
            // It is looked up in the database, by whoever comes along.
            Page::Badge if !server.throttle.admits_stranger(peer) => status(StatusCode::TOO_MANY_REQUESTS),
            Page::Badge => badge(parts, server.service.as_ref()).await,
            Page::Nothing | Page::PublicBuilds | Page::SignIn | Page::Webhook => status(StatusCode::NOT_FOUND),
        }
    } else {
        let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    response
}

fn html(text: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn status(status: StatusCode) -> Response<Answer> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Answer::whole(format!("{reason}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// 200 when the service is ready, else 503, so that load balancers and scripts need not read the body.
fn health(state: State) -> Response<Answer> {
    let body = json!({ "status": state.as_str(), "version": env!("CARGO_PKG_VERSION") });
    condition(&body, state == State::Ready)
}

fn condition(body: &Value, is_well: bool) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(format!("{body}\n")));
    if !is_well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// With less than this free, in bytes, below the data directory, builds cannot be taken any more that would end well.
const LEAST_FREE: f64 = 64.0 * 1024.0 * 1024.0;

/// 200 when builds can be sent here: the service has started, is not stopping, and each part works that it needs; else 503
/// with what is wrong. Unlike `/-/health` it looks at them.
async fn ready<S: KilnService, K, A>(server: &Server<S, K, A>) -> Response<Answer> {
    let state = server.config.readiness.get();
    // What is not all there yet, or not any more, is not looked at.
    let mut parts = if state == State::Ready { server.service.check_parts().await } else { Vec::new() };
    if state == State::Ready
        && let Some(machine) = server.config.machine.as_ref().map(|read| read())
    {
        let is_full = machine.disk_free_bytes < LEAST_FREE;
        let trouble = is_full.then(|| format!("the disk has {:.0} MiB left", machine.disk_free_bytes / 1_048_576.0));
        parts.push(PartCheck { part: "disk", trouble });
    }
    let is_well = parts.iter().all(|part| part.trouble.is_none());
    let status = if is_well { state.as_str() } else { "impaired" };
    let checks: Map<String, Value> = parts
        .into_iter()
        .map(|PartCheck { part, trouble }| (part.to_owned(), trouble.unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    condition(&json!({ "status": status, "checks": checks }), state == State::Ready && is_well)
}

/// The figures, for those who may read them. Others are told what to do.
fn metrics<S: KilnService, K, A>(parts: &Parts, peer: &Peer, server: &Server<S, K, A>) -> Response<Answer> {
    let Server { config, calls, throttle, service, .. } = server;
    if !metrics::is_let_in(peer, &parts.headers, &config.scraping) {
        let has_token = matches!(config.scraping, Scraping::Token(_));
        let mut response = status(if has_token { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN });
        if has_token {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        } else {
            *response.body_mut() = Answer::whole(
                "Forbidden: metrics are for this machine alone; set metrics.token or metrics.public in the configuration of \
                 the server\n",
            );
        }
        return response;
    }
    let is_open = metrics::is_open(&parts.headers);
    let machine = config.machine.as_ref().map(|read| read());
    let calls = Counted { throttled: throttle.refused().to_vec(), ..calls.read() };
    let text = metrics::text(is_open, config.readiness.get(), &service.figures(), &calls, machine.as_ref());
    let mut response = Response::new(Answer::whole(text));
    let kind = HeaderValue::from_static(metrics::content_type(is_open));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn badge(parts: &Parts, service: &impl KilnService) -> Response<Answer> {
    let query = parts.uri.query().unwrap_or_default();
    let value = |name| form::value(query, name).filter(|value| !value.is_empty());
    let input = BadgeInput { uuid: value("uuid").unwrap_or_default(), branch: value("branch"), tag: value("tag") };
    let mut response = Response::new(Answer::whole(badge::svg(service.badge(input).await)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml; charset=utf-8"));
    // Proxies of code hosts keep images; this one is old at once.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, max-age=0, must-revalidate"));
    response
}
