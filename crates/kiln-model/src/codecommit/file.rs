//! Files and folders, and commits that change them.

use serde::{Deserialize, Serialize};

use crate::{enumeration::enumeration, kms::Blob};

/// A commit to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateCommitInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Name of the branch, without `refs/heads/`.
    pub branch_name: String,
    /// The commit that the branch must be at; needed where the branch has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_commit_id: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_name: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<String>,
    /// Whether a folder that loses its last file gets a `.gitkeep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_empty_folders: Option<bool>,
    /// Files to add or change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_files: Option<Vec<PutFileEntry>>,
    /// Files to delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_files: Option<Vec<DeleteFileEntry>>,
    /// Files whose kind is to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_file_modes: Option<Vec<SetFileModeEntry>>,
}

/// A file to add or change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutFileEntry {
    /// Path of the file.
    pub file_path: String,
    /// What kind of file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<FileModeTypeEnum>,
    /// The bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_content: Option<Blob>,
    /// The file that it is copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_file: Option<SourceFileSpecifier>,
}

enumeration! {
    /// Kinds of files.
    FileModeTypeEnum {
        /// A file that may be executed.
        Executable = "EXECUTABLE",
        /// Any other file.
        Normal = "NORMAL",
        /// A symbolic link.
        Symlink = "SYMLINK",
    }
}

/// A file to copy or to move.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFileSpecifier {
    /// Path of the file.
    pub file_path: String,
    /// Whether the other file goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_move: Option<bool>,
}

/// A file to delete.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteFileEntry {
    /// Path of the file.
    pub file_path: String,
}

/// A file whose kind is to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetFileModeEntry {
    /// Path of the file.
    pub file_path: String,
    /// What kind of file it is.
    pub file_mode: FileModeTypeEnum,
}

/// The commit that was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateCommitOutput {
    /// Full id of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// Id of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_id: Option<String>,
    /// Files that are new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_added: Option<Vec<FileMetadata>>,
    /// Files that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_updated: Option<Vec<FileMetadata>>,
    /// Files that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_deleted: Option<Vec<FileMetadata>>,
}

/// A file of a commit that was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileMetadata {
    /// Path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Id of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<String>,
    /// What kind of file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<FileModeTypeEnum>,
}

/// A file to delete, in a commit of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteFileInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Name of the branch, without `refs/heads/`.
    pub branch_name: String,
    /// Path of the file.
    pub file_path: String,
    /// The commit that the branch must be at; needed where the branch has any.
    pub parent_commit_id: String,
    /// Whether a folder that loses its last file gets a `.gitkeep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_empty_folders: Option<bool>,
    /// Message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The commit that deleted it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteFileOutput {
    /// Full id of the commit.
    pub commit_id: String,
    /// Id of the blob.
    pub blob_id: String,
    /// Id of the tree.
    pub tree_id: String,
    /// Path of the file.
    pub file_path: String,
}

/// Which blob.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBlobInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Id of the blob.
    pub blob_id: String,
}

/// Its bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetBlobOutput {
    /// The bytes.
    pub content: Blob,
}

/// Which file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFileInput {
    /// Name of the repository.
    pub repository_name: String,
    /// The commit: a branch, tag, `HEAD` or id; without it the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_specifier: Option<String>,
    /// Path of the file.
    pub file_path: String,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFileOutput {
    /// Full id of the commit.
    pub commit_id: String,
    /// Id of the blob.
    pub blob_id: String,
    /// Path of the file.
    pub file_path: String,
    /// What kind of file it is.
    pub file_mode: FileModeTypeEnum,
    /// Bytes.
    pub file_size: i64,
    /// The bytes.
    pub file_content: Blob,
}

/// Which folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFolderInput {
    /// Name of the repository.
    pub repository_name: String,
    /// The commit: a branch, tag, `HEAD` or id; without it the default branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_specifier: Option<String>,
    /// Path of the folder; `/` or nothing for the root.
    pub folder_path: String,
}

/// What is in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetFolderOutput {
    /// Full id of the commit.
    pub commit_id: String,
    /// Path of the folder; `/` or nothing for the root.
    pub folder_path: String,
    /// Id of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_id: Option<String>,
    /// Folders in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_folders: Option<Vec<Folder>>,
    /// Files in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<File>>,
    /// Symbolic links in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbolic_links: Option<Vec<SymbolicLink>>,
    /// Submodules in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_modules: Option<Vec<SubModule>>,
}

/// A folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Folder {
    /// Id of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree_id: Option<String>,
    /// Path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Path from the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_path: Option<String>,
}

/// A file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Id of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<String>,
    /// Path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Path from the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_path: Option<String>,
    /// What kind of file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<FileModeTypeEnum>,
}

/// A symbolic link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolicLink {
    /// Id of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob_id: Option<String>,
    /// Path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Path from the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_path: Option<String>,
    /// What kind of file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<FileModeTypeEnum>,
}

/// A submodule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubModule {
    /// Full id of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// Path from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_path: Option<String>,
    /// Path from the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_path: Option<String>,
}

/// A file to add or change, in a commit of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutFileInput {
    /// Name of the repository.
    pub repository_name: String,
    /// Name of the branch, without `refs/heads/`.
    pub branch_name: String,
    /// The bytes.
    pub file_content: Blob,
    /// Path of the file.
    pub file_path: String,
    /// What kind of file it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<FileModeTypeEnum>,
    /// The commit that the branch must be at; needed where the branch has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_commit_id: Option<String>,
    /// Message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The commit that did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutFileOutput {
    /// Full id of the commit.
    pub commit_id: String,
    /// Id of the blob.
    pub blob_id: String,
    /// Id of the tree.
    pub tree_id: String,
}
