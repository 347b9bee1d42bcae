//! Elastic Container Registry.

use std::collections::BTreeSet;

use kiln_model::{
    ErrorCode,
    decode::from_value,
    ecr::*,
    for_each_ecr_operation,
    operations::{ECR_OPERATIONS, ECR_TARGET},
};
use serde_json::Value;

use crate::{
    model::{Decode, Inputs, check_bounds, check_required, member_names, names},
    samples::{self, members, places, sample, shape},
    secrets::{Shape, answer, check_errors, compared, operations_of},
};

/// Members of answers that belong to scans and archives.
fn never_answered(name: &str) -> &'static [&'static str] {
    match name {
        "ImageDetail" => {
            &["imageScanStatus", "imageScanFindingsSummary", "imageStatus", "lastArchivedAt", "lastActivatedAt"]
        }
        "ImageReferrer" => &["artifactStatus"],
        "LifecyclePolicyPreviewResult" => &["storageClass"],
        "LifecyclePolicyPreviewSummary" => &["transitioningImageTotalCounts"],
        "LifecyclePolicyRuleAction" => &["targetStorageClass"],
        _ => &[],
    }
}

/// A member, in whatever structure, of what is not offered.
fn is_of_others(name: &str) -> bool {
    ["imageScanStatus", "imageScanFindingsSummary", "transitioningImageTotalCounts"].contains(&name)
}

for_each_ecr_operation!(operations_of);

compared! { "ecr" ECR_OPERATIONS violated InvalidParameter
    structures {
        AuthorizationData DescribeImagesFilter EncryptionConfiguration Image ImageDetail ImageFailure ImageIdentifier
        ImageReferrer ImageScanningConfiguration ImageTagMutabilityExclusionFilter Layer LayerFailure
        LifecyclePolicyPreviewFilter LifecyclePolicyPreviewResult LifecyclePolicyPreviewSummary
        LifecyclePolicyRuleAction ListImageReferrersFilter ListImagesFilter Repository SubjectIdentifier Tag
    }
    enumerations {
        ArtifactStatusFilter EncryptionType ImageActionType ImageFailureCode ImageStatusFilter ImageTagMutability
        ImageTagMutabilityExclusionFilterType LayerAvailability LayerFailureCode LifecyclePolicyPreviewStatus TagStatus
    }
    at_least 150 required 150 bounds
}

#[test]
fn errors_are_those_of_the_model() {
    let Some(model) = model() else { return };
    assert_eq!(model["metadata"]["targetPrefix"], ECR_TARGET);
    let theirs: BTreeSet<&str> = model["operations"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(ECR_OPERATIONS.iter().map(|operation| operation.name).collect::<BTreeSet<_>>(), theirs);
    check_errors(
        model,
        &ECR_OPERATIONS,
        &[
            ErrorCode::EmptyUpload,
            ErrorCode::ImageAlreadyExists,
            ErrorCode::ImageDigestDoesNotMatch,
            ErrorCode::ImageNotFound,
            ErrorCode::ImageTagAlreadyExists,
            ErrorCode::InvalidLayer,
            ErrorCode::InvalidLayerPart,
            ErrorCode::InvalidParameter,
            ErrorCode::InvalidTagParameter,
            ErrorCode::Kms,
            ErrorCode::LayerAlreadyExists,
            ErrorCode::LayerPartTooSmall,
            ErrorCode::LayersNotFound,
            ErrorCode::LifecyclePolicyNotFound,
            ErrorCode::LifecyclePolicyPreviewNotFound,
            ErrorCode::LimitExceeded,
            ErrorCode::ReferencedImagesNotFound,
            ErrorCode::RepositoryAlreadyExists,
            ErrorCode::RepositoryNotEmpty,
            ErrorCode::RepositoryNotFound,
            ErrorCode::RepositoryPolicyNotFound,
            ErrorCode::TooManyTagsException,
            ErrorCode::UploadNotFound,
            ErrorCode::Validation,
        ],
    );
}
