//! S3: the same pipeline, with bodies, errors and permissions of its own kind (DESIGN decision 10).
//!
//! `s3s` decodes requests and writes answers, and nothing else: signatures, clocks, hosts, limits and permissions are ours,
//! and no byte of an object goes through it. A request's way, in the order of the modules:
//!
//! 1. `target`: bucket and key, and whether the decoder knows the subresource;
//! 2. here: who sent it, and that the body is what was signed: XML is read whole, an object's bytes as they come (`payload`;
//!    in chunks: `chunked`);
//! 3. `head`: what the decoder gets to see;
//! 4. `call`: the decoder asks for permission (`access`) and calls the operation: `buckets`, `rules`, `fixed`, `objects`,
//!    `uploads`, `lists`; their shapes become those of the domain in `convert`.

mod access;
mod buckets;
mod call;
mod chunked;
mod convert;
mod digest;
mod fixed;
mod head;
mod lists;
mod objects;
mod payload;
mod rules;
mod target;
mod uploads;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kiln_iam::{
    AuthError,
    sigv4::{self, Chunking, Claim, sha256},
};
use kiln_model::{
    ApiError,
    s3::{S3Code, S3Error},
    service::{self, ByteSource, Caller, Context},
};
use s3s::service::S3ServiceBuilder;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use self::{
    call::{Call, Front, Gate, NoSecrets},
    chunked::Decoder,
    payload::{Form, Payload},
    target::Target,
};
use crate::{
    audit::{self, Trail},
    authenticate::{self, Keys, KnownKey},
    authorise::{Authorizer, surroundings},
    body::{Answer, Pace, read_whole},
    connection::Peer,
    fault::{Fault, xml_text},
    framing,
    route::Service,
    server::Server,
};

/// Longest XML: 10,000 parts with their checksums, or 1,000 long keys with escapes.
const MAX_XML: usize = 4 << 20;

/// So many bytes of a body are read after a request was refused, so that the client gets to read why.
const MAX_DRAINED: u64 = 1 << 20;

/// What a request of S3 brings along.
pub(crate) struct Arrival<'a> {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    /// `None` for HTTP's chunks.
    pub(crate) length: Option<u64>,
    /// The bucket in the host.
    pub(crate) bucket: Option<String>,
    pub(crate) request_id: &'a str,
    pub(crate) peer: &'a Peer,
    pub(crate) trail: &'a Arc<Trail>,
}

/// A body whose sender is known.
struct Taken {
    /// XML, or nothing.
    whole: Bytes,
    /// An object's bytes.
    payload: Option<Payload>,
    /// How many there are.
    length: Option<u64>,
    /// Whose key signed the request; `None` for nobody.
    known: Option<KnownKey>,
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Authenticate → authorise → decode → call, for a request of S3.
    pub(crate) async fn s3(self: &Arc<Self>, arrival: Arrival<'_>) -> Result<Response<Answer>, Fault> {
        let Arrival { parts, body, length, bucket, request_id, peer, trail } = arrival;
        let config = &self.config;
        let now = authenticate::time_of((config.clock)());
        let target = Target::new(parts.uri.path(), bucket.as_deref());
        trail.with(audit::of_s3(&target.path, parts.uri.query(), &parts.headers), parts.uri.path().len());
        let claim = self.claim(&parts, now).map_err(|error| self.stranger(peer, None, error, request_id))?;
        if let Some(claim) = &claim {
            trail.claimed(claim);
        }
        let taken = self.take(&parts, &target, body, length, claim.as_ref(), now).await;
        let taken = taken.map_err(|fault| match fault {
            Fault::Auth(error) => self.stranger(peer, claim.as_ref(), error, request_id),
            other => other,
        })?;
        let Taken { whole, payload, length, known } = taken;

        // Only now: whoever has no key cannot take the room of those who have one.
        let _slot = self.requests.try_acquire().map_err(|_| ApiError::throttling())?;
        let query = parts.uri.query();
        target.check(&parts.method, query, &parts.headers)?;
        let changes = !matches!(parts.method, Method::GET | Method::HEAD);
        let is_admitted = match &known {
            Some(known) => self.throttle.admits(&known.caller.arn, Service::S3.name(), changes),
            None => self.throttle.admits_stranger(peer),
        };
        if !is_admitted {
            drain(payload, length, &parts.headers).await;
            return Err(S3Error::new(S3Code::SlowDown, "Please reduce your request rate.").into());
        }
        if let Some(claim) = claim.as_ref().filter(|claim| changes && !claim.is_presigned() && !peer.is_private()) {
            self.replays.check(claim)?;
        }

        let outcome = payload.as_ref().map(Payload::outcome).unwrap_or_default();
        let is_anonymous = known.is_none();
        let caller = known.map_or_else(|| nobody(&config.account), |known| known.caller);
        trail.known(&caller);
        let context = Context {
            origin: framing::origin(&parts.headers, peer),
            caller,
            region: config.region.clone(),
            request_id: request_id.to_owned(),
            surroundings: surroundings(&parts, peer).into(),
            rulings: trail.rulings.clone(),
            traceparent: None,
        };
        let keys = condition_keys(&parts, claim.as_ref(), peer, &context, now);
        let headers = head::with_hoisted(&parts, claim.as_ref())?;
        let call = Arc::new(Call {
            server: Arc::clone(self),
            trail: Arc::clone(trail),
            changes,
            is_anonymous,
            keys,
            query: query.map(str::to_owned),
            origin: framing::origin(&parts.headers, peer),
            checksum: if payload.is_some() { convert::expected_checksum(&headers, &outcome)? } else { None },
            payload: Mutex::new(payload),
            length,
            fault: Mutex::default(),
            answer: Mutex::default(),
            context,
            headers,
        });
        let request = head::request(&parts, &target, &call.headers, claim.is_some(), whole)?;
        let mut decoder = S3ServiceBuilder::new(Front(Arc::clone(&call)));
        decoder.set_auth(NoSecrets);
        decoder.set_access(Gate(Arc::clone(&call)));
        let response = decoder.build().call(request).await;
        let response = response.map_err(|error| {
            S3Error::internal(format!(
                "the answer cannot be written: {}",
                Box::<dyn std::error::Error + Send + Sync>::from(error)
            ))
        })?;

        if let Some(mut error) = call.take_fault() {
            // Bytes that did not come as they should are a better reason than that they were not stored.
            error = outcome.trouble().unwrap_or(error);
            error.resource.get_or_insert_with(|| shown_path(&target));
            drain(call.take_payload().ok(), call.length, &parts.headers).await;
            return Err(Fault::S3(error));
        }
        let (mut head, body) = response.into_parts();
        if let Some(answer) = call.take_answer() {
            return Ok(Response::from_parts(head, answer));
        }
        let body = body.collect().await.map_err(|_| S3Error::internal("the answer cannot be read"))?.to_bytes();
        let is_refused = head.status.is_client_error() || head.status.is_server_error();
        if !is_refused {
            return Ok(Response::from_parts(head, Answer::whole(body)));
        }
        let (code, message) = said(&body);
        trail.refused(code, message, head.status.as_u16());
        drain(call.take_payload().ok(), call.length, &parts.headers).await;
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, Answer::whole(completed_error(&body, &shown_path(&target), request_id))))
    }

    /// Who says to have sent it; `None` when nobody does.
    fn claim(&self, parts: &Parts, now: OffsetDateTime) -> Result<Option<Claim>, AuthError> {
        let headers = authenticate::headers(parts);
        let signed = authenticate::as_signed(parts, &headers);
        match authenticate::claim(&signed, Service::S3, &self.config.region, now) {
            Ok(claim) => Ok(Some(claim)),
            Err(AuthError::MissingToken) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Verifies the signature, and takes the body: whole if it is XML, else as it comes.
    async fn take(
        &self,
        parts: &Parts,
        target: &Target,
        body: Incoming,
        length: Option<u64>,
        claim: Option<&Claim>,
        now: OffsetDateTime,
    ) -> Result<Taken, Fault> {
        let pace = Pace::begin(&self.config.limits);
        let announced = claim.map_or(sigv4::Payload::Unsigned, Claim::payload);
        if target.takes_bytes(&parts.method, parts.uri.query(), &parts.headers) {
            if announced == sigv4::Payload::Computed {
                return Err(
                    S3Error::bad_request("Missing required header for this request: x-amz-content-sha256").into()
                );
            }
            let known = self.verify(parts, claim, now, sigv4::Body::Later).await?;
            let (form, length) = match announced {
                sigv4::Payload::Chunked(chunking) => {
                    let decoded = decoded_length(&parts.headers)?;
                    let decoder = decoder(&parts.headers, chunking, claim, known.as_ref(), decoded)?;
                    (Form::Chunked(Box::new(decoder)), Some(decoded))
                }
                sigv4::Payload::Announced(hash) => (Form::Plain { length, sha256: Some(hash) }, length),
                sigv4::Payload::Unsigned | sigv4::Payload::Computed => (Form::Plain { length, sha256: None }, length),
            };
            let payload = Some(Payload::new(body, form, pace));
            return Ok(Taken { whole: Bytes::new(), payload, length, known });
        }
        let whole = read_whole(body, length.unwrap_or_default(), MAX_XML, pace, &self.bodies).await?;
        let hash = sha256(&whole.bytes);
        let known = self.verify(parts, claim, now, sigv4::Body::Hash(hash)).await?;
        let mut bytes = whole.bytes.clone();
        if let sigv4::Payload::Chunked(chunking) = announced {
            let decoded = decoded_length(&parts.headers)?;
            bytes = decoder(&parts.headers, chunking, claim, known.as_ref(), decoded)?.decode_whole(bytes)?;
        }
        digest::check(&parts.headers, &bytes)?;
        head::check_xml(&bytes)?;
        Ok(Taken { whole: bytes, payload: None, length: None, known })
    }

    async fn verify(
        &self,
        parts: &Parts,
        claim: Option<&Claim>,
        now: OffsetDateTime,
        body: sigv4::Body,
    ) -> Result<Option<KnownKey>, Fault> {
        let Some(claim) = claim else { return Ok(None) };
        let headers = authenticate::headers(parts);
        let signed = authenticate::as_signed(parts, &headers);
        authenticate::verify(self.keys.as_ref(), claim, &signed, now, body).await.map(Some)
    }
}

/// Reads what a client still sends that does not ask before it does: hearing nothing, it would go on, and the answer would be
/// lost when the connection is closed.
async fn drain(payload: Option<Payload>, length: Option<u64>, headers: &HeaderMap) {
    if headers.contains_key(header::EXPECT) || length.is_none_or(|length| length > MAX_DRAINED) {
        return;
    }
    if let Some(mut payload) = payload {
        while let Some(Ok(_)) = payload.next().await {}
    }
}

/// The caller of a request that nobody signed.
fn nobody(account: &str) -> Caller {
    Caller {
        account: account.to_owned(),
        arn: String::new(),
        name: "anonymous".to_owned(),
        access_key_id: String::new(),
        user_id: String::new(),
        session: None,
    }
}

/// `x-amz-decoded-content-length`.
fn decoded_length(headers: &HeaderMap) -> Result<u64, S3Error> {
    let text = convert::text(headers, "x-amz-decoded-content-length")?;
    let text = text.ok_or_else(|| {
        S3Error::new(S3Code::MissingContentLength, "You must provide the x-amz-decoded-content-length HTTP header.")
    })?;
    let is_number = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).ok_or_else(|| S3Error::invalid("x-amz-decoded-content-length is no number"))
}

/// What reads a body in chunks.
fn decoder(
    headers: &HeaderMap,
    chunking: Chunking,
    claim: Option<&Claim>,
    known: Option<&KnownKey>,
    decoded: u64,
) -> Result<Decoder, S3Error> {
    let trailer = convert::text(headers, "x-amz-trailer")?.map(str::to_ascii_lowercase);
    let trailer = match (chunking.has_trailer(), trailer) {
        (true, Some(name)) if !name.contains(',') => Some(name),
        (true, _) => return Err(S3Error::bad_request("The header 'x-amz-trailer' must name one checksum")),
        (false, Some(_)) => {
            return Err(S3Error::bad_request("The header 'x-amz-trailer' announces what the form of the body has not"));
        }
        (false, None) => None,
    };
    let verifier = match (claim, known) {
        (Some(claim), Some(known)) if chunking.is_signed() => Some(claim.chunk_verifier(&known.key)),
        _ => None,
    };
    Ok(Decoder::new(verifier, trailer, decoded))
}

/// What conditions of policies may look at, whatever the operation.
fn condition_keys(
    parts: &Parts,
    claim: Option<&Claim>,
    peer: &Peer,
    context: &Context,
    now: OffsetDateTime,
) -> Vec<(&'static str, String)> {
    let header = |name: HeaderName| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
    let mut keys = surroundings(parts, peer);
    keys.push(("aws:EpochTime", now.unix_timestamp().to_string()));
    keys.push(("aws:RequestedRegion", context.region.clone()));
    keys.extend(now.format(&Rfc3339).ok().map(|time| ("aws:CurrentTime", time)));
    keys.extend(header(HeaderName::from_static("x-amz-content-sha256")).map(|hash| ("s3:x-amz-content-sha256", hash)));
    if let Some(claim) = claim {
        keys.push(("aws:PrincipalArn", context.caller.arn.clone()));
        keys.push(("aws:PrincipalAccount", context.caller.account.clone()));
        keys.push(("s3:signatureversion", sigv4::ALGORITHM.to_owned()));
        keys.push(("s3:authType", if claim.is_presigned() { "REST-QUERY-STRING" } else { "REST-HEADER" }.to_owned()));
        let age = (now - claim.date()).whole_milliseconds().max(0);
        keys.push(("s3:signatureAge", age.to_string()));
    }
    keys
}

/// The path as errors show it.
fn shown_path(target: &Target) -> String {
    target.path.chars().take(1100).collect()
}

/// Code and message of the decoder's own errors.
fn said(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(value, _)| value.to_owned())
    };
    (element("Code").unwrap_or_default(), element("Message").unwrap_or_default())
}

/// The decoder's own errors, with what it leaves out.
fn completed_error(body: &[u8], resource: &str, request_id: &str) -> Vec<u8> {
    const END: &[u8] = b"</Error>";
    let Some(begin) = body.strip_suffix(END) else { return body.to_vec() };
    let resource = xml_text(resource);
    let has_message = body.windows(9).any(|window| window == b"<Message>");
    let message = if has_message { "" } else { "<Message>The request is not one that this operation takes.</Message>" };
    let rest = format!(
        "{message}<Resource>{resource}</Resource><RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>\n"
    );
    [begin, rest.as_bytes()].concat()
}
