//! The constraints of Parameter Store's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::ssm::{
    AddTagsToResourceRequest, DeleteParameterRequest, DeleteParametersRequest, DescribeParametersRequest,
    GetParameterHistoryRequest, GetParameterRequest, GetParametersByPathRequest, GetParametersRequest,
    LabelParameterVersionRequest, ListTagsForResourceRequest, ParameterTier, ParameterType, ParametersFilterKey,
    PutParameterRequest, RemoveTagsFromResourceRequest, ResourceTypeForTagging, UnlabelParameterVersionRequest,
};

const RESOURCE_TYPE: Rule = one_of(ResourceTypeForTagging::NAMES);
const TAGS: Rule = list(
    0,
    1000,
    &Rule::Structure(&Structure {
        name: "Tag",
        members: &[
            required("Key", formed(1, 128, Pattern::SystemsTag)),
            required("Value", formed(0, 256, Pattern::SystemsTag)),
        ],
    }),
);
const NAME: Rule = text(1, 2048);
const NAMES: Rule = list(1, 10, &text(1, 2048));
const FILTERS: Rule = list(
    0,
    usize::MAX,
    &Rule::Structure(&Structure {
        name: "ParameterStringFilter",
        members: &[
            required("Key", formed(1, 132, Pattern::ParameterFilter)),
            optional("Option", text(1, 10)),
            optional("Values", list(1, 50, &text(1, 1024))),
        ],
    }),
);
const LABELS: Rule = list(1, 10, &text(1, 100));

validated! { AddTagsToResourceRequest:
    required("ResourceType", RESOURCE_TYPE),
    required("ResourceId", Rule::Any),
    required("Tags", TAGS),
}

validated! { DeleteParameterRequest:
    required("Name", NAME),
}

validated! { DeleteParametersRequest:
    required("Names", NAMES),
}

validated! { DescribeParametersRequest:
    optional("Filters", list(0, usize::MAX, &Rule::Structure(&Structure { name: "ParametersFilter", members: &[required("Key", one_of(ParametersFilterKey::NAMES)), required("Values", list(1, 50, &text(1, 1024)))] }))),
    optional("ParameterFilters", FILTERS),
    optional("MaxResults", Rule::Number { min: 1, max: 50 }),
}

validated! { GetParameterRequest:
    required("Name", NAME),
}

validated! { GetParameterHistoryRequest:
    required("Name", NAME),
    optional("MaxResults", Rule::Number { min: 1, max: 50 }),
}

validated! { GetParametersRequest:
    required("Names", NAMES),
}

validated! { GetParametersByPathRequest:
    required("Path", NAME),
    optional("ParameterFilters", FILTERS),
    optional("MaxResults", Rule::Number { min: 1, max: 10 }),
}

validated! { LabelParameterVersionRequest:
    required("Name", NAME),
    required("Labels", LABELS),
}

validated! { ListTagsForResourceRequest:
    required("ResourceType", RESOURCE_TYPE),
    required("ResourceId", Rule::Any),
}

validated! { PutParameterRequest:
    required("Name", NAME),
    optional("Description", text(0, 1024)),
    required("Value", Rule::Any),
    optional("Type", one_of(ParameterType::NAMES)),
    optional("KeyId", formed(1, 256, Pattern::ParameterKey)),
    optional("AllowedPattern", text(0, 1024)),
    optional("Tags", TAGS),
    optional("Tier", one_of(ParameterTier::NAMES)),
    optional("Policies", text(1, 4096)),
    optional("DataType", text(0, 128)),
}

validated! { RemoveTagsFromResourceRequest:
    required("ResourceType", RESOURCE_TYPE),
    required("ResourceId", Rule::Any),
    required("TagKeys", list(0, usize::MAX, &formed(1, 128, Pattern::SystemsTag))),
}

validated! { UnlabelParameterVersionRequest:
    required("Name", NAME),
    required("ParameterVersion", Rule::Any),
    required("Labels", LABELS),
}
