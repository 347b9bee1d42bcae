//! A request's way from its head to its answer, in one function.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request, Response, header, request::Parts};
use hyper::body::{Body as _, Incoming};
use kiln_iam::{
    AuthError, Style,
    sigv4::{Body, Claim, Payload, sha256},
};
use kiln_model::{
    ApiError,
    service::{self, Context},
};
use time::{OffsetDateTime, macros::format_description};
use tokio::time::Instant;

use crate::{
    audit::Trail,
    authenticate::{self, Keys},
    authorise::{self, Authorizer, Question},
    body::{Answer, Pace, Upload, discard, read_whole},
    cloudwatch,
    connection::{Peer, pulse::Busy},
    fault::Fault,
    framing::{self, Framing},
    git,
    operations::{self, Content, Line, Operation},
    pages, registry,
    request_log::RequestLine,
    route::{Page, Route, Service},
    s3,
    server::Server,
};

/// What a request brings along.
pub(crate) struct Arrival {
    pub(crate) request: Request<Incoming>,
    pub(crate) route: Route,
    pub(crate) request_id: String,
    pub(crate) peer: Peer,
    pub(crate) busy: Busy,
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Answers a request, whatever it is.
    pub(crate) async fn answer(self: &Arc<Self>, arrival: Arrival) -> Response<Answer> {
        let Arrival { mut request, route, request_id, peer, busy } = arrival;
        let begun = Instant::now();
        let received = request.body().size_hint().exact().unwrap_or_default();
        let line = RequestLine::begin(&request, &request_id, &peer, received);
        let upgrade = hyper::upgrade::on(&mut request);
        let style = route.style();
        let way = Line { upgrade, busy: busy.clone(), stopping: self.stopping.clone() };
        let trail = Trail::begin(&self.trail, &self.config.clock, &route, request.headers(), &request_id, &peer);
        let trail = Arc::new(trail);
        let answer = self.handle(request, &route, &request_id, &peer, way, &trail).await;
        let told = trail.told();
        let key = line.as_ref().and_then(|_| trail.access_key_id());
        let answer = trail.end(answer, style).await;
        let failed = answer.as_ref().err().map(|fault| fault.code(style));
        let response = answer.unwrap_or_else(|fault| fault.written(&route, &request_id));
        let line = line.map(|line| line.answered(&response, &route, told.as_ref(), failed, key));
        if let Some((service, operation, code)) = told {
            self.calls.count(&service, operation.as_deref(), failed.or(code.as_deref()), begun.elapsed());
            self.calls.bytes(received, response.body().size_hint().exact().unwrap_or_default());
        }
        self.finish(response, style, &request_id).map(|body| body.keep(busy).tell(line))
    }

    /// Limits → route → authenticate → authorise → decode → call.
    async fn handle(
        self: &Arc<Self>,
        request: Request<Incoming>,
        route: &Route,
        request_id: &str,
        peer: &Peer,
        line: Line,
        trail: &Arc<Trail>,
    ) -> Result<Response<Answer>, Fault> {
        let (parts, body) = request.into_parts();
        let config = &self.config;
        let asked = if let Route::Service(service) = route { Some(*service) } else { None };
        let Framing { length, bucket } = framing::check(&parts, peer, &config.domains, asked)?;

        if *self.stopping.borrow() && !matches!(route, Route::Page(_)) {
            discard(&parts.headers, body, Pace::begin(&config.limits)).await;
            return Err(Fault::Stopping);
        }
        let service = match route {
            Route::Page(Page::SignIn) => {
                let length = length.unwrap_or_default();
                return pages::sign_in(&parts, body, length, &config.limits, &self.bodies, self.service.as_ref()).await;
            }
            Route::Page(Page::PublicBuilds) => {
                return pages::public(&parts, body, length.unwrap_or_default(), peer, self).await;
            }
            Route::Page(Page::Webhook) => {
                return pages::deliver(&parts, body, length.unwrap_or_default(), peer, self).await;
            }
            Route::Page(page) => return Ok(pages::answer(*page, &parts, peer, self).await),
            Route::Foreign { name, .. } => return Err(Fault::Foreign(name.clone())),
            Route::Service(Service::S3) => {
                let arrival = s3::Arrival { parts, body, length, bucket, request_id, peer, trail };
                return self.s3(arrival).await;
            }
            Route::Service(Service::Registry) => {
                let arrival = registry::Arrival { parts, body, length, request_id, peer, trail };
                return self.registry(arrival).await;
            }
            Route::Service(Service::Git) => {
                let arrival = git::Arrival { parts, body, request_id, peer, line, trail };
                return Ok(self.git(arrival).await);
            }
            Route::Service(service) => *service,
        };
        let length = length.unwrap_or_default();

        let now = authenticate::time_of((config.clock)());
        let headers = authenticate::headers(&parts);
        let signed = authenticate::as_signed(&parts, &headers);
        let claim = authenticate::claim(&signed, service, &config.region, now);
        let claim = claim.map_err(|error| self.stranger(peer, None, error, request_id))?;
        trail.claimed(&claim);

        // What the operation is decides how its body is taken; whether there is such an operation is for authenticated
        // callers only.
        let operation = Operation::named(service, &parts);
        if let Ok(Some(operation)) = &operation {
            trail.named(operation.name());
        }
        let pace = Pace::begin(&config.limits);
        let is_upload = matches!(operation, Ok(Some(operation)) if operation.is_upload());
        let announced = match claim.payload() {
            Payload::Announced(sha256) if is_upload => Some(sha256),
            _ => None,
        };
        let (hash, content, _share) = match announced {
            Some(sha256) => {
                self.check_upload(length)?;
                let body = Box::new(Upload::new(body, length, sha256, pace));
                (Body::Later, Content::Upload { body, length, sha256 }, None)
            }
            None if is_upload => {
                // Refused below, for want of an announced hash.
                (Body::Later, Content::Whole(bytes::Bytes::new()), None)
            }
            None => {
                let most = match &operation {
                    Ok(Some(operation)) => operation.body_bytes(config.limits.body_bytes),
                    _ => config.limits.body_bytes,
                };
                let whole = read_whole(body, length, most, pace, &self.bodies).await?;
                (Body::Hash(sha256(&whole.bytes)), Content::Whole(whole.bytes.clone()), Some(whole))
            }
        };
        let known = authenticate::verify(self.keys.as_ref(), &claim, &signed, now, hash).await;
        let known = known.map_err(|fault| match fault {
            Fault::Auth(error) => self.stranger(peer, Some(&claim), error, request_id),
            other => other,
        })?;

        let caller = known.caller;
        trail.known(&caller);
        // Only now: whoever has no key cannot take the room of those who have one.
        let _slot = self.requests.try_acquire().map_err(|_| ApiError::throttling())?;

        let asked = operation.and_then(|named| find_asked(named, service, content, &parts));
        let changes = asked.as_ref().is_ok_and(|(operation, _)| !operation.is_read_only());
        if !self.throttle.admits(&caller.arn, service.name(), changes) {
            return Err(ApiError::throttling().into());
        }
        let (operation, content) = asked?;
        trail.asked(service, operation, &parts, content.whole());
        let keys = authorise::surroundings(&parts, peer);
        let context = Context {
            origin: framing::origin(&parts.headers, peer),
            caller,
            region: config.region.clone(),
            request_id: request_id.to_owned(),
            surroundings: keys.clone().into(),
            rulings: trail.rulings.clone(),
            traceparent: parts.headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok()),
        };
        for needed in operation.needs(&parts, &content, &context)? {
            let question = Question::about(&needed, &context.caller, &keys);
            self.authorizer.authorise(Some(&context.caller), &question, &context.rulings)?;
        }
        if operation.changes() && !peer.is_private() {
            self.replays.check(&claim)?;
        }
        if !operation.is_read_only() {
            trail.may_change()?;
        }
        operations::call(&self.service, operation, &context, &parts, content, line).await
    }

    /// Why a request is refused whose sender is not known; more of them than are told of get no more than that.
    pub(crate) fn stranger(&self, peer: &Peer, claim: Option<&Claim>, error: AuthError, request_id: &str) -> Fault {
        self.refusals.tell(peer, claim, &error, request_id);
        if self.throttle.admits_stranger(peer) { error.into() } else { ApiError::throttling().into() }
    }

    fn check_upload(&self, length: u64) -> Result<(), Fault> {
        let most = self.config.limits.upload_bytes;
        if length > most {
            let text = format!("the upload has {length} bytes; at most {most} are taken");
            return Err(Fault::Framing(ApiError::invalid_input(text)));
        }
        Ok(())
    }

    /// Adds what every answer has: its id, and the right time, by which SDKs set their clocks after an error. From a server that
    /// is stopping also that the connection ends with it: the client's next request would come too late.
    pub(crate) fn finish(&self, mut response: Response<Answer>, style: Style, request_id: &str) -> Response<Answer> {
        let name = match style {
            Style::Json | Style::Query => HeaderName::from_static("x-amzn-requestid"),
            Style::S3 => HeaderName::from_static("x-amz-request-id"),
        };
        let headers = response.headers_mut();
        if style == Style::S3 {
            // What a build has put there must not reach the console's keys, nor be taken for something else than it says.
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.extend(HeaderValue::try_from(request_id).map(|id| (HeaderName::from_static("x-amz-id-2"), id)));
        }
        if let Ok(value) = HeaderValue::try_from(request_id) {
            headers.insert(name, value);
        }
        if let Some(value) = http_date(authenticate::time_of((self.config.clock)())) {
            headers.insert(header::DATE, value);
        }
        if *self.stopping.borrow() && !headers.contains_key(header::UPGRADE) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The operation that is asked for, and its input as it is read from here on. `named`: what the head says of it.
fn find_asked(
    named: Option<Operation>,
    service: Service,
    content: Content,
    parts: &Parts,
) -> Result<(Operation, Content), ApiError> {
    Ok(match (named, service, content) {
        (named, Service::CloudWatch(protocol), Content::Whole(body)) => {
            let (info, body) = cloudwatch::read(protocol, named.and_then(Operation::info), parts, &body)?;
            (Operation::CloudWatch(info, protocol), Content::Whole(body))
        }
        (Some(operation), _, content) => (operation, content),
        (None, _, Content::Whole(body)) => (Operation::in_body(service, parts, &body)?, Content::Whole(body)),
        (None, _, Content::Upload { .. }) => return Err(ApiError::unknown_operation("")),
    })
}

pub(crate) fn http_date(time: OffsetDateTime) -> Option<HeaderValue> {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    HeaderValue::try_from(time.format(format).ok()?).ok()
}
