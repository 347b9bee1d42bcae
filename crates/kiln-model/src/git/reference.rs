//! Names and values of references.

use std::{fmt, str::FromStr};

use super::Malformed;

/// The id of an object: forty hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// Its forty digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_id = text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_id { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference that is made, moved or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Its full name: `refs/heads/main`.
    pub name: String,
    /// What it named before; `None`: it was not there.
    pub old: Option<ObjectId>,
    /// What it names from then on; `None`: it is deleted.
    pub new: Option<ObjectId>,
}

/// Whether a text can be the full name of a reference, by the rules of `git check-ref-format`; none is longer than 1,024
/// bytes here.
#[must_use]
pub fn is_reference_name(text: &str) -> bool {
    let has_prefix = text.strip_prefix("refs/").is_some_and(|rest| rest.contains('/') || !rest.is_empty());
    let is_bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    has_prefix
        && text.len() <= 1024
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.chars().any(is_bad)
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Whether a text can be the name of a branch, without `refs/heads/`.
#[must_use]
pub fn is_branch_name(text: &str) -> bool {
    (1..=256).contains(&text.chars().count())
        && !text.starts_with('-')
        && text != "HEAD"
        && is_reference_name(&format!("refs/heads/{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_gits_rules() {
        for good in ["main", "feature/a-b_c.d", "a@b", "größe", "1", "x/y/z", &"b".repeat(256)] {
            assert!(is_branch_name(good), "{good}");
        }
        let bad = [
            "",
            "-x",
            "HEAD",
            ".x",
            "x.",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a@{1}",
            "a.lock",
            "a/.b",
            "/a",
            "a/",
            "a//b",
            "a\nb",
            "a\u{7f}",
            "a.lock/b",
            &"b".repeat(257),
        ];
        for bad in bad {
            assert!(!is_branch_name(bad), "{bad}");
        }
        for bad in ["heads/x", "refs/", "HEAD", "refs", "/refs/heads/x", &format!("refs/heads/{}", "b".repeat(1024))] {
            assert!(!is_reference_name(bad), "{bad}");
        }
        assert!(is_reference_name("refs/tags/v1.0"));
    }

    #[test]
    fn ids_are_forty_digits() {
        assert!("0123456789abcdef0123456789abcdef01234567".parse::<ObjectId>().is_ok());
        for bad in ["", "0123", "0123456789ABCDEF0123456789abcdef01234567", "g123456789abcdef0123456789abcdef01234567"]
        {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad}");
        }
    }
}
