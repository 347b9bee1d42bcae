//! Secrets Manager: texts that are sealed, in versions that labels name (`api.md` 8.4).
//!
//! A secret is a row with everything but its values; each value is a version, sealed by the secret's key for the secret's
//! ARN and the version's id. Labels (`AWSCURRENT`, `AWSPREVIOUS`, the caller's own) are in the secret's document, so that a
//! label is on one version at most.

mod batch;
mod document;
mod find;
mod list;
mod password;
mod policy;
mod secrets;
mod tags;
mod upkeep;
mod values;
mod versions;

pub(crate) use self::{batch::of_build, find::resource, upkeep::sweep};

use kiln_model::{
    ApiError, ErrorCode, for_each_secrets_manager_operation,
    secretsmanager::*,
    service::{Context, SecretsManager},
};

use crate::{core::Core, runners::Runners};

/// The label of the value that is read when nothing else is said.
const CURRENT: &str = "AWSCURRENT";
/// The label of the value that was the current one before.
const PREVIOUS: &str = "AWSPREVIOUS";
/// The label of a value that is about to become the current one.
const PENDING: &str = "AWSPENDING";
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

impl<R: Runners> Core<R> {
    /// Deletes the secrets whose waiting time is over, as is done by itself every hour.
    pub fn look_after_secrets(&self) {
        if let Err(e) = sweep(&self.inner) {
            tracing::warn!(error = %e, "secrets whose time is over could not be removed");
        }
    }
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> SecretsManager for Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_secrets_manager_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        batch::batch_get_secret_value,
        list::list_secrets,
        password::get_random_password,
        policy::{delete_resource_policy, get_resource_policy, put_resource_policy, validate_resource_policy},
        secrets::{create_secret, delete_secret, describe_secret, restore_secret, update_secret},
        tags::{tag_resource, untag_resource},
        values::{get_secret_value, put_secret_value},
        versions::{list_secret_version_ids, update_secret_version_stage},
    };
}
