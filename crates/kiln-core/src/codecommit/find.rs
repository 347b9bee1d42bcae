//! From names to repositories and commits.

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    git::{ObjectId, is_branch_name, is_reference_name},
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::GitRepositoryRecord,
    repos::{ObjectKind, Repos},
};

use super::{
    document::Repository,
    error::{error, git, no_commit, no_repository},
};
use crate::{core::Inner, iam::Resource, records::Refused, runners::Runners};

/// ARN of a repository.
pub(super) fn arn(home: &Home, name: &str) -> String {
    home.arn("codecommit", name)
}

/// The name in an ARN of a repository of this account.
///
/// # Errors
/// `InvalidResourceArnException` for other texts.
pub(super) fn name_in<'a>(home: &Home, text: &'a str) -> Result<&'a str, ApiError> {
    let name = text.strip_prefix(&arn(home, ""));
    name.filter(|name| !name.is_empty()).ok_or_else(|| {
        error(
            ErrorCode::InvalidResourceArn,
            "The value for the resource ARN is not valid: it names no repository here.",
        )
    })
}

/// The repository that a caller names.
pub(super) fn find(view: &View<'_>, name: &str) -> Result<(GitRepositoryRecord, Repository), Refused> {
    let record = view.git_repository(name)?.ok_or_else(|| no_repository(name))?;
    let document = Repository::of(&record)?;
    Ok((record, document))
}

/// Changes a repository in one transaction; returns what `edit` returns.
pub(super) async fn edit<R, T, F>(inner: &Inner<R>, name: String, edit: F) -> Result<T, ApiError>
where
    R: Runners,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &mut GitRepositoryRecord, &mut Repository) -> Result<T, Refused> + Send + 'static,
{
    let now = inner.now();
    inner
        .transact(move |tx| {
            let (mut record, mut document) = find(tx, &name)?;
            let value = edit(tx, &mut record, &mut document)?;
            record.doc = document.to_json()?;
            record.modified_ms = now;
            tx.update_git_repository(&record)?;
            Ok(value)
        })
        .await
}

/// The id of the repository that a caller names.
pub(super) fn id_of<R: Runners>(inner: &Inner<R>, name: &str) -> Result<String, ApiError> {
    inner.look(|view| Ok(find(view, name)?.0.id))
}

/// The full name of a branch.
///
/// # Errors
/// `InvalidBranchNameException`.
pub(super) fn branch_reference(name: &str) -> Result<String, ApiError> {
    if is_branch_name(name) {
        return Ok(format!("refs/heads/{name}"));
    }
    Err(error(ErrorCode::InvalidBranchName, "The specified branch name is not valid."))
}

/// The commit that a text names: a full id, a branch, a tag, the full name of a reference, or `HEAD`; nothing names the
/// default branch.
///
/// # Errors
/// `InvalidCommitException`, `CommitDoesNotExistException`.
pub(super) fn commit(repos: &Repos, id: &str, text: Option<&str>) -> Result<ObjectId, ApiError> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("HEAD");
    let is_whole = text == "HEAD" || text.parse::<ObjectId>().is_ok() || is_reference_name(text);
    let candidates = if is_whole {
        vec![text.to_owned()]
    } else if is_branch_name(text) {
        vec![format!("refs/heads/{text}"), format!("refs/tags/{text}")]
    } else {
        return Err(error(ErrorCode::InvalidCommit, "The specified commit is not valid."));
    };
    for candidate in candidates {
        let found = repos.look_up(id, &format!("{candidate}^{{commit}}")).map_err(|e| git(&e))?;
        if let Some((commit, ObjectKind::Commit, _)) = found {
            return Ok(commit);
        }
    }
    Err(no_commit(text))
}

/// A repository as policies name it.
pub(crate) fn resource(view: &View<'_>, name: &str, mut found: Resource) -> Result<Resource, StoreError> {
    if let Some(record) = view.git_repository(name)? {
        found.tags = Repository::of(&record)?.tags.into_iter().collect();
    }
    Ok(found)
}
