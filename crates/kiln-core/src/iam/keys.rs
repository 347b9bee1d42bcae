//! Access keys of users.

use kiln_model::{
    Timestamp,
    iam::{AccessKey, Answer, IamCode, IamError, NewAccessKey, Page, Secret},
    service::Context,
};
use kiln_store::{
    Tx, View,
    metadata::{AccessKeyRecord, IamKind},
};
use serde::{Deserialize, Serialize};

use super::{ID_LETTERS, Refused, SECRET_LETTERS, find, paged, random_text, users};
use crate::{core::Inner, runners::Runners};
use kiln_model::ApiError;

/// Keys of a user (AWS's quota).
const MOST: usize = 2;

/// What the secret of an access key is sealed for.
pub(super) const PURPOSE: &str = "access_keys.secret";

/// What is stored of a key beside its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    version: u32,
    /// Records of the first version have none: those keys are active.
    #[serde(default, skip_serializing_if = "is_false")]
    inactive: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Whether a key may be used. One whose record cannot be read may not.
pub(super) fn is_active(record: &AccessKeyRecord) -> bool {
    serde_json::from_str(&record.doc).is_ok_and(|stored: Stored| stored.version == 1 && !stored.inactive)
}

fn show(record: &AccessKeyRecord) -> AccessKey {
    AccessKey {
        user: record.name.clone(),
        id: record.id.clone(),
        is_active: is_active(record),
        created: Timestamp::from_millis(record.created_ms),
    }
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
) -> Result<Answer, IamError> {
    let (home, name, now) = (inner.config.home.clone(), users::named(context, user)?, inner.now());
    let (id, secret) = (random_text("AKIA", ID_LETTERS, 16), random_text("", SECRET_LETTERS, 40));
    let sealed = inner.keys.seal_small(PURPOSE, &id, secret.as_bytes()).map_err(|error| {
        tracing::error!(error = %error, "an access key cannot be sealed");
        ApiError::internal("Kiln's keys failed; its log says why")
    })?;
    inner
        .change(move |tx| {
            let user = find::entity(tx, IamKind::User, &name)?;
            let user_arn = find::arn(&home, &user);
            if tx.access_keys_of(&user_arn)?.len() >= MOST {
                let message = format!("Cannot exceed quota for AccessKeysPerUser: {MOST}");
                return Err(IamError::new(IamCode::LimitExceeded, message).into());
            }
            let doc = "{\"version\":1}".to_owned();
            let record = AccessKeyRecord { id, sealed, user_arn, name: user.name, created_ms: now, doc };
            tx.put_access_key(&record)?;
            Ok(Answer::NewAccessKey(NewAccessKey { key: show(&record), secret: Secret::new(secret) }))
        })
        .await
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    page: &Page,
) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let arn_of = |view: &View<'_>| -> Result<String, Refused> {
        // The root's keys are listed for the root alone.
        if user.is_none() && context.caller.arn.ends_with(":root") {
            return Ok(context.caller.arn.clone());
        }
        let name = users::named(context, user.clone())?;
        Ok(find::arn(home, &find::entity(view, IamKind::User, &name)?))
    };
    let keys = inner.read(|view| Ok(view.access_keys_of(&arn_of(view)?)?))?;
    let keys: Vec<AccessKey> = keys.iter().map(show).collect();
    Ok(Answer::AccessKeys(paged(keys, page, |key| &key.id)?))
}

/// The key of a user.
fn find_key(tx: &Tx<'_>, home: &kiln_model::arn::Home, user: &str, id: &str) -> Result<AccessKeyRecord, Refused> {
    let user = find::entity(tx, IamKind::User, user)?;
    let key = tx.access_key(id)?.filter(|key| key.user_arn == find::arn(home, &user));
    Ok(key
        .ok_or_else(|| IamError::new(IamCode::NoSuchEntity, format!("The Access Key with id {id} cannot be found.")))?)
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    id: String,
    active: bool,
) -> Result<Answer, IamError> {
    let (home, user) = (inner.config.home.clone(), users::named(context, user)?);
    inner
        .change(move |tx| {
            let mut key = find_key(tx, &home, &user, &id)?;
            key.doc = if active { "{\"version\":1}" } else { "{\"version\":1,\"inactive\":true}" }.to_owned();
            tx.put_access_key(&key)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn delete<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    id: String,
) -> Result<Answer, IamError> {
    let (home, user) = (inner.config.home.clone(), users::named(context, user)?);
    inner
        .change(move |tx| {
            let key = find_key(tx, &home, &user, &id)?;
            tx.delete_access_key(&key.id)?;
            Ok(Answer::Done)
        })
        .await
}
