//! The constraints of CodeCommit's shapes.

use super::{
    Pattern, Rule, Structure,
    shapes::{formed, list, one_of, optional, required, text},
};
use crate::codecommit::{
    BatchGetCommitsInput, BatchGetRepositoriesInput, CreateBranchInput, CreateCommitInput, CreateRepositoryInput,
    DeleteBranchInput, DeleteFileInput, DeleteRepositoryInput, FileModeTypeEnum, GetBlobInput, GetBranchInput,
    GetCommitInput, GetDifferencesInput, GetFileInput, GetFolderInput, GetRepositoryInput, GetRepositoryTriggersInput,
    ListBranchesInput, ListRepositoriesInput, ListTagsForResourceInput, OrderEnum, PutFileInput,
    PutRepositoryTriggersInput, RepositoryTriggerEventEnum, SortByEnum, TagResourceInput, TestRepositoryTriggersInput,
    UntagResourceInput, UpdateDefaultBranchInput, UpdateRepositoryDescriptionInput, UpdateRepositoryNameInput, refusal,
};

/// Declares the constraints of an input whose violations have errors of their own.
macro_rules! refused {
    ($input:ident: $($member:expr,)*) => {
        impl $crate::decode::Input for $input {
            const SHAPE: &'static Structure = &Structure { name: stringify!($input), members: &[$($member,)*] };
            const VIOLATED: $crate::ErrorCode = $crate::ErrorCode::Validation;

            fn refusal(value: &serde_json::Value) -> Option<$crate::ApiError> {
                refusal(Self::SHAPE, value)
            }
        }
    };
}

const NAME: Rule = formed(1, 100, Pattern::GitRepositoryName);
const BRANCH: Rule = text(1, 256);
const TAGS: Rule = Rule::Map { min: 0, max: usize::MAX, key: &text(1, 128), value: &text(0, 256) };

refused! { BatchGetCommitsInput:
    required("commitIds", Rule::Any),
    required("repositoryName", NAME),
}

refused! { BatchGetRepositoriesInput:
    required("repositoryNames", list(0, usize::MAX, &NAME)),
}

refused! { CreateBranchInput:
    required("repositoryName", NAME),
    required("branchName", BRANCH),
    required("commitId", Rule::Any),
}

refused! { CreateCommitInput:
    required("repositoryName", NAME),
    required("branchName", BRANCH),
    optional("putFiles", list(0, usize::MAX, &Rule::Structure(&Structure { name: "PutFileEntry", members: &[required("filePath", Rule::Any), optional("fileMode", one_of(FileModeTypeEnum::NAMES)), optional("fileContent", Rule::Blob { min: 0, max: 6_291_456 }), optional("sourceFile", Rule::Structure(&Structure { name: "SourceFileSpecifier", members: &[required("filePath", Rule::Any)] }))] }))),
    optional("deleteFiles", list(0, usize::MAX, &Rule::Structure(&Structure { name: "DeleteFileEntry", members: &[required("filePath", Rule::Any)] }))),
    optional("setFileModes", list(0, usize::MAX, &Rule::Structure(&Structure { name: "SetFileModeEntry", members: &[required("filePath", Rule::Any), required("fileMode", one_of(FileModeTypeEnum::NAMES))] }))),
}

refused! { CreateRepositoryInput:
    required("repositoryName", NAME),
    optional("repositoryDescription", text(0, 1000)),
    optional("tags", TAGS),
    optional("kmsKeyId", formed(0, usize::MAX, Pattern::KmsName)),
}

refused! { DeleteBranchInput:
    required("repositoryName", NAME),
    required("branchName", BRANCH),
}

refused! { DeleteFileInput:
    required("repositoryName", NAME),
    required("branchName", BRANCH),
    required("filePath", Rule::Any),
    required("parentCommitId", Rule::Any),
}

refused! { DeleteRepositoryInput:
    required("repositoryName", NAME),
}

refused! { GetBlobInput:
    required("repositoryName", NAME),
    required("blobId", Rule::Any),
}

refused! { GetBranchInput:
    optional("repositoryName", NAME),
    optional("branchName", BRANCH),
}

refused! { GetCommitInput:
    required("repositoryName", NAME),
    required("commitId", Rule::Any),
}

refused! { GetDifferencesInput:
    required("repositoryName", NAME),
    required("afterCommitSpecifier", Rule::Any),
}

refused! { GetFileInput:
    required("repositoryName", NAME),
    required("filePath", Rule::Any),
}

refused! { GetFolderInput:
    required("repositoryName", NAME),
    required("folderPath", Rule::Any),
}

refused! { GetRepositoryInput:
    required("repositoryName", NAME),
}

refused! { GetRepositoryTriggersInput:
    required("repositoryName", NAME),
}

refused! { ListBranchesInput:
    required("repositoryName", NAME),
}

refused! { ListRepositoriesInput:
    optional("sortBy", one_of(SortByEnum::NAMES)),
    optional("order", one_of(OrderEnum::NAMES)),
}

refused! { ListTagsForResourceInput:
    required("resourceArn", Rule::Any),
}

refused! { PutFileInput:
    required("repositoryName", NAME),
    required("branchName", BRANCH),
    required("fileContent", Rule::Blob { min: 0, max: 6_291_456 }),
    required("filePath", Rule::Any),
    optional("fileMode", one_of(FileModeTypeEnum::NAMES)),
}

refused! { PutRepositoryTriggersInput:
    required("repositoryName", NAME),
    required("triggers", list(0, usize::MAX, &Rule::Structure(&Structure { name: "RepositoryTrigger", members: &[required("name", Rule::Any), required("destinationArn", Rule::Any), optional("branches", list(0, usize::MAX, &BRANCH)), required("events", list(0, usize::MAX, &one_of(RepositoryTriggerEventEnum::NAMES)))] }))),
}

refused! { TagResourceInput:
    required("resourceArn", Rule::Any),
    required("tags", TAGS),
}

refused! { TestRepositoryTriggersInput:
    required("repositoryName", NAME),
    required("triggers", list(0, usize::MAX, &Rule::Structure(&Structure { name: "RepositoryTrigger", members: &[required("name", Rule::Any), required("destinationArn", Rule::Any), optional("branches", list(0, usize::MAX, &BRANCH)), required("events", list(0, usize::MAX, &one_of(RepositoryTriggerEventEnum::NAMES)))] }))),
}

refused! { UntagResourceInput:
    required("resourceArn", Rule::Any),
    required("tagKeys", list(0, usize::MAX, &text(1, 128))),
}

refused! { UpdateDefaultBranchInput:
    required("repositoryName", NAME),
    required("defaultBranchName", BRANCH),
}

refused! { UpdateRepositoryDescriptionInput:
    required("repositoryName", NAME),
    optional("repositoryDescription", text(0, 1000)),
}

refused! { UpdateRepositoryNameInput:
    required("oldName", NAME),
    required("newName", NAME),
}
