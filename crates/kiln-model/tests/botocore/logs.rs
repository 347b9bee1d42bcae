//! CloudWatch Logs.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    decode::from_value,
    for_each_logs_operation,
    logs::*,
    operations::{LOGS_OPERATIONS, LOGS_TARGET},
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// Everything that the model has is answered, or could be.
fn never_answered(_: &str) -> &'static [&'static str] {
    &[]
}

/// A member, in whatever structure, of what is not offered.
fn is_of_others(_: &str) -> bool {
    false
}

for_each_logs_operation!(operations_of);

compared! { "logs" LOGS_OPERATIONS violated InvalidParameter
    structures {
        Entity FilteredLogEvent IndexPolicy InputLogEvent LiveTailSessionLogEvent LiveTailSessionMetadata
        LiveTailSessionStart LiveTailSessionUpdate LogGroup LogStream MetricFilter MetricFilterMatchRecord
        MetricTransformation OutputLogEvent RejectedEntityInfo RejectedLogEventsInfo SearchedLogStream
        StartLiveTailRequest SubscriptionFilter
    }
    enumerations {
        DataProtectionStatus Distribution EntityRejectionErrorType IndexSource InheritedProperty LogGroupClass OrderBy
        StandardUnit
    }
    at_least 81 required 151 bounds
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], LOGS_TARGET);
    let theirs: BTreeSet<&str> = model["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(LOGS_OPERATIONS.iter().map(|operation| operation.name).collect::<BTreeSet<_>>(), theirs);
    check_errors(
        model,
        &LOGS_OPERATIONS,
        &[
            ErrorCode::InvalidOperation,
            ErrorCode::InvalidParameter,
            ErrorCode::LimitExceeded,
            ErrorCode::OperationAborted,
            ErrorCode::ResourceAlreadyExists,
            ErrorCode::ResourceNotFound,
            ErrorCode::TooManyTagsException,
        ],
    );
}
