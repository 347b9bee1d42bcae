//! Keys: made, described, listed, enabled, disabled, deleted.

use serde::{Deserialize, Serialize};

use super::{EncryptionAlgorithmSpec, Tag};
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// What a key does.
    KeyUsageType {
        /// Signatures.
        SignVerify = "SIGN_VERIFY",
        /// Encryption.
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        /// Message authentication codes.
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        /// Shared secrets.
        KeyAgreement = "KEY_AGREEMENT",
        /// Key encapsulation.
        EncapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE",
    }
}

enumeration! {
    /// Kind of material; the older name.
    CustomerMasterKeySpec {
        /// `RSA_2048`.
        Rsa2048 = "RSA_2048",
        /// `RSA_3072`.
        Rsa3072 = "RSA_3072",
        /// `RSA_4096`.
        Rsa4096 = "RSA_4096",
        /// `ECC_NIST_P256`.
        EccNistP256 = "ECC_NIST_P256",
        /// `ECC_NIST_P384`.
        EccNistP384 = "ECC_NIST_P384",
        /// `ECC_NIST_P521`.
        EccNistP521 = "ECC_NIST_P521",
        /// `ECC_SECG_P256K1`.
        EccSecgP256k1 = "ECC_SECG_P256K1",
        /// AES-256.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// `HMAC_224`.
        Hmac224 = "HMAC_224",
        /// `HMAC_256`.
        Hmac256 = "HMAC_256",
        /// `HMAC_384`.
        Hmac384 = "HMAC_384",
        /// `HMAC_512`.
        Hmac512 = "HMAC_512",
        /// `SM2`.
        Sm2 = "SM2",
    }
}

enumeration! {
    /// Kind of material.
    KeySpec {
        /// `RSA_2048`.
        Rsa2048 = "RSA_2048",
        /// `RSA_3072`.
        Rsa3072 = "RSA_3072",
        /// `RSA_4096`.
        Rsa4096 = "RSA_4096",
        /// `ECC_NIST_P256`.
        EccNistP256 = "ECC_NIST_P256",
        /// `ECC_NIST_P384`.
        EccNistP384 = "ECC_NIST_P384",
        /// `ECC_NIST_P521`.
        EccNistP521 = "ECC_NIST_P521",
        /// `ECC_SECG_P256K1`.
        EccSecgP256k1 = "ECC_SECG_P256K1",
        /// AES-256.
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        /// `HMAC_224`.
        Hmac224 = "HMAC_224",
        /// `HMAC_256`.
        Hmac256 = "HMAC_256",
        /// `HMAC_384`.
        Hmac384 = "HMAC_384",
        /// `HMAC_512`.
        Hmac512 = "HMAC_512",
        /// `SM2`.
        Sm2 = "SM2",
        /// `ML_DSA_44`.
        MlDsa44 = "ML_DSA_44",
        /// `ML_DSA_65`.
        MlDsa65 = "ML_DSA_65",
        /// `ML_DSA_87`.
        MlDsa87 = "ML_DSA_87",
        /// `ECC_NIST_EDWARDS25519`.
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        /// `ML_KEM_512`.
        MlKem512 = "ML_KEM_512",
        /// `ML_KEM_768`.
        MlKem768 = "ML_KEM_768",
        /// `ML_KEM_1024`.
        MlKem1024 = "ML_KEM_1024",
    }
}

enumeration! {
    /// Where material comes from.
    OriginType {
        /// Made here.
        AwsKms = "AWS_KMS",
        /// Imported.
        External = "EXTERNAL",
        /// A CloudHSM cluster.
        AwsCloudhsm = "AWS_CLOUDHSM",
        /// A key manager outside of AWS.
        ExternalKeyStore = "EXTERNAL_KEY_STORE",
    }
}

enumeration! {
    /// What can be done with a key.
    KeyState {
        /// Not ready yet.
        Creating = "Creating",
        /// Everything.
        Enabled = "Enabled",
        /// Nothing until it is enabled.
        Disabled = "Disabled",
        /// Nothing; it is deleted at its date.
        PendingDeletion = "PendingDeletion",
        /// Its material is not there yet.
        PendingImport = "PendingImport",
        /// Its replicas are deleted first.
        PendingReplicaDeletion = "PendingReplicaDeletion",
        /// Its key store is away.
        Unavailable = "Unavailable",
        /// It is being changed.
        Updating = "Updating",
    }
}

enumeration! {
    /// Who made a key.
    KeyManagerType {
        /// The service, for another service.
        Aws = "AWS",
        /// The customer.
        Customer = "CUSTOMER",
    }
}

enumeration! {
    /// Whose keys.
    ResourceOwnerType {
        /// The account's own.
        Own = "SELF",
        /// Those that others share.
        OtherAccountsViaRam = "OTHER_ACCOUNTS_VIA_RAM",
    }
}

/// A key to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyRequest {
    /// The key policy, a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<KeyUsageType>,
    /// As `KeySpec`; the older name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_master_key_spec: Option<CustomerMasterKeySpec>,
    /// Kind of its material.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_spec: Option<KeySpec>,
    /// Where its material comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginType>,
    /// A key store of AWS CloudHSM or outside of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_key_store_id: Option<String>,
    /// Take also a policy that locks the caller out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass_policy_lockout_safety_check: Option<bool>,
    /// Tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Whether it has replicas in other regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_region: Option<bool>,
    /// A key outside of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xks_key_id: Option<String>,
}

/// The key that was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyResponse {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_metadata: Option<KeyMetadata>,
}

/// A key. Members that only keys of other kinds have are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyMetadata {
    /// Its account.
    #[serde(rename = "AWSAccountId", default, skip_serializing_if = "Option::is_none")]
    pub aws_account_id: Option<String>,
    /// The key.
    pub key_id: String,
    /// Its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<Timestamp>,
    /// Whether it can be used.
    #[serde(default)]
    pub enabled: bool,
    /// What the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_usage: Option<KeyUsageType>,
    /// What can be done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_state: Option<KeyState>,
    /// When it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_date: Option<Timestamp>,
    /// Where its material comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginType>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_manager: Option<KeyManagerType>,
    /// As `KeySpec`; the older name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_master_key_spec: Option<CustomerMasterKeySpec>,
    /// Kind of its material.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_spec: Option<KeySpec>,
    /// What it encrypts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_algorithms: Option<Vec<EncryptionAlgorithmSpec>>,
    /// Whether it has replicas in other regions.
    #[serde(default)]
    pub multi_region: bool,
    /// How long its deletion waits, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_deletion_window_in_days: Option<i32>,
    /// Which of its materials encrypts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_key_material_id: Option<String>,
}

/// Which key to describe.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyRequest {
    /// The key.
    pub key_id: String,
    /// Tokens of grants that are only just made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_tokens: Option<Vec<String>>,
}

/// The key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeKeyResponse {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_metadata: Option<KeyMetadata>,
}

/// Which keys to list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeysRequest {
    /// Items of a page, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// From the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// Whose keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_owners: Option<Vec<ResourceOwnerType>>,
}

/// A page of keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeysResponse {
    /// Keys.
    #[serde(default)]
    pub keys: Vec<KeyListEntry>,
    /// For the page after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_marker: Option<String>,
    /// Whether there is a page after.
    #[serde(default)]
    pub truncated: bool,
}

/// A key in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyListEntry {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_arn: Option<String>,
}

/// Which key to enable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EnableKeyRequest {
    /// The key.
    pub key_id: String,
}

/// Which key to disable.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisableKeyRequest {
    /// The key.
    pub key_id: String,
}

/// A description to set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateKeyDescriptionRequest {
    /// The key.
    pub key_id: String,
    /// What the key is for.
    pub description: String,
}

/// Which key to delete, and when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletionRequest {
    /// The key.
    pub key_id: String,
    /// How long to wait, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_window_in_days: Option<i32>,
}

/// When the key is deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScheduleKeyDeletionResponse {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// When it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_date: Option<Timestamp>,
    /// What can be done with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_state: Option<KeyState>,
    /// How long to wait, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_window_in_days: Option<i32>,
}

/// Which key to keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelKeyDeletionRequest {
    /// The key.
    pub key_id: String,
}

/// The key that is kept, disabled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelKeyDeletionResponse {
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}
