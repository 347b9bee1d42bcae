//! Why a policy is refused.

/// Why a policy is refused: first the sentence that AWS says, then where and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The text is longer than its kind of policy may be. IAM answers `LimitExceeded`, other services as for a
    /// malformed one.
    #[error("Cannot exceed quota for {quota}: {limit}")]
    TooLong {
        /// AWS's name of the quota.
        quota: &'static str,
        /// Characters that are allowed.
        limit: usize,
    },
    /// Something in it is wrong. IAM answers `MalformedPolicyDocument`, S3 `MalformedPolicy`.
    #[error("{sentence} {place}: {problem}")]
    Malformed {
        /// AWS's sentence.
        sentence: String,
        /// E.g. `Statement[0].Action`.
        place: String,
        /// What is wrong there, and what would be right.
        problem: String,
    },
}

/// AWS's sentence for what it says nothing particular about.
pub(super) const SYNTAX: &str = "Syntax errors in policy.";

/// AWS's sentence for what its older parser refuses.
pub(super) const LEGACY: &str = "The policy failed legacy parsing.";

impl PolicyError {
    pub(super) fn new(sentence: impl Into<String>, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Malformed { sentence: sentence.into(), place: place.into(), problem: problem.into() }
    }

    pub(super) fn syntax(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new(SYNTAX, place, problem)
    }
}

/// A text of a policy as a message quotes it: printable and short.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut quoted: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted
}
