//! Starting what is to be started: a build of a project, once.

use std::sync::Arc;

use kiln_iam::policy::{ResourceRule, input_keys, table::table};
use kiln_model::{ApiError, ErrorCode, audit::Rulings, codebuild::StartBuildInput, decode::from_value};
use kiln_store::{StoreError, Tx, metadata::EventDeliveryRecord};
use serde_json::Value;
use uuid::Uuid;

use super::document::{DeliveryDocument, Failed, RuleDocument, Started, rule_arn};
use crate::{
    accept,
    core::Inner,
    iam::{Asked, KeyValue},
    lifecycle::Millis,
    records::Refused,
    runners::Runners,
};

/// The longest wait between two tries.
const LONGEST_WAIT_MS: Millis = 5 * 60 * 1000;

/// Whether it is time for a delivery. One that is due later than any is had its clock set back.
pub(super) fn is_due(due: Millis, now: Millis) -> bool {
    due <= now || due > now.saturating_add(LONGEST_WAIT_MS)
}

/// How long to wait before the next try.
fn wait_ms(attempts: u32) -> Millis {
    1000_i64.checked_shl(attempts.min(16)).unwrap_or(LONGEST_WAIT_MS).min(LONGEST_WAIT_MS)
}

/// Whether another try may succeed: what is wrong is not the request.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Throttling
            | ErrorCode::AccountLimitExceeded
            | ErrorCode::InternalFailure
            | ErrorCode::ServiceUnavailable
    )
}

/// Starts it, or notes why not.
pub(super) fn deliver<R: Runners>(
    inner: &Arc<Inner<R>>,
    record: &EventDeliveryRecord,
    now: Millis,
) -> Result<(), StoreError> {
    let document = DeliveryDocument::of(record)?;
    match start(inner, record, &document, now) {
        Ok(()) => Ok(()),
        Err(Refused::Store(error)) => Err(error),
        Err(Refused::Api(error)) => put_off(inner, record, document, &error, now),
    }
}

fn start<R: Runners>(
    inner: &Arc<Inner<R>>,
    record: &EventDeliveryRecord,
    delivery: &DeliveryDocument,
    now: Millis,
) -> Result<(), Refused> {
    let home = &inner.config.home;
    let missing = || ApiError::not_found(format!("Project cannot be found: {}", delivery.arn));
    let project = home.local("project", &delivery.arn).ok_or_else(missing)?.to_owned();
    let (input, raw) = input_of(&delivery.input, &project)?;
    permit(inner, &record.rule, delivery, &raw)?;
    accept::check_room(inner)?;
    let starting = accept::Starting::new(inner, format!("rule/{}", record.rule), None);
    let (id, rule, uid) = (record.id.clone(), record.rule.clone(), delivery.rule_uid.clone());
    let (uuid, boot) = (Uuid::new_v4().to_string(), inner.clock.boot_time());
    // The client's error is brought out beside the store's.
    let started = inner.metadata.write_blocking(move |tx| {
        // Whoever was here before has started it.
        if tx.event_delivery(&id)?.is_none() {
            return Ok(Ok(None));
        }
        match starting.insert(tx, &project, input, &uuid, now, boot) {
            Ok(build) => {
                tx.delete_event_delivery(&id)?;
                let started = Started { at_ms: now, build: build.build.id.clone() };
                note(tx, &rule, &uid, |document| document.started = Some(started))?;
                Ok(Ok(Some(build)))
            }
            Err(Refused::Store(error)) => Err(error),
            Err(Refused::Api(error)) => Ok(Err(error)),
        }
    })??;
    if let Some(build) = started {
        tracing::info!(rule = %record.rule, build.id = %build.build.id, "a rule started a build");
        inner.enqueue(&build);
    }
    Ok(())
}

/// What a target is given, as the request that it is: overrides of a build.
fn input_of(text: &str, project: &str) -> Result<(StartBuildInput, Value), ApiError> {
    let wrong = |why: String| ApiError::invalid_input(format!("the target's input: {why}"));
    let mut value: Value = serde_json::from_str(text).map_err(|error| wrong(format!("it is not JSON: {error}")))?;
    let members = value.as_object_mut().ok_or_else(|| wrong("it is not a JSON object".to_owned()))?;
    members.insert("projectName".to_owned(), project.into());
    // A delivery starts one build already, and several with the same input start several.
    members.remove("idempotencyToken");
    let input = from_value(value.clone()).map_err(|error| wrong(error.message))?;
    Ok((input, value))
}

/// Whether the target's role lets the build be started so.
fn permit<R: Runners>(
    inner: &Inner<R>,
    rule: &str,
    delivery: &DeliveryDocument,
    input: &Value,
) -> Result<(), ApiError> {
    const ACTION: &str = "codebuild:StartBuild";
    let home = &inner.config.home;
    let caller = inner.events_caller(&delivery.role, &rule_arn(home, rule))?;
    let known = table().operation("codebuild", "StartBuild").and_then(|row| row.when(None)).map(|row| &row.keys[..]);
    let mut pairs = input_keys("StartBuild", input, known.unwrap_or_default());
    pairs.push(("aws:SecureTransport".to_owned(), "true".to_owned()));
    let keys = KeyValue::grouped(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let asked = |action, resource, keys| Asked {
        action,
        resource: Some(resource),
        account: &home.account,
        keys,
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    inner.decide(Some(&caller), &asked(ACTION, &delivery.arn, &keys), &Rulings::default())?;
    let passed = input["serviceRoleOverride"].as_str().filter(|role| !role.is_empty()).map(|role| home.role_arn(role));
    if let Some(role) = passed {
        let keys = [KeyValue::one("iam:PassedToService", "codebuild.amazonaws.com")];
        inner.decide(Some(&caller), &asked("iam:PassRole", &role, &keys), &Rulings::default())?;
    }
    Ok(())
}

/// Has it tried again later, or gives it up.
fn put_off<R: Runners>(
    inner: &Inner<R>,
    record: &EventDeliveryRecord,
    mut document: DeliveryDocument,
    error: &ApiError,
    now: Millis,
) -> Result<(), StoreError> {
    let wait = wait_ms(document.attempts);
    let again = is_passing(error.code)
        && document.attempts < document.most_attempts
        && document.waited_ms.saturating_add(wait) <= document.longest_ms;
    let EventDeliveryRecord { id, rule, .. } = record.clone();
    let (target, uid) = (document.target.clone(), document.rule_uid.clone());
    if again {
        document.attempts += 1;
        document.waited_ms += wait;
        let later = document.record(id, &rule, now.saturating_add(wait))?;
        tracing::info!(rule = %rule, target, error = %error, "a rule's build could not be started yet");
        return inner.metadata.write_blocking(move |tx| match tx.event_delivery(&later.id)? {
            Some(_) => tx.put_event_delivery(&later),
            None => Ok(()),
        });
    }
    tracing::warn!(rule = %rule, target, error = %error, "a rule's build could not be started");
    let failed = Failed { at_ms: now, target, code: error.code.as_str().to_owned(), message: error.message.clone() };
    inner.metadata.write_blocking(move |tx| {
        tx.delete_event_delivery(&id)?;
        note(tx, &rule, &uid, |document| document.failed = Some(failed))
    })
}

/// Notes something with a rule, if it is still the same.
fn note(tx: &mut Tx<'_>, rule: &str, uid: &str, edit: impl FnOnce(&mut RuleDocument)) -> Result<(), StoreError> {
    let Some(record) = tx.event_rule(rule)? else { return Ok(()) };
    let mut document = RuleDocument::of(&record)?;
    if document.uid == uid {
        edit(&mut document);
        tx.put_event_rule(&document.noted(record)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_are_given_are_overrides_of_a_build() {
        let (input, raw) =
            input_of(r#"{"sourceVersion": "main", "idempotencyToken": "t", "projectName": "other"}"#, "demo").unwrap();
        assert_eq!((input.project_name.as_str(), input.source_version.as_deref()), ("demo", Some("main")));
        assert_eq!((input.idempotency_token, raw["projectName"].as_str()), (None, Some("demo")));
        for (text, why) in [
            ("", "not JSON"),
            ("null", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"timeoutInMinutesOverride": 1}"#, "timeoutInMinutesOverride"),
        ] {
            let error = input_of(text, "demo").unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput);
            assert!(error.message.contains(why), "{error}");
        }
    }

    #[test]
    fn tries_come_less_and_less_often() {
        let waits: Vec<_> = (0..12).map(wait_ms).collect();
        assert_eq!(&waits[..4], [1000, 2000, 4000, 8000]);
        assert!(waits.is_sorted() && waits[11] == LONGEST_WAIT_MS && wait_ms(u32::MAX) == LONGEST_WAIT_MS);
        assert!(
            is_due(Millis::MIN, 0)
                && is_due(5, 5)
                && !is_due(6, 5)
                && !is_due(LONGEST_WAIT_MS, 0)
                && is_due(LONGEST_WAIT_MS + 1, 0)
        );
    }
}
