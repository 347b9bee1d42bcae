//! Lists of objects, versions and uploads.

use std::sync::Arc;

use kiln_model::{
    Timestamp,
    s3::{
        ListObjectsInput, ListObjectsOutput, ListUploadsInput, ListUploadsOutput, ListVersionsInput,
        ListVersionsOutput, ListedObject, ListedUpload, ListedVersion, MAX_KEY_BYTES, S3Error,
    },
};
use kiln_store::{
    StoreError,
    metadata::{ListQuery, Listing, ObjectRecord},
};

use super::{
    commit::{object_doc, settings},
    error::{self, look},
    multipart::upload_doc,
};
use crate::{core::Inner, runners::Runners};

/// Items of a page, at most.
const MOST: usize = 1000;

/// Bounds what comes from clients: keys are never longer.
fn check_texts<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), S3Error> {
    match texts.into_iter().flatten().find(|text| text.len() > MAX_KEY_BYTES) {
        Some(_) => Err(S3Error::invalid(format!(
            "Prefix, delimiter and marker have at most {MAX_KEY_BYTES} bytes, as keys have"
        ))),
        None => Ok(()),
    }
}

fn query<'a>(bucket: &'a str, prefix: &'a str, delimiter: Option<&'a str>, limit: usize) -> ListQuery<'a> {
    ListQuery { bucket, prefix, delimiter, limit: limit.min(MOST) }
}

fn listed(object: ObjectRecord) -> Result<ListedObject, StoreError> {
    let doc = object_doc(&object)?;
    Ok(ListedObject {
        checksum: doc.checksum.map(|c| (c.algorithm, c.kind)),
        etag: object.etag,
        size: object.size.unsigned_abs(),
        last_modified: Timestamp::from_millis(object.created_ms),
        key: object.key,
    })
}

/// The last of a page, be it an item or a common prefix.
fn last<'a, T>(listing: &'a Listing<T>, key: impl Fn(&'a T) -> &'a str) -> Option<&'a str> {
    let item = listing.items.last().map(key);
    item.max(listing.prefixes.last().map(String::as_str))
}

pub(super) async fn objects<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: ListObjectsInput,
) -> Result<ListObjectsOutput, S3Error> {
    check_texts([Some(input.prefix.as_str()), input.delimiter.as_deref(), input.after.as_deref()])?;
    let metadata = inner.metadata.clone();
    error::blocking(move || {
        look(&metadata, |view| {
            settings(view, &input.bucket)?;
            let query = query(&input.bucket, &input.prefix, input.delimiter.as_deref(), input.limit);
            let listing = view.list_objects(query, input.after.as_deref())?;
            let next = last(&listing, |o| &o.key).filter(|_| listing.truncated).map(str::to_owned);
            let objects = listing.items.into_iter().map(listed).collect::<Result<_, StoreError>>()?;
            Ok(ListObjectsOutput { objects, common_prefixes: listing.prefixes, next })
        })
    })
    .await
}

pub(super) async fn versions<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: ListVersionsInput,
) -> Result<ListVersionsOutput, S3Error> {
    let texts = [Some(input.prefix.as_str()), input.delimiter.as_deref(), input.key_marker.as_deref()];
    check_texts(texts.into_iter().chain([input.version_id_marker.as_deref()]))?;
    if input.version_id_marker.is_some() && input.key_marker.is_none() {
        return Err(S3Error::invalid("A version-id marker cannot be specified without a key marker."));
    }
    let metadata = inner.metadata.clone();
    error::blocking(move || {
        look(&metadata, |view| {
            settings(view, &input.bucket)?;
            let query = query(&input.bucket, &input.prefix, input.delimiter.as_deref(), input.limit);
            let (key, version) = (input.key_marker.as_deref(), input.version_id_marker.as_deref());
            let listing = view.list_versions(query, key, version)?;
            let next = last(&listing, |v| &v.object.key).filter(|_| listing.truncated).map(|key| {
                let version = listing.items.last().filter(|v| v.object.key == key);
                (key.to_owned(), version.map(|v| v.object.version.clone()))
            });
            let version = |version: kiln_store::metadata::ListedVersionRecord| {
                Ok(ListedVersion {
                    version_id: version.object.version.clone(),
                    is_latest: version.newest,
                    delete_marker: version.object.is_delete_marker(),
                    object: listed(version.object)?,
                })
            };
            let versions = listing.items.into_iter().map(version).collect::<Result<_, StoreError>>()?;
            Ok(ListVersionsOutput { versions, common_prefixes: listing.prefixes, next })
        })
    })
    .await
}

pub(super) async fn uploads<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: ListUploadsInput,
) -> Result<ListUploadsOutput, S3Error> {
    check_texts([Some(input.prefix.as_str()), input.delimiter.as_deref(), input.key_marker.as_deref()])?;
    let metadata = inner.metadata.clone();
    error::blocking(move || {
        look(&metadata, |view| {
            settings(view, &input.bucket)?;
            let query = query(&input.bucket, &input.prefix, input.delimiter.as_deref(), input.limit);
            let (key, upload) = (input.key_marker.as_deref(), input.upload_id_marker.as_deref());
            let listing = view.list_uploads(query, key, upload)?;
            let next = last(&listing, |u| &u.key).filter(|_| listing.truncated).map(|key| {
                let upload = listing.items.last().filter(|u| u.key == key);
                (key.to_owned(), upload.map(|u| u.id.clone()).unwrap_or_default())
            });
            let uploads = listing.items.into_iter().map(|upload| {
                Ok(ListedUpload {
                    checksum: upload_doc(&upload)?.checksum,
                    key: upload.key,
                    upload_id: upload.id,
                    initiated: Timestamp::from_millis(upload.created_ms),
                })
            });
            let uploads = uploads.collect::<Result<_, StoreError>>()?;
            Ok(ListUploadsOutput { uploads, common_prefixes: listing.prefixes, next })
        })
    })
    .await
}
