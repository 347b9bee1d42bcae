//! Errors of IAM and STS, with AWS's codes.

use crate::ApiError;

/// What kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IamCode {
    /// There is one with that name.
    EntityAlreadyExists,
    /// There is none.
    NoSuchEntity,
    /// Something still hangs on it.
    DeleteConflict,
    /// The text is no policy.
    MalformedPolicyDocument,
    /// There may be no more.
    LimitExceeded,
    /// A parameter breaks its constraint.
    ValidationError,
    /// A parameter makes no sense here.
    InvalidInput,
    /// A service does not have it.
    NotSupportedService,
    /// What AWS keeps for itself cannot be changed.
    UnmodifiableEntity,
    /// The policies of a session are too long together.
    PackedPolicyTooLarge,
    /// The caller may not.
    AccessDenied,
}

impl IamCode {
    /// As it stands in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EntityAlreadyExists => "EntityAlreadyExists",
            Self::NoSuchEntity => "NoSuchEntity",
            Self::DeleteConflict => "DeleteConflict",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::LimitExceeded => "LimitExceeded",
            Self::ValidationError => "ValidationError",
            Self::InvalidInput => "InvalidInput",
            Self::NotSupportedService => "NotSupportedService",
            Self::UnmodifiableEntity => "UnmodifiableEntity",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLarge",
            Self::AccessDenied => "AccessDenied",
        }
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::EntityAlreadyExists | Self::DeleteConflict | Self::LimitExceeded => 409,
            Self::NoSuchEntity | Self::NotSupportedService => 404,
            Self::AccessDenied => 403,
            _ => 400,
        }
    }
}

/// Why a request is not fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IamError {
    /// The service says so.
    #[error("{}: {message}", code.as_str())]
    Refused {
        /// What kind.
        code: IamCode,
        /// What happened, for people.
        message: String,
    },
    /// What any service may say: throttled, failed, not authorised.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl IamError {
    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: IamCode, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// There is no such thing; in AWS's words, which Terraform reads.
    #[must_use]
    pub fn missing(kind: &str, name: &str) -> Self {
        Self::new(IamCode::NoSuchEntity, format!("The {kind} with name {name} cannot be found."))
    }

    /// There is one already.
    #[must_use]
    pub fn exists(kind: &str, name: &str) -> Self {
        Self::new(IamCode::EntityAlreadyExists, format!("{kind} with name {name} already exists."))
    }

    /// A parameter breaks its constraint; the message is AWS's.
    #[must_use]
    pub fn validation(place: &str, constraint: &str) -> Self {
        Self::new(
            IamCode::ValidationError,
            format!("1 validation error detected: Value at '{place}' failed to satisfy constraint: {constraint}"),
        )
    }
}
