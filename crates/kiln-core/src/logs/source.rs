//! The events of one stream, whatever they are stored in.

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use kiln_store::{
    logs::{EventReader, EventRoom, Line, LogError, LogReader, PutEvent},
    metadata::LogStreamRecord,
};

use crate::{core::Inner, document::Document, lifecycle::Millis, runners::Runners, timeline::millis};

/// What an event counts beside the bytes of its message, as AWS counts.
pub(super) const OVERHEAD: usize = 26;
/// Lines that reading backwards begins with.
const WIDTH: u64 = 256;
/// By as much it goes on, each time that they were too few.
const WIDER: u64 = 8;

/// Where an event stands in its stream: events are in this order, and no two have the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When it happened.
    pub(super) ms: Millis,
    /// Of a build's log the number of its line, else which event of the stream it was that came in, from 0.
    pub(super) number: u64,
}

impl Place {
    /// Before all events of that time.
    pub(super) fn at(ms: Millis) -> Self {
        Self { ms, number: 0 }
    }

    /// Behind an event.
    pub(super) fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), ..self }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) place: Place,
    /// When it came in.
    pub(super) ingested_ms: Millis,
    pub(super) message: String,
}

impl Event {
    /// What it counts, bytes.
    pub(super) fn size(&self) -> usize {
        self.message.len() + OVERHEAD
    }
}

/// How many events are read at once, at most; one always.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) events: usize,
    /// What they count.
    pub(super) bytes: usize,
}

/// A stream, for reading.
#[derive(Debug)]
pub(super) struct Source {
    events: Events,
    /// Tells streams apart, also one that was deleted from the next one of its name.
    pub(super) key: u64,
}

#[derive(Debug)]
enum Events {
    /// None.
    None,
    /// What callers put, as far as it is not older than that.
    Put(EventReader, Millis),
    /// The lines of a log, the last of which may still grow.
    Lines { log: LogReader, open: bool },
}

impl Source {
    /// Opens a stream, of whose events those that were put are not shown when they are older than `oldest`
    /// ([`super::expiry`]).
    ///
    /// # Errors
    /// When its events cannot be read.
    pub(super) fn open<R: Runners>(
        inner: &Inner<R>,
        stream: &LogStreamRecord,
        oldest: Millis,
    ) -> Result<Self, LogError> {
        let live = stream.build.as_deref().filter(|_| stream.open).and_then(|uuid| inner.live.get(uuid));
        let events = match (&stream.build, live) {
            // With what its runner wrote a moment ago.
            (Some(_), Some(live)) => match inner.build_log(&live.document())? {
                Some(log) => Events::Lines { log, open: true },
                None => Events::None,
            },
            (Some(_), None) => match inner.logs.reader(&stream.group, &stream.name) {
                Ok(log) => Events::Lines { log, open: stream.open },
                Err(LogError::NotFound { .. }) => Events::None,
                Err(e) => return Err(e),
            },
            (None, _) => match put_events(inner, stream)? {
                Some(events) => Events::Put(events, oldest),
                None => Events::None,
            },
        };
        Ok(Self { events, key: key(stream) })
    }

    /// The log of a build; `open`: it may still grow.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of_build<R: Runners>(inner: &Inner<R>, document: &Document, open: bool) -> Result<Self, LogError> {
        let events = inner.build_log(document)?.map_or(Events::None, |log| Events::Lines { log, open });
        Ok(Self { events, key: 0 })
    }

    /// Lines of a build's log that have their newlines; 0 for events that were put.
    pub(super) fn lines(&self) -> u64 {
        match &self.events {
            Events::Lines { log, .. } => log.stats().lines,
            Events::None | Events::Put(..) => 0,
        }
    }

    /// Events from `from` on and before `end_ms`, as many as there is room for. Fewer than there is room for is the end.
    pub(super) fn forward(&self, from: Place, end_ms: Millis, room: Room) -> Result<Vec<Event>, LogError> {
        match &self.events {
            Events::None => Ok(Vec::new()),
            Events::Put(events, oldest) => {
                let from = from.max(Place::at(*oldest));
                let found = events.forward((from.ms, from.number), end_ms, put_room(room))?;
                Ok(found.into_iter().map(put_event).collect())
            }
            Events::Lines { log, open } => lines_forward(log, *open, from, end_ms, room),
        }
    }

    /// The last events before `before` and at `start_ms` or later, in order, as many as there is room for.
    pub(super) fn backward(&self, before: Place, start_ms: Millis, room: Room) -> Result<Vec<Event>, LogError> {
        match &self.events {
            Events::None => Ok(Vec::new()),
            Events::Put(events, oldest) => {
                let found = events.backward((before.ms, before.number), start_ms.max(*oldest), put_room(room))?;
                Ok(found.into_iter().map(put_event).collect())
            }
            Events::Lines { log, open } => lines_backward(log, *open, before, start_ms, room),
        }
    }
}

/// The events that were put into a stream. When old ones were given up since its row was read, the row says something else
/// by now. `None`: it was deleted.
fn put_events<R: Runners>(inner: &Inner<R>, stream: &LogStreamRecord) -> Result<Option<EventReader>, LogError> {
    let mut stream = stream.clone();
    loop {
        match inner.logs.events(&stream.group, &stream.name, stream.stored.cast_unsigned()) {
            Ok(events) => return Ok(Some(events)),
            Err(e @ (LogError::Damaged { .. } | LogError::NotFound { .. })) => {
                match inner.metadata.read(|view| view.log_stream(&stream.group, &stream.name)) {
                    Ok(Some(now)) if now.build.is_some() || now.stored == stream.stored => return Err(e),
                    Ok(Some(now)) => stream = now,
                    Ok(None) => return Ok(None),
                    Err(_) => return Err(e),
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// See [`Source::key`].
fn key(stream: &LogStreamRecord) -> u64 {
    let name = format!("{}\0{}\0{}", stream.group, stream.name, stream.created_ms);
    let digest = digest(&SHA256, name.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn put_room(Room { events, bytes }: Room) -> EventRoom {
    EventRoom { events, bytes, overhead: OVERHEAD }
}

fn put_event(event: PutEvent) -> Event {
    let place = Place { ms: event.ms, number: event.number };
    Event { place, ingested_ms: event.ingested_ms, message: event.message }
}

/// A line as an event. Its message ends with the newline that the line has (`buildspec.md` 5.1).
fn event(line: Line) -> Event {
    let ms = millis(line.time_ns);
    let mut message = String::from_utf8_lossy(&line.bytes).into_owned();
    if line.complete {
        message.push('\n');
    }
    Event { place: Place { ms, number: line.number }, ingested_ms: ms, message }
}

/// Number of the first line at that time or later; behind the last whole one when there is none.
fn first_line(log: &LogReader, ms: Millis) -> Result<u64, LogError> {
    let ns = u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000);
    Ok(log.at_time(ns)?.unwrap_or_else(|| log.stats().lines))
}

/// A place that names a line of this log is that line's; others are a time.
fn line_at(log: &LogReader, place: Place) -> Result<u64, LogError> {
    if place.number > 0 { Ok(place.number) } else { first_line(log, place.ms) }
}

fn lines_forward(log: &LogReader, open: bool, from: Place, end_ms: Millis, room: Room) -> Result<Vec<Event>, LogError> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    let mut number = line_at(log, from)?;
    loop {
        let lines = log.lines(number, room.events.saturating_sub(events.len()))?;
        if lines.is_empty() {
            return Ok(events);
        }
        for line in lines {
            // It is no event before it is whole: its text would change.
            if !line.complete && open {
                return Ok(events);
            }
            number = line.number + 1;
            let event = event(line);
            // The last line, which lacks its newline, has no time that could be looked up.
            if event.place.ms < from.ms {
                continue;
            }
            bytes += event.size();
            if event.place.ms >= end_ms || (bytes > room.bytes && !events.is_empty()) {
                return Ok(events);
            }
            events.push(event);
        }
    }
}

fn lines_backward(
    log: &LogReader,
    open: bool,
    before: Place,
    start_ms: Millis,
    room: Room,
) -> Result<Vec<Event>, LogError> {
    let mut upper = line_at(log, before)?;
    let lines = log.stats().lines;
    // The last line may lack its newline.
    if before.number == 0 && upper == lines && !open {
        upper += log.lines(lines, 1)?.iter().filter(|line| millis(line.time_ns) < before.ms).count() as u64;
    }
    let lower = first_line(log, start_ms)?;
    let mut width = WIDTH;
    loop {
        let from = upper.saturating_sub(width).max(lower);
        let (mut events, mut bytes, mut is_full) = (VecDeque::new(), 0, false);
        let mut number = from;
        while number < upper {
            let most = usize::try_from(upper - number).unwrap_or(usize::MAX);
            let lines = log.lines(number, most)?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                number = line.number + 1;
                if !line.complete && open {
                    break;
                }
                let event = event(line);
                if event.place.ms < start_ms {
                    continue;
                }
                bytes += event.size();
                events.push_back(event);
                while events.len() > room.events || (bytes > room.bytes && events.len() > 1) {
                    bytes -= events.pop_front().map_or(0, |event: Event| event.size());
                    is_full = true;
                }
            }
        }
        if is_full || from <= lower {
            return Ok(events.into());
        }
        width = width.saturating_mul(WIDER);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use kiln_store::logs::LogWriter;
    use kiln_wire::journal::{Encoder, file_header};
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) const BEGIN: Millis = 1_700_000_000_000;

    /// A log with these texts, each so many milliseconds after the one before; whether it is over.
    pub(in super::super) fn log(texts: &[(String, u8)], over: bool) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(dir.path()).unwrap();
        let (mut encoder, mut ms) = (Encoder::new(), BEGIN);
        for (text, later) in texts {
            ms += Millis::from(*later);
            let mut bytes = if writer.position().offset == 0 { file_header().to_vec() } else { Vec::new() };
            let at = u64::try_from(ms).unwrap() * 1_000_000 + 999;
            encoder.output(at, 1, text.as_bytes(), &mut bytes).unwrap();
            writer.append(&bytes).unwrap();
            if later % 4 == 2 {
                writer.flush().unwrap();
            }
        }
        if over { writer.finish() } else { writer.flush() }.unwrap();
        let log = LogReader::open(dir.path()).unwrap();
        (dir, Source { events: Events::Lines { log, open: !over }, key: 1 })
    }

    fn room(events: usize, bytes: usize) -> Room {
        Room { events, bytes }
    }

    const ALL: Room = Room { events: usize::MAX, bytes: usize::MAX };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Pages in both directions, however large, are all events between two times, once each, in order.
        #[test]
        fn both_directions_give_the_same(
            texts in prop::collection::vec(("[a-cä\n]{0,6}", 0_u8..4), 0..40),
            over in any::<bool>(),
            (events, bytes) in (1_usize..5, 1_usize..200),
            (start, end) in (0_i64..60, 0_i64..60),
        ) {
            let (_dir, source) = log(&texts, over);
            let all = source.forward(Place::at(0), Millis::MAX, ALL).unwrap();
            let text: String = texts.iter().map(|(text, _)| text.as_str()).collect();
            let shown: String = all.iter().map(|event| event.message.as_str()).collect();
            let whole = text.rfind('\n').map_or(0, |at| at + 1);
            prop_assert_eq!(&shown, if over { &text } else { &text[..whole] });
            prop_assert!(all.is_sorted_by_key(|event| event.place));

            let (start, end) = (BEGIN + start, BEGIN + end);
            let wanted: Vec<Event> =
                all.iter().filter(|e| e.place.ms >= start && e.place.ms < end).cloned().collect();
            let (mut from, mut forwards) = (Place::at(start), Vec::new());
            loop {
                let page = source.forward(from, end, room(events, bytes)).unwrap();
                let Some(last) = page.last() else { break };
                prop_assert!(page.len() <= events);
                prop_assert!(page.len() == 1 || page.iter().map(Event::size).sum::<usize>() <= bytes);
                from = last.place.next();
                forwards.extend(page);
            }
            prop_assert_eq!(&forwards, &wanted);
            let (mut before, mut backwards) = (Place::at(end), Vec::new());
            loop {
                let mut page = source.backward(before, start, room(events, bytes)).unwrap();
                let Some(first) = page.first() else { break };
                prop_assert!(page.len() <= events);
                before = first.place;
                page.append(&mut backwards);
                backwards = page;
            }
            prop_assert_eq!(&backwards, &wanted);
        }
    }

    #[test]
    fn reading_backwards_goes_as_far_as_it_must() {
        let texts: Vec<(String, u8)> = (0..5000).map(|n| (format!("line {n}\n"), 1)).collect();
        let (_dir, source) = log(&texts, true);
        let last = |room| source.backward(Place::at(Millis::MAX), 0, room).unwrap();
        assert_eq!(last(room(3, usize::MAX)).iter().map(|e| e.place.number).collect::<Vec<_>>(), [4997, 4998, 4999]);
        assert_eq!(last(ALL).len(), 5000);
        assert_eq!(last(room(usize::MAX, 0)).len(), 1, "one always");
    }
}
