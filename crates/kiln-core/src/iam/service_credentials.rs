//! Credentials of users for single services: user name and password, as git wants them (`integrations.md`, CodeCommit).
//!
//! The password is shown once. What is kept of it is a keyed hash with a key of its own, both sealed for their row: whoever
//! has the database without the keys can neither use nor check a guess.

use aws_lc_rs::{hmac, rand};
use kiln_model::{
    ApiError, Timestamp,
    arn::Home,
    iam::{Answer, IamCode, IamError, NewServiceCredential, Page, Secret, ServiceCredential},
    service::{Caller, Context},
};
use kiln_store::{
    Keys, StoreError, Tx, View,
    metadata::{IamKind, IamRecord, ServiceCredentialRecord},
};
use serde::{Deserialize, Serialize};

use super::{ID_LETTERS, Refused, SECRET_LETTERS, find, paged, random_text, users};
use crate::{
    core::{Core, Inner},
    records::refuse,
    runners::Runners,
};

/// The one service that takes them.
pub const CODECOMMIT: &str = "codecommit.amazonaws.com";
/// Those that take them at AWS, and are not offered here.
const NOT_OFFERED: [&str; 2] = ["bedrock.amazonaws.com", "cassandra.amazonaws.com"];

/// Credentials of a user for a service (AWS's quota).
const MOST: usize = 2;

/// What the check of a password is sealed for.
const PURPOSE: &str = "service_credentials.verifier";

/// Bytes of a verifier's key; the hash follows.
const KEY_BYTES: usize = 32;
/// A password that is longer is none of Kiln's.
const LONGEST_PASSWORD: usize = 128;

/// What is stored of a credential beside its columns.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    version: u32,
    is_active: bool,
}

impl Stored {
    fn text(is_active: bool) -> Result<String, StoreError> {
        serde_json::to_string(&Self { version: 1, is_active })
            .map_err(|error| StoreError::Invalid(format!("a service credential cannot be written: {error}")))
    }
}

/// Whether a credential may be used. One whose record cannot be read may not.
fn is_active(record: &ServiceCredentialRecord) -> bool {
    serde_json::from_str(&record.doc).is_ok_and(|stored: Stored| stored.version == 1 && stored.is_active)
}

fn show(record: &ServiceCredentialRecord, user: &IamRecord) -> ServiceCredential {
    ServiceCredential {
        user: user.name.clone(),
        id: record.id.clone(),
        service: record.service.clone(),
        user_name: record.user_name.clone(),
        is_active: is_active(record),
        created: Timestamp::from_millis(record.created_ms),
    }
}

fn check_service(service: &str) -> Result<(), IamError> {
    if service == CODECOMMIT {
        return Ok(());
    }
    if NOT_OFFERED.contains(&service) {
        let message = "The specified service does not support service-specific credentials.";
        return Err(IamError::new(IamCode::NotSupportedService, message));
    }
    let message = format!("No such service {service} is supported for service specific credentials");
    Err(IamError::new(IamCode::NoSuchEntity, message))
}

fn check_id(id: &str) -> Result<(), IamError> {
    let place = "serviceSpecificCredentialId";
    if id.len() < 20 {
        return Err(IamError::validation(place, "Member must have length greater than or equal to 20"));
    }
    if id.len() > 128 {
        return Err(IamError::validation(place, "Member must have length less than or equal to 128"));
    }
    if !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(IamError::validation(place, "Member must satisfy regular expression pattern: [\\w]+"));
    }
    Ok(())
}

/// A password, and what it is checked with, sealed for the credential with that id.
fn new_password(keys: &Keys, id: &str) -> Result<(Secret, Vec<u8>), ApiError> {
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(error = %error, "a service credential cannot be sealed");
        ApiError::internal("Kiln's keys failed; its log says why")
    };
    // As AWS's look: 43 letters of base64 and its padding.
    let password = random_text("", SECRET_LETTERS, 43) + "=";
    let mut key = [0; KEY_BYTES];
    rand::fill(&mut key).map_err(|error| failed(&error))?;
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), password.as_bytes());
    let verifier = [key.as_slice(), tag.as_ref()].concat();
    let sealed = keys.seal_small(PURPOSE, id, &verifier).map_err(|error| failed(&error))?;
    Ok((Secret::new(password), sealed))
}

/// Names for a service: that of the user first, then with a number, as AWS has it.
fn user_names(user: &str, home: &Home) -> impl Iterator<Item = String> {
    let account = home.account.clone();
    let first = format!("{user}-at-{account}");
    let user = user.to_owned();
    std::iter::once(first).chain((1..).map(move |number| format!("{user}+{number}-at-{account}")))
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    user: String,
    service: String,
    days: Option<i64>,
) -> Result<Answer, IamError> {
    check_service(&service)?;
    if days.is_some() {
        let message = format!("CredentialAgeDays is not supported for {service}.");
        return Err(IamError::new(IamCode::InvalidInput, message));
    }
    let (home, now) = (inner.config.home.clone(), inner.now());
    let id = random_text("ACCA", ID_LETTERS, 17);
    let (password, verifier) = new_password(&inner.keys, &id)?;
    inner
        .change(move |tx| {
            let user = find::entity(tx, IamKind::User, &user)?;
            let has = tx.service_credentials(Some(&user.id))?;
            if has.iter().filter(|credential| credential.service == service).count() >= MOST {
                let message = format!("Cannot exceed quota for ServiceSpecificCredentialsPerUser: {MOST}");
                return Err(IamError::new(IamCode::LimitExceeded, message).into());
            }
            // Somebody who had this user's name may have kept it.
            let mut free = None;
            for name in user_names(&user.name, &home) {
                if tx.service_credential_named(&service, &name)?.is_none() {
                    free = Some(name);
                    break;
                }
            }
            let record = ServiceCredentialRecord {
                id,
                user_id: user.id.clone(),
                service,
                user_name: free.unwrap_or_default(),
                verifier,
                created_ms: now,
                doc: Stored::text(true)?,
            };
            tx.insert_service_credential(&record)?;
            Ok(Answer::NewServiceCredential(NewServiceCredential { credential: show(&record, &user), password }))
        })
        .await
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    service: Option<&str>,
    of_all_users: bool,
    page: &Page,
) -> Result<Answer, IamError> {
    if of_all_users && user.is_some() {
        let message = "AllUsers cannot be specified together with UserName.";
        return Err(IamError::new(IamCode::InvalidInput, message));
    }
    service.map(check_service).transpose()?;
    let name = if of_all_users { None } else { Some(users::named(context, user)?) };
    let mut found = inner.read(|view| {
        let user = name.map(|name| find::entity(view, IamKind::User, &name)).transpose()?;
        let mut found = Vec::new();
        for record in view.service_credentials(user.as_ref().map(|user| user.id.as_str()))? {
            let is_wanted = service.is_none_or(|service| record.service == service);
            if let Some(user) = view.iam_entity_by_id(&record.user_id)?.filter(|_| is_wanted) {
                found.push(show(&record, &user));
            }
        }
        Ok(found)
    })?;
    found.sort_by_key(|credential| credential.id.to_lowercase());
    Ok(Answer::ServiceCredentials(paged(found, page, |credential| &credential.id)?))
}

/// A user, and their credential with that id.
fn find_credential(tx: &Tx<'_>, user: &str, id: &str) -> Result<(IamRecord, ServiceCredentialRecord), Refused> {
    let user = find::entity(tx, IamKind::User, user)?;
    let found = tx.service_credential(id)?.filter(|credential| credential.user_id == user.id);
    let missing = || IamError::new(IamCode::NoSuchEntity, format!("No such credential {id} exists"));
    Ok((user, found.ok_or_else(missing)?))
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    id: String,
    is_active: bool,
) -> Result<Answer, IamError> {
    check_id(&id)?;
    let user = users::named(context, user)?;
    inner
        .change(move |tx| {
            let (_, mut record) = find_credential(tx, &user, &id)?;
            record.doc = Stored::text(is_active)?;
            tx.update_service_credential(&record)?;
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
    check_id(&id)?;
    let user = users::named(context, user)?;
    inner
        .change(move |tx| {
            let (_, record) = find_credential(tx, &user, &id)?;
            tx.delete_service_credential(&record.id)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn reset<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    user: Option<String>,
    id: String,
) -> Result<Answer, IamError> {
    check_id(&id)?;
    let user = users::named(context, user)?;
    let (password, verifier) = new_password(&inner.keys, &id)?;
    inner
        .change(move |tx| {
            let (user, mut record) = find_credential(tx, &user, &id)?;
            record.verifier = verifier;
            tx.update_service_credential(&record)?;
            Ok(Answer::NewServiceCredential(NewServiceCredential { credential: show(&record, &user), password }))
        })
        .await
}

/// Whom a credential is of, and what it is.
fn named(
    view: &View<'_>,
    service: &str,
    user_name: &str,
) -> Result<Option<(IamRecord, ServiceCredentialRecord)>, StoreError> {
    let Some(record) = view.service_credential_named(service, user_name)? else { return Ok(None) };
    let user = view.iam_entity_by_id(&record.user_id)?.filter(|user| user.kind == IamKind::User);
    Ok(user.map(|user| (user, record)))
}

impl<R: Runners> Core<R> {
    /// Who signs in at a service with user name and password; `None`: nobody, whatever is wrong. What the user may do is
    /// for their policies. The time that it takes says nothing about the password.
    ///
    /// `service` is e.g. [`CODECOMMIT`].
    ///
    /// # Errors
    /// When the store or the encryption keys fail.
    pub fn service_user(&self, service: &str, user_name: &str, password: &Secret) -> Result<Option<Caller>, ApiError> {
        let inner = &*self.inner;
        let found = inner.metadata.read(|view| named(view, service, user_name)).map_err(|error| refuse(&error))?;
        let verifier = match &found {
            Some((_, record)) => inner.keys.open_small(PURPOSE, &record.id, &record.verifier).map_err(|error| {
                tracing::error!(id = record.id, error = %error, "a service credential cannot be opened");
                ApiError::internal("Kiln's keys failed; its log says why")
            })?,
            // Nobody's hash is all zeros.
            None => vec![0; KEY_BYTES + 32].into(),
        };
        let given = password.expose().as_bytes();
        let is_right = given.len() <= LONGEST_PASSWORD
            && verifier
                .split_at_checked(KEY_BYTES)
                .is_some_and(|(key, tag)| hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), given, tag).is_ok());
        let Some((user, record)) = found.filter(|(_, record)| is_right && is_active(record)) else { return Ok(None) };
        let home = &inner.config.home;
        Ok(Some(Caller {
            account: home.account.clone(),
            arn: find::arn(home, &user),
            name: user.name,
            access_key_id: record.id,
            user_id: user.id,
            session: None,
        }))
    }
}
