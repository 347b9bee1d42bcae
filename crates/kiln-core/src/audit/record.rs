//! What stands in a record.

use kiln_model::{
    Timestamp,
    arn::Home,
    audit::Call,
    kiln::{AuditEvent, AuditResource, UserIdentity},
    service::Caller,
};
use kiln_store::audit::Mark;
use serde_json::{Value, json};
use time::{OffsetDateTime, macros::format_description};

/// Form of records; members are only added.
const VERSION: &str = "1.0";
/// Longest text that comes from outside and has no limit of its own, characters.
const LONGEST: usize = 1024;

/// A time as records have it: always with milliseconds, so that texts are in the order of times.
pub(super) fn text_of(time: Timestamp) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanoseconds = i128::from(time.millis()) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

/// The record of a call. `untold`: so many calls of unknown callers before it have none.
pub(super) fn of_call(call: Call, untold: u64, sequence: u64, home: &Home) -> Vec<u8> {
    let Call { service, operation, caller, access_key_id, address, user_agent, error, parameters, .. } = call;
    let event = AuditEvent {
        event_version: VERSION.to_owned(),
        sequence,
        event_time: text_of(call.time),
        event_type: "AwsApiCall".to_owned(),
        event_source: source(&service),
        // Who does not say what they want is told so; there is nothing to call it by.
        event_name: operation.map_or_else(|| "Unknown".to_owned(), |name| shortened(&name)),
        aws_region: home.region.clone(),
        user_identity: Some(match caller {
            Some(caller) => identity(caller),
            None => UserIdentity {
                r#type: "Unknown".to_owned(),
                access_key_id: access_key_id.map(|id| shortened(&id)),
                ..UserIdentity::default()
            },
        }),
        source_ip_address: Some(address.unwrap_or_else(|| "unix socket".to_owned())),
        user_agent: user_agent.map(|agent| shortened(&agent)),
        tls: Some(call.is_tls),
        request_id: Some(call.request_id),
        read_only: Some(call.is_read_only),
        resources: call.resources.into_iter().map(|arn| AuditResource { arn: shortened(&arn) }).collect(),
        request_parameters: parameters.map(|read| read()).filter(|value| !value.is_null()),
        authorization: call.rulings,
        error_message: error.as_ref().map(|error| shortened(&error.message)),
        error_code: error.map(|error| error.code),
        service_event_details: (untold > 0).then(|| json!({ "unrecordedCallsOfUnknownCallers": untold })),
    };
    to_bytes(&event)
}

/// The record of what the log says of itself.
pub(super) fn of_mark(mark: &Mark, sequence: u64, home: &Home, now_ms: i64) -> Vec<u8> {
    let (name, details) = match mark {
        Mark::Opened(opened) => {
            let before = if opened.is_new {
                "new"
            } else if opened.was_closed {
                "closed"
            } else {
                "interrupted"
            };
            ("AuditLogOpened", json!({ "before": before, "damage": opened.damage }))
        }
        Mark::Gap { lost } => ("AuditRecordsLost", json!({ "records": lost })),
        Mark::Closed => ("AuditLogClosed", Value::Null),
    };
    to_bytes(&AuditEvent {
        event_version: VERSION.to_owned(),
        sequence,
        event_time: text_of(Timestamp::from_millis(now_ms)),
        event_type: "AwsServiceEvent".to_owned(),
        event_source: source("kiln"),
        event_name: name.to_owned(),
        aws_region: home.region.clone(),
        service_event_details: Some(details).filter(|details| !details.is_null()),
        ..AuditEvent::default()
    })
}

fn to_bytes(event: &AuditEvent) -> Vec<u8> {
    // Nothing in it can fail: keys of maps are texts, and numbers are whole.
    serde_json::to_vec(event).unwrap_or_else(|error| error.to_string().into_bytes())
}

/// A service as records name it.
pub(super) fn source(service: &str) -> String {
    if service.contains('.') { service.to_owned() } else { format!("{service}.amazonaws.com") }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn identity(caller: Caller) -> UserIdentity {
    let is_role = caller.arn.contains(":assumed-role/");
    let kind = if caller.arn.is_empty() {
        "Anonymous"
    } else if caller.arn.ends_with(":root") {
        "Root"
    } else if is_role {
        "AssumedRole"
    } else {
        "IAMUser"
    };
    UserIdentity {
        r#type: kind.to_owned(),
        principal_id: Some(caller.user_id).filter(|id| !id.is_empty()),
        account_id: Some(caller.account),
        access_key_id: Some(caller.access_key_id).filter(|id| !id.is_empty()),
        user_name: (kind == "IAMUser").then_some(caller.name),
        arn: Some(caller.arn).filter(|arn| !arn.is_empty()),
        session_creation_date: caller.session.map(|session| text_of(session.issued)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_in_their_order() {
        assert_eq!(text_of(Timestamp::from_millis(1_795_696_315_000)), "2026-11-26T12:31:55.000Z");
        assert_eq!(text_of(Timestamp::from_millis(7)), "1970-01-01T00:00:00.007Z");
    }

    #[test]
    fn what_comes_from_outside_is_bounded() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"ä".repeat(5000)).chars().count(), LONGEST + 1);
    }
}
