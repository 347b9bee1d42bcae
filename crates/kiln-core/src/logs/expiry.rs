//! What the retention of log groups deletes (`api.md` 6).
//!
//! Events that were put are not shown any more from the moment on that they are too old ([`super::source`]). What they take
//! on the disk is given up in rounds, by whole batches, as each call of `PutLogEvents` wrote one. The log of a build goes as
//! a whole when its last line is too old; the log of one that runs stays. Streams stay, empty, as they do with AWS.

use kiln_store::{
    StoreError,
    logs::{Expiry, LogError},
    metadata::LogStreamRecord,
};

use super::{document::Document, put::DAY};
use crate::{core::Inner, lifecycle::Millis, runners::Runners};

/// Groups or streams that are looked at in one step.
const BATCH: usize = 200;
/// Streams that are changed in a round, at most; the next one goes on.
const MOST_STREAMS: usize = 20_000;
/// Bytes of events that stay, and have to be written anew, in a round, about.
const MOST_WRITTEN: u64 = 1 << 30;
/// Batches are given up when they are this part of a stream's events at least,
const WORTH_IT: u64 = 4;
/// or when the first event of them has been too old for so long.
const OVERDUE: Millis = DAY;

/// What a round may still do.
struct Budget {
    streams: usize,
    written: u64,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.streams == 0 || self.written == 0
    }
}

/// Deletes events that are older than their groups say; returns of how many streams.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let mut budget = Budget { streams: MOST_STREAMS, written: MOST_WRITTEN };
    let mut after = None::<String>;
    loop {
        let page = inner.metadata.read(|view| view.log_groups("", after.as_deref(), BATCH))?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for group in page {
            // A group whose document cannot be read keeps what it has, and the others do not wait for it.
            match Document::of(&group) {
                Ok(document) => {
                    let Some(days) = document.retention_days else { continue };
                    sweep_group(inner, &group.name, days, &mut budget)?;
                }
                Err(e) => tracing::warn!(group = group.name, error = %e, "old events of a log group stay"),
            }
            if budget.is_spent() || inner.is_stopping() {
                return Ok(MOST_STREAMS - budget.streams);
            }
        }
    }
    Ok(MOST_STREAMS - budget.streams)
}

fn sweep_group<R: Runners>(inner: &Inner<R>, group: &str, days: i32, budget: &mut Budget) -> Result<(), StoreError> {
    let before = oldest(inner.now(), Some(days));
    let mut after = None::<(Millis, String)>;
    loop {
        let begin = after.as_ref().map(|(ms, name)| (*ms, name.as_str()));
        let page = inner.metadata.read(|view| view.log_streams_before(group, before, begin, BATCH))?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.first_ms, last.name.clone()));
        for stream in page {
            if budget.is_spent() || inner.is_stopping() {
                return Ok(());
            }
            match sweep_stream(inner, &stream, days, before)? {
                Ok(None) => {}
                Ok(Some(written)) => {
                    budget.streams -= 1;
                    budget.written = budget.written.saturating_sub(written);
                }
                Err(e) => {
                    tracing::warn!(group, stream = stream.name, error = %e, "old events of a log stream stay");
                }
            }
        }
    }
}

/// The time before which events are too old in a group that keeps them for so many days.
pub(super) fn oldest(now: Millis, days: Option<i32>) -> Millis {
    days.map_or(0, |days| now.saturating_sub(Millis::from(days) * DAY))
}

/// Deletes what is too old of a stream: nothing, or what had to be written for it, bytes.
fn sweep_stream<R: Runners>(
    inner: &Inner<R>,
    stream: &LogStreamRecord,
    days: i32,
    before: Millis,
) -> Result<Result<Option<u64>, LogError>, StoreError> {
    let (group, name) = (stream.group.as_str(), stream.name.as_str());
    // Nobody puts events meanwhile.
    let _turn = inner.puts.turn_of_thread(group, name);
    // What was looked at may have changed: there may be another stream of that name, and another retention.
    let is_as_it_was = inner.metadata.read(|view| {
        let is_as_it_was = view.log_stream(group, name)?.is_some_and(|found| found == *stream);
        let document = view.log_group(group)?.map(|group| Document::of(&group)).transpose()?;
        Ok(is_as_it_was && document.is_some_and(|document| document.retention_days == Some(days)))
    })?;
    if !is_as_it_was {
        return Ok(Ok(None));
    }
    if stream.build.is_some() {
        if stream.last_ms >= before {
            return Ok(Ok(None));
        }
        // The files first: were the row first, nobody would come back for what a crash leaves.
        if let Err(e) = inner.logs.remove(group, name) {
            return Ok(Err(e));
        }
        store(inner, stream, Left { stored: 0, times: None })?;
        return Ok(Ok(Some(0)));
    }
    let events = match inner.logs.events(group, name, stream.stored.cast_unsigned()) {
        Ok(events) => events,
        Err(e) => return Ok(Err(e)),
    };
    let Some(expiry) = events.expiry(before).filter(|expiry| is_due(expiry, before)) else { return Ok(Ok(None)) };
    if let Err(e) = events.write_kept(before) {
        return Ok(Err(e));
    }
    let is_stored = store(inner, stream, Left { stored: expiry.kept, times: expiry.times })?;
    let length = if is_stored { expiry.kept } else { stream.stored.cast_unsigned() };
    Ok(inner.logs.settle(group, name, length).map(|()| is_stored.then_some(expiry.kept)))
}

/// Whether it is time to write anew what stays.
fn is_due(expiry: &Expiry, before: Millis) -> bool {
    expiry.expired.saturating_mul(WORTH_IT) >= expiry.kept || expiry.oldest_ms < before.saturating_sub(OVERDUE)
}

/// What a stream has left.
struct Left {
    stored: u64,
    /// Of the first and of the last event.
    times: Option<(Millis, Millis)>,
}

/// Says in a stream's row what is left; whether the row was still there.
fn store<R: Runners>(inner: &Inner<R>, stream: &LogStreamRecord, left: Left) -> Result<bool, StoreError> {
    let before = stream.clone();
    inner.metadata.write_blocking(move |tx| {
        if tx.log_stream(&before.group, &before.name)?.is_none_or(|found| found != before) {
            return Ok(false);
        }
        let mut stream = before;
        stream.stored = i64::try_from(left.stored).unwrap_or(i64::MAX);
        if let Some((first, last)) = left.times {
            (stream.first_ms, stream.last_ms) = (first, last);
        } else {
            stream.events = 0;
            (stream.first_ms, stream.last_ms) = (stream.created_ms, stream.created_ms);
            stream.ingested_ms = stream.created_ms;
        }
        tx.put_log_stream(&stream)?;
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_waits_for_more_but_not_for_ever() {
        let due = |kept, expired, oldest_ms| is_due(&Expiry { kept, expired, oldest_ms, times: None }, 10 * DAY);
        assert!(due(0, 1, 10 * DAY - 1), "nothing has to be written");
        assert!(due(400, 100, 10 * DAY - 1));
        assert!(!due(401, 100, 9 * DAY));
        assert!(due(401, 100, 9 * DAY - 1));
    }

    #[test]
    fn a_group_without_retention_keeps_everything() {
        assert_eq!(oldest(5 * DAY, None), 0);
        assert_eq!(oldest(5 * DAY, Some(1)), 4 * DAY);
    }
}
