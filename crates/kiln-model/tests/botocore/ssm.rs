//! Parameter Store, a part of Systems Manager.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    decode::from_value,
    for_each_ssm_operation,
    operations::{SSM_OPERATIONS, SSM_TARGET},
    ssm::*,
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// Members of answers that belong to other sources of parameters.
fn never_answered(name: &str) -> &'static [&'static str] {
    match name {
        "Parameter" => &["SourceResult"],
        _ => &[],
    }
}

/// A member, in whatever structure, of what is not offered.
fn is_of_others(_: &str) -> bool {
    false
}

for_each_ssm_operation!(operations_of);

compared! { "ssm" SSM_OPERATIONS
    structures {
        Parameter ParameterHistory ParameterInlinePolicy ParameterMetadata ParameterStringFilter ParametersFilter Tag
    }
    enumerations { ParameterTier ParameterType ParametersFilterKey ResourceTypeForTagging }
    at_least 81 required 151 bounds
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], SSM_TARGET);
    check_errors(
        model,
        &SSM_OPERATIONS,
        &[
            ErrorCode::HierarchyLevelLimitExceeded,
            ErrorCode::HierarchyTypeMismatch,
            ErrorCode::InvalidAllowedPattern,
            ErrorCode::InvalidFilterKey,
            ErrorCode::InvalidFilterOption,
            ErrorCode::InvalidFilterValue,
            ErrorCode::InvalidKeyId,
            ErrorCode::InvalidNextToken,
            ErrorCode::InvalidPolicyType,
            ErrorCode::InvalidResourceId,
            ErrorCode::InvalidResourceType,
            ErrorCode::ParameterAlreadyExists,
            ErrorCode::ParameterLimitExceeded,
            ErrorCode::ParameterMaxVersionLimitExceeded,
            ErrorCode::ParameterNotFound,
            ErrorCode::ParameterPatternMismatch,
            ErrorCode::ParameterVersionLabelLimitExceeded,
            ErrorCode::ParameterVersionNotFound,
            ErrorCode::TooManyTags,
            ErrorCode::UnsupportedParameterType,
        ],
    );
}
