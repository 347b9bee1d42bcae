//! What providers of repositories deliver: `POST /-/webhooks/<token>` (`api.md` 3.3, `security.md` 5.8). Nobody signs as AWS
//! has it; the provider's own signature is checked by the service.

use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kiln_iam::sigv4::sha256;
use kiln_model::{
    Secret,
    kiln::DeliveryStatus,
    service::{Delivered, DeliveryRefusal, KilnService, WebhookRequest},
};
use serde_json::{Value, json};

use crate::{
    body::{Answer, Pace, discard, read_whole},
    connection::Peer,
    fault::Fault,
    server::Server,
};

/// Bytes of a delivery: what GitHub sends at most.
const LARGEST: usize = 25 << 20;
/// Characters of a token that could be one.
const LONGEST_TOKEN: usize = 200;

/// Takes a delivery.
pub(crate) async fn deliver<S: KilnService, K, A>(
    parts: &Parts,
    body: Incoming,
    length: u64,
    peer: &Peer,
    server: &Server<S, K, A>,
) -> Result<Response<Answer>, Fault> {
    let pace = Pace::begin(&server.config.limits);
    if parts.method != Method::POST {
        discard(&parts.headers, body, pace).await;
        let mut response = told(StatusCode::METHOD_NOT_ALLOWED, "Webhooks are delivered with POST");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Ok(response);
    }
    let path = parts.uri.path();
    let token = path.strip_prefix("/-/webhooks/").unwrap_or_default();
    let is_known = token.len() <= LONGEST_TOKEN && server.service.has_webhook(token);
    // Of a webhook that there is, only its own deliveries are counted: whoever comes along cannot take its room.
    let is_admitted = if is_known {
        server.throttle.admits_delivery(&hex::encode(sha256(token.as_bytes())))
    } else {
        server.throttle.admits_stranger(peer)
    };
    if !is_admitted {
        discard(&parts.headers, body, pace).await;
        return Ok(later(StatusCode::TOO_MANY_REQUESTS, "Too many deliveries; send it again later"));
    }
    if length > LARGEST as u64 {
        discard(&parts.headers, body, pace).await;
        let message = format!("A delivery has at most {LARGEST} bytes");
        return Ok(told(StatusCode::PAYLOAD_TOO_LARGE, &message));
    }
    if !is_known {
        discard(&parts.headers, body, pace).await;
        return Ok(stranger());
    }
    let whole = read_whole(body, length, LARGEST, pace, &server.bodies).await?;
    let headers = parts.headers.iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let request =
        WebhookRequest { token: Secret::new(token.to_owned()), headers: headers.collect(), body: whole.bytes.to_vec() };
    Ok(match server.service.deliver(request).await {
        Ok(delivered) => taken(&delivered),
        Err(DeliveryRefusal::Stranger) if !server.throttle.admits_stranger(peer) => {
            later(StatusCode::TOO_MANY_REQUESTS, "Too many deliveries; send it again later")
        }
        Err(DeliveryRefusal::Stranger) => stranger(),
        Err(DeliveryRefusal::Malformed(why)) => told(StatusCode::BAD_REQUEST, &why),
        Err(DeliveryRefusal::Later(why)) => later(StatusCode::SERVICE_UNAVAILABLE, &why),
    })
}

/// Nobody learns which of the two it is.
fn stranger() -> Response<Answer> {
    told(StatusCode::FORBIDDEN, "There is no such webhook, or the signature of the delivery is wrong")
}

fn taken(delivered: &Delivered) -> Response<Answer> {
    let Delivered { delivery, is_repeated } = delivered;
    let message = if *is_repeated { "This was delivered before: nothing is done" } else { &delivery.message };
    let status = if delivery.status == DeliveryStatus::Pending { StatusCode::ACCEPTED } else { StatusCode::OK };
    let body = json!({
        "message": message,
        "status": delivery.status.as_str(),
        "id": delivery.id,
        "buildIds": delivery.build_ids,
    });
    answer(status, &body)
}

fn later(status: StatusCode, message: &str) -> Response<Answer> {
    let mut response = told(status, message);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    response
}

fn told(status: StatusCode, message: &str) -> Response<Answer> {
    answer(status, &json!({ "message": message }))
}

fn answer(status: StatusCode, body: &Value) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}
