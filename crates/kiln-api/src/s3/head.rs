//! What the decoder gets to see of a request: no signature, nothing of the form in which a body came, and path style.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, request::Parts};
use kiln_iam::sigv4::{Claim, query_pairs};
use kiln_model::s3::{S3Code, S3Error};

use super::target::Target;

/// Headers that were acted on, or that the decoder reads in another way than S3.
const HIDDEN: [&str; 12] = [
    "authorization",
    "connection",
    "content-length",
    "expect",
    "expires",
    "host",
    "transfer-encoding",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-security-token",
    "x-amz-trailer",
];

/// Parameters of presigned links.
const PRESIGNED: &str = "X-Amz-";

/// The headers of a request, with those that a presigned link has in its query: SDKs move `x-amz-…` there, where they are
/// signed all the same.
pub(super) fn with_hoisted(parts: &Parts, claim: Option<&Claim>) -> Result<HeaderMap, S3Error> {
    let mut headers = parts.headers.clone();
    if !claim.is_some_and(Claim::is_presigned) {
        return Ok(headers);
    }
    for (name, value) in query_pairs(parts.uri.query()) {
        if !name.starts_with(b"x-amz-") {
            continue;
        }
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) else {
            return Err(S3Error::invalid("A parameter x-amz-… of the link is none that could be a header"));
        };
        if headers.insert(&name, value).is_some() {
            return Err(S3Error::invalid(format!("'{name}' must occur once, in the link or in a header")));
        }
    }
    Ok(headers)
}

/// The request as the decoder gets it. `whole`: its XML.
pub(super) fn request(
    parts: &Parts,
    target: &Target,
    headers: &HeaderMap,
    is_signed: bool,
    whole: Bytes,
) -> Result<Request<s3s::Body>, S3Error> {
    let query: Vec<&str> = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !(pair.is_empty() || is_signed && pair.starts_with(PRESIGNED)))
        .collect();
    let path = match query.is_empty() {
        true => target.path.clone(),
        false => format!("{}?{}", target.path, query.join("&")),
    };
    let uri = Uri::builder().path_and_query(path).build();
    let uri = uri.map_err(|_| S3Error::new(S3Code::InvalidUri, "Couldn't parse the specified URI."))?;

    let mut seen = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if HIDDEN.contains(&name.as_str()) || (name == header::RANGE && !is_range(value)) {
            continue;
        }
        let value =
            if matches!(*name, header::IF_MATCH | header::IF_NONE_MATCH) { quoted(value) } else { value.clone() };
        seen.append(name, value);
    }
    if !whole.is_empty() {
        seen.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    }
    let mut request = Request::new(s3s::Body::from(whole));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = seen;
    Ok(request)
}

/// Whether it is a range that S3 knows; others are ignored, as if they were not there (RFC 9110 14.2).
fn is_range(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| s3s::dto::Range::parse(text).is_ok())
}

/// ETags with the quotes that some clients leave out.
fn quoted(value: &HeaderValue) -> HeaderValue {
    let bytes = value.as_bytes();
    if bytes == b"*" || bytes.contains(&b'"') {
        return value.clone();
    }
    HeaderValue::from_bytes(&[b"\"", bytes, b"\""].concat()).unwrap_or_else(|_| value.clone())
}

/// Refuses XML that the decoder would read in another way than its writer meant: it skips `<![CDATA[…]]>`, and a document type
/// may define entities.
pub(super) fn check_xml(body: &[u8]) -> Result<(), S3Error> {
    let is_plain = body
        .windows(3)
        .enumerate()
        .filter(|(_, window)| window.starts_with(b"<!"))
        .all(|(at, _)| body[at..].starts_with(b"<!--"));
    let is_json = body.first() == Some(&b'{');
    if is_plain || is_json { Ok(()) } else { Err(super::buckets::malformed("CDATA and DOCTYPE are not taken")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(target: &str, headers: &[(&str, &str)], is_signed: bool) -> Request<s3s::Body> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let target = Target::new(parts.uri.path(), None);
        super::request(&parts, &target, &parts.headers, is_signed, Bytes::new()).unwrap()
    }

    #[test]
    fn signatures_are_not_shown() {
        let request = seen(
            "/b/a%2F..//c?X-Amz-Signature=1&versionId=x%20y&X-Amz-Expires=60&x-id=GetObject",
            &[("authorization", "x"), ("x-amz-date", "x"), ("host", "b.localhost"), ("x-amz-meta-a", "b")],
            true,
        );
        assert_eq!(request.uri(), "/b/a%2F..//c?versionId=x%20y&x-id=GetObject");
        assert_eq!(request.headers().keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-amz-meta-a"]);
    }

    #[test]
    fn what_the_decoder_reads_too_strictly_is_mended() {
        let header = |name: &str, value: &str| {
            let request = seen("/b/k", &[(name, value)], true);
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header("if-match", "abc").as_deref(), Some("\"abc\""));
        assert_eq!(header("if-none-match", "*").as_deref(), Some("*"));
        assert_eq!(header("if-match", "\"abc\"").as_deref(), Some("\"abc\""));
        assert_eq!(header("range", "bytes=0-3").as_deref(), Some("bytes=0-3"));
        for ignored in ["bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=3-1", ""] {
            assert_eq!(header("range", ignored), None, "{ignored}");
        }
    }

    #[test]
    fn xml_is_plain() {
        assert_eq!(check_xml(b"<?xml version=\"1.0\"?><Delete><!-- x --><Key>a&amp;b</Key></Delete>"), Ok(()));
        assert_eq!(check_xml(b"{\"Statement\":[{\"Resource\":\"<![\"}]}"), Ok(()));
        assert_eq!(check_xml(b""), Ok(()));
        for bad in ["<Delete><Key><![CDATA[a]]></Key></Delete>", "<!DOCTYPE x [<!ENTITY y \"z\">]><x/>", "<!"] {
            let refused = check_xml(bad.as_bytes()).is_err();
            assert_eq!(refused, bad.len() > 2, "{bad}");
        }
    }
}
