//! `PutLogEvents`: events that callers put. They are on the disk before the answer, and the stream's row says so.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use kiln_model::{
    ApiError,
    logs::{InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo},
    service::Context,
};
use kiln_store::logs::Batch;
use tokio::sync::{Mutex, MutexGuard};

use super::{
    blocking,
    document::Document,
    expiry::oldest,
    invalid,
    name::{find_group, find_stream, no_stream},
    source::OVERHEAD,
    streams::SEQUENCE_TOKEN,
    written,
};
use crate::{core::Inner, lifecycle::Millis, runners::Runners};

/// What the events of a call count, bytes, at most.
const MOST_BYTES: usize = 1_048_576;
/// Streams of one turn share it with others by chance: so many turns there are.
const TURNS: usize = 64;
const HOUR: Millis = 60 * 60 * 1000;
pub(super) const DAY: Millis = 24 * HOUR;
/// Between the first and the last event of a call.
const LONGEST: Millis = DAY;
/// How far an event may lie in the future, and in the past.
const NEWEST: Millis = 2 * HOUR;
const OLDEST: Millis = 14 * DAY;

/// One after another: a stream's events are put by one call at a time.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Self {
        Self(std::iter::repeat_with(Mutex::default).take(TURNS).collect())
    }
}

impl Turns {
    /// Waits for the turn at a stream, which lasts as long as what is returned.
    pub(super) async fn turn(&self, group: &str, name: &str) -> Option<MutexGuard<'_, ()>> {
        match self.of(group, name) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// The same for a thread that may wait.
    pub(super) fn turn_of_thread(&self, group: &str, name: &str) -> Option<MutexGuard<'_, ()>> {
        self.of(group, name).map(Mutex::blocking_lock)
    }

    fn of(&self, group: &str, name: &str) -> Option<&Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        (group, name).hash(&mut hasher);
        self.0.get(usize::try_from(hasher.finish() % TURNS as u64).ok()?)
    }
}

/// What of a call's events is taken: those from one index on and before another; which are not.
#[derive(Debug, PartialEq)]
struct Taken {
    from: usize,
    to: usize,
    rejected: Option<RejectedLogEventsInfo>,
}

/// Checks the events of a call, and says which are taken.
fn check(events: &[InputLogEvent], now: Millis, retention_days: Option<i32>) -> Result<Taken, ApiError> {
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let (first, last) = (events.first().map_or(0, |e| e.timestamp), events.last().map_or(0, |e| e.timestamp));
    if last.saturating_sub(first) > LONGEST {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    let bytes: usize = events.iter().map(|event| event.message.len() + OVERHEAD).sum();
    if bytes > MOST_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {MOST_BYTES}")));
    }
    // They are in order: the old ones come first, those that are too new last.
    let before = |ms: Millis| events.partition_point(|event| event.timestamp < ms);
    let expired = retention_days.map_or(0, |_| before(oldest(now, retention_days)));
    let old = before(now.saturating_sub(OLDEST));
    let new = before(now.saturating_add(NEWEST).saturating_add(1));
    let index = |n: usize, is_some: bool| is_some.then(|| i32::try_from(n).unwrap_or(i32::MAX));
    let info = RejectedLogEventsInfo {
        too_new_log_event_start_index: index(new, new < events.len()),
        too_old_log_event_end_index: index(old, old > 0),
        expired_log_event_end_index: index(expired, expired > 0),
    };
    let from = old.max(expired);
    let rejected = (info != RejectedLogEventsInfo::default()).then_some(info);
    Ok(Taken { from, to: new.max(from), rejected })
}

pub(super) async fn put_log_events<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutLogEventsRequest,
) -> Result<PutLogEventsResponse, ApiError> {
    let now = inner.now();
    let (group, name) = (input.log_group_name, input.log_stream_name);
    // One after another in each stream: each goes on where the one before it ends.
    let _turn = inner.puts.turn(&group, &name).await;
    let (stream, document) = inner.look(|view| {
        let stream = find_stream(view, &group, &name)?;
        let (_, document): (_, Document) = find_group(view, &group)?;
        Ok((stream, document))
    })?;
    if let Some(build) = &stream.build {
        return Err(invalid(format!("The log stream is the log of build {build}: only the build writes to it")));
    }
    let Taken { from, to, rejected } = check(&input.log_events, now, document.retention_days)?;
    let events: Vec<(i64, String)> =
        input.log_events.into_iter().take(to).skip(from).map(|event| (event.timestamp, event.message)).collect();
    if let (Some((first_ms, _)), Some((last_ms, _))) = (events.first(), events.last()) {
        let (first_ms, last_ms, count) = (*first_ms, *last_ms, i64::try_from(events.len()).unwrap_or(i64::MAX));
        let events = Arc::new(events);
        let (logs, stored, first) = (inner.logs.clone(), stream.stored.cast_unsigned(), stream.events.cast_unsigned());
        let (target, told) = ((group.clone(), name.clone()), Arc::clone(&events));
        let length = blocking(move || {
            let batch = Batch { first, ingested_ms: now, events: &events };
            logs.append(&target.0, &target.1, stored, batch).map_err(|e| written(&e))
        })
        .await?;
        let target = (group.clone(), name.clone());
        inner
            .transact(move |tx| {
                // It may have been deleted, and made anew, meanwhile.
                let found = tx.log_stream(&group, &name)?.filter(|found| *found == stream);
                let mut stream = found.ok_or_else(no_stream)?;
                let has_events = stream.events > 0;
                stream.first_ms = if has_events { stream.first_ms.min(first_ms) } else { first_ms };
                stream.last_ms = if has_events { stream.last_ms.max(last_ms) } else { last_ms };
                stream.events = stream.events.saturating_add(count);
                stream.ingested_ms = now;
                stream.stored = i64::try_from(length).unwrap_or(i64::MAX);
                tx.put_log_stream(&stream)?;
                Ok(())
            })
            .await?;
        inner.tails.put(&target.0, &target.1, now, &told);
    }
    Ok(PutLogEventsResponse {
        next_sequence_token: Some(SEQUENCE_TOKEN.to_owned()),
        rejected_log_events_info: rejected,
        rejected_entity_info: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    fn events(times: &[Millis]) -> Vec<InputLogEvent> {
        times.iter().map(|ms| InputLogEvent { timestamp: *ms, message: "x".to_owned() }).collect()
    }

    #[test]
    fn events_that_are_too_old_or_too_new_are_left_out() {
        let taken = |times: &[Millis], retention| {
            let taken = check(&events(times), NOW, retention).unwrap();
            let info = taken.rejected.unwrap_or_default();
            let indexes = (
                info.expired_log_event_end_index,
                info.too_old_log_event_end_index,
                info.too_new_log_event_start_index,
            );
            (taken.from..taken.to, indexes)
        };
        let old = NOW - OLDEST;
        assert_eq!(taken(&[NOW - 5, NOW, NOW + NEWEST], None), (0..3, (None, None, None)));
        assert_eq!(taken(&[NOW, NOW + NEWEST + 1], None), (0..1, (None, None, Some(1))));
        assert_eq!(taken(&[old - 2, old - 1, old], None), (2..3, (None, Some(2), None)));
        assert_eq!(taken(&[NOW - DAY - 1, NOW - DAY], Some(1)), (1..2, (Some(1), None, None)));
        assert_eq!(taken(&[old - 1], Some(30)), (1..1, (None, Some(1), None)));
        assert_eq!(taken(&[NOW + NEWEST + 1], None), (0..0, (None, None, Some(0))));
    }

    #[test]
    fn what_one_call_may_have() {
        let refused = |events: Vec<InputLogEvent>| check(&events, NOW, None).unwrap_err().message;
        assert!(refused(events(&[NOW, NOW - 1])).contains("in chronological order"));
        assert!(refused(events(&[NOW - DAY, NOW + 1])).contains("cannot span more than 24 hours"));
        check(&events(&[NOW - DAY, NOW]), NOW, None).unwrap();
        let large = |bytes: usize| vec![InputLogEvent { timestamp: NOW, message: "x".repeat(bytes) }];
        check(&large(MOST_BYTES - OVERHEAD), NOW, None).unwrap();
        assert_eq!(
            refused(large(MOST_BYTES - OVERHEAD + 1)),
            "Upload too large: 1048577 bytes exceeds limit of 1048576"
        );
    }
}
