//! Reading objects.

use std::{
    io::{self, Read},
    sync::Arc,
};

use kiln_model::{
    Timestamp,
    s3::{
        BucketSettings, ByteRange, ChecksumAlgorithm, CopySource, GetObjectInput, NotMet, Object, ObjectAttributes,
        ObjectInfo, ObjectPart, ObjectRef, S3Code, S3Error,
    },
    service::Context as RequestContext,
};
use kiln_store::{
    BlobError, Blobs, KeyError, Metadata, StoreError, View,
    blobs::BlobStream,
    keys::Context,
    metadata::{ObjectRecord, PartRecord},
};

use super::{
    commit::{failed_condition, object_doc, settings, shown_version},
    document::{self, ObjectDoc, PartDoc, Sealed},
    error::{self, Refusal, look},
    expiry,
    held::Hold,
    sealing::{self, KeyUse},
};
use crate::{
    bytes::{Bytes, Content},
    core::Inner,
    runners::Runners,
};

/// How often an object is looked up again whose bytes are gone: another one took its place meanwhile.
const TRIES: usize = 5;

/// One blob of an object, and where its bytes are in it.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) blob: String,
    pub(crate) context: Context,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// The bytes of an object or a range of it. Only the blob that is being read is open; memory does not depend on sizes.
#[derive(Debug)]
pub struct ObjectReader {
    blobs: Blobs,
    pieces: std::vec::IntoIter<Piece>,
    current: Option<BlobStream>,
    range: (u64, u64),
    /// Of an object in parts: they stay until this is over.
    _hold: Option<Hold>,
}

impl ObjectReader {
    pub(crate) fn new(blobs: &Blobs, pieces: Vec<Piece>, range: (u64, u64)) -> Result<Self, BlobError> {
        let wanted = pieces.into_iter().filter(|p| p.start < range.1 && range.0 < p.start + p.size);
        let pieces = wanted.collect::<Vec<_>>().into_iter();
        let mut reader = Self { blobs: blobs.clone(), pieces, current: None, range, _hold: None };
        // The first one is opened at once: what cannot be read is refused before the answer begins.
        reader.advance()?;
        Ok(reader)
    }

    /// Opens what was looked up a moment ago, for a client. [`BlobError::NotFound`]: it was deleted or replaced since.
    pub(crate) fn open<R: Runners>(inner: &Inner<R>, pieces: Vec<Piece>, range: (u64, u64)) -> Result<Self, BlobError> {
        let hold = match pieces.as_slice() {
            [first, _, ..] => {
                let hold = inner.held.hold(&inner.blobs, pieces.iter().map(|piece| piece.blob.clone()).collect());
                // Named by a record after they are held, none of them is removed before this is over.
                let is_used = inner.metadata.read(|view| view.is_blob_used(&first.blob)).map_err(KeyError::from)?;
                if !is_used {
                    return Err(BlobError::NotFound(first.blob.clone()));
                }
                Some(hold)
            }
            _ => None,
        };
        Ok(Self { _hold: hold, ..Self::new(&inner.blobs, pieces, range)? })
    }

    /// Opens the next blob; false at the end.
    fn advance(&mut self) -> Result<bool, BlobError> {
        self.current = match self.pieces.next() {
            None => None,
            Some(piece) => {
                let reader = self.blobs.reader(&piece.blob, &piece.context)?;
                let from = self.range.0.saturating_sub(piece.start);
                let to = self.range.1.saturating_sub(piece.start).min(piece.size);
                // A whole blob's digest is compared at its end.
                Some(if (from, to) == (0, reader.size()) { reader.stream() } else { reader.range(from..to) })
            }
        };
        Ok(self.current.is_some())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(current) = &mut self.current else { return Ok(0) };
            match current.read(buffer)? {
                0 if !buffer.is_empty() => {
                    self.advance().map_err(io::Error::other)?;
                }
                n => return Ok(n),
            }
        }
    }
}

/// The blobs of an object, in order.
fn pieces(view: &View<'_>, object: &ObjectRecord, sealed: &Sealed) -> Result<Vec<Piece>, StoreError> {
    let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
    if let Some(upload) = &object.upload {
        let mut start = 0;
        let piece = |part: PartRecord| {
            let context = sealed.part_context(bucket, key, upload, part.number);
            let piece = Piece { blob: part.blob, context, start, size: part.size.unsigned_abs() };
            start += piece.size;
            piece
        };
        return Ok(view.parts(upload, 0, usize::MAX)?.into_iter().map(piece).collect());
    }
    let context = sealed.object_context(bucket, key);
    let size = object.size.unsigned_abs();
    Ok(object.blob.iter().map(|blob| Piece { blob: blob.clone(), context: context.clone(), start: 0, size }).collect())
}

/// All bytes of an object that was looked up; of a delete marker there are none.
///
/// # Errors
/// When they cannot be read.
pub fn open_object(metadata: &Metadata, blobs: &Blobs, object: &ObjectRecord) -> io::Result<ObjectReader> {
    if object.is_delete_marker() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let pieces = metadata.read(|view| pieces(view, object, &object_doc(object)?.sealed)).map_err(io::Error::other)?;
    ObjectReader::new(blobs, pieces, (0, object.size.unsigned_abs())).map_err(io::Error::other)
}

/// Looks an object or version up. Delete markers are no objects.
pub(super) fn find(view: &View<'_>, settings: &BucketSettings, wanted: &ObjectRef) -> Result<ObjectRecord, Refusal> {
    let (bucket, key) = (wanted.bucket.as_str(), wanted.key.as_str());
    match &wanted.version_id {
        None => match view.object(bucket, key)? {
            Some(object) if object.is_delete_marker() => {
                let mut error = S3Error::no_such_key(bucket, key);
                error.delete_marker = true;
                error.version_id = shown_version(settings, &object.version);
                Err(error.into())
            }
            Some(object) => Ok(object),
            None => Err(S3Error::no_such_key(bucket, key).into()),
        },
        Some(version) => match view.object_version(bucket, key, version)? {
            Some(object) if object.is_delete_marker() => {
                let text = "The specified method is not allowed against this resource.";
                let mut error = S3Error::new(S3Code::MethodNotAllowed, text).about(bucket, Some(key));
                error.delete_marker = true;
                error.version_id = Some(object.version);
                error.last_modified = Some(Timestamp::from_millis(object.created_ms));
                Err(error.into())
            }
            Some(object) => Ok(object),
            None => Err(S3Error::no_such_version(bucket, key).into()),
        },
    }
}

/// What is known about an object.
pub(super) fn info(object: &ObjectRecord, doc: ObjectDoc, settings: &BucketSettings, newest: bool) -> ObjectInfo {
    ObjectInfo {
        version_id: shown_version(settings, &object.version),
        etag: object.etag.clone(),
        size: object.size.unsigned_abs(),
        last_modified: Timestamp::from_millis(object.created_ms),
        metadata: doc.metadata(),
        tag_count: u32::try_from(doc.tags.len()).unwrap_or(u32::MAX),
        checksum: doc.checksum.clone(),
        parts: doc.parts,
        expires: newest.then(|| expiry::expires(settings, object, &doc.tags)).flatten(),
        encryption: doc.sealed.encryption,
        headers: doc.headers,
    }
}

/// An object that was found, and what of it is wanted.
struct Found {
    info: ObjectInfo,
    range: (u64, u64),
    partial: bool,
    pieces: Vec<Piece>,
    sealed: Sealed,
}

fn not_met(not_met: NotMet, object: &ObjectRecord, settings: &BucketSettings) -> S3Error {
    match not_met {
        NotMet::Failed(header) => failed_condition(header),
        NotMet::NotModified => {
            let mut error = S3Error::new(S3Code::NotModified, "Not Modified");
            error.etag = Some(object.etag.clone());
            error.last_modified = Some(Timestamp::from_millis(object.created_ms));
            error.version_id = shown_version(settings, &object.version);
            error
        }
    }
}

fn look_up(view: &View<'_>, input: &GetObjectInput) -> Result<Found, Refusal> {
    let settings = settings(view, &input.object.bucket)?;
    let object = find(view, &settings, &input.object)?;
    let modified = Timestamp::from_millis(object.created_ms);
    input.conditions.check(&object.etag, modified).map_err(|e| not_met(e, &object, &settings))?;
    let doc = object_doc(&object)?;
    let pieces = pieces(view, &object, &doc.sealed)?;
    let size = object.size.unsigned_abs();
    let algorithm = doc.checksum.as_ref().map(|c| c.algorithm);
    let sealed = doc.sealed.clone();
    let mut info = info(&object, doc, &settings, input.object.version_id.is_none());
    let (range, partial) = match (input.range, input.part_number) {
        (Some(_), Some(_)) => {
            return Err(S3Error::bad_request("Cannot specify both Range header and partNumber query parameter.").into());
        }
        (Some(range), None) => {
            // Nothing is the range of nothing.
            let range = range.of(size).ok_or_else(|| {
                S3Error::new(
                    S3Code::InvalidRange,
                    format!("The requested range is not satisfiable: the object has {size} bytes"),
                )
            })?;
            (range, true)
        }
        (None, Some(number)) => {
            let range = part_range(view, &object, &pieces, number, algorithm, &mut info)?;
            (range, true)
        }
        (None, None) => ((0, size), false),
    };
    Ok(Found { info, range, partial, pieces, sealed })
}

/// Where a part is; its checksum becomes the one that is shown.
fn part_range(
    view: &View<'_>,
    object: &ObjectRecord,
    pieces: &[Piece],
    number: u32,
    algorithm: Option<ChecksumAlgorithm>,
    info: &mut ObjectInfo,
) -> Result<(u64, u64), Refusal> {
    let unknown = || {
        let text = format!("The requested partnumber is not satisfiable: the object has no part {number}");
        Refusal::from(S3Error::new(S3Code::InvalidPartNumber, text))
    };
    let Some(upload) = &object.upload else {
        return if number == 1 { Ok((0, object.size.unsigned_abs())) } else { Err(unknown()) };
    };
    let after = i64::from(number) - 1;
    let part = view.parts(upload, after, 1)?.pop().filter(|p| p.number == i64::from(number)).ok_or_else(unknown)?;
    let piece = pieces.iter().find(|piece| piece.blob == part.blob).ok_or_else(unknown)?;
    info.checksum = match algorithm {
        Some(algorithm) => part_doc(&part)?.checksum(algorithm).cloned(),
        None => None,
    };
    Ok((piece.start, piece.start + piece.size))
}

pub(super) fn part_doc(part: &PartRecord) -> Result<PartDoc, StoreError> {
    document::parse(&part.doc, || format!("part {} of upload {}", part.number, part.upload))
}

/// The bytes of an object, to be copied.
pub(super) struct Opened {
    pub(super) object: ObjectRecord,
    pub(super) settings: BucketSettings,
    pub(super) reader: ObjectReader,
    pub(super) range: (u64, u64),
}

impl Opened {
    /// Lets the caller of a copy use the key that it is sealed with.
    pub(super) fn permit<R: Runners>(&self, inner: &Inner<R>, by: &RequestContext) -> Result<(), S3Error> {
        let doc = object_doc(&self.object).map_err(|e| error::store(&e))?;
        let place = (self.object.bucket.as_str(), self.object.key.as_str());
        sealing::permit(inner, by, KeyUse::Decrypt, &doc.sealed, place)
    }
}

/// Opens an object for a copy; what came in its place meanwhile is opened instead.
pub(super) fn open_source<R: Runners>(
    inner: &Inner<R>,
    source: &CopySource,
    range: Option<ByteRange>,
) -> Result<Opened, S3Error> {
    for _ in 0..TRIES {
        let (object, settings, pieces) = look(&inner.metadata, |view| {
            let settings = settings(view, &source.object.bucket)?;
            let object = find(view, &settings, &source.object)?;
            let modified = Timestamp::from_millis(object.created_ms);
            source.conditions.check(&object.etag, modified).map_err(|e| match e {
                NotMet::Failed(header) => failed_condition(header),
                NotMet::NotModified => failed_condition("x-amz-copy-source-if"),
            })?;
            let pieces = pieces(view, &object, &object_doc(&object)?.sealed)?;
            Ok((object, settings, pieces))
        })?;
        let size = object.size.unsigned_abs();
        let range = match range {
            None => (0, size),
            Some(range) => range.of(size).filter(|_| within(range, size)).ok_or_else(|| {
                let text =
                    format!("The x-amz-copy-source-range value is not within the source, which has {size} bytes");
                S3Error::new(S3Code::InvalidRange, text)
            })?,
        };
        match ObjectReader::open(inner, pieces, range) {
            Ok(reader) => return Ok(Opened { object, settings, reader, range }),
            Err(BlobError::NotFound(_)) => {}
            Err(e) => return Err(error::unreadable(inner, &e)),
        }
    }
    Err(vanished())
}

/// A range of a copy may not reach behind the end.
fn within(range: ByteRange, size: u64) -> bool {
    match range {
        ByteRange::From { last, .. } => last.is_none_or(|last| last < size),
        ByteRange::Suffix(length) => length <= size,
    }
}

fn vanished() -> S3Error {
    S3Error::new(S3Code::ConditionalRequestConflict, "The object was replaced again and again while it was opened")
}

pub(super) async fn get_object<R: Runners>(
    inner: &Arc<Inner<R>>,
    by: &RequestContext,
    input: GetObjectInput,
) -> Result<Object<Bytes>, S3Error> {
    let (with, by) = (Arc::clone(inner), by.clone());
    let object = error::blocking(move || {
        for _ in 0..TRIES {
            let found = look(&with.metadata, |view| look_up(view, &input))?;
            let place = (input.object.bucket.as_str(), input.object.key.as_str());
            sealing::permit(&with, &by, KeyUse::Decrypt, &found.sealed, place)?;
            match ObjectReader::open(&with, found.pieces, found.range) {
                Ok(body) => return Ok(Object { info: found.info, range: found.range, partial: found.partial, body }),
                Err(BlobError::NotFound(_)) => {}
                Err(e) => return Err(error::unreadable(&with, &e)),
            }
        }
        Err(vanished())
    })
    .await?;
    let Object { info, range, partial, body } = object;
    Ok(Object { info, range, partial, body: Bytes::Content(Content::new(body)) })
}

pub(super) fn head_object<R: Runners>(inner: &Inner<R>, input: &GetObjectInput) -> Result<Object<()>, S3Error> {
    let found = look(&inner.metadata, |view| look_up(view, input))?;
    Ok(Object { info: found.info, range: found.range, partial: found.partial, body: () })
}

pub(super) fn attributes<R: Runners>(
    inner: &Inner<R>,
    wanted: &ObjectRef,
    marker: u32,
    most: usize,
) -> Result<ObjectAttributes, S3Error> {
    look(&inner.metadata, |view| look_up_attributes(view, wanted, marker, most))
}

fn look_up_attributes(
    view: &View<'_>,
    wanted: &ObjectRef,
    marker: u32,
    most: usize,
) -> Result<ObjectAttributes, Refusal> {
    let settings = settings(view, &wanted.bucket)?;
    let object = find(view, &settings, wanted)?;
    let doc = object_doc(&object)?;
    let algorithm = doc.checksum.as_ref().map(|c| c.algorithm);
    let mut parts = Vec::new();
    let most = most.min(1000);
    if let Some(upload) = &object.upload {
        for part in view.parts(upload, i64::from(marker), most + 1)? {
            let doc = part_doc(&part)?;
            parts.push(ObjectPart {
                number: u32::try_from(part.number).unwrap_or(u32::MAX),
                size: part.size.unsigned_abs(),
                checksum: algorithm.and_then(|algorithm| doc.checksum(algorithm).cloned()),
            });
        }
    }
    let truncated = parts.len() > most;
    parts.truncate(most);
    Ok(ObjectAttributes { info: info(&object, doc, &settings, wanted.version_id.is_none()), parts, truncated })
}
