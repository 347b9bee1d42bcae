//! What callers are told.

use kiln_model::{ApiError, ErrorCode};
use kiln_store::repos::GitError;

pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

pub(super) fn no_repository(name: &str) -> ApiError {
    error(ErrorCode::RepositoryDoesNotExist, format!("{name} does not exist"))
}

pub(super) fn no_branch(name: &str) -> ApiError {
    error(ErrorCode::BranchDoesNotExist, format!("Branch {name} does not exist"))
}

pub(super) fn no_commit(text: &str) -> ApiError {
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    error(ErrorCode::CommitDoesNotExist, format!("Commit {text} does not exist"))
}

/// Git, or its disk, failed. What it said is for the operator.
pub(super) fn git(failure: &GitError) -> ApiError {
    match failure {
        GitError::Full | GitError::Slow { .. } => ApiError::unavailable(format!("{failure}; try again")),
        GitError::NoGit(_) => {
            tracing::error!(error = %failure, "git repositories need git");
            ApiError::unavailable("git is not installed on the server")
        }
        failure => {
            tracing::error!(error = %failure, "a git repository cannot be used");
            ApiError::internal("Kiln's git repositories failed; its log says why")
        }
    }
}

/// Work with git, for a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => {
            tracing::error!(error = %e, "work with git did not end");
            Err(ApiError::internal("Kiln failed; its log says why"))
        }
    }
}
