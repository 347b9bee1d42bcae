//! What `kiln lint` prints: text, JSON, SARIF.

mod sarif;

use serde::Serialize;
use serde_json::json;

use crate::{
    diagnostic::{Diagnostic, Severity},
    display::escape,
    excerpt::{color_of, paint, render_excerpt},
    source::SourceText,
};

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: `FILE:LINE:COLUMN: SEVERITY: MESSAGE [CODE]`, the line with a caret, hint and AWS's text.
    #[default]
    Text,
    /// One JSON object; see [`render`].
    Json,
    /// SARIF 2.1.0, which code hosts and editors read.
    Sarif,
}

impl Format {
    /// The names that `--format` takes.
    pub const NAMES: [&str; 3] = ["text", "json", "sarif"];
}

impl std::str::FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "sarif" => Ok(Self::Sarif),
            _ => Err(UnknownFormat(s.to_owned())),
        }
    }
}

/// There is no output format of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown format '{0}': use text, json or sarif")]
pub struct UnknownFormat(String);

/// A file, its text and what was found in it.
pub type Checked<'a> = (&'a str, &'a [u8], &'a [Diagnostic]);

/// Writes what was found in some files. `color` matters to [`Format::Text`] only.
///
/// # JSON
/// ```json
/// {
///   "version": 1,
///   "files": [
///     {
///       "path": "buildspec.yml",
///       "diagnostics": [
///         {
///           "severity": "error",
///           "code": "command-not-text",
///           "message": "…",
///           "line": 6, "column": 18, "endLine": 6, "endColumn": 19,
///           "hint": "…",
///           "awsMessage": "…"
///         }
///       ]
///     }
///   ],
///   "summary": { "errors": 1, "warnings": 0, "hints": 0 }
/// }
/// ```
/// Files without findings are listed too. Lines and columns count from 1, columns in Unicode characters; the end is the
/// first place behind the part meant, and is the beginning for a point. `hint` and `awsMessage` may be absent. New keys may
/// be added; any other change raises `version`.
#[must_use]
pub fn render(format: Format, files: &[Checked<'_>], color: bool) -> String {
    match format {
        Format::Text => text(files, color),
        Format::Json => pretty(&json_report(files)),
        Format::Sarif => pretty(&sarif::report(files)),
    }
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Writes one diagnostic for people: place, message, the line with a caret, hint, and AWS's text where it differs.
#[must_use]
pub fn render_diagnostic(path: &str, source: &SourceText, diagnostic: &Diagnostic, color: bool) -> String {
    const BOLD: &str = "\x1b[1m";
    let place = format!("{}:{}:{}:", escape(path), diagnostic.line, diagnostic.column);
    let severity = paint(&format!("{}:", diagnostic.severity), color_of(diagnostic.severity), color);
    let message = paint(&escape(&diagnostic.message), BOLD, color);
    let mut out = format!("{} {severity} {message} [{}]\n", paint(&place, BOLD, color), diagnostic.code);
    out.push_str(&render_excerpt(source, diagnostic, color));
    let notes = [
        ("hint", diagnostic.hint.as_deref()),
        ("CodeBuild says", diagnostic.aws_message.as_deref().filter(|aws| *aws != diagnostic.message)),
    ];
    for (name, note) in notes {
        if let Some(note) = note {
            let bar = paint("=", BOLD, color);
            out.push_str(&format!("      {bar} {name}: {}\n", escape(note)));
        }
    }
    out
}

fn text(files: &[Checked<'_>], color: bool) -> String {
    let mut out = String::new();
    for (path, text, diagnostics) in files {
        if diagnostics.is_empty() {
            continue;
        }
        let source = SourceText::lossy(text);
        for diagnostic in *diagnostics {
            out.push_str(&render_diagnostic(path, &source, diagnostic, color));
            out.push('\n');
        }
    }
    let Summary { errors, warnings, hints } = Summary::of(files);
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let files = count(files.len(), "file");
    if errors + warnings + hints == 0 {
        out.push_str(&format!("{files} checked, nothing found\n"));
    } else {
        out.push_str(&format!(
            "{files} checked: {}, {}, {}\n",
            count(errors, "error"),
            count(warnings, "warning"),
            count(hints, "hint")
        ));
    }
    out
}

#[derive(Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    hints: usize,
}

impl Summary {
    fn of(files: &[Checked<'_>]) -> Self {
        let count =
            |severity| files.iter().map(|(_, _, found)| found.iter().filter(|d| d.severity == severity).count()).sum();
        Self { errors: count(Severity::Error), warnings: count(Severity::Warning), hints: count(Severity::Hint) }
    }
}

fn json_report(files: &[Checked<'_>]) -> serde_json::Value {
    let files_json: Vec<_> = files
        .iter()
        .map(|(path, _, diagnostics)| {
            json!({ "path": path, "diagnostics": diagnostics.iter().map(json_diagnostic).collect::<Vec<_>>() })
        })
        .collect();
    json!({ "version": 1, "files": files_json, "summary": Summary::of(files) })
}

fn json_diagnostic(diagnostic: &Diagnostic) -> serde_json::Value {
    let end = diagnostic.end.unwrap_or(diagnostic.start());
    let mut value = json!({
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "endLine": end.line,
        "endColumn": end.column,
    });
    if let serde_json::Value::Object(value) = &mut value {
        for (name, text) in [("hint", &diagnostic.hint), ("awsMessage", &diagnostic.aws_message)] {
            if let Some(text) = text {
                value.insert(name.to_owned(), json!(text));
            }
        }
    }
    value
}
