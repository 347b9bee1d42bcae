//! What the head of a request must be before anything else looks at it.

use http::{HeaderMap, Version, header, request::Parts};
use kiln_model::ApiError;

use crate::{connection::Peer, fault::Fault, host};

/// Checks framing and host, and tells the announced length of the body.
///
/// hyper has refused what is no HTTP at all: contradicting lengths, blanks before colons, heads over the limit.
pub(crate) fn check(parts: &Parts, peer: &Peer, domains: &[String]) -> Result<u64, Fault> {
    let refuse = |text: &str| Err(Fault::Framing(ApiError::invalid_input(text)));
    // No AWS client sends its JSON in chunks, our own client knows the size of what it uploads, and a proxy in front that
    // reads the length where hyper reads the chunks would see other requests than we do.
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return refuse("send the body with the header Content-Length, not with Transfer-Encoding");
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return refuse("send the body as it is, without Content-Encoding");
    }
    check_host(parts, peer, domains)?;
    Ok(content_length(&parts.headers))
}

/// The announced length; hyper has checked that it is one number.
fn content_length(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn check_host(parts: &Parts, peer: &Peer, domains: &[String]) -> Result<(), Fault> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let host = match (first, second) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        // HTTP/1.0 knows no Host; only signed requests need one, and these fail without.
        (None, None) if parts.version == Version::HTTP_10 => return Ok(()),
        _ => return Err(Fault::Framing(ApiError::invalid_input("a request has exactly one header Host"))),
    };
    // `GET http://other/ HTTP/1.1`: the target must not say something else than the header that is signed.
    let is_same = parts.uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    if !is_same {
        return Err(Fault::Framing(ApiError::invalid_input("the target of the request names another host than Host")));
    }
    if host::is_known(host, peer.local, domains) {
        Ok(())
    } else {
        Err(Fault::UnknownHost(host.chars().take(255).collect()))
    }
}
