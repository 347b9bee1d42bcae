//! CloudWatch, as far as metrics go.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    cloudwatch::*,
    decode::from_value,
    for_each_cloudwatch_operation,
    operations::{CLOUDWATCH_OPERATIONS, CLOUDWATCH_TARGET},
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// Every member is there.
fn never_answered(_: &str) -> &'static [&'static str] {
    &[]
}

fn is_of_others(_: &str) -> bool {
    false
}

for_each_cloudwatch_operation!(operations_of);

compared! { "cloudwatch" CLOUDWATCH_OPERATIONS
    structures {
        Datapoint Dimension DimensionFilter Entity EntityMetricData LabelOptions MessageData Metric MetricDataQuery
        MetricDataResult MetricDatum MetricStat StatisticSet
    }
    enumerations { RecentlyActive ScanBy StandardUnit Statistic StatusCode }
    at_least 20 required 30 bounds
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], CLOUDWATCH_TARGET);
    check_errors(
        model,
        &CLOUDWATCH_OPERATIONS,
        &[
            ErrorCode::InvalidNextToken,
            ErrorCode::InvalidParameterCombination,
            ErrorCode::InvalidParameterValue,
            ErrorCode::MissingRequiredParameter,
        ],
    );
}
