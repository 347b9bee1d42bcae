//! Log streams: making, deleting, listing.

use kiln_model::{
    ApiError,
    arn::Home,
    logs::{
        CreateLogStreamRequest, DeleteLogStreamRequest, DescribeLogStreamsRequest, DescribeLogStreamsResponse, Empty,
        LogStream, OrderBy,
    },
    service::Context,
};
use kiln_store::metadata::{LogStreamRecord, LogStreamSort};

use super::{
    builds::{now_of, runs},
    groups::{PAGE, invalid_token},
    invalid,
    name::{aborted, find_group, find_stream, named},
};
use crate::{
    core::Inner,
    page::{after, token},
    runners::Runners,
};

/// What `uploadSequenceToken` says, which nobody needs any more but older clients send back.
pub(super) const SEQUENCE_TOKEN: &str = "49649390562349485034982134578904238754398098234985783490";

pub(super) async fn create_log_stream<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: CreateLogStreamRequest,
) -> Result<Empty, ApiError> {
    let now = inner.now();
    inner
        .transact(move |tx| {
            find_group(tx, &input.log_group_name)?;
            if tx.log_stream(&input.log_group_name, &input.log_stream_name)?.is_some() {
                return Err(ApiError::already_exists("The specified log stream already exists").into());
            }
            tx.put_log_stream(&LogStreamRecord {
                group: input.log_group_name,
                name: input.log_stream_name,
                created_ms: now,
                build: None,
                open: false,
                events: 0,
                first_ms: now,
                last_ms: now,
                ingested_ms: now,
                stored: 0,
            })?;
            Ok(Empty {})
        })
        .await
}

pub(super) async fn delete_log_stream<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteLogStreamRequest,
) -> Result<Empty, ApiError> {
    let gone = inner
        .transact(move |tx| {
            let stream = find_stream(tx, &input.log_group_name, &input.log_stream_name)?;
            if runs(tx, &stream)? {
                return Err(aborted("A build writes its log into the specified log stream").into());
            }
            tx.delete_log_stream(&stream.group, &stream.name)?;
            Ok(stream)
        })
        .await?;
    remove_files(inner, &[gone]).await;
    Ok(Empty {})
}

/// Removes the events of streams that are gone. What a crash leaves nobody sees: a new stream of that name begins anew.
pub(super) async fn remove_files<R: Runners>(inner: &Inner<R>, streams: &[LogStreamRecord]) {
    for LogStreamRecord { group, name, .. } in streams {
        // Nobody puts events meanwhile. Whoever has put some already has them in another stream of that name, which stays.
        let _turn = inner.puts.turn(group, name).await;
        let removed = match inner.metadata.read(|view| view.log_stream(group, name)) {
            Ok(Some(_)) => continue,
            Ok(None) => inner.logs.remove(group, name).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(error) = removed {
            tracing::warn!(group, stream = name, error, "the events of a deleted log stream stay");
        }
    }
}

/// A stream as lists show it.
fn show(home: &Home, record: LogStreamRecord) -> LogStream {
    let has_events = record.events > 0;
    LogStream {
        creation_time: Some(record.created_ms),
        first_event_timestamp: has_events.then_some(record.first_ms),
        last_event_timestamp: has_events.then_some(record.last_ms),
        last_ingestion_time: has_events.then_some(record.ingested_ms),
        upload_sequence_token: Some(SEQUENCE_TOKEN.to_owned()),
        arn: Some(home.log_stream_arn(&record.group, &record.name)),
        log_stream_name: Some(record.name),
        // AWS's own answer since 2019: sizes are told of groups only.
        stored_bytes: Some(0),
    }
}

pub(super) async fn describe_log_streams<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeLogStreamsRequest,
) -> Result<DescribeLogStreamsResponse, ApiError> {
    let group = named(&inner.config.home, input.log_group_name, input.log_group_identifier)?;
    let order = input.order_by.unwrap_or(OrderBy::LogStreamName);
    let sort = match (order, input.descending.unwrap_or_default()) {
        (OrderBy::LogStreamName, false) => LogStreamSort::Name,
        (OrderBy::LogStreamName, true) => LogStreamSort::NameDescending,
        (OrderBy::LastEventTime, false) => LogStreamSort::LastEvent,
        (OrderBy::LastEventTime, true) => LogStreamSort::LastEventDescending,
    };
    if order == OrderBy::LastEventTime && input.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let prefix = input.log_stream_name_prefix.unwrap_or_default();
    let most = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let list = format!("log streams {group:?} {prefix:?} {sort:?}");
    let begin: Option<(i64, String)> = after(&list, input.next_token.as_deref()).map_err(|_| invalid_token())?;
    let mut streams = inner.look(|view| {
        find_group(view, &group)?;
        let begin = begin.as_ref().map(|(ms, name)| (*ms, name.as_str()));
        Ok(view.log_streams(&group, &prefix, sort, begin, most + 1)?)
    })?;
    let has_more = streams.len() > most;
    streams.truncate(most);
    let last = streams.last().filter(|_| has_more).map(|stream| (stream.last_ms, stream.name.clone()));
    let streams = streams.into_iter().map(|stream| show(&inner.config.home, now_of(inner, stream)));
    Ok(DescribeLogStreamsResponse {
        log_streams: Some(streams.collect()),
        next_token: last.and_then(|last| token(&list, last)),
    })
}
