//! What time does: clocks that are set (fault test 19), and what is kept for a time only.

use std::{io, time::Duration};

use kiln_core::Core;
use kiln_model::{
    BuildStatus,
    codebuild::{BatchGetBuildsInput, SourceType, StartBuildInput, StopBuildInput},
    kiln::UploadSourceInput,
    service::{ByteSource, CodeBuild as _, KilnService as _},
};

use crate::{
    fake::FakeRunners,
    place::{MONTH, Place, YEAR, context},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR_NS: u64 = 3_600_000_000_000;
/// 2038-01-19, nanoseconds.
const IN_2038: u64 = 2_147_483_648_000_000_000;

/// Lets an hour pass, and gives the scheduler a reason to look.
async fn next_round(place: &Place, core: &Core<FakeRunners>) {
    place.advance(HOUR + Duration::from_secs(1));
    let build = place.start(core, "demo").await;
    place.end(core, &build.id).await;
}

async fn is_there(core: &Core<FakeRunners>, id: &str) -> bool {
    let ids = vec![id.to_owned()];
    !core.batch_get_builds(&context(), BatchGetBuildsInput { ids }).await.unwrap().builds.is_empty()
}

/// Waits until the thread that removes old things has done so.
async fn gone(core: &Core<FakeRunners>, id: &str) {
    let look = async {
        while is_there(core, id).await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("an old build stays");
}

#[tokio::test]
async fn builds_are_kept_for_a_year() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let old = place.start(&core, "demo").await;
    place.end(&core, &old.id).await;
    place.advance(DAY);
    let young = place.start(&core, "demo").await;
    place.end(&core, &young.id).await;
    place.advance(YEAR - DAY - HOUR);
    next_round(&place, &core).await;
    gone(&core, &old.id).await;
    assert!(is_there(&core, &young.id).await);
    // Numbers go on.
    let next = place.start(&core, "demo").await;
    assert!(next.build_number > young.build_number);
    place.end(&core, &next.id).await;
    place.checked(core);
}

#[tokio::test]
async fn a_clock_that_leaps_removes_nothing() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    place.set_clock(IN_2038);
    next_round(&place, &core).await;
    place.set_clock(1_800_000_000_000_000_000);
    next_round(&place, &core).await;
    // Whatever a round began is over when the service is.
    core.stop();
    drop(core);
    let core = place.serve();
    assert!(is_there(&core, &build.id).await);
    place.checked(core);
}

struct Once(Option<Vec<u8>>);

impl ByteSource for Once {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.0.take().map(Ok)
    }
}

async fn upload(core: &Core<FakeRunners>) -> String {
    core.upload_source(&context(), UploadSourceInput::default(), Once(Some(b"PK".to_vec()))).await.unwrap().location
}

/// Waits until so many blobs are left.
async fn blobs(place: &Place, wanted: usize) {
    let count = || {
        let entries = std::fs::read_dir(place.data().join("blobs")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).count()
    };
    let look = async {
        while count() != wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("{} blobs", count()));
}

#[tokio::test]
async fn uploaded_sources_are_kept_for_a_month_and_while_a_build_needs_them() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    place.project(&core, "long", "wait").await;
    let used = upload(&core).await;
    upload(&core).await;
    let input = StartBuildInput {
        project_name: "long".to_owned(),
        source_type_override: Some(SourceType::S3),
        source_location_override: Some(used),
        ..Default::default()
    };
    let long = core.start_build(&context(), input).await.unwrap().build;
    place.begun(&core, &long.id).await;
    next_round(&place, &core).await;
    blobs(&place, 2).await;
    place.advance(MONTH);
    next_round(&place, &core).await;
    blobs(&place, 1).await;
    core.stop_build(&context(), StopBuildInput { id: long.id.clone() }).await.unwrap();
    place.end(&core, &long.id).await;
    next_round(&place, &core).await;
    blobs(&place, 0).await;
    place.checked(core);
}

#[tokio::test]
async fn what_waits_is_not_hurried_by_a_clock_that_leaps() {
    let place = Place::with_builds(1);
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let first = place.start(&core, "demo").await;
    place.begun(&core, &first.id).await;
    let second = place.start(&core, "demo").await;
    core.stop();
    drop(core);
    place.set_clock(IN_2038);
    let core = place.serve();
    core.stop_build(&context(), StopBuildInput { id: first.id.clone() }).await.unwrap();
    assert_eq!(place.end(&core, &first.id).await.build_status, Some(BuildStatus::Stopped));
    place.begun(&core, &second.id).await;
    core.stop_build(&context(), StopBuildInput { id: second.id.clone() }).await.unwrap();
    let ended = place.end(&core, &second.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Stopped));
    assert!(ended.phases.iter().all(|p| p.duration_in_seconds.is_none_or(|s| s >= 0)), "{:?}", ended.phases);
    place.checked(core);
}

#[tokio::test]
async fn a_token_lives_for_five_minutes_whatever_the_clock_does() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let start = async || {
        let input = StartBuildInput {
            project_name: "demo".to_owned(),
            idempotency_token: Some("token".to_owned()),
            ..Default::default()
        };
        core.start_build(&context(), input).await.unwrap().build.build_number
    };
    assert_eq!(start().await, Some(1));
    for set in [IN_2038, 1_000_000_000, 1_800_000_000_000_000_000 - HOUR_NS] {
        place.set_clock(set);
        place.advance(Duration::from_secs(60));
        assert_eq!(start().await, Some(1), "the clock was set to {set}");
    }
    place.advance(Duration::from_secs(121));
    assert_eq!(start().await, Some(2));
    for number in 1..=2 {
        let listed = core.list_builds(&context(), Default::default()).await.unwrap();
        place.end(&core, &listed.ids[number - 1]).await;
    }
    place.checked(core);
}
