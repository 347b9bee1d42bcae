//! CloudWatch Logs.

use http::Response;
use kiln_model::{
    ApiError, ErrorCode,
    operations::OperationInfo,
    service::{Context, Logs},
};
use tokio::sync::watch;

use super::{json, read};
use crate::{body::Answer, event_stream, fault::Fault};

/// Calls CloudWatch Logs.
pub(super) async fn logs(
    service: &impl Logs,
    info: &OperationInfo,
    context: &Context,
    body: &[u8],
    stopping: watch::Receiver<bool>,
) -> Result<Response<Answer>, Fault> {
    use kiln_model::{for_each_logs_operation, logs::*};
    if !info.implemented {
        let message = format!("{} is not available in this version of Kiln", info.name);
        return Err(ApiError::new(ErrorCode::InvalidOperation, message).into());
    }
    if info.name == "StartLiveTail" {
        let tail = service.start_live_tail(context, read(body)?).await?;
        return Ok(event_stream::live_tail(tail, stopping));
    }
    dispatch!(service info context body);
    for_each_logs_operation!(arms)
}
