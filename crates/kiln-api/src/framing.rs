//! What the head of a request must be before anything else looks at it.

use http::{HeaderMap, Version, header, request::Parts};
use kiln_model::ApiError;

use crate::{
    connection::Peer,
    fault::Fault,
    host::{self, Known},
    route::Service,
};

/// What the head says of the body, and whom it is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// The announced length; `None` for a body in HTTP's chunks.
    pub(crate) length: Option<u64>,
    /// The bucket that the host names.
    pub(crate) bucket: Option<String>,
}

/// Checks framing and host.
///
/// hyper has refused what is no HTTP at all: contradicting lengths, blanks before colons, heads over the limit.
pub(crate) fn check(
    parts: &Parts,
    peer: &Peer,
    domains: &[String],
    service: Option<Service>,
) -> Result<Framing, Fault> {
    let refuse = |text: &str| Err(Fault::Framing(ApiError::invalid_input(text)));
    // No AWS client sends its JSON in chunks, our own client knows the size of what it uploads, and a proxy in front that
    // reads the length where hyper reads the chunks would see other requests than we do.
    // S3's do, around chunks of their own: those have a length, and a signature.
    // Clients of images send what they do not know the size of yet, by their specification, and so does git.
    let is_s3 = service == Some(Service::S3);
    let may_be_chunked = is_s3 || matches!(service, Some(Service::Registry | Service::Git));
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = match (codings.next(), codings.next()) {
        (None, _) => false,
        (Some(coding), None) if may_be_chunked && coding.as_bytes().eq_ignore_ascii_case(b"chunked") => true,
        _ => return refuse("send the body with the header Content-Length, not with Transfer-Encoding"),
    };
    // Clients of CloudWatch compress large bodies, and git those of fetches; both are unpacked by who reads them.
    let may_be_encoded = is_s3 || matches!(service, Some(Service::CloudWatch(_) | Service::Git));
    if parts.headers.contains_key(header::CONTENT_ENCODING) && !may_be_encoded {
        return refuse("send the body as it is, without Content-Encoding");
    }
    let bucket = check_host(parts, peer, domains)?;
    Ok(Framing { length: (!is_chunked).then(|| content_length(&parts.headers)), bucket })
}

/// The bucket that a host names, for finding the route; nothing else of it is believed yet.
pub(crate) fn bucket_of(headers: &HeaderMap, peer: &Peer, domains: &[String]) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    match host::known(host, peer.local, domains) {
        Some(Known::Bucket(bucket)) => Some(bucket),
        _ => None,
    }
}

/// What a client calls this server.
pub(crate) fn origin(headers: &HeaderMap, peer: &Peer) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{}://{host}", if peer.is_tls { "https" } else { "http" })
}

/// The announced length; hyper has checked that it is one number.
fn content_length(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn check_host(parts: &Parts, peer: &Peer, domains: &[String]) -> Result<Option<String>, Fault> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let host = match (first, second) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        // HTTP/1.0 knows no Host; only signed requests need one, and these fail without.
        (None, None) if parts.version == Version::HTTP_10 => return Ok(None),
        _ => return Err(Fault::Framing(ApiError::invalid_input("a request has exactly one header Host"))),
    };
    // `GET http://other/ HTTP/1.1`: the target must not say something else than the header that is signed.
    let is_same = parts.uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    if !is_same {
        return Err(Fault::Framing(ApiError::invalid_input("the target of the request names another host than Host")));
    }
    match host::known(host, peer.local, domains) {
        Some(Known::Server) => Ok(None),
        Some(Known::Bucket(bucket)) => Ok(Some(bucket)),
        None => Err(Fault::UnknownHost(host.chars().take(255).collect())),
    }
}
