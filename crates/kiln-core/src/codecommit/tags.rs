//! Tags of repositories.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode,
    codecommit::{Empty, ListTagsForResourceInput, ListTagsForResourceOutput, TagResourceInput, UntagResourceInput},
    service::Context,
};

use super::{
    document::Repository,
    error::error,
    find::{edit, find, name_in},
};
use crate::{core::Inner, runners::Runners};

/// Tags of a repository (AWS's quota).
const MOST: usize = 50;

/// Adds tags to a repository, in place of those with the same names.
pub(super) fn put(document: &mut Repository, tags: BTreeMap<String, String>) -> Result<(), ApiError> {
    let is_text =
        |text: &str| text.chars().all(|c| c.is_alphabetic() || c.is_numeric() || c == ' ' || "_.:/=+-@".contains(c));
    for (key, value) in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = "The tag is not valid. Key names cannot be prefixed with aws:.";
            return Err(error(ErrorCode::InvalidSystemTagUsage, message));
        }
        if !is_text(&key) || !is_text(&value) {
            let message = "The map of tags is not valid: letters, digits, spaces and _.:/=+-@ are allowed.";
            return Err(error(ErrorCode::InvalidTagsMap, message));
        }
        document.tags.insert(key, value);
    }
    if document.tags.len() > MOST {
        let message = format!("The maximum number of tags for an AWS CodeCommit resource has been exceeded: {MOST}");
        return Err(error(ErrorCode::TooManyTagsException, message));
    }
    Ok(())
}

pub(super) async fn tag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagResourceInput,
) -> Result<Empty, ApiError> {
    let name = name_in(&inner.config.home, &input.resource_arn)?.to_owned();
    edit(inner, name, move |_, _, document| {
        put(document, input.tags)?;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn untag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagResourceInput,
) -> Result<Empty, ApiError> {
    let name = name_in(&inner.config.home, &input.resource_arn)?.to_owned();
    edit(inner, name, move |_, _, document| {
        document.tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(Empty {})
    })
    .await
}

pub(super) async fn list_tags_for_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsForResourceInput,
) -> Result<ListTagsForResourceOutput, ApiError> {
    let name = name_in(&inner.config.home, &input.resource_arn)?;
    let (_, document) = inner.look(|view| find(view, name))?;
    Ok(ListTagsForResourceOutput { tags: Some(document.tags), next_token: None })
}
