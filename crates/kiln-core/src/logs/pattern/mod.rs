//! Filter patterns: which events a search wants (`api.md` 6).
//!
//! Three languages, told apart by their first character: terms (`ERROR -"not found" %[45]\d\d%`), JSON
//! (`{ $.level = "error" && $.ms > 100 }`) and space-delimited fields (`[ip, ..., status = 4*]`). Pure; matching takes time
//! that is linear in the length of a message, whatever the pattern is.

mod expression;
mod fields;
mod json;
mod terms;
mod value;

use std::fmt;

/// Longest pattern, bytes; the API allows no more characters.
const LONGEST: usize = 4096;

/// A filter pattern.
#[derive(Debug)]
pub(super) struct Pattern(Kind);

#[derive(Debug)]
enum Kind {
    All,
    Terms(terms::Terms),
    Json(expression::Expression<json::Test>),
    Fields(fields::Fields),
}

/// What is wrong with a pattern, and where: behind so many bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    at: usize,
    what: String,
}

impl Problem {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid filter pattern: {} (at character {})", self.what, self.at + 1)
    }
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::new(LONGEST, "it is too long"));
        }
        let trimmed = text.trim();
        let kind = match trimmed.chars().next() {
            None => Kind::All,
            Some('{') => Kind::Json(json::parse(text)?),
            Some('[') => Kind::Fields(fields::parse(text)?),
            Some(_) => Kind::Terms(terms::parse(text)?),
        };
        Ok(Self(kind))
    }

    /// Whether every event is wanted.
    pub(super) fn is_all(&self) -> bool {
        matches!(self.0, Kind::All)
    }

    /// Whether an event with this message is wanted.
    pub(super) fn matches(&self, message: &str) -> bool {
        // The newline that ends a line is no part of what it says.
        let message = message.strip_suffix('\n').unwrap_or(message);
        match &self.0 {
            Kind::All => true,
            Kind::Terms(terms) => terms.match_text(message),
            Kind::Json(expression) => serde_json::from_str::<serde_json::Value>(message.trim())
                .is_ok_and(|value| value.is_object() && expression.holds(&|test: &json::Test| test.holds(&value))),
            Kind::Fields(fields) => fields.match_text(message),
        }
    }
}

#[cfg(test)]
mod tests;
