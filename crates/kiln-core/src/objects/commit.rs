//! Records of objects whose bytes are stored.

use std::sync::Arc;

use kiln_model::{
    Timestamp,
    s3::{
        BucketSettings, ExpectedChecksum, NULL_VERSION, NewObject, OBJECT_TAGS, PutObjectInput, S3Code, S3Error,
        StoredObject, Versioning, WriteConditions, check_key, check_metadata, check_tags,
    },
    service::{ByteSource, Context},
};
use kiln_store::{BlobInfo, StoreError, Tx, View, metadata::ObjectRecord};
use uuid::Uuid;

use super::{
    document::{self, Document as _, ObjectDoc, Sealed},
    error::{self, Refusal, look},
    hex,
    receive::{Expected, receive},
    remove::remove_blobs,
    sealing::{self, KeyUse},
    sums,
};
use crate::{core::Inner, crash, lifecycle::Millis, runners::Runners};

/// The settings of a bucket; `NoSuchBucket`.
pub(super) fn settings(view: &View<'_>, bucket: &str) -> Result<BucketSettings, Refusal> {
    match view.bucket(bucket)? {
        Some(record) => Ok(document::settings(&record)?),
        None => Err(S3Error::no_such_bucket(bucket).into()),
    }
}

pub(super) fn object_doc(object: &ObjectRecord) -> Result<ObjectDoc, StoreError> {
    document::parse(&object.doc, || format!("object {}/{}", object.bucket, object.key))
}

/// What clients are shown as an object's version: nothing where there never were any.
pub(super) fn shown_version(settings: &BucketSettings, version: &str) -> Option<String> {
    settings.versioning.map(|_| version.to_owned())
}

/// A new version's id: random, or `null` where there are none.
pub(super) fn new_version(settings: &BucketSettings) -> String {
    match settings.versioning {
        Some(Versioning::Enabled) => Uuid::new_v4().simple().to_string(),
        Some(Versioning::Suspended) | None => NULL_VERSION.to_owned(),
    }
}

/// Checks what a writer says about a new object; the beginning of its document.
pub(super) fn new_doc(new: NewObject, sealed: Sealed) -> Result<ObjectDoc, S3Error> {
    check_metadata(&new.metadata)?;
    check_tags(&new.tags, OBJECT_TAGS)?;
    if let Some(class) = new.storage_class.filter(|class| class != "STANDARD") {
        let shown: String = class.chars().filter(|c| !c.is_control()).take(40).collect();
        let text = format!("The storage class '{shown}' is not available here: use STANDARD");
        return Err(S3Error::new(S3Code::InvalidStorageClass, text));
    }
    let mut doc = ObjectDoc { headers: new.headers, tags: new.tags, sealed, ..ObjectDoc::default() };
    doc.set_metadata(new.metadata);
    Ok(doc)
}

/// Whether a writer's conditions hold for what is there.
pub(super) fn check_conditions(
    conditions: &WriteConditions,
    there: Option<&ObjectRecord>,
    bucket: &str,
    key: &str,
) -> Result<(), S3Error> {
    let etag = there.filter(|object| !object.is_delete_marker()).map(|object| object.etag.as_str());
    match conditions.check(etag) {
        Ok(()) => Ok(()),
        Err("If-Match") if etag.is_none() => Err(S3Error::no_such_key(bucket, key)),
        Err(header) => Err(failed_condition(header)),
    }
}

pub(super) fn failed_condition(header: &str) -> S3Error {
    let text = format!("At least one of the pre-conditions you specified did not hold: {header}");
    S3Error::new(S3Code::PreconditionFailed, text)
}

/// Makes a record of an object, in the place of what has its version id; returns the blobs that nobody needs any more.
pub(super) fn replace(tx: &mut Tx<'_>, object: &ObjectRecord) -> Result<Vec<String>, StoreError> {
    match tx.put_object(object)? {
        Some(before) => tx.give_up_bytes(before),
        None => Ok(Vec::new()),
    }
}

/// The record of an object that came at once. Its version is decided in the transaction that makes it.
pub(super) fn record(bucket: &str, key: &str, blob: BlobInfo, doc: ObjectDoc, now: Millis) -> ObjectRecord {
    ObjectRecord {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: NULL_VERSION.to_owned(),
        blob: Some(blob.id),
        upload: None,
        size: i64::try_from(blob.size).unwrap_or(i64::MAX),
        etag: hex(&blob.md5),
        sha256: blob.sha256.to_vec(),
        created_ms: now,
        doc: doc.into_json(),
    }
}

/// Stores the record of bytes that were received, if the conditions hold then.
pub(super) async fn commit<R: Runners>(
    inner: &Arc<Inner<R>>,
    object: ObjectRecord,
    conditions: WriteConditions,
) -> Result<(ObjectRecord, BucketSettings), S3Error> {
    crash::point("object_stored");
    let blob = object.blob.clone();
    let committed = inner.metadata.transact(move |tx| {
        let settings = settings(tx, &object.bucket)?;
        if !conditions.is_empty() {
            let there = tx.object(&object.bucket, &object.key)?;
            check_conditions(&conditions, there.as_ref(), &object.bucket, &object.key)?;
        }
        let object = ObjectRecord { version: new_version(&settings), ..object };
        let replaced = replace(tx, &object)?;
        Ok::<_, Refusal>((object, settings, replaced))
    });
    match committed.await {
        Ok((object, settings, replaced)) => {
            crash::point("object_committed");
            remove_blobs(inner, replaced).await;
            Ok((object, settings))
        }
        Err(refusal) => {
            // One that may be stored after all is found out at the next start.
            if !matches!(refusal, Refusal::Store(StoreError::Stopped(_))) {
                remove_blobs(inner, blob.into_iter().collect()).await;
            }
            Err(refusal.into())
        }
    }
}

/// What a writer is told.
pub(super) fn stored(object: &ObjectRecord, settings: &BucketSettings) -> Result<StoredObject, S3Error> {
    let doc = object_doc(object).map_err(|e| error::store(&e))?;
    Ok(StoredObject {
        version_id: shown_version(settings, &object.version),
        etag: object.etag.clone(),
        size: object.size.unsigned_abs(),
        last_modified: Timestamp::from_millis(object.created_ms),
        checksum: doc.checksum,
        encryption: doc.sealed.encryption,
    })
}

/// Puts an object.
pub(super) async fn put_object<R: Runners>(
    inner: &Arc<Inner<R>>,
    by: &Context,
    input: PutObjectInput,
    body: impl ByteSource,
) -> Result<StoredObject, S3Error> {
    let PutObjectInput { bucket, key, object, content_length, content_md5, content_sha256, checksum, conditions } =
        input;
    check_key(&key)?;
    let (settings, there) = look(&inner.metadata, |view| Ok((settings(view, &bucket)?, view.object(&bucket, &key)?)))?;
    // Looked at first too, so that nobody sends what is not wanted; what counts is the transaction.
    check_conditions(&conditions, there.as_ref(), &bucket, &key)?;
    let sealed = sealing::choose(inner, &settings, object.encryption.clone())?;
    sealing::permit(inner, by, KeyUse::Generate, &sealed, (&bucket, &key))?;
    let mut doc = new_doc(object, sealed)?;
    let algorithm = checksum.as_ref().map_or(sums::DEFAULT, ExpectedChecksum::algorithm);
    let expected = Expected { length: content_length, md5: content_md5, sha256: content_sha256, checksum };
    let context = doc.sealed.object_context(&bucket, &key);
    let received = receive(&inner.blobs, &doc.sealed, context, vec![algorithm], expected, body).await?;
    doc.checksum = received.checksum(algorithm).cloned();
    let object = record(&bucket, &key, received.keep(), doc, inner.now());
    let (object, settings) = commit(inner, object, conditions).await?;
    stored(&object, &settings)
}
