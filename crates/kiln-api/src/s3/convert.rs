//! Between the shapes of the decoder and those of the domain.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use kiln_iam::sigv4::query_pairs;
use kiln_model::{
    Timestamp,
    s3::{
        ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, EncryptionRequest, EtagCondition, ExpectedChecksum,
        S3Error, Tag, TrailingChecksum,
    },
};
use s3s::dto;
use time::OffsetDateTime;

use super::payload::Outcome;

/// The header of a checksum.
pub(super) fn checksum_header(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

/// A header's text; an error when it is not ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let (value, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(S3Error::invalid(format!("The header '{name}' must occur once")));
    }
    let text =
        value.map(|value| value.to_str().map_err(|_| S3Error::invalid(format!("The header '{name}' is not ASCII"))));
    Ok(text.transpose()?.map(str::trim).filter(|text| !text.is_empty()))
}

/// The checksum that headers announce for the bytes that come.
pub(super) fn expected_checksum(headers: &HeaderMap, outcome: &Outcome) -> Result<Option<ExpectedChecksum>, S3Error> {
    let sent = given_checksum(headers)?;
    let trailer = text(headers, "x-amz-trailer")?.map(str::to_ascii_lowercase);
    let trailing = match &trailer {
        None => None,
        Some(name) => Some(
            ChecksumAlgorithm::ALL
                .iter()
                .find(|algorithm| checksum_header(**algorithm) == name)
                .copied()
                .ok_or_else(|| S3Error::invalid("The value specified in the x-amz-trailer header is not supported"))?,
        ),
    };
    match (sent, trailing) {
        (Some(_), Some(_)) => Err(S3Error::bad_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )),
        (Some((algorithm, value)), None) => Ok(Some(ExpectedChecksum::Value(algorithm, value))),
        (None, Some(algorithm)) => {
            let outcome = outcome.clone();
            Ok(Some(ExpectedChecksum::Trailing(algorithm, TrailingChecksum::new(move || outcome.trailer()))))
        }
        (None, None) => Ok(wanted_algorithm(headers)?.map(ExpectedChecksum::Computed)),
    }
}

/// `x-amz-checksum-…`; at most one.
pub(super) fn given_checksum(headers: &HeaderMap) -> Result<Option<(ChecksumAlgorithm, String)>, S3Error> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        if let Some(value) = text(headers, checksum_header(*algorithm))?
            && found.replace((*algorithm, value.to_owned())).is_some()
        {
            return Err(S3Error::bad_request(
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    Ok(found)
}

/// `x-amz-sdk-checksum-algorithm`, or `x-amz-checksum-algorithm`.
pub(super) fn wanted_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    for name in ["x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"] {
        if let Some(algorithm) = text(headers, name)? {
            let known = ChecksumAlgorithm::ALL.iter().find(|each| each.as_str().eq_ignore_ascii_case(algorithm));
            return known.copied().map(Some).ok_or_else(|| {
                S3Error::bad_request(format!(
                    "Value for {name} header is invalid: it must be {}",
                    names_of_algorithms()
                ))
            });
        }
    }
    Ok(None)
}

fn names_of_algorithms() -> String {
    ChecksumAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ")
}

/// The kind of a multipart upload's checksum.
pub(super) fn checksum_kind(kind: Option<&dto::ChecksumType>) -> Result<Option<ChecksumKind>, S3Error> {
    let known = |kind: &dto::ChecksumType| {
        let known = ChecksumKind::ALL.iter().find(|each| each.as_str() == kind.as_str()).copied();
        known.ok_or_else(|| S3Error::bad_request("Value for x-amz-checksum-type header is invalid"))
    };
    kind.map(known).transpose()
}

/// Fills the members of an output that hold a checksum.
macro_rules! put_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                kiln_model::s3::ChecksumAlgorithm::Crc32 => $output.checksum_crc32 = value,
                kiln_model::s3::ChecksumAlgorithm::Crc32c => $output.checksum_crc32c = value,
                kiln_model::s3::ChecksumAlgorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                kiln_model::s3::ChecksumAlgorithm::Sha1 => $output.checksum_sha1 = value,
                kiln_model::s3::ChecksumAlgorithm::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}

/// The same with its kind.
macro_rules! put_checksum_and_kind {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            $output.checksum_type = Some(crate::s3::convert::kind_of(checksum));
        }
        crate::s3::convert::put_checksum!($output, $checksum);
    };
}

/// Fills the members of an output that say how an object is sealed.
macro_rules! put_encryption {
    ($output:expr, $encryption:expr) => {
        match $encryption {
            kiln_model::s3::Encryption::None => {}
            kiln_model::s3::Encryption::Aes256 => {
                $output.server_side_encryption =
                    Some(s3s::dto::ServerSideEncryption::from_static(s3s::dto::ServerSideEncryption::AES256));
            }
            kiln_model::s3::Encryption::Kms { key_arn, bucket_key } => {
                $output.server_side_encryption =
                    Some(s3s::dto::ServerSideEncryption::from_static(s3s::dto::ServerSideEncryption::AWS_KMS));
                $output.ssekms_key_id = Some(key_arn.clone());
                $output.bucket_key_enabled = bucket_key.then_some(true);
            }
        }
    };
}

pub(super) use {put_checksum, put_checksum_and_kind, put_encryption};

pub(super) fn kind_of(checksum: &Checksum) -> dto::ChecksumType {
    dto::ChecksumType::from(checksum.kind.as_str().to_owned())
}

pub(super) fn algorithm_of(algorithm: ChecksumAlgorithm) -> dto::ChecksumAlgorithm {
    dto::ChecksumAlgorithm::from(algorithm.as_str().to_owned())
}

pub(super) fn etag(etag: &str) -> dto::ETag {
    dto::ETag::Strong(etag.to_owned())
}

pub(super) fn condition(condition: Option<dto::ETagCondition>) -> Option<EtagCondition> {
    condition.map(|condition| match condition {
        dto::ETagCondition::Any => EtagCondition::Any,
        dto::ETagCondition::ETag(etag) => EtagCondition::Etag(etag.into_value()),
    })
}

pub(super) fn timestamp(time: &Timestamp) -> dto::Timestamp {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.millis()) * 1_000_000);
    dto::Timestamp::from(time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// The time in a condition or rule.
pub(super) fn time_of(time: dto::Timestamp) -> Timestamp {
    let nanoseconds = OffsetDateTime::from(time).unix_timestamp_nanos();
    Timestamp::from_millis(i64::try_from(nanoseconds.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

/// Lengths have a sign in the decoder's shapes.
pub(super) fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Counts as well, and are shorter.
pub(super) fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn range(range: dto::Range) -> ByteRange {
    match range {
        dto::Range::Int { first, last } => ByteRange::From { first, last },
        dto::Range::Suffix { length } => ByteRange::Suffix(length),
    }
}

/// A number from 1 on.
pub(super) fn part_number(number: i32) -> Result<u32, S3Error> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=kiln_model::s3::MAX_PART_NUMBER).contains(number))
        .ok_or_else(|| S3Error::invalid("Part number must be an integer between 1 and 10000, inclusive"))
}

/// How many entries a page has: at most `most`.
pub(super) fn limit(wanted: Option<i32>, most: usize, name: &str) -> Result<usize, S3Error> {
    match wanted.map(usize::try_from) {
        None => Ok(most),
        Some(Ok(wanted)) => Ok(wanted.min(most)),
        Some(Err(_)) => Err(S3Error::invalid(format!("Argument {name} must be an integer between 0 and 2147483647"))),
    }
}

/// How headers want an object sealed. SSE-C is refused by whoever stores it.
pub(super) fn encryption(headers: &HeaderMap) -> Result<EncryptionRequest, S3Error> {
    const PREFIX: &str = "x-amz-server-side-encryption";
    let get = |suffix: &str| text(headers, &format!("{PREFIX}{suffix}"));
    let is_customer = headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption-customer-"));
    let (key, context) = (get("-aws-kms-key-id")?, get("-context")?);
    let bucket_key = get("-bucket-key-enabled")?.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_customer {
        return Ok(EncryptionRequest::CustomerKey);
    }
    match get("")? {
        None if key.is_some() || context.is_some() => Err(S3Error::invalid(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )),
        None => Ok(EncryptionRequest::Default),
        Some("AES256") if key.is_some() => {
            Err(S3Error::invalid("AES256 takes no key id; the header x-amz-server-side-encryption must be aws:kms"))
        }
        Some("AES256") => Ok(EncryptionRequest::Aes256),
        Some("aws:kms") => {
            Ok(EncryptionRequest::Kms { key: key.map(str::to_owned), context: context.map(str::to_owned), bucket_key })
        }
        Some("aws:kms:dsse") => Err(S3Error::not_implemented("Encryption in two layers (aws:kms:dsse)")),
        Some(_) => Err(S3Error::invalid("The encryption method specified is not supported")),
    }
}

/// The header with tags of a new object.
pub(super) const TAGGING: &str = "x-amz-tagging";

/// [`TAGGING`]: a query.
pub(super) fn tags(query: Option<&str>) -> Result<Vec<Tag>, S3Error> {
    let plain = |bytes: Vec<u8>| {
        // Forms write a blank as a plus sign, and so do SDKs in this header; a real one is escaped.
        String::from_utf8(bytes).map_err(|_| S3Error::invalid("The header 'x-amz-tagging' is not UTF-8"))
    };
    let query = query.map(|query| query.replace('+', "%20"));
    let pairs = query_pairs(query.as_deref());
    pairs.into_iter().map(|(key, value)| Ok(Tag { key: plain(key)?, value: plain(value)? })).collect()
}

/// Tags as XML has them.
pub(super) fn tags_in(set: dto::TagSet) -> Vec<Tag> {
    let tag = |tag: dto::Tag| Tag { key: tag.key.unwrap_or_default(), value: tag.value.unwrap_or_default() };
    set.into_iter().map(tag).collect()
}

/// The same on the way back.
pub(super) fn tags_out(tags: &[Tag]) -> dto::TagSet {
    tags.iter().map(|tag| dto::Tag { key: Some(tag.key.clone()), value: Some(tag.value.clone()) }).collect()
}

/// Metadata in the order of its names.
pub(super) fn metadata(metadata: Option<dto::Metadata>) -> BTreeMap<String, String> {
    metadata.unwrap_or_default().into_iter().collect()
}

/// `Content-Encoding` without the form in which the body came.
pub(super) fn content_encoding(headers: &HeaderMap) -> Result<Option<String>, S3Error> {
    let Some(text) = text(headers, "content-encoding")? else { return Ok(None) };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    Ok((!kept.is_empty()).then(|| kept.join(",")))
}

/// ACLs that say no more than that the bucket's owner owns what is in it.
pub(super) fn check_acl(headers: &HeaderMap) -> Result<(), S3Error> {
    let has_grants = headers.keys().map(HeaderName::as_str).any(|name| name.starts_with("x-amz-grant-"));
    match text(headers, "x-amz-acl")? {
        None | Some("private" | "bucket-owner-full-control" | "bucket-owner-read") if !has_grants => Ok(()),
        _ => Err(acl_not_supported()),
    }
}

pub(super) fn acl_not_supported() -> S3Error {
    S3Error::new(
        kiln_model::s3::S3Code::AccessControlListNotSupported,
        "The bucket does not allow ACLs: its owner owns everything in it; grant access with a bucket policy",
    )
}
