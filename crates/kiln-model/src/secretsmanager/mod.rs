//! Shapes of Secrets Manager's API 2017-10-17 (`api.md` 8.4).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Of answers the members are left out that belong to what is not offered here.

mod list;
mod policy;
mod secret;
mod value;

pub use list::{
    Filter, FilterNameStringType, ListSecretsRequest, ListSecretsResponse, SecretListEntry, SortByType, SortOrderType,
};
pub use policy::{
    DeleteResourcePolicyRequest, DeleteResourcePolicyResponse, GetResourcePolicyRequest, GetResourcePolicyResponse,
    PutResourcePolicyRequest, PutResourcePolicyResponse, ValidateResourcePolicyRequest, ValidateResourcePolicyResponse,
    ValidationErrorsEntry,
};
pub use secret::{
    CreateSecretRequest, CreateSecretResponse, DeleteSecretRequest, DeleteSecretResponse, DescribeSecretRequest,
    DescribeSecretResponse, ReplicaRegionType, RestoreSecretRequest, RestoreSecretResponse, Tag, TagResourceRequest,
    UntagResourceRequest, UpdateSecretRequest, UpdateSecretResponse,
};
pub use value::{
    APIErrorType, BatchGetSecretValueRequest, BatchGetSecretValueResponse, GetRandomPasswordRequest,
    GetRandomPasswordResponse, GetSecretValueRequest, GetSecretValueResponse, ListSecretVersionIdsRequest,
    ListSecretVersionIdsResponse, PutSecretValueRequest, PutSecretValueResponse, SecretValueEntry,
    SecretVersionsListEntry, UpdateSecretVersionStageRequest, UpdateSecretVersionStageResponse,
};

pub use crate::kms::Empty;
