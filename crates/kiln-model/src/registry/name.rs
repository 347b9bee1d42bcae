//! Names of repositories, tags and digests: hostile until they are one of these.

/// Longest name of a repository (ECR's limit).
pub const MOST_NAME: usize = 256;

/// Longest tag.
pub const MOST_TAG: usize = 128;

/// Whether a text is words with slashes between them, as names of repositories are: lower-case letters and digits, with
/// single points, one or two underscores, or hyphens between them. `..` is none, nor is anything that begins with a slash.
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.split('/').all(is_word)
}

fn is_word(word: &str) -> bool {
    let is_letter = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut letters = word.chars().peekable();
    loop {
        let mut some = false;
        while letters.next_if(is_letter).is_some() {
            some = true;
        }
        if !some {
            return false;
        }
        let mut between = String::new();
        while let Some(c) = letters.next_if(|c| !is_letter(c)) {
            between.push(c);
        }
        let is_separator = matches!(between.as_str(), "." | "_" | "__") || between.chars().all(|c| c == '-');
        match letters.peek() {
            None => return between.is_empty(),
            Some(_) if is_separator => {}
            Some(_) => return false,
        }
    }
}

/// Whether a text can be a tag.
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MOST_TAG && text.starts_with(is_word) && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

/// A digest: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// What the specification calls a digest, of the one algorithm that is taken here. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    /// The digest of a SHA-256.
    #[must_use]
    pub fn of(sha256: &[u8; 32]) -> Self {
        use std::fmt::Write as _;
        let hex = sha256.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok(); // writing to a String does not fail
            text
        });
        Self(format!("sha256:{hex}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a manifest is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A tag.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl Reference {
    /// `None` for what is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match Digest::parse(text) {
            Some(digest) => Some(Self::Digest(digest)),
            None => is_tag(text).then(|| Self::Tag(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories() {
        for good in ["a", "a0", "team/app", "a.b_c__d-e---f/g", "0/1/2", &"a".repeat(300)] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "..", "a/../b", "a..b", "a___b", "_a", "a-", ".a", "A", "a b", "a\n", "é",
            "a._b", "a-_b", "a%2f", "a\\b", "a:b", "a\0",
        ] {
            assert!(!is_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn tags_and_digests() {
        for good in ["latest", "_x", "1.0-rc.1", "A_b", &"a".repeat(128)] {
            assert_eq!(Reference::parse(good), Some(Reference::Tag(good.to_owned())));
        }
        for bad in ["", ".a", "-a", "a/b", "a b", "é", "a:b", "sha256:abc", "..", &"a".repeat(129)] {
            assert_eq!(Reference::parse(bad), None, "{bad}");
        }
        let text = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(Reference::parse(&text), Digest::parse(&text).map(Reference::Digest));
        assert_eq!(Digest::of(&[15; 32]).as_str(), text);
        for bad in [text.to_uppercase(), format!("{text}0"), text.replace("sha256", "sha512"), text.replace('f', "g")] {
            assert_eq!(Digest::parse(&bad), None, "{bad}");
        }
    }
}
