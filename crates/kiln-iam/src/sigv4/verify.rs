//! The checks, in their order.

use time::{Duration, OffsetDateTime};

use super::{
    MAX_SKEW_MINUTES,
    canonical::{PathRule, canonical_request},
    claim::{Claim, Form, Payload},
    key::{Key, dummy, same, same_text, signature},
    query::Pair,
    request::Request,
};
use crate::error::AuthError;

/// The scopes that a request for this endpoint may be signed for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Regions; the first is the one that errors name.
    pub regions: &'a [&'a str],
    /// SigV4 name of the service that the request is for.
    pub service: &'a str,
}

/// What the server knows of the body when it verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// SHA-256 of the whole body.
    Hash([u8; 32]),
    /// The body arrives later. Only for requests whose [`Claim::payload`] does not need it; the server compares an
    /// announced hash itself before it acts on the body.
    Later,
}

impl Claim {
    /// The checks that need neither secret nor body: clock, scope, headers.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, request: &Request<'_>, expected: &Expected<'_>, now: OffsetDateTime) -> Result<(), AuthError> {
        self.check_clock(now)?;
        self.check_scope(expected)?;
        self.check_headers(request)
    }

    fn check_clock(&self, now: OffsetDateTime) -> Result<(), AuthError> {
        let skew = Duration::minutes(MAX_SKEW_MINUTES);
        let date = self.date;
        if date - now > skew {
            return Err(AuthError::NotYetCurrent { date, now });
        }
        match self.form {
            Form::Header if now - date > skew => Err(AuthError::Expired { date, now }),
            Form::Query { expires } => {
                let life = Duration::seconds(i64::from(expires));
                // The difference of two times cannot overflow, as their sum with a life could.
                if now - date > life {
                    return Err(AuthError::LinkExpired { ended: date.saturating_add(life), now });
                }
                Ok(())
            }
            Form::Header => Ok(()),
        }
    }

    fn check_scope(&self, expected: &Expected<'_>) -> Result<(), AuthError> {
        if !expected.regions.contains(&self.scope.region.as_str()) {
            return Err(AuthError::Region {
                given: self.scope.region.clone(),
                expected: expected.regions.first().copied().unwrap_or_default().to_owned(),
            });
        }
        if self.scope.service != expected.service {
            return Err(AuthError::Service { expected: expected.service.to_owned() });
        }
        Ok(())
    }

    /// Every header that the server acts on must be signed, and every signed header must be there.
    ///
    /// All `x-amz-*` headers count as acted on, those to come included, but one: `x-amz-user-agent` is never read, and
    /// clients leave it out of presigned links.
    fn check_headers(&self, request: &Request<'_>) -> Result<(), AuthError> {
        let is_signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let unsigned = |header: &str| Err(AuthError::Unsigned { header: header.to_owned() });
        if !is_signed("host") {
            return unsigned("host");
        }
        let has_amz_date = request.values("x-amz-date").next().is_some();
        if self.form == Form::Header && !has_amz_date && !is_signed("date") {
            return unsigned("date");
        }
        for (name, _) in request.headers {
            let name = name.to_ascii_lowercase();
            if name.starts_with("x-amz-") && name != "x-amz-user-agent" && !is_signed(&name) {
                return unsigned(&name);
            }
        }
        match self.signed_headers.iter().find(|name| request.values(name).next().is_none()) {
            Some(header) => Err(AuthError::Absent { header: header.clone() }),
            None => Ok(()),
        }
    }

    /// The checks that need the secret: session token, signature, body hash. Call [`Claim::check`] before.
    ///
    /// `key` is what the look-up of [`Claim::access_key_id`] found. A key that was not found takes as long as a wrong
    /// signature.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        request: &Request<'_>,
        key: Option<&Key>,
        now: OffsetDateTime,
        body: Body,
    ) -> Result<(), AuthError> {
        let nobody = dummy();
        let is_genuine = self.is_signed_with(request, key.unwrap_or(&nobody), body);
        let Some(key) = key else { return Err(AuthError::UnknownKey) };
        self.check_token(key, now)?;
        if !is_genuine? {
            return Err(AuthError::WrongSignature);
        }
        match (self.payload, body) {
            (Payload::Announced(announced), Body::Hash(hash)) if !same(&announced, &hash) => Err(AuthError::WrongBody),
            _ => Ok(()),
        }
    }

    fn check_token(&self, key: &Key, now: OffsetDateTime) -> Result<(), AuthError> {
        match (&key.session, &self.token) {
            (None, None) => Ok(()),
            (Some(session), Some(token)) if same_text(&session.token, token) => {
                if now < session.expires {
                    Ok(())
                } else {
                    Err(AuthError::ExpiredToken)
                }
            }
            _ => Err(AuthError::InvalidToken),
        }
    }

    fn is_signed_with(&self, request: &Request<'_>, key: &Key, body: Body) -> Result<bool, AuthError> {
        let payload = match (self.payload, body) {
            (Payload::Announced(hash), _) | (Payload::Computed, Body::Hash(hash)) => hex::encode(hash),
            (Payload::Unsigned, _) => "UNSIGNED-PAYLOAD".to_owned(),
            (Payload::Chunked(chunking), _) => chunking.literal().to_owned(),
            (Payload::Computed, Body::Later) => {
                return Err(AuthError::MalformedHeader {
                    problem:
                        "This operation reads its body as it arrives, and needs the header 'x-amz-content-sha256' \
                              with the SHA-256 of the body in hex."
                            .to_owned(),
                });
            }
        };
        let signature_over =
            |is_signed: &dyn Fn(Pair<'_>) -> bool| -> Result<[u8; 32], AuthError> {
                let rule = PathRule::of(&self.scope.service);
                let canonical = canonical_request(request, rule, is_signed, &self.signed_headers, &payload)
                    .ok_or_else(|| AuthError::MalformedQuery {
                        problem: "The path is not absolute, or the path or the query has an incomplete percent escape."
                            .to_owned(),
                    })?;
                Ok(signature(&key.secret, &self.scope, &self.date_text(), &canonical))
            };
        let all = signature_over(&|pair| pair.name != "X-Amz-Signature")?;
        let mut is_genuine = same(&all, &self.signature);
        if self.form != Form::Header && self.token.is_some() {
            // Some services of AWS want the token added after signing, and some clients do that for all.
            let without_token =
                signature_over(&|pair| !matches!(pair.name, "X-Amz-Signature" | "X-Amz-Security-Token"))?;
            is_genuine |= same(&without_token, &self.signature);
        }
        Ok(is_genuine)
    }
}
