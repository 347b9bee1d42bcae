//! What the retention of log groups gives up.

use std::time::Duration;

use kiln_core::Core;
use kiln_model::{
    ErrorCode,
    kiln::{DescribeBuildInput, GetBuildJournalInput, GetBuildLogInput, SearchBuildLogInput},
    logs::*,
    service::{KilnService as _, Logs},
};
use kiln_runner::job::Control;

use crate::{
    fake::FakeRunners,
    logs::{GROUP, all, create, found, get, groups, page, put, refused, streams, text, uuid},
    place::{Place, context},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1000;

async fn keep_a_day(core: &Core<FakeRunners>, group: &str) {
    let input = PutRetentionPolicyRequest { log_group_name: group.to_owned(), retention_in_days: 1 };
    core.put_retention_policy(&context(), input).await.unwrap();
}

/// Lets time pass, and has what is too old looked for; waits until a group takes so much.
async fn after(place: &Place, core: &Core<FakeRunners>, time: Duration, group: &str, is_wanted: impl Fn(i64) -> bool) {
    place.advance(time);
    // It gives the scheduler a reason to look.
    let build = place.start(core, "round").await;
    place.end(core, &build.id).await;
    let look = async {
        let input = || DescribeLogGroupsRequest { log_group_name_prefix: Some(group.to_owned()), ..Default::default() };
        while !is_wanted(groups(core, input()).await.remove(0).stored_bytes.unwrap()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("old events stay");
}

#[tokio::test]
async fn events_that_are_too_old_are_gone_and_then_their_bytes() {
    const NOW: i64 = 1_800_000_000_000;
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "round", "ok").await;
    create(&core, GROUP).await.unwrap();
    let stream = CreateLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: "s".to_owned() };
    core.create_log_stream(&context(), stream).await.unwrap();
    let add = async |events: &[(i64, &str)]| core.put_log_events(&context(), put("s", events)).await.unwrap();
    add(&[(NOW, "one"), (NOW + HOUR_MS, "two")]).await;
    place.advance(HOUR * 10);
    add(&[(NOW + 10 * HOUR_MS, "three")]).await;
    let file = place.data().join("logs/%2Faws%2Fcodebuild%2Fdemo/s/events");
    let size = || i64::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
    let stored = async || groups(&core, DescribeLogGroupsRequest::default()).await[0].stored_bytes.unwrap();
    let seen = async || {
        let events =
            [true, false].map(|from_head| GetLogEventsRequest { start_from_head: Some(from_head), ..get("s") });
        let forward = text(&page(&core, &events[0]).await.events.unwrap());
        assert_eq!(text(&page(&core, &events[1]).await.events.unwrap()), forward);
        let filter = FilterLogEventsRequest { log_group_name: Some(GROUP.to_owned()), ..Default::default() };
        let found: String = found(&core, filter).await.into_iter().map(|event| event.message.unwrap()).collect();
        assert_eq!(found, forward);
        forward
    };
    // The events of an hour later are too old by now, were there a retention.
    place.advance(HOUR * 14 + Duration::from_millis(1));
    assert_eq!(seen().await, "onetwothree");
    keep_a_day(&core, GROUP).await;
    assert_eq!(seen().await, "twothree", "each event by its own time");
    let before = stored().await;
    assert_eq!(before, size());
    // Their batch has one that is not too old.
    let follow = page(&core, &GetLogEventsRequest { limit: Some(1), ..get("s") }).await.next_forward_token;
    after(&place, &core, HOUR * 2, GROUP, |stored| stored < before).await;
    assert_eq!(seen().await, "three");
    assert_eq!(stored().await, size(), "the bytes are what there is on the disk");
    let described = streams(&core, GROUP).await.unwrap().remove(0);
    assert_eq!(described.first_event_timestamp, Some(NOW + 10 * HOUR_MS));
    let rest = page(&core, &GetLogEventsRequest { next_token: follow, ..get("s") }).await;
    assert_eq!(text(&rest.events.unwrap()), "three", "a token goes on behind what is gone");

    after(&place, &core, HOUR * 10, GROUP, |stored| stored == 0).await;
    assert_eq!((seen().await.as_str(), size()), ("", 0));
    let described = streams(&core, GROUP).await.unwrap().remove(0);
    assert_eq!((described.first_event_timestamp, described.last_event_timestamp), (None, None));
    let now = NOW + 37 * HOUR_MS;
    add(&[(now, "four")]).await;
    assert_eq!(seen().await, "four");
    place.checked(core);
}

#[tokio::test]
async fn the_log_of_a_build_goes_when_its_last_line_is_too_old() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "round", "ok").await;
    place.project(&core, "demo", "lines 3").await;
    place.project(&core, "long", "lines 5\nwait").await;
    let old = place.start(&core, "demo").await;
    place.end(&core, &old.id).await;
    let long = place.start(&core, "long").await;
    place.begun(&core, &long.id).await;
    let of_long =
        |uuid: &str| GetLogEventsRequest { log_group_name: Some("/aws/codebuild/long".to_owned()), ..get(uuid) };
    let lines = async || page(&core, &of_long(uuid(&long.id))).await.events.unwrap().len();
    keep_a_day(&core, GROUP).await;
    keep_a_day(&core, "/aws/codebuild/long").await;
    after(&place, &core, HOUR * 23, GROUP, |stored| stored > 0).await;
    assert_eq!(all(&core, uuid(&old.id), None, true).await, "line 0\nline 1\nline 2\n");
    let young = place.start(&core, "demo").await;
    place.end(&core, &young.id).await;
    let both = groups(&core, DescribeLogGroupsRequest::default()).await[0].stored_bytes.unwrap();
    after(&place, &core, HOUR * 2, GROUP, |stored| stored < both).await;

    let named: Vec<_> = streams(&core, GROUP).await.unwrap().into_iter().map(|s| s.log_stream_name.unwrap()).collect();
    assert!(named.contains(&uuid(&old.id).to_owned()), "the stream stays");
    assert_eq!(all(&core, uuid(&old.id), None, false).await, "");
    assert_eq!(all(&core, uuid(&young.id), None, false).await, "line 0\nline 1\nline 2\n");
    // Its record says where its log was, and whoever asks for it is told.
    let known = place.end(&core, &old.id).await;
    assert_eq!(known.logs.unwrap().stream_name.as_deref(), Some(uuid(&old.id)));
    let id = || old.id.clone();
    let not_found = ErrorCode::ResourceNotFound;
    let log = core.get_build_log(&context(), GetBuildLogInput { id: id(), ..Default::default() }).await;
    refused(log, not_found, "the retention of log group /aws/codebuild/demo");
    let search = SearchBuildLogInput { id: id(), text: Some("line".to_owned()), ..Default::default() };
    refused(core.search_build_log(&context(), search).await, not_found, "is not there any more");
    let journal = GetBuildJournalInput { id: id(), ..Default::default() };
    let journal = core.get_build_journal(&context(), journal).await.map(|_| ());
    refused(journal, not_found, "is not there any more");
    let described = DescribeBuildInput { id: id(), ..Default::default() };
    core.describe_build(&context(), described).await.unwrap();

    assert_eq!(lines().await, 5, "a build that runs keeps its log, however old it is");
    place.world.tell(uuid(&long.id), Control::Kill);
    place.end(&core, &long.id).await;
    assert_eq!(lines().await, 5);
    after(&place, &core, HOUR * 2, "/aws/codebuild/long", |stored| stored == 0).await;
    assert_eq!(lines().await, 0);
    place.checked(core);
}
