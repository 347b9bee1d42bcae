//! Events that callers say happened, and patterns that they try.

use kiln_model::{
    ApiError, Timestamp,
    events::{
        PutEventsRequest, PutEventsRequestEntry, PutEventsResponse, PutEventsResultEntry, TestEventPatternRequest,
        TestEventPatternResponse,
    },
    service::Context,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    error::{check_bus, invalid},
    publish::{Event, publish},
    rules::pattern,
};
use crate::{core::Inner, runners::Runners};

/// Bytes of the events of one call (AWS's limit).
const MOST_BYTES: usize = 256 << 10;

/// What counts of an event.
fn size(entry: &PutEventsRequestEntry) -> usize {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let resources: usize = entry.resources.iter().flatten().map(String::len).sum();
    let time = if entry.time.is_some() { 14 } else { 0 };
    time + length(&entry.source) + length(&entry.detail_type) + length(&entry.detail) + resources
}

/// An event of a caller; or code and message that say why it is none.
fn event(entry: PutEventsRequestEntry, now: i64) -> Result<Event, (&'static str, String)> {
    let required = |name: &str, value: Option<String>| {
        let missing = || {
            let message = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
            ("InvalidArgument", message)
        };
        value.filter(|text| !text.is_empty()).ok_or_else(missing)
    };
    let source = required("Source", entry.source)?;
    let detail_type = required("DetailType", entry.detail_type)?;
    let detail = required("Detail", entry.detail)?;
    // What AWS's own services say nobody else may say.
    if source.to_ascii_lowercase().starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail: Value = match serde_json::from_str(&detail) {
        Ok(detail @ Value::Object(_)) => detail,
        _ => return Err(("MalformedDetail", "Detail is malformed.".to_owned())),
    };
    Ok(Event {
        id: Uuid::new_v4().to_string(),
        time_ms: entry.time.map_or(now, Timestamp::millis),
        source,
        detail_type,
        resources: entry.resources.unwrap_or_default(),
        detail,
    })
}

pub(super) async fn put_events<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutEventsRequest,
) -> Result<PutEventsResponse, ApiError> {
    if let Some(endpoint) = input.endpoint_id {
        return Err(invalid(format!("Endpoint {endpoint} does not exist: there are no global endpoints in Kiln.")));
    }
    if input.entries.iter().map(size).sum::<usize>() > MOST_BYTES {
        return Err(invalid("Total size of the entries in the request is over the limit."));
    }
    let now = inner.now();
    let (mut results, mut events) = (Vec::new(), Vec::new());
    for entry in input.entries {
        let on_bus = check_bus(&inner.config.home, entry.event_bus_name.as_deref());
        let made = on_bus.map_err(|error| (error.code.as_str(), error.message)).and_then(|()| event(entry, now));
        results.push(match made {
            Ok(event) => {
                let id = event.id.clone();
                events.push(event);
                PutEventsResultEntry { event_id: Some(id), ..PutEventsResultEntry::default() }
            }
            Err((code, message)) => PutEventsResultEntry {
                error_code: Some(code.to_owned()),
                error_message: Some(message),
                ..PutEventsResultEntry::default()
            },
        });
    }
    let failed = results.iter().filter(|result| result.error_code.is_some()).count();
    let home = inner.config.home.clone();
    let work = inner.transact(move |tx| {
        let mut count = 0;
        for event in &events {
            count += publish(tx, &home, event)?;
        }
        Ok(count)
    });
    if work.await? > 0 {
        inner.events.ring();
    }
    let failed = i32::try_from(failed).unwrap_or(i32::MAX);
    Ok(PutEventsResponse { failed_entry_count: Some(failed), entries: Some(results) })
}

pub(super) async fn test_event_pattern<R: Runners>(
    _: &Inner<R>,
    _: &Context,
    input: TestEventPatternRequest,
) -> Result<TestEventPatternResponse, ApiError> {
    const MEMBERS: [&str; 7] = ["id", "account", "source", "time", "region", "resources", "detail-type"];
    let pattern = pattern(&input.event_pattern)?;
    let event: Value = serde_json::from_str(&input.event)
        .map_err(|error| invalid(format!("Parameter Event is not valid. Reason: it is not JSON: {error}")))?;
    if let Some(missing) = MEMBERS.into_iter().find(|member| event.get(member).is_none()) {
        return Err(invalid(format!("Parameter Event is not valid. Reason: {missing} is a required argument.")));
    }
    Ok(TestEventPatternResponse { result: Some(pattern.matches(&event)) })
}
