//! `ListMetrics`.

use kiln_model::{
    ApiError, ErrorCode,
    cloudwatch::{Dimension, DimensionFilter, ListMetricsInput, ListMetricsOutput, Metric, RecentlyActive},
    service::Context,
};
use kiln_store::metadata::{MetricKey, MetricRecord};

use super::key::dimensions;
use crate::{
    core::Inner,
    page::{after, token},
    runners::Runners,
};

/// Metrics of a page (AWS's).
const PAGE: usize = 500;
/// Metrics that are read at once.
const BATCH: usize = 1000;
/// Lists have metrics with a value in the last two weeks, or three hours.
const LISTED_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const RECENT_MS: i64 = 3 * 60 * 60 * 1000;

pub(super) async fn list_metrics<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListMetricsInput,
) -> Result<ListMetricsOutput, ApiError> {
    let filters = input.dimensions.unwrap_or_default();
    let (namespace, name) = (input.namespace.as_deref(), input.metric_name.as_deref());
    let list = format!("metrics {namespace:?} {name:?} {filters:?} {:?}", input.recently_active);
    let begin: Option<(String, String, String)> = after(&list, input.next_token.as_deref()).map_err(|_| {
        ApiError::new(ErrorCode::InvalidParameterValue, "The parameter NextToken is not that of a page of this list.")
    })?;
    let of_us = input.owning_account.as_ref().is_none_or(|account| *account == inner.config.home.account);
    let age = if input.recently_active == Some(RecentlyActive::ThreeHours) { RECENT_MS } else { LISTED_MS };
    let since = inner.now() - age;
    let mut place = begin.map(|(namespace, name, dimensions)| MetricKey { namespace, name, dimensions });
    let found = inner.look(|view| {
        let mut found: Vec<(MetricRecord, Vec<Dimension>)> = Vec::new();
        while of_us && found.len() <= PAGE {
            let page = view.metrics(namespace, name, place.as_ref(), BATCH)?;
            let Some(last) = page.last() else { break };
            place = Some(last.key.clone());
            // The row says roughly when its last value was, too early rather than too late.
            let fresh = page.into_iter().filter(|metric| metric.newest_ms >= since - 5 * 60 * 1000);
            found.extend(fresh.filter_map(|metric| {
                let own = dimensions(&metric.key);
                has(&own, &filters).then_some((metric, own))
            }));
        }
        Ok(found)
    })?;
    let place = |key: &MetricKey| (key.namespace.clone(), key.name.clone(), key.dimensions.clone());
    let next_token =
        found.get(PAGE - 1).filter(|_| found.len() > PAGE).and_then(|(last, _)| token(&list, place(&last.key)));
    let metrics: Vec<Metric> = found
        .into_iter()
        .take(PAGE)
        .map(|(metric, dimensions)| Metric {
            namespace: Some(metric.key.namespace),
            metric_name: Some(metric.key.name),
            dimensions: Some(dimensions),
        })
        .collect();
    let owners = input.include_linked_accounts == Some(true);
    let owning_accounts = owners.then(|| vec![inner.config.home.account.clone(); metrics.len()]);
    Ok(ListMetricsOutput { metrics: Some(metrics), next_token, owning_accounts })
}

fn has(own: &[Dimension], filters: &[DimensionFilter]) -> bool {
    filters.iter().all(|filter| {
        let fits = |value: &String| filter.value.as_ref().is_none_or(|wanted| wanted == value);
        own.iter().any(|dimension| dimension.name == filter.name && fits(&dimension.value))
    })
}
