//! Who sent a request of git.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{header, request::Parts};
use kiln_iam::{
    AuthError, Style,
    sigv4::{GitRequest, GitSignature},
};
use kiln_model::{
    ApiError, Secret,
    service::{self, Caller},
};

use super::{answer::Refusal, target::Target};
use crate::{
    authenticate::{self, Keys},
    authorise::Authorizer,
    connection::Peer,
    server::Server,
};

/// What a client signs in with.
struct Given {
    user: String,
    password: String,
}

/// User and password of `Authorization: Basic`; `None` without such a header.
fn given(parts: &Parts) -> Result<Option<Given>, AuthError> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let text = match (headers.next(), headers.next()) {
        (None, _) => return Ok(None),
        (Some(one), None) => one.to_str().unwrap_or_default(),
        _ => return Err(AuthError::MalformedHeader { problem: "There is more than one.".to_owned() }),
    };
    let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(AuthError::UnsupportedAlgorithm { algorithm: scheme.chars().take(32).collect() });
    }
    let decoded = STANDARD.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let (user, password) =
        pair.ok_or_else(|| AuthError::MalformedHeader { problem: "It cannot be read.".to_owned() })?;
    Ok(Some(Given { user: user.to_owned(), password: password.to_owned() }))
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Who sent a request; `None`: it does not say, and git asks for a password first.
    pub(super) async fn sender(
        self: &Arc<Self>,
        parts: &Parts,
        target: &Target,
        peer: &Peer,
        request_id: &str,
    ) -> Result<Option<Caller>, Refusal> {
        let stranger = |error: AuthError| {
            self.refusals.tell(peer, None, &error, request_id);
            if self.throttle.admits_stranger(peer) {
                Refusal::unknown(&error.answer(Style::Json).message)
            } else {
                ApiError::throttling().into()
            }
        };
        let Some(Given { user, password }) = given(parts).map_err(stranger)? else {
            if self.throttle.admits_stranger(peer) {
                return Ok(None);
            }
            return Err(ApiError::throttling().into());
        };
        let Some(signature) = GitSignature::parse(&password) else {
            let found = self.service.git_user(&user, &Secret::new(password)).await?;
            return found.map(Some).ok_or_else(|| stranger(AuthError::UnknownKey));
        };
        let now = authenticate::time_of((self.config.clock)());
        signature.check(now).map_err(stranger)?;
        // The session token stands behind the key.
        let (key, token) = user.split_once('%').map_or((user.as_str(), None), |(key, token)| (key, Some(token)));
        let known = self.keys.lookup(key, token).await?;
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) => bare,
            _ => host,
        };
        let request = GitRequest { region: &self.config.region, hosts: &[host, bare], path: &target.path() };
        signature.verify(&request, known.as_ref().map(|known| &known.key), token, now).map_err(stranger)?;
        Ok(known.map(|known| known.caller))
    }
}
