//! Lifecycle policies: which images go by themselves.

mod evaluate;
mod rules;

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    ecr::{
        DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse, GetLifecyclePolicyPreviewRequest,
        GetLifecyclePolicyPreviewResponse, GetLifecyclePolicyRequest, GetLifecyclePolicyResponse, ImageActionType,
        ImageIdentifier, LifecyclePolicyPreviewResult, LifecyclePolicyPreviewStatus, LifecyclePolicyPreviewSummary,
        LifecyclePolicyRuleAction, PutLifecyclePolicyRequest, PutLifecyclePolicyResponse,
        StartLifecyclePolicyPreviewRequest, StartLifecyclePolicyPreviewResponse, TagStatus,
    },
    service::Context,
};
use kiln_store::{StoreError, View};

use self::{
    evaluate::{Candidate, Expired, evaluate},
    rules::Rules,
};
use super::{
    document::Repository,
    error::{error, invalid},
    find::{edit, find},
    images::{self, Deleted},
    list::{each, end, most, start},
};
use crate::{core::Inner, crash, lifecycle::Millis, runners::Runners};

pub(super) use self::rules::is_like;

/// Repositories that are read at once.
const BATCH: usize = 100;
/// Images that are deleted in one transaction.
const AT_ONCE: usize = 100;

fn parsed(text: &str) -> Result<Rules, ApiError> {
    Rules::parse(text)
        .map_err(|problem| invalid("LifecyclePolicyText", &format!("Lifecycle policy validation failure: {problem}")))
}

fn not_found(name: &str, account: &str) -> ApiError {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    );
    error(ErrorCode::LifecyclePolicyNotFound, message)
}

/// The images of a repository, as rules look at them.
fn candidates(view: &View<'_>, repository: &str) -> Result<Vec<Candidate>, StoreError> {
    let mut all = Vec::new();
    each(view, repository, None, |image, tags| {
        let is_needed = view.is_part_of_image(repository, &image.digest)?;
        all.push(Candidate {
            digest: image.digest,
            tags,
            pushed_ms: image.pushed_ms,
            pulled_ms: image.pulled_ms,
            is_needed,
        });
        Ok(true)
    })?;
    Ok(all)
}

pub(super) async fn put_lifecycle_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutLifecyclePolicyRequest,
) -> Result<PutLifecyclePolicyResponse, ApiError> {
    let (name, text) = (input.repository_name, input.lifecycle_policy_text);
    parsed(&text)?;
    let stored = text.clone();
    edit(inner, input.registry_id, name.clone(), move |_, document| {
        document.lifecycle = Some(stored);
        document.evaluated_ms = None;
        Ok(())
    })
    .await?;
    Ok(PutLifecyclePolicyResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(name),
        lifecycle_policy_text: Some(text),
    })
}

pub(super) async fn get_lifecycle_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetLifecyclePolicyRequest,
) -> Result<GetLifecyclePolicyResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document) =
        inner.look(|view| find(view, home, input.registry_id.as_deref(), &input.repository_name))?;
    let text = document.lifecycle.ok_or_else(|| not_found(&record.name, &home.account))?;
    Ok(GetLifecyclePolicyResponse {
        registry_id: Some(home.account.clone()),
        repository_name: Some(record.name),
        lifecycle_policy_text: Some(text),
        last_evaluated_at: document.evaluated_ms.map(Timestamp::from_millis),
    })
}

pub(super) async fn delete_lifecycle_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteLifecyclePolicyRequest,
) -> Result<DeleteLifecyclePolicyResponse, ApiError> {
    let (name, account) = (input.repository_name, inner.config.home.account.clone());
    let (told, of) = (name.clone(), account.clone());
    let (text, evaluated) = edit(inner, input.registry_id, name.clone(), move |_, document| {
        let text = document.lifecycle.take().ok_or_else(|| not_found(&told, &of))?;
        Ok((text, document.evaluated_ms.take()))
    })
    .await?;
    Ok(DeleteLifecyclePolicyResponse {
        registry_id: Some(account),
        repository_name: Some(name),
        lifecycle_policy_text: Some(text),
        last_evaluated_at: evaluated.map(Timestamp::from_millis),
    })
}

pub(super) async fn start_lifecycle_policy_preview<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: StartLifecyclePolicyPreviewRequest,
) -> Result<StartLifecyclePolicyPreviewResponse, ApiError> {
    let (name, account) = (input.repository_name, inner.config.home.account.clone());
    let (told, of, given) = (name.clone(), account.clone(), input.lifecycle_policy_text);
    if let Some(text) = &given {
        parsed(text)?;
    }
    let text = edit(inner, input.registry_id, name.clone(), move |_, document| {
        let text = given.or_else(|| document.lifecycle.clone()).ok_or_else(|| not_found(&told, &of))?;
        document.preview = Some(text.clone());
        Ok(text)
    })
    .await?;
    Ok(StartLifecyclePolicyPreviewResponse {
        registry_id: Some(account),
        repository_name: Some(name),
        lifecycle_policy_text: Some(text),
        // It is made when it is read.
        status: Some(LifecyclePolicyPreviewStatus::Complete),
    })
}

pub(super) async fn get_lifecycle_policy_preview<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetLifecyclePolicyPreviewRequest,
) -> Result<GetLifecyclePolicyPreviewResponse, ApiError> {
    let home = &inner.config.home;
    let now = inner.now();
    let name = input.repository_name;
    let (text, all) = inner.look(|view| {
        let (record, document) = find(view, home, input.registry_id.as_deref(), &name)?;
        let text = document.preview.ok_or_else(|| {
            let message = format!(
                "Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with id \
                 '{}'",
                home.account
            );
            error(ErrorCode::LifecyclePolicyPreviewNotFound, message)
        })?;
        Ok((text, candidates(view, &record.name)?))
    })?;
    let expired = evaluate(&parsed(&text)?, &all, now);
    let count = i32::try_from(expired.len()).unwrap_or(i32::MAX);
    let by_digest: BTreeMap<&str, &Candidate> = all.iter().map(|image| (image.digest.as_str(), image)).collect();
    let list = format!("preview {name}");
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let status = input.filter.and_then(|filter| filter.tag_status).unwrap_or(TagStatus::Any);
    let asked = input.image_ids;
    let is_asked = |image: &Candidate| {
        let is = |id: &ImageIdentifier| {
            id.image_digest.as_ref().is_none_or(|digest| *digest == image.digest)
                && id.image_tag.as_ref().is_none_or(|tag| image.tags.contains(tag))
        };
        asked.as_ref().is_none_or(|ids| ids.iter().any(is))
            && match status {
                TagStatus::Any => true,
                TagStatus::Tagged => !image.tags.is_empty(),
                TagStatus::Untagged => image.tags.is_empty(),
            }
    };
    let mut results = Vec::new();
    for Expired { digest, priority } in expired {
        let Some(image) = by_digest.get(digest.as_str()).filter(|image| is_asked(image)) else { continue };
        if after.as_ref().is_some_and(|after| digest <= *after) {
            continue;
        }
        results.push(LifecyclePolicyPreviewResult {
            image_tags: Some(image.tags.clone()),
            image_digest: Some(digest),
            image_pushed_at: Some(Timestamp::from_millis(image.pushed_ms)),
            action: Some(LifecyclePolicyRuleAction { r#type: Some(ImageActionType::Expire) }),
            applied_rule_priority: i32::try_from(priority).ok(),
        });
    }
    let next_token = end(&list, &mut results, most(input.max_results), |result| result.image_digest.clone());
    Ok(GetLifecyclePolicyPreviewResponse {
        registry_id: Some(home.account.clone()),
        repository_name: Some(name),
        lifecycle_policy_text: Some(text),
        status: Some(LifecyclePolicyPreviewStatus::Complete),
        next_token,
        preview_results: Some(results),
        summary: Some(LifecyclePolicyPreviewSummary { expiring_image_total_count: Some(count) }),
    })
}

/// Deletes the images that the policies of all repositories are done with; returns how many.
pub(super) fn apply_all<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let (mut after, mut count) = (None::<String>, 0);
    while !inner.is_stopping() {
        let page = inner.metadata.read(|view| view.repositories(after.as_deref(), BATCH))?;
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
        for record in page {
            let Some(text) = Repository::of(&record)?.lifecycle else { continue };
            count += apply(inner, &record.name, &text)?;
        }
    }
    Ok(count)
}

fn apply<R: Runners>(inner: &Inner<R>, name: &str, text: &str) -> Result<usize, StoreError> {
    let now: Millis = inner.now();
    let rules = match Rules::parse(text) {
        Ok(rules) => rules,
        Err(problem) => {
            tracing::warn!(repository = name, problem, "a lifecycle policy cannot be read, and is not applied");
            return Ok(0);
        }
    };
    let expired = evaluate(&rules, &inner.metadata.read(|view| candidates(view, name))?, now);
    let mut count = 0;
    for chunk in expired.chunks(AT_ONCE) {
        let (name, chunk) = (name.to_owned(), chunk.to_vec());
        let rules = rules.clone();
        count += inner.metadata.write_blocking(move |tx| {
            // Tags may have been put on images since; what they say then is decided again.
            let still = evaluate(&rules, &candidates(tx, &name)?, now);
            let mut count = 0;
            for gone in chunk.iter().filter(|gone| still.iter().any(|other| other.digest == gone.digest)) {
                let id = ImageIdentifier { image_digest: Some(gone.digest.clone()), image_tag: None };
                match images::delete(tx, &name, &id, now) {
                    Ok(Deleted::Gone(_)) => count += 1,
                    Ok(Deleted::Stays(..)) | Err(crate::records::Refused::Api(_)) => {}
                    Err(crate::records::Refused::Store(e)) => return Err(e),
                }
            }
            Ok(count)
        })?;
    }
    crash::point("images_expired");
    let (name, text) = (name.to_owned(), text.to_owned());
    inner.metadata.write_blocking(move |tx| {
        let Some(mut record) = tx.repository(&name)? else { return Ok(()) };
        let mut document = Repository::of(&record)?;
        if document.lifecycle.as_ref() == Some(&text) {
            document.evaluated_ms = Some(now);
            record.doc = document.to_json()?;
            tx.update_repository(&record)?;
        }
        Ok(())
    })?;
    Ok(count)
}
