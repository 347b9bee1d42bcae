//! Secrets Manager.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    decode::from_value,
    for_each_secrets_manager_operation,
    operations::{SECRETS_MANAGER_OPERATIONS, SECRETS_MANAGER_TARGET},
    secretsmanager::*,
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// Members of answers that belong to rotation, to copies, and to services of AWS's own.
fn never_answered(name: &str) -> &'static [&'static str] {
    match name {
        "CreateSecretResponse" => &["ReplicationStatus"],
        "DescribeSecretResponse" => &[
            "CrossAccountPrimary",
            "CrossAccountReplicas",
            "ExternalSecretRotationMetadata",
            "ExternalSecretRotationRoleArn",
            "LastRotatedDate",
            "NextRotationDate",
            "OwningService",
            "PrimaryRegion",
            "ReplicationStatus",
            "RotationEnabled",
            "RotationLambdaARN",
            "RotationRules",
            "Type",
        ],
        "SecretListEntry" => &[
            "ExternalSecretRotationMetadata",
            "ExternalSecretRotationRoleArn",
            "LastRotatedDate",
            "NextRotationDate",
            "OwningService",
            "PrimaryRegion",
            "RotationEnabled",
            "RotationLambdaARN",
            "RotationRules",
            "Type",
        ],
        _ => &[],
    }
}

/// A member, in whatever structure, of what is not offered.
fn is_of_others(member: &str) -> bool {
    ["RotationRules", "ExternalSecretRotationMetadata"].contains(&member)
}

for_each_secrets_manager_operation!(operations_of);

compared! { "secretsmanager" SECRETS_MANAGER_OPERATIONS
    structures {
        APIErrorType Filter ReplicaRegionType SecretListEntry SecretValueEntry SecretVersionsListEntry Tag
        ValidationErrorsEntry
    }
    enumerations { FilterNameStringType SortByType SortOrderType }
    at_least 81 required 151 bounds
}

#[test]
fn every_operation_of_the_model_is_in_the_table() {
    let Some(model) = model() else { return };
    let ours: BTreeSet<&str> = SECRETS_MANAGER_OPERATIONS.iter().map(|operation| operation.name).collect();
    assert_eq!(ours, model["operations"].as_object().unwrap().keys().map(String::as_str).collect());
    assert_eq!(model["metadata"]["targetPrefix"], SECRETS_MANAGER_TARGET);
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    check_errors(
        model,
        &SECRETS_MANAGER_OPERATIONS,
        &[
            ErrorCode::DecryptionFailure,
            ErrorCode::EncryptionFailure,
            ErrorCode::InvalidNextTokenException,
            ErrorCode::InvalidParameter,
            ErrorCode::InvalidRequest,
            ErrorCode::LimitExceeded,
            ErrorCode::MalformedPolicyDocument,
            ErrorCode::PublicPolicy,
            ErrorCode::ResourceExists,
            ErrorCode::ResourceNotFound,
        ],
    );
}
