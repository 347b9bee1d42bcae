//! Putting, reading, copying.

use std::collections::BTreeMap;

use kiln_model::{
    Timestamp,
    s3::{
        ByteRange, ChecksumAlgorithm, ContentHeaders, CopyObjectInput, CopySource, EncryptionRequest, EtagCondition,
        ExpectedChecksum, GetObjectInput, NewObject, ObjectRef, PutObjectInput, ReadConditions, S3Code, Tag,
        TrailingChecksum, WriteConditions,
    },
    service::Objects as _,
};

use super::{Body, blobs, code, get, input, put, read, whole, with_bucket};
use crate::place::{Place, context};

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

#[tokio::test]
async fn an_object_is_what_was_put() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let content = bytes(3_000_000);
    let object = NewObject {
        headers: ContentHeaders { content_type: Some("text/plain".to_owned()), ..ContentHeaders::default() },
        metadata: BTreeMap::from([("author".to_owned(), "a".to_owned())]),
        tags: vec![Tag { key: "k".to_owned(), value: "v".to_owned() }],
        storage_class: Some("STANDARD".to_owned()),
        ..NewObject::default()
    };
    let put = PutObjectInput { object, content_length: Some(3_000_000), ..input("bucket", "a//b") };
    let stored = core.put_object(&context(), put, Body::of(&content)).await.unwrap();
    assert_eq!(stored.version_id, None);
    let (object, got) = read(&core, whole(ObjectRef::newest("bucket", "a//b"))).await.unwrap();
    assert!(got == content && !object.partial);
    assert_eq!(object.info.etag, stored.etag);
    assert_eq!(object.info.headers.content_type.as_deref(), Some("text/plain"));
    assert_eq!(object.info.metadata.get("author").map(String::as_str), Some("a"));
    assert_eq!(object.info.tag_count, 1);
    assert_eq!(object.info.checksum.map(|c| c.algorithm), Some(ChecksumAlgorithm::Crc64Nvme));
    // Around it there is nothing.
    for key in ["a", "a/", "a//", "a//b/", "a/b"] {
        assert_eq!(code(get(&core, "bucket", key).await), S3Code::NoSuchKey, "{key}");
    }
    place.checked(core);
}

#[tokio::test]
async fn what_does_not_arrive_whole_leaves_nothing() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let content = bytes(800_000);
    let expect = |checksum| PutObjectInput { checksum: Some(checksum), ..input("bucket", "a") };
    let wrong = ExpectedChecksum::Value(ChecksumAlgorithm::Crc32, "AAAAAA==".to_owned());
    assert_eq!(code(core.put_object(&context(), expect(wrong), Body::of(&content)).await), S3Code::BadDigest);
    let invalid = ExpectedChecksum::Value(ChecksumAlgorithm::Crc32, "AAAA".to_owned());
    assert_eq!(code(core.put_object(&context(), expect(invalid), Body::of(&content)).await), S3Code::InvalidRequest);
    let absent = ExpectedChecksum::Trailing(ChecksumAlgorithm::Sha256, TrailingChecksum::new(|| None));
    assert_eq!(code(core.put_object(&context(), expect(absent), Body::of(&content)).await), S3Code::InvalidRequest);
    let md5 = PutObjectInput { content_md5: Some([0; 16]), ..input("bucket", "a") };
    assert_eq!(code(core.put_object(&context(), md5, Body::of(&content)).await), S3Code::BadDigest);
    let sha256 = PutObjectInput { content_sha256: Some([0; 32]), ..input("bucket", "a") };
    let refused = core.put_object(&context(), sha256, Body::of(&content)).await;
    assert_eq!(code(refused), S3Code::XAmzContentSha256Mismatch);
    for length in [799_999, 800_001] {
        let short = PutObjectInput { content_length: Some(length), ..input("bucket", "a") };
        assert_eq!(code(core.put_object(&context(), short, Body::of(&content)).await), S3Code::IncompleteBody);
    }
    let refused = core.put_object(&context(), input("bucket", "a"), Body::broken(&content)).await;
    assert_eq!(code(refused), S3Code::IncompleteBody);
    let missing = core.put_object(&context(), input("none", "a"), Body::of(&content)).await;
    assert_eq!(code(missing), S3Code::NoSuchBucket);
    let sse_c = NewObject { encryption: EncryptionRequest::CustomerKey, ..NewObject::default() };
    let sse_c = PutObjectInput { object: sse_c, ..input("bucket", "a") };
    assert_eq!(code(core.put_object(&context(), sse_c, Body::of(&content)).await), S3Code::NotImplemented);
    assert_eq!(code(get(&core, "bucket", "a").await), S3Code::NoSuchKey);
    assert_eq!(blobs(&place), 0);
    let right =
        ExpectedChecksum::Trailing(ChecksumAlgorithm::Crc32, TrailingChecksum::new(|| Some("y/Q5Jg==".to_owned())));
    let stored = core.put_object(&context(), expect(right), Body::of(b"123456789")).await.unwrap();
    assert_eq!(stored.checksum.map(|c| c.value).as_deref(), Some("y/Q5Jg=="));
    place.checked(core);
}

#[tokio::test]
async fn ranges_and_conditions_are_kept() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let content = bytes(100_000);
    let stored = put(&core, "bucket", "a", &content).await;
    for (range, from, to) in [
        (ByteRange::From { first: 0, last: Some(0) }, 0, 1),
        (ByteRange::From { first: 16_383, last: Some(16_384) }, 16_383, 16_385),
        (ByteRange::From { first: 99_999, last: None }, 99_999, 100_000),
        (ByteRange::From { first: 5, last: Some(u64::MAX) }, 5, 100_000),
        (ByteRange::Suffix(7), 99_993, 100_000),
    ] {
        let input = GetObjectInput { range: Some(range), ..whole(ObjectRef::newest("bucket", "a")) };
        let (object, got) = read(&core, input).await.unwrap();
        assert!(object.partial && object.info.size == 100_000);
        assert_eq!(got, content[from..to], "{range:?}");
    }
    let beyond = Some(ByteRange::From { first: 100_000, last: None });
    let beyond = GetObjectInput { range: beyond, ..whole(ObjectRef::newest("bucket", "a")) };
    assert_eq!(code(read(&core, beyond).await), S3Code::InvalidRange);
    let head = |conditions| GetObjectInput { conditions, ..whole(ObjectRef::newest("bucket", "a")) };
    let etag = || Some(EtagCondition::Etag(stored.etag.clone()));
    let none_match = ReadConditions { if_none_match: etag(), ..ReadConditions::default() };
    let error = core.head_object(&context(), head(none_match)).await.unwrap_err();
    assert_eq!((error.code, error.etag.as_ref()), (S3Code::NotModified, Some(&stored.etag)));
    let other = Some(EtagCondition::Etag("other".to_owned()));
    let matches = ReadConditions { if_match: other, ..ReadConditions::default() };
    assert_eq!(code(core.head_object(&context(), head(matches)).await), S3Code::PreconditionFailed);
    let since = Timestamp::from_millis(stored.last_modified.millis() - 60_000);
    let since = ReadConditions { if_unmodified_since: Some(since), ..ReadConditions::default() };
    assert_eq!(code(core.head_object(&context(), head(since)).await), S3Code::PreconditionFailed);

    let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() };
    let again = PutObjectInput { conditions: absent.clone(), ..input("bucket", "a") };
    assert_eq!(code(core.put_object(&context(), again, Body::of(b"x")).await), S3Code::PreconditionFailed);
    let new = PutObjectInput { conditions: absent, ..input("bucket", "new") };
    core.put_object(&context(), new, Body::of(b"x")).await.unwrap();
    let same = WriteConditions { if_match: etag(), ..WriteConditions::default() };
    let replace = PutObjectInput { conditions: same.clone(), ..input("bucket", "a") };
    core.put_object(&context(), replace.clone(), Body::of(b"y")).await.unwrap();
    assert_eq!(code(core.put_object(&context(), replace, Body::of(b"z")).await), S3Code::PreconditionFailed);
    let missing = PutObjectInput { conditions: same, ..input("bucket", "missing") };
    assert_eq!(code(core.put_object(&context(), missing, Body::of(b"z")).await), S3Code::NoSuchKey);
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"y");
    assert_eq!(blobs(&place), 2);
    place.checked(core);
}

/// Of many writers who all want to be the first, one is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creates_an_object() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..WriteConditions::default() };
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..16u8 {
        let (core, put) = (core.clone(), PutObjectInput { conditions: absent.clone(), ..input("bucket", "a") });
        writers.spawn(async move { core.put_object(&context(), put, Body::of(&[n])).await.is_ok() });
    }
    assert_eq!(writers.join_all().await.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(blobs(&place), 1);
    place.checked(core);
}

fn copy(from: &str, to: &str) -> CopyObjectInput {
    CopyObjectInput {
        source: CopySource { object: ObjectRef::newest("bucket", from), conditions: ReadConditions::default() },
        bucket: "bucket".to_owned(),
        key: to.to_owned(),
        replace_metadata: false,
        replace_tags: false,
        object: NewObject::default(),
        checksum: None,
        conditions: WriteConditions::default(),
    }
}

#[tokio::test]
async fn copies_keep_or_replace_what_is_known() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let tag = |value: &str| vec![Tag { key: "k".to_owned(), value: value.to_owned() }];
    let meta = |value: &str| BTreeMap::from([("m".to_owned(), value.to_owned())]);
    let object = NewObject { metadata: meta("1"), tags: tag("1"), ..NewObject::default() };
    let content = bytes(1_000_000);
    let put = PutObjectInput { object, ..input("bucket", "a") };
    let source = core.put_object(&context(), put, Body::of(&content)).await.unwrap();
    let copied = core.copy_object(&context(), copy("a", "b")).await.unwrap();
    assert_eq!(copied.object.etag, source.etag);
    let (kept, got) = read(&core, whole(ObjectRef::newest("bucket", "b"))).await.unwrap();
    assert!(got == content && kept.info.metadata == meta("1") && kept.info.tag_count == 1);
    let new = NewObject { metadata: meta("2"), tags: tag("2"), ..NewObject::default() };
    let replaced =
        CopyObjectInput { replace_metadata: true, replace_tags: true, object: new.clone(), ..copy("a", "c") };
    core.copy_object(&context(), replaced).await.unwrap();
    let (tags, _) = core.object_tags(&context(), ObjectRef::newest("bucket", "c")).await.unwrap();
    assert_eq!(tags, tag("2"));
    // To itself, with other metadata only.
    assert_eq!(code(core.copy_object(&context(), copy("a", "a")).await), S3Code::InvalidRequest);
    let itself = CopyObjectInput { replace_metadata: true, object: new, ..copy("a", "a") };
    core.copy_object(&context(), itself).await.unwrap();
    let (own, got) = read(&core, whole(ObjectRef::newest("bucket", "a"))).await.unwrap();
    assert!(got == content && own.info.metadata == meta("2"));
    let mut conditional = copy("a", "d");
    conditional.source.conditions.if_none_match = Some(EtagCondition::Etag(source.etag));
    assert_eq!(code(core.copy_object(&context(), conditional).await), S3Code::PreconditionFailed);
    assert_eq!(code(core.copy_object(&context(), copy("none", "d")).await), S3Code::NoSuchKey);
    assert_eq!(blobs(&place), 3);
    place.checked(core);
}

/// What `security.md` 3.2 binds the bytes to: swapped blobs are refused, and nothing of them is given out.
#[tokio::test]
async fn swapped_and_cut_blobs_are_refused() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    put(&core, "bucket", "a", &bytes(50_000)).await;
    put(&core, "bucket", "b", &bytes(60_000)).await;
    let files: Vec<_> = std::fs::read_dir(place.data().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    let (first, second) = (std::fs::read(&files[0]).unwrap(), std::fs::read(&files[1]).unwrap());
    std::fs::write(&files[0], &second).unwrap();
    std::fs::write(&files[1], &first).unwrap();
    for key in ["a", "b"] {
        assert_eq!(code(get(&core, "bucket", key).await), S3Code::InternalError);
    }
    std::fs::write(&files[0], &first[..first.len() - 1]).unwrap();
    std::fs::write(&files[1], &second[..16_500]).unwrap();
    for key in ["a", "b"] {
        assert_eq!(code(get(&core, "bucket", key).await), S3Code::InternalError);
    }
    core.stop();
}
