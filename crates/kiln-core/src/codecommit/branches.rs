//! Branches.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    codecommit::{
        BranchInfo, CreateBranchInput, DeleteBranchInput, DeleteBranchOutput, Empty, GetBranchInput, GetBranchOutput,
        ListBranchesInput, ListBranchesOutput, UpdateDefaultBranchInput,
    },
    git::{ObjectId, RefUpdate},
    service::Context,
};
use kiln_store::repos::ObjectKind;

use super::{
    error::{blocking, error, git, no_branch, no_commit},
    find::{branch_reference, edit, find, id_of},
    references,
};
use crate::{core::Inner, page, runners::Runners};

const HEADS: &str = "refs/heads/";

/// What a branch is at.
pub(super) fn tip<R: Runners>(inner: &Inner<R>, id: &str, branch: &str) -> Result<Option<ObjectId>, ApiError> {
    let reference = branch_reference(branch)?;
    let target = inner.look(|view| Ok(view.git_reference(id, &reference)?))?;
    Ok(target.and_then(|target| target.parse().ok()))
}

pub(super) async fn create_branch<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: CreateBranchInput,
) -> Result<Empty, ApiError> {
    let id = id_of(inner, &input.repository_name)?;
    let reference = branch_reference(&input.branch_name)?;
    let commit: ObjectId = input.commit_id.parse().map_err(|_| {
        error(ErrorCode::InvalidCommitId, "The specified commit ID is not valid: a full one is wanted.")
    })?;
    if tip(inner, &id, &input.branch_name)?.is_some() {
        let message = format!("Branch {} already exists", input.branch_name);
        return Err(error(ErrorCode::BranchNameExists, message));
    }
    let (repos, of, wanted) = (inner.repos.clone(), id.clone(), commit.clone());
    let found = blocking(move || repos.look_up(&of, wanted.as_str()).map_err(|e| git(&e))).await?;
    if !matches!(found, Some((_, ObjectKind::Commit, _))) {
        return Err(no_commit(commit.as_str()));
    }
    let update = RefUpdate { name: reference, old: None, new: Some(commit) };
    let moved = || error(ErrorCode::BranchNameExists, format!("Branch {} already exists", input.branch_name));
    references::change(inner, &id, update, &context.caller.arn, moved).await?;
    Ok(Empty {})
}

pub(super) async fn get_branch<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetBranchInput,
) -> Result<GetBranchOutput, ApiError> {
    let name = input.repository_name.unwrap_or_default();
    if name.is_empty() {
        let message = "A repository name is required, but was not specified.";
        return Err(error(ErrorCode::RepositoryNameRequired, message));
    }
    let branch = input.branch_name.unwrap_or_default();
    if branch.is_empty() {
        return Err(error(ErrorCode::BranchNameRequired, "A branch name is required, but was not specified."));
    }
    let id = id_of(inner, &name)?;
    let commit = tip(inner, &id, &branch)?.ok_or_else(|| no_branch(&branch))?;
    let branch = BranchInfo { branch_name: Some(branch), commit_id: Some(commit.to_string()) };
    Ok(GetBranchOutput { branch: Some(branch) })
}

pub(super) async fn list_branches<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListBranchesInput,
) -> Result<ListBranchesOutput, ApiError> {
    let list = format!("ListBranches {}", input.repository_name);
    let after: Option<String> = page::after(&list, input.next_token.as_deref())
        .map_err(|_| error(ErrorCode::InvalidContinuationToken, "The specified continuation token is not valid."))?;
    let mut found = inner.look(|view| {
        let (record, _) = find(view, &input.repository_name)?;
        Ok(view.git_references(&record.id, HEADS, after.as_deref(), page::PAGE + 1)?)
    })?;
    let has_more = found.len() > page::PAGE;
    found.truncate(page::PAGE);
    let next_token = found.last().filter(|_| has_more).and_then(|(name, _)| page::token(&list, name));
    let names = found.iter().map(|(name, _)| name.strip_prefix(HEADS).unwrap_or(name).to_owned());
    Ok(ListBranchesOutput { branches: Some(names.collect()), next_token })
}

pub(super) async fn delete_branch<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: DeleteBranchInput,
) -> Result<DeleteBranchOutput, ApiError> {
    let (record, document) = inner.look(|view| find(view, &input.repository_name))?;
    let reference = branch_reference(&input.branch_name)?;
    if document.default_branch.as_deref() == Some(input.branch_name.as_str()) {
        let message = format!(
            "Branch {} is the default branch of the repository and cannot be deleted. Make another one the default first.",
            input.branch_name
        );
        return Err(error(ErrorCode::DefaultBranchCannotBeDeleted, message));
    }
    let Some(commit) = tip(inner, &record.id, &input.branch_name)? else {
        return Ok(DeleteBranchOutput { deleted_branch: None });
    };
    let update = RefUpdate { name: reference, old: Some(commit.clone()), new: None };
    let moved = || ApiError::unavailable("The branch was changed at the same moment; try again");
    references::change(inner, &record.id, update, &context.caller.arn, moved).await?;
    let branch = BranchInfo { branch_name: Some(input.branch_name), commit_id: Some(commit.to_string()) };
    Ok(DeleteBranchOutput { deleted_branch: Some(branch) })
}

pub(super) async fn update_default_branch<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UpdateDefaultBranchInput,
) -> Result<Empty, ApiError> {
    let branch = input.default_branch_name;
    let reference = branch_reference(&branch)?;
    let named = branch.clone();
    let id = edit(inner, input.repository_name, move |tx, record, document| {
        if tx.git_reference(&record.id, &reference)?.is_none() {
            return Err(no_branch(&named).into());
        }
        document.default_branch = Some(named);
        Ok(record.id.clone())
    })
    .await?;
    // Made up for at the next start where this fails.
    let repos = inner.repos.clone();
    blocking(move || repos.set_head(&id, &branch).map_err(|e| git(&e))).await?;
    Ok(Empty {})
}
