//! Versions and delete markers, deleting many, tags of versions, lists.

use kiln_model::{
    s3::{
        BucketSetting, DeleteObjectInput, EtagCondition, ListObjectsInput, ListVersionsInput, ObjectRef, S3Code, Tag,
        Versioning,
    },
    service::Objects as _,
};

use super::{Service, blobs, code, get, put, read, whole, with_bucket};
use crate::place::{Place, context};

pub(super) fn delete(key: &str, version_id: Option<&str>) -> DeleteObjectInput {
    let version_id = version_id.map(str::to_owned);
    DeleteObjectInput { object: ObjectRef { version_id, ..ObjectRef::newest("bucket", key) }, if_match: None }
}

async fn version(core: &Service, versioning: Versioning) {
    core.set_bucket(&context(), "bucket", BucketSetting::Versioning(versioning)).await.unwrap();
}

fn of_version(key: &str, version: &str) -> ObjectRef {
    ObjectRef { version_id: Some(version.to_owned()), ..ObjectRef::newest("bucket", key) }
}

#[tokio::test]
async fn versions_come_and_go_as_in_s3() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    put(&core, "bucket", "a", b"before").await;
    version(&core, Versioning::Enabled).await;
    let one = put(&core, "bucket", "a", b"one").await.version_id.unwrap();
    let two = put(&core, "bucket", "a", b"two").await.version_id.unwrap();
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"two");
    for (id, bytes) in [("null", "before"), (&one, "one"), (&two, "two")] {
        let (object, got) = read(&core, whole(of_version("a", id))).await.unwrap();
        assert_eq!((object.info.version_id.as_deref(), got.as_slice()), (Some(id), bytes.as_bytes()));
    }
    let marker = core.delete_object(&context(), delete("a", None)).await.unwrap();
    assert!(marker.delete_marker);
    let marker = marker.version_id.unwrap();
    let gone = read(&core, whole(ObjectRef::newest("bucket", "a"))).await.unwrap_err();
    assert_eq!((gone.code, gone.delete_marker, gone.version_id.as_ref()), (S3Code::NoSuchKey, true, Some(&marker)));
    assert_eq!(code(read(&core, whole(of_version("a", &marker))).await), S3Code::MethodNotAllowed);
    assert_eq!(code(read(&core, whole(of_version("a", "none"))).await), S3Code::NoSuchVersion);
    let list = ListVersionsInput { bucket: "bucket".to_owned(), limit: 1000, ..ListVersionsInput::default() };
    let versions = core.list_versions(&context(), list).await.unwrap().versions;
    let seen: Vec<_> = versions.iter().map(|v| (v.version_id.as_str(), v.is_latest, v.delete_marker)).collect();
    assert_eq!(
        seen,
        [
            (marker.as_str(), true, true),
            (two.as_str(), false, false),
            (one.as_str(), false, false),
            ("null", false, false)
        ]
    );
    // Without its marker the object is back.
    let deleted = core.delete_object(&context(), delete("a", Some(&marker))).await.unwrap();
    assert!(deleted.delete_marker);
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"two");

    version(&core, Versioning::Suspended).await;
    assert_eq!(put(&core, "bucket", "a", b"null again").await.version_id.as_deref(), Some("null"));
    assert_eq!(blobs(&place), 3, "the null version of before is gone");
    let marker = core.delete_object(&context(), delete("a", None)).await.unwrap();
    assert_eq!((marker.version_id.as_deref(), marker.delete_marker), (Some("null"), true));
    assert_eq!(blobs(&place), 2);
    core.delete_object(&context(), delete("a", Some("null"))).await.unwrap();
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"two");
    assert_eq!(code(core.delete_bucket(&context(), "bucket").await), S3Code::BucketNotEmpty);
    place.checked(core);
}

#[tokio::test]
async fn many_are_deleted_at_once_each_with_its_own_result() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    for key in ["a", "b", "c"] {
        put(&core, "bucket", key, key.as_bytes()).await;
    }
    let conditional =
        DeleteObjectInput { if_match: Some(EtagCondition::Etag("other".to_owned())), ..delete("b", None) };
    let inputs = vec![delete("a", None), conditional, delete("none", None)];
    let results = core.delete_objects(&context(), "bucket", inputs).await.unwrap();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert_eq!(results[1].as_ref().unwrap_err().code, S3Code::PreconditionFailed);
    assert_eq!(blobs(&place), 2);
    assert_eq!(code(core.delete_objects(&context(), "bucket", vec![]).await), S3Code::MalformedXml);
    place.checked(core);
}

#[tokio::test]
async fn tags_belong_to_versions() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    version(&core, Versioning::Enabled).await;
    let one = put(&core, "bucket", "a", b"one").await.version_id.unwrap();
    put(&core, "bucket", "a", b"two").await;
    let tags = vec![Tag { key: "k".to_owned(), value: "v".to_owned() }];
    let tagged = core.set_object_tags(&context(), of_version("a", &one), tags.clone()).await.unwrap();
    assert_eq!(tagged.as_ref(), Some(&one));
    assert_eq!(core.object_tags(&context(), of_version("a", &one)).await.unwrap().0, tags);
    assert!(core.object_tags(&context(), ObjectRef::newest("bucket", "a")).await.unwrap().0.is_empty());
    // Tagging does not make a version the newest.
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), b"two");
    place.checked(core);
}

#[tokio::test]
async fn lists_are_summed_up_and_go_on() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    for key in ["a", "demo", "demo/out/a.jar", "demo/x", "demo0", "z//b", "z/c"] {
        put(&core, "bucket", key, b"").await;
    }
    let mut input = ListObjectsInput {
        bucket: "bucket".to_owned(),
        delimiter: Some("/".to_owned()),
        limit: 2,
        ..ListObjectsInput::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = core.list_objects(&context(), input.clone()).await.unwrap();
        let mut all: Vec<_> = page.objects.into_iter().map(|o| o.key).chain(page.common_prefixes).collect();
        all.sort();
        seen.extend(all);
        match page.next {
            Some(next) => input.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "demo", "demo/", "demo0", "z/"]);
    let within = ListObjectsInput {
        bucket: "bucket".to_owned(),
        prefix: "z/".to_owned(),
        delimiter: Some("/".to_owned()),
        limit: 10,
        after: None,
    };
    let page = core.list_objects(&context(), within).await.unwrap();
    assert_eq!(page.common_prefixes, ["z//"]);
    assert_eq!(page.objects.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["z/c"]);
    place.checked(core);
}
