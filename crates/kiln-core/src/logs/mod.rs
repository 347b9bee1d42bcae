//! CloudWatch Logs: log groups and streams, the logs of builds among them (`api.md` 6, `buildspec.md` 4.6).
//!
//! Groups and streams are rows; events are in files. **A build's log is a stream without being stored twice**: its events
//! are the lines of the log that the journal was copied into ([`source`]). Reading is the same for all streams: events
//! stand in the order of their [`Place`](source::Place), by which tokens and ids name them.

mod builds;
mod describe;
mod document;
mod expiry;
mod filter;
mod get;
mod groups;
mod name;
mod older;
mod pattern;
mod put;
mod source;
mod streams;
mod tags;
mod tail;

pub use self::tail::Tail;
pub(crate) use self::{
    builds::{close, closed, is_enabled, open},
    expiry::sweep,
    name::resource,
    older::take_in,
    put::Turns,
    tail::Tails,
};

use kiln_model::{
    ApiError, ErrorCode, for_each_logs_operation,
    logs::*,
    service::{Context, Logs},
};

use kiln_store::logs::LogError;

use crate::{core::Core, runners::Runners};

fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    error(ErrorCode::InvalidParameter, message)
}

/// What a client is told when events cannot be read.
fn unreadable(error: &LogError) -> ApiError {
    tracing::error!(error = %error, "a log cannot be read");
    ApiError::internal(error.to_string())
}

/// What a client is told when events cannot be written.
fn written(error: &LogError) -> ApiError {
    match error {
        // Clients try again.
        LogError::DiskFull { .. } => error_of(ErrorCode::Throttling, error),
        error => {
            tracing::error!(error = %error, "events cannot be written");
            error_of(ErrorCode::InternalFailure, error)
        }
    }
}

fn error_of(code: ErrorCode, error: &LogError) -> ApiError {
    ApiError::new(code, error.to_string())
}

/// Work for a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => {
            tracing::error!(error = %e, "work on logs did not end");
            Err(ApiError::internal("Kiln failed; its log says why"))
        }
    }
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> Logs for Core<R> {
            type LiveTail = tail::Tail<R>;

            async fn start_live_tail(
                &self,
                context: &Context,
                input: StartLiveTailRequest,
            ) -> Result<Self::LiveTail, ApiError> {
                tail::start_live_tail(&self.inner, context, input).await
            }

            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_logs_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        describe::{describe_index_policies, describe_metric_filters, describe_subscription_filters},
        filter::filter_log_events,
        get::get_log_events,
        groups::{
            create_log_group, delete_log_group, delete_retention_policy, describe_log_groups,
            put_log_group_deletion_protection, put_retention_policy,
        },
        put::put_log_events,
        streams::{create_log_stream, delete_log_stream, describe_log_streams},
        tags::{
            list_tags_for_resource, list_tags_log_group, tag_log_group, tag_resource, untag_log_group, untag_resource,
        },
    };
}
