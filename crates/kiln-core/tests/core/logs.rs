//! Log groups and streams, and the logs of builds in them.

use std::time::Duration;

use kiln_core::Core;
use kiln_model::{
    ApiError, BuildStatus, ErrorCode,
    codebuild::{CloudWatchLogsConfig, LogsConfig, LogsConfigStatusType},
    kiln::GetBuildLogInput,
    logs::*,
    service::{CodeBuild as _, KilnService as _, Logs},
};
use kiln_runner::job::Control;

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

pub(crate) const GROUP: &str = "/aws/codebuild/demo";

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

pub(crate) fn uuid(id: &str) -> &str {
    id.split(':').next_back().unwrap()
}

pub(crate) async fn create(core: &Core<FakeRunners>, name: &str) -> Result<Empty, ApiError> {
    core.create_log_group(&context(), CreateLogGroupRequest { log_group_name: name.to_owned(), ..Default::default() })
        .await
}

pub(crate) async fn groups(core: &Core<FakeRunners>, input: DescribeLogGroupsRequest) -> Vec<LogGroup> {
    core.describe_log_groups(&context(), input).await.unwrap().log_groups.unwrap()
}

pub(crate) async fn streams(core: &Core<FakeRunners>, group: &str) -> Result<Vec<LogStream>, ApiError> {
    let input = DescribeLogStreamsRequest { log_group_name: Some(group.to_owned()), ..Default::default() };
    core.describe_log_streams(&context(), input).await.map(|answer| answer.log_streams.unwrap())
}

pub(crate) fn get(stream: &str) -> GetLogEventsRequest {
    GetLogEventsRequest {
        log_group_name: Some(GROUP.to_owned()),
        log_stream_name: stream.to_owned(),
        start_from_head: Some(true),
        ..Default::default()
    }
}

pub(crate) async fn page(core: &Core<FakeRunners>, input: &GetLogEventsRequest) -> GetLogEventsResponse {
    core.get_log_events(&context(), input.clone()).await.unwrap()
}

pub(crate) fn text(events: &[OutputLogEvent]) -> String {
    events.iter().map(|event| event.message.as_deref().unwrap()).collect()
}

/// All of a stream, from page to page in one direction.
pub(crate) async fn all(core: &Core<FakeRunners>, stream: &str, limit: Option<i32>, from_head: bool) -> String {
    let mut input = GetLogEventsRequest { limit, start_from_head: Some(from_head), ..get(stream) };
    let mut whole = String::new();
    loop {
        let answer = page(core, &input).await;
        let (found, token) = (
            text(&answer.events.unwrap()),
            match from_head {
                true => answer.next_forward_token,
                false => answer.next_backward_token,
            },
        );
        whole = if from_head { whole + &found } else { found + &whole };
        if token == input.next_token {
            return whole;
        }
        input.next_token = token;
    }
}

pub(crate) async fn found(core: &Core<FakeRunners>, input: FilterLogEventsRequest) -> Vec<FilteredLogEvent> {
    let (mut input, mut events) = (input, Vec::new());
    loop {
        let answer = core.filter_log_events(&context(), input.clone()).await.unwrap();
        let page = answer.events.unwrap();
        assert!(input.limit.is_none_or(|limit| page.len() <= usize::try_from(limit).unwrap()));
        events.extend(page);
        if answer.next_token.is_none() {
            return events;
        }
        input.next_token = answer.next_token;
    }
}

#[tokio::test]
async fn a_builds_log_is_a_stream() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 25").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let group = groups(&core, DescribeLogGroupsRequest::default()).await.remove(0);
    let head = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/codebuild/demo";
    assert_eq!(group.log_group_name.as_deref(), Some(GROUP));
    assert_eq!(group.arn, Some(format!("{head}:*")));
    assert_eq!(group.log_group_arn.as_deref(), Some(head));
    assert!(group.stored_bytes > Some(0) && group.retention_in_days.is_none());
    let stream = streams(&core, GROUP).await.unwrap().remove(0);
    assert_eq!(stream.log_stream_name.as_deref(), Some(uuid(&build.id)));
    assert_eq!(stream.arn, Some(format!("{head}:log-stream:{}", uuid(&build.id))));
    // A record each millisecond.
    assert_eq!(stream.last_event_timestamp, stream.first_event_timestamp.map(|first| first + 24));

    let lines: String = (0..25).map(|n| format!("line {n}\n")).collect();
    for limit in [None, Some(1), Some(7), Some(25), Some(26)] {
        for from_head in [true, false] {
            assert_eq!(all(&core, uuid(&build.id), limit, from_head).await, lines, "{limit:?} {from_head}");
        }
    }
    let first = stream.first_event_timestamp.unwrap();
    let part = GetLogEventsRequest { start_time: Some(first + 3), end_time: Some(first + 5), ..get(uuid(&build.id)) };
    assert_eq!(text(&page(&core, &part).await.events.unwrap()), "line 3\nline 4\n");
    // Without a word on the direction the end comes first.
    let tail = GetLogEventsRequest { limit: Some(2), start_from_head: None, ..get(uuid(&build.id)) };
    let tail = page(&core, &tail).await;
    assert_eq!(text(tail.events.as_ref().unwrap()), "line 23\nline 24\n");
    let on = GetLogEventsRequest { next_token: tail.next_forward_token.clone(), ..get(uuid(&build.id)) };
    let on = page(&core, &on).await;
    assert_eq!((on.events, on.next_forward_token), (Some(Vec::new()), tail.next_forward_token));
    place.checked(core);
}

#[tokio::test]
async fn events_of_several_streams_come_in_one_order() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 30").await;
    let mut builds = Vec::new();
    for _ in 0..3 {
        builds.push(place.start(&core, "demo").await.id);
    }
    for id in &builds {
        place.end(&core, id).await;
    }
    place.advance(Duration::from_secs(60));
    let late = place.start(&core, "demo").await.id;
    place.end(&core, &late).await;
    let ask = FilterLogEventsRequest { log_group_name: Some(GROUP.to_owned()), ..Default::default() };
    let whole = found(&core, ask.clone()).await;
    assert_eq!(whole.len(), 120);
    assert!(whole.is_sorted_by_key(|event| event.timestamp));
    let mut ids: Vec<_> = whole.iter().map(|event| event.event_id.clone().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 120);
    for limit in [1, 7, 40] {
        assert_eq!(found(&core, FilterLogEventsRequest { limit: Some(limit), ..ask.clone() }).await, whole, "{limit}");
    }
    let names = Some(vec![uuid(&late).to_owned(), uuid(&builds[0]).to_owned()]);
    let two = found(&core, FilterLogEventsRequest { log_stream_names: names, limit: Some(7), ..ask.clone() }).await;
    assert_eq!((two.len(), two[59].log_stream_name.as_deref()), (60, Some(uuid(&late))));
    let prefix = Some(uuid(&builds[1])[..12].to_owned());
    let one = found(&core, FilterLogEventsRequest { log_stream_name_prefix: prefix, ..ask.clone() }).await;
    assert_eq!(one.len(), 30);
    let from = whole[90].timestamp;
    assert_eq!(found(&core, FilterLogEventsRequest { start_time: from, ..ask.clone() }).await, whole[90..]);
    assert_eq!(found(&core, FilterLogEventsRequest { end_time: from, ..ask.clone() }).await, whole[..90]);

    let ask = |names: &[&str], prefix: Option<&str>| FilterLogEventsRequest {
        log_stream_names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
        log_stream_name_prefix: prefix.map(str::to_owned),
        ..ask.clone()
    };
    let who = context();
    let refuse = |input| core.filter_log_events(&who, input);
    refused(refuse(ask(&["x"], None)).await, ErrorCode::ResourceNotFound, "The specified log stream does not exist.");
    refused(refuse(ask(&["x"], Some("x"))).await, ErrorCode::InvalidParameter, "mutually exclusive");
    let token = FilterLogEventsRequest {
        log_group_name: Some(GROUP.to_owned()),
        next_token: Some("x".to_owned()),
        ..Default::default()
    };
    refused(refuse(token).await, ErrorCode::InvalidParameter, "nextToken");
    place.checked(core);
}

#[tokio::test]
async fn a_running_builds_log_grows() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 5\nwait\nlines 5").await;
    let build = place.start(&core, "demo").await;
    place.begun(&core, &build.id).await;
    let mut input = get(uuid(&build.id));
    let first = loop {
        // What came is written once a second.
        place.advance(Duration::from_secs(1));
        let answer = page(&core, &input).await;
        if answer.events.as_ref().unwrap().len() == 5 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    input.next_token = first.next_forward_token.clone();
    let nothing = page(&core, &input).await;
    assert_eq!((nothing.events, nothing.next_forward_token), (Some(Vec::new()), first.next_forward_token));
    let running = streams(&core, GROUP).await.unwrap().remove(0);
    assert!(running.first_event_timestamp.is_some() && running.last_event_timestamp.is_some());

    let stream =
        DeleteLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: uuid(&build.id).to_owned() };
    let group = DeleteLogGroupRequest { log_group_name: GROUP.to_owned() };
    let aborted = ErrorCode::OperationAborted;
    refused(core.delete_log_stream(&context(), stream.clone()).await, aborted, "try again");
    refused(core.delete_log_group(&context(), group.clone()).await, aborted, "try again");

    place.world.tell(uuid(&build.id), Control::Kill);
    assert_eq!(place.end(&core, &build.id).await.build_status, Some(BuildStatus::Succeeded));
    assert_eq!(text(&page(&core, &input).await.events.unwrap()), "line 0\nline 1\nline 2\nline 3\nline 4\n");
    let before = groups(&core, DescribeLogGroupsRequest::default()).await.remove(0).stored_bytes;
    assert!(before > Some(0));
    core.delete_log_stream(&context(), stream.clone()).await.unwrap();
    refused(
        core.delete_log_stream(&context(), stream).await,
        ErrorCode::ResourceNotFound,
        "log stream does not exist.",
    );
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await.remove(0).stored_bytes, Some(0));
    let kiln = GetBuildLogInput { id: build.id.clone(), ..Default::default() };
    let gone = core.get_build_log(&context(), kiln).await;
    refused(gone, ErrorCode::ResourceNotFound, "is not there any more: its log stream");
    core.delete_log_group(&context(), group.clone()).await.unwrap();
    refused(core.delete_log_group(&context(), group).await, ErrorCode::ResourceNotFound, "log group does not exist.");
    place.checked(core);
}

#[tokio::test]
async fn logs_go_where_the_project_says() {
    let place = Place::new();
    let core = place.serve();
    for (name, status) in [("on", LogsConfigStatusType::Enabled), ("off", LogsConfigStatusType::Disabled)] {
        let logs = CloudWatchLogsConfig {
            status,
            group_name: Some("my/group".to_owned()),
            stream_name: Some("pre/fix".to_owned()),
        };
        let mut input = Place::input(name, "lines 2");
        input.logs_config = Some(LogsConfig { cloud_watch_logs: Some(logs), s3_logs: None });
        core.create_project(&context(), input).await.unwrap();
    }
    let off = place.start(&core, "off").await;
    place.end(&core, &off.id).await;
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await, []);
    let kiln = GetBuildLogInput { id: off.id, ..Default::default() };
    assert_eq!(core.get_build_log(&context(), kiln).await.unwrap().lines.len(), 2);
    let on = place.start(&core, "on").await;
    place.end(&core, &on.id).await;
    let names: Vec<_> = streams(&core, "my/group").await.unwrap().into_iter().map(|s| s.log_stream_name).collect();
    assert_eq!(names, [Some(format!("pre/fix/{}", uuid(&on.id)))]);
    // A build that never got a runner has none.
    place.checked(core);
}

#[tokio::test]
async fn groups_and_streams_are_made_listed_and_deleted() {
    let place = Place::new();
    let core = place.serve();
    for n in 0..60 {
        create(&core, &format!("g/{n:02}")).await.unwrap();
    }
    refused(create(&core, "g/00").await, ErrorCode::ResourceAlreadyExists, "The specified log group already exists");
    let input = DescribeLogGroupsRequest { log_group_name_prefix: Some("g/".to_owned()), ..Default::default() };
    let first = core.describe_log_groups(&context(), input.clone()).await.unwrap();
    assert_eq!(first.log_groups.unwrap().len(), 50);
    let rest = groups(&core, DescribeLogGroupsRequest { next_token: first.next_token.clone(), ..input.clone() }).await;
    assert_eq!((rest.len(), rest[9].log_group_name.as_deref()), (10, Some("g/59")));
    let other = DescribeLogGroupsRequest { next_token: first.next_token, ..Default::default() };
    let other = core.describe_log_groups(&context(), other).await;
    refused(other, ErrorCode::InvalidParameter, "nextToken");
    let pattern = DescribeLogGroupsRequest { log_group_name_pattern: Some("/5".to_owned()), ..Default::default() };
    let found = groups(&core, pattern.clone()).await;
    assert_eq!((found.len(), &found[0].stored_bytes), (10, &None));
    let both = DescribeLogGroupsRequest { log_group_name_prefix: Some("g".to_owned()), ..pattern };
    refused(core.describe_log_groups(&context(), both).await, ErrorCode::InvalidParameter, "mutually exclusive");

    let stream =
        |name: &str| CreateLogStreamRequest { log_group_name: "g/00".to_owned(), log_stream_name: name.to_owned() };
    for name in ["b", "a", "c"] {
        core.create_log_stream(&context(), stream(name)).await.unwrap();
    }
    let twice = core.create_log_stream(&context(), stream("a")).await;
    refused(twice, ErrorCode::ResourceAlreadyExists, "The specified log stream already exists");
    let nowhere = CreateLogStreamRequest { log_group_name: "x".to_owned(), ..stream("a") };
    let nowhere = core.create_log_stream(&context(), nowhere).await;
    refused(nowhere, ErrorCode::ResourceNotFound, "The specified log group does not exist.");
    let listed: Vec<_> =
        streams(&core, "g/00").await.unwrap().into_iter().map(|s| s.log_stream_name.unwrap()).collect();
    assert_eq!(listed, ["a", "b", "c"]);
    refused(streams(&core, "x").await, ErrorCode::ResourceNotFound, "log group");
    let ordered = DescribeLogStreamsRequest {
        log_group_identifier: Some("arn:aws:logs:us-east-1:000000000000:log-group:g/00:*".to_owned()),
        log_stream_name_prefix: Some("a".to_owned()),
        order_by: Some(OrderBy::LastEventTime),
        ..Default::default()
    };
    refused(core.describe_log_streams(&context(), ordered).await, ErrorCode::InvalidParameter, "LastEventTime");
    core.delete_log_group(&context(), DeleteLogGroupRequest { log_group_name: "g/00".to_owned() }).await.unwrap();
    create(&core, "g/00").await.unwrap();
    assert_eq!(streams(&core, "g/00").await.unwrap(), []);
    place.checked(core);
}

#[tokio::test]
async fn retention_tags_and_protection() {
    let place = Place::new();
    let core = place.serve();
    let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let group = CreateLogGroupRequest {
        log_group_name: "g".to_owned(),
        tags: Some(tags(&[("a", "1"), ("b", "2")])),
        deletion_protection_enabled: Some(true),
        ..Default::default()
    };
    core.create_log_group(&context(), group).await.unwrap();
    let retain = |days| PutRetentionPolicyRequest { log_group_name: "g".to_owned(), retention_in_days: days };
    core.put_retention_policy(&context(), retain(14)).await.unwrap();
    let wrong = core.put_retention_policy(&context(), retain(2)).await;
    refused(wrong, ErrorCode::InvalidParameter, "Value '2' at 'retentionInDays'");
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await[0].retention_in_days, Some(14));
    let forever = DeleteRetentionPolicyRequest { log_group_name: "g".to_owned() };
    core.delete_retention_policy(&context(), forever).await.unwrap();
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await[0].retention_in_days, None);

    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:g".to_owned();
    let more = TagResourceRequest { resource_arn: arn.clone(), tags: tags(&[("b", "3"), ("c", "4")]) };
    core.tag_resource(&context(), more).await.unwrap();
    let less = UntagLogGroupRequest { log_group_name: "g".to_owned(), tags: vec!["a".to_owned(), "x".to_owned()] };
    core.untag_log_group(&context(), less).await.unwrap();
    let list = ListTagsForResourceRequest { resource_arn: arn.clone() };
    let listed = core.list_tags_for_resource(&context(), list).await.unwrap().tags;
    assert_eq!(listed, Some(tags(&[("b", "3"), ("c", "4")])));
    let older = ListTagsLogGroupRequest { log_group_name: "g".to_owned() };
    assert_eq!(core.list_tags_log_group(&context(), older).await.unwrap().tags, listed);
    let many = (0..49).map(|n| (format!("k{n}"), String::new())).collect();
    let many = core.tag_resource(&context(), TagResourceRequest { resource_arn: arn, tags: many }).await;
    refused(many, ErrorCode::TooManyTagsException, "50 tags");

    let delete = || DeleteLogGroupRequest { log_group_name: "g".to_owned() };
    refused(core.delete_log_group(&context(), delete()).await, ErrorCode::Validation, "protected");
    let open = PutLogGroupDeletionProtectionRequest {
        log_group_identifier: "g".to_owned(),
        deletion_protection_enabled: false,
    };
    core.put_log_group_deletion_protection(&context(), open).await.unwrap();
    core.delete_log_group(&context(), delete()).await.unwrap();
    place.checked(core);
}

/// Logs that were written before there were rows for them, by builds whose records are gone.
#[tokio::test]
async fn what_builds_logged_before_is_there() {
    use kiln_store::logs::Logs as Stored;
    use kiln_wire::journal::{Encoder, file_header};

    let place = Place::new();
    let logs = Stored::open(&place.data().join("logs")).unwrap();
    for (group, stream) in [(GROUP, "8f3a/x y"), ("other", "s")] {
        let (mut encoder, mut bytes) = (Encoder::new(), file_header().to_vec());
        encoder.output(1_700_000_000_123_000_000, 1, b"one\ntwo", &mut bytes).unwrap();
        let mut writer = logs.writer(group, stream).unwrap();
        writer.append(&bytes).unwrap();
        writer.finish().unwrap();
    }
    let core = place.serve();
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await.len(), 2);
    let stream = streams(&core, GROUP).await.unwrap().remove(0);
    assert_eq!(stream.log_stream_name.as_deref(), Some("8f3a/x y"));
    assert_eq!(stream.first_event_timestamp, Some(1_700_000_000_123));
    assert_eq!(all(&core, "8f3a/x y", None, true).await, "one\ntwo");
    core.delete_log_group(&context(), DeleteLogGroupRequest { log_group_name: "other".to_owned() }).await.unwrap();
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!(groups(&core, DescribeLogGroupsRequest::default()).await.len(), 1, "taken in once");
    place.checked(core);
}

pub(crate) fn put(stream: &str, events: &[(i64, &str)]) -> PutLogEventsRequest {
    PutLogEventsRequest {
        log_group_name: GROUP.to_owned(),
        log_stream_name: stream.to_owned(),
        log_events: events
            .iter()
            .map(|(ms, text)| InputLogEvent { timestamp: *ms, message: (*text).to_owned() })
            .collect(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_are_put_and_found() {
    const NOW: i64 = 1_800_000_000_000;
    let place = Place::new();
    let core = place.serve();
    create(&core, GROUP).await.unwrap();
    for name in ["a", "b"] {
        let input = CreateLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: name.to_owned() };
        core.create_log_stream(&context(), input).await.unwrap();
    }
    assert_eq!(streams(&core, GROUP).await.unwrap()[0].first_event_timestamp, None);
    let add = async |stream: &str, events: &[(i64, &str)]| core.put_log_events(&context(), put(stream, events)).await;
    let answer = add("a", &[(NOW - 10, "ERROR one"), (NOW + 5, "two")]).await.unwrap();
    assert!(answer.next_sequence_token.is_some() && answer.rejected_log_events_info.is_none());
    add("a", &[(NOW - 20, r#"{ "level": "ERROR", "ms": 7 }"#)]).await.unwrap();
    add("b", &[(NOW - 15, "GET /x 404"), (NOW, "GET /y 200")]).await.unwrap();
    let late = add("b", &[(NOW - 15 * 24 * 60 * 60 * 1000, "old")]).await.unwrap();
    assert_eq!(late.rejected_log_events_info.unwrap().too_old_log_event_end_index, Some(1));
    let described = streams(&core, GROUP).await.unwrap().remove(0);
    assert_eq!((described.first_event_timestamp, described.last_event_timestamp), (Some(NOW - 20), Some(NOW + 5)));
    for limit in [None, Some(1), Some(2)] {
        for from_head in [true, false] {
            let whole = r#"{ "level": "ERROR", "ms": 7 }ERROR onetwo"#;
            assert_eq!(all(&core, "a", limit, from_head).await, whole, "{limit:?} {from_head}");
        }
    }
    for (pattern, wanted) in [
        ("", &["{ \"level\": \"ERROR\", \"ms\": 7 }", "GET /x 404", "ERROR one", "GET /y 200", "two"][..]),
        ("ERROR", &["{ \"level\": \"ERROR\", \"ms\": 7 }", "ERROR one"]),
        ("GET -404", &["GET /y 200"]),
        ("{ $.level = \"ERROR\" && $.ms > 6 }", &["{ \"level\": \"ERROR\", \"ms\": 7 }"]),
        ("[method, path, status = 4*]", &["GET /x 404"]),
        ("nothing", &[]),
    ] {
        let input = FilterLogEventsRequest {
            log_group_name: Some(GROUP.to_owned()),
            filter_pattern: Some(pattern.to_owned()),
            limit: Some(2),
            ..Default::default()
        };
        let found: Vec<_> = found(&core, input).await.into_iter().map(|event| event.message.unwrap()).collect();
        assert_eq!(found, wanted, "{pattern}");
    }
    let bad = FilterLogEventsRequest {
        log_group_name: Some(GROUP.to_owned()),
        filter_pattern: Some("{ $.a = }".to_owned()),
        ..Default::default()
    };
    refused(core.filter_log_events(&context(), bad).await, ErrorCode::InvalidParameter, "Invalid filter pattern");
    refused(add("c", &[(NOW, "x")]).await, ErrorCode::ResourceNotFound, "log stream does not exist.");

    // Many at once, and a new server: everything is there, once.
    let many = (0..40).map(|n| {
        let core = core.clone();
        tokio::spawn(async move { core.put_log_events(&context(), put("b", &[(NOW + 100, &format!("{n} "))])).await })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    core.stop();
    drop(core);
    let core = place.serve();
    let later = page(&core, &GetLogEventsRequest { start_time: Some(NOW + 100), ..get("b") }).await;
    let mut numbers: Vec<u32> = text(&later.events.unwrap()).split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    let delete = DeleteLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: "a".to_owned() };
    core.delete_log_stream(&context(), delete).await.unwrap();
    let again = CreateLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: "a".to_owned() };
    core.create_log_stream(&context(), again).await.unwrap();
    assert_eq!(all(&core, "a", None, true).await, "", "a new stream of that name is a new one");

    place.project(&core, "demo", "lines 1").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let into = core.put_log_events(&context(), put(uuid(&build.id), &[(NOW, "forged")])).await;
    refused(into, ErrorCode::InvalidParameter, "only the build writes to it");
    place.checked(core);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_put_stays_though_the_stream_before_it_is_being_deleted() {
    const NOW: i64 = 1_800_000_000_000;
    let place = Place::new();
    let core = place.serve();
    create(&core, GROUP).await.unwrap();
    let stream = || CreateLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: "s".to_owned() };
    core.create_log_stream(&context(), stream()).await.unwrap();
    for n in 0..300 {
        let event = format!("of {n}");
        core.put_log_events(&context(), put("s", &[(NOW, "of the one before")])).await.unwrap();
        let (deletes, makes) = (core.clone(), core.clone());
        let deleted = tokio::spawn(async move {
            let input = DeleteLogStreamRequest { log_group_name: GROUP.to_owned(), log_stream_name: "s".to_owned() };
            deletes.delete_log_stream(&context(), input).await
        });
        while makes.create_log_stream(&context(), stream()).await.is_err() {
            tokio::task::yield_now().await;
        }
        core.put_log_events(&context(), put("s", &[(NOW, &event)])).await.unwrap();
        deleted.await.unwrap().unwrap();
        assert_eq!(all(&core, "s", None, true).await, event);
    }
    place.checked(core);
}
