//! Spans as OpenTelemetry's receivers take them: `ExportTraceServiceRequest` in Protocol Buffers
//! (`opentelemetry/proto/collector/trace/v1/trace_service.proto`, `…/trace/v1/trace.proto`).
//!
//! The few messages are written by hand: field numbers are those of the schema, which is stable.

use kiln_model::trace::{Kind, Outcome, Span, Value};

/// Media type of the bytes.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// Status of the schema.
const STATUS_ERROR: u64 = 2;
/// Flag of a span whose parent is in another process (`SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`, `…_IS_REMOTE_MASK`), with the
/// flag "sampled" of W3C Trace Context.
const FLAGS: u32 = 0x101;

/// Bytes of a text that are sent, at most.
const LONGEST_TEXT: usize = 4096;

/// The request that hands over these spans. `resource`: what they are spans of, as attributes.
#[must_use]
pub fn request(resource: &[(&'static str, Value)], spans: &[Span]) -> Vec<u8> {
    let mut scope = Message::default();
    scope.text(1, "kiln");
    scope.text(2, env!("CARGO_PKG_VERSION"));
    let mut of_scope = Message::default();
    of_scope.message(1, &scope);
    for span in spans {
        of_scope.message(2, &self::span(span));
    }
    let mut about = Message::default();
    for (name, value) in resource {
        about.message(1, &attribute(name, value));
    }
    let mut of_resource = Message::default();
    of_resource.message(1, &about);
    of_resource.message(2, &of_scope);
    let mut request = Message::default();
    request.message(1, &of_resource);
    request.0
}

fn span(span: &Span) -> Message {
    let mut message = Message::default();
    message.bytes(1, &span.id.trace);
    message.bytes(2, &span.id.span);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.text(5, &span.name);
    message.number(
        6,
        match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
        },
    );
    message.fixed64(7, span.start_ns);
    message.fixed64(8, span.end_ns);
    for (name, value) in &span.attributes {
        message.message(9, &attribute(name, value));
    }
    if let Outcome::Error(why) = &span.outcome {
        let mut status = Message::default();
        status.text(2, why);
        status.number(3, STATUS_ERROR);
        message.message(15, &status);
    }
    message.fixed32(16, FLAGS);
    message
}

fn attribute(name: &str, value: &Value) -> Message {
    let mut any = Message::default();
    match value {
        Value::Text(text) => any.text(1, text),
        Value::Bool(value) => any.number(2, u64::from(*value)),
        Value::Int(number) => any.number(3, number.cast_unsigned()),
    }
    let mut pair = Message::default();
    pair.text(1, name);
    pair.message(2, &any);
    pair
}

/// A message being written.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.0.push(low & 0x7f);
            }
            self.0.push(low | 0x80);
        }
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, 0);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.key(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        let end = (0..=text.len().min(LONGEST_TEXT)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.bytes(field, text.get(..end).unwrap_or_default().as_bytes());
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_as_the_encoding_has_them() {
        // The examples of the encoding's own description.
        let mut message = Message::default();
        message.number(1, 150);
        message.text(2, "testing");
        assert_eq!(message.0, *b"\x08\x96\x01\x12\x07testing");
        let mut all = Message::default();
        all.number(3, (-1_i64).cast_unsigned());
        assert_eq!(all.0, [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        let mut long = Message::default();
        long.text(1, &"ä".repeat(3000));
        assert_eq!(long.0.len(), 3 + LONGEST_TEXT);
    }
}
