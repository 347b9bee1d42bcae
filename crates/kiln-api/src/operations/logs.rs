//! CloudWatch Logs.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{Context, Logs},
};

use super::{json, read};
use crate::{body::Answer, fault::Fault};

/// Calls CloudWatch Logs.
pub(super) async fn logs(
    service: &impl Logs,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{for_each_logs_operation, logs::*};
    if !info.implemented {
        let message = format!("{} is not available in this version of Kiln", info.name);
        return Err(ApiError::new(ErrorCode::InvalidOperation, message).into());
    }
    dispatch!(service info context body);
    for_each_logs_operation!(arms)
}
