//! The constraints of the shapes of Elastic Container Registry.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::ecr::{
    ArtifactStatusFilter, BatchCheckLayerAvailabilityRequest, BatchDeleteImageRequest, BatchGetImageRequest,
    CompleteLayerUploadRequest, CreateRepositoryRequest, DeleteLifecyclePolicyRequest, DeleteRepositoryPolicyRequest,
    DeleteRepositoryRequest, DescribeImagesRequest, DescribeRepositoriesRequest, EncryptionType,
    GetAuthorizationTokenRequest, GetDownloadUrlForLayerRequest, GetLifecyclePolicyPreviewRequest,
    GetLifecyclePolicyRequest, GetRepositoryPolicyRequest, ImageStatusFilter, ImageTagMutability,
    ImageTagMutabilityExclusionFilterType, InitiateLayerUploadRequest, ListImageReferrersRequest, ListImagesRequest,
    ListTagsForResourceRequest, PutImageRequest, PutImageScanningConfigurationRequest, PutImageTagMutabilityRequest,
    PutLifecyclePolicyRequest, SetRepositoryPolicyRequest, StartLifecyclePolicyPreviewRequest, TagResourceRequest,
    TagStatus, UntagResourceRequest, UploadLayerPartRequest,
};

/// States the constraints of an input; violations are told as `InvalidParameterException`.
macro_rules! validated_ecr {
    ($input:ident: $($member:expr,)*) => {
        impl $crate::decode::Input for $input {
            const SHAPE: &'static Structure =
                &Structure { name: stringify!($input), members: &[$($member,)*] };
            const VIOLATED: $crate::ErrorCode = $crate::ErrorCode::InvalidParameter;
        }
    };
}

const REGISTRY: Rule = formed(0, usize::MAX, Pattern::RegistryId);
const NAME: Rule = formed(2, 256, Pattern::RepositoryName);
const IMAGE_ID: Rule =
    Rule::Structure(&Structure { name: "ImageIdentifier", members: &[optional("imageTag", text(1, 300))] });
const IMAGE_IDS: Rule = list(1, 100, &IMAGE_ID);
const EXCLUSIONS: Rule = list(
    1,
    5,
    &Rule::Structure(&Structure {
        name: "ImageTagMutabilityExclusionFilter",
        members: &[
            required("filterType", one_of(ImageTagMutabilityExclusionFilterType::NAMES)),
            required("filter", formed(1, 128, Pattern::TagFilter)),
        ],
    }),
);
const TAGS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure { name: "Tag", members: &[required("Key", Rule::Any), required("Value", Rule::Any)] }),
);

validated_ecr! { BatchCheckLayerAvailabilityRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("layerDigests", list(1, 100, &text(0, 1000))),
}

validated_ecr! { BatchDeleteImageRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("imageIds", IMAGE_IDS),
}

validated_ecr! { BatchGetImageRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("imageIds", IMAGE_IDS),
    optional("acceptedMediaTypes", list(1, 100, &Rule::Any)),
}

validated_ecr! { CompleteLayerUploadRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("uploadId", formed(0, usize::MAX, Pattern::UploadId)),
    required("layerDigests", list(1, 100, &formed(0, usize::MAX, Pattern::LayerDigest))),
}

validated_ecr! { CreateRepositoryRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    optional("tags", TAGS),
    optional("imageTagMutability", one_of(ImageTagMutability::NAMES)),
    optional("imageTagMutabilityExclusionFilters", EXCLUSIONS),
    optional("encryptionConfiguration", Rule::Structure(&Structure { name: "EncryptionConfiguration", members: &[required("encryptionType", one_of(EncryptionType::NAMES)), optional("kmsKey", text(1, 2048))] })),
}

validated_ecr! { DeleteLifecyclePolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { DeleteRepositoryRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { DeleteRepositoryPolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { DescribeImagesRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    optional("imageIds", IMAGE_IDS),
    optional("maxResults", Rule::Number { min: 1, max: 1000 }),
    optional("filter", Rule::Structure(&Structure { name: "DescribeImagesFilter", members: &[optional("tagStatus", one_of(TagStatus::NAMES)), optional("imageStatus", one_of(ImageStatusFilter::NAMES))] })),
}

validated_ecr! { DescribeRepositoriesRequest:
    optional("registryId", REGISTRY),
    optional("repositoryNames", list(1, 100, &NAME)),
    optional("maxResults", Rule::Number { min: 1, max: 1000 }),
}

validated_ecr! { GetAuthorizationTokenRequest:
    optional("registryIds", list(1, 10, &REGISTRY)),
}

validated_ecr! { GetDownloadUrlForLayerRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("layerDigest", formed(0, usize::MAX, Pattern::LayerDigest)),
}

validated_ecr! { GetLifecyclePolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { GetLifecyclePolicyPreviewRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    optional("imageIds", IMAGE_IDS),
    optional("maxResults", Rule::Number { min: 1, max: 100 }),
    optional("filter", Rule::Structure(&Structure { name: "LifecyclePolicyPreviewFilter", members: &[optional("tagStatus", one_of(TagStatus::NAMES))] })),
}

validated_ecr! { GetRepositoryPolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { InitiateLayerUploadRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
}

validated_ecr! { ListImageReferrersRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("subjectId", Rule::Structure(&Structure { name: "SubjectIdentifier", members: &[required("imageDigest", Rule::Any)] })),
    optional("filter", Rule::Structure(&Structure { name: "ListImageReferrersFilter", members: &[optional("artifactTypes", list(0, 5, &text(1, 255))), optional("artifactStatus", one_of(ArtifactStatusFilter::NAMES))] })),
    optional("maxResults", Rule::Number { min: 1, max: 50 }),
}

validated_ecr! { ListImagesRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    optional("maxResults", Rule::Number { min: 1, max: 1000 }),
    optional("filter", Rule::Structure(&Structure { name: "ListImagesFilter", members: &[optional("tagStatus", one_of(TagStatus::NAMES)), optional("imageStatus", one_of(ImageStatusFilter::NAMES))] })),
}

validated_ecr! { ListTagsForResourceRequest:
    required("resourceArn", Rule::Any),
}

validated_ecr! { PutImageRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("imageManifest", text(1, 4194304)),
    optional("imageTag", text(1, 300)),
}

validated_ecr! { PutImageScanningConfigurationRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("imageScanningConfiguration", Rule::Any),
}

validated_ecr! { PutImageTagMutabilityRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("imageTagMutability", one_of(ImageTagMutability::NAMES)),
    optional("imageTagMutabilityExclusionFilters", EXCLUSIONS),
}

validated_ecr! { PutLifecyclePolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("lifecyclePolicyText", text(100, 30720)),
}

validated_ecr! { SetRepositoryPolicyRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("policyText", text(0, 10240)),
}

validated_ecr! { StartLifecyclePolicyPreviewRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    optional("lifecyclePolicyText", text(100, 30720)),
}

validated_ecr! { TagResourceRequest:
    required("resourceArn", Rule::Any),
    required("tags", TAGS),
}

validated_ecr! { UntagResourceRequest:
    required("resourceArn", Rule::Any),
    required("tagKeys", Rule::Any),
}

validated_ecr! { UploadLayerPartRequest:
    optional("registryId", REGISTRY),
    required("repositoryName", NAME),
    required("uploadId", formed(0, usize::MAX, Pattern::UploadId)),
    required("partFirstByte", Rule::Number { min: 0, max: i64::MAX }),
    required("partLastByte", Rule::Number { min: 0, max: i64::MAX }),
    required("layerPartBlob", Rule::Blob { min: 0, max: 20971520 }),
}
