//! Keys: made, described, enabled, disabled, deleted.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    kms::{
        CancelKeyDeletionRequest, CancelKeyDeletionResponse, CreateKeyRequest, CreateKeyResponse,
        CustomerMasterKeySpec, DescribeKeyRequest, DescribeKeyResponse, DisableKeyRequest, Empty, EnableKeyRequest,
        KeyListEntry, KeySpec, KeyState, KeyUsageType, ListKeysRequest, ListKeysResponse, OriginType,
        ResourceOwnerType, ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse, UpdateKeyDescriptionRequest,
    },
    service::Context,
};
use kiln_store::{
    keys::Change,
    metadata::{KeyVersionState, KmsKeyRecord, KmsKeyState},
};
use uuid::Uuid;

use super::{
    document::{Document, describe},
    edit::edit,
    list::{Page, page},
    policy,
    resolve::{Names, check_stays, error, find},
    tags,
};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Keys of an account (AWS's quota).
const MOST_KEYS: i64 = 100_000;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 86_400_000;
/// Days that a deletion waits when nothing else is said.
const WAIT: i32 = 30;

/// What cannot be had here.
fn unsupported(message: &str) -> ApiError {
    error(ErrorCode::UnsupportedOperation, message)
}

fn check_kind(input: &CreateKeyRequest) -> Result<(), ApiError> {
    let older = input.customer_master_key_spec.unwrap_or(CustomerMasterKeySpec::SymmetricDefault);
    let newer = input.key_spec.unwrap_or(KeySpec::SymmetricDefault);
    if input.key_spec.is_some() && input.customer_master_key_spec.is_some() {
        return Err(error(
            ErrorCode::Validation,
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
        ));
    }
    if older != CustomerMasterKeySpec::SymmetricDefault || newer != KeySpec::SymmetricDefault {
        return Err(unsupported(
            "only symmetric keys (KeySpec SYMMETRIC_DEFAULT) are available in this version of Kiln",
        ));
    }
    if input.key_usage.is_some_and(|usage| usage != KeyUsageType::EncryptDecrypt) {
        return Err(unsupported(
            "only keys for encryption (KeyUsage ENCRYPT_DECRYPT) are available in this version of Kiln",
        ));
    }
    if input.origin.is_some_and(|origin| origin != OriginType::AwsKms)
        || input.custom_key_store_id.is_some()
        || input.xks_key_id.is_some()
    {
        return Err(unsupported(
            "only keys whose material is made here (Origin AWS_KMS) are available in this version of Kiln",
        ));
    }
    if input.multi_region == Some(true) {
        return Err(unsupported("there are no other regions; leave MultiRegion out"));
    }
    Ok(())
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CreateKeyRequest,
) -> Result<CreateKeyResponse, ApiError> {
    check_kind(&input)?;
    let home = inner.config.home.clone();
    let (id, now) = (Uuid::new_v4().to_string(), inner.now());
    let policy = match input.policy {
        Some(text) => policy::checked(text)?,
        None => policy::default(&home),
    };
    if input.bypass_policy_lockout_safety_check != Some(true) {
        policy::check_lockout(inner, context, &policy, &id)?;
    }
    let mut document = Document::new(input.description.unwrap_or_default(), policy);
    tags::put(&mut document, input.tags.unwrap_or_default())?;
    let record = KmsKeyRecord {
        id: id.clone(),
        material: id.clone(),
        state: KmsKeyState::Enabled,
        created_ms: now,
        delete_ms: None,
        rotate_ms: None,
        doc: document.to_json().map_err(Refused::from)?,
    };
    let work = move |tx: &mut kiln_store::Tx<'_>| {
        if tx.kms_key_count()? >= MOST_KEYS {
            return Err(error(ErrorCode::LimitExceeded, format!("there are {MOST_KEYS} keys already")).into());
        }
        Ok::<_, Refused>(tx.insert_kms_key(&record)?)
    };
    inner.keys.change(&id, Change::NewVersion { now_ms: now }, work).await.map_err(ApiError::from)?;
    let metadata = inner.look(|view| Ok(describe(view, &home, &find(view, &home, &id, Names::Keys)?)?))?;
    Ok(CreateKeyResponse { key_metadata: Some(metadata) })
}

pub(super) fn describe_key<R: Runners>(
    inner: &Inner<R>,
    input: &DescribeKeyRequest,
) -> Result<DescribeKeyResponse, ApiError> {
    let home = &inner.config.home;
    inner.look(|view| {
        super::grants::check_tokens(view, input.grant_tokens.as_deref())?;
        let record = find(view, home, &input.key_id, Names::Aliases)?;
        Ok(DescribeKeyResponse { key_metadata: Some(describe(view, home, &record)?) })
    })
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, input: &ListKeysRequest) -> Result<ListKeysResponse, ApiError> {
    let home = &inner.config.home;
    // Nobody else shares keys.
    let others = input.resource_owners.as_ref().is_some_and(|owners| !owners.contains(&ResourceOwnerType::Own));
    let page = page(
        "keys",
        input.limit,
        input.marker.as_deref(),
        100,
        |after, limit| {
            if others { Ok(Vec::new()) } else { inner.look(|view| Ok(view.kms_keys(after, limit)?)) }
        },
        |key| &key.id,
    )?;
    let Page { items, truncated, next_marker } = page;
    let entry = |key: KmsKeyRecord| KeyListEntry { key_arn: Some(home.key_arn(&key.id)), key_id: Some(key.id) };
    Ok(ListKeysResponse { keys: items.into_iter().map(entry).collect(), truncated, next_marker })
}

pub(super) async fn enable<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: EnableKeyRequest,
) -> Result<Empty, ApiError> {
    let change = Change::State(KeyVersionState::Enabled);
    edit(inner, context, "EnableKey", &input.key_id, Some(change), |key| {
        check_stays(key.home, key.record)?;
        key.record.state = KmsKeyState::Enabled;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn disable<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: DisableKeyRequest,
) -> Result<Empty, ApiError> {
    let change = Change::State(KeyVersionState::Disabled);
    edit(inner, context, "DisableKey", &input.key_id, Some(change), |key| {
        check_stays(key.home, key.record)?;
        key.record.state = KmsKeyState::Disabled;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn update_description<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: UpdateKeyDescriptionRequest,
) -> Result<Empty, ApiError> {
    edit(inner, context, "UpdateKeyDescription", &input.key_id, None, |key| {
        check_stays(key.home, key.record)?;
        key.document.description = input.description;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn schedule_deletion<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: ScheduleKeyDeletionRequest,
) -> Result<ScheduleKeyDeletionResponse, ApiError> {
    let days = input.pending_window_in_days.unwrap_or(WAIT);
    if !(7..=WAIT).contains(&days) {
        let message = format!("PendingWindowInDays must be between 7 and {WAIT}, inclusive");
        return Err(error(ErrorCode::Validation, message));
    }
    let at = inner.now().saturating_add(i64::from(days) * DAY);
    let change = Change::State(KeyVersionState::Disabled);
    edit(inner, context, "ScheduleKeyDeletion", &input.key_id, Some(change), move |key| {
        check_stays(key.home, key.record)?;
        key.record.state = KmsKeyState::PendingDeletion;
        key.record.delete_ms = Some(at);
        Ok(ScheduleKeyDeletionResponse {
            key_id: Some(key.home.key_arn(&key.record.id)),
            deletion_date: Some(Timestamp::from_millis(at)),
            key_state: Some(KeyState::PendingDeletion),
            pending_window_in_days: Some(days),
        })
    })
    .await
}

/// The key is there again, disabled.
pub(super) async fn cancel_deletion<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CancelKeyDeletionRequest,
) -> Result<CancelKeyDeletionResponse, ApiError> {
    edit(inner, context, "CancelKeyDeletion", &input.key_id, None, |key| {
        let arn = key.home.key_arn(&key.record.id);
        if key.record.state != KmsKeyState::PendingDeletion {
            return Err(error(ErrorCode::KmsInvalidState, format!("{arn} is not pending deletion.")).into());
        }
        key.record.state = KmsKeyState::Disabled;
        key.record.delete_ms = None;
        Ok(CancelKeyDeletionResponse { key_id: Some(arn) })
    })
    .await
}
