//! Remarks on a buildspec.

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// How much a remark matters.
    #[derive(Default)]
    LintSeverity {
        /// The buildspec cannot be run.
        #[default]
        Error = "ERROR",
        /// It runs, but part of it is ignored or does not do what it says.
        Warning = "WARNING",
        /// It runs; something about it is likely to surprise.
        Hint = "HINT",
    }
}

/// A buildspec to check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintBuildspecInput {
    /// Its text.
    pub buildspec: String,
}

/// A remark on a buildspec.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintRemark {
    /// How much it matters.
    pub severity: LintSeverity,
    /// Stable name of the kind of remark.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Line where it begins, from 1.
    pub line: u32,
    /// Column where it begins, from 1, in characters.
    pub column: u32,
    /// Line after it; absent when it is a point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
    /// Column after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The text with which AWS fails such a build, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_message: Option<String>,
}

/// What there is to say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LintBuildspecOutput {
    /// Whether the buildspec can be run.
    pub valid: bool,
    /// Remarks, in the order of the file.
    #[serde(default)]
    pub remarks: Vec<LintRemark>,
}
