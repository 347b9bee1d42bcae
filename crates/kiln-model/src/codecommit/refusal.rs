//! CodeCommit's errors of single members: each has one for its absence and one for a wrong value.

use serde_json::Value;

use crate::{
    ApiError, ErrorCode as Code,
    constraint::{Member, Rule, Structure, fulfils},
};

/// What a name of a repository may be, in CodeCommit's words.
const NAME: &str = "The repository name is not valid. Repository names can be any valid combination of letters, numbers, \
                    period, underscore and dash. Names must be between 1 and 100 characters in length. Names cannot end in \
                    .git and cannot contain any of the following characters: ! ? @ # $ % ^ & * ( ) + = { } [ ] | \\ / > < \
                    ~ ` ' \" ; :";

/// The error of the first member that is missing or wrong, in the order of the shape.
pub(crate) fn refusal(shape: &Structure, value: &Value) -> Option<ApiError> {
    shape.members.iter().find_map(|member| of_member(shape.name, member, value.get(member.name)))
}

fn of_member(shape: &str, member: &Member, value: Option<&Value>) -> Option<ApiError> {
    let (missing, wrong) = errors(shape, member.name);
    let value = match value {
        None | Some(Value::Null) if member.required => return Some(missing),
        None | Some(Value::Null) => return None,
        Some(value) => value,
    };
    within(&member.rule, value, &wrong)
}

fn within(rule: &Rule, value: &Value, wrong: &ApiError) -> Option<ApiError> {
    match (rule, value) {
        (Rule::Structure(shape), Value::Object(_)) => refusal(shape, value),
        (Rule::List { item, .. }, Value::Array(items)) => items.iter().find_map(|value| within(item, value, wrong)),
        _ if fulfils(rule, value) => None,
        _ => Some(wrong.clone()),
    }
}

/// The errors of a member: when it is missing, and when it is wrong.
fn errors(shape: &str, member: &str) -> (ApiError, ApiError) {
    let (missing, lack, wrong, fault) = match (shape, member) {
        (_, "repositoryName" | "oldName" | "newName") => (
            Code::RepositoryNameRequired,
            "A repository name is required, but was not specified.",
            Code::InvalidRepositoryName,
            NAME,
        ),
        (_, "repositoryNames") => (
            Code::RepositoryNamesRequired,
            "At least one repository name is required, but none was specified.",
            Code::InvalidRepositoryName,
            NAME,
        ),
        (_, "repositoryDescription") => (
            Code::InvalidRepositoryDescription,
            "The repository description is not valid.",
            Code::InvalidRepositoryDescription,
            "The repository description is not valid. It must be 1000 characters or fewer.",
        ),
        (_, "branchName" | "defaultBranchName") => (
            Code::BranchNameRequired,
            "A branch name is required, but was not specified.",
            Code::InvalidBranchName,
            "The specified branch name is not valid.",
        ),
        (_, "commitId") => (
            Code::CommitIdRequired,
            "A commit ID was not specified.",
            Code::InvalidCommitId,
            "The specified commit ID is not valid.",
        ),
        (_, "parentCommitId") => (
            Code::ParentCommitIdRequired,
            "A parent commit ID is required. To view the full commit ID of a branch in a repository, use GetBranch or a git \
             command (for example, git pull or git log).",
            Code::InvalidParentCommitId,
            "The parent commit ID is not valid.",
        ),
        (_, "commitIds") => (
            Code::CommitIdsListRequired,
            "A list of commit IDs is required, but was either not specified or the list was empty.",
            Code::InvalidCommitId,
            "The specified commit ID is not valid.",
        ),
        (_, "afterCommitSpecifier") => (
            Code::CommitRequired,
            "A commit was not specified.",
            Code::InvalidCommit,
            "The specified commit is not valid.",
        ),
        (_, "filePath" | "folderPath") => {
            (Code::PathRequired, "The path was not specified.", Code::InvalidPath, "The specified path is not valid.")
        }
        (_, "fileContent") => (
            Code::FileContentRequired,
            "The file cannot be added because it is empty. Empty files cannot be added to the repository with this API.",
            Code::FileContentSizeLimitExceeded,
            "The file cannot be added because it is too large. The maximum file size is 6 MB, and the combined file content \
             change size is 7 MB.",
        ),
        (_, "fileMode") => (
            Code::FileModeRequired,
            "The commit cannot be created because no file mode has been specified. A file mode is required to update mode \
             permissions for a file.",
            Code::InvalidFileMode,
            "The specified file mode permission is not valid. Valid file mode permissions are EXECUTABLE, NORMAL and SYMLINK.",
        ),
        (_, "blobId") => (
            Code::BlobIdRequired,
            "A blob ID is required, but was not specified.",
            Code::InvalidBlobId,
            "The specified blob is not valid.",
        ),
        (_, "triggers") => (
            Code::RepositoryTriggersListRequired,
            "The list of triggers for the repository is required, but was not specified.",
            Code::RepositoryTriggersListRequired,
            "The list of triggers for the repository is not valid.",
        ),
        ("RepositoryTrigger", "name") => (
            Code::RepositoryTriggerNameRequired,
            "A name for the trigger is required, but was not specified.",
            Code::InvalidRepositoryTriggerName,
            "The name of the trigger is not valid.",
        ),
        ("RepositoryTrigger", "destinationArn") => (
            Code::RepositoryTriggerDestinationArnRequired,
            "A destination ARN for the target service for the trigger is required, but was not specified.",
            Code::InvalidRepositoryTriggerDestinationArn,
            "The destination ARN of the trigger is not valid.",
        ),
        ("RepositoryTrigger", "events") => (
            Code::RepositoryTriggerEventsListRequired,
            "At least one event for the trigger is required, but was not specified.",
            Code::InvalidRepositoryTriggerEvents,
            "One or more events specified for the trigger is not valid. Check to make sure that all events specified match \
             the requirements for allowed events.",
        ),
        ("RepositoryTrigger", "branches") => (
            Code::RepositoryTriggerBranchNameListRequired,
            "At least one branch name is required, but was not specified in the trigger configuration.",
            Code::InvalidRepositoryTriggerBranchName,
            "One or more branch names specified for the trigger is not valid.",
        ),
        (_, "resourceArn") => (
            Code::ResourceArnRequired,
            "A valid Amazon Resource Name (ARN) for an AWS CodeCommit resource is required.",
            Code::InvalidResourceArn,
            "The value for the resource ARN is not valid.",
        ),
        (_, "tags") => (
            Code::TagsMapRequired,
            "A map of tags is required.",
            Code::InvalidTagsMap,
            "The map of tags is not valid: keys have 1 to 128 characters, values at most 256.",
        ),
        (_, "tagKeys") => (
            Code::TagKeysListRequired,
            "A list of tag keys is required. The list cannot be empty or null.",
            Code::InvalidTagKeysList,
            "The list of tags is not valid: keys have 1 to 128 characters.",
        ),
        (_, "sortBy") => (
            Code::InvalidSortBy,
            "The specified sort by value is not valid.",
            Code::InvalidSortBy,
            "The specified sort by value is not valid.",
        ),
        (_, "order") => (
            Code::InvalidOrder,
            "The specified sort order is not valid.",
            Code::InvalidOrder,
            "The specified sort order is not valid.",
        ),
        (_, "kmsKeyId") => (
            Code::EncryptionKeyInvalidId,
            "The Key Management Service encryption key is not valid.",
            Code::EncryptionKeyInvalidId,
            "The Key Management Service encryption key is not valid.",
        ),
        _ => (Code::Validation, "A required member is missing.", Code::Validation, "A member is not valid."),
    };
    (ApiError::new(missing, lack), ApiError::new(wrong, fault))
}
