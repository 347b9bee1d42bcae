//! The constraints of Secrets Manager's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, hidden, list, one_of, optional, required, text},
};
use crate::secretsmanager::{
    BatchGetSecretValueRequest, CreateSecretRequest, DeleteResourcePolicyRequest, DeleteSecretRequest,
    DescribeSecretRequest, FilterNameStringType, GetRandomPasswordRequest, GetResourcePolicyRequest,
    GetSecretValueRequest, ListSecretVersionIdsRequest, ListSecretsRequest, PutResourcePolicyRequest,
    PutSecretValueRequest, RestoreSecretRequest, SortByType, SortOrderType, TagResourceRequest, UntagResourceRequest,
    UpdateSecretRequest, UpdateSecretVersionStageRequest, ValidateResourcePolicyRequest,
};

const FILTERS: Rule = list(
    0,
    10,
    &Rule::Structure(&Structure {
        name: "Filter",
        members: &[
            optional("Key", one_of(FilterNameStringType::NAMES)),
            optional("Values", list(1, 10, &formed(0, 512, Pattern::SecretFilter))),
        ],
    }),
);
const NEXT_TOKEN: Rule = text(1, 4096);
const VERSION_ID: Rule = text(32, 64);
const SECRET_BINARY: Rule = Rule::Blob { min: 1, max: 65_536 };
const SECRET_STRING: Rule = hidden(1, 65_536);
const TAGS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "Tag",
        members: &[optional("Key", text(1, 128)), optional("Value", text(0, 256))],
    }),
);
const SECRET_ID: Rule = text(1, 2048);
const POLICY_NAME: Rule = formed(1, 64, Pattern::PolicyName);
const POLICY: Rule = text(1, 20_480);

validated! { BatchGetSecretValueRequest:
    optional("SecretIdList", list(1, 20, &text(1, 2048))),
    optional("Filters", FILTERS),
    optional("MaxResults", Rule::Number { min: 1, max: 20 }),
    optional("NextToken", NEXT_TOKEN),
}

validated! { CreateSecretRequest:
    required("Name", text(1, 512)),
    optional("ClientRequestToken", VERSION_ID),
    optional("Description", text(0, 2048)),
    optional("KmsKeyId", text(0, 2048)),
    optional("SecretBinary", SECRET_BINARY),
    optional("SecretString", SECRET_STRING),
    optional("Tags", TAGS),
    optional("AddReplicaRegions", list(1, usize::MAX, &Rule::Structure(&Structure { name: "ReplicaRegionType", members: &[optional("Region", formed(1, 128, Pattern::Region)), optional("KmsKeyId", text(0, 2048))] }))),
    optional("Type", text(0, 256)),
    optional("CrossAccountPrimaryARN", text(20, 2048)),
}

validated! { DeleteResourcePolicyRequest:
    required("SecretId", SECRET_ID),
    optional("PolicyName", POLICY_NAME),
}

validated! { DeleteSecretRequest:
    required("SecretId", SECRET_ID),
}

validated! { DescribeSecretRequest:
    required("SecretId", SECRET_ID),
}

validated! { GetRandomPasswordRequest:
    optional("PasswordLength", Rule::Number { min: 1, max: 4096 }),
    optional("ExcludeCharacters", text(0, 4096)),
}

validated! { GetResourcePolicyRequest:
    required("SecretId", SECRET_ID),
    optional("PolicyName", POLICY_NAME),
}

validated! { GetSecretValueRequest:
    required("SecretId", SECRET_ID),
    optional("VersionId", VERSION_ID),
    optional("VersionStage", text(1, 256)),
}

validated! { ListSecretVersionIdsRequest:
    required("SecretId", SECRET_ID),
    optional("MaxResults", Rule::Number { min: 1, max: 100 }),
    optional("NextToken", NEXT_TOKEN),
}

validated! { ListSecretsRequest:
    optional("MaxResults", Rule::Number { min: 1, max: 100 }),
    optional("NextToken", NEXT_TOKEN),
    optional("Filters", FILTERS),
    optional("SortOrder", one_of(SortOrderType::NAMES)),
    optional("SortBy", one_of(SortByType::NAMES)),
}

validated! { PutResourcePolicyRequest:
    required("SecretId", SECRET_ID),
    required("ResourcePolicy", POLICY),
    optional("PolicyName", POLICY_NAME),
}

validated! { PutSecretValueRequest:
    required("SecretId", SECRET_ID),
    optional("ClientRequestToken", VERSION_ID),
    optional("SecretBinary", SECRET_BINARY),
    optional("SecretString", SECRET_STRING),
    optional("VersionStages", list(1, 20, &text(1, 256))),
    optional("RotationToken", formed(36, 256, Pattern::RotationToken)),
}

validated! { RestoreSecretRequest:
    required("SecretId", SECRET_ID),
}

validated! { TagResourceRequest:
    required("SecretId", SECRET_ID),
    required("Tags", TAGS),
}

validated! { UntagResourceRequest:
    required("SecretId", SECRET_ID),
    required("TagKeys", list(0, usize::MAX, &text(1, 128))),
}

validated! { UpdateSecretRequest:
    required("SecretId", SECRET_ID),
    optional("ClientRequestToken", VERSION_ID),
    optional("Description", text(0, 2048)),
    optional("KmsKeyId", text(0, 2048)),
    optional("SecretBinary", SECRET_BINARY),
    optional("SecretString", SECRET_STRING),
    optional("Type", text(0, 256)),
}

validated! { UpdateSecretVersionStageRequest:
    required("SecretId", SECRET_ID),
    required("VersionStage", text(1, 256)),
    optional("RemoveFromVersionId", VERSION_ID),
    optional("MoveToVersionId", VERSION_ID),
}

validated! { ValidateResourcePolicyRequest:
    optional("SecretId", SECRET_ID),
    required("ResourcePolicy", POLICY),
}
