//! `on-failure` (`buildspec.md` 1.8).

use std::{fmt, str::FromStr};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// What happens when a phase fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// `ABORT`: end the build after this phase.
    Abort,
    /// `CONTINUE`: go on to the next phase.
    Continue,
    /// `RETRY…`: run the phase again while tries are left and the error message matches.
    Retry {
        /// Retries after the first try, 0 to 100; 3 when none is written.
        count: u8,
        /// Regular expression on the error message; `.*` when none is written.
        pattern: String,
    },
}

/// Why a text is no `on-failure` value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnFailureError {
    /// None of the three words.
    #[error(
        "unknown on-failure '{0}': use ABORT, CONTINUE, RETRY, RETRY-<count>, RETRY-<regex> or RETRY-<count>-<regex>"
    )]
    Unknown(String),
    /// The number of retries is out of range.
    #[error("on-failure asks for {0} retries: a count is between 0 and 100")]
    Count(String),
    /// The regular expression is not one, or is too big.
    #[error("the pattern of on-failure cannot be used: {0}")]
    Pattern(String),
}

const DEFAULT_COUNT: u8 = 3;
const ANY_MESSAGE: &str = ".*";
/// Longest pattern, in bytes: far more than any error message needs.
const MAX_PATTERN_BYTES: usize = 1024;
/// Bound on a compiled pattern, in bytes: `(a{1000}){1000}` is refused instead of filling memory (`security.md` 5.5).
const MAX_COMPILED_BYTES: usize = 1 << 20;

fn compile(pattern: &str) -> Result<Regex, OnFailureError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(OnFailureError::Pattern(format!("it has {} bytes, more than {MAX_PATTERN_BYTES}", pattern.len())));
    }
    RegexBuilder::new(pattern).size_limit(MAX_COMPILED_BYTES).dfa_size_limit(MAX_COMPILED_BYTES).build().map_err(|e| {
        // The library draws the pattern with a caret over several lines; its last line says what is wrong.
        let text = e.to_string();
        let last = text.lines().last().unwrap_or_default();
        OnFailureError::Pattern(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    })
}

impl OnFailure {
    /// How often a phase that failed with `message` may be tried again: 0 for all but `RETRY`, and when the pattern
    /// does not match.
    #[must_use]
    pub fn retries_for(&self, message: &str) -> u8 {
        match self {
            Self::Retry { count, pattern } if compile(pattern).is_ok_and(|regex| regex.is_match(message)) => *count,
            _ => 0,
        }
    }
}

impl FromStr for OnFailure {
    type Err = OnFailureError;

    /// Words are compared without case: the documentation itself writes both `RETRY` and `Retry`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let text = s.trim();
        let unknown = || OnFailureError::Unknown(s.to_owned());
        if text.eq_ignore_ascii_case("ABORT") {
            return Ok(Self::Abort);
        }
        if text.eq_ignore_ascii_case("CONTINUE") {
            return Ok(Self::Continue);
        }
        let (word, rest) = text.split_once('-').map_or((text, None), |(word, rest)| (word, Some(rest)));
        if !word.eq_ignore_ascii_case("RETRY") {
            return Err(unknown());
        }
        let Some(rest) = rest else {
            return Ok(Self::Retry { count: DEFAULT_COUNT, pattern: ANY_MESSAGE.to_owned() });
        };
        if rest.is_empty() {
            return Err(unknown());
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let (count, pattern) = match after.strip_prefix('-') {
            _ if number.is_empty() => (None, rest),
            _ if after.is_empty() => (Some(number), ANY_MESSAGE),
            Some("") => (Some(number), ANY_MESSAGE),
            Some(pattern) => (Some(number), pattern),
            None => (None, rest),
        };
        let count = match count {
            None => DEFAULT_COUNT,
            Some(number) => number
                .parse::<u8>()
                .ok()
                .filter(|n| *n <= 100)
                .ok_or_else(|| OnFailureError::Count(number.to_owned()))?,
        };
        compile(pattern)?;
        Ok(Self::Retry { count, pattern: pattern.to_owned() })
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abort => f.write_str("ABORT"),
            Self::Continue => f.write_str("CONTINUE"),
            Self::Retry { count, pattern } => write!(f, "RETRY-{count}-{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(count: u8, pattern: &str) -> OnFailure {
        OnFailure::Retry { count, pattern: pattern.to_owned() }
    }

    #[test]
    fn every_documented_form() {
        for (text, expected) in [
            ("ABORT", OnFailure::Abort),
            ("abort", OnFailure::Abort),
            ("Continue", OnFailure::Continue),
            ("RETRY", retry(3, ".*")),
            ("Retry", retry(3, ".*")),
            ("RETRY-0", retry(0, ".*")),
            ("RETRY-100", retry(100, ".*")),
            ("Retry-timed? out", retry(3, "timed? out")),
            ("RETRY-5-connection.*reset", retry(5, "connection.*reset")),
            ("RETRY-5-", retry(5, ".*")),
            ("RETRY-4xx", retry(3, "4xx")),
            ("RETRY-a-b", retry(3, "a-b")),
        ] {
            assert_eq!(text.parse::<OnFailure>(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse::<OnFailure>(), Ok(expected));
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", "STOP", "CONTINUE-x", "RETRY-", "RETRYING", "ABORT-1", "-", "retry 3"] {
            assert!(matches!(bad.parse::<OnFailure>(), Err(OnFailureError::Unknown(_))), "{bad}");
        }
        for bad in ["RETRY-101", "RETRY-99999999999999999999", "RETRY-256-x"] {
            assert!(matches!(bad.parse::<OnFailure>(), Err(OnFailureError::Count(_))), "{bad}");
        }
        let long = format!("RETRY-{}", "a".repeat(2000));
        for bad in ["RETRY-(", "RETRY-3-(?=x)", "RETRY-(a{1000}){1000}", &long] {
            assert!(matches!(bad.parse::<OnFailure>(), Err(OnFailureError::Pattern(_))), "{bad}");
        }
    }

    #[test]
    fn only_a_matching_message_is_retried() {
        assert_eq!(retry(5, "exit status 7").retries_for("Reason: exit status 7"), 5);
        assert_eq!(retry(5, "exit status 7").retries_for("Reason: exit status 1"), 0);
        assert_eq!(OnFailure::Abort.retries_for("x"), 0);
    }
}
