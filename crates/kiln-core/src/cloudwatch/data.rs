//! `GetMetricData`.

use std::collections::{BTreeMap, HashMap, HashSet};

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    cloudwatch::{
        GetMetricDataInput, GetMetricDataOutput, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
    },
    service::Context,
};
use kiln_store::metadata::MetricKey;

use super::{
    expression::{Expression, Queries, Series, Value, evaluate, parse},
    key::key,
    series::{Periods, all, check_period, rounded_start},
    statistic::Stat,
    validation,
};
use crate::{
    core::Inner,
    page::{after, token},
    runners::Runners,
};

/// Queries of a request, and points of a page (AWS's limits).
const MOST_QUERIES: usize = 500;
const MOST_POINTS: i64 = 100_800;
/// Points that are held at once for expressions: a request that wants more is too dear.
const MOST_HELD: usize = 2_000_000;

/// A query that was checked.
enum Query {
    Metric { key: MetricKey, stat: Stat, asked: MetricStat },
    Expression(Expression),
}

pub(super) async fn get_metric_data<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetMetricDataInput,
) -> Result<GetMetricDataOutput, ApiError> {
    let (start, end) = (input.start_time.millis(), input.end_time.millis());
    if start >= end {
        return Err(validation("The parameter StartTime must be less than the parameter EndTime."));
    }
    let most = input.max_datapoints.unwrap_or(MOST_POINTS);
    let most = match usize::try_from(most) {
        Ok(most) if most > 0 && i64::try_from(most).is_ok_and(|most| most <= MOST_POINTS) => most,
        _ => return Err(validation(format!("The parameter MaxDatapoints must be between 1 and {MOST_POINTS}."))),
    };
    let order = input.scan_by.unwrap_or(ScanBy::TimestampDescending);
    let list = format!("metric data {start} {end} {order} {}", fingerprint(&input.metric_data_queries));
    let (first, mut skip): (usize, usize) = after(&list, input.next_token.as_deref())
        .map_err(|_| {
            ApiError::new(ErrorCode::InvalidNextToken, "The specified token is not that of a page of this request.")
        })?
        .unwrap_or_default();
    let queries = check(&input.metric_data_queries)?;
    let mut evaluator = Evaluator {
        inner,
        asked: &input.metric_data_queries,
        queries: &queries,
        known: HashMap::new(),
        begun: HashSet::new(),
        held: 0,
        failed: None,
        start,
        end,
    };
    let mut results = Vec::new();
    let (mut left, mut next) = (most, None);
    for (at, query) in input.metric_data_queries.iter().enumerate().skip(first) {
        if query.return_data == Some(false) {
            continue;
        }
        if left == 0 {
            next = Some((at, 0));
            break;
        }
        let series = evaluator.series(query)?;
        // The page's points are counted over all series of an array together.
        let total: usize = series.iter().map(|(_, series)| series.points.len()).sum();
        let (taken, cut) = page(&query.id, series, order, skip, left);
        let count: usize = taken.iter().map(|result| result.values.as_ref().map_or(0, Vec::len)).sum();
        results.extend(taken);
        left -= count;
        if cut {
            next = Some((at, skip + count));
            break;
        }
        debug_assert!(skip + count >= total, "a page that is not cut ends its query");
        skip = 0;
    }
    let next_token = next.and_then(|place| token(&list, place));
    Ok(GetMetricDataOutput { metric_data_results: Some(results), next_token, messages: Some(Vec::new()) })
}

/// Tokens are for the same queries only.
fn fingerprint(queries: &[MetricDataQuery]) -> String {
    let text = serde_json::to_string(queries).unwrap_or_default();
    format!("{:08x}{:x}", crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, text.as_bytes()), text.len())
}

/// The points of a query from the one with the number `skip` on, at most `left`; whether there are more.
fn page(
    id: &str,
    series: Vec<(String, Series)>,
    order: ScanBy,
    mut skip: usize,
    mut left: usize,
) -> (Vec<MetricDataResult>, bool) {
    let mut results = Vec::new();
    for (label, series) in series {
        let total = series.points.len();
        if skip > 0 && skip >= total {
            skip -= total;
            continue;
        }
        let mut points: Vec<(i64, f64)> = series.points.into_iter().collect();
        if order == ScanBy::TimestampDescending {
            points.reverse();
        }
        let taken: Vec<(i64, f64)> = points.into_iter().skip(skip).take(left).collect();
        left -= taken.len();
        let is_cut = skip + taken.len() < total;
        skip = 0;
        results.push(MetricDataResult {
            id: Some(id.to_owned()),
            label: Some(label),
            timestamps: Some(taken.iter().map(|(time, _)| Timestamp::from_millis(time * 1000)).collect()),
            values: Some(taken.into_iter().map(|(_, value)| value).collect()),
            status_code: Some(if is_cut { StatusCode::PartialData } else { StatusCode::Complete }),
            messages: None,
        });
        if is_cut {
            return (results, true);
        }
    }
    (results, false)
}

/// Checks the queries; by their ids.
fn check(asked: &[MetricDataQuery]) -> Result<BTreeMap<&str, Query>, ApiError> {
    if asked.is_empty() {
        return Err(validation("The collection MetricDataQueries must not have a size less than 1."));
    }
    if asked.len() > MOST_QUERIES {
        let message = format!("The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.");
        return Err(validation(message));
    }
    let mut queries = BTreeMap::new();
    for (query, at) in asked.iter().zip(1..) {
        let place = format!("MetricDataQueries.member.{at}");
        let mut letters = query.id.chars();
        if !letters.next().is_some_and(|first| first.is_ascii_lowercase())
            || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return Err(validation(format!(
                "The value {} for parameter {place}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                query.id
            )));
        }
        let checked = match (&query.metric_stat, &query.expression) {
            (Some(stat), None) => metric(&place, stat)?,
            (None, Some(text)) => {
                let parsed = parse(text).map_err(|what| in_expression(&query.id, &what))?;
                Query::Expression(parsed)
            }
            _ => {
                return Err(validation(format!(
                    "The parameter {place} must have exactly one of MetricStat and Expression."
                )));
            }
        };
        if queries.insert(query.id.as_str(), checked).is_some() {
            return Err(validation(format!("The value {} for parameter {place}.Id stands twice.", query.id)));
        }
    }
    if asked.iter().all(|query| query.return_data == Some(false)) {
        return Err(validation("At least one of the MetricDataQueries must have ReturnData true."));
    }
    Ok(queries)
}

fn metric(place: &str, stat: &MetricStat) -> Result<Query, ApiError> {
    let place = format!("{place}.MetricStat");
    let metric = &stat.metric;
    let (Some(namespace), Some(name)) = (&metric.namespace, &metric.metric_name) else {
        return Err(validation(format!("The parameters {place}.Metric.Namespace and MetricName are required.")));
    };
    let key = key(namespace, name, metric.dimensions.as_deref().unwrap_or_default()).ok_or_else(|| {
        validation(format!("The collection {place}.Metric.Dimensions must not have two members of one name."))
    })?;
    check_period(&format!("{place}.Period"), stat.period).map_err(|error| validation(error.message))?;
    let parsed = Stat::parse(&stat.stat).ok_or_else(|| {
        validation(format!(
            "The value {} for parameter {place}.Stat is not supported: this version of Kiln has SampleCount, Average, Sum, \
             Minimum, Maximum, and percentiles from p0 to p100 with up to ten decimals.",
            stat.stat
        ))
    })?;
    Ok(Query::Metric { key, stat: parsed, asked: stat.clone() })
}

fn in_expression(id: &str, what: &str) -> ApiError {
    validation(format!("Error in expression '{id}': {what}"))
}

/// Reads metrics and evaluates expressions, each once.
struct Evaluator<'a, R> {
    inner: &'a Inner<R>,
    asked: &'a [MetricDataQuery],
    queries: &'a BTreeMap<&'a str, Query>,
    known: HashMap<String, Value>,
    /// Expressions that are being evaluated.
    begun: HashSet<String>,
    /// Points in `known`.
    held: usize,
    /// Why the store gave nothing.
    failed: Option<ApiError>,
    start: i64,
    end: i64,
}

impl<R: Runners> Evaluator<'_, R> {
    /// The series of a query that is part of the answer, with their labels.
    fn series(&mut self, query: &MetricDataQuery) -> Result<Vec<(String, Series)>, ApiError> {
        let value = self.query(&query.id);
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let value = value.map_err(|what| in_expression(&query.id, &what))?;
        match value {
            Value::Series(series) => Ok(vec![(self.label(query), series)]),
            Value::Array(all) => Ok(all
                .into_iter()
                .map(|(own, series)| match &query.label {
                    Some(label) => (format!("{label} {own}"), series),
                    None => (own, series),
                })
                .collect()),
            Value::Number(_) => Err(in_expression(
                &query.id,
                "it gives a number, but the result of an expression that is returned must be a series",
            )),
        }
    }

    fn label(&self, query: &MetricDataQuery) -> String {
        match (&query.label, self.queries.get(query.id.as_str())) {
            (Some(label), _) => label.clone(),
            (None, Some(Query::Metric { key, .. })) => key.name.clone(),
            _ => query.id.clone(),
        }
    }

    /// The first period has the start in it; periods begin at multiples of their length.
    fn periods(&self, period: i64) -> Periods {
        let start = rounded_start(self.start, period, self.inner.now());
        let end = self.end.saturating_add(999).div_euclid(1000);
        Periods { start: start - start.rem_euclid(period), end, period }
    }
}

impl<R: Runners> Queries for Evaluator<'_, R> {
    fn query(&mut self, id: &str) -> Result<Value, String> {
        if let Some(known) = self.known.get(id) {
            return Ok(known.clone());
        }
        let queries = self.queries;
        let value = match queries.get(id) {
            None => return Err(format!("there is no query with the id '{id}'")),
            Some(Query::Metric { key, stat, asked }) => {
                let periods = self.periods(asked.period);
                let found = self.inner.look(|view| Ok(all(view, key, asked.unit, periods)?));
                let found = found.map_err(|error| {
                    let message = error.message.clone();
                    self.failed = Some(error);
                    message
                })?;
                let points = found.iter().filter_map(|(begin, points)| Some((*begin, stat.of(points)?))).collect();
                Value::Series(Series { period: asked.period, points })
            }
            Some(Query::Expression(expression)) => {
                if !self.begun.insert(id.to_owned()) {
                    return Err(format!("the expression '{id}' refers to itself"));
                }
                let value = evaluate(expression, self)?;
                self.begun.remove(id);
                value
            }
        };
        self.held += match &value {
            Value::Number(_) => 1,
            Value::Series(series) => series.points.len(),
            Value::Array(all) => all.iter().map(|(_, series)| series.points.len()).sum(),
        };
        if self.held > MOST_HELD {
            return Err(format!(
                "the queries of this request have more than {MOST_HELD} points: ask for fewer of them, for longer periods, \
                 or for less time"
            ));
        }
        self.known.insert(id.to_owned(), value.clone());
        Ok(value)
    }

    fn metrics(&self) -> Vec<(String, String)> {
        let metrics = self.asked.iter().filter(|query| query.metric_stat.is_some());
        metrics.map(|query| (query.id.clone(), self.label(query))).collect()
    }

    fn span(&self, period: i64) -> (i64, i64) {
        let Periods { start, end, .. } = self.periods(period);
        (start, end)
    }
}
