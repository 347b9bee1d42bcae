//! Objects in parts.

use kiln_model::{
    s3::{
        ByteRange, ChecksumAlgorithm, ChecksumKind, CompleteUploadInput, CompletedPart, CopyPartInput, CopySource,
        CreateUploadInput, EtagCondition, ExpectedChecksum, GetObjectInput, ListPartsInput, ListUploadsInput,
        MIN_PART_SIZE, NewObject, ObjectRef, ReadConditions, S3Code, StoredPart, UploadId, UploadPartInput,
        WriteConditions,
    },
    service::Objects as _,
};

use super::{Body, Service, blobs, code, get, put, read, whole, with_bucket};
use crate::place::{Place, context};

pub(super) const LARGE: usize = MIN_PART_SIZE as usize;

pub(super) async fn begin(core: &Service, key: &str, checksum: Option<ChecksumAlgorithm>) -> UploadId {
    let input = CreateUploadInput {
        bucket: "bucket".to_owned(),
        key: key.to_owned(),
        object: NewObject::default(),
        checksum,
        checksum_kind: None,
    };
    let upload = core.create_upload(&context(), input).await.unwrap();
    UploadId { bucket: "bucket".to_owned(), key: key.to_owned(), upload_id: upload.upload_id }
}

pub(super) fn part(upload: &UploadId, part_number: u32) -> UploadPartInput {
    UploadPartInput {
        upload: upload.clone(),
        part_number,
        content_length: None,
        content_md5: None,
        content_sha256: None,
        checksum: None,
    }
}

pub(super) async fn send(core: &Service, upload: &UploadId, number: u32, bytes: &[u8]) -> StoredPart {
    core.upload_part(&context(), part(upload, number), Body::of(bytes)).await.unwrap()
}

pub(super) fn complete(upload: &UploadId, parts: &[(u32, &StoredPart)]) -> CompleteUploadInput {
    let named = |(number, part): &(u32, &StoredPart)| CompletedPart {
        part_number: *number,
        etag: part.etag.clone(),
        checksum: None,
    };
    CompleteUploadInput {
        upload: upload.clone(),
        parts: parts.iter().map(named).collect(),
        checksum: None,
        checksum_kind: None,
        object_size: None,
        conditions: WriteConditions::default(),
    }
}

fn bytes(length: usize, of: u8) -> Vec<u8> {
    (0..length).map(|n| of ^ u8::try_from(n % 253).unwrap()).collect()
}

#[tokio::test]
async fn parts_become_an_object() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "big", None).await;
    let (first, last) = (bytes(LARGE, 1), bytes(100_000, 2));
    send(&core, &upload, 1, b"replaced").await;
    let one = send(&core, &upload, 1, &first).await;
    let two = send(&core, &upload, 7, &last).await;
    send(&core, &upload, 9, b"not named").await;
    assert_eq!(blobs(&place), 3);
    assert_eq!(code(get(&core, "bucket", "big").await), S3Code::NoSuchKey);
    let list = ListPartsInput { upload: upload.clone(), after: 1, limit: 1 };
    let listed = core.list_parts(&context(), list).await.unwrap();
    assert_eq!((listed.parts[0].number, listed.next), (7, Some(7)));
    let uploads = ListUploadsInput { bucket: "bucket".to_owned(), limit: 10, ..ListUploadsInput::default() };
    assert_eq!(core.list_uploads(&context(), uploads.clone()).await.unwrap().uploads.len(), 1);

    let input = complete(&upload, &[(1, &one), (7, &two)]);
    let done = core.complete_upload(&context(), input.clone()).await.unwrap();
    assert!(done.etag.ends_with("-2") && done.size == (LARGE + 100_000) as u64, "{done:?}");
    // The same once more finds the object.
    assert_eq!(core.complete_upload(&context(), input).await.unwrap().etag, done.etag);
    assert_eq!(blobs(&place), 2);
    let mut all = first.clone();
    all.extend(&last);
    let (object, got) = read(&core, whole(ObjectRef::newest("bucket", "big"))).await.unwrap();
    assert!(got == all);
    assert_eq!(object.info.parts, Some(2));
    // One CRC of the whole, by those of the parts.
    let checksum = object.info.checksum.unwrap();
    assert_eq!((checksum.algorithm, checksum.kind), (ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject));
    assert_eq!(Some(checksum), put(&core, "bucket", "same", &all).await.checksum);
    // Over the edge of the parts, and one part.
    let edge = ByteRange::From { first: LARGE as u64 - 3, last: Some(LARGE as u64 + 2) };
    let input = GetObjectInput { range: Some(edge), ..whole(ObjectRef::newest("bucket", "big")) };
    assert_eq!(read(&core, input).await.unwrap().1, all[LARGE - 3..LARGE + 3]);
    let input = GetObjectInput { part_number: Some(7), ..whole(ObjectRef::newest("bucket", "big")) };
    let (second, got) = read(&core, input).await.unwrap();
    assert!(got == last && second.partial && second.range.0 == LARGE as u64);
    let input = GetObjectInput { part_number: Some(2), ..whole(ObjectRef::newest("bucket", "big")) };
    assert_eq!(code(read(&core, input).await), S3Code::InvalidPartNumber);
    let attributes = core.object_attributes(&context(), ObjectRef::newest("bucket", "big"), 0, 1).await.unwrap();
    assert!(attributes.truncated && attributes.parts[0].number == 1);
    assert!(core.list_uploads(&context(), uploads).await.unwrap().uploads.is_empty());
    core.delete_object(&context(), super::versions::delete("big", None)).await.unwrap();
    assert_eq!(blobs(&place), 1);
    place.checked(core);
}

#[tokio::test]
async fn what_cannot_be_completed_says_why() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "a", None).await;
    let one = send(&core, &upload, 1, b"small").await;
    let two = send(&core, &upload, 2, b"last").await;
    let refused = async |input| code(core.complete_upload(&context(), input).await);
    assert_eq!(refused(complete(&upload, &[(1, &one), (2, &two)])).await, S3Code::EntityTooSmall);
    assert_eq!(refused(complete(&upload, &[(2, &two), (1, &one)])).await, S3Code::InvalidPartOrder);
    assert_eq!(refused(complete(&upload, &[(1, &two)])).await, S3Code::InvalidPart);
    assert_eq!(refused(complete(&upload, &[(3, &one)])).await, S3Code::InvalidPart);
    assert_eq!(refused(complete(&upload, &[])).await, S3Code::MalformedXml);
    let size = CompleteUploadInput { object_size: Some(1), ..complete(&upload, &[(1, &one)]) };
    assert_eq!(refused(size).await, S3Code::InvalidRequest);
    let sum = Some((ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=".to_owned()));
    let sum = CompleteUploadInput { checksum: sum, ..complete(&upload, &[(1, &one)]) };
    assert_eq!(refused(sum).await, S3Code::BadDigest);
    put(&core, "bucket", "a", b"there").await;
    let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() };
    let conditional = CompleteUploadInput { conditions: absent, ..complete(&upload, &[(1, &one)]) };
    assert_eq!(refused(conditional).await, S3Code::PreconditionFailed);
    // Another key's, or another bucket's.
    let stranger = UploadId { key: "b".to_owned(), ..upload.clone() };
    assert_eq!(refused(complete(&stranger, &[(1, &one)])).await, S3Code::NoSuchUpload);
    for number in [0, 10_001] {
        let sent = core.upload_part(&context(), part(&upload, number), Body::of(b"x")).await;
        assert_eq!(code(sent), S3Code::InvalidArgument);
    }
    core.abort_upload(&context(), upload.clone()).await.unwrap();
    assert_eq!(code(core.abort_upload(&context(), upload.clone()).await), S3Code::NoSuchUpload);
    let late = core.upload_part(&context(), part(&upload, 1), Body::of(b"x")).await;
    assert_eq!(code(late), S3Code::NoSuchUpload);
    assert_eq!(blobs(&place), 1);
    // Uploads that are not completed do not keep a bucket.
    let left = begin(&core, "b", None).await;
    send(&core, &left, 1, b"x").await;
    core.delete_object(&context(), super::versions::delete("a", None)).await.unwrap();
    core.delete_bucket(&context(), "bucket").await.unwrap();
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}

#[tokio::test]
async fn checksums_of_parts_are_compared() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "a", Some(ChecksumAlgorithm::Crc32)).await;
    let other = ExpectedChecksum::Computed(ChecksumAlgorithm::Sha1);
    let other = UploadPartInput { checksum: Some(other), ..part(&upload, 1) };
    assert_eq!(code(core.upload_part(&context(), other, Body::of(b"x")).await), S3Code::InvalidRequest);
    let wrong = ExpectedChecksum::Value(ChecksumAlgorithm::Crc32, "AAAAAA==".to_owned());
    let wrong = UploadPartInput { checksum: Some(wrong), ..part(&upload, 1) };
    assert_eq!(code(core.upload_part(&context(), wrong, Body::of(b"x")).await), S3Code::BadDigest);
    let right = ExpectedChecksum::Value(ChecksumAlgorithm::Crc32, "y/Q5Jg==".to_owned());
    let right = UploadPartInput { checksum: Some(right), ..part(&upload, 1) };
    let one = core.upload_part(&context(), right, Body::of(b"123456789")).await.unwrap();
    assert_eq!(one.checksum.as_ref().map(|c| c.value.as_str()), Some("y/Q5Jg=="));
    let mut input = complete(&upload, &[(1, &one)]);
    input.parts[0].checksum = Some((ChecksumAlgorithm::Crc32, "AAAAAA==".to_owned()));
    assert_eq!(code(core.complete_upload(&context(), input.clone()).await), S3Code::InvalidPart);
    input.parts[0].checksum = Some((ChecksumAlgorithm::Crc32, "y/Q5Jg==".to_owned()));
    let done = core.complete_upload(&context(), input).await.unwrap();
    let checksum = done.checksum.unwrap();
    assert!(checksum.kind == ChecksumKind::Composite && checksum.value.ends_with("-1"), "{checksum:?}");
    place.checked(core);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completed_by_many_at_once_it_is_one_object() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "a", None).await;
    let one = send(&core, &upload, 1, b"only").await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (core, input) = (core.clone(), complete(&upload, &[(1, &one)]));
        clients.spawn(async move { core.complete_upload(&context(), input).await.map(|done| done.etag) });
    }
    let etags: Vec<_> = clients.join_all().await.into_iter().map(Result::unwrap).collect();
    assert!(etags.iter().all(|etag| *etag == etags[0]));
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"only");
    place.checked(core);
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let content = bytes(LARGE + 1000, 3);
    put(&core, "bucket", "source", &content).await;
    let upload = begin(&core, "copy", None).await;
    let from = |first, last| CopyPartInput {
        upload: upload.clone(),
        part_number: if first == 0 { 1 } else { 2 },
        source: CopySource { object: ObjectRef::newest("bucket", "source"), conditions: ReadConditions::default() },
        range: Some(ByteRange::From { first, last: Some(last) }),
    };
    let one = core.copy_part(&context(), from(0, LARGE as u64 - 1)).await.unwrap();
    let beyond = core.copy_part(&context(), from(LARGE as u64, LARGE as u64 + 1000)).await;
    assert_eq!(code(beyond), S3Code::InvalidRange);
    let two = core.copy_part(&context(), from(LARGE as u64, LARGE as u64 + 999)).await.unwrap();
    core.complete_upload(&context(), complete(&upload, &[(1, &one), (2, &two)])).await.unwrap();
    assert!(get(&core, "bucket", "copy").await.unwrap() == content);
    place.checked(core);
}

/// Who reads an object reads it to its end, whatever becomes of it meanwhile.
#[tokio::test]
async fn an_object_that_is_deleted_is_read_to_its_end() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "a", None).await;
    let (first, last) = (bytes(LARGE, 1), bytes(LARGE, 2));
    let one = send(&core, &upload, 1, &first).await;
    let two = send(&core, &upload, 2, &last).await;
    core.complete_upload(&context(), complete(&upload, &[(1, &one), (2, &two)])).await.unwrap();
    let object = core.get_object(&context(), whole(ObjectRef::newest("bucket", "a"))).await.unwrap();
    core.delete_object(&context(), super::versions::delete("a", None)).await.unwrap();
    assert_eq!(code(get(&core, "bucket", "a").await), S3Code::NoSuchKey);
    assert!(super::collect(object.body).await.unwrap() == [first, last].concat());
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}

/// Parts are sealed for their places: swapped in the records' files they do not open.
#[tokio::test]
async fn swapped_parts_are_refused() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let upload = begin(&core, "a", None).await;
    let one = send(&core, &upload, 1, &bytes(LARGE, 1)).await;
    let two = send(&core, &upload, 2, &bytes(LARGE, 2)).await;
    core.complete_upload(&context(), complete(&upload, &[(1, &one), (2, &two)])).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(place.data().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    let aside = place.data().join("aside");
    std::fs::rename(&files[0], &aside).unwrap();
    std::fs::rename(&files[1], &files[0]).unwrap();
    std::fs::rename(&aside, &files[1]).unwrap();
    assert_eq!(code(core.get_object(&context(), whole(ObjectRef::newest("bucket", "a"))).await), S3Code::InternalError);
    core.stop();
}
