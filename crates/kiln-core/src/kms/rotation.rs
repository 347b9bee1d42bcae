//! New material for keys. What older material encrypted opens as before.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    kms::{
        DisableKeyRotationRequest, Empty, EnableKeyRotationRequest, GetKeyRotationStatusRequest,
        GetKeyRotationStatusResponse, IncludeKeyMaterial, KeyMaterialState, ListKeyRotationsRequest,
        ListKeyRotationsResponse, RotateKeyOnDemandRequest, RotateKeyOnDemandResponse, RotationType,
        RotationsListEntry,
    },
    service::Context,
};
use kiln_store::{
    keys::{Change, Keys},
    metadata::{KeyVersionRecord, KmsKeyState},
};

use super::{
    document::Document,
    edit::edit,
    keys::DAY,
    list::{Page, page},
    resolve::{Names, check_usable, error, find},
};
use crate::{core::Inner, runners::Runners};

/// Days from one rotation to the next when nothing else is said; what keys of the service show.
const YEAR: i32 = 365;
/// Rotations of a key on demand (AWS's quota).
const MOST_ON_DEMAND: usize = 25;

pub(super) async fn enable<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: EnableKeyRotationRequest,
) -> Result<Empty, ApiError> {
    let days = input.rotation_period_in_days;
    let now = inner.now();
    edit(inner, context, "EnableKeyRotation", &input.key_id, None, move |key| {
        check_usable(key.home, key.record)?;
        let days = days.or(key.document.rotation_days).unwrap_or(YEAR);
        if key.document.rotation_days != Some(days) {
            key.document.rotation_days = Some(days);
            key.record.rotate_ms = Some(now.saturating_add(i64::from(days) * DAY));
        }
        Ok(Empty {})
    })
    .await
}

pub(super) async fn disable<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: DisableKeyRotationRequest,
) -> Result<Empty, ApiError> {
    edit(inner, context, "DisableKeyRotation", &input.key_id, None, |key| {
        check_usable(key.home, key.record)?;
        key.document.rotation_days = None;
        key.record.rotate_ms = None;
        Ok(Empty {})
    })
    .await
}

pub(super) fn status<R: Runners>(
    inner: &Inner<R>,
    input: &GetKeyRotationStatusRequest,
) -> Result<GetKeyRotationStatusResponse, ApiError> {
    let home = &inner.config.home;
    inner.look(|view| {
        let record = find(view, home, &input.key_id, Names::Keys)?;
        let document = Document::of(&record)?;
        // A key that is to be deleted is not rotated; should it stay, it goes on as before.
        let waits = record.state == KmsKeyState::PendingDeletion;
        let days = document.rotation_days.filter(|_| !waits);
        Ok(GetKeyRotationStatusResponse {
            key_rotation_enabled: days.is_some(),
            key_id: Some(home.key_arn(&record.id)),
            rotation_period_in_days: days,
            next_rotation_date: record.rotate_ms.filter(|_| !waits).map(Timestamp::from_millis),
            on_demand_rotation_start_date: None,
        })
    })
}

pub(super) async fn on_demand<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: RotateKeyOnDemandRequest,
) -> Result<RotateKeyOnDemandResponse, ApiError> {
    let change = Change::NewVersion { now_ms: inner.now() };
    edit(inner, context, "RotateKeyOnDemand", &input.key_id, Some(change), |key| {
        check_usable(key.home, key.record)?;
        let arn = key.home.key_arn(&key.record.id);
        if key.document.on_demand.len() >= MOST_ON_DEMAND {
            let message = format!("{arn} was rotated on demand {MOST_ON_DEMAND} times, which is the most");
            return Err(error(ErrorCode::LimitExceeded, message).into());
        }
        let newest = key.tx.key_versions(&key.record.material)?.last().map_or(0, |version| version.version);
        key.document.on_demand.push(newest + 1);
        Ok(RotateKeyOnDemandResponse { key_id: Some(arn) })
    })
    .await
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    input: &ListKeyRotationsRequest,
) -> Result<ListKeyRotationsResponse, ApiError> {
    let home = &inner.config.home;
    let (record, versions) = inner.look(|view| {
        let record = find(view, home, &input.key_id, Names::Keys)?;
        let versions = view.key_versions(&record.material)?;
        Ok((record, versions))
    })?;
    let document = Document::of(&record).map_err(crate::records::Refused::from)?;
    let arn = home.key_arn(&record.id);
    let newest = versions.last().map_or(0, |version| version.version);
    let all = input.include_key_material == Some(IncludeKeyMaterial::AllKeyMaterial);
    let entry = |version: KeyVersionRecord| {
        let rotated = version.version > 1;
        let by = if document.on_demand.contains(&version.version) {
            RotationType::OnDemand
        } else {
            RotationType::Automatic
        };
        let state = if version.version == newest { KeyMaterialState::Current } else { KeyMaterialState::NonCurrent };
        RotationsListEntry {
            key_id: Some(arn.clone()),
            key_material_id: Some(Keys::material_id(&record.material, version.version)),
            key_material_state: Some(state),
            rotation_date: rotated.then(|| Timestamp::from_millis(version.created_ms)),
            rotation_type: rotated.then_some(by),
        }
    };
    let numbered: Vec<_> = versions
        .into_iter()
        .filter(|version| all || version.version > 1)
        .map(|version| (format!("{:010}", version.version), version))
        .collect();
    let read = |after: Option<&str>, limit| {
        let behind = numbered.into_iter().filter(|(number, _)| after.is_none_or(|after| number.as_str() > after));
        Ok(behind.take(limit).collect::<Vec<_>>())
    };
    let list = format!("rotations {} {all}", record.id);
    let page = page(&list, input.limit, input.marker.as_deref(), 100, read, |(number, _)| number)?;
    let Page { items, truncated, next_marker } = page;
    Ok(ListKeyRotationsResponse {
        rotations: items.into_iter().map(|(_, version)| entry(version)).collect(),
        truncated,
        next_marker,
    })
}
