//! Tags of objects.

use std::sync::Arc;

use kiln_model::s3::{OBJECT_TAGS, ObjectRef, S3Error, Tag, check_tags};
use kiln_store::{StoreError, View, metadata::ObjectRecord};

use super::{
    commit::{object_doc, settings, shown_version},
    document::Document as _,
    error::{Refusal, look},
    read::find,
};
use crate::{core::Inner, runners::Runners};

/// The tags of an object as conditions of policies see them; none where there is no such object or version.
pub(crate) fn existing(
    view: &View<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<Vec<Tag>, StoreError> {
    let found = match version {
        None => view.object(bucket, key)?,
        Some(version) => view.object_version(bucket, key, version)?,
    };
    found.filter(|object| !object.is_delete_marker()).map_or(Ok(Vec::new()), |object| Ok(object_doc(&object)?.tags))
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, wanted: &ObjectRef) -> Result<(Vec<Tag>, Option<String>), S3Error> {
    look(&inner.metadata, |view| {
        let settings = settings(view, &wanted.bucket)?;
        let object = find(view, &settings, wanted)?;
        Ok((object_doc(&object)?.tags, shown_version(&settings, &object.version)))
    })
}

pub(super) async fn set<R: Runners>(
    inner: &Arc<Inner<R>>,
    wanted: ObjectRef,
    tags: Vec<Tag>,
) -> Result<Option<String>, S3Error> {
    check_tags(&tags, OBJECT_TAGS)?;
    let changed = inner.metadata.transact(move |tx| {
        let settings = settings(tx, &wanted.bucket)?;
        let object = find(tx, &settings, &wanted)?;
        let mut doc = object_doc(&object)?;
        doc.tags = tags;
        let version = shown_version(&settings, &object.version);
        tx.update_object(&ObjectRecord { doc: doc.into_json(), ..object })?;
        Ok::<_, Refusal>(version)
    });
    Ok(changed.await?)
}
