//! What the front end asks of CloudWatch Logs.

use std::future::Future;

use super::Context;
use crate::{ApiError, for_each_logs_operation, logs::*};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of CloudWatch Logs that are implemented. Each error is what the client sees.
        pub trait Logs: Send + Sync + 'static {
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
