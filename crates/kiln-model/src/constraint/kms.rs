//! The constraints of the Key Management Service's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{list, one_of, optional, required},
};
use crate::{
    ErrorCode,
    decode::Input,
    kms::{
        CancelKeyDeletionRequest, CreateAliasRequest, CreateGrantRequest, CreateKeyRequest, CustomerMasterKeySpec,
        DataKeySpec, DecryptRequest, DeleteAliasRequest, DescribeKeyRequest, DisableKeyRequest,
        DisableKeyRotationRequest, DryRunModifierType, EnableKeyRequest, EnableKeyRotationRequest, EncryptRequest,
        EncryptionAlgorithmSpec, GenerateDataKeyRequest, GenerateDataKeyWithoutPlaintextRequest, GenerateRandomRequest,
        GetKeyPolicyRequest, GetKeyRotationStatusRequest, GrantOperation, IncludeKeyMaterial, KeyEncryptionMechanism,
        KeySpec, KeyUsageType, ListAliasesRequest, ListGrantsRequest, ListKeyPoliciesRequest, ListKeyRotationsRequest,
        ListKeysRequest, ListResourceTagsRequest, ListRetirableGrantsRequest, OriginType, PutKeyPolicyRequest,
        ReEncryptRequest, ResourceOwnerType, RetireGrantRequest, RevokeGrantRequest, RotateKeyOnDemandRequest,
        ScheduleKeyDeletionRequest, TagResourceRequest, UntagResourceRequest, UpdateAliasRequest,
        UpdateKeyDescriptionRequest,
    },
};

const fn text(min: usize, max: usize) -> Rule {
    Rule::Text { min, max, pattern: None }
}

const fn formed(min: usize, max: usize, pattern: Pattern) -> Rule {
    Rule::Text { min, max, pattern: Some(pattern) }
}

const KEY_ID: Rule = text(1, 2048);
const ALIAS_NAME: Rule = formed(1, 256, Pattern::KmsName);
const LIMIT: Rule = Rule::Number { min: 1, max: 1000 };
const MARKER: Rule = formed(1, 1024, Pattern::Marker);
const POLICY: Rule = formed(1, 131_072, Pattern::KeyPolicy);
const POLICY_NAME: Rule = formed(1, 128, Pattern::Word);
const DESCRIPTION: Rule = text(0, 8192);
const GRANT_TOKENS: Rule = list(0, 10, &text(1, 8192));
const GRANT_ID: Rule = text(1, 128);
const PRINCIPAL: Rule = formed(1, 256, Pattern::Principal);
const SERVICE_PRINCIPAL: Rule = formed(1, 128, Pattern::ServicePrincipal);
const CIPHERTEXT: Rule = Rule::Blob { min: 1, max: 6144 };
const PLAINTEXT: Rule = Rule::Blob { min: 1, max: 4096 };
const ALGORITHM: Rule = one_of(EncryptionAlgorithmSpec::NAMES);
const BYTES: Rule = Rule::Number { min: 1, max: 1024 };
const DRY_RUN_MODIFIERS: Rule = list(0, usize::MAX, &one_of(DryRunModifierType::NAMES));
const TAG_KEY: Rule = text(1, 128);
const TAGS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "Tag",
        members: &[required("TagKey", TAG_KEY), required("TagValue", text(0, 256))],
    }),
);
const RECIPIENT: Rule = Rule::Structure(&Structure {
    name: "RecipientInfo",
    members: &[
        optional("KeyEncryptionAlgorithm", one_of(KeyEncryptionMechanism::NAMES)),
        optional("AttestationDocument", Rule::Blob { min: 1, max: 262_144 }),
    ],
});

/// States the constraints of an input.
macro_rules! input {
    ($input:ident: $($member:expr,)*) => {
        impl Input for $input {
            const SHAPE: &'static Structure =
                &Structure { name: stringify!($input), members: &[$($member,)*] };
            const VIOLATED: ErrorCode = ErrorCode::Validation;
        }
    };
}

input! { CancelKeyDeletionRequest: required("KeyId", KEY_ID), }
input! { CreateAliasRequest: required("AliasName", ALIAS_NAME), required("TargetKeyId", KEY_ID), }

input! { CreateGrantRequest:
    required("KeyId", KEY_ID),
    optional("GranteePrincipal", PRINCIPAL),
    optional("RetiringPrincipal", PRINCIPAL),
    required("Operations", list(0, usize::MAX, &one_of(GrantOperation::NAMES))),
    optional("Constraints", Rule::Structure(&Structure {
        name: "GrantConstraints",
        members: &[optional("SourceArn", formed(20, 512, Pattern::SourceArn))],
    })),
    optional("GrantTokens", GRANT_TOKENS),
    optional("Name", formed(1, 256, Pattern::KmsName)),
    optional("GranteeServicePrincipal", SERVICE_PRINCIPAL),
    optional("RetiringServicePrincipal", SERVICE_PRINCIPAL),
}

input! { CreateKeyRequest:
    optional("Policy", POLICY),
    optional("Description", DESCRIPTION),
    optional("KeyUsage", one_of(KeyUsageType::NAMES)),
    optional("CustomerMasterKeySpec", one_of(CustomerMasterKeySpec::NAMES)),
    optional("KeySpec", one_of(KeySpec::NAMES)),
    optional("Origin", one_of(OriginType::NAMES)),
    optional("CustomKeyStoreId", text(1, 64)),
    optional("Tags", TAGS),
    optional("XksKeyId", formed(1, 128, Pattern::XksKeyId)),
}

input! { DecryptRequest:
    optional("CiphertextBlob", CIPHERTEXT),
    optional("GrantTokens", GRANT_TOKENS),
    optional("KeyId", KEY_ID),
    optional("EncryptionAlgorithm", ALGORITHM),
    optional("Recipient", RECIPIENT),
    optional("DryRunModifiers", DRY_RUN_MODIFIERS),
}

input! { DeleteAliasRequest: required("AliasName", ALIAS_NAME), }
input! { DescribeKeyRequest: required("KeyId", KEY_ID), optional("GrantTokens", GRANT_TOKENS), }
input! { DisableKeyRequest: required("KeyId", KEY_ID), }
input! { DisableKeyRotationRequest: required("KeyId", KEY_ID), }
input! { EnableKeyRequest: required("KeyId", KEY_ID), }

input! { EnableKeyRotationRequest:
    required("KeyId", KEY_ID),
    optional("RotationPeriodInDays", Rule::Number { min: 90, max: 2560 }),
}

input! { EncryptRequest:
    required("KeyId", KEY_ID),
    required("Plaintext", PLAINTEXT),
    optional("GrantTokens", GRANT_TOKENS),
    optional("EncryptionAlgorithm", ALGORITHM),
}

input! { GenerateDataKeyRequest:
    required("KeyId", KEY_ID),
    optional("NumberOfBytes", BYTES),
    optional("KeySpec", one_of(DataKeySpec::NAMES)),
    optional("GrantTokens", GRANT_TOKENS),
    optional("Recipient", RECIPIENT),
}

input! { GenerateDataKeyWithoutPlaintextRequest:
    required("KeyId", KEY_ID),
    optional("KeySpec", one_of(DataKeySpec::NAMES)),
    optional("NumberOfBytes", BYTES),
    optional("GrantTokens", GRANT_TOKENS),
}

input! { GenerateRandomRequest:
    optional("NumberOfBytes", BYTES),
    optional("CustomKeyStoreId", text(1, 64)),
    optional("Recipient", RECIPIENT),
}

input! { GetKeyPolicyRequest: required("KeyId", KEY_ID), optional("PolicyName", POLICY_NAME), }
input! { GetKeyRotationStatusRequest: required("KeyId", KEY_ID), }

input! { ListAliasesRequest:
    optional("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

input! { ListGrantsRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    required("KeyId", KEY_ID),
    optional("GrantId", GRANT_ID),
    optional("GranteePrincipal", PRINCIPAL),
    optional("GranteeServicePrincipal", SERVICE_PRINCIPAL),
}

input! { ListKeyPoliciesRequest:
    required("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

input! { ListKeyRotationsRequest:
    required("KeyId", KEY_ID),
    optional("IncludeKeyMaterial", one_of(IncludeKeyMaterial::NAMES)),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

input! { ListKeysRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    optional("ResourceOwners", list(1, 2, &one_of(ResourceOwnerType::NAMES))),
}

input! { ListResourceTagsRequest:
    required("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

input! { ListRetirableGrantsRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    optional("RetiringPrincipal", PRINCIPAL),
    optional("RetiringServicePrincipal", SERVICE_PRINCIPAL),
}

input! { PutKeyPolicyRequest:
    required("KeyId", KEY_ID),
    optional("PolicyName", POLICY_NAME),
    required("Policy", POLICY),
}

input! { ReEncryptRequest:
    optional("CiphertextBlob", CIPHERTEXT),
    optional("SourceKeyId", KEY_ID),
    required("DestinationKeyId", KEY_ID),
    optional("SourceEncryptionAlgorithm", ALGORITHM),
    optional("DestinationEncryptionAlgorithm", ALGORITHM),
    optional("GrantTokens", GRANT_TOKENS),
    optional("DryRunModifiers", DRY_RUN_MODIFIERS),
}

input! { RetireGrantRequest:
    optional("GrantToken", text(1, 8192)),
    optional("KeyId", KEY_ID),
    optional("GrantId", GRANT_ID),
}

input! { RevokeGrantRequest: required("KeyId", KEY_ID), required("GrantId", GRANT_ID), }
input! { RotateKeyOnDemandRequest: required("KeyId", KEY_ID), }

input! { ScheduleKeyDeletionRequest:
    required("KeyId", KEY_ID),
    optional("PendingWindowInDays", Rule::Number { min: 1, max: 365 }),
}

input! { TagResourceRequest: required("KeyId", KEY_ID), required("Tags", TAGS), }
input! { UntagResourceRequest: required("KeyId", KEY_ID), required("TagKeys", list(0, usize::MAX, &TAG_KEY)), }
input! { UpdateAliasRequest: required("AliasName", ALIAS_NAME), required("TargetKeyId", KEY_ID), }
input! { UpdateKeyDescriptionRequest: required("KeyId", KEY_ID), required("Description", DESCRIPTION), }
