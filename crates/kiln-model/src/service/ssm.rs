//! What the front end asks of Parameter Store.

use std::future::Future;

use super::Context;
use crate::{ApiError, for_each_ssm_operation, ssm::*};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of Parameter Store that are implemented. Each error is what the client sees.
        pub trait Ssm: Send + Sync + 'static {
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

for_each_ssm_operation!(methods);
