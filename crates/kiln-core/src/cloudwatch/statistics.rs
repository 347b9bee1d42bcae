//! `GetMetricStatistics`.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, Timestamp,
    cloudwatch::{Datapoint, GetMetricStatisticsInput, GetMetricStatisticsOutput, StandardUnit, Statistic},
    service::Context,
};

use super::{
    combination, invalid,
    key::key,
    points::Points,
    series::{Periods, by_unit, check_period, rounded_start},
    statistic::percentile,
};
use crate::{core::Inner, runners::Runners};

/// Points of an answer (AWS's limit).
const MOST_POINTS: i64 = 1440;

pub(super) async fn get_metric_statistics<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetMetricStatisticsInput,
) -> Result<GetMetricStatisticsOutput, ApiError> {
    let statistics = input.statistics.unwrap_or_default();
    let extended = input.extended_statistics.unwrap_or_default();
    match (statistics.is_empty(), extended.is_empty()) {
        (true, true) => {
            return Err(combination(
                "At least one of the parameters Statistics and ExtendedStatistics must be specified.",
            ));
        }
        (false, false) => {
            return Err(combination(
                "The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.",
            ));
        }
        _ => {}
    }
    let percentiles = percentiles(&extended)?;
    check_period("Period", input.period)?;
    if input.start_time >= input.end_time {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    let start = rounded_start(input.start_time.millis(), input.period, inner.now());
    // What begins within the last second still counts.
    let end = input.end_time.millis().saturating_add(999).div_euclid(1000);
    let asked = (end - start + input.period - 1) / input.period;
    if asked > MOST_POINTS {
        return Err(combination(format!(
            "You have requested up to {} datapoints, which exceeds the limit of {}. You may reduce the datapoints requested \
             by increasing Period, or decreasing the time range.",
            grouped(asked),
            grouped(MOST_POINTS)
        )));
    }
    let Some(key) = key(&input.namespace, &input.metric_name, input.dimensions.as_deref().unwrap_or_default()) else {
        return Err(invalid("The collection Dimensions must not have two members of one name."));
    };
    let periods = Periods { start, end, period: input.period };
    let found = inner.look(|view| Ok(by_unit(view, &key, input.unit, periods)?))?;
    let mut datapoints = Vec::new();
    for (unit, series) in found {
        let unit = StandardUnit::ALL.iter().find(|known| known.as_str() == unit).copied();
        datapoints.extend(series.iter().filter_map(|(begin, points)| {
            let mut datapoint = datapoint(points, &statistics);
            if !percentiles.is_empty() {
                let known = |(name, percent): &(String, f64)| Some((name.clone(), points.percentile(*percent)?));
                let values: BTreeMap<String, f64> = percentiles.iter().filter_map(known).collect();
                // A period whose values are not known has no percentiles, and so no point.
                if values.is_empty() {
                    return None;
                }
                datapoint.extended_statistics = Some(values);
            }
            datapoint.timestamp = Some(Timestamp::from_millis(begin * 1000));
            datapoint.unit = unit;
            Some(datapoint)
        }));
    }
    Ok(GetMetricStatisticsOutput { label: Some(input.metric_name), datapoints: Some(datapoints) })
}

/// A number as AWS writes it in this message: `1,440`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let comma = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        [comma.then_some(','), Some(digit)].into_iter().flatten()
    };
    digits.chars().enumerate().flat_map(comma).collect()
}

fn percentiles(names: &[String]) -> Result<Vec<(String, f64)>, ApiError> {
    let parse = |(name, at): (&String, usize)| match percentile(name) {
        Some(percent) => Ok((name.clone(), percent)),
        None => Err(invalid(format!(
            "The value {name} for parameter ExtendedStatistics.member.{at} is not supported: this version of Kiln has \
             percentiles from p0 to p100, with up to ten decimals."
        ))),
    };
    names.iter().zip(1..).map(parse).collect()
}

fn datapoint(points: &Points, statistics: &[Statistic]) -> Datapoint {
    let mut datapoint = Datapoint::default();
    for statistic in statistics {
        match statistic {
            Statistic::SampleCount => datapoint.sample_count = Some(points.count),
            Statistic::Average => datapoint.average = Some(points.average()),
            Statistic::Sum => datapoint.sum = Some(points.sum),
            Statistic::Minimum => datapoint.minimum = Some(points.minimum),
            Statistic::Maximum => datapoint.maximum = Some(points.maximum),
        }
    }
    datapoint
}
