//! What the front end asks of the Key Management Service.

use std::future::Future;

use super::Context;
use crate::{
    ApiError,
    kms::{
        CancelKeyDeletionRequest, CancelKeyDeletionResponse, CreateAliasRequest, CreateGrantRequest,
        CreateGrantResponse, CreateKeyRequest, CreateKeyResponse, DecryptRequest, DecryptResponse, DeleteAliasRequest,
        DescribeKeyRequest, DescribeKeyResponse, DisableKeyRequest, DisableKeyRotationRequest, Empty, EnableKeyRequest,
        EnableKeyRotationRequest, EncryptRequest, EncryptResponse, GenerateDataKeyRequest, GenerateDataKeyResponse,
        GenerateDataKeyWithoutPlaintextRequest, GenerateDataKeyWithoutPlaintextResponse, GenerateRandomRequest,
        GenerateRandomResponse, GetKeyPolicyRequest, GetKeyPolicyResponse, GetKeyRotationStatusRequest,
        GetKeyRotationStatusResponse, ListAliasesRequest, ListAliasesResponse, ListGrantsRequest, ListGrantsResponse,
        ListKeyPoliciesRequest, ListKeyPoliciesResponse, ListKeyRotationsRequest, ListKeyRotationsResponse,
        ListKeysRequest, ListKeysResponse, ListResourceTagsRequest, ListResourceTagsResponse,
        ListRetirableGrantsRequest, PutKeyPolicyRequest, ReEncryptRequest, ReEncryptResponse, RetireGrantRequest,
        RevokeGrantRequest, RotateKeyOnDemandRequest, RotateKeyOnDemandResponse, ScheduleKeyDeletionRequest,
        ScheduleKeyDeletionResponse, TagResourceRequest, UntagResourceRequest, UpdateAliasRequest,
        UpdateKeyDescriptionRequest,
    },
};

/// The operations of KMS that are implemented. Each error is what the client sees.
#[expect(missing_docs, reason = "each method is the operation of that name in the API")]
pub trait Kms: Send + Sync + 'static {
    fn cancel_key_deletion(
        &self,
        context: &Context,
        input: CancelKeyDeletionRequest,
    ) -> impl Future<Output = Result<CancelKeyDeletionResponse, ApiError>> + Send;

    fn create_alias(
        &self,
        context: &Context,
        input: CreateAliasRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn create_grant(
        &self,
        context: &Context,
        input: CreateGrantRequest,
    ) -> impl Future<Output = Result<CreateGrantResponse, ApiError>> + Send;

    fn create_key(
        &self,
        context: &Context,
        input: CreateKeyRequest,
    ) -> impl Future<Output = Result<CreateKeyResponse, ApiError>> + Send;

    fn decrypt(
        &self,
        context: &Context,
        input: DecryptRequest,
    ) -> impl Future<Output = Result<DecryptResponse, ApiError>> + Send;

    fn delete_alias(
        &self,
        context: &Context,
        input: DeleteAliasRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn describe_key(
        &self,
        context: &Context,
        input: DescribeKeyRequest,
    ) -> impl Future<Output = Result<DescribeKeyResponse, ApiError>> + Send;

    fn disable_key(
        &self,
        context: &Context,
        input: DisableKeyRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn disable_key_rotation(
        &self,
        context: &Context,
        input: DisableKeyRotationRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn enable_key(
        &self,
        context: &Context,
        input: EnableKeyRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn enable_key_rotation(
        &self,
        context: &Context,
        input: EnableKeyRotationRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn encrypt(
        &self,
        context: &Context,
        input: EncryptRequest,
    ) -> impl Future<Output = Result<EncryptResponse, ApiError>> + Send;

    fn generate_data_key(
        &self,
        context: &Context,
        input: GenerateDataKeyRequest,
    ) -> impl Future<Output = Result<GenerateDataKeyResponse, ApiError>> + Send;

    fn generate_data_key_without_plaintext(
        &self,
        context: &Context,
        input: GenerateDataKeyWithoutPlaintextRequest,
    ) -> impl Future<Output = Result<GenerateDataKeyWithoutPlaintextResponse, ApiError>> + Send;

    fn generate_random(
        &self,
        context: &Context,
        input: GenerateRandomRequest,
    ) -> impl Future<Output = Result<GenerateRandomResponse, ApiError>> + Send;

    fn get_key_policy(
        &self,
        context: &Context,
        input: GetKeyPolicyRequest,
    ) -> impl Future<Output = Result<GetKeyPolicyResponse, ApiError>> + Send;

    fn get_key_rotation_status(
        &self,
        context: &Context,
        input: GetKeyRotationStatusRequest,
    ) -> impl Future<Output = Result<GetKeyRotationStatusResponse, ApiError>> + Send;

    fn list_aliases(
        &self,
        context: &Context,
        input: ListAliasesRequest,
    ) -> impl Future<Output = Result<ListAliasesResponse, ApiError>> + Send;

    fn list_grants(
        &self,
        context: &Context,
        input: ListGrantsRequest,
    ) -> impl Future<Output = Result<ListGrantsResponse, ApiError>> + Send;

    fn list_key_policies(
        &self,
        context: &Context,
        input: ListKeyPoliciesRequest,
    ) -> impl Future<Output = Result<ListKeyPoliciesResponse, ApiError>> + Send;

    fn list_key_rotations(
        &self,
        context: &Context,
        input: ListKeyRotationsRequest,
    ) -> impl Future<Output = Result<ListKeyRotationsResponse, ApiError>> + Send;

    fn list_keys(
        &self,
        context: &Context,
        input: ListKeysRequest,
    ) -> impl Future<Output = Result<ListKeysResponse, ApiError>> + Send;

    fn list_resource_tags(
        &self,
        context: &Context,
        input: ListResourceTagsRequest,
    ) -> impl Future<Output = Result<ListResourceTagsResponse, ApiError>> + Send;

    fn list_retirable_grants(
        &self,
        context: &Context,
        input: ListRetirableGrantsRequest,
    ) -> impl Future<Output = Result<ListGrantsResponse, ApiError>> + Send;

    fn put_key_policy(
        &self,
        context: &Context,
        input: PutKeyPolicyRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn re_encrypt(
        &self,
        context: &Context,
        input: ReEncryptRequest,
    ) -> impl Future<Output = Result<ReEncryptResponse, ApiError>> + Send;

    fn retire_grant(
        &self,
        context: &Context,
        input: RetireGrantRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn revoke_grant(
        &self,
        context: &Context,
        input: RevokeGrantRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn rotate_key_on_demand(
        &self,
        context: &Context,
        input: RotateKeyOnDemandRequest,
    ) -> impl Future<Output = Result<RotateKeyOnDemandResponse, ApiError>> + Send;

    fn schedule_key_deletion(
        &self,
        context: &Context,
        input: ScheduleKeyDeletionRequest,
    ) -> impl Future<Output = Result<ScheduleKeyDeletionResponse, ApiError>> + Send;

    fn tag_resource(
        &self,
        context: &Context,
        input: TagResourceRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn untag_resource(
        &self,
        context: &Context,
        input: UntagResourceRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn update_alias(
        &self,
        context: &Context,
        input: UpdateAliasRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;

    fn update_key_description(
        &self,
        context: &Context,
        input: UpdateKeyDescriptionRequest,
    ) -> impl Future<Output = Result<Empty, ApiError>> + Send;
}
