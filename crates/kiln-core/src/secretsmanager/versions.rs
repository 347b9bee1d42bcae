//! Versions and their labels.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    secretsmanager::{
        ListSecretVersionIdsRequest, ListSecretVersionIdsResponse, SecretVersionsListEntry,
        UpdateSecretVersionStageRequest, UpdateSecretVersionStageResponse,
    },
    service::Context,
};

use super::{
    CURRENT,
    document::{Document, VersionDocument},
    error,
    find::{arn, check_live, edit, find},
    list::{next, start},
    values::{check_stages, put_stage},
};
use crate::{core::Inner, runners::Runners};

/// Moves or removes a label.
fn move_stage(document: &mut Document, stage: &str, from: Option<&str>, to: Option<&str>) -> Result<(), ApiError> {
    let invalid = |message: String| error(ErrorCode::InvalidParameter, message);
    let now_on = document.stages.get(stage).cloned();
    if let Some(from) = from.filter(|from| now_on.as_deref() != Some(from)) {
        return Err(invalid(format!("The staging label {stage} isn't currently attached to version {from}.")));
    }
    let Some(to) = to else {
        if from.is_none() {
            return Err(invalid("You must provide RemoveFromVersionId, MoveToVersionId or both.".to_owned()));
        }
        if stage == CURRENT {
            return Err(invalid(format!(
                "You can only move staging label {CURRENT} to a different secret version. It can't be completely removed."
            )));
        }
        document.stages.remove(stage);
        return Ok(());
    };
    if let Some(on) = now_on.filter(|on| from.is_none() && on != to) {
        return Err(invalid(format!(
            "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version \
             {on}, so you must explicitly reference that version in RemoveFromVersionId."
        )));
    }
    put_stage(document, stage, to);
    check_stages(document, to)
}

pub(super) async fn update_secret_version_stage<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UpdateSecretVersionStageRequest,
) -> Result<UpdateSecretVersionStageResponse, ApiError> {
    let now = inner.now();
    let (id, name) = edit(inner, input.secret_id, move |tx, record, document| {
        check_live(record)?;
        let (from, to) = (input.remove_from_version_id.as_deref(), input.move_to_version_id.as_deref());
        for version in from.into_iter().chain(to) {
            if tx.secret_version(&record.id, version)?.is_none() {
                let message = format!("Secrets Manager can't find the specified secret version: {version}.");
                return Err(error(ErrorCode::ResourceNotFound, message).into());
            }
        }
        move_stage(document, &input.version_stage, from, to)?;
        document.changed_ms = now;
        Ok((record.id.clone(), record.name.clone()))
    })
    .await?;
    Ok(UpdateSecretVersionStageResponse { arn: Some(arn(&inner.config.home, &id)), name: Some(name) })
}

pub(super) async fn list_secret_version_ids<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListSecretVersionIdsRequest,
) -> Result<ListSecretVersionIdsResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document, versions) = inner.look(|view| {
        let (record, document) = find(view, home, &input.secret_id)?;
        let versions = view.secret_versions(&record.id)?;
        Ok((record, document, versions))
    })?;
    let list = format!("versions {}", record.id);
    let after: Option<(i64, String)> = start(&list, input.next_token.as_deref())?;
    let mut entries = Vec::new();
    for version in versions {
        let place = (version.created_ms, version.version.clone());
        let stages = document.stages_of(&version.version);
        let is_asked = !stages.is_empty() || input.include_deprecated == Some(true);
        if !is_asked || after.as_ref().is_some_and(|after| place <= *after) {
            continue;
        }
        let own = VersionDocument::of(&version).map_err(crate::records::Refused::from)?;
        let entry = SecretVersionsListEntry {
            version_id: Some(version.version),
            version_stages: Some(stages).filter(|stages| !stages.is_empty()),
            last_accessed_date: own.accessed_ms.map(Timestamp::from_millis),
            created_date: Some(Timestamp::from_millis(version.created_ms)),
            kms_key_ids: Some(vec![own.key.unwrap_or_else(|| "DefaultEncryptionKey".to_owned())]),
        };
        entries.push((place, entry));
    }
    let (versions, next_token) = next(&list, entries, input.max_results, 100);
    Ok(ListSecretVersionIdsResponse {
        versions: Some(versions),
        next_token,
        arn: Some(arn(home, &record.id)),
        name: Some(record.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_move_as_callers_say() {
        let mut document = Document::new(0);
        for (stage, version) in [(CURRENT, "b"), ("AWSPREVIOUS", "a"), ("mine", "a")] {
            document.stages.insert(stage.to_owned(), version.to_owned());
        }
        for (stage, from, to, said) in [
            (CURRENT, Some("b"), None, "can't be completely removed"),
            (CURRENT, None, Some("a"), "explicitly reference"),
            (CURRENT, Some("a"), Some("b"), "isn't currently attached to version a"),
            ("mine", None, None, "or both"),
            ("other", Some("a"), None, "isn't currently attached"),
        ] {
            let error = move_stage(&mut document, stage, from, to).unwrap_err();
            assert!(error.message.contains(said), "{error}");
        }
        move_stage(&mut document, CURRENT, Some("b"), Some("a")).unwrap();
        assert_eq!(document.stages_of("a"), [CURRENT, "mine"]);
        assert_eq!(document.stages_of("b"), ["AWSPREVIOUS"]);
        move_stage(&mut document, "mine", Some("a"), None).unwrap();
        move_stage(&mut document, "new", None, Some("b")).unwrap();
        assert_eq!(document.stages_of("b"), ["AWSPREVIOUS", "new"]);
    }
}
