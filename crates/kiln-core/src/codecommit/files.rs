//! Files and folders of commits.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    codecommit::{
        File, FileModeTypeEnum, Folder, GetBlobInput, GetBlobOutput, GetFileInput, GetFileOutput, GetFolderInput,
        GetFolderOutput, SubModule, SymbolicLink,
    },
    git::ObjectId,
    service::Context,
};
use kiln_store::repos::{Entry, EntryKind, ObjectKind, Repos};

use super::{
    error::{blocking, error, git},
    find::{commit, id_of},
    path,
};
use crate::{core::Inner, runners::Runners};

/// Bytes of a file that is answered (AWS's quota).
pub(super) const MOST_BYTES: u64 = 6 << 20;

fn too_large() -> ApiError {
    let message = "The specified file exceeds the file size limit for AWS CodeCommit: 6 MB. Fetch it with git instead.";
    error(ErrorCode::FileTooLarge, message)
}

/// The bytes of a file.
fn content(repos: &Repos, id: &str, blob: &ObjectId, size: u64) -> Result<Vec<u8>, ApiError> {
    if size > MOST_BYTES {
        return Err(too_large());
    }
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    repos.bytes(id, ObjectKind::Blob, blob, most).map_err(|e| git(&e))
}

/// The entry at a path, which is not empty.
pub(super) fn entry(repos: &Repos, id: &str, commit: &ObjectId, path: &str) -> Result<Option<Entry>, ApiError> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let found = repos.look_up(id, &format!("{commit}:{folder}")).map_err(|e| git(&e))?;
    let Some((tree, ObjectKind::Tree, _)) = found else { return Ok(None) };
    Ok(repos.folder(id, &tree).map_err(|e| git(&e))?.into_iter().find(|entry| entry.name == name))
}

/// AWS's name of what an entry is; `None` for what is no file.
pub(super) fn mode(kind: EntryKind) -> Option<FileModeTypeEnum> {
    match kind {
        EntryKind::File => Some(FileModeTypeEnum::Normal),
        EntryKind::Executable => Some(FileModeTypeEnum::Executable),
        EntryKind::Link => Some(FileModeTypeEnum::Symlink),
        EntryKind::Folder | EntryKind::Submodule => None,
    }
}

pub(super) async fn get_blob<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetBlobInput,
) -> Result<GetBlobOutput, ApiError> {
    let blob: ObjectId =
        input.blob_id.parse().map_err(|_| error(ErrorCode::InvalidBlobId, "The specified blob is not valid."))?;
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || match repos.look_up(&id, blob.as_str()).map_err(|e| git(&e))? {
        Some((found, ObjectKind::Blob, size)) => {
            Ok(GetBlobOutput { content: content(&repos, &id, &found, size)?.into() })
        }
        _ => Err(error(ErrorCode::BlobIdDoesNotExist, format!("Blob {blob} does not exist"))),
    })
    .await
}

pub(super) async fn get_file<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetFileInput,
) -> Result<GetFileOutput, ApiError> {
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || {
        let commit = commit(&repos, &id, input.commit_specifier.as_deref())?;
        let path = path::file(&input.file_path)?;
        let missing = || error(ErrorCode::FileDoesNotExist, format!("Could not find path {path}"));
        let entry = entry(&repos, &id, &commit, &path)?.ok_or_else(missing)?;
        let file_mode = mode(entry.kind).ok_or_else(missing)?;
        let (_, _, size) = repos.look_up(&id, entry.id.as_str()).map_err(|e| git(&e))?.ok_or_else(missing)?;
        let bytes = content(&repos, &id, &entry.id, size)?;
        Ok(GetFileOutput {
            commit_id: commit.to_string(),
            blob_id: entry.id.to_string(),
            file_path: path,
            file_mode,
            file_size: i64::try_from(size).unwrap_or(i64::MAX),
            file_content: bytes.into(),
        })
    })
    .await
}

pub(super) async fn get_folder<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetFolderInput,
) -> Result<GetFolderOutput, ApiError> {
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || {
        let commit = commit(&repos, &id, input.commit_specifier.as_deref())?;
        let path = path::clean(&input.folder_path)?;
        let found = repos.look_up(&id, &format!("{commit}:{path}")).map_err(|e| git(&e))?;
        let Some((tree, ObjectKind::Tree, _)) = found else {
            return Err(error(ErrorCode::FolderDoesNotExist, format!("Could not find path {path}")));
        };
        let (mut folders, mut files, mut links, mut modules) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for Entry { name, kind, id } in repos.folder(&id, &tree).map_err(|e| git(&e))? {
            let absolute_path = Some(if path.is_empty() { name.clone() } else { format!("{path}/{name}") });
            let (relative_path, id) = (Some(name), Some(id.to_string()));
            match kind {
                EntryKind::Folder => folders.push(Folder { tree_id: id, absolute_path, relative_path }),
                EntryKind::Submodule => modules.push(SubModule { commit_id: id, absolute_path, relative_path }),
                EntryKind::Link => {
                    let file_mode = Some(FileModeTypeEnum::Symlink);
                    links.push(SymbolicLink { blob_id: id, absolute_path, relative_path, file_mode });
                }
                EntryKind::File | EntryKind::Executable => {
                    files.push(File { blob_id: id, absolute_path, relative_path, file_mode: mode(kind) });
                }
            }
        }
        Ok(GetFolderOutput {
            commit_id: commit.to_string(),
            folder_path: path,
            tree_id: Some(tree.to_string()),
            sub_folders: Some(folders),
            files: Some(files),
            symbolic_links: Some(links),
            sub_modules: Some(modules),
        })
    })
    .await
}
