//! Buckets.

use std::sync::Arc;

use kiln_model::{
    Timestamp,
    s3::{Bucket, BucketSetting, S3Code, S3Error, check_bucket_name},
    service::Context,
};
use kiln_store::{StoreError, Tx, metadata::BucketRecord};

use super::{
    document::{self, BucketDoc, Document as _},
    error::{Refusal, look},
    remove::remove_blobs,
    sealing,
    settings::check,
};
use crate::{core::Inner, lifecycle::Millis, runners::Runners};

/// Buckets that there may be, as S3 has it.
const MOST: usize = 10_000;
/// Uploads that are given up at once when their bucket is deleted.
const UPLOADS: usize = 1000;

fn new_record(name: &str, now: Millis) -> BucketRecord {
    BucketRecord { name: name.to_owned(), created_ms: now, doc: BucketDoc::default().into_json() }
}

/// Makes a bucket that is not there.
pub(crate) fn ensure_bucket(tx: &mut Tx<'_>, name: &str, now: Millis) -> Result<(), StoreError> {
    if tx.bucket(name)?.is_none() {
        tx.insert_bucket(&new_record(name, now))?;
    }
    Ok(())
}

pub(super) async fn create<R: Runners>(inner: &Arc<Inner<R>>, context: &Context, name: &str) -> Result<(), S3Error> {
    check_bucket_name(name)?;
    let bucket = new_record(name, inner.now());
    let again_is_fine = context.region == "us-east-1";
    let created = inner.metadata.transact(move |tx| {
        if tx.bucket(&bucket.name)?.is_some() {
            let text = "Your previous request to create the named bucket succeeded and you already own it.";
            let error = S3Error::new(S3Code::BucketAlreadyOwnedByYou, text).about(&bucket.name, None);
            return if again_is_fine { Ok(()) } else { Err(Refusal::Client(error)) };
        }
        if tx.buckets()?.len() >= MOST {
            let text = format!("You have attempted to create more buckets than allowed: {MOST}");
            return Err(S3Error::bad_request(text).into());
        }
        Ok(tx.insert_bucket(&bucket)?)
    });
    Ok(created.await?)
}

pub(super) async fn delete<R: Runners>(inner: &Arc<Inner<R>>, name: &str) -> Result<(), S3Error> {
    let bucket = name.to_owned();
    let deleted = inner.metadata.transact(move |tx| {
        let mut blobs = Vec::new();
        loop {
            let uploads = tx.uploads_before(&bucket, i64::MAX, UPLOADS)?;
            if uploads.is_empty() {
                break;
            }
            for upload in uploads {
                tx.delete_upload(&upload.id)?;
                blobs.extend(tx.delete_parts(&upload.id)?);
            }
        }
        match tx.delete_bucket(&bucket) {
            Ok(true) => Ok(blobs),
            Ok(false) => Err(Refusal::Client(S3Error::no_such_bucket(&bucket))),
            Err(StoreError::Conflict(_)) => {
                let text = "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
                Err(S3Error::new(S3Code::BucketNotEmpty, text).about(&bucket, None).into())
            }
            Err(e) => Err(e.into()),
        }
    });
    let blobs = deleted.await?;
    remove_blobs(inner, blobs).await;
    Ok(())
}

fn shown(record: &BucketRecord) -> Result<Bucket, StoreError> {
    Ok(Bucket {
        name: record.name.clone(),
        created: Timestamp::from_millis(record.created_ms),
        settings: document::settings(record)?,
    })
}

pub(super) fn find<R: Runners>(inner: &Inner<R>, name: &str) -> Result<Bucket, S3Error> {
    look(&inner.metadata, |view| match view.bucket(name)? {
        Some(record) => Ok(shown(&record)?),
        None => Err(S3Error::no_such_bucket(name).into()),
    })
}

pub(super) fn list<R: Runners>(inner: &Inner<R>) -> Result<Vec<Bucket>, S3Error> {
    look(&inner.metadata, |view| Ok(view.buckets()?.iter().map(shown).collect::<Result<_, StoreError>>()?))
}

pub(super) async fn set<R: Runners>(inner: &Arc<Inner<R>>, name: &str, setting: BucketSetting) -> Result<(), S3Error> {
    let setting = check(setting, |key| sealing::usable(inner, key).map(drop))?;
    let bucket = name.to_owned();
    let changed = inner.metadata.transact(move |tx| {
        let Some(record) = tx.bucket(&bucket)? else { return Err(S3Error::no_such_bucket(&bucket).into()) };
        let mut doc: BucketDoc = document::parse(&record.doc, || format!("bucket {bucket}"))?;
        let settings = &mut doc.settings;
        match setting {
            BucketSetting::Versioning(versioning) => settings.versioning = Some(versioning),
            BucketSetting::Encryption(encryption) => settings.encryption = encryption,
            BucketSetting::Lifecycle(rules) => settings.lifecycle = rules,
            BucketSetting::Tags(tags) => settings.tags = tags,
            BucketSetting::Policy(policy) => settings.policy = policy,
            BucketSetting::PublicAccessBlock(block) => settings.public_access_block = block,
            BucketSetting::Ownership(ownership) => settings.ownership = ownership,
            BucketSetting::Cors(rules) => settings.cors = rules,
        }
        tx.update_bucket(&BucketRecord { doc: doc.into_json(), ..record })?;
        Ok::<_, Refusal>(())
    });
    Ok(changed.await?)
}
