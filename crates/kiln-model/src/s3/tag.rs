//! Tags of buckets and objects.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{S3Code, S3Error};

/// Tags that an object may have.
pub const OBJECT_TAGS: usize = 10;
/// Tags that a bucket may have.
pub const BUCKET_TAGS: usize = 50;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// Its name, 1 to 128 characters.
    pub key: String,
    /// Its value, up to 256 characters.
    pub value: String,
}

/// Whether these tags may be kept: at most `most`, each name once.
///
/// # Errors
/// [`S3Code::InvalidTag`], with what is wrong.
pub fn check_tags(tags: &[Tag], most: usize) -> Result<(), S3Error> {
    let invalid = |text: String| Err(S3Error::new(S3Code::InvalidTag, text));
    if tags.len() > most {
        return invalid(format!("There are {} tags; at most {most} are allowed", tags.len()));
    }
    let mut names = BTreeSet::new();
    for Tag { key, value } in tags {
        let shown = crate::error::excerpt(key);
        let plain = |c: char| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c);
        if key.is_empty() || key.chars().count() > 128 || !key.chars().all(plain) {
            return invalid(format!("The TagKey you have provided is invalid: '{shown}'"));
        }
        if value.chars().count() > 256 || !value.chars().all(plain) {
            return invalid(format!("The TagValue you have provided is invalid: the value of '{shown}'"));
        }
        if key.starts_with("aws:") {
            return invalid(format!("System tags cannot be added or updated: '{shown}'"));
        }
        if !names.insert(key) {
            return invalid(format!("Cannot provide multiple Tags with the same key: '{shown}'"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn tags_are_few_and_plain() {
        assert_eq!(check_tags(&[tag("team", "a b"), tag("Größe", "")], OBJECT_TAGS), Ok(()));
        for bad in
            [vec![tag("", "x")], vec![tag("a", "\n")], vec![tag("aws:x", "")], vec![tag("a", "1"), tag("a", "2")]]
        {
            assert_eq!(check_tags(&bad, OBJECT_TAGS).unwrap_err().code, S3Code::InvalidTag, "{bad:?}");
        }
        let many: Vec<Tag> = (0..11).map(|n| tag(&n.to_string(), "")).collect();
        assert!(check_tags(&many, OBJECT_TAGS).is_err());
        assert_eq!(check_tags(&many, BUCKET_TAGS), Ok(()));
    }
}
