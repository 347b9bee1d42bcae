//! What can go wrong with a bucket of another S3.

use std::{io, sync::Arc};

/// A request to another S3 that was not fulfilled, after all attempts.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// There is no such object, or no such bucket.
    #[error("{place} is not there")]
    NotFound {
        /// Bucket, key and server.
        place: String,
    },
    /// The server does not let us.
    #[error("{place}: access is denied: {reason}")]
    Denied {
        /// Bucket, key and server.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// It was replaced while it was read.
    #[error("{place} was replaced while it was read; try again")]
    Replaced {
        /// Bucket, key and server.
        place: String,
    },
    /// The server gave something else than it announced.
    #[error("{place}: the server gave {what}")]
    Wrong {
        /// Bucket, key and server.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// The key has a form that this client cannot ask for.
    #[error("{place}: keys with empty, '.' or '..' parts, or with a slash at an end, cannot be had from another S3")]
    Key {
        /// Bucket, key and server.
        place: String,
    },
    /// Anything else: no connection, no answer in time, an error of the server's.
    #[error("cannot {doing} {place}: {reason}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// Bucket, key and server.
        place: String,
        /// What the last attempt met.
        reason: String,
    },
    /// What is to be stored, or a note about it, cannot be read or written here.
    #[error("cannot {doing} what is to be stored in {place}")]
    Local {
        /// What was tried.
        doing: &'static str,
        /// Bucket, key and server.
        place: String,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// No thread could be started for it.
    #[error("no thread could be started that speaks with other servers")]
    Thread(#[source] Arc<io::Error>),
    /// The process ends.
    #[error("the request was interrupted")]
    Interrupted,
}

/// What an error of the library means here.
pub(super) fn of(doing: &'static str, place: String, error: object_store::Error) -> RemoteError {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => RemoteError::NotFound { place },
        Error::Precondition { .. } => RemoteError::Replaced { place },
        Error::PermissionDenied { source, .. } | Error::Unauthenticated { source, .. } => {
            RemoteError::Denied { place, reason: source.to_string() }
        }
        Error::Generic { source, .. } => RemoteError::Failed { doing, place, reason: whole(source.as_ref()) },
        other => RemoteError::Failed { doing, place, reason: whole(&other) },
    }
}

/// An error with its causes, as far as they say something new.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
