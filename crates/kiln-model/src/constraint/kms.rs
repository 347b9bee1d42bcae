//! The constraints of the Key Management Service's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::kms::{
    CancelKeyDeletionRequest, CreateAliasRequest, CreateGrantRequest, CreateKeyRequest, CustomerMasterKeySpec,
    DataKeySpec, DecryptRequest, DeleteAliasRequest, DescribeKeyRequest, DisableKeyRequest, DisableKeyRotationRequest,
    DryRunModifierType, EnableKeyRequest, EnableKeyRotationRequest, EncryptRequest, EncryptionAlgorithmSpec,
    GenerateDataKeyRequest, GenerateDataKeyWithoutPlaintextRequest, GenerateRandomRequest, GetKeyPolicyRequest,
    GetKeyRotationStatusRequest, GrantOperation, IncludeKeyMaterial, KeyEncryptionMechanism, KeySpec, KeyUsageType,
    ListAliasesRequest, ListGrantsRequest, ListKeyPoliciesRequest, ListKeyRotationsRequest, ListKeysRequest,
    ListResourceTagsRequest, ListRetirableGrantsRequest, OriginType, PutKeyPolicyRequest, ReEncryptRequest,
    ResourceOwnerType, RetireGrantRequest, RevokeGrantRequest, RotateKeyOnDemandRequest, ScheduleKeyDeletionRequest,
    TagResourceRequest, UntagResourceRequest, UpdateAliasRequest, UpdateKeyDescriptionRequest,
};

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

validated! { CancelKeyDeletionRequest: required("KeyId", KEY_ID), }
validated! { CreateAliasRequest: required("AliasName", ALIAS_NAME), required("TargetKeyId", KEY_ID), }

validated! { CreateGrantRequest:
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

validated! { CreateKeyRequest:
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

validated! { DecryptRequest:
    optional("CiphertextBlob", CIPHERTEXT),
    optional("GrantTokens", GRANT_TOKENS),
    optional("KeyId", KEY_ID),
    optional("EncryptionAlgorithm", ALGORITHM),
    optional("Recipient", RECIPIENT),
    optional("DryRunModifiers", DRY_RUN_MODIFIERS),
}

validated! { DeleteAliasRequest: required("AliasName", ALIAS_NAME), }
validated! { DescribeKeyRequest: required("KeyId", KEY_ID), optional("GrantTokens", GRANT_TOKENS), }
validated! { DisableKeyRequest: required("KeyId", KEY_ID), }
validated! { DisableKeyRotationRequest: required("KeyId", KEY_ID), }
validated! { EnableKeyRequest: required("KeyId", KEY_ID), }

validated! { EnableKeyRotationRequest:
    required("KeyId", KEY_ID),
    optional("RotationPeriodInDays", Rule::Number { min: 90, max: 2560 }),
}

validated! { EncryptRequest:
    required("KeyId", KEY_ID),
    required("Plaintext", PLAINTEXT),
    optional("GrantTokens", GRANT_TOKENS),
    optional("EncryptionAlgorithm", ALGORITHM),
}

validated! { GenerateDataKeyRequest:
    required("KeyId", KEY_ID),
    optional("NumberOfBytes", BYTES),
    optional("KeySpec", one_of(DataKeySpec::NAMES)),
    optional("GrantTokens", GRANT_TOKENS),
    optional("Recipient", RECIPIENT),
}

validated! { GenerateDataKeyWithoutPlaintextRequest:
    required("KeyId", KEY_ID),
    optional("KeySpec", one_of(DataKeySpec::NAMES)),
    optional("NumberOfBytes", BYTES),
    optional("GrantTokens", GRANT_TOKENS),
}

validated! { GenerateRandomRequest:
    optional("NumberOfBytes", BYTES),
    optional("CustomKeyStoreId", text(1, 64)),
    optional("Recipient", RECIPIENT),
}

validated! { GetKeyPolicyRequest: required("KeyId", KEY_ID), optional("PolicyName", POLICY_NAME), }
validated! { GetKeyRotationStatusRequest: required("KeyId", KEY_ID), }

validated! { ListAliasesRequest:
    optional("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

validated! { ListGrantsRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    required("KeyId", KEY_ID),
    optional("GrantId", GRANT_ID),
    optional("GranteePrincipal", PRINCIPAL),
    optional("GranteeServicePrincipal", SERVICE_PRINCIPAL),
}

validated! { ListKeyPoliciesRequest:
    required("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

validated! { ListKeyRotationsRequest:
    required("KeyId", KEY_ID),
    optional("IncludeKeyMaterial", one_of(IncludeKeyMaterial::NAMES)),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

validated! { ListKeysRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    optional("ResourceOwners", list(1, 2, &one_of(ResourceOwnerType::NAMES))),
}

validated! { ListResourceTagsRequest:
    required("KeyId", KEY_ID),
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
}

validated! { ListRetirableGrantsRequest:
    optional("Limit", LIMIT),
    optional("Marker", MARKER),
    optional("RetiringPrincipal", PRINCIPAL),
    optional("RetiringServicePrincipal", SERVICE_PRINCIPAL),
}

validated! { PutKeyPolicyRequest:
    required("KeyId", KEY_ID),
    optional("PolicyName", POLICY_NAME),
    required("Policy", POLICY),
}

validated! { ReEncryptRequest:
    optional("CiphertextBlob", CIPHERTEXT),
    optional("SourceKeyId", KEY_ID),
    required("DestinationKeyId", KEY_ID),
    optional("SourceEncryptionAlgorithm", ALGORITHM),
    optional("DestinationEncryptionAlgorithm", ALGORITHM),
    optional("GrantTokens", GRANT_TOKENS),
    optional("DryRunModifiers", DRY_RUN_MODIFIERS),
}

validated! { RetireGrantRequest:
    optional("GrantToken", text(1, 8192)),
    optional("KeyId", KEY_ID),
    optional("GrantId", GRANT_ID),
}

validated! { RevokeGrantRequest: required("KeyId", KEY_ID), required("GrantId", GRANT_ID), }
validated! { RotateKeyOnDemandRequest: required("KeyId", KEY_ID), }

validated! { ScheduleKeyDeletionRequest:
    required("KeyId", KEY_ID),
    optional("PendingWindowInDays", Rule::Number { min: 1, max: 365 }),
}

validated! { TagResourceRequest: required("KeyId", KEY_ID), required("Tags", TAGS), }
validated! { UntagResourceRequest: required("KeyId", KEY_ID), required("TagKeys", list(0, usize::MAX, &TAG_KEY)), }
validated! { UpdateAliasRequest: required("AliasName", ALIAS_NAME), required("TargetKeyId", KEY_ID), }
validated! { UpdateKeyDescriptionRequest: required("KeyId", KEY_ID), required("Description", DESCRIPTION), }
