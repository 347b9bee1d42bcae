//! What the front end asks of Secrets Manager.

use std::future::Future;

use super::Context;
use crate::{ApiError, for_each_secrets_manager_operation, secretsmanager::*};

macro_rules! methods {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        /// The operations of Secrets Manager that are implemented. Each error is what the client sees.
        pub trait SecretsManager: Send + Sync + 'static {
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

for_each_secrets_manager_operation!(methods);
