//! What a request's access key is worth: lasting ones are records, those of sessions are in their tokens.
//!
//! A session's token is everything about it, sealed together with the id of its key: nothing is stored, and a token that
//! was changed, or belongs to another key, opens to nothing.

use base64::{Engine, engine::general_purpose::STANDARD};
use kiln_model::{
    ApiError, BuildId, Timestamp,
    iam::Secret,
    service::{Caller, Session},
};
use kiln_store::metadata::{AccessKeyRecord, IamKind};
use serde::{Deserialize, Serialize};

use super::{ID_LETTERS, SECRET_LETTERS, find, keys, random_text};
use crate::{
    core::{Core, Inner},
    records::refuse,
    runners::Runners,
};

/// What the token of a session is sealed for.
const PURPOSE: &str = "sts.session";

/// A token that is longer is none of Kiln's.
const LONGEST_TOKEN: usize = 65_536;

/// A key that a request was signed with.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its secret.
    pub secret: Secret,
    /// Whose it is.
    pub caller: Caller,
    /// Of a session: its token, and when it ends.
    pub session: Option<(Secret, Timestamp)>,
}

/// By as much a clock may be corrected; as much as signatures may differ (DESIGN section 5).
const SKEW_MS: i64 = 15 * 60 * 1000;

/// What is sealed in a token.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    version: u32,
    secret: String,
    arn: String,
    name: String,
    user_id: String,
    issued_ms: i64,
    expires_ms: i64,
    policies: Option<Vec<String>>,
    /// The build that it is of, and with whose end it ends.
    #[serde(default)]
    build: Option<BuildId>,
}

/// A session to make.
pub(super) struct NewSession {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) user_id: String,
    pub(super) seconds: i64,
    pub(super) policies: Option<Vec<String>>,
    /// The build that it is of, and with whose end it ends.
    pub(super) build: Option<BuildId>,
}

/// A session's key: id, secret, token, end.
pub(super) struct Made {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Secret,
    pub(super) expires: Timestamp,
}

impl<R: Runners> Inner<R> {
    /// Makes the key of a session.
    pub(super) fn make_session(&self, new: NewSession) -> Result<Made, ApiError> {
        let failed = |error: &dyn std::fmt::Display| {
            tracing::error!(error = %error, "a session cannot be sealed");
            ApiError::internal("Kiln's keys failed; its log says why")
        };
        let (id, secret) = (random_text("ASIA", ID_LETTERS, 16), random_text("", SECRET_LETTERS, 40));
        let issued_ms = self.now();
        let token = Token {
            version: 1,
            secret: secret.clone(),
            arn: new.arn,
            name: new.name,
            user_id: new.user_id,
            issued_ms,
            expires_ms: issued_ms.saturating_add(new.seconds.saturating_mul(1000)),
            policies: new.policies,
            build: new.build,
        };
        let text = serde_json::to_vec(&token).map_err(|error| failed(&error))?;
        let sealed = self.keys.seal_small(PURPOSE, &id, &text).map_err(|error| failed(&error))?;
        Ok(Made {
            id,
            secret: Secret::new(secret),
            token: Secret::new(STANDARD.encode(sealed)),
            expires: Timestamp::from_millis(token.expires_ms),
        })
    }

    fn session_credential(&self, id: &str, token: &str) -> Option<Credential> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let sealed = STANDARD.decode(token).ok()?;
        let opened = self.keys.open_small(PURPOSE, id, &sealed).ok()?;
        let read: Token = serde_json::from_slice(&opened).ok().filter(|read: &Token| read.version == 1)?;
        // A build that is over, or that nobody knows any more, has no credentials, whatever its clock and ours say.
        let is_over = read.build.as_ref().is_some_and(|build| !self.runs(build));
        let ends = if is_over { 0 } else { read.expires_ms };
        let caller = Caller {
            account: self.config.home.account.clone(),
            arn: read.arn,
            name: read.name,
            access_key_id: id.to_owned(),
            user_id: read.user_id,
            session: Some(Session {
                issued: Timestamp::from_millis(read.issued_ms),
                expires: Timestamp::from_millis(read.expires_ms),
                policies: read.policies,
                build: read.build,
            }),
        };
        let ends = Timestamp::from_millis(self.end_of_session(id, read.issued_ms, ends));
        Some(Credential {
            secret: Secret::new(read.secret),
            caller,
            session: Some((Secret::new(token.to_owned()), ends)),
        })
    }

    /// When a session ends. Nobody prolongs one by setting the clock back: one that is over by the time that has really
    /// passed, or that by the clock is still to begin, is over.
    fn end_of_session(&self, id: &str, issued_ms: i64, expires_ms: i64) -> i64 {
        let now = self.now();
        let is_to_come = issued_ms > now.saturating_add(SKEW_MS);
        if is_to_come {
            tracing::warn!(
                access_key_id = id,
                "a session is refused that was made in the future: the clock was set back"
            );
        }
        if is_to_come || self.steady_now() >= expires_ms { expires_ms.min(now) } else { expires_ms }
    }

    /// Whether what somebody got with a key is over: by the clock, or as the clock was set back.
    pub(crate) fn is_over(&self, id: &str, issued_ms: i64, expires_ms: i64) -> bool {
        self.end_of_session(id, issued_ms, expires_ms) <= self.now()
    }

    /// Whether somebody who was known earlier still would be: by a key that is active, or a session that goes on.
    ///
    /// # Errors
    /// When the store or the encryption keys fail.
    pub(crate) fn is_still_known(&self, caller: &Caller) -> Result<bool, ApiError> {
        match &caller.session {
            None => {
                let found = self.lasting_credential(&caller.access_key_id)?;
                Ok(found.is_some_and(|found| found.caller.user_id == caller.user_id))
            }
            Some(session) => {
                let (issued, expires) = (session.issued.millis(), session.expires.millis());
                Ok(session.build.as_ref().is_none_or(|build| self.runs(build))
                    && !self.is_over(&caller.access_key_id, issued, expires))
            }
        }
    }

    fn lasting_credential(&self, id: &str) -> Result<Option<Credential>, ApiError> {
        let home = &self.config.home;
        let found = self.metadata.read(|view| {
            let Some(key) = view.access_key(id)?.filter(keys::is_active) else { return Ok(None) };
            if key.user_arn.ends_with(":root") {
                return Ok(Some((key, home.account.clone())));
            }
            // A user's key is worth nothing without the user.
            Ok(find::by_arn(view, home, IamKind::User, &key.user_arn)?.map(|user| (key, user.id)))
        });
        let Some((key, user_id)) = found.map_err(|error| refuse(&error))? else { return Ok(None) };
        let AccessKeyRecord { id, sealed, user_arn, name, .. } = key;
        let opened = self.keys.open_small(keys::PURPOSE, &id, &sealed);
        let secret = opened.ok().and_then(|secret| String::from_utf8(secret.to_vec()).ok());
        let Some(secret) = secret else {
            tracing::error!(access_key_id = id, "an access key cannot be opened");
            return Err(ApiError::internal("Kiln's keys failed; its log says why"));
        };
        let caller =
            Caller { account: home.account.clone(), arn: user_arn, name, access_key_id: id, user_id, session: None };
        Ok(Some(Credential { secret: Secret::new(secret), caller, session: None }))
    }
}

impl<R: Runners> Core<R> {
    /// The key that a request was signed with; `None` when there is none, or when the token is not its own.
    ///
    /// # Errors
    /// When the store or the encryption keys fail.
    pub fn credential(&self, access_key_id: &str, token: Option<&str>) -> Result<Option<Credential>, ApiError> {
        match token {
            Some(token) if access_key_id.starts_with("ASIA") => Ok(self.inner.session_credential(access_key_id, token)),
            // Whether a lasting key may come with a token is for the check of the signature.
            _ => self.inner.lasting_credential(access_key_id),
        }
    }
}
