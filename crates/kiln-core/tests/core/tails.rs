//! Live tails: what is put and what builds print, while it comes in.

use std::time::Duration;

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode,
    logs::*,
    service::{LiveTail, LiveTailEvent, Logs},
};
use kiln_runner::job::Control;

use crate::{
    fake::FakeRunners,
    place::{PATIENCE, Place, context},
};

const NOW: i64 = 1_800_000_000_000;
const ARN: &str = "arn:aws:logs:us-east-1:000000000000:log-group:";

async fn group(core: &Core<FakeRunners>, name: &str, streams: &[&str]) {
    let input = CreateLogGroupRequest { log_group_name: name.to_owned(), ..Default::default() };
    core.create_log_group(&context(), input).await.unwrap();
    for stream in streams {
        let input = CreateLogStreamRequest { log_group_name: name.to_owned(), log_stream_name: (*stream).to_owned() };
        core.create_log_stream(&context(), input).await.unwrap();
    }
}

async fn put(core: &Core<FakeRunners>, group: &str, stream: &str, messages: &[&str]) {
    let event = |message: &&str| InputLogEvent { timestamp: NOW, message: (*message).to_owned() };
    let input = PutLogEventsRequest {
        log_group_name: group.to_owned(),
        log_stream_name: stream.to_owned(),
        log_events: messages.iter().map(event).collect(),
        ..Default::default()
    };
    core.put_log_events(&context(), input).await.unwrap();
}

fn asked(groups: &[&str]) -> StartLiveTailRequest {
    StartLiveTailRequest {
        log_group_identifiers: groups.iter().map(|group| format!("{ARN}{group}")).collect(),
        ..Default::default()
    }
}

/// A session that has begun.
async fn begin(core: &Core<FakeRunners>, input: StartLiveTailRequest) -> <Core<FakeRunners> as Logs>::LiveTail {
    let mut tail = core.start_live_tail(&context(), input.clone()).await.unwrap();
    let Some(LiveTailEvent::Start(start)) = tail.next().await else { panic!("it does not begin") };
    assert_eq!(start.log_group_identifiers, Some(input.log_group_identifiers));
    assert!(start.session_id.is_some() && start.request_id.as_deref() == Some("request"), "{start:?}");
    tail
}

/// The next events, and whether some were left out.
async fn next(tail: &mut impl LiveTail) -> (Vec<LiveTailSessionLogEvent>, bool) {
    let look = async {
        loop {
            match tail.next().await {
                Some(LiveTailEvent::Update(update)) => {
                    let (events, sampled) =
                        (update.session_results.unwrap(), update.session_metadata.unwrap().sampled.unwrap());
                    if !events.is_empty() {
                        return (events, sampled);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("nothing comes")
}

/// What comes until so many events are there: streams and messages.
async fn shown(tail: &mut impl LiveTail, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let (events, sampled) = next(tail).await;
        assert!(!sampled, "nothing is left out of so little");
        all.extend(events.into_iter().map(|e| format!("{} {}", e.log_stream_name.unwrap(), e.message.unwrap())));
    }
    all
}

#[tokio::test]
async fn events_come_as_they_are_put() {
    let place = Place::new();
    let core = place.serve();
    group(&core, "g", &["a", "b", "ab"]).await;
    group(&core, "h", &["a"]).await;
    put(&core, "g", "a", &["before"]).await;
    let mut all = begin(&core, asked(&["g", "h"])).await;
    let mut errors =
        begin(&core, StartLiveTailRequest { log_event_filter_pattern: Some("ERROR".to_owned()), ..asked(&["g"]) })
            .await;
    let names = Some(vec!["b".to_owned(), "not there yet".to_owned()]);
    let mut named = begin(&core, StartLiveTailRequest { log_stream_names: names, ..asked(&["g"]) }).await;
    let prefixes = Some(vec!["a".to_owned()]);
    let mut begun = begin(&core, StartLiveTailRequest { log_stream_name_prefixes: prefixes, ..asked(&["g"]) }).await;
    put(&core, "g", "a", &["one", "ERROR two"]).await;
    put(&core, "g", "b", &["three"]).await;
    put(&core, "g", "ab", &["ERROR four"]).await;
    put(&core, "h", "a", &["five"]).await;
    assert_eq!(shown(&mut all, 5).await, ["a one", "a ERROR two", "b three", "ab ERROR four", "a five"]);
    assert_eq!(shown(&mut errors, 2).await, ["a ERROR two", "ab ERROR four"]);
    assert_eq!(shown(&mut named, 1).await, ["b three"]);
    assert_eq!(shown(&mut begun, 3).await, ["a one", "a ERROR two", "ab ERROR four"]);

    put(&core, "h", "a", &["six"]).await;
    let (events, _) = next(&mut all).await;
    let event = &events[0];
    assert_eq!((event.timestamp, event.ingestion_time), (Some(NOW), Some(NOW)));
    assert_eq!(event.log_group_identifier, Some(format!("{ARN}h")));
    drop((all, errors, named, begun));
    place.checked(core);
}

#[tokio::test]
async fn lines_of_a_build_come_as_it_prints_them_and_to_the_last() {
    let place = Place::new();
    let core = place.serve();
    group(&core, "/aws/codebuild/demo", &[]).await;
    place.project(&core, "demo", "lines 3\nwait\nlines 2").await;
    place.project(&core, "short", "lines 1").await;
    group(&core, "/aws/codebuild/short", &[]).await;
    let mut tail = begin(&core, asked(&["/aws/codebuild/demo", "/aws/codebuild/short"])).await;
    let build = place.start(&core, "demo").await;
    let uuid = build.id.split(':').next_back().unwrap().to_owned();
    let lines = |numbers: &[u32]| numbers.iter().map(|n| format!("{uuid} line {n}\n")).collect::<Vec<_>>();
    assert_eq!(shown(&mut tail, 3).await, lines(&[0, 1, 2]));
    // Who comes later does not see what was.
    let mut later = begin(&core, asked(&["/aws/codebuild/demo"])).await;
    place.world.tell(&uuid, Control::Kill);
    place.end(&core, &build.id).await;
    assert_eq!(shown(&mut tail, 2).await, lines(&[0, 1]));
    assert_eq!(shown(&mut later, 2).await, lines(&[0, 1]));
    // One that begins and ends between two looks.
    let short = place.start(&core, "short").await;
    place.end(&core, &short.id).await;
    let uuid = short.id.split(':').next_back().unwrap();
    assert_eq!(shown(&mut tail, 1).await, [format!("{uuid} line 0\n")]);
    drop((tail, later));
    place.checked(core);
}

#[tokio::test]
async fn of_a_flood_the_newest_come_and_the_client_is_told() {
    let place = Place::new();
    let core = place.serve();
    group(&core, "/aws/codebuild/demo", &["s"]).await;
    place.project(&core, "demo", "lines 20000").await;
    let mut tail = begin(&core, asked(&["/aws/codebuild/demo"])).await;
    let pattern = Some("line".to_owned());
    let mut some =
        begin(&core, StartLiveTailRequest { log_event_filter_pattern: pattern, ..asked(&["/aws/codebuild/demo"]) })
            .await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let last = "line 19999\n";
    for filtered in [false, true] {
        let (mut was_sampled, mut number) = (false, None);
        loop {
            let (events, sampled) = if filtered { next(&mut some).await } else { next(&mut tail).await };
            was_sampled |= sampled;
            assert!(events.len() <= 500, "{}", events.len());
            let numbers = events.iter().map(|event| event.message.as_deref().unwrap()[5..].trim().parse::<u32>().ok());
            for next in numbers {
                assert!(next > number, "{next:?} after {number:?}");
                number = next;
            }
            if events.last().unwrap().message.as_deref() == Some(last) {
                break;
            }
        }
        assert!(was_sampled, "{filtered}");
    }
    // Of a client that does not look, nothing but the newest is kept.
    let message = "x".repeat(300_000);
    for _ in 0..40 {
        put(&core, "/aws/codebuild/demo", "s", &[&message]).await;
    }
    put(&core, "/aws/codebuild/demo", "s", &["the last"]).await;
    let (events, sampled) = next(&mut tail).await;
    let bytes: usize = events.iter().map(|event| event.message.as_ref().unwrap().len()).sum();
    assert!(sampled && bytes < 1 << 20, "{bytes}");
    assert_eq!(events.last().unwrap().message.as_deref(), Some("the last"));
    drop((tail, some));
    place.checked(core);
}

#[tokio::test]
async fn a_session_ends_after_three_hours() {
    let place = Place::new();
    let core = place.serve();
    group(&core, "g", &[]).await;
    let mut tail = begin(&core, asked(&["g"])).await;
    place.advance(Duration::from_secs(3 * 60 * 60 - 1));
    let Some(LiveTailEvent::Update(update)) = tail.next().await else { panic!("it is over") };
    assert_eq!((update.session_results, update.session_metadata.unwrap().sampled), (Some(Vec::new()), Some(false)));
    place.advance(Duration::from_secs(1));
    let Some(LiveTailEvent::Timeout(text)) = tail.next().await else { panic!("it goes on") };
    assert!(text.contains("three hours"), "{text}");
    assert_eq!(tail.next().await, None);
    drop(tail);
    place.checked(core);
}

#[tokio::test]
async fn what_a_session_is_refused_for() {
    let place = Place::new();
    let core = place.serve();
    group(&core, "g", &[]).await;
    group(&core, "h", &[]).await;
    let rare = CreateLogGroupRequest {
        log_group_name: "rare".to_owned(),
        log_group_class: Some(LogGroupClass::InfrequentAccess),
        ..Default::default()
    };
    core.create_log_group(&context(), rare).await.unwrap();
    let some = || Some(vec!["s".to_owned()]);
    let refused = async |input: StartLiveTailRequest| -> ApiError {
        core.start_live_tail(&context(), input).await.map(drop).unwrap_err()
    };
    for (input, code, text) in [
        (asked(&["g", "x"]), ErrorCode::ResourceNotFound, "log group does not exist"),
        (asked(&["rare"]), ErrorCode::InvalidOperation, "STANDARD"),
        (
            StartLiveTailRequest { log_stream_names: some(), ..asked(&["g", "h"]) },
            ErrorCode::InvalidParameter,
            "exactly one",
        ),
        (
            StartLiveTailRequest { log_stream_names: some(), log_stream_name_prefixes: some(), ..asked(&["g"]) },
            ErrorCode::InvalidParameter,
            "mutually exclusive",
        ),
        (
            StartLiveTailRequest { log_event_filter_pattern: Some("{ $.x".to_owned()), ..asked(&["g"]) },
            ErrorCode::InvalidParameter,
            "Invalid filter pattern",
        ),
    ] {
        let error = refused(input).await;
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
    let mut sessions = Vec::new();
    for _ in 0..15 {
        sessions.push(core.start_live_tail(&context(), asked(&["g"])).await.unwrap());
    }
    assert_eq!(refused(asked(&["g"])).await.code, ErrorCode::LimitExceeded);
    sessions.pop();
    sessions.push(core.start_live_tail(&context(), asked(&["g"])).await.unwrap());
    drop(sessions);
    place.checked(core);
}
