//! Values: put, sealed, opened, read.

use kiln_model::{
    ApiError, ErrorCode, Secret, Timestamp,
    kms::Blob,
    secretsmanager::{GetSecretValueRequest, GetSecretValueResponse, PutSecretValueRequest, PutSecretValueResponse},
    service::Context,
};
use kiln_store::{
    Tx, View,
    metadata::{SecretRecord, SecretVersionRecord},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    CURRENT, DAY, PENDING, PREVIOUS,
    document::{Document, VersionDocument},
    error,
    find::{arn, check_live, find, find_live},
};
use crate::{
    core::Inner,
    kms::{self, Purpose, UsableKey},
    records::Refused,
    runners::Runners,
};

/// Labels of a version (AWS's quota).
const MOST_STAGES: usize = 20;
/// Versions of a secret (AWS's quota).
const MOST_VERSIONS: usize = 100;

/// A value that a caller sends.
pub(super) struct Given {
    bytes: Zeroizing<Vec<u8>>,
    is_binary: bool,
}

/// The value of a request, if it has one.
pub(super) fn given(text: Option<Secret>, bytes: Option<Blob>) -> Result<Option<Given>, ApiError> {
    match (text, bytes) {
        (None, None) => Ok(None),
        (Some(text), None) => {
            if text.expose().len() > 65_536 {
                return Err(error(ErrorCode::InvalidParameter, "SecretString has more than 65536 bytes."));
            }
            Ok(Some(Given { bytes: Zeroizing::new(text.expose().as_bytes().to_vec()), is_binary: false }))
        }
        (None, Some(Blob(bytes))) => Ok(Some(Given { bytes: Zeroizing::new(bytes), is_binary: true })),
        (Some(_), Some(_)) => Err(error(
            ErrorCode::InvalidParameter,
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
    }
}

/// The id of a new version: the caller's token, or a new one.
pub(super) fn version_id(token: Option<String>) -> String {
    token.unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// A failure of KMS as Secrets Manager tells it.
fn sealing_failed(failure: ApiError) -> ApiError {
    match failure.code {
        ErrorCode::AccessDenied => ApiError::access_denied("Access to KMS is not allowed"),
        ErrorCode::InternalFailure | ErrorCode::Throttling | ErrorCode::ServiceUnavailable => failure,
        _ => error(
            ErrorCode::EncryptionFailure,
            format!(
                "Secrets Manager can't encrypt the protected secret text using the provided KMS key: {}",
                failure.message
            ),
        ),
    }
}

fn opening_failed(failure: ApiError) -> ApiError {
    match failure.code {
        ErrorCode::AccessDenied => ApiError::access_denied("Access to KMS is not allowed"),
        ErrorCode::InternalFailure | ErrorCode::Throttling | ErrorCode::ServiceUnavailable => failure,
        _ => error(
            ErrorCode::DecryptionFailure,
            format!(
                "Secrets Manager can't decrypt the protected secret text using the provided KMS key: {}",
                failure.message
            ),
        ),
    }
}

/// The key that seals a secret's new values.
///
/// # Errors
/// `EncryptionFailure` when it is not there or cannot be used.
pub(super) async fn key<R: Runners>(inner: &Inner<R>, named: Option<&str>) -> Result<UsableKey, ApiError> {
    kms::key_for(inner, named, kms::SECRETS_MANAGER).await.map_err(sealing_failed)
}

/// What a version is sealed for.
fn with_purpose<T>(arn: &str, version: &str, work: impl FnOnce(Purpose<'_>) -> T) -> T {
    work(Purpose { service: kms::SECRETS_MANAGER, context: &[("SecretARN", arn), ("SecretVersionId", version)] })
}

/// Seals a value as a version of a secret.
pub(super) fn sealed<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    key: &UsableKey,
    (named, secret, version): (Option<&str>, &str, &str),
    value: &Given,
) -> Result<SecretVersionRecord, ApiError> {
    let arn = arn(&inner.config.home, secret);
    let sealed = with_purpose(&arn, version, |purpose| {
        inner.seal_for(context, "GenerateDataKey", key, purpose, &value.bytes).map_err(sealing_failed)
    })?;
    let document = VersionDocument::new(value.is_binary, named.map(|_| key.arn.clone()));
    Ok(SecretVersionRecord {
        secret: secret.to_owned(),
        version: version.to_owned(),
        created_ms: inner.now(),
        sealed,
        doc: document.to_json().map_err(Refused::from)?,
    })
}

/// Opens a version.
pub(super) fn opened<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &SecretVersionRecord,
) -> Result<Given, ApiError> {
    let arn = arn(&inner.config.home, &record.secret);
    let is_binary = VersionDocument::of(record).map_err(Refused::from)?.is_binary;
    let bytes = with_purpose(&arn, &record.version, |purpose| {
        inner.open_for(context, purpose, &record.sealed).map_err(opening_failed)
    })?;
    Ok(Given { bytes, is_binary })
}

/// Whether a version that is there already has the value that a caller sends once more.
///
/// # Errors
/// `ResourceExistsException` when it has another one.
pub(super) fn check_repeated<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &SecretVersionRecord,
    value: &Given,
) -> Result<(), ApiError> {
    let known = opened(inner, context, record)?;
    if known.is_binary == value.is_binary && known.bytes == value.bytes {
        return Ok(());
    }
    let message = format!(
        "You can't use ClientRequestToken {} because that value is already in use for a version of secret {}.",
        record.version,
        arn(&inner.config.home, &record.secret)
    );
    Err(error(ErrorCode::ResourceExists, message))
}

/// Puts a label on a version. Where the current one moves, the one before becomes the previous one.
pub(super) fn put_stage(document: &mut Document, stage: &str, version: &str) {
    let before = document.stages.insert(stage.to_owned(), version.to_owned());
    if let Some(before) = before.filter(|before| stage == CURRENT && before != version) {
        document.stages.insert(PREVIOUS.to_owned(), before);
    }
}

/// Stores a version with its labels, and lets go of old ones without any.
pub(super) fn add_version(
    tx: &mut Tx<'_>,
    document: &mut Document,
    version: &SecretVersionRecord,
    stages: &[String],
    now: i64,
) -> Result<(), Refused> {
    // The current one first: what is said of the previous one counts.
    let mut ordered: Vec<&str> = stages.iter().map(String::as_str).collect();
    ordered.sort_by_key(|stage| *stage != CURRENT);
    for stage in ordered {
        put_stage(document, stage, &version.version);
    }
    if !document.stages.contains_key(CURRENT) {
        put_stage(document, CURRENT, &version.version);
    }
    check_stages(document, &version.version)?;
    document.changed_ms = now;
    tx.put_secret_version(version)?;
    prune(tx, document, &version.secret, now)
}

pub(super) fn check_stages(document: &Document, version: &str) -> Result<(), ApiError> {
    if document.stages_of(version).len() <= MOST_STAGES {
        return Ok(());
    }
    Err(error(ErrorCode::LimitExceeded, format!("a version has at most {MOST_STAGES} staging labels")))
}

/// Removes the oldest versions without labels where there are too many; those of the last day stay.
fn prune(tx: &mut Tx<'_>, document: &Document, secret: &str, now: i64) -> Result<(), Refused> {
    let versions = tx.secret_versions(secret)?;
    let mut over = versions.len().saturating_sub(MOST_VERSIONS);
    for version in versions {
        if over == 0 {
            return Ok(());
        }
        let is_old = version.created_ms < now.saturating_sub(DAY);
        if is_old && document.stages_of(&version.version).is_empty() {
            tx.delete_secret_version(secret, &version.version)?;
            over -= 1;
        }
    }
    if over == 0 {
        return Ok(());
    }
    let message = format!(
        "a secret has at most {MOST_VERSIONS} versions, and those without labels are removed when they are a day old"
    );
    Err(error(ErrorCode::LimitExceeded, message).into())
}

pub(super) async fn put_secret_value<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: PutSecretValueRequest,
) -> Result<PutSecretValueResponse, ApiError> {
    if input.rotation_token.is_some() {
        let message = "rotation is not available in this version of Kiln: leave RotationToken out";
        return Err(error(ErrorCode::InvalidRequest, message));
    }
    let value = given(input.secret_string, input.secret_binary)?;
    let value = value
        .ok_or_else(|| error(ErrorCode::InvalidParameter, "You must provide either SecretString or SecretBinary."))?;
    let home = inner.config.home.clone();
    let (record, document) = inner.look(|view| find_live(view, &home, &input.secret_id))?;
    let version = version_id(input.client_request_token);
    let answer = |document: &Document, record: &SecretRecord, version: String| PutSecretValueResponse {
        arn: Some(arn(&inner.config.home, &record.id)),
        name: Some(record.name.clone()),
        version_stages: Some(document.stages_of(&version)).filter(|stages| !stages.is_empty()),
        version_id: Some(version),
    };
    if let Some(known) = inner.look(|view| Ok(view.secret_version(&record.id, &version)?))? {
        check_repeated(inner, context, &known, &value)?;
        return Ok(answer(&document, &record, version));
    }
    let key = key(inner, document.key.as_deref()).await?;
    let made = sealed(inner, context, &key, (document.key.as_deref(), &record.id, &version), &value)?;
    let stages = input.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
    let now = inner.now();
    let (record, document) = store_version(inner, record.id, made, stages, now, |_| {}).await?;
    Ok(answer(&document, &record, version))
}

/// Stores a version that was sealed for a secret, with whatever else changes of it.
pub(super) async fn store_version<R: Runners>(
    inner: &Inner<R>,
    id: String,
    made: SecretVersionRecord,
    stages: Vec<String>,
    now: i64,
    also: impl FnOnce(&mut Document) + Send + 'static,
) -> Result<(SecretRecord, Document), ApiError> {
    let work = move |tx: &mut Tx<'_>| {
        // Again: it may have changed, or be gone, by now.
        let mut record = tx.secret_by_id(&id)?.ok_or_else(super::find::not_found)?;
        check_live(&record)?;
        let mut document = Document::of(&record)?;
        if tx.secret_version(&id, &made.version)?.is_some() {
            let message = format!("a version with the id {} was made at the same moment", made.version);
            return Err(error(ErrorCode::ResourceExists, message).into());
        }
        also(&mut document);
        add_version(tx, &mut document, &made, &stages, now)?;
        record.doc = document.to_json()?;
        tx.update_secret(&record)?;
        Ok((record, document))
    };
    inner.transact(work).await
}

/// The version that a caller asks for.
fn asked(
    view: &View<'_>,
    record: &SecretRecord,
    document: &Document,
    version: Option<&str>,
    stage: Option<&str>,
) -> Result<SecretVersionRecord, Refused> {
    let by_id = |id: &str| {
        let missing = || {
            let message = format!("Secrets Manager can't find the specified secret value for VersionId: {id}");
            error(ErrorCode::ResourceNotFound, message)
        };
        Ok::<_, Refused>(view.secret_version(&record.id, id)?.ok_or_else(missing)?)
    };
    let Some(id) = version else {
        let stage = stage.unwrap_or(CURRENT);
        let missing = || {
            let message = format!("Secrets Manager can't find the specified secret value for staging label: {stage}");
            error(ErrorCode::ResourceNotFound, message)
        };
        return by_id(document.stages.get(stage).ok_or_else(missing)?);
    };
    let found = by_id(id)?;
    if stage.is_some_and(|stage| document.stages.get(stage).map(String::as_str) != Some(id)) {
        let message = "You provided a VersionStage that is not associated to the provided VersionId.";
        return Err(error(ErrorCode::InvalidRequest, message).into());
    }
    Ok(found)
}

/// Notes the day on which a value was read, once a day. Nobody waits for it.
fn note_access<R: Runners>(inner: &Inner<R>, record: &SecretVersionRecord, document: &Document) {
    let today = inner.now().div_euclid(DAY) * DAY;
    let version_day = VersionDocument::of(record).ok().and_then(|document| document.accessed_ms);
    if document.accessed_ms == Some(today) && version_day == Some(today) {
        return;
    }
    let (secret, version) = (record.secret.clone(), record.version.clone());
    drop(inner.metadata.write(move |tx| {
        let Some(mut record) = tx.secret_by_id(&secret)? else { return Ok(()) };
        let mut document = Document::of(&record)?;
        document.accessed_ms = Some(today);
        record.doc = document.to_json()?;
        tx.update_secret(&record)?;
        let Some(mut version) = tx.secret_version(&secret, &version)? else { return Ok(()) };
        let mut document = VersionDocument::of(&version)?;
        document.accessed_ms = Some(today);
        version.doc = document.to_json()?;
        tx.put_secret_version(&version)
    }));
}

pub(super) async fn get_secret_value<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetSecretValueRequest,
) -> Result<GetSecretValueResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document, version) = inner.look(|view| {
        let (record, document) = find(view, home, &input.secret_id)?;
        check_live(&record)?;
        let version = asked(view, &record, &document, input.version_id.as_deref(), input.version_stage.as_deref())?;
        Ok((record, document, version))
    })?;
    let value = opened(inner, context, &version)?;
    note_access(inner, &version, &document);
    let stages = document.stages_of(&version.version);
    let mut answer = GetSecretValueResponse {
        arn: Some(arn(home, &record.id)),
        name: Some(record.name),
        version_id: Some(version.version),
        version_stages: Some(stages).filter(|stages| !stages.is_empty()),
        created_date: Some(Timestamp::from_millis(version.created_ms)),
        ..Default::default()
    };
    if value.is_binary {
        answer.secret_binary = Some(Blob(value.bytes.to_vec()));
    } else {
        let text = std::str::from_utf8(&value.bytes).map_err(|e| ApiError::internal(e.to_string()))?;
        answer.secret_string = Some(Secret::new(text.to_owned()));
    }
    Ok(answer)
}

/// Labels whose versions follow the secret to another key.
pub(super) const FOLLOWING: [&str; 3] = [CURRENT, PENDING, PREVIOUS];
