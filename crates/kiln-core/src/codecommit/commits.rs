//! Commits, and what differs between them.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    codecommit::{
        BatchGetCommitsError, BatchGetCommitsInput, BatchGetCommitsOutput, BlobMetadata, ChangeTypeEnum, Commit,
        Difference, GetCommitInput, GetCommitOutput, GetDifferencesInput, GetDifferencesOutput, UserInfo,
    },
    git::ObjectId,
    service::Context,
};
use kiln_store::repos::{ObjectKind, Person, RawDifference, Repos};

use super::{
    error::{blocking, error, git},
    find::{commit, id_of},
    path,
};
use crate::{core::Inner, page, runners::Runners};

/// Commits that one call describes (AWS's quota).
const MOST_COMMITS: usize = 100;

fn person(person: Person) -> UserInfo {
    UserInfo { name: Some(person.name), email: Some(person.email), date: Some(person.date) }
}

fn show(id: &ObjectId, commit: kiln_store::repos::Commit) -> Commit {
    Commit {
        commit_id: Some(id.to_string()),
        tree_id: Some(commit.tree.to_string()),
        parents: Some(commit.parents.iter().map(ToString::to_string).collect()),
        message: Some(commit.message),
        author: Some(person(commit.author)),
        committer: Some(person(commit.committer)),
        additional_data: Some(commit.others),
    }
}

/// The commit with that id, or the only one whose id begins so.
fn by_id(repos: &Repos, id: &str, text: &str) -> Result<(ObjectId, kiln_store::repos::Commit), ApiError> {
    let is_id = (4..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id {
        return Err(error(ErrorCode::InvalidCommitId, "The specified commit ID is not valid."));
    }
    let missing = || error(ErrorCode::CommitIdDoesNotExist, format!("Commit ID {text} does not exist"));
    match repos.look_up(id, &text.to_ascii_lowercase()).map_err(|e| git(&e))? {
        Some((found, ObjectKind::Commit, _)) => {
            let commit = repos.commit(id, &found).map_err(|e| git(&e))?;
            Ok((found, commit))
        }
        _ => Err(missing()),
    }
}

pub(super) async fn get_commit<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetCommitInput,
) -> Result<GetCommitOutput, ApiError> {
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || {
        let (found, commit) = by_id(&repos, &id, &input.commit_id)?;
        Ok(GetCommitOutput { commit: show(&found, commit) })
    })
    .await
}

pub(super) async fn batch_get_commits<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: BatchGetCommitsInput,
) -> Result<BatchGetCommitsOutput, ApiError> {
    if input.commit_ids.is_empty() {
        let message = "A list of commit IDs is required, but was either not specified or the list was empty.";
        return Err(error(ErrorCode::CommitIdsListRequired, message));
    }
    if input.commit_ids.len() > MOST_COMMITS {
        let message = format!("The maximum number of allowed commit IDs in a batch request is {MOST_COMMITS}.");
        return Err(error(ErrorCode::CommitIdsLimitExceeded, message));
    }
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || {
        let (mut commits, mut errors) = (Vec::new(), Vec::new());
        for text in input.commit_ids {
            match by_id(&repos, &id, &text) {
                Ok((found, commit)) => commits.push(show(&found, commit)),
                Err(e) if e.code.http_status() >= 500 => return Err(e),
                Err(e) => errors.push(BatchGetCommitsError {
                    commit_id: Some(text),
                    error_code: Some(e.code.as_str().to_owned()),
                    error_message: Some(e.message),
                }),
            }
        }
        Ok(BatchGetCommitsOutput { commits: Some(commits), errors: Some(errors) })
    })
    .await
}

fn difference(found: RawDifference) -> Difference {
    let RawDifference { path, before, after } = found;
    let change = match (&before, &after) {
        (None, _) => ChangeTypeEnum::Added,
        (_, None) => ChangeTypeEnum::Deleted,
        _ => ChangeTypeEnum::Modified,
    };
    let side = |(mode, id): (String, ObjectId)| BlobMetadata {
        blob_id: Some(id.to_string()),
        path: Some(path.clone()),
        mode: Some(mode),
    };
    Difference { before_blob: before.map(side), after_blob: after.map(side), change_type: Some(change) }
}

pub(super) async fn get_differences<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: GetDifferencesInput,
) -> Result<GetDifferencesOutput, ApiError> {
    let most = match input.max_results {
        None => page::PAGE,
        Some(number) => usize::try_from(number).ok().filter(|number| (1..=400).contains(number)).ok_or_else(|| {
            error(ErrorCode::InvalidMaxResults, "The specified number of maximum results is not valid: 1 to 400.")
        })?,
    };
    let (repos, id) = (inner.repos.clone(), id_of(inner, &input.repository_name)?);
    blocking(move || {
        let before = input.before_commit_specifier.as_deref().filter(|text| !text.is_empty());
        let before = before.map(|text| commit(&repos, &id, Some(text))).transpose()?;
        let after = commit(&repos, &id, Some(&input.after_commit_specifier))?;
        let mut paths = Vec::new();
        for given in [&input.before_path, &input.after_path].into_iter().flatten() {
            let path = path::clean(given)?;
            if !path.is_empty() {
                paths.push(path);
            }
        }
        let named: Vec<&str> = paths.iter().map(String::as_str).collect();
        let list = format!("GetDifferences {id} {before:?} {after} {paths:?}");
        let behind: Option<String> = page::after(&list, input.next_token.as_deref()).map_err(|_| {
            error(ErrorCode::InvalidContinuationToken, "The specified continuation token is not valid.")
        })?;
        let mut found = repos.differences(&id, before.as_ref(), &after, &named).map_err(|e| git(&e))?;
        if found.is_empty() && !paths.is_empty() {
            // A path that neither commit has is a mistake; one that is the same in both is not.
            let has =
                |commit: &ObjectId, path: &str| repos.look_up(&id, &format!("{commit}:{path}")).map_err(|e| git(&e));
            for path in &named {
                let in_before = before.as_ref().map(|commit| has(commit, path)).transpose()?.flatten();
                if in_before.is_none() && has(&after, path)?.is_none() {
                    return Err(error(ErrorCode::PathDoesNotExist, format!("Path {path} does not exist")));
                }
            }
        }
        // Git's order is that of bytes, as that of texts is.
        if let Some(behind) = behind {
            let at = found.iter().position(|difference| difference.path == behind).map_or(found.len(), |at| at + 1);
            found.drain(..at);
        }
        let has_more = found.len() > most;
        found.truncate(most);
        let next_token = found.last().filter(|_| has_more).and_then(|last| page::token(&list, &last.path));
        Ok(GetDifferencesOutput { differences: Some(found.into_iter().map(difference).collect()), next_token })
    })
    .await
}
