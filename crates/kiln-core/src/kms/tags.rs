//! Tags of keys.

use std::collections::BTreeSet;

use kiln_model::{
    ApiError, ErrorCode,
    kms::{Empty, ListResourceTagsRequest, ListResourceTagsResponse, Tag, TagResourceRequest, UntagResourceRequest},
    service::Context,
};

use super::{
    document::Document,
    edit::edit,
    list::{Page, page},
    resolve::{Names, check_stays, error, find},
};
use crate::{core::Inner, runners::Runners};

/// Tags of a key.
const MOST_TAGS: usize = 50;

/// Adds tags to a key, in place of those with the same names.
pub(super) fn put(document: &mut Document, tags: Vec<Tag>) -> Result<(), ApiError> {
    let mut names = BTreeSet::new();
    for tag in &tags {
        if tag.tag_key.to_ascii_lowercase().starts_with("aws:") {
            return Err(error(ErrorCode::Tag, "names of tags that begin with aws: are the service's own"));
        }
        if !names.insert(&tag.tag_key) {
            return Err(error(ErrorCode::Tag, format!("Duplicate tag keys: {}", tag.tag_key)));
        }
    }
    document.tags.extend(tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value)));
    if document.tags.len() > MOST_TAGS {
        return Err(error(ErrorCode::Tag, format!("Too many tags: a key has at most {MOST_TAGS}")));
    }
    Ok(())
}

pub(super) async fn tag<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: TagResourceRequest,
) -> Result<Empty, ApiError> {
    edit(inner, context, "TagResource", &input.key_id, None, |key| {
        check_stays(key.home, key.record)?;
        put(key.document, input.tags)?;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn untag<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: UntagResourceRequest,
) -> Result<Empty, ApiError> {
    edit(inner, context, "UntagResource", &input.key_id, None, move |key| {
        check_stays(key.home, key.record)?;
        key.document.tags.retain(|name, _| !input.tag_keys.contains(name));
        Ok(Empty {})
    })
    .await
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    input: &ListResourceTagsRequest,
) -> Result<ListResourceTagsResponse, ApiError> {
    let home = &inner.config.home;
    let record = inner.look(|view| find(view, home, &input.key_id, Names::Keys))?;
    let tags = Document::of(&record).map_err(crate::records::Refused::from)?.tags;
    let read = |after: Option<&str>, limit| {
        let behind = tags.into_iter().filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        Ok(behind.take(limit).collect::<Vec<_>>())
    };
    let list = format!("tags {}", record.id);
    let page = page(&list, input.limit, input.marker.as_deref(), MOST_TAGS, read, |(name, _)| name)?;
    let Page { items, truncated, next_marker } = page;
    let tags = items.into_iter().map(|(tag_key, tag_value)| Tag { tag_key, tag_value }).collect();
    Ok(ListResourceTagsResponse { tags, truncated, next_marker })
}
