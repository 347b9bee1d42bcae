//! Names: of buckets, keys and metadata.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::{S3Code, S3Error};

/// Longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;
/// Version id of objects in buckets that have no versions, or had none when they were made.
pub const NULL_VERSION: &str = "null";
/// Longest metadata of one object: names and values together, in bytes.
const MAX_METADATA_BYTES: usize = 2048;

/// Whether a new bucket may have this name: 3 to 63 lower-case letters, digits, hyphens and dots, as S3 has it.
///
/// # Errors
/// [`S3Code::InvalidBucketName`], with the reason.
pub fn check_bucket_name(name: &str) -> Result<(), S3Error> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let reason = if !(3..=63).contains(&name.len()) {
        "it must have 3 to 63 characters"
    } else if !name.bytes().all(|c| plain(c) || matches!(c, b'-' | b'.')) {
        "it may have lower-case letters, digits, hyphens and dots only"
    } else if !name.bytes().next().is_some_and(plain) || !name.bytes().last().is_some_and(plain) {
        "it must begin and end with a letter or a digit"
    } else if name.contains("..") {
        "it may not have two dots side by side"
    } else if name.parse::<Ipv4Addr>().is_ok() {
        "it may not look like an IP address"
    } else if ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        || ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix))
    {
        "its beginning or end is reserved by S3"
    } else {
        return Ok(());
    };
    let shown = crate::error::excerpt(name);
    Err(S3Error::new(S3Code::InvalidBucketName, format!("The specified bucket is not valid: '{shown}': {reason}")))
}

/// Whether an object may have this key: 1 to 1,024 bytes, whatever they are. Nothing is made of it: `a//b`, `../x` and `.`
/// are keys like all others.
///
/// # Errors
/// [`S3Code::KeyTooLong`], or [`S3Code::InvalidArgument`] for an empty one.
pub fn check_key(key: &str) -> Result<(), S3Error> {
    match key.len() {
        0 => Err(S3Error::invalid("An object key must have at least one character")),
        1..=MAX_KEY_BYTES => Ok(()),
        long => Err(S3Error::new(
            S3Code::KeyTooLong,
            format!("Your key is too long: it has {long} bytes, at most {MAX_KEY_BYTES} are allowed"),
        )),
    }
}

/// Whether an object may have this metadata: names of lower-case header characters, 2 KiB in all.
///
/// # Errors
/// [`S3Code::MetadataTooLarge`], [`S3Code::InvalidArgument`].
pub fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), S3Error> {
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_METADATA_BYTES {
        let text = format!("Your metadata headers have {bytes} bytes; at most {MAX_METADATA_BYTES} are allowed");
        return Err(S3Error::new(S3Code::MetadataTooLarge, text));
    }
    let token = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&c);
    for (name, value) in metadata {
        if name.is_empty() || !name.bytes().all(token) || value.chars().any(char::is_control) {
            let name = crate::error::excerpt(name);
            return Err(S3Error::invalid(format!("The metadata '{name}' cannot be sent as a header")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_buckets_are_those_of_s3() {
        for good in ["abc", "my-bucket.v1", "a".repeat(63).as_str(), "kiln-000000000000-us-east-1"] {
            assert_eq!(check_bucket_name(good), Ok(()), "{good}");
        }
        for bad in [
            "ab",
            "",
            "Abc",
            "a_b",
            "-abc",
            "abc-",
            ".abc",
            "a..b",
            "192.168.0.1",
            "xn--abc",
            "abc-s3alias",
            "ä-b",
            "a/b",
        ] {
            assert_eq!(check_bucket_name(bad).unwrap_err().code, S3Code::InvalidBucketName, "{bad}");
        }
        assert!(check_bucket_name(&"a".repeat(64)).is_err());
    }

    #[test]
    fn any_text_is_a_key_within_its_length() {
        for good in ["a//b", "/", "..", "a/../b", "ä\u{202e}", "\u{0}", &"ü".repeat(512)] {
            assert_eq!(check_key(good), Ok(()), "{good}");
        }
        assert_eq!(check_key(&"a".repeat(1025)).unwrap_err().code, S3Code::KeyTooLong);
        assert_eq!(check_key("").unwrap_err().code, S3Code::InvalidArgument);
    }

    #[test]
    fn metadata_fits_into_headers() {
        let one = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(check_metadata(&one("codebuild-buildarn", "arn:…")), Ok(()));
        assert!(check_metadata(&one("a b", "x")).is_err());
        assert!(check_metadata(&one("a", "x\r\ny")).is_err());
        assert_eq!(check_metadata(&one("a", &"x".repeat(2048))).unwrap_err().code, S3Code::MetadataTooLarge);
    }
}
