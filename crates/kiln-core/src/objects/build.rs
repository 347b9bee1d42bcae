//! The objects of builds: artifacts from files, sources that clients send along. A bucket that is not there is made: a
//! project that names it needs no other preparation.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use kiln_model::{
    ApiError,
    s3::{BucketSettings, CopySource, EncryptionRequest, ObjectRef, ReadConditions, S3Error, WriteConditions},
    service::{ByteSource, Context},
};
use kiln_store::{StoreError, Tx, metadata::ObjectRecord};

use super::{
    buckets::ensure_bucket,
    commit::{commit, new_version, record, replace, settings},
    document::{self, ObjectDoc, Sealed},
    error,
    read::{ObjectReader, open_source},
    receive::{Expected, Source, receive},
    sealing, sums,
};
use crate::{core::Inner, records::refuse, runners::Runners};

/// Stores the bytes of an artifact; returns its record, which is yet to be stored ([`put`]).
pub(crate) fn store_file<R: Runners>(
    inner: &Inner<R>,
    bucket: &str,
    key: &str,
    mut from: impl Read,
    sealed: Sealed,
    metadata: BTreeMap<String, String>,
) -> Result<ObjectRecord, S3Error> {
    let context = sealed.object_context(bucket, key);
    let mut to = Source::new(&inner.blobs, &sealed, &context, &[sums::DEFAULT]).map_err(|e| error::blob(&e))?;
    let received = to.write_all(&mut from).and_then(|()| to.finish()).map_err(|e| error::blob(&e))?;
    let mut doc = ObjectDoc { sealed, checksum: received.checksum(sums::DEFAULT).cloned(), ..ObjectDoc::default() };
    doc.set_metadata(metadata);
    Ok(record(bucket, key, received.keep(), doc, inner.now()))
}

/// Size and bytes of an object that a build reads. `by`: who has to be allowed to use the key that it is sealed with.
pub(crate) fn open_version<R: Runners>(
    inner: &Inner<R>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    by: Option<&Context>,
) -> Result<(u64, ObjectReader), S3Error> {
    let object =
        ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), version_id: version.map(ToOwned::to_owned) };
    let opened = open_source(inner, &CopySource { object, conditions: ReadConditions::default() }, None)?;
    by.map(|by| opened.permit(inner, by)).transpose()?;
    Ok((opened.object.size.unsigned_abs(), opened.reader))
}

/// The policy of a bucket of Kiln's own; `None` where there is no such bucket, or none.
pub(crate) fn policy_of<R: Runners>(inner: &Inner<R>, bucket: &str) -> Result<Option<String>, ApiError> {
    let found = inner.metadata.read(|view| view.bucket(bucket)?.map(|record| document::settings(&record)).transpose());
    Ok(found.map_err(|e| refuse(&e))?.and_then(|settings| settings.policy))
}

/// Records an object whose bytes are stored; returns the blobs that it replaces.
pub(crate) fn put(tx: &mut Tx<'_>, object: &ObjectRecord) -> Result<Vec<String>, StoreError> {
    ensure_bucket(tx, &object.bucket, object.created_ms)?;
    let settings = match tx.bucket(&object.bucket)? {
        Some(bucket) => document::settings(&bucket)?,
        None => BucketSettings::default(),
    };
    replace(tx, &ObjectRecord { version: new_version(&settings), ..object.clone() })
}

/// Stores a source that a client sends along with a build.
pub(crate) async fn store_upload<R: Runners>(
    inner: &Arc<Inner<R>>,
    bucket: &str,
    key: &str,
    length: Option<u64>,
    sha256: Option<[u8; 32]>,
    body: impl ByteSource,
) -> Result<ObjectRecord, S3Error> {
    let (name, now) = (bucket.to_owned(), inner.now());
    let made = inner.metadata.transact(move |tx| {
        ensure_bucket(tx, &name, now)?;
        settings(tx, &name)
    });
    let sealed = sealing::choose(inner, &made.await?, EncryptionRequest::Default)?;
    let expected = Expected { length, sha256, ..Expected::default() };
    let context = sealed.object_context(bucket, key);
    let received = receive(&inner.blobs, &sealed, context, vec![sums::DEFAULT], expected, body).await?;
    let checksum = received.checksum(sums::DEFAULT).cloned();
    let doc = ObjectDoc { sealed, checksum, ..ObjectDoc::default() };
    let object = record(bucket, key, received.keep(), doc, now);
    Ok(commit(inner, object, WriteConditions::default()).await?.0)
}
