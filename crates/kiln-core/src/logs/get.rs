//! `GetLogEvents`: a stream from its beginning or from its end, page by page, in both directions.
//!
//! A token is `f/<56 digits>/s` or `b/<56 digits>/s`: a place in the stream, forwards from there or backwards. A page
//! without events gives the token back that was sent: by this clients know the end, and with the same token they get what
//! came since (`api.md` 6).

use std::sync::Arc;

use kiln_model::{
    ApiError,
    logs::{GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent},
    service::Context,
};
use kiln_store::logs::LogError;

use super::{
    expiry::oldest,
    groups::invalid_token,
    name::{find_group, find_stream, named},
    source::{Event, Place, Room, Source},
};
use crate::{core::Inner, lifecycle::Millis, runners::Runners};

/// Events of a page, at most.
pub(super) const MOST_EVENTS: usize = 10_000;
/// What the events of a page count, bytes, at most; one event always.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Latest time that a token can name.
pub(super) const LATEST: Millis = 9_999_999_999_999_999;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    is_forward: bool,
    place: Place,
}

impl Token {
    fn show(self, key: u64) -> String {
        let direction = if self.is_forward { 'f' } else { 'b' };
        format!("{direction}/{}/s", digits(self.place, key))
    }

    fn parse(text: &str, key: u64) -> Option<Self> {
        let (direction, rest) = text.split_once('/')?;
        let is_forward = match direction {
            "f" => true,
            "b" => false,
            _ => return None,
        };
        let digits = rest.strip_suffix("/s")?;
        if digits.len() != 56 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let place = Place { ms: digits.get(..16)?.parse().ok()?, number: digits.get(16..36)?.parse().ok()? };
        (digits.get(36..)?.parse() == Ok(key)).then_some(Self { is_forward, place })
    }
}

/// A place of a stream in 56 digits.
pub(super) fn digits(place: Place, key: u64) -> String {
    format!("{:016}{:020}{key:020}", place.ms.clamp(0, LATEST), place.number)
}

/// What is asked of a stream.
struct Asked {
    start: Millis,
    end: Millis,
    /// `None`: as many as a page has.
    limit: Option<usize>,
    from_head: bool,
    token: Option<String>,
}

pub(super) async fn get_log_events<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetLogEventsRequest,
) -> Result<GetLogEventsResponse, ApiError> {
    let group = named(&inner.config.home, input.log_group_name, input.log_group_identifier)?;
    let asked = Asked {
        start: input.start_time.unwrap_or(0).min(LATEST),
        end: input.end_time.unwrap_or(LATEST).min(LATEST),
        limit: input.limit.and_then(|limit| usize::try_from(limit).ok()),
        from_head: input.start_from_head.unwrap_or_default(),
        token: input.next_token,
    };
    let (stream, oldest) = inner.look(|view| {
        let (_, document) = find_group(view, &group)?;
        let oldest = oldest(inner.now(), document.retention_days);
        Ok((find_stream(view, &group, &input.log_stream_name)?, oldest))
    })?;
    let inner = Arc::clone(inner);
    super::blocking(move || {
        let source = Source::open(&inner, &stream, oldest).map_err(|e| super::unreadable(&e))?;
        page(&source, &asked)
    })
    .await
}

fn page(source: &Source, asked: &Asked) -> Result<GetLogEventsResponse, ApiError> {
    let token = match asked.token.as_deref() {
        Some(text) => Some(Token::parse(text, source.key).ok_or_else(invalid_token)?),
        None => None,
    };
    let (first, behind) = (Place::at(asked.start), Place::at(asked.end));
    let room = Room { events: asked.limit.unwrap_or(MOST_EVENTS), bytes: MOST_BYTES };
    let read = match token {
        Some(Token { is_forward: true, place }) => forward(source, place.max(first), asked, room),
        Some(Token { is_forward: false, place }) => source.backward(place.min(behind), asked.start, room),
        None if asked.from_head => forward(source, first, asked, room),
        None => source.backward(behind, asked.start, room),
    };
    let events = read.map_err(|e| super::unreadable(&e))?;
    // A page without events is where it was asked to be.
    let here = token.map_or(first, |token| token.place);
    let place = |of: Option<&Event>| of.map(|event| event.place);
    let tokens = [
        Token { is_forward: true, place: place(events.last()).map_or(here, Place::next) },
        Token { is_forward: false, place: place(events.first()).unwrap_or(here) },
    ];
    let [next_forward_token, next_backward_token] = tokens.map(|token| Some(token.show(source.key)));
    let events = events.into_iter().map(|event| OutputLogEvent {
        timestamp: Some(event.place.ms),
        message: Some(event.message),
        ingestion_time: Some(event.ingested_ms),
    });
    Ok(GetLogEventsResponse { events: Some(events.collect()), next_forward_token, next_backward_token })
}

/// A page forwards. Where the caller does not say how many, it does not end between events of the same millisecond, if it
/// can: there are clients that go on with the next millisecond instead of the token (`integrations.md` 1.8).
fn forward(source: &Source, from: Place, asked: &Asked, room: Room) -> Result<Vec<Event>, LogError> {
    let mut events = source.forward(from, asked.end, room)?;
    let Some(last) = events.last().map(|event| event.place).filter(|_| asked.limit.is_none()) else {
        return Ok(events);
    };
    let next = source.forward(last.next(), asked.end, Room { events: 1, bytes: 1 })?;
    if next.first().is_some_and(|next| next.place.ms == last.ms) {
        let whole = events.partition_point(|event| event.place.ms < last.ms);
        if whole > 0 {
            events.truncate(whole);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::{
        super::source::tests::{BEGIN, log},
        *,
    };

    #[test]
    fn pages_end_between_milliseconds() {
        let asked = |limit| Asked { start: 0, end: LATEST, limit, from_head: true, token: None };
        let count = |page: GetLogEventsResponse| page.events.unwrap().len();
        // One event at first, then two each millisecond, beyond a page.
        let texts: Vec<(String, u8)> = (0..=MOST_EVENTS).map(|n| ("x\n".to_owned(), u8::from(n % 2 == 1))).collect();
        let (_dir, source) = log(&texts, true);
        assert_eq!(count(page(&source, &asked(None)).unwrap()), MOST_EVENTS - 1);
        assert_eq!(count(page(&source, &asked(Some(2))).unwrap()), 2, "as many as were asked for");
        let later = Asked { start: BEGIN + 1, ..asked(None) };
        assert_eq!(count(page(&source, &later).unwrap()), MOST_EVENTS, "it fits");
        // All in one millisecond: the page is full.
        let texts: Vec<(String, u8)> = (0..=MOST_EVENTS).map(|_| ("x\n".to_owned(), 0)).collect();
        let (_dir, source) = log(&texts, true);
        assert_eq!(count(page(&source, &asked(None)).unwrap()), MOST_EVENTS);
    }

    #[test]
    fn tokens_are_of_one_stream() {
        let place = Place { ms: 1_700_000_000_123, number: u64::MAX };
        for is_forward in [true, false] {
            let token = Token { is_forward, place };
            let text = token.show(u64::MAX);
            assert_eq!(text.len(), 60, "{text}");
            assert_eq!(Token::parse(&text, u64::MAX), Some(token));
            assert_eq!(Token::parse(&text, 7), None);
        }
        let good = Token { is_forward: true, place }.show(7);
        for bad in ["", "f/", "f//s", &good.replace("f/", "g/"), &good.replace("/s", ""), &good.replace('1', "x")] {
            assert_eq!(Token::parse(bad, 7), None, "{bad}");
        }
        assert_eq!(Token::parse(&format!("f/{}/s", "ä".repeat(28)), 7), None);
        assert_eq!(Token::parse(&format!("f/{}/s", "9".repeat(56)), 7), None);
    }
}
