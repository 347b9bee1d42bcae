//! Commits that are made by operations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kiln_model::{
    ApiError, ErrorCode,
    codecommit::{
        CreateCommitInput, CreateCommitOutput, DeleteFileInput, DeleteFileOutput, FileMetadata, FileModeTypeEnum,
        PutFileEntry, PutFileInput, PutFileOutput,
    },
    git::{ObjectId, RefUpdate},
    service::Context,
};
use kiln_store::repos::{CommitText, EntryKind, FileChange, ObjectKind, Person, Repos};

use super::{
    branches::tip,
    error::{blocking, error, git, no_branch},
    files,
    find::{branch_reference, id_of},
    path, references,
};
use crate::{core::Inner, runners::Runners};

/// Files that one commit changes (AWS's quota).
const MOST_FILES: usize = 100;
/// Bytes of a file (AWS's quota).
const MOST_FILE_BYTES: usize = 6 << 20;
/// Bytes that one commit changes (AWS's quota).
const MOST_BYTES: usize = 7 << 20;
/// Characters of an author's name and of an address.
const LONGEST_NAME: usize = 1000;
/// Bytes of a message.
const LONGEST_MESSAGE: usize = 1 << 20;

/// Where a commit goes, and who makes it.
struct Frame {
    id: String,
    branch: String,
    reference: String,
    /// What the branch is at; `None` in an empty repository.
    parent: Option<ObjectId>,
    person: Person,
    message: String,
}

/// What a request says of a commit beside its files.
struct Says {
    repository: String,
    branch: String,
    parent: Option<String>,
    name: Option<String>,
    email: Option<String>,
    message: Option<String>,
}

fn outdated(branch: &str) -> ApiError {
    let message = format!(
        "The parent commit ID is outdated: branch {branch} has moved on. Use GetBranch to get its tip, and commit again."
    );
    error(ErrorCode::ParentCommitIdOutdated, message)
}

async fn frame<R: Runners>(inner: &Arc<Inner<R>>, context: &Context, says: Says) -> Result<Frame, ApiError> {
    let id = id_of(inner, &says.repository)?;
    let reference = branch_reference(&says.branch)?;
    let given = says.parent.filter(|text| !text.is_empty());
    let given: Option<ObjectId> = given.map(|text| text.parse()).transpose().map_err(|_| {
        error(ErrorCode::InvalidParentCommitId, "The parent commit ID is not valid: a full one is wanted.")
    })?;
    let tip = tip(inner, &id, &says.branch)?;
    match (&tip, &given) {
        (Some(_), None) => {
            let message = "A parent commit ID is required. To view the full commit ID of a branch in a repository, use \
                           GetBranch or a git command (for example, git pull or git log).";
            return Err(error(ErrorCode::ParentCommitIdRequired, message));
        }
        (Some(tip), Some(given)) if tip != given => {
            let (repos, of, wanted) = (inner.repos.clone(), id.clone(), given.clone());
            let found = blocking(move || repos.look_up(&of, wanted.as_str()).map_err(|e| git(&e))).await?;
            return Err(match found {
                Some((_, ObjectKind::Commit, _)) => outdated(&says.branch),
                _ => error(ErrorCode::ParentCommitDoesNotExist, format!("Parent commit {given} does not exist")),
            });
        }
        (None, _) => {
            let is_tag = inner.look(|view| Ok(view.git_reference(&id, &format!("refs/tags/{}", says.branch))?))?;
            if is_tag.is_some() {
                let message = format!("{} is a tag, and commits are made on branches", says.branch);
                return Err(error(ErrorCode::BranchNameIsTagName, message));
            }
            let is_empty = inner.look(|view| Ok(view.git_references(&id, "", None, 1)?.is_empty()))?;
            if !is_empty || given.is_some() {
                return Err(no_branch(&says.branch));
            }
        }
        _ => {}
    }
    let name = says.name.filter(|name| !name.is_empty()).unwrap_or_else(|| context.caller.name.clone());
    let email = says.email.unwrap_or_default();
    if name.chars().count() > LONGEST_NAME {
        return Err(error(ErrorCode::NameLengthExceeded, "The user name is not valid because it is too long."));
    }
    let is_bad = |c: char| c.is_control() || matches!(c, '<' | '>');
    if email.chars().count() > LONGEST_NAME || email.chars().any(is_bad) {
        return Err(error(ErrorCode::InvalidEmail, "The specified email address is not valid."));
    }
    let message = says.message.unwrap_or_default();
    if message.len() > LONGEST_MESSAGE || message.contains('\0') {
        let text = "The commit message is too long, or has a character that git cannot keep.";
        return Err(error(ErrorCode::CommitMessageLengthExceeded, text));
    }
    // Git takes these out of names itself, and refuses a name of which nothing is left.
    let name: String = name.chars().map(|c| if is_bad(c) { ' ' } else { c }).collect();
    let name = if name.trim().is_empty() { "unknown".to_owned() } else { name };
    let person = Person { name, email, date: format!("{} +0000", inner.now() / 1000) };
    Ok(Frame { id, branch: says.branch, reference, parent: tip, person, message })
}

/// The files of a commit, by path: mode as git writes it, and blob.
type Files = BTreeMap<String, (String, ObjectId)>;

fn files_of(repos: &Repos, frame: &Frame) -> Result<Files, ApiError> {
    let Some(parent) = &frame.parent else { return Ok(Files::new()) };
    let all = repos.differences(&frame.id, None, parent, &[]).map_err(|e| git(&e))?;
    Ok(all.into_iter().filter_map(|found| Some((found.path, found.after?))).collect())
}

/// What a commit is to do with a path.
enum Change {
    Put(EntryKind, ObjectId),
    Delete,
}

fn kind(mode: Option<FileModeTypeEnum>) -> EntryKind {
    match mode {
        Some(FileModeTypeEnum::Executable) => EntryKind::Executable,
        Some(FileModeTypeEnum::Symlink) => EntryKind::Link,
        Some(FileModeTypeEnum::Normal) | None => EntryKind::File,
    }
}

fn kind_of(mode: &str) -> EntryKind {
    match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Link,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    }
}

fn no_file(path: &str) -> ApiError {
    error(ErrorCode::FileDoesNotExist, format!("The specified file does not exist: {path}"))
}

/// Refuses a file where a folder or a submodule is, or would have to be.
fn check_place(path: &str, files: &Files, changes: &BTreeMap<String, Change>) -> Result<(), ApiError> {
    let stays = |path: &str| match changes.get(path) {
        Some(Change::Put(kind, _)) => Some(*kind),
        Some(Change::Delete) => None,
        None => files.get(path).map(|(mode, _)| kind_of(mode)),
    };
    if stays(path) == Some(EntryKind::Submodule) {
        let message = format!("There is a submodule at {path}");
        return Err(error(ErrorCode::FilePathConflictsWithSubmodulePath, message));
    }
    for (at, _) in path.match_indices('/') {
        let above = path.get(..at).unwrap_or_default();
        match stays(above) {
            None => {}
            Some(EntryKind::Submodule) => {
                let message = format!("There is a submodule at {above}");
                return Err(error(ErrorCode::FilePathConflictsWithSubmodulePath, message));
            }
            Some(_) => {
                let message = format!("There is a file at {above}, which would have to be a folder for {path}");
                return Err(error(ErrorCode::DirectoryNameConflictsWithFileName, message));
            }
        }
    }
    let below = format!("{path}/");
    let mut inside = files.keys().chain(changes.keys()).filter(|other| other.starts_with(&below));
    if inside.any(|other| stays(other).is_some()) {
        return Err(error(ErrorCode::FileNameConflictsWithDirectoryName, format!("There is a folder at {path}")));
    }
    Ok(())
}

/// Folders that lose their last file get a `.gitkeep`.
fn keep_folders(
    repos: &Repos,
    id: &str,
    files: &Files,
    changes: &mut BTreeMap<String, Change>,
) -> Result<(), ApiError> {
    let mut folders = BTreeSet::new();
    for (path, change) in changes.iter() {
        if let (Change::Delete, Some((folder, _))) = (change, path.rsplit_once('/')) {
            folders.insert(format!("{folder}/"));
        }
    }
    for folder in folders {
        let stays = files.keys().any(|path| path.starts_with(&folder) && !changes.contains_key(path));
        let comes = changes.iter().any(|(path, change)| path.starts_with(&folder) && matches!(change, Change::Put(..)));
        // Nor where a file takes the place of the folder, or of one above.
        let mut above = folder.match_indices('/').filter_map(|(at, _)| changes.get(folder.get(..at)?));
        let is_replaced = above.any(|change| matches!(change, Change::Put(..)));
        if !stays && !comes && !is_replaced {
            let blob = repos.put_blob(id, b"").map_err(|e| git(&e))?;
            changes.insert(format!("{folder}.gitkeep"), Change::Put(EntryKind::File, blob));
        }
    }
    Ok(())
}

/// Stores the commit; its id and its folder's.
fn store(repos: &Repos, frame: &Frame, changes: BTreeMap<String, Change>) -> Result<(ObjectId, ObjectId), ApiError> {
    // Deletions first: a file may take the place of a folder.
    let mut all: Vec<FileChange> = changes
        .into_iter()
        .map(|(path, change)| match change {
            Change::Put(kind, blob) => FileChange { path, to: Some((kind, blob)) },
            Change::Delete => FileChange { path, to: None },
        })
        .collect();
    all.sort_by_key(|change| change.to.is_some());
    let tree = repos.put_tree(&frame.id, frame.parent.as_ref(), &all).map_err(|e| git(&e))?;
    if let Some(parent) = &frame.parent
        && repos.commit(&frame.id, parent).map_err(|e| git(&e))?.tree == tree
    {
        let message = "The commit cannot be created because no changes will be made to the repository as a result of this \
                       commit.";
        return Err(error(ErrorCode::NoChange, message));
    }
    let parents: Vec<ObjectId> = frame.parent.clone().into_iter().collect();
    let text = CommitText { person: &frame.person, message: &frame.message };
    let commit = repos.put_commit(&frame.id, &tree, &parents, &text).map_err(|e| git(&e))?;
    Ok((commit, tree))
}

/// Moves the branch to a commit.
async fn advance<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    frame: &Frame,
    commit: &ObjectId,
) -> Result<(), ApiError> {
    let (old, new) = (frame.parent.clone(), Some(commit.clone()));
    let update = RefUpdate { name: frame.reference.clone(), old, new };
    references::change(inner, &frame.id, update, &context.caller.arn, || outdated(&frame.branch)).await
}

pub(super) async fn put_file<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: PutFileInput,
) -> Result<PutFileOutput, ApiError> {
    let path = path::file(&input.file_path)?;
    if input.file_content.0.is_empty() {
        let message = "The file cannot be added because it is empty. Empty files cannot be added to the repository with this API.";
        return Err(error(ErrorCode::FileContentRequired, message));
    }
    let says = Says {
        repository: input.repository_name,
        branch: input.branch_name,
        parent: input.parent_commit_id,
        name: input.name,
        email: input.email,
        message: input.commit_message,
    };
    let frame = Arc::new(frame(inner, context, says).await?);
    let (repos, of) = (inner.repos.clone(), Arc::clone(&frame));
    let (commit, tree, blob) = blocking(move || {
        let files = files_of(&repos, &of)?;
        check_place(&path, &files, &BTreeMap::new())?;
        let blob = repos.put_blob(&of.id, &input.file_content.0).map_err(|e| git(&e))?;
        let kind = kind(input.file_mode);
        if files.get(&path).is_some_and(|(mode, is)| *is == blob && kind_of(mode) == kind) {
            let message = "The file was not added or updated either because the content of the file is exactly the same as \
                           the content of that file in the repository and branch that you specified.";
            return Err(error(ErrorCode::SameFileContent, message));
        }
        let changes = BTreeMap::from([(path, Change::Put(kind, blob.clone()))]);
        let (commit, tree) = store(&repos, &of, changes)?;
        Ok((commit, tree, blob))
    })
    .await?;
    advance(inner, context, &frame, &commit).await?;
    Ok(PutFileOutput { commit_id: commit.to_string(), blob_id: blob.to_string(), tree_id: tree.to_string() })
}

pub(super) async fn delete_file<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: DeleteFileInput,
) -> Result<DeleteFileOutput, ApiError> {
    let path = path::file(&input.file_path)?;
    let keep = input.keep_empty_folders.unwrap_or(false);
    let says = Says {
        repository: input.repository_name,
        branch: input.branch_name,
        parent: Some(input.parent_commit_id),
        name: input.name,
        email: input.email,
        message: input.commit_message,
    };
    let frame = Arc::new(frame(inner, context, says).await?);
    let (repos, of, named) = (inner.repos.clone(), Arc::clone(&frame), path.clone());
    let (commit, tree, blob) = blocking(move || {
        let files = files_of(&repos, &of)?;
        let (_, blob) = files.get(&named).cloned().ok_or_else(|| no_file(&named))?;
        let mut changes = BTreeMap::from([(named, Change::Delete)]);
        if keep {
            keep_folders(&repos, &of.id, &files, &mut changes)?;
        }
        let (commit, tree) = store(&repos, &of, changes)?;
        Ok((commit, tree, blob))
    })
    .await?;
    advance(inner, context, &frame, &commit).await?;
    Ok(DeleteFileOutput {
        commit_id: commit.to_string(),
        blob_id: blob.to_string(),
        tree_id: tree.to_string(),
        file_path: path,
    })
}

/// The changes that a commit makes.
fn planned(
    repos: &Repos,
    frame: &Frame,
    files: &Files,
    input: &CreateCommitInput,
) -> Result<BTreeMap<String, Change>, ApiError> {
    let (puts, deletes) =
        (input.put_files.as_deref().unwrap_or_default(), input.delete_files.as_deref().unwrap_or_default());
    let modes = input.set_file_modes.as_deref().unwrap_or_default();
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    let twice = |path: &str| error(ErrorCode::SamePathRequest, format!("The path {path} stands twice in the request"));
    for delete in deletes {
        let path = path::file(&delete.file_path)?;
        if !files.contains_key(&path) {
            return Err(no_file(&path));
        }
        if changes.insert(path.clone(), Change::Delete).is_some() {
            return Err(twice(&path));
        }
    }
    for mode in modes {
        let path = path::file(&mode.file_path)?;
        let (_, blob) = files.get(&path).ok_or_else(|| no_file(&path))?;
        if changes.insert(path.clone(), Change::Put(kind(Some(mode.file_mode)), blob.clone())).is_some() {
            return Err(twice(&path));
        }
    }
    let (mut put, mut moved) = (BTreeSet::new(), BTreeSet::new());
    for entry in puts {
        let path = path::file(&entry.file_path)?;
        if !put.insert(path.clone()) {
            let message = format!("The commit cannot be created because {path} is put twice");
            return Err(error(ErrorCode::PutFileEntryConflict, message));
        }
        if changes.contains_key(&path) && !moved.contains(&path) {
            return Err(twice(&path));
        }
        let (kind, blob, from) = content(repos, frame, files, entry)?;
        if let Some(from) = from {
            if put.contains(&from) || changes.contains_key(&from) && !moved.contains(&from) {
                let message =
                    format!("The commit cannot be created because {from}, which is moved, is changed as well");
                return Err(error(ErrorCode::RestrictedSourceFile, message));
            }
            moved.insert(from.clone());
            changes.insert(from, Change::Delete);
        }
        changes.insert(path, Change::Put(kind, blob));
    }
    for path in &put {
        check_place(path, files, &changes)?;
    }
    Ok(changes)
}

/// What a file is to have, and the file that is moved there.
fn content(
    repos: &Repos,
    frame: &Frame,
    files: &Files,
    entry: &PutFileEntry,
) -> Result<(EntryKind, ObjectId, Option<String>), ApiError> {
    match (&entry.file_content, &entry.source_file) {
        (Some(_), Some(_)) => {
            let message = "The commit cannot be created because both a source file and file content have been specified for \
                           the same file. You cannot provide both. Either specify a source file, or provide the file content \
                           directly.";
            Err(error(ErrorCode::FileContentAndSourceFileSpecified, message))
        }
        (None, None) => {
            let message = "The commit cannot be created because no source files or file content have been specified for the \
                           commit.";
            Err(error(ErrorCode::SourceFileOrContentRequired, message))
        }
        (Some(bytes), None) => {
            if bytes.0.len() > MOST_FILE_BYTES {
                let message = "The file cannot be added because it is too large. The maximum file size is 6 MB.";
                return Err(error(ErrorCode::FileContentSizeLimitExceeded, message));
            }
            let blob = repos.put_blob(&frame.id, &bytes.0).map_err(|e| git(&e))?;
            Ok((kind(entry.file_mode), blob, None))
        }
        (None, Some(source)) => {
            let from = path::file(&source.file_path)?;
            let (mode, blob) = files.get(&from).ok_or_else(|| no_file(&from))?;
            let kind = entry.file_mode.map_or_else(|| kind_of(mode), |mode| kind(Some(mode)));
            Ok((kind, blob.clone(), source.is_move.unwrap_or(false).then_some(from)))
        }
    }
}

pub(super) async fn create_commit<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    mut input: CreateCommitInput,
) -> Result<CreateCommitOutput, ApiError> {
    let count = input.put_files.as_ref().map_or(0, Vec::len)
        + input.delete_files.as_ref().map_or(0, Vec::len)
        + input.set_file_modes.as_ref().map_or(0, Vec::len);
    if count == 0 {
        let message = "The commit cannot be created because no files have been specified as added, updated, or changed \
                       (PutFile or DeleteFile) for the commit.";
        return Err(error(ErrorCode::FileEntryRequired, message));
    }
    if count > MOST_FILES {
        let message = format!(
            "The number of specified files to change as part of this commit exceeds the maximum number of files that can be \
             changed in a single commit: {MOST_FILES}. Consider using a Git client for these changes."
        );
        return Err(error(ErrorCode::MaximumFileEntriesExceeded, message));
    }
    let contents = input.put_files.iter().flatten().filter_map(|entry| entry.file_content.as_ref());
    if contents.map(|content| content.0.len()).sum::<usize>() > MOST_BYTES {
        let message = "The commit cannot be created because at least one of the overall changes in the commit results in a \
                       folder whose contents exceed the limit of 7 MB.";
        return Err(error(ErrorCode::FolderContentSizeLimitExceeded, message));
    }
    let says = Says {
        repository: std::mem::take(&mut input.repository_name),
        branch: std::mem::take(&mut input.branch_name),
        parent: input.parent_commit_id.take(),
        name: input.author_name.take(),
        email: input.email.take(),
        message: input.commit_message.take(),
    };
    let frame = Arc::new(frame(inner, context, says).await?);
    let (repos, of) = (inner.repos.clone(), Arc::clone(&frame));
    let (commit, answer) = blocking(move || {
        let files = files_of(&repos, &of)?;
        let mut changes = planned(&repos, &of, &files, &input)?;
        if input.keep_empty_folders.unwrap_or(false) {
            keep_folders(&repos, &of.id, &files, &mut changes)?;
        }
        let (mut added, mut updated, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        for (path, change) in &changes {
            let before = files.get(path);
            let (blob, kind) = match change {
                Change::Put(kind, blob) => (blob, *kind),
                Change::Delete => match before {
                    Some((mode, blob)) => (blob, kind_of(mode)),
                    None => continue,
                },
            };
            let metadata = FileMetadata {
                absolute_path: Some(path.clone()),
                blob_id: Some(blob.to_string()),
                file_mode: files::mode(kind),
            };
            match (change, before) {
                (Change::Delete, _) => deleted.push(metadata),
                (Change::Put(..), None) => added.push(metadata),
                (Change::Put(..), Some(_)) => updated.push(metadata),
            }
        }
        let (commit, tree) = store(&repos, &of, changes)?;
        let answer = CreateCommitOutput {
            commit_id: Some(commit.to_string()),
            tree_id: Some(tree.to_string()),
            files_added: Some(added),
            files_updated: Some(updated),
            files_deleted: Some(deleted),
        };
        Ok((commit, answer))
    })
    .await?;
    advance(inner, context, &frame, &commit).await?;
    Ok(answer)
}
