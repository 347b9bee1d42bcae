//! What the front end asks of EventBridge.

use std::future::Future;

use super::Context;
use crate::{ApiError, events::*, for_each_events_operation};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of EventBridge that are implemented. Each error is what the client sees.
        pub trait Events: Send + Sync + 'static {
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

for_each_events_operation!(methods);
