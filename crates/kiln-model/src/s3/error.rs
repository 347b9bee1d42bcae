//! Errors with S3's codes.

use crate::enumeration::enumeration;

enumeration! {
    /// S3's code of an error, as its answers name it.
    #[expect(missing_docs, reason = "the names are S3's, which its documentation describes")]
    S3Code {
        AccessControlListNotSupported = "AccessControlListNotSupported",
        /// Refused by a policy.
        AccessDenied = "AccessDenied",
        /// A checksum is not that of the bytes.
        BadDigest = "BadDigest",
        BucketAlreadyExists = "BucketAlreadyExists",
        BucketAlreadyOwnedByYou = "BucketAlreadyOwnedByYou",
        BucketNotEmpty = "BucketNotEmpty",
        /// Another change of the same object was done meanwhile.
        ConditionalRequestConflict = "ConditionalRequestConflict",
        EntityTooLarge = "EntityTooLarge",
        EntityTooSmall = "EntityTooSmall",
        IllegalLocationConstraint = "IllegalLocationConstraintException",
        /// Fewer bytes came than were announced.
        IncompleteBody = "IncompleteBody",
        /// Kiln itself failed; clients try again.
        InternalError = "InternalError",
        InvalidArgument = "InvalidArgument",
        InvalidBucketName = "InvalidBucketName",
        InvalidBucketState = "InvalidBucketState",
        InvalidDigest = "InvalidDigest",
        InvalidPart = "InvalidPart",
        InvalidPartNumber = "InvalidPartNumber",
        InvalidPartOrder = "InvalidPartOrder",
        InvalidRange = "InvalidRange",
        InvalidRequest = "InvalidRequest",
        InvalidStorageClass = "InvalidStorageClass",
        InvalidTag = "InvalidTag",
        InvalidUri = "InvalidURI",
        KeyTooLong = "KeyTooLongError",
        /// The key that an object is sealed with is disabled.
        KmsDisabled = "KMS.DisabledException",
        /// The key that an object is sealed with is about to be deleted.
        KmsInvalidState = "KMS.KMSInvalidStateException",
        KmsNotFound = "KMS.NotFoundException",
        MalformedPolicy = "MalformedPolicy",
        /// What comes behind a body in chunks is not what was announced.
        MalformedTrailer = "MalformedTrailerError",
        MalformedXml = "MalformedXML",
        MetadataTooLarge = "MetadataTooLarge",
        /// The call does not go with what it is for, e.g. reading a delete marker.
        MethodNotAllowed = "MethodNotAllowed",
        /// No length was announced where bytes come.
        MissingContentLength = "MissingContentLength",
        NoSuchBucket = "NoSuchBucket",
        NoSuchBucketPolicy = "NoSuchBucketPolicy",
        NoSuchCorsConfiguration = "NoSuchCORSConfiguration",
        NoSuchKey = "NoSuchKey",
        NoSuchLifecycleConfiguration = "NoSuchLifecycleConfiguration",
        NoSuchPublicAccessBlock = "NoSuchPublicAccessBlockConfiguration",
        NoSuchTagSet = "NoSuchTagSet",
        NoSuchUpload = "NoSuchUpload",
        NoSuchVersion = "NoSuchVersion",
        NoSuchWebsiteConfiguration = "NoSuchWebsiteConfiguration",
        NotImplemented = "NotImplemented",
        /// A condition of a reader: what it has is still the same.
        NotModified = "NotModified",
        ObjectLockConfigurationNotFound = "ObjectLockConfigurationNotFoundError",
        OwnershipControlsNotFound = "OwnershipControlsNotFoundError",
        PreconditionFailed = "PreconditionFailed",
        ReplicationConfigurationNotFound = "ReplicationConfigurationNotFoundError",
        EncryptionConfigurationNotFound = "ServerSideEncryptionConfigurationNotFoundError",
        /// Bytes came too slowly, or not at all.
        RequestTimeout = "RequestTimeout",
        /// Of a chunk or of what comes behind the chunks.
        SignatureDoesNotMatch = "SignatureDoesNotMatch",
        /// Not now: too many requests, the disk is full, the server stops. Clients try again.
        SlowDown = "SlowDown",
        ServiceUnavailable = "ServiceUnavailable",
        /// The checksum that a client sent is not that of the bytes.
        XAmzContentChecksumMismatch = "XAmzContentChecksumMismatch",
        XAmzContentSha256Mismatch = "XAmzContentSHA256Mismatch",
    }
}

impl S3Code {
    /// The status that an answer with this code has.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::NotModified => 304,
            Self::AccessDenied | Self::SignatureDoesNotMatch => 403,
            Self::NoSuchBucket
            | Self::NoSuchBucketPolicy
            | Self::NoSuchCorsConfiguration
            | Self::NoSuchKey
            | Self::NoSuchLifecycleConfiguration
            | Self::NoSuchPublicAccessBlock
            | Self::NoSuchTagSet
            | Self::NoSuchUpload
            | Self::NoSuchVersion
            | Self::NoSuchWebsiteConfiguration
            | Self::ObjectLockConfigurationNotFound
            | Self::OwnershipControlsNotFound
            | Self::ReplicationConfigurationNotFound
            | Self::EncryptionConfigurationNotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::BucketAlreadyExists
            | Self::BucketAlreadyOwnedByYou
            | Self::BucketNotEmpty
            | Self::ConditionalRequestConflict
            | Self::InvalidBucketState => 409,
            Self::MissingContentLength => 411,
            Self::PreconditionFailed => 412,
            Self::InvalidRange | Self::InvalidPartNumber => 416,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
            Self::SlowDown | Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }
}

/// The answer to a request that cannot be fulfilled. The message is for the person who sent the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct S3Error {
    /// What kind of error, for programs.
    pub code: S3Code,
    /// What happened, for people.
    pub message: String,
    /// `/bucket/key` of what the error is about, where the call's own path does not say it.
    pub resource: Option<String>,
    /// The error is about a delete marker (`x-amz-delete-marker: true`).
    pub delete_marker: bool,
    /// Version id of that delete marker, or ETag's version that a reader's condition was about.
    pub version_id: Option<String>,
    /// ETag of the object, without quotes: a `304` shows it.
    pub etag: Option<String>,
    /// When the object was made: a `304` shows it.
    pub last_modified: Option<crate::Timestamp>,
}

impl S3Error {
    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: S3Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            resource: None,
            delete_marker: false,
            version_id: None,
            etag: None,
            last_modified: None,
        }
    }

    /// A value of the request is wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(S3Code::InvalidArgument, message)
    }

    /// The request as a whole is wrong.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(S3Code::InvalidRequest, message)
    }

    /// S3 has it, Kiln does not.
    #[must_use]
    pub fn not_implemented(what: &str) -> Self {
        Self::new(S3Code::NotImplemented, format!("{what} is not available in this version of Kiln"))
    }

    /// There is no such bucket.
    #[must_use]
    pub fn no_such_bucket(bucket: &str) -> Self {
        Self::new(S3Code::NoSuchBucket, "The specified bucket does not exist").about(bucket, None)
    }

    /// There is no such object.
    #[must_use]
    pub fn no_such_key(bucket: &str, key: &str) -> Self {
        Self::new(S3Code::NoSuchKey, "The specified key does not exist.").about(bucket, Some(key))
    }

    /// There is no such version of the object.
    #[must_use]
    pub fn no_such_version(bucket: &str, key: &str) -> Self {
        Self::new(S3Code::NoSuchVersion, "The specified version does not exist.").about(bucket, Some(key))
    }

    /// There is no such multipart upload.
    #[must_use]
    pub fn no_such_upload() -> Self {
        Self::new(
            S3Code::NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed.",
        )
    }

    /// Kiln itself failed.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(S3Code::InternalError, message)
    }

    /// Says what the error is about.
    #[must_use]
    pub fn about(mut self, bucket: &str, key: Option<&str>) -> Self {
        self.resource = Some(match key {
            Some(key) => format!("/{bucket}/{key}"),
            None => format!("/{bucket}"),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_know_the_kind_by_the_status() {
        for (code, status) in [
            (S3Code::NoSuchKey, 404),
            (S3Code::NoSuchUpload, 404),
            (S3Code::PreconditionFailed, 412),
            (S3Code::NotModified, 304),
            (S3Code::InvalidRange, 416),
            (S3Code::BadDigest, 400),
            (S3Code::SlowDown, 503),
            (S3Code::BucketNotEmpty, 409),
        ] {
            assert_eq!(code.http_status(), status, "{code}");
        }
        let error = S3Error::no_such_key("b", "a//b");
        assert_eq!(error.resource.as_deref(), Some("/b/a//b"));
    }
}
