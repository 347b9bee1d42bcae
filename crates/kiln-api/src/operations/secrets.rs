//! Secrets Manager and Parameter Store.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{Context, SecretsManager, Ssm},
};

use super::{json, read};
use crate::{body::Answer, fault::Fault};

/// Calls Secrets Manager.
pub(super) async fn secrets_manager(
    service: &impl SecretsManager,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{for_each_secrets_manager_operation, secretsmanager::*};
    if !info.implemented {
        let message = format!(
            "{} is not available in this version of Kiln, which neither rotates secrets by itself nor copies them to other \
             regions or accounts",
            info.name
        );
        return Err(ApiError::new(ErrorCode::InvalidRequest, message).into());
    }
    dispatch!(service info context body);
    for_each_secrets_manager_operation!(arms)
}

/// Calls Parameter Store.
pub(super) async fn ssm(
    service: &impl Ssm,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{for_each_ssm_operation, ssm::*};
    dispatch!(service info context body);
    for_each_ssm_operation!(arms)
}
