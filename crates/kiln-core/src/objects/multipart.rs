//! Objects that come in parts. A part is a blob of its own, sealed for its place in its upload; the finished object names
//! the upload, so that completing it does not touch bytes.

use std::{collections::HashMap, sync::Arc};

use kiln_model::{
    Timestamp,
    s3::{
        BucketSettings, Checksum, ChecksumAlgorithm, ChecksumKind, CompleteUploadInput, CompletedPart, CopyPartInput,
        CreateUploadInput, ExpectedChecksum, ListPartsInput, ListPartsOutput, ListedPart, MAX_PART_NUMBER,
        MIN_PART_SIZE, S3Code, S3Error, StoredObject, StoredPart, Upload, UploadId, UploadPartInput, check_key,
    },
    service::{ByteSource, Context},
};
use kiln_store::{
    StoreError, View,
    metadata::{ObjectRecord, PartRecord, UploadRecord},
};
use uuid::Uuid;

use super::{
    commit::{check_conditions, new_doc, new_version, replace, settings, shown_version, stored},
    copy::transfer,
    document::{self, Document as _, PartDoc, UploadDoc},
    error::{self, Refusal, look},
    hex,
    read::{open_source, part_doc},
    receive::{Expected, Received, Source, receive},
    remove::remove_blobs,
    sealing::{self, KeyUse},
    sums,
};
use crate::{core::Inner, crash, runners::Runners};

pub(super) fn upload_doc(upload: &UploadRecord) -> Result<UploadDoc, StoreError> {
    document::parse(&upload.doc, || format!("upload {}", upload.id))
}

/// Looks an upload up, as its bucket and key must be the client's.
fn find(view: &View<'_>, wanted: &UploadId) -> Result<(UploadRecord, UploadDoc), Refusal> {
    settings(view, &wanted.bucket)?;
    match view.upload(&wanted.upload_id)? {
        Some(upload) if upload.bucket == wanted.bucket && upload.key == wanted.key => {
            let doc = upload_doc(&upload)?;
            Ok((upload, doc))
        }
        _ => Err(S3Error::no_such_upload().into()),
    }
}

pub(super) async fn create<R: Runners>(
    inner: &Arc<Inner<R>>,
    by: &Context,
    input: CreateUploadInput,
) -> Result<Upload, S3Error> {
    check_key(&input.key)?;
    let settings = look(&inner.metadata, |view| settings(view, &input.bucket))?;
    let sealed = sealing::choose(inner, &settings, input.object.encryption.clone())?;
    sealing::permit(inner, by, KeyUse::Generate, &sealed, (&input.bucket, &input.key))?;
    // A key that cannot be used is told before the bytes come.
    let checksum = match (input.checksum, input.checksum_kind) {
        (Some(algorithm), named) => Some((algorithm, sums::kind(algorithm, named)?)),
        (None, Some(_)) => {
            let text = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.";
            return Err(S3Error::bad_request(text));
        }
        (None, None) => None,
    };
    let doc = UploadDoc { object: new_doc(input.object, sealed)?, checksum, ..UploadDoc::default() };
    let encryption = doc.object.sealed.encryption.clone();
    let upload_id = Uuid::new_v4().simple().to_string();
    let upload = UploadRecord {
        id: upload_id.clone(),
        bucket: input.bucket,
        key: input.key,
        created_ms: inner.now(),
        doc: doc.into_json(),
    };
    let stored = inner.metadata.transact(move |tx| match tx.insert_upload(&upload) {
        Err(StoreError::NotFound(_)) => Err(S3Error::no_such_bucket(&upload.bucket).into()),
        other => other.map_err(Refusal::from),
    });
    stored.await?;
    Ok(Upload { upload_id, encryption, checksum })
}

fn check_number(number: u32) -> Result<i64, S3Error> {
    if (1..=MAX_PART_NUMBER).contains(&number) {
        return Ok(i64::from(number));
    }
    Err(S3Error::invalid(format!("Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive")))
}

/// The checksum that the upload's object will need of each part.
fn needed(doc: &UploadDoc) -> ChecksumAlgorithm {
    doc.checksum.map_or(sums::DEFAULT, |(algorithm, _)| algorithm)
}

pub(super) async fn upload_part<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: UploadPartInput,
    body: impl ByteSource,
) -> Result<StoredPart, S3Error> {
    let number = check_number(input.part_number)?;
    let (upload, doc) = look(&inner.metadata, |view| find(view, &input.upload))?;
    let shown = input.checksum.as_ref().map(ExpectedChecksum::algorithm);
    if let (Some(sent), Some((wanted, _))) = (shown, doc.checksum)
        && sent != wanted
    {
        let text =
            format!("Checksum Type mismatch occurred, expected checksum Type: {wanted}, actual checksum Type: {sent}");
        return Err(S3Error::bad_request(text));
    }
    let sealed = &doc.object.sealed;
    let context = sealed.part_context(&upload.bucket, &upload.key, &upload.id, number);
    let algorithms = std::iter::once(needed(&doc)).chain(shown).collect();
    let expected = Expected {
        length: input.content_length,
        md5: input.content_md5,
        sha256: input.content_sha256,
        checksum: input.checksum,
    };
    let received = receive(&inner.blobs, sealed, context, algorithms, expected, body).await?;
    keep_part(inner, &upload, &doc, number, received, shown, None).await
}

/// Makes the record of a part whose bytes are stored.
async fn keep_part<R: Runners>(
    inner: &Arc<Inner<R>>,
    upload: &UploadRecord,
    doc: &UploadDoc,
    number: i64,
    received: Received,
    shown: Option<ChecksumAlgorithm>,
    source_version_id: Option<String>,
) -> Result<StoredPart, S3Error> {
    let shown = shown.or(doc.checksum.map(|(algorithm, _)| algorithm));
    let checksum = shown.and_then(|algorithm| received.checksum(algorithm).cloned());
    let part_doc = PartDoc { checksums: received.checksums.clone(), ..PartDoc::default() };
    let blob = received.keep();
    let part = PartRecord {
        upload: upload.id.clone(),
        number,
        blob: blob.id.clone(),
        size: i64::try_from(blob.size).unwrap_or(i64::MAX),
        etag: hex(&blob.md5),
        created_ms: inner.now(),
        doc: part_doc.into_json(),
    };
    let etag = part.etag.clone();
    let last_modified = Timestamp::from_millis(part.created_ms);
    crash::point("part_stored");
    let stored = inner.metadata.transact(move |tx| match tx.put_part(&part) {
        // Completed or given up meanwhile.
        Err(StoreError::NotFound(_)) => Err(S3Error::no_such_upload().into()),
        other => other.map_err(Refusal::from),
    });
    match stored.await {
        Ok(replaced) => remove_blobs(inner, replaced.into_iter().collect()).await,
        Err(refusal) => {
            if !matches!(refusal, Refusal::Store(StoreError::Stopped(_))) {
                remove_blobs(inner, vec![blob.id]).await;
            }
            return Err(refusal.into());
        }
    }
    Ok(StoredPart {
        etag,
        checksum,
        encryption: doc.object.sealed.encryption.clone(),
        last_modified,
        source_version_id,
    })
}

pub(super) async fn copy_part<R: Runners>(
    inner: &Arc<Inner<R>>,
    by: &Context,
    input: CopyPartInput,
) -> Result<StoredPart, S3Error> {
    let number = check_number(input.part_number)?;
    let (upload, doc) = look(&inner.metadata, |view| find(view, &input.upload))?;
    let (with, sealed) = (Arc::clone(inner), doc.object.sealed.clone());
    let context = sealed.part_context(&upload.bucket, &upload.key, &upload.id, number);
    let algorithm = needed(&doc);
    let by = by.clone();
    let (received, version) = error::blocking(move || {
        let opened = open_source(&with, &input.source, input.range)?;
        opened.permit(&with, &by)?;
        let version = shown_version(&opened.settings, &opened.object.version);
        let to = Source::new(&with.blobs, &sealed, &context, &[algorithm]).map_err(|e| error::blob(&e))?;
        Ok((transfer(opened, to)?, version))
    })
    .await?;
    keep_part(inner, &upload, &doc, number, received, None, version).await
}

pub(super) async fn abort<R: Runners>(inner: &Arc<Inner<R>>, upload: UploadId) -> Result<(), S3Error> {
    let aborted = inner.metadata.transact(move |tx| {
        find(tx, &upload)?;
        tx.delete_upload(&upload.upload_id)?;
        Ok::<_, Refusal>(tx.delete_parts(&upload.upload_id)?)
    });
    let blobs = aborted.await?;
    remove_blobs(inner, blobs).await;
    Ok(())
}

pub(super) fn list_parts<R: Runners>(inner: &Inner<R>, input: &ListPartsInput) -> Result<ListPartsOutput, S3Error> {
    let most = input.limit.min(1000);
    look(&inner.metadata, |view| {
        let (upload, doc) = find(view, &input.upload)?;
        let mut found = view.parts(&upload.id, i64::from(input.after), most + 1)?;
        let more = found.len() > most && most > 0;
        found.truncate(most);
        let mut parts = Vec::new();
        for part in found {
            let checksums = part_doc(&part)?;
            parts.push(ListedPart {
                number: u32::try_from(part.number).unwrap_or(u32::MAX),
                etag: part.etag,
                size: part.size.unsigned_abs(),
                last_modified: Timestamp::from_millis(part.created_ms),
                checksum: doc.checksum.and_then(|(algorithm, _)| checksums.checksum(algorithm).cloned()),
            });
        }
        let next = parts.last().map(|part| part.number).filter(|_| more);
        Ok(ListPartsOutput { parts, next, checksum: doc.checksum })
    })
}

/// A part that the object will have.
struct Chosen {
    part: PartRecord,
    doc: PartDoc,
}

/// The parts that the client names, in its order, which must be that of their numbers.
fn choose(named: &[CompletedPart], stored: Vec<PartRecord>) -> Result<Vec<Chosen>, Refusal> {
    if named.is_empty() || named.len() > MAX_PART_NUMBER as usize {
        let text = format!("The list must name 1 to {MAX_PART_NUMBER} parts; it has {}", named.len());
        return Err(S3Error::new(S3Code::MalformedXml, text).into());
    }
    if named.windows(2).any(|pair| matches!(pair, [a, b] if a.part_number >= b.part_number)) {
        let text =
            "The list of parts was not in ascending order. The parts list must be specified in order by part number.";
        return Err(S3Error::new(S3Code::InvalidPartOrder, text).into());
    }
    let mut stored: HashMap<i64, PartRecord> = stored.into_iter().map(|part| (part.number, part)).collect();
    let mut chosen: Vec<Chosen> = Vec::new();
    for (n, named_part) in named.iter().enumerate() {
        let number = i64::from(named_part.part_number);
        let invalid = || {
            let text = format!(
                "One or more of the specified parts could not be found: part {number}. The part might not have been \
                 uploaded, or the specified entity tag might not have matched the part's entity tag."
            );
            Refusal::from(S3Error::new(S3Code::InvalidPart, text))
        };
        let part = stored.remove(&number).filter(|part| part.etag == named_part.etag).ok_or_else(invalid)?;
        let doc = part_doc(&part)?;
        if let Some((algorithm, value)) = &named_part.checksum
            && doc.checksum(*algorithm).is_none_or(|checksum| checksum.value != *value)
        {
            return Err(invalid());
        }
        if n + 1 < named.len() && part.size.unsigned_abs() < MIN_PART_SIZE {
            let text = format!(
                "Your proposed upload is smaller than the minimum allowed size: part {number} has {} bytes, all but the \
                 last need {MIN_PART_SIZE}",
                part.size
            );
            return Err(S3Error::new(S3Code::EntityTooSmall, text).into());
        }
        chosen.push(Chosen { part, doc });
    }
    Ok(chosen)
}

/// The checksum of the whole, compared with what the client says.
fn whole_checksum(
    input: &CompleteUploadInput,
    upload: &UploadDoc,
    chosen: &[Chosen],
) -> Result<Option<Checksum>, S3Error> {
    let (algorithm, kind) = upload.checksum.unwrap_or((sums::DEFAULT, ChecksumKind::FullObject));
    if let Some(named) = input.checksum_kind
        && upload.checksum.is_some()
        && named != kind
    {
        return Err(S3Error::bad_request(format!(
            "The upload was created using the {kind} checksum type, not {named}"
        )));
    }
    let parts: Vec<_> =
        chosen.iter().map(|chosen| (chosen.doc.checksum(algorithm), chosen.part.size.unsigned_abs())).collect();
    let checksum = sums::of_parts(algorithm, kind, &parts);
    if let Some((sent_algorithm, sent)) = &input.checksum {
        let kind = if *sent_algorithm == algorithm { kind } else { sums::kind(*sent_algorithm, input.checksum_kind)? };
        let parts: Vec<_> = chosen
            .iter()
            .map(|chosen| (chosen.doc.checksum(*sent_algorithm), chosen.part.size.unsigned_abs()))
            .collect();
        let computed = sums::of_parts(*sent_algorithm, kind, &parts);
        let plain = |value: &str| value.split_once('-').map_or(value, |(plain, _)| plain).to_owned();
        if computed.is_none_or(|computed| plain(&computed.value) != plain(sent)) {
            let text = format!("The {sent_algorithm} you specified did not match the calculated checksum.");
            return Err(S3Error::new(S3Code::BadDigest, text));
        }
    }
    Ok(checksum)
}

/// What completing an upload did.
struct Completed {
    object: ObjectRecord,
    settings: BucketSettings,
    blobs: Vec<String>,
}

pub(super) async fn complete<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: CompleteUploadInput,
) -> Result<StoredObject, S3Error> {
    let now = inner.now();
    // In one transaction: of two at once the second finds the object of the first.
    let completed = inner.metadata.transact(move |tx| {
        let wanted = &input.upload;
        let settings = settings(tx, &wanted.bucket)?;
        let there = tx.object(&wanted.bucket, &wanted.key)?;
        if let Some(object) = there.as_ref().filter(|o| o.upload.as_deref() == Some(wanted.upload_id.as_str())) {
            return Ok(Completed { object: object.clone(), settings, blobs: Vec::new() });
        }
        let (upload, doc) = find(tx, wanted)?;
        check_conditions(&input.conditions, there.as_ref(), &wanted.bucket, &wanted.key)?;
        let stored = tx.parts(&upload.id, 0, usize::MAX)?;
        let numbers: Vec<i64> = stored.iter().map(|part| part.number).collect();
        let chosen = choose(&input.parts, stored)?;
        let size: i64 = chosen.iter().map(|chosen| chosen.part.size).sum();
        if input.object_size.is_some_and(|said| said != size.unsigned_abs()) {
            let text =
                format!("The provided 'x-amz-mp-object-size' header does not match what was computed: {size} bytes");
            return Err(S3Error::bad_request(text).into());
        }
        let checksum = whole_checksum(&input, &doc, &chosen)?;
        let mut blobs = Vec::new();
        for number in numbers.iter().filter(|n| chosen.binary_search_by_key(*n, |c| c.part.number).is_err()) {
            blobs.extend(tx.delete_part(&upload.id, *number)?);
        }
        let mut object_doc = doc.object;
        object_doc.checksum = checksum;
        object_doc.parts = u32::try_from(chosen.len()).ok();
        let object = ObjectRecord {
            bucket: upload.bucket.clone(),
            key: upload.key.clone(),
            version: new_version(&settings),
            blob: None,
            upload: Some(upload.id.clone()),
            size,
            etag: sums::etag_of_parts(chosen.iter().map(|chosen| chosen.part.etag.as_str())),
            sha256: Vec::new(),
            created_ms: now,
            doc: object_doc.into_json(),
        };
        blobs.extend(replace(tx, &object)?);
        tx.delete_upload(&upload.id)?;
        Ok::<_, Refusal>(Completed { object, settings, blobs })
    });
    let Completed { object, settings, blobs } = completed.await?;
    crash::point("upload_completed");
    remove_blobs(inner, blobs).await;
    stored(&object, &settings)
}
