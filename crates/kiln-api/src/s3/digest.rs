//! Checksums of bodies that are at hand. Those of objects are for whoever stores them.

use base64::{Engine, prelude::BASE64_STANDARD};
use crc_fast::CrcAlgorithm;
use http::HeaderMap;
use kiln_model::s3::{ChecksumAlgorithm, S3Code, S3Error};
use md5::{Digest, Md5};
use sha1::Sha1;

use super::{convert::given_checksum, objects::content_md5};

/// Compares a body with the checksums that headers give for it.
///
/// # Errors
/// `BadDigest`.
pub(super) fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), S3Error> {
    if let Some(expected) = content_md5(headers)?
        && Md5::digest(body).as_slice() != expected
    {
        let text = "The Content-MD5 you specified did not match what we received.";
        return Err(S3Error::new(S3Code::BadDigest, text));
    }
    // Of a multipart upload that is completed it is the object's.
    if body.is_empty() || headers.contains_key("x-amz-checksum-type") {
        return Ok(());
    }
    match given_checksum(headers)? {
        Some((algorithm, expected)) if computed(algorithm, body) != expected => Err(S3Error::new(
            S3Code::BadDigest,
            format!("The {} you specified did not match the calculated checksum.", algorithm.as_str()),
        )),
        _ => Ok(()),
    }
}

fn computed(algorithm: ChecksumAlgorithm, body: &[u8]) -> String {
    let crc = |algorithm, length: usize| {
        let bytes = crc_fast::checksum(algorithm, body).to_be_bytes();
        bytes[bytes.len() - length..].to_vec()
    };
    let bytes = match algorithm {
        ChecksumAlgorithm::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc, 4),
        ChecksumAlgorithm::Crc32c => crc(CrcAlgorithm::Crc32Iscsi, 4),
        ChecksumAlgorithm::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme, 8),
        ChecksumAlgorithm::Sha1 => Sha1::digest(body).to_vec(),
        ChecksumAlgorithm::Sha256 => kiln_iam::sigv4::sha256(body).to_vec(),
    };
    BASE64_STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn bodies_are_compared_with_what_is_given() {
        // The check values of these algorithms, over "123456789".
        for (name, value) in [
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
            ("content-md5", "JfnnlDI7RTiF9RgfG2JNCw=="),
        ] {
            let name = HeaderName::from_static(name);
            let mut headers = HeaderMap::new();
            headers.insert(&name, HeaderValue::from_static(value));
            assert_eq!(check(&headers, b"123456789"), Ok(()), "{name}");
            assert_eq!(check(&headers, b"123456780").unwrap_err().code, S3Code::BadDigest, "{name}");
        }
    }
}
