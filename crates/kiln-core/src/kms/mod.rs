//! The Key Management Service: keys that callers and other services here encrypt with (`api.md` 8.3).
//!
//! A key is a row with what callers know of it, and versions of material under its name in the store's keys. Both change
//! in one transaction, so that a key that is disabled neither seals nor opens anything, whoever asks.

mod access;
mod aliases;
mod cipher;
mod document;
mod edit;
mod grants;
mod keys;
mod list;
mod policy;
mod resolve;
mod rotation;
mod sealing;
mod tags;
mod upkeep;

use kiln_model::{
    ApiError,
    kms::*,
    service::{Context, Kms},
};

use self::resolve::Names;
pub(crate) use self::{
    access::{Use, permit_arn},
    resolve::{UsableKey, refusal, usable},
    sealing::{Purpose, key_for},
    upkeep::{PARAMETER_STORE, SECRETS_MANAGER, ensure_managed_keys, look},
};
use crate::{core::Core, runners::Runners};

impl<R: Runners> Core<R> {
    /// Deletes the keys whose waiting time is over and rotates those whose time has come, as is done by itself every hour.
    pub fn look_after_keys(&self) {
        look(&self.inner);
    }
}

impl<R: Runners> Kms for Core<R> {
    async fn cancel_key_deletion(
        &self,
        context: &Context,
        input: CancelKeyDeletionRequest,
    ) -> Result<CancelKeyDeletionResponse, ApiError> {
        keys::cancel_deletion(&self.inner, context, input).await
    }

    async fn create_alias(&self, context: &Context, input: CreateAliasRequest) -> Result<Empty, ApiError> {
        aliases::create(&self.inner, context, input).await
    }

    async fn create_grant(
        &self,
        context: &Context,
        input: CreateGrantRequest,
    ) -> Result<CreateGrantResponse, ApiError> {
        grants::create(&self.inner, context, input).await
    }

    async fn create_key(&self, context: &Context, input: CreateKeyRequest) -> Result<CreateKeyResponse, ApiError> {
        keys::create(&self.inner, context, input).await
    }

    async fn decrypt(&self, context: &Context, input: DecryptRequest) -> Result<DecryptResponse, ApiError> {
        cipher::decrypt(&self.inner, context, input)
    }

    async fn delete_alias(&self, context: &Context, input: DeleteAliasRequest) -> Result<Empty, ApiError> {
        aliases::delete(&self.inner, context, input).await
    }

    async fn describe_key(
        &self,
        context: &Context,
        input: DescribeKeyRequest,
    ) -> Result<DescribeKeyResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Aliases, Use::of("DescribeKey"))?;
        keys::describe_key(&self.inner, &input)
    }

    async fn disable_key(&self, context: &Context, input: DisableKeyRequest) -> Result<Empty, ApiError> {
        keys::disable(&self.inner, context, input).await
    }

    async fn disable_key_rotation(
        &self,
        context: &Context,
        input: DisableKeyRotationRequest,
    ) -> Result<Empty, ApiError> {
        rotation::disable(&self.inner, context, input).await
    }

    async fn enable_key(&self, context: &Context, input: EnableKeyRequest) -> Result<Empty, ApiError> {
        keys::enable(&self.inner, context, input).await
    }

    async fn enable_key_rotation(&self, context: &Context, input: EnableKeyRotationRequest) -> Result<Empty, ApiError> {
        rotation::enable(&self.inner, context, input).await
    }

    async fn encrypt(&self, context: &Context, input: EncryptRequest) -> Result<EncryptResponse, ApiError> {
        cipher::encrypt(&self.inner, context, input)
    }

    async fn generate_data_key(
        &self,
        context: &Context,
        input: GenerateDataKeyRequest,
    ) -> Result<GenerateDataKeyResponse, ApiError> {
        cipher::generate_data_key(&self.inner, context, input)
    }

    async fn generate_data_key_without_plaintext(
        &self,
        context: &Context,
        input: GenerateDataKeyWithoutPlaintextRequest,
    ) -> Result<GenerateDataKeyWithoutPlaintextResponse, ApiError> {
        cipher::generate_data_key_without_plaintext(&self.inner, context, input)
    }

    async fn generate_random(
        &self,
        _: &Context,
        input: GenerateRandomRequest,
    ) -> Result<GenerateRandomResponse, ApiError> {
        cipher::generate_random(&input)
    }

    async fn get_key_policy(
        &self,
        context: &Context,
        input: GetKeyPolicyRequest,
    ) -> Result<GetKeyPolicyResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("GetKeyPolicy"))?;
        policy::get(&self.inner, &input)
    }

    async fn get_key_rotation_status(
        &self,
        context: &Context,
        input: GetKeyRotationStatusRequest,
    ) -> Result<GetKeyRotationStatusResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("GetKeyRotationStatus"))?;
        rotation::status(&self.inner, &input)
    }

    async fn list_aliases(&self, _: &Context, input: ListAliasesRequest) -> Result<ListAliasesResponse, ApiError> {
        aliases::list(&self.inner, &input)
    }

    async fn list_grants(&self, context: &Context, input: ListGrantsRequest) -> Result<ListGrantsResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("ListGrants"))?;
        grants::list(&self.inner, &input)
    }

    async fn list_key_policies(
        &self,
        context: &Context,
        input: ListKeyPoliciesRequest,
    ) -> Result<ListKeyPoliciesResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("ListKeyPolicies"))?;
        policy::list(&self.inner, &input)
    }

    async fn list_key_rotations(
        &self,
        context: &Context,
        input: ListKeyRotationsRequest,
    ) -> Result<ListKeyRotationsResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("ListKeyRotations"))?;
        rotation::list(&self.inner, &input)
    }

    async fn list_keys(&self, _: &Context, input: ListKeysRequest) -> Result<ListKeysResponse, ApiError> {
        keys::list(&self.inner, &input)
    }

    async fn list_resource_tags(
        &self,
        context: &Context,
        input: ListResourceTagsRequest,
    ) -> Result<ListResourceTagsResponse, ApiError> {
        access::permit(&self.inner, context, &input.key_id, Names::Keys, Use::of("ListResourceTags"))?;
        tags::list(&self.inner, &input)
    }

    async fn list_retirable_grants(
        &self,
        _: &Context,
        input: ListRetirableGrantsRequest,
    ) -> Result<ListGrantsResponse, ApiError> {
        grants::list_retirable(&self.inner, &input)
    }

    async fn put_key_policy(&self, context: &Context, input: PutKeyPolicyRequest) -> Result<Empty, ApiError> {
        policy::put(&self.inner, context, input).await
    }

    async fn re_encrypt(&self, context: &Context, input: ReEncryptRequest) -> Result<ReEncryptResponse, ApiError> {
        cipher::re_encrypt(&self.inner, context, input)
    }

    async fn retire_grant(&self, context: &Context, input: RetireGrantRequest) -> Result<Empty, ApiError> {
        grants::retire(&self.inner, context, input).await
    }

    async fn revoke_grant(&self, context: &Context, input: RevokeGrantRequest) -> Result<Empty, ApiError> {
        grants::revoke(&self.inner, context, input).await
    }

    async fn rotate_key_on_demand(
        &self,
        context: &Context,
        input: RotateKeyOnDemandRequest,
    ) -> Result<RotateKeyOnDemandResponse, ApiError> {
        rotation::on_demand(&self.inner, context, input).await
    }

    async fn schedule_key_deletion(
        &self,
        context: &Context,
        input: ScheduleKeyDeletionRequest,
    ) -> Result<ScheduleKeyDeletionResponse, ApiError> {
        keys::schedule_deletion(&self.inner, context, input).await
    }

    async fn tag_resource(&self, context: &Context, input: TagResourceRequest) -> Result<Empty, ApiError> {
        tags::tag(&self.inner, context, input).await
    }

    async fn untag_resource(&self, context: &Context, input: UntagResourceRequest) -> Result<Empty, ApiError> {
        tags::untag(&self.inner, context, input).await
    }

    async fn update_alias(&self, context: &Context, input: UpdateAliasRequest) -> Result<Empty, ApiError> {
        aliases::update(&self.inner, context, input).await
    }

    async fn update_key_description(
        &self,
        context: &Context,
        input: UpdateKeyDescriptionRequest,
    ) -> Result<Empty, ApiError> {
        keys::update_description(&self.inner, context, input).await
    }
}
