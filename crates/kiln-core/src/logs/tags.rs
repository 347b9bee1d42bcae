//! Tags of log groups.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    logs::{
        Empty, ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroupRequest,
        ListTagsLogGroupResponse, TagLogGroupRequest, TagResourceRequest, UntagLogGroupRequest, UntagResourceRequest,
    },
    service::Context,
};

use super::{
    document::Document,
    error,
    groups::edit,
    invalid,
    name::{arn, find_group, no_group},
};
use crate::{core::Inner, runners::Runners};

/// Tags of a log group (AWS's quota).
const MOST_TAGS: usize = 50;

/// Adds tags, in place of those with the same names.
pub(super) fn put(document: &mut Document, tags: BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.keys().any(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid("Tag keys can't start with aws:, which is reserved."));
    }
    document.tags.extend(tags);
    if document.tags.len() > MOST_TAGS {
        let message = format!("A log group has at most {MOST_TAGS} tags.");
        return Err(error(ErrorCode::TooManyTagsException, message));
    }
    Ok(())
}

/// The group that has that ARN.
fn group<'a>(home: &Home, resource: &'a str) -> Result<&'a str, ApiError> {
    let name = resource.strip_prefix(&arn(home, "")).ok_or_else(no_group)?;
    Ok(name.strip_suffix(":*").unwrap_or(name))
}

async fn add<R: Runners>(inner: &Inner<R>, group: String, tags: BTreeMap<String, String>) -> Result<Empty, ApiError> {
    edit(inner, group, |document| put(document, tags)).await
}

async fn remove<R: Runners>(inner: &Inner<R>, group: String, keys: Vec<String>) -> Result<Empty, ApiError> {
    edit(inner, group, move |document| {
        document.tags.retain(|name, _| !keys.contains(name));
        Ok(())
    })
    .await
}

fn list<R: Runners>(inner: &Inner<R>, group: &str) -> Result<BTreeMap<String, String>, ApiError> {
    Ok(inner.look(|view| find_group(view, group))?.1.tags)
}

pub(super) async fn tag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagResourceRequest,
) -> Result<Empty, ApiError> {
    let group = group(&inner.config.home, &input.resource_arn)?.to_owned();
    add(inner, group, input.tags).await
}

pub(super) async fn untag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagResourceRequest,
) -> Result<Empty, ApiError> {
    let group = group(&inner.config.home, &input.resource_arn)?.to_owned();
    remove(inner, group, input.tag_keys).await
}

pub(super) async fn list_tags_for_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let tags = list(inner, group(&inner.config.home, &input.resource_arn)?)?;
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}

pub(super) async fn tag_log_group<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagLogGroupRequest,
) -> Result<Empty, ApiError> {
    add(inner, input.log_group_name, input.tags).await
}

pub(super) async fn untag_log_group<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagLogGroupRequest,
) -> Result<Empty, ApiError> {
    remove(inner, input.log_group_name, input.tags).await
}

pub(super) async fn list_tags_log_group<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsLogGroupRequest,
) -> Result<ListTagsLogGroupResponse, ApiError> {
    Ok(ListTagsLogGroupResponse { tags: Some(list(inner, &input.log_group_name)?) })
}
