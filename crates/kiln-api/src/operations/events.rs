//! EventBridge.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{Context, Events},
};

use super::{json, read};
use crate::{body::Answer, fault::Fault};

/// Calls EventBridge.
pub(super) async fn events(
    service: &impl Events,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{events::*, for_each_events_operation};
    if !info.implemented {
        let message = format!(
            "{} is not available in this version of Kiln, which has rules on the event bus 'default'",
            info.name
        );
        return Err(ApiError::new(ErrorCode::OperationDisabled, message).into());
    }
    dispatch!(service info context body);
    for_each_events_operation!(arms)
}
