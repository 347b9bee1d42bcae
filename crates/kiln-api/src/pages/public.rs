//! Public builds, for anybody: JSON in, JSON or an artifact out, as operations have it, but without a signature.

use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kiln_model::{ApiError, decode::decode, service::PublicBuilds};

use crate::{
    body::{Answer, Pace, read_whole},
    connection::Peer,
    fault::Fault,
    operations::{artifact, json},
    route::PUBLIC_BUILDS,
    server::Server,
};

/// Longest request.
const LONGEST: usize = 4096;

/// Answers a request of anybody. The type of its content is one that pages of other sites cannot send without being asked
/// first, which nothing here answers.
pub(crate) async fn public<S: PublicBuilds, K, A>(
    parts: &Parts,
    body: Incoming,
    length: u64,
    peer: &Peer,
    server: &Server<S, K, A>,
) -> Result<Response<Answer>, Fault> {
    if parts.method != Method::POST {
        let mut response = Response::new(Answer::whole("Public builds are asked for with POST\n"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Ok(guarded(response));
    }
    // It is looked up in the database, by whoever comes along.
    if !server.throttle.admits_stranger(peer) {
        return Err(ApiError::throttling().into());
    }
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != "application/json") {
        return Err(ApiError::serialization("public builds are asked for with application/json").into());
    }
    let whole = read_whole(body, length, LONGEST, Pace::begin(&server.config.limits), &server.bodies).await?;
    let (service, body) = (server.service.as_ref(), whole.bytes.as_ref());
    let response = match parts.uri.path().strip_prefix(PUBLIC_BUILDS).unwrap_or_default() {
        "ListPublicBuilds" => json(&service.list_public_builds(decode(body)?).await?),
        "GetPublicBuild" => json(&service.get_public_build(decode(body)?).await?),
        "GetPublicBuildLog" => json(&service.get_public_build_log(decode(body)?).await?),
        "GetPublicBuildArtifact" => {
            let found = service.get_public_build_artifact(decode(body)?).await?;
            Ok(artifact(found, server.stopping.clone()))
        }
        other => Err(ApiError::unknown_operation(other).into()),
    };
    response.map(guarded)
}

/// No cache keeps it: it may be private in a moment.
fn guarded(mut response: Response<Answer>) -> Response<Answer> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}
