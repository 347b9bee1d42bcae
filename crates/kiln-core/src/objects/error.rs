//! What clients of S3 are told.

use kiln_model::{
    ApiError, ErrorCode,
    s3::{S3Code, S3Error},
};
use kiln_store::{BlobError, KeyError, Metadata, StoreError, View};

use crate::{core::Inner, kms, runners::Runners};

/// An error of a transaction: the client's, or the store's.
#[derive(Debug)]
pub(super) enum Refusal {
    Client(S3Error),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<S3Error> for Refusal {
    fn from(error: S3Error) -> Self {
        Self::Client(error)
    }
}

impl From<Refusal> for S3Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(error) => error,
            Refusal::Store(error) => store(&error),
        }
    }
}

/// Clients try again at `SlowDown`; details of what failed go to the server's log, for its operator.
pub(super) fn store(error: &StoreError) -> S3Error {
    match error {
        StoreError::DiskFull { .. } | StoreError::Overloaded => S3Error::new(S3Code::SlowDown, error.to_string()),
        StoreError::ReadOnly { .. } | StoreError::Stopped(_) => {
            S3Error::new(S3Code::ServiceUnavailable, error.to_string())
        }
        error => {
            tracing::error!(error = %error, "the store refused an operation on objects");
            S3Error::internal("Kiln's store failed; its log says why")
        }
    }
}

pub(super) fn blob(error: &BlobError) -> S3Error {
    match error {
        BlobError::DiskFull { .. } => S3Error::new(S3Code::SlowDown, error.to_string()),
        BlobError::Key(error) => key(error),
        error => {
            tracing::error!(error = %error, "the bytes of an object cannot be used");
            S3Error::internal("The bytes of the object cannot be used; Kiln's log says why")
        }
    }
}

/// As S3 passes on what KMS answers.
pub(super) fn of_kms(error: &ApiError) -> S3Error {
    let code = match error.code {
        ErrorCode::AccessDenied => S3Code::AccessDenied,
        ErrorCode::Disabled => S3Code::KmsDisabled,
        ErrorCode::KmsInvalidState => S3Code::KmsInvalidState,
        ErrorCode::NotFound => S3Code::KmsNotFound,
        ErrorCode::Throttling => S3Code::SlowDown,
        ErrorCode::ServiceUnavailable => S3Code::ServiceUnavailable,
        code if code.http_status() < 500 => S3Code::InvalidArgument,
        _ => S3Code::InternalError,
    };
    S3Error::new(code, error.message.clone())
}

/// Bytes of an object that cannot be read.
pub(super) fn unreadable<R: Runners>(inner: &Inner<R>, error: &BlobError) -> S3Error {
    match error {
        BlobError::Key(key) => kms::refusal(inner, key).map_or_else(|| blob(error), |refusal| of_kms(&refusal)),
        error => blob(error),
    }
}

fn key(error: &KeyError) -> S3Error {
    match error {
        KeyError::Disabled { .. } => S3Error::new(S3Code::KmsDisabled, error.to_string()),
        KeyError::Destroyed { .. } => S3Error::new(S3Code::KmsInvalidState, error.to_string()),
        KeyError::NotFound(_) | KeyError::BadId(_) => S3Error::new(S3Code::KmsNotFound, error.to_string()),
        error => {
            tracing::error!(error = %error, "a key cannot be used");
            S3Error::internal("Kiln's keys cannot be used; its log says why")
        }
    }
}

/// Reads one state of the records.
pub(super) fn look<T>(metadata: &Metadata, work: impl FnOnce(&View<'_>) -> Result<T, Refusal>) -> Result<T, S3Error> {
    Ok(metadata.read(|view| Ok(work(view))).map_err(|e| store(&e))??)
}

/// Work for a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, S3Error> + Send + 'static,
) -> Result<T, S3Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(broken(&e)),
    }
}

/// Work that panicked.
pub(super) fn broken(error: &tokio::task::JoinError) -> S3Error {
    tracing::error!(error = %error, "work on objects did not end");
    S3Error::internal("Kiln failed; its log says why")
}
