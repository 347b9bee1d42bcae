//! Checksums of bytes as they come, and of parts together.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::{CrcAlgorithm, Digest as Crc, checksum_combine};
use kiln_model::s3::{Checksum, ChecksumAlgorithm, ChecksumKind, S3Code, S3Error};
use md5::{Digest as _, Md5};

/// The checksum that objects have whose client names none, as S3 has it.
pub(super) const DEFAULT: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

/// Computes one checksum.
pub(super) enum Hasher {
    Crc(ChecksumAlgorithm, Box<Crc>),
    Digest(ChecksumAlgorithm, Box<digest::Context>),
}

fn crc(algorithm: ChecksumAlgorithm) -> Option<CrcAlgorithm> {
    match algorithm {
        ChecksumAlgorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
        ChecksumAlgorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
        ChecksumAlgorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
    }
}

impl Hasher {
    pub(super) fn new(algorithm: ChecksumAlgorithm) -> Self {
        match crc(algorithm) {
            Some(kind) => Self::Crc(algorithm, Box::new(Crc::new(kind))),
            None if algorithm == ChecksumAlgorithm::Sha1 => {
                Self::Digest(algorithm, Box::new(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)))
            }
            None => Self::Digest(algorithm, Box::new(digest::Context::new(&digest::SHA256))),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(_, crc) => crc.update(bytes),
            Self::Digest(_, context) => context.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Crc(algorithm, crc) => (algorithm, crc_text(algorithm, crc.finalize())),
            Self::Digest(algorithm, context) => (algorithm, STANDARD.encode(context.finish())),
        };
        Checksum { algorithm, kind: ChecksumKind::FullObject, value }
    }
}

fn crc_text(algorithm: ChecksumAlgorithm, value: u64) -> String {
    let bytes = value.to_be_bytes();
    STANDARD.encode(bytes.get(bytes.len() - algorithm.length()..).unwrap_or_default())
}

/// The bytes of a checksum that a client sent.
pub(super) fn decode(algorithm: ChecksumAlgorithm, value: &str) -> Result<Vec<u8>, S3Error> {
    STANDARD.decode(value).ok().filter(|bytes| bytes.len() == algorithm.length()).ok_or_else(|| {
        S3Error::bad_request(format!(
            "Value for x-amz-checksum-{} header is invalid.",
            algorithm.as_str().to_lowercase()
        ))
    })
}

/// Compares a checksum with what the client sent.
pub(super) fn compare(computed: &Checksum, sent: &str) -> Result<(), S3Error> {
    decode(computed.algorithm, sent)?;
    if computed.value == sent {
        return Ok(());
    }
    let name = computed.algorithm.as_str();
    Err(S3Error::new(S3Code::BadDigest, format!("The {name} you specified did not match the calculated checksum.")))
}

/// The kind that checksums of an algorithm are of, and whether a client may name another.
pub(super) fn kind(algorithm: ChecksumAlgorithm, named: Option<ChecksumKind>) -> Result<ChecksumKind, S3Error> {
    match (algorithm, named) {
        (ChecksumAlgorithm::Crc64Nvme, Some(ChecksumKind::Composite))
        | (ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256, Some(ChecksumKind::FullObject)) => {
            let kind = named.map(ChecksumKind::as_str).unwrap_or_default();
            Err(S3Error::bad_request(format!(
                "The {kind} checksum type cannot be used with the {algorithm} checksum algorithm."
            )))
        }
        (_, Some(kind)) => Ok(kind),
        (ChecksumAlgorithm::Crc64Nvme, None) => Ok(ChecksumKind::FullObject),
        (_, None) => Ok(ChecksumKind::Composite),
    }
}

/// The checksum of an object by those of its parts, each with its length. `None`: a part has none.
pub(super) fn of_parts(
    algorithm: ChecksumAlgorithm,
    kind: ChecksumKind,
    parts: &[(Option<&Checksum>, u64)],
) -> Option<Checksum> {
    let bytes = |part: Option<&Checksum>| decode(algorithm, &part?.value).ok();
    let value = match (kind, crc(algorithm)) {
        (ChecksumKind::FullObject, Some(crc)) => {
            let mut whole: Option<u64> = None;
            for (part, length) in parts {
                let value = bytes(*part)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
                whole = Some(match whole {
                    None => value,
                    Some(before) => checksum_combine(crc, before, value, *length),
                });
            }
            crc_text(algorithm, whole?)
        }
        (ChecksumKind::FullObject, None) => return None,
        (ChecksumKind::Composite, _) => {
            let mut hasher = Hasher::new(algorithm);
            for (part, _) in parts {
                hasher.update(&bytes(*part)?);
            }
            format!("{}-{}", hasher.finish().value, parts.len())
        }
    };
    Some(Checksum { algorithm, kind, value })
}

/// ETag of an object in parts: MD5 of theirs, and how many they are.
pub(super) fn etag_of_parts<'a>(etags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = etags.len();
    let mut md5 = Md5::new();
    for etag in etags {
        let digits = etag.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        md5.update(digits.iter().filter_map(byte).collect::<Vec<u8>>());
    }
    format!("{}-{count}", super::hex(&md5.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The check values of the catalogue of CRCs, and of FIPS 180.
    #[test]
    fn published_values_agree() {
        for (algorithm, value) in [
            (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
            (ChecksumAlgorithm::Crc32c, "4waSgw=="),
            (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
            (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            let got = sum(algorithm, b"123456789");
            assert_eq!(got.value, value, "{algorithm}");
        }
    }

    #[test]
    fn parts_together_are_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let (a, b) = bytes.split_at(33_333);
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            let (first, second) = (sum(algorithm, a), sum(algorithm, b));
            let parts = [(Some(&first), a.len() as u64), (Some(&second), b.len() as u64)];
            let whole = of_parts(algorithm, ChecksumKind::FullObject, &parts).unwrap();
            assert_eq!(whole, sum(algorithm, &bytes));
            assert_eq!(of_parts(algorithm, ChecksumKind::FullObject, &[(None, 1)]), None);
        }
        let part = sum(ChecksumAlgorithm::Sha256, a);
        let composite = of_parts(ChecksumAlgorithm::Sha256, ChecksumKind::Composite, &[(Some(&part), 1)]).unwrap();
        assert!(composite.value.ends_with("-1"), "{composite:?}");
        assert!(kind(ChecksumAlgorithm::Sha256, Some(ChecksumKind::FullObject)).is_err());
        assert!(kind(ChecksumAlgorithm::Crc64Nvme, Some(ChecksumKind::Composite)).is_err());
    }

    #[test]
    fn etags_of_parts_are_those_of_s3() {
        // MD5 of the bytes of the MD5 of nothing.
        let empty = "d41d8cd98f00b204e9800998ecf8427e";
        assert_eq!(etag_of_parts([empty].into_iter()), "59adb24ef3cdbe0297f05b395827453f-1");
    }
}
