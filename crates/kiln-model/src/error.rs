//! Errors as AWS clients see them (`api.md` 1.3).

use crate::enumeration::enumeration;

enumeration! {
    /// The `__type` of an error.
    ErrorCode {
        /// The caller may not do that.
        AccessDenied = "AccessDeniedException",
        /// There is such a thing of KMS already.
        AlreadyExists = "AlreadyExistsException",
        /// A quota of the account is reached.
        AccountLimitExceeded = "AccountLimitExceededException",
        /// The account is suspended.
        AccountSuspended = "AccountSuspendedException",
        /// It contradicts what is going on.
        Conflict = "ConflictException",
        /// What the value of a secret is sealed with cannot be used.
        DecryptionFailure = "DecryptionFailure",
        /// The key is disabled.
        Disabled = "DisabledException",
        /// It would have succeeded.
        DryRunOperation = "DryRunOperationException",
        /// A secret cannot be sealed with that key.
        EncryptionFailure = "EncryptionFailure",
        /// The session token's time is over.
        ExpiredToken = "ExpiredTokenException",
        /// The name of a parameter has too many levels.
        HierarchyLevelLimitExceeded = "HierarchyLevelLimitExceededException",
        /// A parameter keeps the type of its first version.
        HierarchyTypeMismatch = "HierarchyTypeMismatchException",
        /// Another key encrypted that.
        IncorrectKey = "IncorrectKeyException",
        /// The signature lacks a part.
        IncompleteSignature = "IncompleteSignatureException",
        /// Kiln itself failed; clients try again.
        InternalFailure = "InternalFailure",
        /// That cannot be the name of an alias.
        InvalidAliasName = "InvalidAliasNameException",
        /// That is not a regular expression for values of parameters.
        InvalidAllowedPattern = "InvalidAllowedPatternException",
        /// That is not the ARN of a key here.
        InvalidArn = "InvalidArnException",
        /// That was not encrypted here, or not with that context.
        InvalidCiphertext = "InvalidCiphertextException",
        /// Lists of parameters have no such condition.
        InvalidFilterKey = "InvalidFilterKey",
        /// That condition does not compare so.
        InvalidFilterOption = "InvalidFilterOption",
        /// That cannot be the value of a condition.
        InvalidFilterValue = "InvalidFilterValue",
        /// That is not a pattern of events.
        InvalidEventPattern = "InvalidEventPatternException",
        /// There is no such grant of the key.
        InvalidGrantId = "InvalidGrantIdException",
        /// That is not the token of a grant.
        InvalidGrantToken = "InvalidGrantTokenException",
        /// Something in the request is wrong.
        InvalidInput = "InvalidInputException",
        /// The key of a parameter cannot be used.
        InvalidKeyId = "InvalidKeyId",
        /// The key does other things.
        InvalidKeyUsage = "InvalidKeyUsageException",
        /// That is not the marker of a page of this list.
        InvalidMarker = "InvalidMarkerException",
        /// That is not the token of a page of this list of parameters.
        InvalidNextToken = "InvalidNextToken",
        /// That is not the token of a page of this list of secrets.
        InvalidNextTokenException = "InvalidNextTokenException",
        /// Members of a request to CloudWatch contradict each other.
        InvalidParameterCombination = "InvalidParameterCombinationException",
        /// Something in the request to CloudWatch is wrong.
        InvalidParameterValue = "InvalidParameterValueException",
        /// Something in the request to Secrets Manager or CloudWatch Logs is wrong.
        InvalidParameter = "InvalidParameterException",
        /// What it is about does not allow it, or is not offered.
        InvalidOperation = "InvalidOperationException",
        /// There are no policies of that type of parameters.
        InvalidPolicyType = "InvalidPolicyTypeException",
        /// The state of the secret does not allow it.
        InvalidRequest = "InvalidRequestException",
        /// There is no such thing that could have tags.
        InvalidResourceId = "InvalidResourceId",
        /// Such things have no tags here.
        InvalidResourceType = "InvalidResourceType",
        /// The signature does not match, or its time is off.
        InvalidSignature = "InvalidSignatureException",
        /// The state of the key does not allow it.
        KmsInvalidState = "KMSInvalidStateException",
        /// A quota of KMS is reached.
        LimitExceeded = "LimitExceededException",
        /// That is not a policy.
        MalformedPolicyDocument = "MalformedPolicyDocumentException",
        /// The request is not signed.
        MissingAuthenticationToken = "MissingAuthenticationTokenException",
        /// A request to CloudWatch lacks a member.
        MissingRequiredParameter = "MissingRequiredParameterException",
        /// Only the service itself may do that.
        NotAuthorized = "NotAuthorizedException",
        /// There is no such thing of KMS.
        NotFound = "NotFoundException",
        /// A git provider refused.
        OAuthProvider = "OAuthProviderException",
        /// Something else is being done with it; clients try again.
        OperationAborted = "OperationAbortedException",
        /// EventBridge has that, Kiln does not.
        OperationDisabled = "OperationDisabledException",
        /// There is such a parameter already.
        ParameterAlreadyExists = "ParameterAlreadyExists",
        /// There are too many parameters.
        ParameterLimitExceeded = "ParameterLimitExceeded",
        /// There are too many versions, and the oldest has a label.
        ParameterMaxVersionLimitExceeded = "ParameterMaxVersionLimitExceeded",
        /// There is no such parameter.
        ParameterNotFound = "ParameterNotFound",
        /// The value does not match the parameter's pattern.
        ParameterPatternMismatch = "ParameterPatternMismatchException",
        /// The version has too many labels.
        ParameterVersionLabelLimitExceeded = "ParameterVersionLabelLimitExceeded",
        /// There is no such version of the parameter.
        ParameterVersionNotFound = "ParameterVersionNotFound",
        /// The policy lets anybody in.
        PublicPolicy = "PublicPolicyException",
        /// There is such a thing already.
        ResourceAlreadyExists = "ResourceAlreadyExistsException",
        /// There is such a secret, or such a version of it, already.
        ResourceExists = "ResourceExistsException",
        /// There is no such thing.
        ResourceNotFound = "ResourceNotFoundException",
        /// The body is not the JSON that the operation takes.
        Serialization = "SerializationException",
        /// Not now; clients try again.
        ServiceUnavailable = "ServiceUnavailable",
        /// Tags that cannot be.
        Tag = "TagException",
        /// Too many requests; clients try again.
        Throttling = "ThrottlingException",
        /// A parameter has too many tags.
        TooManyTags = "TooManyTagsError",
        /// A log group has too many tags.
        TooManyTagsException = "TooManyTagsException",
        /// A parameter was changed at the same moment.
        TooManyUpdates = "TooManyUpdates",
        /// There is no such operation.
        UnknownOperation = "UnknownOperationException",
        /// The access key id or the session token is not known.
        UnrecognizedClient = "UnrecognizedClientException",
        /// KMS has that, Kiln does not.
        UnsupportedOperation = "UnsupportedOperationException",
        /// There is no such type of parameters.
        UnsupportedParameterType = "UnsupportedParameterType",
        /// Nothing was uploaded.
        EmptyUpload = "EmptyUploadException",
        /// There is such an image, with that tag, already.
        ImageAlreadyExists = "ImageAlreadyExistsException",
        /// The manifest has another digest.
        ImageDigestDoesNotMatch = "ImageDigestDoesNotMatchException",
        /// There is no such image.
        ImageNotFound = "ImageNotFoundException",
        /// The tag is on another image and stays there.
        ImageTagAlreadyExists = "ImageTagAlreadyExistsException",
        /// The layer is not what was announced.
        InvalidLayer = "InvalidLayerException",
        /// The part does not begin where the one before ends.
        InvalidLayerPart = "InvalidLayerPartException",
        /// A repository cannot have such a tag.
        InvalidTagParameter = "InvalidTagParameterException",
        /// The key of a repository cannot be used.
        Kms = "KmsException",
        /// The repository has the layer already.
        LayerAlreadyExists = "LayerAlreadyExistsException",
        /// Parts but the last must be larger.
        LayerPartTooSmall = "LayerPartTooSmallException",
        /// The repository has no such layers.
        LayersNotFound = "LayersNotFoundException",
        /// The repository has no lifecycle policy.
        LifecyclePolicyNotFound = "LifecyclePolicyNotFoundException",
        /// Nobody has asked for a preview.
        LifecyclePolicyPreviewNotFound = "LifecyclePolicyPreviewNotFoundException",
        /// The repository has not the images that an index names.
        ReferencedImagesNotFound = "ReferencedImagesNotFoundException",
        /// There is such a repository already.
        RepositoryAlreadyExists = "RepositoryAlreadyExistsException",
        /// The repository has images.
        RepositoryNotEmpty = "RepositoryNotEmptyException",
        /// There is no such repository.
        RepositoryNotFound = "RepositoryNotFoundException",
        /// The repository has no policy.
        RepositoryPolicyNotFound = "RepositoryPolicyNotFoundException",
        /// There is no such upload of a layer.
        UploadNotFound = "UploadNotFoundException",
        /// There is no such blob.
        BlobIdDoesNotExist = "BlobIdDoesNotExistException",
        /// A request to CodeCommit lacks: blob id.
        BlobIdRequired = "BlobIdRequiredException",
        /// There is no such branch.
        BranchDoesNotExist = "BranchDoesNotExistException",
        /// There is such a branch already.
        BranchNameExists = "BranchNameExistsException",
        /// A commit cannot be made on a tag.
        BranchNameIsTagName = "BranchNameIsTagNameException",
        /// A request to CodeCommit lacks: branch name.
        BranchNameRequired = "BranchNameRequiredException",
        /// There is no such commit.
        CommitDoesNotExist = "CommitDoesNotExistException",
        /// There is no commit with that id.
        CommitIdDoesNotExist = "CommitIdDoesNotExistException",
        /// A request to CodeCommit lacks: commit id.
        CommitIdRequired = "CommitIdRequiredException",
        /// Too many commits are asked for.
        CommitIdsLimitExceeded = "CommitIdsLimitExceededException",
        /// A request to CodeCommit lacks: commit ids list.
        CommitIdsListRequired = "CommitIdsListRequiredException",
        /// The message of a commit is too long.
        CommitMessageLengthExceeded = "CommitMessageLengthExceededException",
        /// A request to CodeCommit lacks: commit.
        CommitRequired = "CommitRequiredException",
        /// The default branch stays.
        DefaultBranchCannotBeDeleted = "DefaultBranchCannotBeDeletedException",
        /// There is a file where a folder would have to be.
        DirectoryNameConflictsWithFileName = "DirectoryNameConflictsWithFileNameException",
        /// The encryption of a git repository is damaged.
        EncryptionIntegrityChecksFailed = "EncryptionIntegrityChecksFailedException",
        /// The key of a git repository may not be used.
        EncryptionKeyAccessDenied = "EncryptionKeyAccessDeniedException",
        /// The key of a git repository is disabled.
        EncryptionKeyDisabled = "EncryptionKeyDisabledException",
        /// That is no key for a git repository.
        EncryptionKeyInvalidId = "EncryptionKeyInvalidIdException",
        /// That key is not for encryption.
        EncryptionKeyInvalidUsage = "EncryptionKeyInvalidUsageException",
        /// The key of a git repository is not there.
        EncryptionKeyNotFound = "EncryptionKeyNotFoundException",
        /// The key of a git repository cannot be reached.
        EncryptionKeyUnavailable = "EncryptionKeyUnavailableException",
        /// A file has content or a source, not both.
        FileContentAndSourceFileSpecified = "FileContentAndSourceFileSpecifiedException",
        /// A request to CodeCommit lacks: file content.
        FileContentRequired = "FileContentRequiredException",
        /// A file is too large for a request.
        FileContentSizeLimitExceeded = "FileContentSizeLimitExceededException",
        /// There is no such file.
        FileDoesNotExist = "FileDoesNotExistException",
        /// A commit changes at least one file.
        FileEntryRequired = "FileEntryRequiredException",
        /// A request to CodeCommit lacks: file mode.
        FileModeRequired = "FileModeRequiredException",
        /// There is a folder where a file would have to be.
        FileNameConflictsWithDirectoryName = "FileNameConflictsWithDirectoryNameException",
        /// There is a submodule.
        FilePathConflictsWithSubmodulePath = "FilePathConflictsWithSubmodulePathException",
        /// A file is too large for an answer.
        FileTooLarge = "FileTooLargeException",
        /// What a commit changes is too large.
        FolderContentSizeLimitExceeded = "FolderContentSizeLimitExceededException",
        /// There is no such folder.
        FolderDoesNotExist = "FolderDoesNotExistException",
        /// A request to CodeCommit has a wrong blob id.
        InvalidBlobId = "InvalidBlobIdException",
        /// A request to CodeCommit has a wrong branch name.
        InvalidBranchName = "InvalidBranchNameException",
        /// A request to CodeCommit has a wrong commit.
        InvalidCommit = "InvalidCommitException",
        /// A request to CodeCommit has a wrong commit id.
        InvalidCommitId = "InvalidCommitIdException",
        /// A request to CodeCommit has a wrong continuation token.
        InvalidContinuationToken = "InvalidContinuationTokenException",
        /// That cannot say what is deleted.
        InvalidDeletionParameter = "InvalidDeletionParameterException",
        /// A request to CodeCommit has a wrong email.
        InvalidEmail = "InvalidEmailException",
        /// A request to CodeCommit has a wrong file mode.
        InvalidFileMode = "InvalidFileModeException",
        /// A request to CodeCommit has a wrong max results.
        InvalidMaxResults = "InvalidMaxResultsException",
        /// A request to CodeCommit has a wrong order.
        InvalidOrder = "InvalidOrderException",
        /// A request to CodeCommit has a wrong parent commit id.
        InvalidParentCommitId = "InvalidParentCommitIdException",
        /// A request to CodeCommit has a wrong path.
        InvalidPath = "InvalidPathException",
        /// A request to CodeCommit has a wrong repository description.
        InvalidRepositoryDescription = "InvalidRepositoryDescriptionException",
        /// A request to CodeCommit has a wrong repository name.
        InvalidRepositoryName = "InvalidRepositoryNameException",
        /// A request to CodeCommit has a wrong repository trigger branch name.
        InvalidRepositoryTriggerBranchName = "InvalidRepositoryTriggerBranchNameException",
        /// A request to CodeCommit has a wrong repository trigger custom data.
        InvalidRepositoryTriggerCustomData = "InvalidRepositoryTriggerCustomDataException",
        /// A request to CodeCommit has a wrong repository trigger destination arn.
        InvalidRepositoryTriggerDestinationArn = "InvalidRepositoryTriggerDestinationArnException",
        /// A request to CodeCommit has a wrong repository trigger events.
        InvalidRepositoryTriggerEvents = "InvalidRepositoryTriggerEventsException",
        /// A request to CodeCommit has a wrong repository trigger name.
        InvalidRepositoryTriggerName = "InvalidRepositoryTriggerNameException",
        /// A request to CodeCommit has a wrong repository trigger region.
        InvalidRepositoryTriggerRegion = "InvalidRepositoryTriggerRegionException",
        /// A request to CodeCommit has a wrong resource arn.
        InvalidResourceArn = "InvalidResourceArnException",
        /// A request to CodeCommit has a wrong sort by.
        InvalidSortBy = "InvalidSortByException",
        /// Tags that begin with aws: are AWS's.
        InvalidSystemTagUsage = "InvalidSystemTagUsageException",
        /// A request to CodeCommit has a wrong tag keys list.
        InvalidTagKeysList = "InvalidTagKeysListException",
        /// A request to CodeCommit has a wrong tags map.
        InvalidTagsMap = "InvalidTagsMapException",
        /// A trigger names too many branches.
        MaximumBranchesExceeded = "MaximumBranchesExceededException",
        /// A commit changes too many files.
        MaximumFileEntriesExceeded = "MaximumFileEntriesExceededException",
        /// Too many repositories are asked for.
        MaximumRepositoryNamesExceeded = "MaximumRepositoryNamesExceededException",
        /// A repository has too many triggers.
        MaximumRepositoryTriggersExceeded = "MaximumRepositoryTriggersExceededException",
        /// A name in a commit is too long.
        NameLengthExceeded = "NameLengthExceededException",
        /// A commit would change nothing.
        NoChange = "NoChangeException",
        /// CodeCommit has that, Kiln does not.
        OperationNotAllowed = "OperationNotAllowedException",
        /// There is no such parent of a commit.
        ParentCommitDoesNotExist = "ParentCommitDoesNotExistException",
        /// The branch has moved on.
        ParentCommitIdOutdated = "ParentCommitIdOutdatedException",
        /// A request to CodeCommit lacks: parent commit id.
        ParentCommitIdRequired = "ParentCommitIdRequiredException",
        /// There is no such path.
        PathDoesNotExist = "PathDoesNotExistException",
        /// A request to CodeCommit lacks: path.
        PathRequired = "PathRequiredException",
        /// A commit changes a file twice.
        PutFileEntryConflict = "PutFileEntryConflictException",
        /// There is no such git repository.
        RepositoryDoesNotExist = "RepositoryDoesNotExistException",
        /// There are too many git repositories.
        RepositoryLimitExceeded = "RepositoryLimitExceededException",
        /// There is such a git repository already.
        RepositoryNameExists = "RepositoryNameExistsException",
        /// A request to CodeCommit lacks: repository name.
        RepositoryNameRequired = "RepositoryNameRequiredException",
        /// A request to CodeCommit lacks: repository names.
        RepositoryNamesRequired = "RepositoryNamesRequiredException",
        /// A request to CodeCommit lacks: repository trigger branch name list.
        RepositoryTriggerBranchNameListRequired = "RepositoryTriggerBranchNameListRequiredException",
        /// A request to CodeCommit lacks: repository trigger destination arn.
        RepositoryTriggerDestinationArnRequired = "RepositoryTriggerDestinationArnRequiredException",
        /// A request to CodeCommit lacks: repository trigger events list.
        RepositoryTriggerEventsListRequired = "RepositoryTriggerEventsListRequiredException",
        /// A request to CodeCommit lacks: repository trigger name.
        RepositoryTriggerNameRequired = "RepositoryTriggerNameRequiredException",
        /// A request to CodeCommit lacks: repository triggers list.
        RepositoryTriggersListRequired = "RepositoryTriggersListRequiredException",
        /// A request to CodeCommit lacks: resource arn.
        ResourceArnRequired = "ResourceArnRequiredException",
        /// A file is moved that the commit changes.
        RestrictedSourceFile = "RestrictedSourceFileException",
        /// The file is so already.
        SameFileContent = "SameFileContentException",
        /// A commit names a path twice.
        SamePathRequest = "SamePathRequestException",
        /// A file has neither content nor a source.
        SourceFileOrContentRequired = "SourceFileOrContentRequiredException",
        /// A request to CodeCommit lacks: tag keys list.
        TagKeysListRequired = "TagKeysListRequiredException",
        /// A policy forbids the tags.
        TagPolicy = "TagPolicyException",
        /// A request to CodeCommit lacks: tags map.
        TagsMapRequired = "TagsMapRequiredException",
        /// Something in the request to KMS, Secrets Manager or Parameter Store is wrong.
        Validation = "ValidationException",
    }
}

impl ErrorCode {
    /// HTTP status of a JSON service's answer: 400 for everything but the service's own failures.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            Self::InternalFailure => 500,
            Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }
}

/// The answer to a request that cannot be fulfilled. The message is for the person who sent the request: what is wrong,
/// where, and never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What happened, for people.
    pub message: String,
}

impl ApiError {
    /// An error with a code and a message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Something in the request is wrong.
    #[must_use]
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidInput, message)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceNotFound, message)
    }

    /// There is such a thing already.
    #[must_use]
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ResourceAlreadyExists, message)
    }

    /// A quota is reached.
    #[must_use]
    pub fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AccountLimitExceeded, message)
    }

    /// The caller may not do that.
    #[must_use]
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::AccessDenied, message)
    }

    /// Too many requests.
    #[must_use]
    pub fn throttling() -> Self {
        Self::new(ErrorCode::Throttling, "Rate exceeded")
    }

    /// Kiln itself failed.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InternalFailure, message)
    }

    /// Not now: the server stops, or its disk is full. Clients try again.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, message)
    }

    /// The body is not the JSON that the operation takes.
    #[must_use]
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Serialization, message)
    }

    /// CodeBuild has the operation, this version of Kiln does not. An error code of its own would be unknown to clients,
    /// and this one is in the model of every operation that has errors at all.
    #[must_use]
    pub fn unsupported(operation: &str) -> Self {
        Self::invalid_input(format!("{operation} is not available in this version of Kiln"))
    }

    /// Neither CodeBuild nor Kiln has the operation.
    #[must_use]
    pub fn unknown_operation(operation: &str) -> Self {
        Self::new(ErrorCode::UnknownOperation, format!("there is no operation '{}'", excerpt(operation)))
    }
}

/// A value as a message quotes it: without control characters, cut after 200 characters.
pub(crate) fn excerpt(value: &str) -> String {
    const LONGEST: usize = 200;
    let mut text: String =
        value.chars().take(LONGEST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if value.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_service_are_not_400() {
        let others: Vec<_> = ErrorCode::ALL.iter().filter(|code| code.http_status() != 400).collect();
        assert_eq!(others, [&ErrorCode::InternalFailure, &ErrorCode::ServiceUnavailable]);
    }

    #[test]
    fn quoted_values_are_short_and_printable() {
        assert_eq!(excerpt("a\u{1b}[31mb"), "a\u{fffd}[31mb");
        assert_eq!(excerpt(&"ä".repeat(201)).chars().count(), 201);
        assert_eq!(excerpt(&"ä".repeat(200)).chars().count(), 200);
    }
}
