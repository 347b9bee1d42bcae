//! Tags of secrets.

use std::collections::BTreeSet;

use kiln_model::{
    ApiError, ErrorCode,
    secretsmanager::{Empty, Tag, TagResourceRequest, UntagResourceRequest},
    service::Context,
};

use super::{
    document::Document,
    error,
    find::{check_live, edit},
};
use crate::{core::Inner, runners::Runners};

/// Tags of a secret (AWS's quota).
const MOST_TAGS: usize = 50;

/// Adds tags to a secret, in place of those with the same names.
pub(super) fn put(document: &mut Document, tags: Vec<Tag>) -> Result<(), ApiError> {
    let invalid = |message: String| error(ErrorCode::InvalidParameter, message);
    let mut names = BTreeSet::new();
    for tag in tags {
        let Some(name) = tag.key else { return Err(invalid("A tag has no Key.".to_owned())) };
        if name.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys can't start with aws:, which is reserved.".to_owned()));
        }
        if !names.insert(name.clone()) {
            return Err(invalid(format!("The tag key {name} stands twice.")));
        }
        document.tags.insert(name, tag.value.unwrap_or_default());
    }
    if document.tags.len() > MOST_TAGS {
        return Err(error(ErrorCode::LimitExceeded, format!("a secret has at most {MOST_TAGS} tags")));
    }
    Ok(())
}

/// The tags of a secret.
pub(super) fn list(document: &Document) -> Vec<Tag> {
    let tags = document.tags.iter();
    tags.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

pub(super) async fn tag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: TagResourceRequest,
) -> Result<Empty, ApiError> {
    let now = inner.now();
    edit(inner, input.secret_id, move |_, record, document| {
        check_live(record)?;
        put(document, input.tags)?;
        document.changed_ms = now;
        Ok(Empty {})
    })
    .await
}

pub(super) async fn untag_resource<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UntagResourceRequest,
) -> Result<Empty, ApiError> {
    let now = inner.now();
    edit(inner, input.secret_id, move |_, record, document| {
        check_live(record)?;
        document.tags.retain(|name, _| !input.tag_keys.contains(name));
        document.changed_ms = now;
        Ok(Empty {})
    })
    .await
}
