//! Values that patterns compare with.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use super::{Problem, expression::Reader};

/// Bytes that a compiled regular expression may take.
const REGEX_BYTES: usize = 1 << 20;

/// How something is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What it is compared with.
#[derive(Debug)]
pub(super) enum Operand {
    /// A text, in which `*` stands for any text.
    Text(String),
    /// A number, with how it was written.
    Number(f64, String),
    /// A regular expression, which matches a part.
    Regex(Regex),
}

impl Operator {
    /// Reads one, if there is one.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.skip_blanks();
        // The longer ones first.
        [
            ("!=", Self::NotEqual),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ]
        .into_iter()
        .find_map(|(text, operator)| reader.take(text).then_some(operator))
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left.partial_cmp(&right) == Some(Ordering::Equal),
            Self::NotEqual => left.partial_cmp(&right) != Some(Ordering::Equal),
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// A regular expression between percent signs.
pub(super) fn regex(at: usize, text: &str) -> Result<Regex, Problem> {
    RegexBuilder::new(text)
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|_| Problem::new(at, "what stands between the percent signs is no regular expression that is offered"))
}

impl Operand {
    /// Reads one, as far as a character that `ends` it.
    pub(super) fn read(reader: &mut Reader<'_>, ends: &[char]) -> Result<Self, Problem> {
        reader.skip_blanks();
        let at = reader.at();
        if let Some(text) = reader.quoted()? {
            return Ok(Self::Text(text));
        }
        if let Some(text) = reader.between_percent_signs()? {
            return Ok(Self::Regex(regex(at, &text)?));
        }
        let text = reader.word(ends);
        if text.is_empty() {
            return Err(Problem::new(at, "a value is missing"));
        }
        Ok(match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number, text),
            _ => Self::Text(text),
        })
    }

    /// Whether an operator can compare with it.
    pub(super) fn check(&self, operator: Operator, at: usize) -> Result<(), Problem> {
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        match self {
            Self::Text(_) | Self::Regex(_) if is_order => Err(Problem::new(at, "only numbers are less or greater")),
            _ => Ok(()),
        }
    }

    /// Compares a text with it.
    pub(super) fn match_text(&self, operator: Operator, text: &str) -> bool {
        let equal = match self {
            Self::Text(pattern) => is_like(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Number(number, written) => match text.parse::<f64>() {
                Ok(value) => return operator.holds(value, *number),
                Err(_) => written == text,
            },
        };
        match operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            _ => false,
        }
    }

    /// Compares a number, written like that, with it.
    pub(super) fn match_number(&self, operator: Operator, value: f64, written: &str) -> bool {
        match self {
            Self::Number(number, _) => operator.holds(value, *number),
            Self::Text(_) | Self::Regex(_) => self.match_text(operator, written),
        }
    }
}

/// Whether a text is of a form in which `*` stands for any text. Each piece is looked for once: linear but for the search.
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match memchr::memmem::find(rest.as_bytes(), piece.as_bytes()) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}
