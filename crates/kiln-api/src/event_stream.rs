//! Answers that are events: `application/vnd.amazon.eventstream` (`api.md` 6).
//!
//! ```text
//! length       u32 BE    of the whole message
//! headers      u32 BE    their length
//! prelude_crc  u32 BE    CRC-32 of what is before it
//! headers      for each: length of the name u8, name, type u8 = 7 (text), length of the value u16 BE, value
//! payload
//! message_crc  u32 BE    CRC-32 of what is before it
//! ```

use std::io;

use crc_fast::CrcAlgorithm;
use http::{HeaderValue, Response, header};
use kiln_model::service::{ByteSource, LiveTail, LiveTailEvent};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

use crate::body::Answer;

/// Before and behind headers and payload.
const FRAMING: usize = 16;
/// A header whose value is text.
const TEXT: u8 = 7;

/// Writes a message; nothing that is handed in comes near the limits of its lengths.
fn message(headers: &[(&str, &str)], payload: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(u8::try_from(name.len()).map_err(too_long)?);
        written.extend_from_slice(name.as_bytes());
        written.push(TEXT);
        written.extend_from_slice(&u16::try_from(value.len()).map_err(too_long)?.to_be_bytes());
        written.extend_from_slice(value.as_bytes());
    }
    let length = u32::try_from(FRAMING + written.len() + payload.len()).map_err(too_long)?;
    let mut bytes = Vec::with_capacity(FRAMING + written.len() + payload.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(written.len()).map_err(too_long)?.to_be_bytes());
    bytes.extend_from_slice(&crc32(&bytes).to_be_bytes());
    bytes.extend_from_slice(&written);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32(&bytes).to_be_bytes());
    Ok(bytes)
}

/// The checksum of PNG and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let low = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) & u64::from(u32::MAX);
    u32::try_from(low).unwrap_or_default()
}

fn event(name: &str, payload: &impl Serialize) -> io::Result<Vec<u8>> {
    let headers = [(":message-type", "event"), (":event-type", name), (":content-type", "application/json")];
    message(&headers, &serde_json::to_vec(payload)?)
}

fn exception(name: &str, text: &str) -> io::Result<Vec<u8>> {
    let headers = [(":message-type", "exception"), (":exception-type", name), (":content-type", "application/json")];
    message(&headers, &serde_json::to_vec(&json!({ "message": text }))?)
}

/// The messages of a session.
struct Messages<T> {
    tail: T,
    stopping: watch::Receiver<bool>,
    has_begun: bool,
    is_over: bool,
}

impl<T: LiveTail> ByteSource for Messages<T> {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.is_over {
            return None;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            // The members of the answer that are no events, of which there are none: clients wait for them.
            return Some(event("initial-response", &json!({})));
        }
        let said = tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => {
                Some(LiveTailEvent::Failure("Kiln is stopping. Start another session.".to_owned()))
            }
            said = self.tail.next() => said,
        };
        let written = match said? {
            LiveTailEvent::Start(start) => event("sessionStart", &start),
            LiveTailEvent::Update(update) => event("sessionUpdate", &update),
            LiveTailEvent::Timeout(text) => {
                self.is_over = true;
                exception("SessionTimeoutException", &text)
            }
            LiveTailEvent::Failure(text) => {
                self.is_over = true;
                exception("SessionStreamingException", &text)
            }
        };
        Some(written)
    }
}

/// The answer of `StartLiveTail`. When the server stops it ends with an exception, and so properly.
pub(crate) fn live_tail(tail: impl LiveTail, stopping: watch::Receiver<bool>) -> Response<Answer> {
    let messages = Messages { tail, stopping, has_begun: false, is_over: false };
    let mut response = Response::new(Answer::messages(messages));
    let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of botocore's and Smithy's own tests.
    #[test]
    fn messages_are_those_of_the_published_vectors() {
        assert_eq!(message(&[], b"").unwrap(), b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff");
        assert_eq!(
            message(&[], b"{'foo':'bar'}").unwrap(),
            b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96"
        );
        assert_eq!(
            message(&[("content-type", "application/json")], b"{'foo':'bar'}").unwrap(),
            b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1"
        );
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let long = "x".repeat(70_000);
        assert!(message(&[("name", &long)], b"").is_err());
        assert!(message(&[(&long[..256], "")], b"").is_err());
    }
}
