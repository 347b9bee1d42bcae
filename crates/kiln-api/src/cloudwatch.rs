//! CloudWatch's three wire protocols (`api.md` 5.4): AWS JSON 1.0, the query protocol of older clients, and CBOR.
//!
//! Whatever a request is written in, its input becomes the same JSON, on which permissions, the audit log and the service
//! work; the answer is written back in the request's protocol.

mod cbor;
mod query;

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use kiln_iam::Style;
use kiln_model::{
    ApiError,
    cloudwatch::*,
    decode::{Input, decode},
    for_each_cloudwatch_operation,
    operations::{CLOUDWATCH_TARGET, OperationInfo, cloudwatch_operation},
    service::{CloudWatch, Context},
};
use serde::Serialize;
use serde_json::Value;

use crate::{body::Answer, fault::Fault, query::form};

/// How a request is written, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// AWS JSON 1.0.
    Json,
    /// A form in, XML out.
    Query,
    /// Smithy's `rpc-v2-cbor`.
    Cbor,
}

impl Protocol {
    /// How errors of authentication are written.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Json | Self::Cbor => Style::Json,
            Self::Query => Style::Query,
        }
    }
}

/// Bytes that a compressed body may become: as many as ten of the largest that are not compressed.
const UNPACKED: u64 = 10 * 1024 * 1024;

const SMITHY: HeaderName = HeaderName::from_static("smithy-protocol");
const CBOR: HeaderValue = HeaderValue::from_static("rpc-v2-cbor");
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// The operation in the path of a CBOR request: `/service/GraniteServiceVersion20100801/operation/ListMetrics`. The header
/// tells it from an object of a bucket with the name `service`.
pub(crate) fn operation_in_path<B>(request: &Request<B>) -> Option<&str> {
    request.headers().get(SMITHY).filter(|protocol| **protocol == CBOR)?;
    in_path(request.uri().path())
}

fn in_path(path: &str) -> Option<&str> {
    path.strip_prefix("/service/")?.strip_prefix(CLOUDWATCH_TARGET)?.strip_prefix("/operation/")
}

/// The operation of a CBOR request.
pub(crate) fn named(parts: &Parts) -> Result<&'static OperationInfo, ApiError> {
    let name = in_path(parts.uri.path()).unwrap_or_default();
    match cloudwatch_operation(name) {
        Some(info) if parts.method == Method::POST => Ok(info),
        _ => Err(ApiError::unknown_operation(name)),
    }
}

/// Operation and input of a request, as JSON. `known`: the operation that its head names.
pub(crate) fn read(
    protocol: Protocol,
    known: Option<&'static OperationInfo>,
    parts: &Parts,
    body: &Bytes,
) -> Result<(&'static OperationInfo, Bytes), ApiError> {
    let body = unpacked(parts, body)?;
    let (info, input) = match (protocol, known) {
        (Protocol::Json, Some(info)) => return Ok((info, body)),
        (Protocol::Cbor, Some(info)) => (info, cbor::decode(&body)?),
        (_, None) | (Protocol::Query, _) => {
            let form = form(parts, &body)?;
            let name = form.get("Action").unwrap_or_default();
            let info = cloudwatch_operation(name).ok_or_else(|| ApiError::unknown_operation(name))?;
            (info, query::input(&form)?)
        }
    };
    Ok((info, input.to_string().into()))
}

/// The body as it was before it was compressed, as SDKs do with large ones.
fn unpacked(parts: &Parts, body: &Bytes) -> Result<Bytes, ApiError> {
    match parts.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => return Ok(body.clone()),
        Some(b"gzip") => {}
        Some(other) => {
            let other: String = String::from_utf8_lossy(other).chars().take(64).collect();
            return Err(ApiError::serialization(format!(
                "the content encoding '{other}' is not known; send gzip or none"
            )));
        }
    }
    let mut unpacked = Vec::new();
    // One more than is allowed, by which what is too large is known.
    match GzDecoder::new(body.as_ref()).take(UNPACKED + 1).read_to_end(&mut unpacked) {
        Ok(_) if unpacked.len() as u64 <= UNPACKED => Ok(unpacked.into()),
        Ok(_) => Err(ApiError::serialization(format!("the body is larger than {UNPACKED} bytes when it is unpacked"))),
        Err(e) => Err(ApiError::serialization(format!("the body is not gzip: {e}"))),
    }
}

/// Calls CloudWatch with an input in JSON; the answer in the request's protocol.
pub(crate) async fn call(
    service: &impl CloudWatch,
    info: &OperationInfo,
    protocol: Protocol,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    macro_rules! arms {
        ($($name:ident $method:ident $input:ident $output:ident,)+) => {
            match info.name {
                $(stringify!($name) => value(&service.$method(context, input::<$input>(body)?).await?)?,)+
                other => return Err(ApiError::unsupported(other).into()),
            }
        };
    }
    let output = for_each_cloudwatch_operation!(arms);
    Ok(match protocol {
        Protocol::Json => whole(output.to_string(), "application/x-amz-json-1.0"),
        Protocol::Query => whole(query::answer(info.name, &output, &context.request_id), "text/xml"),
        Protocol::Cbor => cbor_answer(&output),
    })
}

fn input<T: Input>(body: &[u8]) -> Result<T, ApiError> {
    // Operations without required members may be called without a body.
    decode(if body.is_empty() { b"{}" } else { body })
}

fn value<T: Serialize>(output: &T) -> Result<Value, ApiError> {
    serde_json::to_value(output).map_err(|error| ApiError::internal(format!("the answer is no JSON: {error}")))
}

fn whole(body: impl Into<Bytes>, kind: &'static str) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn cbor_answer(output: &Value) -> Response<Answer> {
    let mut response = whole(cbor::encode(output), "application/cbor");
    response.headers_mut().insert(SMITHY, CBOR);
    response
}

/// An error as each protocol writes it. Clients that know the codes of the query protocol find them in a header.
pub(crate) fn error(protocol: Protocol, fault: &Fault, request_id: &str) -> Response<Answer> {
    let mut response = match protocol {
        Protocol::Query => return fault.answer(Style::Query, request_id),
        Protocol::Json => {
            let mut response = fault.answer(Style::Json, request_id);
            let kind = HeaderValue::from_static("application/x-amz-json-1.0");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Protocol::Cbor => {
            let error = fault.as_call_error(Style::Json);
            let mut response = cbor_answer(&serde_json::json!({ "__type": error.code, "message": error.message }));
            *response.status_mut() = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response
        }
    };
    let error = fault.as_call_error(Style::Query);
    let side = if error.status < 500 { "Sender" } else { "Receiver" };
    let value = HeaderValue::try_from(format!("{};{side}", error.code));
    response.headers_mut().extend(value.map(|value| (QUERY_ERROR, value)));
    response
}

/// Members of answers that are points in time, or lists of them.
fn is_time(name: &str) -> bool {
    matches!(name, "Timestamp" | "Timestamps")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("POST").uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn compressed_bodies_are_unpacked_up_to_a_size() {
        let packed = parts(&[("content-encoding", "gzip")]);
        assert_eq!(unpacked(&packed, &gzip(b"{}")).unwrap(), "{}");
        assert_eq!(unpacked(&parts(&[]), &Bytes::from_static(b"x")).unwrap(), "x");
        let bomb = gzip(&vec![b' '; usize::try_from(UNPACKED).unwrap() + 1]);
        assert!(bomb.len() < 20_000);
        for (parts, body, what) in [
            (&packed, bomb, "is larger than"),
            (&packed, Bytes::from_static(b"{}"), "is not gzip"),
            (&packed, gzip(b"{}").slice(..10), "is not gzip"),
            (&parts_of_br(), gzip(b"{}"), "'br' is not known"),
        ] {
            let error = unpacked(parts, &body).unwrap_err();
            assert!(error.message.contains(what), "{error}");
        }
    }

    fn parts_of_br() -> Parts {
        parts(&[("content-encoding", "br")])
    }

    #[test]
    fn the_operation_of_a_cbor_request_is_in_its_path() {
        let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
        let with = Request::post(path).header("smithy-protocol", "rpc-v2-cbor").body(()).unwrap();
        assert_eq!(operation_in_path(&with), Some("ListMetrics"));
        assert_eq!(operation_in_path(&Request::post(path).body(()).unwrap()), None, "an object's path");
        assert_eq!(named(&with.into_parts().0).unwrap().name, "ListMetrics");
        let get = Request::get(path).body(()).unwrap().into_parts().0;
        assert!(named(&get).is_err());
    }

    #[test]
    fn errors_say_the_code_of_the_query_protocol() {
        let fault = Fault::Api(ApiError::new(kiln_model::ErrorCode::MissingRequiredParameter, "m"));
        for protocol in [Protocol::Json, Protocol::Cbor] {
            let response = error(protocol, &fault, "id");
            assert_eq!(response.status(), 400);
            assert_eq!(response.headers()["x-amzn-query-error"], "MissingParameter;Sender");
        }
        let kinds = |protocol| error(protocol, &fault, "id").headers()["content-type"].clone();
        assert_eq!(kinds(Protocol::Json), "application/x-amz-json-1.0");
        assert_eq!(
            (kinds(Protocol::Cbor), kinds(Protocol::Query)),
            ("application/cbor".parse().unwrap(), "text/xml".parse().unwrap())
        );
    }
}
