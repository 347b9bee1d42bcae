//! What clients of images are told, in the words of one protocol; the other's codes follow from it.

use kiln_model::{ApiError, ErrorCode};
use kiln_store::{BlobError, KeyError};

use crate::{core::Inner, kms, runners::Runners};

pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

/// A member that is wrong, in ECR's words.
pub(super) fn invalid(member: &str, problem: &str) -> ApiError {
    let message = format!("Invalid parameter at '{member}' failed to satisfy constraint: '{problem}'");
    error(ErrorCode::InvalidParameter, message)
}

pub(super) fn no_repository(name: &str, registry: &str) -> ApiError {
    let message = format!("The repository with name '{name}' does not exist in the registry with id '{registry}'");
    error(ErrorCode::RepositoryNotFound, message)
}

pub(super) fn no_layer(digest: &str, name: &str, registry: &str) -> ApiError {
    let message = format!(
        "The layer with digest '{digest}' does not exist in the repository with name '{name}' in the registry with id \
         '{registry}'"
    );
    error(ErrorCode::LayersNotFound, message)
}

pub(super) fn no_upload(id: &str, name: &str, registry: &str) -> ApiError {
    let message = format!(
        "The upload with id '{id}' does not exist in the repository with name '{name}' in the registry with id \
         '{registry}'"
    );
    error(ErrorCode::UploadNotFound, message)
}

/// Bytes that cannot be stored or read.
pub(super) fn blob<R: Runners>(inner: &Inner<R>, failure: &BlobError) -> ApiError {
    match failure {
        BlobError::DiskFull { .. } => ApiError::unavailable(failure.to_string()),
        BlobError::Key(key) => match kms::refusal(inner, key) {
            Some(refusal) => error(ErrorCode::Kms, refusal.message),
            None => match key {
                KeyError::Disabled { .. } | KeyError::Destroyed { .. } => error(ErrorCode::Kms, key.to_string()),
                key => crate::records::keys_failed(key),
            },
        },
        failure => {
            tracing::error!(error = %failure, "the bytes of an image cannot be used");
            ApiError::internal("The bytes of the image cannot be used; Kiln's log says why")
        }
    }
}

/// Work for a thread that may wait for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => {
            tracing::error!(error = %e, "work on images did not end");
            Err(ApiError::internal("Kiln failed; its log says why"))
        }
    }
}
