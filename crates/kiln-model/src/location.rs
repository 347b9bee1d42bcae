//! Places in buckets, and the forms of a buildspec.

use std::fmt;

/// A bucket and a key, as sources, caches, logs and certificates name them: `bucket/key` or the ARN (`api.md` 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct S3Location {
    /// Bucket, not empty.
    pub bucket: String,
    /// Key or prefix; empty when there is only a bucket.
    pub key: String,
}

impl S3Location {
    /// Reads `bucket`, `bucket/key`, or an ARN of these. `None` when no bucket is named.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.strip_prefix("arn:") {
            Some(rest) => rest.split_once(":s3:::")?.1,
            None => text,
        };
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let whole = !bucket.is_empty() && bucket.len() <= 255 && bucket.chars().all(plain) && key.len() <= 1024;
        whole.then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// `arn:aws:s3:::bucket/key`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{self}")
    }
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket)?;
        if !self.key.is_empty() {
            write!(f, "/{}", self.key)?;
        }
        Ok(())
    }
}

/// What `source.buildspec` stands for (`buildspec.md` 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildspecForm<'a> {
    /// Nothing given: `buildspec.yml` at the source's root.
    Default,
    /// A path relative to the source's root.
    Path(&'a str),
    /// ARN of an object.
    Object(&'a str),
    /// The buildspec itself: several lines, or JSON.
    Inline(&'a str),
}

impl<'a> BuildspecForm<'a> {
    /// The form of a value of `source.buildspec`.
    #[must_use]
    pub fn of(buildspec: Option<&'a str>) -> Self {
        let text = buildspec.unwrap_or_default();
        let trimmed = text.trim();
        if trimmed.is_empty() {
            Self::Default
        } else if trimmed.contains('\n') || trimmed.starts_with('{') {
            Self::Inline(text)
        } else if trimmed.starts_with("arn:") {
            Self::Object(trimmed)
        } else {
            Self::Path(trimmed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_texts_or_arns() {
        let location = S3Location::parse("bucket/a/b.zip").unwrap();
        assert_eq!((location.bucket.as_str(), location.key.as_str()), ("bucket", "a/b.zip"));
        assert_eq!(S3Location::parse("arn:aws:s3:::bucket/a/b.zip").unwrap(), location);
        assert_eq!(location.arn(), "arn:aws:s3:::bucket/a/b.zip");
        assert_eq!(S3Location::parse("bucket").unwrap().to_string(), "bucket");
        for bad in ["", "/key", "arn:aws:sns:us-east-1:1:topic", "a b/c", "https://bucket/key"] {
            assert_eq!(S3Location::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_buildspec_is_a_path_an_object_or_a_text() {
        assert_eq!(BuildspecForm::of(None), BuildspecForm::Default);
        assert_eq!(BuildspecForm::of(Some(" ")), BuildspecForm::Default);
        assert_eq!(BuildspecForm::of(Some("ci/build.yml\n")), BuildspecForm::Path("ci/build.yml"));
        assert_eq!(BuildspecForm::of(Some("arn:aws:s3:::b/k.yml")), BuildspecForm::Object("arn:aws:s3:::b/k.yml"));
        for text in ["version: 0.2\nphases: {}\n", "{\"version\":0.2}"] {
            assert_eq!(BuildspecForm::of(Some(text)), BuildspecForm::Inline(text));
        }
    }
}
