//! Lines of a build's log.

use serde::{Deserialize, Serialize};

use crate::{ApiError, Timestamp};

/// Most lines of one answer.
pub const MOST_LINES: u32 = 10_000;

/// Which lines to read: at most one of `fromLine`, `fromByte`, `tail` and `since`; from the first when there is none. Up to
/// `toLine` or `until`, whichever comes first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBuildLogInput {
    /// Id or ARN.
    pub id: String,
    /// First line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_line: Option<u64>,
    /// The line that holds this byte of the text, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_byte: Option<u64>,
    /// The last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_line: Option<u64>,
    /// Only lines that are older than that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The last so many lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// The first line of that time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Most lines to answer, 1 to 10000; 1000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lines: Option<u32>,
    /// Seconds to wait for a line of a running build where there is none yet, 0 to 20; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
}

/// A line of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Number, from 1.
    pub number: u64,
    /// When the runner received it.
    pub time: Timestamp,
    /// Where it begins in the text of the log, in bytes from 0.
    #[serde(default)]
    pub byte: u64,
    /// Text without its end, with bytes that are not UTF-8 replaced.
    pub text: String,
}

/// Lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBuildLogOutput {
    /// Lines.
    #[serde(default)]
    pub lines: Vec<LogLine>,
    /// `fromLine` of the call that reads on.
    pub next_line: u64,
    /// Whether the build is over and these lines reach its end, or that of what was asked for.
    pub complete: bool,
}

/// Where a read of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStart {
    /// At this line, from 1.
    Line(u64),
    /// At the line that holds this byte of the text.
    Byte(u64),
    /// This many lines before the end.
    Tail(u32),
    /// At the first line of this time or later.
    Since(Timestamp),
}

impl GetBuildLogInput {
    /// Where to begin.
    ///
    /// # Errors
    /// When the input names more than one beginning.
    pub fn start(&self) -> Result<LogStart, ApiError> {
        match (self.from_line, self.from_byte, self.tail, self.since) {
            (None, None, None, None) => Ok(LogStart::Line(1)),
            (Some(line), None, None, None) => Ok(LogStart::Line(line.max(1))),
            (None, Some(byte), None, None) => Ok(LogStart::Byte(byte)),
            (None, None, Some(lines), None) => Ok(LogStart::Tail(lines)),
            (None, None, None, Some(time)) => Ok(LogStart::Since(time)),
            _ => Err(ApiError::invalid_input("give only one of fromLine, fromByte, tail and since")),
        }
    }

    /// Most lines to answer: [`MOST_LINES`] at most, 1,000 unless the input says otherwise.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.max_lines.unwrap_or(1000).clamp(1, MOST_LINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_has_one_beginning() {
        let input = GetBuildLogInput { id: "x".to_owned(), ..Default::default() };
        assert_eq!(input.start().unwrap(), LogStart::Line(1));
        assert_eq!(input.limit(), 1000);
        let both = GetBuildLogInput { tail: Some(5), from_line: Some(1), ..input };
        assert!(both.start().unwrap_err().message.contains("only one"));
        assert_eq!(GetBuildLogInput { max_lines: Some(u32::MAX), ..both }.limit(), MOST_LINES);
    }
}
