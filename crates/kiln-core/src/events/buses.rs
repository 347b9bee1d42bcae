//! Event buses: there is one, `default`.

use kiln_model::{
    ApiError,
    events::{
        DescribeEventBusRequest, DescribeEventBusResponse, EventBus, ListEventBusesRequest, ListEventBusesResponse,
    },
    service::Context,
};

use super::error::check_bus;
use crate::{core::Inner, runners::Runners};

const NAME: &str = "default";

pub(super) async fn describe_event_bus<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeEventBusRequest,
) -> Result<DescribeEventBusResponse, ApiError> {
    let home = &inner.config.home;
    check_bus(home, input.name.as_deref())?;
    Ok(DescribeEventBusResponse { name: Some(NAME.to_owned()), arn: Some(home.arn("events", "event-bus/default")) })
}

pub(super) async fn list_event_buses<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListEventBusesRequest,
) -> Result<ListEventBusesResponse, ApiError> {
    let is_meant = input.name_prefix.is_none_or(|prefix| NAME.starts_with(&prefix));
    let arn = inner.config.home.arn("events", "event-bus/default");
    let buses = is_meant.then(|| EventBus { name: Some(NAME.to_owned()), arn: Some(arn) });
    Ok(ListEventBusesResponse { event_buses: Some(buses.into_iter().collect()), next_token: None })
}
