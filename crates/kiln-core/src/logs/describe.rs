//! What clients look for beside a log group. There are no filters and policies of that kind here, which is what is said.

use kiln_model::{
    ApiError,
    logs::{
        DescribeIndexPoliciesRequest, DescribeIndexPoliciesResponse, DescribeMetricFiltersRequest,
        DescribeMetricFiltersResponse, DescribeSubscriptionFiltersRequest, DescribeSubscriptionFiltersResponse,
    },
    service::Context,
};

use super::name::{find_group, group_of};
use crate::{core::Inner, runners::Runners};

fn check<R: Runners>(inner: &Inner<R>, group: &str) -> Result<(), ApiError> {
    inner.look(|view| find_group(view, group).map(drop))
}

pub(super) async fn describe_index_policies<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeIndexPoliciesRequest,
) -> Result<DescribeIndexPoliciesResponse, ApiError> {
    for identifier in &input.log_group_identifiers {
        check(inner, group_of(&inner.config.home, identifier)?)?;
    }
    Ok(DescribeIndexPoliciesResponse { index_policies: Some(Vec::new()), next_token: None })
}

pub(super) async fn describe_metric_filters<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeMetricFiltersRequest,
) -> Result<DescribeMetricFiltersResponse, ApiError> {
    if let Some(group) = &input.log_group_name {
        check(inner, group)?;
    }
    Ok(DescribeMetricFiltersResponse { metric_filters: Some(Vec::new()), next_token: None })
}

pub(super) async fn describe_subscription_filters<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeSubscriptionFiltersRequest,
) -> Result<DescribeSubscriptionFiltersResponse, ApiError> {
    check(inner, &input.log_group_name)?;
    Ok(DescribeSubscriptionFiltersResponse { subscription_filters: Some(Vec::new()), next_token: None })
}
