//! Tags of rules.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    events::{
        ListTagsForResourceRequest, ListTagsForResourceResponse, Tag, TagResourceRequest, TagResourceResponse,
        UntagResourceRequest, UntagResourceResponse,
    },
    service::Context,
};
use kiln_store::{StoreError, View};

use super::{
    document::RuleDocument,
    error::{error, invalid, too_many},
    rules::find,
};
use crate::{core::Inner, iam::Resource, runners::Runners};

/// Tags of a rule (AWS's quota).
const MOST_TAGS: usize = 50;

/// Adds tags, in place of those with the same names.
pub(super) fn put(known: &mut BTreeMap<String, String>, tags: Vec<Tag>) -> Result<(), ApiError> {
    for Tag { key, value } in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("Tag key {key} begins with aws:, which is reserved.")));
        }
        known.insert(key, value);
    }
    if known.len() > MOST_TAGS {
        return Err(too_many());
    }
    Ok(())
}

/// The rule's name in an ARN.
fn rule_of<'a>(home: &Home, arn: &'a str) -> Result<&'a str, ApiError> {
    let missing =
        || error(ErrorCode::ResourceNotFound, format!("Resource {arn} does not exist: rules have tags here."));
    arn.strip_prefix(&home.arn("events", "rule/")).ok_or_else(missing)
}

/// A rule as policies name it.
pub(crate) fn resource(view: &View<'_>, name: &str, mut found: Resource) -> Result<Resource, StoreError> {
    if let Some(record) = view.event_rule(name)? {
        found.tags = RuleDocument::of(&record)?.tags.into_iter().collect();
    }
    Ok(found)
}

async fn edit<R: Runners>(
    inner: &Inner<R>,
    arn: &str,
    edit: impl FnOnce(&mut BTreeMap<String, String>) -> Result<(), ApiError> + Send + 'static,
) -> Result<(), ApiError> {
    let name = rule_of(&inner.config.home, arn)?.to_owned();
    let work = inner.transact(move |tx| {
        let (record, mut document) = find(tx, &name)?;
        edit(&mut document.tags)?;
        tx.put_event_rule(&document.noted(record)?)?;
        Ok(())
    });
    work.await
}

pub(super) async fn tag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagResourceRequest,
) -> Result<TagResourceResponse, ApiError> {
    edit(inner, &input.resource_arn, |known| put(known, input.tags)).await?;
    Ok(TagResourceResponse {})
}

pub(super) async fn untag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagResourceRequest,
) -> Result<UntagResourceResponse, ApiError> {
    let remove = move |known: &mut BTreeMap<String, String>| {
        known.retain(|name, _| !input.tag_keys.contains(name));
        Ok(())
    };
    edit(inner, &input.resource_arn, remove).await?;
    Ok(UntagResourceResponse {})
}

pub(super) async fn list_tags_for_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListTagsForResourceRequest,
) -> Result<ListTagsForResourceResponse, ApiError> {
    let home = &inner.config.home;
    let tags = if input.resource_arn == home.arn("events", "event-bus/default") {
        BTreeMap::new()
    } else {
        let name = rule_of(home, &input.resource_arn)?;
        inner.look(|view| find(view, name))?.1.tags
    };
    let tags = tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    Ok(ListTagsForResourceResponse { tags: Some(tags) })
}
