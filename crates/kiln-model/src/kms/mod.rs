//! Shapes of the Key Management Service's API 2014-11-01 (`api.md` 8.3): the operations on symmetric keys for encryption.
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Of answers the members are left out that only keys of other kinds have.

mod alias;
mod blob;
mod cipher;
mod grant;
mod key;
mod policy;
mod rotation;

pub use alias::{
    AliasListEntry, CreateAliasRequest, DeleteAliasRequest, ListAliasesRequest, ListAliasesResponse, UpdateAliasRequest,
};
pub use blob::Blob;
pub(crate) use blob::decoded_length;
pub use cipher::{
    DataKeySpec, DecryptRequest, DecryptResponse, DryRunModifierType, EncryptRequest, EncryptResponse,
    EncryptionAlgorithmSpec, GenerateDataKeyRequest, GenerateDataKeyResponse, GenerateDataKeyWithoutPlaintextRequest,
    GenerateDataKeyWithoutPlaintextResponse, GenerateRandomRequest, GenerateRandomResponse, KeyEncryptionMechanism,
    ReEncryptRequest, ReEncryptResponse, RecipientInfo,
};
pub use grant::{
    CreateGrantRequest, CreateGrantResponse, GrantConstraints, GrantListEntry, GrantOperation, ListGrantsRequest,
    ListGrantsResponse, ListRetirableGrantsRequest, RetireGrantRequest, RevokeGrantRequest,
};
pub use key::{
    CancelKeyDeletionRequest, CancelKeyDeletionResponse, CreateKeyRequest, CreateKeyResponse, CustomerMasterKeySpec,
    DescribeKeyRequest, DescribeKeyResponse, DisableKeyRequest, EnableKeyRequest, KeyListEntry, KeyManagerType,
    KeyMetadata, KeySpec, KeyState, KeyUsageType, ListKeysRequest, ListKeysResponse, OriginType, ResourceOwnerType,
    ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse, UpdateKeyDescriptionRequest,
};
pub use policy::{
    GetKeyPolicyRequest, GetKeyPolicyResponse, ListKeyPoliciesRequest, ListKeyPoliciesResponse,
    ListResourceTagsRequest, ListResourceTagsResponse, PutKeyPolicyRequest, Tag, TagResourceRequest,
    UntagResourceRequest,
};
pub use rotation::{
    DisableKeyRotationRequest, EnableKeyRotationRequest, GetKeyRotationStatusRequest, GetKeyRotationStatusResponse,
    IncludeKeyMaterial, KeyMaterialState, ListKeyRotationsRequest, ListKeyRotationsResponse, RotateKeyOnDemandRequest,
    RotateKeyOnDemandResponse, RotationType, RotationsListEntry,
};

use serde::{Deserialize, Serialize};

/// The answer of operations that answer nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Empty {}
