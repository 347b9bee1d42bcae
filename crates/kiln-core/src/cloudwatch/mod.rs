//! Metrics of CloudWatch: what clients put, what builds leave behind, and what is made of both (`api.md` 5).
//!
//! A metric is a row; its values are in blocks (`block`), each a stretch of time at a resolution. Values are stored once, at
//! the resolution that they are put with, and move into a coarser block when their time there is over (`level`).

mod block;
mod builds;
mod data;
mod expression;
mod key;
mod level;
mod list;
mod points;
mod put;
mod series;
mod statistic;
mod statistics;

pub(crate) use self::{builds::record_end, level::roll_up};

use kiln_model::{
    ApiError, ErrorCode,
    cloudwatch::*,
    for_each_cloudwatch_operation,
    service::{CloudWatch, Context},
};

use crate::runners::Runners;

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameterValue, message)
}

fn combination(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameterCombination, message)
}

fn missing(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::MissingRequiredParameter, message)
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::Validation, message)
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> CloudWatch for crate::Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_cloudwatch_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        data::get_metric_data, list::list_metrics, put::put_metric_data, statistics::get_metric_statistics,
    };
}
