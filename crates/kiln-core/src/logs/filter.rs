//! `FilterLogEvents`: events of many streams in one order.
//!
//! The order is that of time, then of the streams' names, then of the places in a stream; a token says up to which event
//! of this order everything was looked at. So a token is short, however many streams there are, and of each stream only
//! the events around that place are in memory. Streams are opened when their first event is about to have its turn.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use kiln_model::{
    ApiError,
    logs::{FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent},
    service::Context,
};
use kiln_store::metadata::LogStreamRecord;
use serde::{Deserialize, Serialize};

use super::{
    blocking,
    expiry::oldest,
    get::{LATEST, MOST_BYTES, MOST_EVENTS, digits},
    groups::invalid_token,
    invalid,
    name::{find_group, find_stream, named},
    pattern::Pattern,
    source::{Event, OVERHEAD, Place, Room, Source},
    unreadable,
};
use crate::{
    core::Inner,
    lifecycle::Millis,
    page::{after, token},
    records::{Refused, refuse},
    runners::Runners,
};

/// Events and bytes that one call looks at, at most; then it answers what it has found, and where to go on.
const LOOKED_AT: Room = Room { events: 200_000, bytes: 64 << 20 };
/// Bytes of events that wait for their turn, of all streams together.
const WAITING: usize = 16 << 20;
/// Streams that are looked up at once.
const BATCH: usize = 256;

/// An event's place in the order of all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    ms: Millis,
    stream: String,
    number: u64,
}

/// What is asked of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Asked {
    pub(super) group: String,
    pub(super) streams: Option<Vec<String>>,
    pub(super) prefix: String,
    pub(super) start: Millis,
    pub(super) end: Millis,
    pub(super) pattern: String,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The stream, its key, and the event.
    pub(super) events: Vec<(String, u64, Event)>,
    /// Up to where everything was looked at, if there is more.
    pub(super) next: Option<Key>,
}

pub(super) async fn filter_log_events<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: FilterLogEventsRequest,
) -> Result<FilterLogEventsResponse, ApiError> {
    if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
        return Err(invalid("LogStreamNamePrefix and LogStreamNames are mutually exclusive parameters."));
    }
    let asked = Asked {
        group: named(&inner.config.home, input.log_group_name, input.log_group_identifier)?,
        streams: input.log_stream_names,
        prefix: input.log_stream_name_prefix.unwrap_or_default(),
        start: input.start_time.unwrap_or(0).min(LATEST),
        end: input.end_time.unwrap_or(LATEST).min(LATEST),
        pattern: input.filter_pattern.unwrap_or_default(),
    };
    let pattern = Pattern::parse(&asked.pattern).map_err(|problem| invalid(problem.to_string()))?;
    let list = serde_json::to_string(&asked).map_err(|e| ApiError::internal(e.to_string()))?;
    let begin: Option<Key> = after(&list, input.next_token.as_deref()).map_err(|_| invalid_token())?;
    let most = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST_EVENTS);
    let inner = Arc::clone(inner);
    let found = blocking(move || search(&inner, &asked, &pattern, begin, most)).await?;
    let events = found.events.into_iter().map(|(stream, key, event)| FilteredLogEvent {
        log_stream_name: Some(stream),
        timestamp: Some(event.place.ms),
        message: Some(event.message),
        ingestion_time: Some(event.ingested_ms),
        event_id: Some(digits(event.place, key)),
    });
    Ok(FilterLogEventsResponse {
        events: Some(events.collect()),
        searched_log_streams: Some(Vec::new()),
        next_token: found.next.and_then(|next| token(&list, next)),
    })
}

/// Events of a group behind `begin` that a pattern wants.
pub(super) fn search<R: Runners>(
    inner: &Inner<R>,
    asked: &Asked,
    pattern: &Pattern,
    begin: Option<Key>,
    most: usize,
) -> Result<Found, ApiError> {
    let mut merge = Merge::new(inner, asked, begin)?;
    let (mut found, mut bytes) = (Found::default(), 0);
    let (mut seen_events, mut seen_bytes) = (0, 0);
    while let Some((name, key, event)) = merge.next()? {
        seen_events += 1;
        seen_bytes += event.size();
        let at = Key { ms: event.place.ms, stream: name.clone(), number: event.place.number };
        if pattern.matches(&event.message) {
            let size = event.size() + name.len();
            // What does not fit any more is looked at again by the next call.
            if found.events.len() == most || (bytes + size > MOST_BYTES + OVERHEAD && !found.events.is_empty()) {
                found.next = merge.last.take();
                return Ok(found);
            }
            bytes += size;
            found.events.push((name, key, event));
        }
        merge.last = Some(at);
        if seen_events >= LOOKED_AT.events || seen_bytes >= LOOKED_AT.bytes {
            found.next = merge.last.take();
            return Ok(found);
        }
    }
    Ok(found)
}

/// A stream that is read.
struct Open {
    name: String,
    source: Source,
    waiting: VecDeque<Event>,
    /// Where to read on when nothing waits; `None` at the end.
    next: Option<Place>,
}

/// The events of all streams in one order.
struct Merge<'a, R> {
    inner: &'a Inner<R>,
    asked: &'a Asked,
    /// Events that were put and are older are not there any more.
    oldest: Millis,
    begin: Option<Key>,
    /// The last event that was given out.
    last: Option<Key>,
    open: Vec<Open>,
    heads: BinaryHeap<Reverse<(Key, usize)>>,
    /// Streams whose first event is still to come, by its time; time and name of the last of them that was looked up.
    later: VecDeque<LogStreamRecord>,
    looked_up: Option<(Millis, String)>,
}

impl<'a, R: Runners> Merge<'a, R> {
    fn new(inner: &'a Inner<R>, asked: &'a Asked, begin: Option<Key>) -> Result<Self, ApiError> {
        let start = begin.as_ref().map_or(asked.start, |begin| begin.ms.max(asked.start));
        let mut merge = Self {
            inner,
            asked,
            oldest: 0,
            last: begin.clone(),
            begin,
            open: Vec::new(),
            heads: BinaryHeap::new(),
            later: VecDeque::new(),
            looked_up: None,
        };
        let looked = inner.metadata.read(|view| {
            Ok((|| {
                let (_, document) = find_group(view, &asked.group)?;
                let oldest = oldest(inner.now(), document.retention_days);
                let Some(names) = &asked.streams else {
                    return Ok((view.log_streams_at(&asked.group, start)?, true, oldest));
                };
                let mut names: Vec<&String> = names.iter().collect();
                names.sort_unstable();
                names.dedup();
                let streams = names.into_iter().map(|name| find_stream(view, &asked.group, name));
                Ok::<_, Refused>((streams.collect::<Result<Vec<_>, _>>()?, false, oldest))
            })())
        });
        let (streams, are_more, oldest) = looked.map_err(|e| refuse(&e))??;
        merge.oldest = oldest;
        if are_more {
            // Those that began at the start are among the first ones already.
            merge.looked_up = Some((start, "\u{10ffff}".to_owned()));
        }
        for stream in streams {
            merge.begin_stream(stream)?;
        }
        Ok(merge)
    }

    /// Takes a stream in.
    fn begin_stream(&mut self, stream: LogStreamRecord) -> Result<(), ApiError> {
        if !stream.name.starts_with(&self.asked.prefix) {
            return Ok(());
        }
        let start = Place::at(self.asked.start);
        let from = match &self.begin {
            None => start,
            Some(begin) => match stream.name.cmp(&begin.stream) {
                // At that time its events have had their turn.
                std::cmp::Ordering::Less => Place::at(begin.ms.saturating_add(1)),
                std::cmp::Ordering::Equal => Place { ms: begin.ms, number: begin.number }.next(),
                std::cmp::Ordering::Greater => Place::at(begin.ms),
            }
            .max(start),
        };
        let source = Source::open(self.inner, &stream, self.oldest).map_err(|e| unreadable(&e))?;
        self.open.push(Open { name: stream.name, source, waiting: VecDeque::new(), next: Some(from) });
        self.fill(self.open.len() - 1)
    }

    /// Reads on in a stream of which nothing waits, and gives its next event its place among the heads.
    fn fill(&mut self, index: usize) -> Result<(), ApiError> {
        let bytes = WAITING / self.open.len().max(1);
        let Some(open) = self.open.get_mut(index) else { return Ok(()) };
        if open.waiting.is_empty() {
            let Some(from) = open.next else { return Ok(()) };
            let room = Room { events: MOST_EVENTS, bytes };
            let events = open.source.forward(from, self.asked.end, room).map_err(|e| unreadable(&e))?;
            open.next = events.last().map(|event| event.place.next());
            open.waiting = events.into();
        }
        if let Some(event) = open.waiting.front() {
            let Place { ms, number } = event.place;
            self.heads.push(Reverse((Key { ms, stream: open.name.clone(), number }, index)));
        }
        Ok(())
    }

    /// Opens the streams whose first event is not later than the next one of those that are open.
    fn open_later(&mut self) -> Result<(), ApiError> {
        while let Some(looked_up) = &self.looked_up {
            if self.later.is_empty() {
                let (ms, name) = (looked_up.0, looked_up.1.as_str());
                let page =
                    self.inner.metadata.read(|view| view.log_streams_after(&self.asked.group, (ms, name), BATCH));
                let page = page.map_err(|e| refuse(&e))?;
                let Some(last) = page.last() else {
                    self.looked_up = None;
                    return Ok(());
                };
                self.looked_up = Some((last.first_ms, last.name.clone()));
                self.later = page.into();
            }
            let turn = self.heads.peek().map(|Reverse((key, _))| key.ms);
            let Some(first) = self.later.front() else { continue };
            if first.first_ms >= self.asked.end {
                self.looked_up = None;
                return Ok(());
            }
            if turn.is_some_and(|turn| first.first_ms > turn) {
                return Ok(());
            }
            // The next one's turn may be earlier now.
            if let Some(stream) = self.later.pop_front() {
                self.begin_stream(stream)?;
            }
        }
        Ok(())
    }

    /// The next event with the name and the key of its stream.
    fn next(&mut self) -> Result<Option<(String, u64, Event)>, ApiError> {
        self.open_later()?;
        let Some(Reverse((_, index))) = self.heads.pop() else { return Ok(None) };
        let Some(open) = self.open.get_mut(index) else { return Ok(None) };
        let (name, key) = (open.name.clone(), open.source.key);
        let Some(event) = open.waiting.pop_front() else { return Ok(None) };
        self.fill(index)?;
        Ok(Some((name, key, event)))
    }
}
