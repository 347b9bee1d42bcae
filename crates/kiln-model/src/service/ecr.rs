//! What the front end asks of Elastic Container Registry.

use std::future::Future;

use super::Context;
use crate::{ApiError, ecr::*, for_each_ecr_operation};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of Elastic Container Registry that are implemented. Each error is what the client sees.
        pub trait Ecr: Send + Sync + 'static {
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

for_each_ecr_operation!(methods);
