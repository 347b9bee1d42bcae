//! Tags of parameters.

use std::collections::BTreeSet;

use kiln_model::{
    ApiError, ErrorCode,
    service::Context,
    ssm::{
        AddTagsToResourceRequest, AddTagsToResourceResult, ListTagsForResourceRequest, ListTagsForResourceResult,
        RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult, ResourceTypeForTagging, Tag,
    },
};

use super::{document::Document, edit::edit, error, invalid, name::find};
use crate::{core::Inner, runners::Runners};

/// Tags of a parameter (AWS's quota).
const MOST_TAGS: usize = 50;

/// Adds tags, in place of those with the same names.
pub(super) fn put(document: &mut Document, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut names = BTreeSet::new();
    for Tag { key, value } in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys can't start with aws:, which is reserved."));
        }
        if !names.insert(key.clone()) {
            return Err(invalid(format!("The tag key {key} stands twice.")));
        }
        document.tags.insert(key, value);
    }
    if document.tags.len() > MOST_TAGS {
        return Err(error(ErrorCode::TooManyTags, format!("a parameter has at most {MOST_TAGS} tags")));
    }
    Ok(())
}

fn check_type(kind: ResourceTypeForTagging) -> Result<(), ApiError> {
    if kind == ResourceTypeForTagging::Parameter {
        return Ok(());
    }
    let message = format!("things of the type {} are not available in this version of Kiln", kind.as_str());
    Err(error(ErrorCode::InvalidResourceType, message))
}

/// A parameter that is not there is none that could have tags.
fn of_tags(failure: ApiError) -> ApiError {
    match failure.code {
        ErrorCode::ParameterNotFound => error(ErrorCode::InvalidResourceId, failure.message),
        _ => failure,
    }
}

pub(super) async fn add_tags_to_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: AddTagsToResourceRequest,
) -> Result<AddTagsToResourceResult, ApiError> {
    check_type(input.resource_type)?;
    let done = edit(inner, input.resource_id, |_, _, document| {
        put(document, input.tags)?;
        Ok(AddTagsToResourceResult {})
    });
    done.await.map_err(of_tags)
}

pub(super) async fn remove_tags_from_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: RemoveTagsFromResourceRequest,
) -> Result<RemoveTagsFromResourceResult, ApiError> {
    check_type(input.resource_type)?;
    let done = edit(inner, input.resource_id, move |_, _, document| {
        document.tags.retain(|name, _| !input.tag_keys.contains(name));
        Ok(RemoveTagsFromResourceResult {})
    });
    done.await.map_err(of_tags)
}

pub(super) async fn list_tags_for_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResult, ApiError> {
    check_type(input.resource_type)?;
    let home = &inner.config.home;
    let (_, document) = inner.look(|view| find(view, home, &input.resource_id)).map_err(of_tags)?;
    let tags = document.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    Ok(ListTagsForResourceResult { tag_list: Some(tags) })
}
