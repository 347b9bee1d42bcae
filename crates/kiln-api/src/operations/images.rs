//! Elastic Container Registry.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{Context, Ecr},
};

use super::{json, read};
use crate::{body::Answer, fault::Fault};

/// Calls Elastic Container Registry.
pub(super) async fn ecr(
    service: &impl Ecr,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{ecr::*, for_each_ecr_operation};
    if !info.implemented {
        let message = format!("{} is not available in this version of Kiln", info.name);
        return Err(ApiError::new(ErrorCode::InvalidParameter, message).into());
    }
    dispatch!(service info context body);
    for_each_ecr_operation!(arms)
}
