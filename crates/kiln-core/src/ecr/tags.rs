//! Tags of repositories.

use std::collections::BTreeSet;

use kiln_model::{
    ApiError, ErrorCode,
    ecr::{
        ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
        UntagResourceRequest, UntagResourceResponse,
    },
    service::Context,
};

use super::{
    document::Repository,
    error::error,
    find::{edit, find, name_in},
};
use crate::{core::Inner, runners::Runners};

/// Tags of a repository (AWS's quota).
const MOST_TAGS: usize = 50;

/// Adds tags to a repository, in place of those with the same names.
pub(super) fn put(document: &mut Repository, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut names = BTreeSet::new();
    for Tag { key, value } in tags {
        let is_text = |text: &str, most: usize| {
            let is_known = |c: char| c.is_alphabetic() || c.is_numeric() || c == ' ' || "_.:/=+-@".contains(c);
            text.chars().count() <= most && text.chars().all(is_known)
        };
        if key.is_empty()
            || !is_text(&key, 128)
            || !is_text(&value, 256)
            || key.to_ascii_lowercase().starts_with("aws:")
        {
            let message = "Invalid parameter at 'tags' failed to satisfy constraint: 'a tag has a key of 1 to 128 and a \
                           value of 0 to 256 letters, digits, spaces and _.:/=+-@; keys do not begin with aws:'";
            return Err(error(ErrorCode::InvalidTagParameter, message));
        }
        if !names.insert(key.clone()) {
            return Err(error(ErrorCode::InvalidTagParameter, format!("The tag key '{key}' stands twice")));
        }
        document.tags.insert(key, value);
    }
    if document.tags.len() > MOST_TAGS {
        let message = format!("The list of tags on the repository is over the limit: it has at most {MOST_TAGS}");
        return Err(error(ErrorCode::TooManyTagsException, message));
    }
    Ok(())
}

pub(super) async fn tag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, ApiError> {
    let name = name_in(&inner.config.home, &input.resource_arn)?.to_owned();
    edit(inner, None, name, move |_, document| {
        put(document, input.tags)?;
        Ok(TagResourceResponse {})
    })
    .await
}

pub(super) async fn untag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, ApiError> {
    let name = name_in(&inner.config.home, &input.resource_arn)?.to_owned();
    edit(inner, None, name, move |_, document| {
        document.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(UntagResourceResponse {})
    })
    .await
}

pub(super) async fn list_tags_for_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let home = &inner.config.home;
    let name = name_in(home, &input.resource_arn)?;
    let (_, document) = inner.look(|view| find(view, home, None, name))?;
    let tags = document.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}
