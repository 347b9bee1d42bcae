//! Traces of builds: which trace a build belongs to (W3C Trace Context), and its spans (OpenTelemetry's data model).
//!
//! The ids of a build's spans follow from its own id, so that a runner, the server that follows it and the next server name the
//! same span in the same way without speaking to each other.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A span that something belongs to, as the header `traceparent` and the variable `TRACEPARENT` name it
/// (W3C Trace Context, level 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Traceparent {
    /// Id of the trace; never all zeros.
    pub trace: [u8; 16],
    /// Id of the span; never all zeros.
    pub span: [u8; 8],
    /// Whether whoever made it records its own span.
    pub sampled: bool,
}

/// A text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a traceparent: 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in lower case")]
pub struct NoTraceparent;

impl FromStr for Traceparent {
    type Err = NoTraceparent;

    fn from_str(text: &str) -> Result<Self, NoTraceparent> {
        let mut parts = text.split('-');
        let mut part = || parts.next().ok_or(NoTraceparent);
        let (version, trace, span, flags) = (part()?, part()?, part()?, part()?);
        let [version] = from_hex(version)?;
        // A version to come may have more behind the flags; the first has nothing, and 255 is none.
        if version == 255 || (version == 0 && parts.next().is_some()) {
            return Err(NoTraceparent);
        }
        let (trace, span, [flags]) = (from_hex(trace)?, from_hex(span)?, from_hex(flags)?);
        if trace == [0; 16] || span == [0; 8] {
            return Err(NoTraceparent);
        }
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], NoTraceparent> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(NoTraceparent);
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let digits = text.get(2 * at..2 * at + 2).ok_or(NoTraceparent)?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| NoTraceparent)?;
    }
    Ok(bytes)
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-0{}", u8::from(self.sampled))
    }
}

impl Serialize for Traceparent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Traceparent {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("'{text}' {NoTraceparent}")))
    }
}

/// What a span of a build is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The build.
    Build,
    /// Its n-th phase, from 0.
    Phase(u32),
    /// A command, by its number.
    Command(u32),
}

/// The trace of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildTrace {
    build: u128,
    parent: Option<Traceparent>,
}

impl BuildTrace {
    /// Of the build with that uuid, started by what `parent` names. Without a parent the build is a trace of its own, whose id
    /// is the build's. `None`: it is no uuid.
    #[must_use]
    pub fn new(uuid: &str, parent: Option<Traceparent>) -> Option<Self> {
        let build = u128::from_str_radix(&uuid.replace('-', ""), 16).ok().filter(|build| *build != 0)?;
        Some(Self { build, parent })
    }

    /// The span that started the build.
    #[must_use]
    pub fn parent(&self) -> Option<Traceparent> {
        self.parent
    }

    /// The span of a part, as what runs in it is told.
    #[must_use]
    pub fn span(&self, part: Part) -> Traceparent {
        let (kind, number) = match part {
            Part::Build => (1, 0),
            Part::Phase(number) => (2, number),
            Part::Command(number) => (3, number),
        };
        let [high, low] = [self.build >> 64, self.build & u128::from(u64::MAX)].map(|half| half as u64);
        let id = mix(mix(mix(high) ^ low) ^ (kind << 32 | u64::from(number))).max(1);
        let trace = self.parent.map_or(self.build.to_be_bytes(), |parent| parent.trace);
        Traceparent { trace, span: id.to_be_bytes(), sampled: true }
    }
}

/// A step of SplitMix64: spreads numbers that differ little over all of them, each to another.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its trace and its own id.
    pub id: Traceparent,
    /// Id of the span that it is a part of.
    pub parent: Option<[u8; 8]>,
    /// Its place among others.
    pub kind: Kind,
    /// What happened, in few words.
    pub name: String,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// End, nanoseconds since the epoch.
    pub end_ns: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// How it went.
    pub outcome: Outcome,
}

/// The place of a span among others (OpenTelemetry's span kinds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of something.
    Internal,
    /// Somebody asked for it from outside.
    Server,
}

/// How a span went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well, or nobody can say.
    Unset,
    /// Not as it should have; why.
    Error(String),
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_text_of_the_standard_is_read_and_written() {
        let parent: Traceparent = TEXT.parse().unwrap();
        assert_eq!((parent.span, parent.sampled), ([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7], true));
        assert_eq!(parent.to_string(), TEXT);
        let newer = format!("01{}-what-comes", TEXT.strip_prefix("00").unwrap());
        assert_eq!(newer.parse(), Ok(parent), "a version to come");
        assert!(!TEXT.replace("-01", "-00").parse::<Traceparent>().unwrap().sampled);
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in [
            "",
            "00",
            &TEXT.to_uppercase(),
            &TEXT.replace("00-4", "ff-4"),
            &format!("{TEXT}-x"),
            &format!(" {TEXT}"),
            &TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &TEXT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &TEXT.replace("00f067aa", "00f067aä"),
            &TEXT.replace("-01", "-1"),
            &TEXT.replace("00-4", "+0-4"),
        ] {
            assert_eq!(wrong.parse::<Traceparent>(), Err(NoTraceparent), "{wrong:?}");
        }
    }

    #[test]
    fn spans_have_ids_of_their_own_which_follow_from_the_build() {
        const UUID: &str = "11112222-3333-4444-5555-666677778888";
        let trace = BuildTrace::new(UUID, None).unwrap();
        assert!(trace.span(Part::Build).to_string().starts_with("00-11112222333344445555666677778888-"));
        let other = BuildTrace::new("7", Some(TEXT.parse().unwrap())).unwrap();
        assert_eq!(BuildTrace::new("not a uuid", None), None);
        assert_eq!(other.span(Part::Build).to_string().get(..35), TEXT.get(..35));
        let parts = (0..1000).flat_map(|n| [Part::Phase(n), Part::Command(n)]).chain([Part::Build]);
        let ids: HashSet<[u8; 8]> = parts.flat_map(|part| [trace.span(part).span, other.span(part).span]).collect();
        assert_eq!(ids.len(), 2 * 2001);
        assert_eq!(BuildTrace::new(UUID, None).unwrap().span(Part::Command(3)), trace.span(Part::Command(3)));
    }
}
