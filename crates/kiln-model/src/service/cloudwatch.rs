//! What the front end asks of CloudWatch.

use std::future::Future;

use super::Context;
use crate::{ApiError, cloudwatch::*, for_each_cloudwatch_operation};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of CloudWatch that are implemented. Each error is what the client sees.
        pub trait CloudWatch: Send + Sync + 'static {
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

for_each_cloudwatch_operation!(methods);
