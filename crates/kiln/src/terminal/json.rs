//! `--json`: events and log lines as NDJSON (docs/events.md).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kiln_wire::{
    event::Event,
    journal::{Body, Record},
};
use serde::Serialize;

/// A longer line is given in pieces.
const MAX_LINE: usize = 1 << 20;

/// Cuts the log into lines and writes everything as JSON.
#[derive(Debug, Default)]
pub(super) struct Json {
    /// The line that is not ended: its time, command, and bytes.
    line: Option<(u64, Option<u32>, Vec<u8>)>,
    stamp: Stamp,
}

#[derive(Serialize)]
struct EventLine<'a> {
    time: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize)]
struct LogLine<'a> {
    time: &'a str,
    r#type: &'static str,
    command: Option<u32>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

impl Json {
    /// Writes one record.
    pub(super) fn record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        match &record.body {
            Body::Output { command, bytes } => self.bytes(record.time_ns, Some(*command), bytes, out),
            Body::Service(bytes) => self.bytes(record.time_ns, None, bytes, out),
            Body::Event(event) => {
                self.end(out);
                let line = EventLine { time: self.stamp.text(record.time_ns), event };
                write(&line, out);
            }
        }
    }

    /// Ends a line that has no end.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Some((time, command, bytes)) = self.line.take() {
            self.line(time, command, &bytes, true, out);
        }
    }

    fn bytes(&mut self, time: u64, command: Option<u32>, bytes: &[u8], out: &mut Vec<u8>) {
        if self.line.as_ref().is_some_and(|(_, other, _)| *other != command) {
            self.end(out);
        }
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            match self.line.take() {
                Some((time, _, mut begun)) => {
                    begun.extend_from_slice(line);
                    self.line(time, command, &begun, false, out);
                }
                None => self.line(time, command, line, false, out),
            }
        }
        if !rest.is_empty() {
            let (_, _, begun) = self.line.get_or_insert_with(|| (time, command, Vec::new()));
            begun.extend_from_slice(rest);
            if begun.len() >= MAX_LINE {
                self.end(out);
            }
        }
    }

    fn line(&mut self, time: u64, command: Option<u32>, bytes: &[u8], partial: bool, out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(bytes);
        // Replaced characters cannot be told from such characters in the output: then the exact bytes stand beside.
        let base64 = matches!(text, std::borrow::Cow::Owned(_)).then(|| STANDARD.encode(bytes));
        let time = self.stamp.text(time);
        write(&LogLine { time, r#type: "log", command, text: &text, base64, partial }, out);
    }
}

fn write(line: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail, and these types have no maps with keys that are not strings.
    if serde_json::to_writer(&mut *out, line).is_ok() {
        out.push(b'\n');
    }
}

/// Times as text: RFC 3339 in UTC with microseconds. Remembers the second that it wrote last.
#[derive(Debug, Default)]
struct Stamp {
    second: Option<u64>,
    text: String,
}

impl Stamp {
    fn text(&mut self, ns: u64) -> &str {
        const UP_TO_SECONDS: usize = "2026-01-15T10:00:00".len();
        let second = ns / 1_000_000_000;
        if self.second != Some(second) {
            let (day, time) = (second / 86_400, second % 86_400);
            let (year, month, date) = civil(day);
            let (h, m, s) = (time / 3600, time / 60 % 60, time % 60);
            self.text = format!("{year:04}-{month:02}-{date:02}T{h:02}:{m:02}:{s:02}");
            self.second = Some(second);
        }
        self.text.truncate(UP_TO_SECONDS);
        let micros = ns / 1000 % 1_000_000;
        self.text.push_str(&format!(".{micros:06}Z"));
        &self.text
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar (eras of 400 years that begin on
/// 1 March, so that the leap day is the last of its year).
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468; // from 0000-03-01
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153; // months from March
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn lines(out: &[u8]) -> Vec<Value> {
        out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
    }

    fn record(body: Body<'_>) -> Record<'_> {
        Record { seq: 0, time_ns: 1_768_471_200_100_001_999, body }
    }

    #[test]
    fn times_are_rfc_3339() {
        let mut stamp = Stamp::default();
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_768_471_200_100_001_999, "2026-01-15T10:00:00.100001Z"),
            (1_768_471_200_000_000_000, "2026-01-15T10:00:00.000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(stamp.text(ns), text);
        }
    }

    #[test]
    fn lines_are_cut_at_their_ends_and_know_their_command() {
        let mut json = Json::default();
        let mut out = Vec::new();
        json.record(&record(Body::Output { command: 2, bytes: b"one\ntw" }), &mut out);
        json.record(&record(Body::Output { command: 2, bytes: b"o\nrest" }), &mut out);
        json.record(&record(Body::Service(b"\n[Container] x\n")), &mut out);
        let seen: Vec<(Value, Value, Value)> =
            lines(&out).into_iter().map(|l| (l["command"].clone(), l["text"].clone(), l["partial"].clone())).collect();
        let row = |c: Option<u32>, t: &str, p: Option<bool>| (c.into(), t.into(), p.map_or(Value::Null, Value::from));
        assert_eq!(
            seen,
            [
                row(Some(2), "one", None),
                row(Some(2), "two", None),
                row(Some(2), "rest", Some(true)),
                row(None, "", None),
                row(None, "[Container] x", None),
            ]
        );
    }

    #[test]
    fn an_event_has_its_time_and_type() {
        let mut json = Json::default();
        let mut out = Vec::new();
        json.record(&record(Body::Event(Box::new(Event::Notice { text: "n".into() }))), &mut out);
        assert_eq!(out, b"{\"time\":\"2026-01-15T10:00:00.100001Z\",\"type\":\"notice\",\"text\":\"n\"}\n");
    }

    proptest! {
        #[test]
        fn the_log_can_be_put_together_again(
            pieces in prop::collection::vec((0u32..3, prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'a')], 0..40)), 0..20),
        ) {
            let mut json = Json::default();
            let (mut out, mut want) = (Vec::new(), Vec::new());
            for (command, bytes) in &pieces {
                let body = match command {
                    0 => Body::Service(bytes),
                    n => Body::Output { command: *n, bytes },
                };
                json.record(&record(body), &mut out);
                want.extend_from_slice(bytes);
            }
            json.end(&mut out);
            let mut got = Vec::new();
            for line in lines(&out) {
                match line.get("base64") {
                    Some(exact) => got.extend(STANDARD.decode(exact.as_str().unwrap()).unwrap()),
                    None => got.extend(line["text"].as_str().unwrap().as_bytes()),
                }
                if line.get("partial").is_none() {
                    got.push(b'\n');
                }
            }
            prop_assert_eq!(got, want);
        }
    }
}
