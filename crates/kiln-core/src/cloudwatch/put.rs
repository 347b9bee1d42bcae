//! `PutMetricData`.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode,
    cloudwatch::{MetricDatum, PutMetricDataInput, PutMetricDataOutput, StandardUnit, StatisticSet},
    service::Context,
};
use kiln_store::{Tx, metadata::MetricKey};

use super::{combination, invalid, key::key, level, missing, points::Points};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Metrics in one request (AWS's limit).
const MOST_DATA: usize = 1000;
/// Values of one metric in one request (AWS's limit).
const MOST_VALUES: usize = 150;
/// Metrics of the account: each costs a row and some hundred bytes, and a client that puts a number into a dimension
/// makes one with each call.
const MOST_METRICS: i64 = 1_000_000;
/// How old a value may be, and how far ahead (AWS's limits).
const OLDEST_MS: i64 = 14 * 24 * 60 * 60 * 1000;
const NEWEST_MS: i64 = 2 * 60 * 60 * 1000;

/// Values of one metric in one unit, to be stored.
type Batch = BTreeMap<(MetricKey, StandardUnit, bool), Vec<(i64, Points)>>;

pub(super) async fn put_metric_data<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutMetricDataInput,
) -> Result<PutMetricDataOutput, ApiError> {
    let namespace = input.namespace;
    if namespace.starts_with(':') || namespace.starts_with("AWS/") {
        return Err(invalid(format!("The value {namespace} for parameter Namespace is invalid.")));
    }
    let of_entities = input.entity_metric_data.unwrap_or_default().into_iter().zip(1..).flat_map(|(entity, at)| {
        let place = format!("EntityMetricData.member.{at}.MetricData");
        entity
            .metric_data
            .unwrap_or_default()
            .into_iter()
            .zip(1..)
            .map(move |(datum, n)| (format!("{place}.member.{n}"), datum))
    });
    let own = input
        .metric_data
        .unwrap_or_default()
        .into_iter()
        .zip(1..)
        .map(|(datum, n)| (format!("MetricData.member.{n}"), datum));
    let data: Vec<(String, MetricDatum)> = own.chain(of_entities).collect();
    if data.is_empty() {
        return Err(missing("The parameter MetricData is required."));
    }
    if data.len() > MOST_DATA {
        return Err(invalid(format!("The collection MetricData must not have a size greater than {MOST_DATA}.")));
    }
    let now = inner.now();
    let mut batch = Batch::new();
    for (place, datum) in data {
        let time = time(&place, &datum, now)?;
        let points = points(&place, &datum)?;
        let key =
            key(&namespace, &datum.metric_name, datum.dimensions.as_deref().unwrap_or_default()).ok_or_else(|| {
                invalid(format!("The collection {place}.Dimensions must not have two members of one name."))
            })?;
        let is_high = match datum.storage_resolution {
            None | Some(60) => false,
            Some(1) => true,
            Some(_) => {
                let message = format!("The parameter {place}.StorageResolution must be a value in the set [ 1, 60 ].");
                return Err(invalid(message));
            }
        };
        batch.entry((key, datum.unit.unwrap_or(StandardUnit::None), is_high)).or_default().push((time, points));
    }
    inner.transact(move |tx| store(tx, &batch, now)).await?;
    Ok(PutMetricDataOutput {})
}

fn store(tx: &mut Tx<'_>, batch: &Batch, now: i64) -> Result<(), Refused> {
    let mut is_new = false;
    for (key, ..) in batch.keys() {
        is_new = is_new || tx.metric(key)?.is_none();
    }
    if is_new && tx.metric_count()? >= MOST_METRICS {
        let message = format!(
            "this Kiln has {MOST_METRICS} metrics already, which is as many as it keeps: use fewer values of dimensions; \
             metrics that get no values any more go by themselves"
        );
        return Err(ApiError::new(ErrorCode::LimitExceeded, message).into());
    }
    for ((key, unit, is_high), values) in batch {
        level::store(tx, key, unit.as_str(), *is_high, values, now)?;
    }
    Ok(())
}

fn time(place: &str, datum: &MetricDatum, now: i64) -> Result<i64, ApiError> {
    let Some(time) = datum.timestamp.map(kiln_model::Timestamp::millis) else { return Ok(now) };
    if time < now - OLDEST_MS {
        return Err(invalid(format!(
            "The parameter {place}.Timestamp must specify a time no more than two weeks in the past."
        )));
    }
    if time > now + NEWEST_MS {
        return Err(invalid(format!(
            "The parameter {place}.Timestamp must specify a time no more than two hours in the future."
        )));
    }
    Ok(time)
}

fn points(place: &str, datum: &MetricDatum) -> Result<Points, ApiError> {
    let given: Vec<&str> = [
        ("Value", datum.value.is_some()),
        ("StatisticValues", datum.statistic_values.is_some()),
        ("Values", datum.values.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_given)| is_given.then_some(name))
    .collect();
    if let [first, second, ..] = given.as_slice() {
        return Err(combination(format!(
            "The parameters {place}.{first} and {place}.{second} are mutually exclusive and you have specified both."
        )));
    }
    if datum.counts.is_some() && datum.values.is_none() {
        return Err(combination(format!(
            "The parameter {place}.Counts must be used with the parameter {place}.Values."
        )));
    }
    if let Some(value) = datum.value {
        return of_values(&[(number(&format!("{place}.Value"), value)?, 1.0)], place);
    }
    if let Some(set) = &datum.statistic_values {
        return of_set(&format!("{place}.StatisticValues"), set);
    }
    let Some(values) = &datum.values else {
        return Err(missing(format!("The parameter {place}.Value is required.")));
    };
    if values.len() > MOST_VALUES {
        return Err(invalid(format!("The collection {place}.Values must not have a size greater than {MOST_VALUES}.")));
    }
    let ones = vec![1.0; values.len()];
    let counts = datum.counts.as_ref().unwrap_or(&ones);
    if counts.len() != values.len() {
        return Err(invalid(format!("The parameters {place}.Values and {place}.Counts must be of the same size.")));
    }
    let mut pairs = Vec::with_capacity(values.len());
    for ((value, count), at) in values.iter().zip(counts).zip(1..) {
        let value = number(&format!("{place}.Values.member.{at}"), *value)?;
        pairs.push((value, positive(&format!("{place}.Counts.member.{at}"), *count)?));
    }
    of_values(&pairs, place)
}

fn of_values(pairs: &[(f64, f64)], place: &str) -> Result<Points, ApiError> {
    Points::of(pairs.iter().copied())
        .ok_or_else(|| invalid(format!("The collection {place}.Values must not have a size less than 1.")))
}

fn of_set(place: &str, set: &StatisticSet) -> Result<Points, ApiError> {
    let count = positive(&format!("{place}.SampleCount"), set.sample_count)?;
    let sum = number(&format!("{place}.Sum"), set.sum)?;
    let minimum = number(&format!("{place}.Minimum"), set.minimum)?;
    let maximum = number(&format!("{place}.Maximum"), set.maximum)?;
    if minimum > maximum {
        return Err(invalid(format!(
            "The parameter {place}.Maximum must be greater than or equal to {place}.Minimum."
        )));
    }
    Ok(Points::of_set(count, sum, minimum, maximum))
}

/// Values lie within ±2^360 (AWS's limit).
fn number(place: &str, value: f64) -> Result<f64, ApiError> {
    if value.is_finite() && value.abs() <= 2f64.powi(360) {
        return Ok(value);
    }
    Err(invalid(format!("The value {value:e} for parameter {place} is invalid.")))
}

fn positive(place: &str, value: f64) -> Result<f64, ApiError> {
    number(place, value)?;
    if value > 0.0 {
        return Ok(value);
    }
    Err(invalid(format!("The parameter {place} must be greater than 0.")))
}
