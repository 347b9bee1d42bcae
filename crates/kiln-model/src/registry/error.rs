//! Errors of the distribution specification.

use crate::{ApiError, ErrorCode};

/// Codes of errors, as the specification has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegistryCode {
    /// The repository has no such layer.
    BlobUnknown,
    /// The upload cannot be gone on with so.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// The bytes have another digest, or that is none.
    DigestInvalid,
    /// A manifest names what the repository has not.
    ManifestBlobUnknown,
    /// That is no manifest.
    ManifestInvalid,
    /// The repository has no such manifest.
    ManifestUnknown,
    /// That cannot be the name of a repository.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The length is not what was announced, or too large.
    SizeInvalid,
    /// Nobody is known to have sent this.
    Unauthorized,
    /// The sender may not do that.
    Denied,
    /// That is not done here.
    Unsupported,
    /// Too many requests; clients try again.
    TooManyRequests,
    /// A tag stays where it is.
    TagInvalid,
    /// The registry itself failed, or has no room; clients try again.
    Unknown,
}

impl RegistryCode {
    /// The specification's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The usual status of an answer with this code.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::BlobUnknown | Self::BlobUploadUnknown | Self::ManifestUnknown | Self::NameUnknown => 404,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::TagInvalid => 400,
            // As Docker's registry: clients of both look for it.
            Self::ManifestBlobUnknown => 404,
            Self::Unauthorized => 401,
            Self::Denied => 403,
            Self::Unsupported => 405,
            Self::TooManyRequests => 429,
            Self::Unknown => 500,
        }
    }
}

/// Why a request to the registry is not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct RegistryError {
    /// For programs.
    pub code: RegistryCode,
    /// For people.
    pub message: String,
    /// Status of the answer.
    pub status: u16,
    /// How many bytes an upload has: for those who went on at another place.
    pub uploaded: Option<u64>,
}

impl RegistryError {
    /// An error with the usual status of its code.
    #[must_use]
    pub fn new(code: RegistryCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: code.http_status(), uploaded: None }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The bytes of an upload do not begin where those before end.
    #[must_use]
    pub fn out_of_order(uploaded: u64) -> Self {
        let message = format!("the bytes must go on where the upload ends, which has {uploaded} so far");
        Self { uploaded: Some(uploaded), ..Self::new(RegistryCode::BlobUploadInvalid, message).with_status(416) }
    }
}

impl From<ApiError> for RegistryError {
    fn from(error: ApiError) -> Self {
        let code = match error.code {
            ErrorCode::AccessDenied => RegistryCode::Denied,
            ErrorCode::RepositoryNotFound => RegistryCode::NameUnknown,
            ErrorCode::ImageNotFound => RegistryCode::ManifestUnknown,
            ErrorCode::LayersNotFound => RegistryCode::BlobUnknown,
            ErrorCode::UploadNotFound => RegistryCode::BlobUploadUnknown,
            ErrorCode::ReferencedImagesNotFound => RegistryCode::ManifestBlobUnknown,
            ErrorCode::ImageTagAlreadyExists => RegistryCode::TagInvalid,
            ErrorCode::ImageDigestDoesNotMatch | ErrorCode::InvalidLayer => RegistryCode::DigestInvalid,
            ErrorCode::Throttling | ErrorCode::LimitExceeded => RegistryCode::TooManyRequests,
            ErrorCode::InternalFailure | ErrorCode::ServiceUnavailable => {
                return Self::new(RegistryCode::Unknown, error.message).with_status(error.code.http_status());
            }
            _ => RegistryCode::Unsupported,
        };
        let status = match error.code {
            ErrorCode::Throttling => 429,
            _ if code == RegistryCode::Unsupported => 400,
            _ => code.http_status(),
        };
        Self::new(code, error.message).with_status(status)
    }
}
