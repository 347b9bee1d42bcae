//! Shapes of CodeCommit's API 2015-04-13 (`api.md` 8.7).
//!
//! As in [`crate::codebuild`]: names are AWS's, members that the API requires are not `Option`s, unknown members are
//! ignored. Pull requests, comments and approval rules are not offered.

mod branch;
mod commit;
mod file;
mod refusal;
mod repository;
mod tag;
mod trigger;

pub use crate::kms::{Blob, Empty};
pub use branch::{
    BranchInfo, CreateBranchInput, DeleteBranchInput, DeleteBranchOutput, GetBranchInput, GetBranchOutput,
    ListBranchesInput, ListBranchesOutput, UpdateDefaultBranchInput,
};
pub use commit::{
    BatchGetCommitsError, BatchGetCommitsInput, BatchGetCommitsOutput, BlobMetadata, ChangeTypeEnum, Commit,
    Difference, GetCommitInput, GetCommitOutput, GetDifferencesInput, GetDifferencesOutput, UserInfo,
};
pub use file::{
    CreateCommitInput, CreateCommitOutput, DeleteFileEntry, DeleteFileInput, DeleteFileOutput, File, FileMetadata,
    FileModeTypeEnum, Folder, GetBlobInput, GetBlobOutput, GetFileInput, GetFileOutput, GetFolderInput,
    GetFolderOutput, PutFileEntry, PutFileInput, PutFileOutput, SetFileModeEntry, SourceFileSpecifier, SubModule,
    SymbolicLink,
};
pub use repository::{
    BatchGetRepositoriesError, BatchGetRepositoriesErrorCodeEnum, BatchGetRepositoriesInput,
    BatchGetRepositoriesOutput, CreateRepositoryInput, CreateRepositoryOutput, DeleteRepositoryInput,
    DeleteRepositoryOutput, GetRepositoryInput, GetRepositoryOutput, ListRepositoriesInput, ListRepositoriesOutput,
    OrderEnum, RepositoryMetadata, RepositoryNameIdPair, SortByEnum, UpdateRepositoryDescriptionInput,
    UpdateRepositoryNameInput,
};
pub use tag::{ListTagsForResourceInput, ListTagsForResourceOutput, TagResourceInput, UntagResourceInput};
pub use trigger::{
    GetRepositoryTriggersInput, GetRepositoryTriggersOutput, PutRepositoryTriggersInput, PutRepositoryTriggersOutput,
    RepositoryTrigger, RepositoryTriggerEventEnum, RepositoryTriggerExecutionFailure, TestRepositoryTriggersInput,
    TestRepositoryTriggersOutput,
};

pub(crate) use refusal::refusal;
