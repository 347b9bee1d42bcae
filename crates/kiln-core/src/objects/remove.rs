//! Deleting objects, and the blobs that nothing names any more.

use std::sync::Arc;

use kiln_model::s3::{BucketSettings, DeleteObjectInput, DeletedObject, S3Code, S3Error, WriteConditions};
use kiln_store::{Tx, metadata::ObjectRecord};

use super::{
    commit::{check_conditions, new_version, replace, settings, shown_version},
    document::{Document as _, ObjectDoc},
    error::Refusal,
};
use crate::{core::Inner, crash, lifecycle::Millis, runners::Runners};

/// Objects that are deleted by one call.
const MOST: usize = 1000;

/// Removes blobs that nothing refers to any more, those that are being read when they have been.
pub(crate) fn give_up<R: Runners>(inner: &Inner<R>, blobs: &[String]) {
    for blob in blobs {
        if inner.held.put_off(blob) {
            continue;
        }
        if let Err(e) = inner.blobs.remove(blob) {
            tracing::warn!(blob = %blob, error = %e, "a blob stays that nothing refers to");
        }
    }
}

/// As [`give_up`], on a thread that may wait for the disk.
pub(crate) async fn remove_blobs<R: Runners>(inner: &Arc<Inner<R>>, blobs: Vec<String>) {
    if blobs.is_empty() {
        return;
    }
    let with = Arc::clone(inner);
    if let Err(e) = tokio::task::spawn_blocking(move || give_up(&with, &blobs)).await {
        tracing::error!(error = %e, "blobs stay that nothing refers to");
    }
}

/// Deletes one object or version in a transaction; adds the blobs that nobody needs any more.
pub(super) fn delete(
    tx: &mut Tx<'_>,
    settings: &BucketSettings,
    input: &DeleteObjectInput,
    now: Millis,
    blobs: &mut Vec<String>,
) -> Result<DeletedObject, Refusal> {
    let object = &input.object;
    let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
    if let Some(etag) = &input.if_match {
        let conditions = WriteConditions { if_match: Some(etag.clone()), if_none_match: None };
        let there = match &object.version_id {
            Some(version) => tx.object_version(bucket, key, version)?,
            None => tx.object(bucket, key)?,
        };
        check_conditions(&conditions, there.as_ref(), bucket, key)?;
    }
    if let Some(version) = &object.version_id {
        let gone = tx.delete_object(bucket, key, version)?;
        let delete_marker = gone.as_ref().is_some_and(ObjectRecord::is_delete_marker);
        if let Some(gone) = gone {
            blobs.extend(tx.give_up_bytes(gone)?);
        }
        return Ok(DeletedObject { version_id: Some(version.clone()), delete_marker });
    }
    let version = new_version(settings);
    if settings.versioning.is_none() {
        if let Some(gone) = tx.delete_object(bucket, key, &version)? {
            blobs.extend(tx.give_up_bytes(gone)?);
        }
        return Ok(DeletedObject::default());
    }
    let marker = ObjectRecord {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: version.clone(),
        blob: None,
        upload: None,
        size: 0,
        etag: String::new(),
        sha256: Vec::new(),
        created_ms: now,
        doc: ObjectDoc::default().into_json(),
    };
    blobs.extend(replace(tx, &marker)?);
    Ok(DeletedObject { version_id: shown_version(settings, &version), delete_marker: true })
}

pub(super) async fn delete_object<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: DeleteObjectInput,
) -> Result<DeletedObject, S3Error> {
    let bucket = input.object.bucket.clone();
    let mut results = delete_objects(inner, &bucket, vec![input]).await?;
    results.pop().unwrap_or_else(|| Ok(DeletedObject::default()))
}

/// All in one transaction: each has its own result, and what is deleted is durable together.
pub(super) async fn delete_objects<R: Runners>(
    inner: &Arc<Inner<R>>,
    bucket: &str,
    objects: Vec<DeleteObjectInput>,
) -> Result<Vec<Result<DeletedObject, S3Error>>, S3Error> {
    if objects.is_empty() || objects.len() > MOST {
        let text = format!("The list must name 1 to {MOST} objects; it has {}", objects.len());
        return Err(S3Error::new(S3Code::MalformedXml, text));
    }
    let (bucket, now) = (bucket.to_owned(), inner.now());
    let deleted = inner.metadata.transact(move |tx| {
        let settings = settings(tx, &bucket)?;
        let (mut results, mut blobs) = (Vec::new(), Vec::new());
        for input in &objects {
            match delete(tx, &settings, input, now, &mut blobs) {
                Ok(deleted) => results.push(Ok(deleted)),
                Err(Refusal::Client(error)) => results.push(Err(error)),
                Err(refusal) => return Err(refusal),
            }
        }
        Ok((results, blobs))
    });
    let (results, blobs) = deleted.await?;
    crash::point("objects_deleted");
    remove_blobs(inner, blobs).await;
    Ok(results)
}
