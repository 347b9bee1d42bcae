//! Shapes of Elastic Container Registry's API 2015-09-21, as far as clients of images and their scripts call it.
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Of answers the members are left out that belong to what is not offered here (scans, archives).

mod image;
mod layer;
mod lifecycle;
mod policy;
mod repository;
mod tag;

pub use image::{
    ArtifactStatusFilter, BatchDeleteImageRequest, BatchDeleteImageResponse, BatchGetImageRequest,
    BatchGetImageResponse, DescribeImagesFilter, DescribeImagesRequest, DescribeImagesResponse, Image, ImageDetail,
    ImageFailure, ImageFailureCode, ImageIdentifier, ImageReferrer, ImageStatusFilter, ListImageReferrersFilter,
    ListImageReferrersRequest, ListImageReferrersResponse, ListImagesFilter, ListImagesRequest, ListImagesResponse,
    PutImageRequest, PutImageResponse, SubjectIdentifier, TagStatus,
};
pub use layer::{
    BatchCheckLayerAvailabilityRequest, BatchCheckLayerAvailabilityResponse, CompleteLayerUploadRequest,
    CompleteLayerUploadResponse, GetDownloadUrlForLayerRequest, GetDownloadUrlForLayerResponse,
    InitiateLayerUploadRequest, InitiateLayerUploadResponse, Layer, LayerAvailability, LayerFailure, LayerFailureCode,
    UploadLayerPartRequest, UploadLayerPartResponse,
};
pub use lifecycle::{
    DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse, GetLifecyclePolicyPreviewRequest,
    GetLifecyclePolicyPreviewResponse, GetLifecyclePolicyRequest, GetLifecyclePolicyResponse, ImageActionType,
    LifecyclePolicyPreviewFilter, LifecyclePolicyPreviewResult, LifecyclePolicyPreviewStatus,
    LifecyclePolicyPreviewSummary, LifecyclePolicyRuleAction, PutLifecyclePolicyRequest, PutLifecyclePolicyResponse,
    StartLifecyclePolicyPreviewRequest, StartLifecyclePolicyPreviewResponse,
};
pub use policy::{
    DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, GetRepositoryPolicyRequest,
    GetRepositoryPolicyResponse, SetRepositoryPolicyRequest, SetRepositoryPolicyResponse,
};
pub use repository::{
    AuthorizationData, CreateRepositoryRequest, CreateRepositoryResponse, DeleteRepositoryRequest,
    DeleteRepositoryResponse, DescribeRepositoriesRequest, DescribeRepositoriesResponse, EncryptionConfiguration,
    EncryptionType, GetAuthorizationTokenRequest, GetAuthorizationTokenResponse, ImageScanningConfiguration,
    ImageTagMutability, ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType,
    PutImageScanningConfigurationRequest, PutImageScanningConfigurationResponse, PutImageTagMutabilityRequest,
    PutImageTagMutabilityResponse, Repository,
};
pub use tag::{
    ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
    UntagResourceRequest, UntagResourceResponse,
};
