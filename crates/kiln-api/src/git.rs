//! Git repositories over HTTP, below `/v1/repos/`, as git's own clients ask for them.
//!
//! A request's way, in the order of the modules:
//!
//! 1. `target`: which repository, and what of it;
//! 2. `sender`: who sent it, by a signature in the password, or by a password that IAM has for git;
//! 3. here: whether they may, for a push whether they may change each of its references, and the call;
//! 4. `answer`: errors as git shows them.

mod answer;
mod inflate;
mod sender;
mod target;

use std::{io, sync::Arc};

use http::{Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kiln_model::{
    ApiError,
    git::{MOST_COMMANDS_BYTES, PushHead, push_head},
    service::{self, ByteSource, Context, GitCall, GitService},
};
use serde_json::json;

use self::{
    answer::Refusal,
    inflate::Unpacked,
    target::{Part, Target},
};
use crate::{
    audit::Trail,
    authenticate::Keys,
    authorise::{Authorizer, Needed, Question, surroundings},
    body::{Answer, Pace, Streamed},
    connection::Peer,
    framing,
    operations::Line,
    route::Service,
    server::Server,
};

/// References of a push that the audit log names.
const MOST_NAMED: usize = 20;

/// Bytes of a push that are read though it is refused.
const MOST_DRAINED: usize = 8 << 20;

/// What a request of git brings along.
pub(crate) struct Arrival<'a> {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) request_id: &'a str,
    pub(crate) peer: &'a Peer,
    pub(crate) line: Line,
    pub(crate) trail: &'a Arc<Trail>,
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Authenticate → authorise → call, for a request of git. Errors are answers too.
    pub(crate) async fn git(self: &Arc<Self>, arrival: Arrival<'_>) -> Response<Answer> {
        let trail = Arc::clone(arrival.trail);
        self.hosted(arrival).await.unwrap_or_else(|refusal| {
            if !refusal.is_challenge() {
                trail.refused(refusal.code.clone(), refusal.message.clone(), refusal.status.as_u16());
            }
            refusal.written()
        })
    }

    async fn hosted(self: &Arc<Self>, arrival: Arrival<'_>) -> Result<Response<Answer>, Refusal> {
        let Arrival { parts, body, request_id, peer, line, trail } = arrival;
        let target = Target::of(&parts)?;
        let service = target.part.service();
        trail.named(if service == GitService::UploadPack { "GitPull" } else { "GitPush" });
        let caller = match self.sender(&parts, &target, peer, request_id).await? {
            Some(caller) => caller,
            None => return Err(Refusal::challenge()),
        };
        trail.known(&caller);
        let _slot = self.requests.try_acquire().map_err(|_| ApiError::throttling())?;
        let is_push = target.part == Part::Serve(GitService::ReceivePack);
        if !self.throttle.admits(&caller.arn, Service::Git.name(), is_push) {
            return Err(ApiError::throttling().into());
        }
        let context = Context {
            caller,
            region: self.config.region.clone(),
            request_id: request_id.to_owned(),
            origin: framing::origin(&parts.headers, peer),
            surroundings: surroundings(&parts, peer).into(),
            rulings: trail.rulings.clone(),
            traceparent: None,
        };
        let mut body = unpacked(&parts, body, Pace::begin(&self.config.limits))?;
        let version = version(&parts);
        let (repository, kind) = (target.repository.clone(), target.part);
        let (call, body) = match kind {
            Part::References(service) => {
                self.permit_git(service, &repository, &context, None)?;
                show(trail, &repository, None);
                (GitCall::Advertise(service), Begun { first: None, rest: body })
            }
            Part::Serve(GitService::UploadPack) => {
                self.permit_git(GitService::UploadPack, &repository, &context, None)?;
                show(trail, &repository, None);
                (GitCall::Fetch, Begun { first: None, rest: body })
            }
            Part::Serve(service @ GitService::ReceivePack) => {
                // Before anything of it is read.
                let permitted = self.permit_git(service, &repository, &context, None);
                drained(&mut body, permitted.map_err(Refusal::from)).await?;
                let read = commands(&mut body).await;
                let (head, first) = drained(&mut body, read).await?;
                show(trail, &repository, Some(&head));
                let mut each = head.updates.iter();
                let permitted = each
                    .try_for_each(|update| self.permit_git(service, &repository, &context, Some(&update.name)))
                    .and_then(|()| if head.updates.is_empty() { Ok(()) } else { trail.may_change() });
                drained(&mut body, permitted.map_err(Refusal::from)).await?;
                (GitCall::Push(head), Begun { first: Some(first), rest: body })
            }
        };
        let output = self.service.git(&context, &repository, call, version, body).await?;
        Ok(answer::output(kind, version, output, line.stopping))
    }

    /// Whether a caller may pull or push, or push to a reference.
    fn permit_git(
        &self,
        service: GitService,
        repository: &str,
        context: &Context,
        reference: Option<&str>,
    ) -> Result<(), ApiError> {
        let resource = Some(context.home().arn("codecommit", repository));
        let keys = reference.map(|reference| ("codecommit:References".to_owned(), reference.to_owned()));
        let needed = Needed { action: service.action().to_owned(), resource, keys: keys.into_iter().collect() };
        let question = Question::about(&needed, &context.caller, &context.surroundings);
        self.authorizer.authorise(Some(&context.caller), &question, &context.rulings)
    }
}

/// Notes what is asked for, for the audit log.
fn show(trail: &Trail, repository: &str, head: Option<&PushHead>) {
    let mut parameters = json!({ "repositoryName": repository });
    if let Some(head) = head {
        let id = |id: &Option<kiln_model::git::ObjectId>| id.as_ref().map(ToString::to_string);
        let references = head.updates.iter().take(MOST_NAMED);
        let references: Vec<_> = references
            .map(|update| json!({ "ref": update.name, "oldCommitId": id(&update.old), "commitId": id(&update.new) }))
            .collect();
        if let Some(members) = parameters.as_object_mut() {
            members.insert("references".to_owned(), json!(references));
            members.insert("referenceCount".to_owned(), json!(head.updates.len()));
        }
    }
    trail.with(Box::new(move || parameters), 4096);
}

/// The version of git's protocol that a client wants.
fn version(parts: &Parts) -> u8 {
    let wanted = parts.headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let versions = wanted.split(':').filter_map(|part| part.strip_prefix("version=")?.parse().ok());
    versions.filter(|version| *version <= 2).max().unwrap_or(0)
}

/// A body as it is when it is unpacked.
fn unpacked(parts: &Parts, body: Incoming, pace: Pace) -> Result<Unpacked<Streamed>, Refusal> {
    let body = Streamed::new(body, pace);
    let encoding = parts.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default());
    match encoding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("identity") => Ok(Unpacked::plain(body)),
        Some("gzip" | "x-gzip") => Ok(Unpacked::gzip(body)),
        Some(_) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedEncoding",
            "send the body as it is, or gzip",
        )),
    }
}

/// The commands of a push, and what of its body was read for them.
async fn commands(body: &mut impl ByteSource) -> Result<(PushHead, Vec<u8>), Refusal> {
    let refused = |text: &str| Refusal::new(StatusCode::BAD_REQUEST, "InvalidInputException", text);
    let mut bytes = Vec::new();
    loop {
        let found = push_head(&bytes).map_err(|e| refused(&e.to_string()))?;
        if let Some((head, _)) = found {
            if !head.has_report && !head.updates.is_empty() {
                return Err(refused("a push needs git's report-status"));
            }
            return Ok((head, bytes));
        }
        if bytes.len() > MOST_COMMANDS_BYTES {
            return Err(refused("the push has too many references: push them in parts"));
        }
        match body.next().await {
            Some(Ok(piece)) => bytes.extend(piece),
            Some(Err(e)) => return Err(refused(&format!("the push broke off: {e}"))),
            None => return Err(refused("the push broke off")),
        }
    }
}

/// Reads on, within bounds, what a client still sends that is refused: else it would not read why.
async fn drained<T>(body: &mut impl ByteSource, result: Result<T, Refusal>) -> Result<T, Refusal> {
    let mut read = 0;
    while result.is_err() && read < MOST_DRAINED {
        match body.next().await {
            Some(Ok(piece)) => read += piece.len(),
            _ => break,
        }
    }
    result
}

/// Bytes with others before them.
struct Begun<S> {
    first: Option<Vec<u8>>,
    rest: S,
}

impl<S: ByteSource> ByteSource for Begun<S> {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => self.rest.next().await,
        }
    }
}
