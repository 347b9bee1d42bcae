//! Passwords of the registry: who asked for one, sealed. Nothing is stored; one that was changed opens to nothing.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use kiln_model::{
    ApiError, BuildId, Secret, Timestamp,
    ecr::{AuthorizationData, GetAuthorizationTokenRequest, GetAuthorizationTokenResponse},
    registry::Digest,
    service::{Caller, Context, Session},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{error::invalid, repositories::host};
use crate::{core::Inner, records::keys_failed, runners::Runners};

/// What a password is sealed for.
const PURPOSE: &str = "ecr.password";
/// What a link to a layer is sealed for.
const LINK: &str = "ecr.layer";
/// The user name that goes with a password.
pub(super) const USER: &str = "AWS";
/// So long a password is good (AWS's).
const HOURS: i64 = 12;
/// So long a link to a layer is good.
const LINK_MINUTES: i64 = 60;
/// A longer one is none of Kiln's.
const LONGEST: usize = 32_768;
/// Digits of the id before a password.
const ID: usize = 32;

/// What is sealed in a password.
#[derive(Debug, Serialize, Deserialize)]
struct Password {
    form: u32,
    access_key_id: String,
    arn: String,
    name: String,
    user_id: String,
    issued_ms: i64,
    expires_ms: i64,
    session: Option<OfSession>,
}

/// The session that somebody was in.
#[derive(Debug, Serialize, Deserialize)]
struct OfSession {
    issued_ms: i64,
    expires_ms: i64,
    policies: Option<Vec<String>>,
    build: Option<BuildId>,
}

/// What is sealed in a link.
#[derive(Debug, Serialize, Deserialize)]
struct Link {
    repository: String,
    digest: String,
    issued_ms: i64,
    expires_ms: i64,
}

const FORM: u32 = 1;

fn seal<R: Runners>(inner: &Inner<R>, purpose: &str, value: &impl Serialize) -> Result<String, ApiError> {
    let id = Uuid::new_v4().simple().to_string();
    let text = serde_json::to_vec(value).map_err(|e| ApiError::internal(format!("a password is no JSON: {e}")))?;
    let sealed = inner.keys.seal_small(purpose, &id, &text).map_err(|e| keys_failed(&e))?;
    Ok(format!("{id}{}", URL_SAFE_NO_PAD.encode(sealed)))
}

fn open<R: Runners, T: for<'de> Deserialize<'de>>(inner: &Inner<R>, purpose: &str, text: &str) -> Option<T> {
    if text.len() > LONGEST {
        return None;
    }
    let (id, sealed) = text.split_at_checked(ID)?;
    let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let opened = inner.keys.open_small(purpose, id, &sealed).ok()?;
    serde_json::from_slice(&opened).ok()
}

pub(super) async fn get_authorization_token<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetAuthorizationTokenRequest,
) -> Result<GetAuthorizationTokenResponse, ApiError> {
    let account = &inner.config.home.account;
    let others = input.registry_ids.iter().flatten().find(|registry| *registry != account);
    if let Some(other) = others {
        return Err(invalid("registryIds", &format!("'{other}' is another registry than that of this account")));
    }
    let caller = &context.caller;
    let now = inner.now();
    let mut expires_ms = now + HOURS * 3_600_000;
    let session = caller.session.as_ref().map(|session| {
        expires_ms = expires_ms.min(session.expires.millis());
        OfSession {
            issued_ms: session.issued.millis(),
            expires_ms: session.expires.millis(),
            policies: session.policies.clone(),
            build: session.build.clone(),
        }
    });
    let password = Password {
        form: FORM,
        access_key_id: caller.access_key_id.clone(),
        arn: caller.arn.clone(),
        name: caller.name.clone(),
        user_id: caller.user_id.clone(),
        issued_ms: now,
        expires_ms,
        session,
    };
    let password = seal(inner, PURPOSE, &password)?;
    let scheme = context.origin.split_once("://").map_or("http", |(scheme, _)| scheme);
    let data = AuthorizationData {
        authorization_token: Some(Secret::new(STANDARD.encode(format!("{USER}:{password}")))),
        expires_at: Some(Timestamp::from_millis(expires_ms)),
        proxy_endpoint: Some(format!("{scheme}://{}", host(inner, context))),
    };
    // One for each registry that was named: it is the same one.
    let count = input.registry_ids.map_or(1, |named| named.len());
    Ok(GetAuthorizationTokenResponse { authorization_data: Some(vec![data; count]) })
}

/// Whose a password is, while it and the key or session that it was asked for with are good.
pub(super) fn caller<R: Runners>(inner: &Inner<R>, password: &str) -> Result<Option<Caller>, ApiError> {
    let Some(read) = open::<R, Password>(inner, PURPOSE, password).filter(|read| read.form == FORM) else {
        return Ok(None);
    };
    let caller = Caller {
        account: inner.config.home.account.clone(),
        arn: read.arn,
        name: read.name,
        access_key_id: read.access_key_id,
        user_id: read.user_id,
        session: read.session.map(|session| Session {
            issued: Timestamp::from_millis(session.issued_ms),
            expires: Timestamp::from_millis(session.expires_ms),
            policies: session.policies,
            build: session.build,
        }),
    };
    let is_good =
        !inner.is_over(&caller.access_key_id, read.issued_ms, read.expires_ms) && inner.is_still_known(&caller)?;
    Ok(is_good.then_some(caller))
}

/// What a link to a layer ends with.
pub(super) fn link<R: Runners>(inner: &Inner<R>, repository: &str, digest: &Digest) -> Result<String, ApiError> {
    let now = inner.now();
    let link = Link {
        repository: repository.to_owned(),
        digest: digest.to_string(),
        issued_ms: now,
        expires_ms: now + LINK_MINUTES * 60_000,
    };
    seal(inner, LINK, &link)
}

/// Whether a link to a layer is good.
pub(super) fn is_link<R: Runners>(inner: &Inner<R>, repository: &str, digest: &Digest, token: &str) -> bool {
    open::<R, Link>(inner, LINK, token).is_some_and(|link| {
        link.repository == repository
            && link.digest == digest.as_str()
            && !inner.is_over("a link to a layer", link.issued_ms, link.expires_ms)
    })
}
