//! Copies within the store: bytes are read, sealed anew and written, piece by piece.

use std::sync::Arc;

use kiln_model::{
    s3::{CopyObjectInput, CopyOutput, EncryptionRequest, MAX_PART_SIZE, S3Error, check_key},
    service::Context,
};

use super::{
    commit::{check_conditions, commit, new_doc, object_doc, record, settings, shown_version, stored},
    document::ObjectDoc,
    error::{self, look},
    read::{Opened, open_source},
    receive::{Received, Source},
    sealing::{self, KeyUse},
    sums,
};
use crate::{core::Inner, runners::Runners};

/// A copy to the object's own place must change something.
fn check_change(input: &CopyObjectInput) -> Result<(), S3Error> {
    let source = &input.source.object;
    let same = source.bucket == input.bucket && source.key == input.key && source.version_id.is_none();
    let changes = input.replace_metadata
        || input.object.encryption != EncryptionRequest::Default
        || input.object.headers.website_redirect.is_some();
    if same && !changes {
        return Err(S3Error::bad_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    Ok(())
}

pub(super) async fn copy_object<R: Runners>(
    inner: &Arc<Inner<R>>,
    by: &Context,
    input: CopyObjectInput,
) -> Result<CopyOutput, S3Error> {
    check_key(&input.key)?;
    check_change(&input)?;
    let conditions = input.conditions.clone();
    let (with, by) = (Arc::clone(inner), by.clone());
    let (object, source_version_id) = error::blocking(move || {
        let (settings, there) =
            look(&with.metadata, |view| Ok((settings(view, &input.bucket)?, view.object(&input.bucket, &input.key)?)))?;
        check_conditions(&input.conditions, there.as_ref(), &input.bucket, &input.key)?;
        let opened = open_source(&with, &input.source, None)?;
        opened.permit(&with, &by)?;
        let of_source = object_doc(&opened.object).map_err(|e| error::store(&e))?;
        let sealed = sealing::choose(&with, &settings, input.object.encryption.clone())?;
        sealing::permit(&with, &by, KeyUse::Generate, &sealed, (&input.bucket, &input.key))?;
        let mut doc = new_doc(input.object, sealed)?;
        keep(&mut doc, &of_source, input.replace_metadata, input.replace_tags);
        let kept = of_source.checksum.map(|c| c.algorithm);
        let algorithm = input.checksum.or(kept).unwrap_or(sums::DEFAULT);
        let context = doc.sealed.object_context(&input.bucket, &input.key);
        let source_version_id = shown_version(&opened.settings, &opened.object.version);
        let to = Source::new(&with.blobs, &doc.sealed, &context, &[algorithm]).map_err(|e| error::blob(&e))?;
        let received = transfer(opened, to)?;
        doc.checksum = received.checksum(algorithm).cloned();
        Ok((record(&input.bucket, &input.key, received.keep(), doc, with.now()), source_version_id))
    })
    .await?;
    let (object, settings) = commit(inner, object, conditions).await?;
    Ok(CopyOutput { object: stored(&object, &settings)?, source_version_id })
}

/// What a copy has of its source.
fn keep(doc: &mut ObjectDoc, of_source: &ObjectDoc, replace_metadata: bool, replace_tags: bool) {
    if !replace_metadata {
        let redirect = doc.headers.website_redirect.take();
        doc.headers = of_source.headers.clone();
        doc.headers.website_redirect = redirect;
        doc.set_metadata(of_source.metadata());
    }
    if !replace_tags {
        doc.tags = of_source.tags.clone();
    }
}

/// Copies the bytes of an object or a range of it.
pub(super) fn transfer(mut opened: Opened, mut to: Source) -> Result<Received, S3Error> {
    if opened.range.1 - opened.range.0 > MAX_PART_SIZE {
        return Err(S3Error::bad_request(format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {MAX_PART_SIZE}"
        )));
    }
    to.write_all(&mut opened.reader).and_then(|()| to.finish()).map_err(|e| error::blob(&e))
}
