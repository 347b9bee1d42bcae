//! Secrets: made, described, changed, deleted, brought back.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    secretsmanager::{
        CreateSecretRequest, CreateSecretResponse, DeleteSecretRequest, DeleteSecretResponse, DescribeSecretRequest,
        DescribeSecretResponse, RestoreSecretRequest, RestoreSecretResponse, UpdateSecretRequest, UpdateSecretResponse,
    },
    service::Context,
};
use kiln_store::{
    Tx,
    metadata::{SecretRecord, SecretVersionRecord},
};

use super::{
    CURRENT, DAY,
    document::{Document, VersionDocument},
    error,
    find::{arn, check_live, edit, find, find_live, lookup, not_found},
    password::characters,
    tags,
    values::{FOLLOWING, add_version, check_repeated, given, key, opened, sealed, store_version, version_id},
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Secrets of an account (AWS's quota).
const MOST_SECRETS: i64 = 500_000;
/// Letters at the end of an ARN.
const SUFFIX: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-!".contains(c)) {
        return Ok(());
    }
    let message =
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!";
    Err(error(ErrorCode::Validation, message))
}

/// An id for a secret of that name: its own six characters, so that one with the same name is another one.
fn new_id(name: &str) -> Result<String, ApiError> {
    Ok(format!("{name}-{}", characters(SUFFIX, 6)?.as_str()))
}

fn check_offered(input: &CreateSecretRequest) -> Result<(), ApiError> {
    let what = if input.add_replica_regions.is_some() {
        "AddReplicaRegions"
    } else if input.cross_account_primary_arn.is_some() {
        "CrossAccountPrimaryARN"
    } else if input.r#type.is_some() {
        "Type"
    } else {
        return Ok(());
    };
    let message = format!(
        "copies of secrets and secrets of other services are not available in this version of Kiln: leave {what} out"
    );
    Err(error(ErrorCode::InvalidRequest, message))
}

/// The key that a request names: none is the service's own.
fn named_key(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty() && text != "alias/aws/secretsmanager")
}

pub(super) async fn create_secret<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CreateSecretRequest,
) -> Result<CreateSecretResponse, ApiError> {
    check_offered(&input)?;
    check_name(&input.name)?;
    let value = given(input.secret_string, input.secret_binary)?;
    let (name, now, home) = (input.name, inner.now(), inner.config.home.clone());
    let version = version_id(input.client_request_token);
    if let Some(known) = inner.look(|view| Ok(view.secret(&name)?))? {
        if known.delete_ms.is_some() {
            let message =
                "You can't create this secret because a secret with this name is already scheduled for deletion.";
            return Err(error(ErrorCode::InvalidRequest, message));
        }
        let (Some(value), Some(record)) = (&value, inner.look(|view| Ok(view.secret_version(&known.id, &version)?))?)
        else {
            return Err(exists(&name));
        };
        check_repeated(inner, context, &record, value)?;
        return Ok(CreateSecretResponse {
            arn: Some(arn(&home, &known.id)),
            name: Some(name),
            version_id: Some(version),
        });
    }
    let mut document = Document::new(now);
    document.description = input.description;
    document.key = named_key(input.kms_key_id);
    tags::put(&mut document, input.tags.unwrap_or_default())?;
    let id = new_id(&name)?;
    let key = key(inner, document.key.as_deref()).await?;
    let made = match &value {
        None => None,
        Some(value) => Some(sealed(inner, context, &key, (document.key.as_deref(), &id, &version), value)?),
    };
    let mut answer = CreateSecretResponse { arn: Some(arn(&home, &id)), name: Some(name.clone()), version_id: None };
    answer.version_id = made.as_ref().map(|_| version);
    let work = move |tx: &mut Tx<'_>| {
        if tx.secret(&name)?.is_some() {
            return Err(exists(&name).into());
        }
        if tx.secret_count()? >= MOST_SECRETS {
            return Err(error(ErrorCode::LimitExceeded, format!("there are {MOST_SECRETS} secrets already")).into());
        }
        let mut record = SecretRecord { id, name, created_ms: now, delete_ms: None, doc: document.to_json()? };
        tx.insert_secret(&record)?;
        if let Some(made) = made {
            add_version(tx, &mut document, &made, &[CURRENT.to_owned()], now)?;
            record.doc = document.to_json()?;
            tx.update_secret(&record)?;
        }
        Ok(())
    };
    inner.transact(work).await?;
    Ok(answer)
}

fn exists(name: &str) -> ApiError {
    error(ErrorCode::ResourceExists, format!("The operation failed because the secret {name} already exists."))
}

pub(super) async fn describe_secret<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeSecretRequest,
) -> Result<DescribeSecretResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document) = inner.look(|view| find(view, home, &input.secret_id))?;
    Ok(DescribeSecretResponse {
        arn: Some(arn(home, &record.id)),
        name: Some(record.name),
        version_ids_to_stages: Some(document.by_version()).filter(|versions| !versions.is_empty()),
        tags: Some(tags::list(&document)),
        description: document.description,
        kms_key_id: document.key,
        last_changed_date: Some(Timestamp::from_millis(document.changed_ms)),
        last_accessed_date: document.accessed_ms.map(Timestamp::from_millis),
        deleted_date: document.deleted_ms.map(Timestamp::from_millis),
        created_date: Some(Timestamp::from_millis(record.created_ms)),
    })
}

pub(super) async fn update_secret<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: UpdateSecretRequest,
) -> Result<UpdateSecretResponse, ApiError> {
    if input.r#type.is_some() {
        let message = "secrets of other services are not available in this version of Kiln: leave Type out";
        return Err(error(ErrorCode::InvalidRequest, message));
    }
    let value = given(input.secret_string, input.secret_binary)?;
    let (home, now) = (inner.config.home.clone(), inner.now());
    let (record, document) = inner.look(|view| find_live(view, &home, &input.secret_id))?;
    let mut answer =
        UpdateSecretResponse { arn: Some(arn(&home, &record.id)), name: Some(record.name.clone()), version_id: None };
    let rekeyed = input.kms_key_id.map(|text| named_key(Some(text))).filter(|key| *key != document.key);
    let named = rekeyed.clone().unwrap_or_else(|| document.key.clone());
    let description = input.description;
    let changed = {
        let rekeyed = rekeyed.clone();
        move |document: &mut Document| {
            if let Some(description) = description {
                document.description = Some(description);
            }
            if let Some(key) = rekeyed {
                document.key = key;
            }
            document.changed_ms = now;
        }
    };
    // Labelled values follow the secret to its new key.
    let moved = match rekeyed {
        None => Vec::new(),
        Some(_) => move_to_key(inner, context, &record, &document, named.as_deref()).await?,
    };
    if !moved.is_empty() {
        let moved_id = record.id.clone();
        inner
            .transact(move |tx| {
                for version in &moved {
                    if tx.secret_version(&moved_id, &version.version)?.is_some() {
                        tx.put_secret_version(version)?;
                    }
                }
                Ok(())
            })
            .await?;
    }
    let Some(value) = value else {
        edit(inner, arn(&home, &record.id), move |_, record, document| {
            check_live(record)?;
            changed(document);
            Ok(())
        })
        .await?;
        return Ok(answer);
    };
    let version = version_id(input.client_request_token);
    answer.version_id = Some(version.clone());
    if let Some(known) = inner.look(|view| Ok(view.secret_version(&record.id, &version)?))? {
        check_repeated(inner, context, &known, &value)?;
        return Ok(answer);
    }
    let key = key(inner, named.as_deref()).await?;
    let made = sealed(inner, context, &key, (named.as_deref(), &record.id, &version), &value)?;
    store_version(inner, record.id, made, vec![CURRENT.to_owned()], now, changed).await?;
    Ok(answer)
}

/// The versions with the service's own labels, sealed by another key.
async fn move_to_key<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &SecretRecord,
    document: &Document,
    named: Option<&str>,
) -> Result<Vec<SecretVersionRecord>, ApiError> {
    let key = key(inner, named).await?;
    let versions = inner.look(|view| Ok(view.secret_versions(&record.id)?))?;
    let follows = |version: &&SecretVersionRecord| {
        FOLLOWING.iter().any(|stage| document.stages.get(*stage) == Some(&version.version))
    };
    let mut moved = Vec::new();
    for version in versions.iter().filter(follows) {
        let value = opened(inner, context, version)?;
        let mut new = sealed(inner, context, &key, (named, &record.id, &version.version), &value)?;
        new.created_ms = version.created_ms;
        let mut kept = VersionDocument::of(&new).map_err(Refused::from)?;
        kept.accessed_ms = VersionDocument::of(version).map_err(Refused::from)?.accessed_ms;
        new.doc = kept.to_json().map_err(Refused::from)?;
        moved.push(new);
    }
    Ok(moved)
}

pub(super) async fn delete_secret<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteSecretRequest,
) -> Result<DeleteSecretResponse, ApiError> {
    let is_forced = input.force_delete_without_recovery == Some(true);
    if is_forced && input.recovery_window_in_days.is_some() {
        let message = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.";
        return Err(error(ErrorCode::InvalidParameter, message));
    }
    let days = input.recovery_window_in_days.unwrap_or(30);
    if !(7..=30).contains(&days) {
        let message = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).";
        return Err(error(ErrorCode::InvalidParameter, message));
    }
    let (home, now) = (inner.config.home.clone(), inner.now());
    let at = if is_forced { now } else { now.saturating_add(days * DAY) };
    let text = input.secret_id;
    // Asked for twice, it is gone all the same.
    let nobodys = new_id(&text)?;
    let (id, name) = inner
        .transact(move |tx| {
            let Some(mut record) = lookup(tx, &home, &text)? else {
                return if is_forced && !text.starts_with("arn:") {
                    Ok((nobodys, text))
                } else {
                    Err(not_found().into())
                };
            };
            if is_forced {
                tx.delete_secret(&record.id)?;
                return Ok((record.id, record.name));
            }
            if record.delete_ms.is_some() {
                let message = "You tried to perform the operation on a secret that's currently marked deleted.";
                return Err(error(ErrorCode::InvalidRequest, message).into());
            }
            let mut document = Document::of(&record)?;
            document.deleted_ms = Some(now);
            record.delete_ms = Some(at);
            record.doc = document.to_json()?;
            tx.update_secret(&record)?;
            Ok::<_, Refused>((record.id, record.name))
        })
        .await?;
    Ok(DeleteSecretResponse {
        arn: Some(arn(&inner.config.home, &id)),
        name: Some(name),
        deletion_date: Some(Timestamp::from_millis(at)),
    })
}

pub(super) async fn restore_secret<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: RestoreSecretRequest,
) -> Result<RestoreSecretResponse, ApiError> {
    let (id, name) = edit(inner, input.secret_id, |_, record, document| {
        record.delete_ms = None;
        document.deleted_ms = None;
        Ok((record.id.clone(), record.name.clone()))
    })
    .await?;
    Ok(RestoreSecretResponse { arn: Some(arn(&inner.config.home, &id)), name: Some(name) })
}
