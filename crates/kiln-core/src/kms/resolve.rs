//! From the text that names a key to the key: its id, its ARN, `alias/…`, or an alias's ARN.

use kiln_model::{
    ApiError, ErrorCode,
    arn::{Arn, Home},
};
use kiln_store::{
    View,
    keys::KeyError,
    metadata::{KmsKeyRecord, KmsKeyState},
};

use crate::{
    core::Inner,
    records::{Refused, refuse},
    runners::Runners,
};

/// Where aliases begin.
pub(super) const ALIAS: &str = "alias/";

/// A key that encrypts and decrypts at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsableKey {
    /// What the store's keys call it.
    pub(crate) material: String,
    /// `arn:aws:kms:…:key/<uuid>`, as answers show it.
    pub(crate) arn: String,
}

/// Whether an alias may stand for the key: AWS takes it where a key is used, not where it is managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Id or ARN of a key.
    Keys,
    /// Also an alias or its ARN.
    Aliases,
}

pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

fn not_found(message: impl Into<String>) -> ApiError {
    error(ErrorCode::NotFound, message)
}

fn invalid_key(text: &str) -> ApiError {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    not_found(format!("Invalid keyId '{shown}'"))
}

/// There is no such key.
pub(super) fn no_key(home: &Home, id: &str) -> ApiError {
    not_found(format!("Key '{}' does not exist", home.key_arn(id)))
}

/// The key that a text names, in whatever state it is.
pub(super) fn find(view: &View<'_>, home: &Home, text: &str, names: Names) -> Result<KmsKeyRecord, Refused> {
    let local = if text.starts_with("arn:") { local(home, text)? } else { text.to_owned() };
    if local.starts_with(ALIAS) {
        if names == Names::Keys {
            return Err(invalid_key(text).into());
        }
        let missing = || not_found(format!("Alias {} is not found.", home.alias_arn(&local)));
        let alias = view.kms_alias(&local)?.ok_or_else(missing)?;
        return Ok(view.kms_key(&alias.key)?.ok_or_else(missing)?);
    }
    // The part behind `key/` of an ARN, or an id.
    let id = match local.strip_prefix("key/") {
        Some(id) if text.starts_with("arn:") => id,
        _ => local.as_str(),
    };
    if !is_id(id) {
        return Err(invalid_key(text).into());
    }
    Ok(view.kms_key(id)?.ok_or_else(|| no_key(home, id))?)
}

fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// The resource of an ARN of this account and region.
fn local(home: &Home, text: &str) -> Result<String, ApiError> {
    let invalid = || error(ErrorCode::InvalidArn, "the ARN is not that of a key or of an alias of KMS");
    let arn: Arn = text.parse().map_err(|_| invalid())?;
    if arn.service != "kms" || arn.partition != home.partition() {
        return Err(invalid());
    }
    if !arn.resource.starts_with("key/") && !arn.resource.starts_with(ALIAS) {
        return Err(invalid());
    }
    if arn.region != home.region {
        return Err(not_found(format!("Invalid arn {}", arn.region)));
    }
    if arn.account != home.account {
        return Err(not_found(format!("Key '{arn}' does not exist")));
    }
    Ok(arn.resource)
}

/// Refuses a key that is disabled or waits for its deletion.
pub(super) fn check_usable(home: &Home, record: &KmsKeyRecord) -> Result<(), ApiError> {
    match record.state {
        KmsKeyState::Enabled => Ok(()),
        KmsKeyState::Disabled => Err(error(ErrorCode::Disabled, format!("{} is disabled.", home.key_arn(&record.id)))),
        KmsKeyState::PendingDeletion => Err(pending(home, record)),
    }
}

/// Refuses a key that waits for its deletion.
pub(super) fn check_stays(home: &Home, record: &KmsKeyRecord) -> Result<(), ApiError> {
    if record.state == KmsKeyState::PendingDeletion { Err(pending(home, record)) } else { Ok(()) }
}

fn pending(home: &Home, record: &KmsKeyRecord) -> ApiError {
    error(ErrorCode::KmsInvalidState, format!("{} is pending deletion.", home.key_arn(&record.id)))
}

/// The key that objects and artifacts are to be sealed with: what a project's `encryptionKey`, a bucket's default or an
/// SSE header names.
///
/// # Errors
/// KMS's: `NotFoundException`, `InvalidArnException`, `DisabledException`, `KMSInvalidStateException`.
pub(crate) fn usable<R: Runners>(inner: &Inner<R>, text: &str) -> Result<UsableKey, ApiError> {
    let home = &inner.config.home;
    let record = inner.look(|view| find(view, home, text, Names::Aliases))?;
    check_usable(home, &record)?;
    Ok(UsableKey { arn: home.key_arn(&record.id), material: record.material })
}

/// What a caller is told when something does not open because of its key; `None` when that is not the reason.
pub(crate) fn refusal<R: Runners>(inner: &Inner<R>, error: &KeyError) -> Option<ApiError> {
    let home = &inner.config.home;
    // A key that never was is none of these: then the bytes were changed that name it.
    let (KeyError::Disabled { key, .. } | KeyError::Destroyed { key, .. }) = error else { return None };
    let record = match inner.metadata.read(|view| view.kms_key_of_material(key)) {
        Ok(record) => record,
        Err(e) => return Some(refuse(&e)),
    };
    match record {
        Some(record) => check_usable(home, &record).err(),
        None => Some(no_key(home, key)),
    }
}
