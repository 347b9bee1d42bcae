//! Lifecycle rules, by a clock that the test moves.

use std::time::Duration;

use kiln_model::{
    s3::{
        BucketSetting, Expiration, LifecycleRule, ListUploadsInput, ListVersionsInput, NoncurrentExpiration, ObjectRef,
        S3Code, Versioning,
    },
    service::Objects as _,
};

use super::{
    Service, blobs, code, get,
    multipart::{begin, send},
    put, read,
    versions::delete,
    whole, with_bucket,
};
use crate::place::{MONTH, Place, context};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn rules(core: &Service, rules: Vec<LifecycleRule>) {
    core.set_bucket(&context(), "bucket", BucketSetting::Lifecycle(Some(rules))).await.unwrap();
}

fn rule(prefix: &str) -> LifecycleRule {
    LifecycleRule { enabled: true, prefix: Some(prefix.to_owned()), ..LifecycleRule::default() }
}

/// Lets a round happen.
async fn round(core: &Service) {
    let core = core.clone();
    tokio::task::spawn_blocking(move || core.expire_objects()).await.unwrap().unwrap();
}

async fn versions(core: &Service) -> usize {
    let list = ListVersionsInput { bucket: "bucket".to_owned(), limit: 1000, ..ListVersionsInput::default() };
    core.list_versions(&context(), list).await.unwrap().versions.len()
}

#[tokio::test]
async fn objects_go_when_their_days_are_over() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    for key in ["tmp/a", "tmp/b", "kept"] {
        put(&core, "bucket", key, b"x").await;
    }
    let off = LifecycleRule { enabled: false, expiration: Some(Expiration::Days(1)), ..rule("kept") };
    rules(&core, vec![LifecycleRule { expiration: Some(Expiration::Days(2)), ..rule("tmp/") }, off]).await;
    let (object, _) = read(&core, whole(ObjectRef::newest("bucket", "tmp/a"))).await.unwrap();
    let (at, _) = object.info.expires.unwrap();
    assert!(at.millis() > object.info.last_modified.millis() + 2 * 24 * 60 * 60 * 1000 - 1);
    place.advance(DAY);
    round(&core).await;
    assert_eq!(get(&core, "bucket", "tmp/a").await.unwrap(), b"x");
    place.advance(2 * DAY);
    put(&core, "bucket", "tmp/new", b"x").await;
    round(&core).await;
    for key in ["tmp/a", "tmp/b"] {
        assert_eq!(code(get(&core, "bucket", key).await), S3Code::NoSuchKey);
    }
    for key in ["tmp/new", "kept"] {
        assert_eq!(get(&core, "bucket", key).await.unwrap(), b"x");
    }
    assert_eq!(blobs(&place), 2);
    place.checked(core);
}

#[tokio::test]
async fn old_versions_go_and_then_their_delete_marker() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    core.set_bucket(&context(), "bucket", BucketSetting::Versioning(Versioning::Enabled)).await.unwrap();
    for n in 0..5u8 {
        put(&core, "bucket", "a", &[n]).await;
    }
    let noncurrent = Some(NoncurrentExpiration { days: 1, keep: Some(2) });
    let markers = Some(Expiration::DeleteMarkers);
    rules(&core, vec![LifecycleRule { noncurrent, expiration: markers, ..rule("") }]).await;
    round(&core).await;
    assert_eq!(versions(&core).await, 5);
    place.advance(3 * DAY);
    round(&core).await;
    assert_eq!(versions(&core).await, 3, "the newest and two more");
    assert_eq!(get(&core, "bucket", "a").await.unwrap(), [4]);
    core.delete_object(&context(), delete("a", None)).await.unwrap();
    let all = Some(NoncurrentExpiration { days: 1, keep: None });
    rules(&core, vec![LifecycleRule { noncurrent: all, expiration: markers, ..rule("") }]).await;
    place.advance(3 * DAY);
    round(&core).await;
    // What lies behind the marker goes first.
    round(&core).await;
    assert_eq!((versions(&core).await, blobs(&place)), (0, 0));
    place.checked(core);
}

#[tokio::test]
async fn an_expired_object_with_versions_gets_a_marker() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    core.set_bucket(&context(), "bucket", BucketSetting::Versioning(Versioning::Enabled)).await.unwrap();
    put(&core, "bucket", "a", b"x").await;
    rules(&core, vec![LifecycleRule { expiration: Some(Expiration::Days(1)), ..rule("") }]).await;
    place.advance(3 * DAY);
    round(&core).await;
    assert_eq!(code(get(&core, "bucket", "a").await), S3Code::NoSuchKey);
    assert_eq!((versions(&core).await, blobs(&place)), (2, 1));
    round(&core).await;
    assert_eq!(versions(&core).await, 2, "it does not expire twice");
    place.checked(core);
}

#[tokio::test]
async fn uploads_that_nobody_completes_are_given_up() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    for key in ["soon/a", "b"] {
        let upload = begin(&core, key, None).await;
        send(&core, &upload, 1, b"x").await;
    }
    rules(&core, vec![LifecycleRule { abort_uploads_after_days: Some(1), ..rule("soon/") }]).await;
    place.advance(3 * DAY);
    round(&core).await;
    let uploads = ListUploadsInput { bucket: "bucket".to_owned(), limit: 10, ..ListUploadsInput::default() };
    let left = core.list_uploads(&context(), uploads).await.unwrap().uploads;
    assert_eq!(left.iter().map(|u| u.key.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(blobs(&place), 1);
    // Without a rule the operator's time counts.
    place.advance(MONTH);
    round(&core).await;
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}
