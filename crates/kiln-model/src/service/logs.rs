//! What the front end asks of CloudWatch Logs.

use std::future::Future;

use super::Context;
use crate::{ApiError, for_each_logs_operation, logs::*};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of CloudWatch Logs that are implemented. Each error is what the client sees.
        pub trait Logs: Send + Sync + 'static {
            /// What [`Self::start_live_tail`] gives.
            type LiveTail: LiveTail;

            /// `StartLiveTail`: events as they come in, until what is returned is dropped.
            fn start_live_tail(
                &self,
                context: &Context,
                input: StartLiveTailRequest,
            ) -> impl Future<Output = Result<Self::LiveTail, ApiError>> + Send;

            $(
                #[doc = concat!("`", stringify!($name), "`.")]
                fn $method(
                    &self,
                    context: &Context,
                    input: $input,
                ) -> impl Future<Output = Result<$output, ApiError>> + Send;
            )+
        }
    };
}

for_each_logs_operation!(methods);

/// What a session of a live tail says (`StartLiveTailResponseStream`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveTailEvent {
    /// `sessionStart`: it has begun; comes first, once.
    Start(LiveTailSessionStart),
    /// `sessionUpdate`: events, if there are any; comes once a second at least.
    Update(LiveTailSessionUpdate),
    /// `SessionTimeoutException`: it has lasted as long as it may; nothing follows.
    Timeout(String),
    /// `SessionStreamingException`: it cannot go on, and why; nothing follows.
    Failure(String),
}

/// A session of a live tail.
pub trait LiveTail: Send + 'static {
    /// What it says next; `None` at the end. Nothing is lost when the future is dropped before it is ready.
    fn next(&mut self) -> impl Future<Output = Option<LiveTailEvent>> + Send;
}
