//! The server is killed at each step of putting, completing, deleting and expiring objects: what it acknowledged is
//! there, what it did not is there whole or not at all, and no blob is left that nothing names.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use kiln_model::{
    s3::{BucketSetting, Expiration, LifecycleRule, ListUploadsInput},
    service::Objects as _,
};

use super::{
    Service, blobs, get,
    multipart::{begin, complete, send},
    put,
    versions::delete,
};
use crate::place::{Place, context};

/// Data directory of the child.
const DATA: &str = "KILN_CORE_TEST_DATA";
const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(30);

/// Says that something was acknowledged.
fn say(word: &str) {
    println!("\n> {word}");
}

/// Does one of everything; nothing in an ordinary run.
#[tokio::test]
async fn child() {
    let Ok(data) = std::env::var(DATA) else { return };
    let place = Place::on(Path::new(&data));
    let core = place.serve();
    core.create_bucket(&context(), "bucket").await.unwrap();
    put(&core, "bucket", "a", b"first").await;
    say("first");
    put(&core, "bucket", "a", b"second").await;
    say("second");
    let upload = begin(&core, "parts", None).await;
    let part = send(&core, &upload, 1, b"part").await;
    core.complete_upload(&context(), complete(&upload, &[(1, &part)])).await.unwrap();
    say("parts");
    core.delete_object(&context(), delete("a", None)).await.unwrap();
    say("deleted");
    let rule = LifecycleRule { enabled: true, expiration: Some(Expiration::Days(1)), ..LifecycleRule::default() };
    core.set_bucket(&context(), "bucket", BucketSetting::Lifecycle(Some(vec![rule]))).await.unwrap();
    place.advance(Duration::from_secs(3 * 24 * 60 * 60));
    tokio::task::spawn_blocking(move || core.expire_objects()).await.unwrap().unwrap();
    say("expired");
}

/// What is there after the child has said `said`.
async fn check(place: &Place, core: &Service, said: &[String], what: &str) {
    let said = |word: &str| said.iter().any(|s| s == word);
    let a = get(core, "bucket", "a").await.ok();
    let is = |text: &str| a.as_deref() == Some(text.as_bytes());
    assert!(
        is("second") || is("first") && !said("second") || a.is_none() && (said("parts") || !said("first")),
        "{what}"
    );
    assert!(!said("deleted") || a.is_none(), "{what}");
    let parts = get(core, "bucket", "parts").await.ok();
    assert!(parts.as_deref().is_none_or(|bytes| bytes == b"part"), "{what}");
    assert!(!said("parts") || parts.is_some() || said("deleted"), "{what}");
    assert!(!said("expired") || parts.is_none(), "{what}");
    let list = ListUploadsInput { bucket: "bucket".to_owned(), limit: 10, ..ListUploadsInput::default() };
    let mut named = usize::from(a.is_some()) + usize::from(parts.is_some());
    for upload in core.list_uploads(&context(), list).await.map(|page| page.uploads).unwrap_or_default() {
        let upload =
            kiln_model::s3::UploadId { bucket: "bucket".to_owned(), key: upload.key, upload_id: upload.upload_id };
        let input = kiln_model::s3::ListPartsInput { upload, after: 0, limit: 10 };
        named += core.list_parts(&context(), input).await.unwrap().parts.len();
    }
    // The sweep works beside the service.
    let began = Instant::now();
    while blobs(place) != named {
        assert!(began.elapsed() < PATIENCE, "{what}: {} blobs, {named} are named", blobs(place));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn killed_at_each_step_nothing_is_lost_or_left() {
    for point in [
        "object_stored",
        "object_stored:2",
        "object_committed",
        "object_committed:2",
        "part_stored",
        "upload_completed",
        "objects_deleted",
        "objects_expired",
        "blob_named:2",
        "store_committed:3",
        "store_committed:6",
    ] {
        let place = Place::new();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["objects::crashes::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(DATA, place.data())
            .env("KILN_CRASH_POINT", point)
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(SIGKILL), "{point} is not reached");
        let text = String::from_utf8_lossy(&output.stdout);
        let said: Vec<String> = text.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect();
        let core = place.serve();
        check(&place, &core, &said, point).await;
        place.checked(core);
    }
}
