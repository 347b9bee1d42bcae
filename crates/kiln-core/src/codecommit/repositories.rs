//! Repositories: made, described, named anew, deleted.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    codecommit::{
        BatchGetRepositoriesError, BatchGetRepositoriesErrorCodeEnum, BatchGetRepositoriesInput,
        BatchGetRepositoriesOutput, CreateRepositoryInput, CreateRepositoryOutput, DeleteRepositoryInput,
        DeleteRepositoryOutput, Empty, GetRepositoryInput, GetRepositoryOutput, ListRepositoriesInput,
        ListRepositoriesOutput, OrderEnum, RepositoryMetadata, RepositoryNameIdPair, SortByEnum,
        UpdateRepositoryDescriptionInput, UpdateRepositoryNameInput,
    },
    service::Context,
};
use kiln_store::{StoreError, metadata::GitRepositoryRecord};
use uuid::Uuid;

use super::{
    document::Repository,
    error::{blocking, error, git, no_repository},
    find::{arn, edit, find},
    tags,
};
use crate::{core::Inner, crash, page, runners::Runners};

/// Repositories of an account (AWS's quota).
const MOST: i64 = 5000;
/// Repositories that one call describes.
const MOST_NAMES: usize = 100;

fn show<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &GitRepositoryRecord,
    document: Repository,
) -> RepositoryMetadata {
    let home = &inner.config.home;
    RepositoryMetadata {
        account_id: Some(home.account.clone()),
        repository_id: Some(record.id.clone()),
        repository_name: Some(record.name.clone()),
        repository_description: document.description,
        default_branch: document.default_branch,
        last_modified_date: Some(Timestamp::from_millis(record.modified_ms)),
        creation_date: Some(Timestamp::from_millis(record.created_ms)),
        clone_url_http: Some(format!("{}/v1/repos/{}", context.origin, record.name)),
        // There is no SSH, and no key that it is encrypted with.
        clone_url_ssh: None,
        arn: Some(arn(home, &record.name)),
        kms_key_id: None,
    }
}

/// Refuses what CodeCommit does not take as a name, beyond its pattern.
fn check_name(name: &str) -> Result<(), ApiError> {
    if name.ends_with(".git") || name.chars().all(|c| c == '.') {
        return Err(error(
            ErrorCode::InvalidRepositoryName,
            "The repository name is not valid. Repository names can be any valid combination of letters, numbers, period, \
             underscore and dash. Names must be between 1 and 100 characters in length. Names cannot end in .git.",
        ));
    }
    Ok(())
}

fn exists(name: &str) -> ApiError {
    error(ErrorCode::RepositoryNameExists, format!("Repository named {name} already exists"))
}

pub(super) async fn create_repository<R: Runners>(
    inner: &Arc<Inner<R>>,
    context: &Context,
    input: CreateRepositoryInput,
) -> Result<CreateRepositoryOutput, ApiError> {
    check_name(&input.repository_name)?;
    if input.kms_key_id.is_some() {
        let message = "The requested action is not allowed: Kiln does not encrypt git repositories with keys of KMS. Leave \
                       kmsKeyId out.";
        return Err(error(ErrorCode::OperationNotAllowed, message));
    }
    let mut document = Repository::new();
    document.description = input.repository_description.filter(|text| !text.is_empty());
    tags::put(&mut document, input.tags.unwrap_or_default())?;
    let now = inner.now();
    let record = GitRepositoryRecord {
        id: Uuid::new_v4().to_string(),
        name: input.repository_name,
        created_ms: now,
        modified_ms: now,
        doc: document.to_json().map_err(|e| crate::records::refuse(&e))?,
    };
    inner.look(|view| match view.git_repository(&record.name)? {
        Some(_) => Err(exists(&record.name).into()),
        None => Ok(()),
    })?;
    // Not before what an earlier server left was looked at, which removes repositories without a record.
    inner.hosting.recovered.wait().await;
    let (repos, id) = (inner.repos.clone(), record.id.clone());
    blocking(move || repos.create(&id).map_err(|e| git(&e))).await?;
    crash::point("git_repository_made");
    let stored = record.clone();
    let inserted = inner
        .transact(move |tx| {
            if tx.git_repository_count()? >= MOST {
                let message = format!("There are {MOST} repositories, which are the most that an account may have");
                return Err(error(ErrorCode::RepositoryLimitExceeded, message).into());
            }
            match tx.insert_git_repository(&stored) {
                Err(StoreError::Exists(_)) => Err(exists(&stored.name).into()),
                other => Ok(other?),
            }
        })
        .await;
    if let Err(refused) = inserted {
        remove(inner, &record.id).await;
        return Err(refused);
    }
    Ok(CreateRepositoryOutput { repository_metadata: Some(show(inner, context, &record, document)) })
}

/// Removes the objects of a repository that has no record any more; what stays goes at the next start.
async fn remove<R: Runners>(inner: &Inner<R>, id: &str) {
    let (repos, id) = (inner.repos.clone(), id.to_owned());
    if let Err(e) = blocking(move || repos.remove(&id).map_err(|e| git(&e))).await {
        tracing::warn!(error = %e, "a git repository that was deleted stays on the disk until the next start");
    }
}

pub(super) async fn get_repository<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetRepositoryInput,
) -> Result<GetRepositoryOutput, ApiError> {
    let (record, document) = inner.look(|view| find(view, &input.repository_name))?;
    Ok(GetRepositoryOutput { repository_metadata: Some(show(inner, context, &record, document)) })
}

pub(super) async fn batch_get_repositories<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: BatchGetRepositoriesInput,
) -> Result<BatchGetRepositoriesOutput, ApiError> {
    let names = input.repository_names;
    if names.is_empty() {
        let message = "At least one repository name is required, but none was specified.";
        return Err(error(ErrorCode::RepositoryNamesRequired, message));
    }
    if names.len() > MOST_NAMES {
        let message = format!("The maximum number of allowed repository names was exceeded: {MOST_NAMES}");
        return Err(error(ErrorCode::MaximumRepositoryNamesExceeded, message));
    }
    let (mut repositories, mut missing) = (Vec::new(), Vec::new());
    inner.look(|view| {
        for name in names {
            match view.git_repository(&name)? {
                Some(record) => repositories.push(show(inner, context, &record, Repository::of(&record)?)),
                None => missing.push(name),
            }
        }
        Ok(())
    })?;
    let errors = missing.iter().map(|name| BatchGetRepositoriesError {
        repository_id: None,
        repository_name: Some(name.clone()),
        error_code: Some(BatchGetRepositoriesErrorCodeEnum::RepositoryDoesNotExist),
        error_message: Some(no_repository(name).message),
    });
    let errors: Vec<_> = errors.collect();
    Ok(BatchGetRepositoriesOutput {
        repositories: Some(repositories),
        repositories_not_found: Some(missing),
        errors: (!errors.is_empty()).then_some(errors),
    })
}

pub(super) async fn list_repositories<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListRepositoriesInput,
) -> Result<ListRepositoriesOutput, ApiError> {
    let by = input.sort_by.unwrap_or(SortByEnum::RepositoryName);
    let order = input.order.unwrap_or(OrderEnum::Ascending);
    let list = format!("ListRepositories {by} {order}");
    let after: Option<(i64, String)> = page::after(&list, input.next_token.as_deref())
        .map_err(|_| error(ErrorCode::InvalidContinuationToken, "The specified continuation token is not valid."))?;
    let key = |record: &GitRepositoryRecord| match by {
        SortByEnum::RepositoryName => (0, record.name.clone()),
        SortByEnum::LastModifiedDate => (record.modified_ms, record.name.clone()),
    };
    let mut all = inner.look(|view| Ok(view.git_repositories()?))?;
    all.sort_by_key(key);
    if order == OrderEnum::Descending {
        all.reverse();
    }
    if let Some(after) = after {
        let is_behind = |record: &GitRepositoryRecord| match order {
            OrderEnum::Ascending => key(record) > after,
            OrderEnum::Descending => key(record) < after,
        };
        all.retain(is_behind);
    }
    let has_more = all.len() > page::PAGE;
    all.truncate(page::PAGE);
    let next_token = all.last().filter(|_| has_more).and_then(|last| page::token(&list, key(last)));
    let repositories = all
        .into_iter()
        .map(|record| RepositoryNameIdPair { repository_name: Some(record.name), repository_id: Some(record.id) });
    Ok(ListRepositoriesOutput { repositories: Some(repositories.collect()), next_token })
}

pub(super) async fn delete_repository<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteRepositoryInput,
) -> Result<DeleteRepositoryOutput, ApiError> {
    let deleted = inner
        .transact(move |tx| {
            let Some(record) = tx.git_repository(&input.repository_name)? else { return Ok(None) };
            tx.delete_git_repository(&record.id)?;
            Ok(Some(record.id))
        })
        .await?;
    crash::point("git_repository_deleted");
    if let Some(id) = &deleted {
        remove(inner, id).await;
    }
    Ok(DeleteRepositoryOutput { repository_id: deleted })
}

pub(super) async fn update_repository_description<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UpdateRepositoryDescriptionInput,
) -> Result<Empty, ApiError> {
    edit(inner, input.repository_name, move |_, _, document| {
        document.description = input.repository_description.filter(|text| !text.is_empty());
        Ok(Empty {})
    })
    .await
}

pub(super) async fn update_repository_name<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UpdateRepositoryNameInput,
) -> Result<Empty, ApiError> {
    check_name(&input.new_name)?;
    edit(inner, input.old_name, move |tx, record, _| {
        if tx.git_repository(&input.new_name)?.is_some() {
            return Err(exists(&input.new_name).into());
        }
        record.name = input.new_name;
        Ok(Empty {})
    })
    .await
}
