//! What builds say about themselves: `CodeBuild Build State Change` (`api.md` 4.1), when they are accepted and when they
//! are over.

use kiln_model::{
    PhaseType, Timestamp,
    arn::{Arn, Home},
    codebuild::{Build, BuildPhase},
};
use kiln_store::{StoreError, Tx};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, macros::format_description};

use super::publish::{Event, publish};
use crate::{document::Document, lifecycle::State};

/// Publishes that a build was accepted, or is over.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn state_changed(tx: &mut Tx<'_>, document: &Document) -> Result<(), StoreError> {
    // Most services have no such rules: nothing is made that nobody reads.
    if tx.event_rules_with_pattern()?.is_empty() {
        return Ok(());
    }
    let Ok(Arn { region, account, .. }) = document.build.arn.parse() else { return Ok(()) };
    let home = Home { region, account };
    let life = &document.lifecycle;
    let (moment, time_ms) = match (life.state, life.ended_ms) {
        (State::Ended, Some(ended_ms)) => ("ended", ended_ms),
        _ => ("submitted", life.submitted_ms),
    };
    let event = Event {
        id: super::publish::id_of(&[document.uuid(), moment]),
        time_ms,
        source: "aws.codebuild".to_owned(),
        detail_type: "CodeBuild Build State Change".to_owned(),
        resources: vec![document.build.arn.clone()],
        detail: detail(document, &document.show(&home, "")),
    };
    publish(tx, &home, &event).map(drop)
}

fn detail(document: &Document, build: &Build) -> Value {
    let is_over = document.lifecycle.state == State::Ended;
    let phase = build.current_phase.unwrap_or(PhaseType::Submitted);
    json!({
        "build-status": document.lifecycle.status.as_str(),
        "project-name": build.project_name,
        "build-id": build.arn,
        "additional-information": additional(document, build, is_over),
        "current-phase": phase.as_str(),
        "current-phase-context": if is_over { "[: ]" } else { "[]" },
        "version": "1",
    })
}

fn additional(document: &Document, build: &Build, is_over: bool) -> Value {
    let whole = kebab(serde_json::to_value(build).unwrap_or(Value::Null));
    let mut told = Map::new();
    for member in ["cache", "environment", "initiator", "source", "source-version"] {
        told.extend(whole.get(member).map(|value| (member.to_owned(), value.clone())));
    }
    for member in ["timeout-in-minutes", "queued-timeout-in-minutes", "build-number"] {
        // Numbers are doubles in events.
        let number = whole.get(member).and_then(Value::as_f64);
        told.extend(number.map(|number| (member.to_owned(), number.into())));
    }
    let artifact = &build.artifacts;
    told.insert(
        "artifact".to_owned(),
        json!({ "location": artifact.location, "md5sum": artifact.md5sum, "sha256sum": artifact.sha256sum }),
    );
    told.insert("build-complete".to_owned(), is_over.into());
    told.extend(build.start_time.map(|at| ("build-start-time".to_owned(), text_of(at).into())));
    let logs = build.logs.as_ref().and_then(|logs| Some((logs.group_name.as_ref()?, logs.stream_name.as_ref()?)));
    told.extend(logs.map(|(group, stream)| ("logs".to_owned(), json!({ "group-name": group, "stream-name": stream }))));
    if is_over {
        let exported = document.exported.iter().map(|(name, value)| json!({ "name": name, "value": value }));
        told.insert("exported-environment-variables".to_owned(), exported.collect());
        told.insert("phases".to_owned(), build.phases.iter().map(phase).collect());
    }
    Value::Object(told)
}

fn phase(phase: &BuildPhase) -> Value {
    let mut told = Map::new();
    told.extend(phase.phase_type.map(|kind| ("phase-type".to_owned(), kind.as_str().into())));
    told.extend(phase.phase_status.map(|status| ("phase-status".to_owned(), json!(status))));
    let contexts = phase
        .contexts
        .iter()
        .flatten()
        .map(|context| Value::from(format!("{}: {}", context.status_code, context.message)));
    let contexts: Vec<Value> = contexts.collect();
    if phase.phase_status.is_some() {
        told.insert("phase-context".to_owned(), contexts.into());
    }
    told.extend(phase.start_time.map(|at| ("start-time".to_owned(), text_of(at).into())));
    told.extend(phase.end_time.map(|at| ("end-time".to_owned(), text_of(at).into())));
    told.extend(phase.duration_in_seconds.map(|seconds| ("duration-in-seconds".to_owned(), json!(seconds))));
    Value::Object(told)
}

/// A time as people write it in the United States: `Oct 10, 2023 9:46:46 PM`.
fn text_of(time: Timestamp) -> String {
    let format = format_description!(
        "[month repr:short] [day padding:none], [year] [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    let seconds = time.millis().div_euclid(1000);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

/// Names of members as events have them: `computeType` is `compute-type`.
fn kebab(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().map(|(name, value)| (kebab_name(&name), kebab(value))).collect(),
        Value::Array(items) => items.into_iter().map(kebab).collect(),
        other => other,
    }
}

fn kebab_name(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_those_of_events() {
        assert_eq!(kebab_name("imagePullCredentialsType"), "image-pull-credentials-type");
        let value = kebab(json!({ "gitCloneDepth": 1, "a": [{ "bC": { "dE": null } }] }));
        assert_eq!(value, json!({ "git-clone-depth": 1, "a": [{ "b-c": { "d-e": null } }] }));
        assert_eq!(text_of(Timestamp::from_millis(1_696_974_406_999)), "Oct 10, 2023 9:46:46 PM");
        assert_eq!(text_of(Timestamp::from_millis(0)), "Jan 1, 1970 12:00:00 AM");
    }
}
