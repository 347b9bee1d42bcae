//! EventBridge.

use std::{collections::BTreeSet, sync::LazyLock};

use kiln_model::{
    ErrorCode,
    decode::from_value,
    events::*,
    for_each_events_operation,
    operations::{EVENTS_OPERATIONS, EVENTS_TARGET},
};
use serde_json::{Value, json};

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// What targets of other kinds have: it is taken as it is, as those targets are not started here.
const OF_OTHER_TARGETS: [&str; 9] = [
    "AppSyncParameters",
    "BatchParameters",
    "EcsParameters",
    "HttpParameters",
    "KinesisParameters",
    "RedshiftDataParameters",
    "RunCommandParameters",
    "SageMakerPipelineParameters",
    "SqsParameters",
];

/// The model, without what is in those.
fn model() -> Option<&'static Value> {
    static MODEL: LazyLock<Option<Value>> = LazyLock::new(|| {
        let mut model = samples::model("events")?.clone();
        for name in OF_OTHER_TARGETS {
            assert_eq!(model["shapes"][name]["type"], "structure", "{name}");
            model["shapes"][name] = json!({ "type": "structure", "members": {} });
        }
        Some(model)
    });
    MODEL.as_ref()
}

/// Members of answers that belong to what is not offered: rules of AWS's own, keys, archives and logs of buses.
fn never_answered(name: &str) -> &'static [&'static str] {
    match name {
        "DescribeRuleResponse" | "Rule" => &["ManagedBy"],
        "DescribeEventBusResponse" => &[
            "CreationTime",
            "DeadLetterConfig",
            "Description",
            "KmsKeyIdentifier",
            "LastModifiedTime",
            "LogConfig",
            "ManagedBy",
            "Policy",
        ],
        "EventBus" => &["CreationTime", "Description", "LastModifiedTime", "ManagedBy", "Policy"],
        _ => &[],
    }
}

/// A member, in whatever structure, of what is not offered.
fn is_of_others(name: &str) -> bool {
    OF_OTHER_TARGETS.contains(&name)
}

for_each_events_operation!(operations_of);

compared! { prepared EVENTS_OPERATIONS violated Validation
    structures {
        DeadLetterConfig EventBus InputTransformer PutEventsRequestEntry PutEventsResultEntry PutTargetsResultEntry
        RemoveTargetsResultEntry RetryPolicy Rule Tag Target
    }
    enumerations { RuleState }
    at_least 150 required 200 bounds
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], EVENTS_TARGET);
    let theirs: BTreeSet<&str> = model["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(EVENTS_OPERATIONS.iter().map(|operation| operation.name).collect::<BTreeSet<_>>(), theirs);
    let codes = [
        ErrorCode::InvalidEventPattern,
        ErrorCode::LimitExceeded,
        ErrorCode::OperationDisabled,
        ErrorCode::ResourceNotFound,
    ];
    check_errors(model, &EVENTS_OPERATIONS, &codes);
}
