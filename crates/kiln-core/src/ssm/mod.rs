//! Parameter Store, a part of Systems Manager: texts with names in a hierarchy, in numbered versions that may have labels
//! (`api.md` 8.5).
//!
//! A parameter is a row with what its versions have in common, and a row for each version. All values are sealed:
//! `SecureString`s by a key of KMS, for which callers need a permission, the others by a key of Kiln's own.

mod document;
mod edit;
mod filter;
mod get;
mod history;
mod labels;
mod list;
mod name;
mod put;
mod tags;

pub(crate) use self::{get::of_build, name::resource};

use kiln_model::{
    ApiError, ErrorCode, for_each_ssm_operation,
    service::{Context, Ssm},
    ssm::*,
};

use crate::{core::Core, runners::Runners};

fn error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::new(code, message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    error(ErrorCode::Validation, message)
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> Ssm for Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_ssm_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        edit::{delete_parameter, delete_parameters},
        get::{get_parameter, get_parameters, get_parameters_by_path},
        history::get_parameter_history,
        labels::{label_parameter_version, unlabel_parameter_version},
        list::describe_parameters,
        put::put_parameter,
        tags::{add_tags_to_resource, list_tags_for_resource, remove_tags_from_resource},
    };
}
