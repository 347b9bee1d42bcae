//! The registry of images: the distribution specification's protocol under `/v2/`.
//!
//! A request's way, in the order of the modules:
//!
//! 1. `target`: what is asked for, by path and method, and which actions of ECR that needs;
//! 2. here: who sent it, by the password that `GetAuthorizationToken` gave them, and whether they may;
//! 3. `layers` and `manifests`: the calls;
//! 4. `answer`: errors as the specification writes them.

mod answer;
mod layers;
mod manifests;
mod target;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Response, header, request::Parts};
use hyper::body::Incoming;
use kiln_model::{
    ApiError,
    registry::{RegistryCode, RegistryError},
    service::{self, Caller, Context},
};
use serde_json::json;

use self::target::{Call, Place};
use crate::{
    audit::Trail,
    authenticate::Keys,
    authorise::{Authorizer, Needed, Question, surroundings},
    body::{Answer, Pace, Streamed as Body},
    connection::Peer,
    fault::Fault,
    form, framing,
    route::Service,
    server::Server,
};

/// The user name that goes with a password of the registry.
const USER: &str = "AWS";

/// What a request to the registry brings along.
pub(crate) struct Arrival<'a> {
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    /// `None` for HTTP's chunks.
    pub(crate) length: Option<u64>,
    pub(crate) request_id: &'a str,
    pub(crate) peer: &'a Peer,
    pub(crate) trail: &'a Arc<Trail>,
}

/// A request of somebody who may.
struct Asked<'a> {
    parts: &'a Parts,
    length: Option<u64>,
    context: &'a Context,
}

impl Asked<'_> {
    /// A parameter of the query. A plus is a plus: media types have some.
    fn query(&self, name: &str) -> Option<String> {
        query(self.parts, name)
    }
}

fn query(parts: &Parts, name: &str) -> Option<String> {
    form::value(&parts.uri.query()?.replace('+', "%2B"), name)
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Authenticate → authorise → call, for a request to the registry. Errors are answers too.
    pub(crate) async fn registry(self: &Arc<Self>, arrival: Arrival<'_>) -> Result<Response<Answer>, Fault> {
        let Arrival { parts, body, length, request_id, peer, trail } = arrival;
        let mut body = Body::new(body, Pace::begin(&self.config.limits));
        let answered = self.images(&parts, &mut body, length, request_id, peer, trail).await;
        let response = answered.unwrap_or_else(|error| {
            trail.refused(error.code.as_str().to_owned(), error.message.clone(), error.status);
            answer::error(&error, &framing::origin(&parts.headers, peer))
        });
        // A client that hears nothing goes on sending, and the answer would be lost when the connection is closed.
        body.drain().await;
        Ok(answer::finished(response))
    }

    async fn images(
        self: &Arc<Self>,
        parts: &Parts,
        body: &mut Body,
        length: Option<u64>,
        request_id: &str,
        peer: &Peer,
        trail: &Arc<Trail>,
    ) -> Result<Response<Answer>, RegistryError> {
        let place = Place::parse(parts.uri.path());
        let call = place.as_ref().map_err(Clone::clone).and_then(|place| Call::of(place, parts));
        if let Ok(call) = &call {
            trail.named(call.name());
            let parameters = call.shown();
            trail.with(Box::new(move || parameters), 1024);
        }
        // Whether there is such a thing is for those who are known.
        let caller = match self.password(parts).await? {
            Some(caller) => Some(caller),
            None if call.as_ref().is_ok_and(|call| self.has_link(call, parts)) => None,
            None if !self.throttle.admits_stranger(peer) => return Err(ApiError::throttling().into()),
            None => {
                let message = "log in with the user name AWS and the password of ecr:GetAuthorizationToken \
                               (aws ecr get-login-password)";
                return Err(RegistryError::new(RegistryCode::Unauthorized, message));
            }
        };
        if let Some(caller) = &caller {
            trail.known(caller);
        }
        let _slot = self.requests.try_acquire().map_err(|_| ApiError::throttling())?;
        let changes = call.as_ref().is_ok_and(Call::changes);
        let is_admitted = match &caller {
            Some(caller) => self.throttle.admits(&caller.arn, Service::Registry.name(), changes),
            None => self.throttle.admits_stranger(peer),
        };
        if !is_admitted {
            return Err(ApiError::throttling().into());
        }
        let call = call?;
        let is_known = caller.is_some();
        let context = Context {
            caller: caller.unwrap_or_else(|| nobody(&self.config.account)),
            region: self.config.region.clone(),
            request_id: request_id.to_owned(),
            origin: framing::origin(&parts.headers, peer),
            surroundings: surroundings(parts, peer).into(),
            rulings: trail.rulings.clone(),
            traceparent: None,
        };
        if is_known {
            for action in call.actions() {
                self.permit(action, call.repository(), &context)?;
            }
        }
        if changes {
            trail.may_change()?;
        }
        let asked = Asked { parts, length, context: &context };
        match call {
            Call::Base => Ok(answer::json(&json!({}))),
            Call::Layer { .. } | Call::Upload { .. } | Call::Begin { .. } => self.layers(&asked, call, body).await,
            Call::DeleteLayer { .. } => {
                let message = "layers are not deleted one by one: they go when no image needs them";
                Err(RegistryError::new(RegistryCode::Unsupported, message))
            }
            other => self.manifests(&asked, other, body).await,
        }
    }

    /// Whether a caller may do something with a repository, or with any.
    fn permit(&self, action: &str, repository: Option<&str>, context: &Context) -> Result<(), ApiError> {
        let resource = context.home().arn("ecr", &format!("repository/{}", repository.unwrap_or("*")));
        let needed = Needed { action: action.to_owned(), resource: Some(resource), keys: Vec::new() };
        let question = Question::about(&needed, &context.caller, &context.surroundings);
        self.authorizer.authorise(Some(&context.caller), &question, &context.rulings)
    }

    /// Whose password a request has.
    async fn password(&self, parts: &Parts) -> Result<Option<Caller>, ApiError> {
        let mut given = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(one), None) = (given.next(), given.next()) else { return Ok(None) };
        let Some((user, password)) = one.to_str().ok().and_then(basic) else { return Ok(None) };
        if user != USER {
            return Ok(None);
        }
        self.service.registry_caller(&password).await
    }

    /// Whether a request is for a layer by a link that the service gave out.
    fn has_link(&self, call: &Call, parts: &Parts) -> bool {
        let Call::Layer { repository, digest, .. } = call else { return false };
        query(parts, "kiln-link").is_some_and(|token| self.service.is_layer_link(repository, digest, &token))
    }
}

/// User and password of `Authorization: Basic`.
fn basic(text: &str) -> Option<(String, String)> {
    let (scheme, credentials) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whoever has a link.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_behind_the_first_colon() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(basic(&header("AWS:a:b")), Some(("AWS".to_owned(), "a:b".to_owned())));
        assert_eq!(basic(&header("AWS:").replace("Basic", "basic")), Some(("AWS".to_owned(), String::new())));
        for bad in ["", "Basic", "Basic !", "Bearer QVdTOmE=", &header("AWS"), "Basic /w=="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
