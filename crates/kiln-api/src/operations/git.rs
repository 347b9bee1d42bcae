//! CodeCommit.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{CodeCommit, Context},
};

use super::{json, read};
use crate::{body::Answer, fault::Fault};

/// Calls CodeCommit.
pub(super) async fn codecommit(
    service: &impl CodeCommit,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{codecommit::*, for_each_codecommit_operation};
    if !info.implemented {
        let message = format!(
            "{} is not available in this version of Kiln, which has repositories, branches, commits and triggers, but no pull \
             requests, comments or approval rules",
            info.name
        );
        return Err(ApiError::new(ErrorCode::OperationNotAllowed, message).into());
    }
    dispatch!(service info context body);
    for_each_codecommit_operation!(arms)
}
