//! Searching a build's log.

use serde::{Deserialize, Serialize};

use super::LogLine;

/// Most lines of one answer.
pub const MOST_MATCHES: u32 = 1000;

/// What to search for, and in which lines: exactly one of `text` and `pattern`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchBuildLogInput {
    /// Id or ARN.
    pub id: String,
    /// A text that lines contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A regular expression that matches in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether small and capital letters are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_case: Option<bool>,
    /// The line to begin with, from 1; absent: the first one, or the last one with `backward`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_line: Option<u64>,
    /// The last line that is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_line: Option<u64>,
    /// Towards the beginning of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backward: Option<bool>,
    /// Most lines to answer, 1 to 1000; 100 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_matches: Option<u32>,
}

/// A line that was found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogMatch {
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
    /// What was searched for in it: the first 100 places that are not empty.
    #[serde(default)]
    pub ranges: Vec<TextRange>,
}

/// A part of a text: bytes of its UTF-8 form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextRange {
    /// The first byte, from 0.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
}

/// Lines that were found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchBuildLogOutput {
    /// In the order of the search.
    #[serde(default)]
    pub matches: Vec<LogMatch>,
    /// `fromLine` of the call that searches on; absent when a backward search has reached the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_line: Option<u64>,
    /// Whether all lines were searched and no more can come.
    pub complete: bool,
}

/// What to count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountBuildLogInput {
    /// Id or ARN.
    pub id: String,
    /// A text that lines contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A regular expression that matches in lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether small and capital letters are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_case: Option<bool>,
    /// The first line that is counted, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_line: Option<u64>,
    /// The last line that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_line: Option<u64>,
}

/// How many lines there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountBuildLogOutput {
    /// Lines that are searched for.
    pub matched_lines: u64,
    /// All lines that were looked at.
    pub total_lines: u64,
    /// `fromLine` of the call that counts on.
    pub next_line: u64,
    /// Whether all lines were counted and no more can come.
    pub complete: bool,
}
