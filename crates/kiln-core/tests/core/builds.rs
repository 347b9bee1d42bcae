//! Builds from acceptance to their end.

use std::time::Duration;

use kiln_model::{
    BuildStatus, ErrorCode, PhaseType,
    codebuild::{
        BatchDeleteBuildsInput, BatchGetBuildsInput, ListBuildsForProjectInput, ListBuildsInput, RetryBuildInput,
        StartBuildInput, StopBuildInput,
    },
    kiln::{
        CountBuildLogInput, DescribeBuildInput, DescribeQueueInput, GetBuildLogInput, LogLine, SearchBuildLogInput,
        TextRange,
    },
    service::{CodeBuild as _, KilnService as _},
};
use kiln_runner::job::Control;

use crate::place::{PATIENCE, Place, context};

#[tokio::test]
async fn a_build_runs_to_its_end() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok\nlines 3").await;
    let build = place.start(&core, "demo").await;
    assert_eq!(build.build_number, Some(1));
    assert_eq!(build.current_phase, Some(PhaseType::Queued));
    assert_eq!(build.build_status, Some(BuildStatus::InProgress));
    assert_eq!(build.phases.len(), 2);
    assert!(build.phases[1].contexts.is_none() && build.phases[1].end_time.is_none());
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Succeeded));
    let names: Vec<&str> = ended.phases.iter().map(|p| p.phase_type.unwrap().as_str()).collect();
    assert_eq!(names, ["SUBMITTED", "QUEUED", "PROVISIONING", "BUILD", "FINALIZING", "COMPLETED"]);
    for pair in ended.phases.windows(2) {
        assert_eq!(pair[0].end_time, pair[1].start_time);
    }
    let logs = ended.logs.unwrap();
    assert_eq!(logs.group_name.as_deref(), Some("/aws/codebuild/demo"));
    assert_eq!(logs.stream_name.as_deref(), build.id.split(':').next_back());

    let input = GetBuildLogInput { id: build.id.clone(), ..Default::default() };
    let log = core.get_build_log(&context(), input).await.unwrap();
    assert_eq!(log.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["line 0", "line 1", "line 2"]);
    assert!(log.complete);
    let described = core
        .describe_build(&context(), DescribeBuildInput { id: build.id.clone(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(described.total_lines, 3);
    place.checked(core);
}

#[tokio::test]
async fn a_log_is_read_from_anywhere_and_searched() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 300").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let numbers = |lines: &[LogLine]| lines.iter().map(|line| line.number).collect::<Vec<_>>();
    let read = async |input: GetBuildLogInput| {
        core.get_build_log(&context(), GetBuildLogInput { id: build.id.clone(), ..input }).await.unwrap()
    };
    // "line 0" to "line 9" have 7 bytes, those up to "line 99" have 8.
    let log = read(GetBuildLogInput { from_byte: Some(70 + 8), to_line: Some(14), ..Default::default() }).await;
    assert_eq!((numbers(&log.lines), log.lines[0].byte, log.next_line, log.complete), (vec![12, 13, 14], 78, 15, true));
    let at = log.lines[0].time;
    let until = log.lines[2].time;
    let log = read(GetBuildLogInput { since: Some(at), until: Some(until), ..Default::default() }).await;
    assert_eq!((numbers(&log.lines), log.next_line, log.complete), (vec![12, 13], 14, true));
    let log = read(GetBuildLogInput { from_byte: Some(1 << 40), ..Default::default() }).await;
    assert_eq!((log.lines.len(), log.next_line, log.complete), (0, 301, true));
    let log = read(GetBuildLogInput { max_lines: Some(2), to_line: Some(9), ..Default::default() }).await;
    assert_eq!((numbers(&log.lines), log.next_line, log.complete), (vec![1, 2], 3, false));

    let search = async |input: SearchBuildLogInput| {
        core.search_build_log(&context(), SearchBuildLogInput { id: build.id.clone(), ..input }).await
    };
    let text = |text: &str| SearchBuildLogInput { text: Some(text.to_owned()), ..Default::default() };
    let found = search(SearchBuildLogInput { max_matches: Some(2), ..text("line 29") }).await.unwrap();
    assert_eq!(found.matches.iter().map(|m| m.line.number).collect::<Vec<_>>(), [30, 291]);
    assert_eq!(found.matches[1].line.text, "line 290");
    assert_eq!(found.matches[1].ranges, [TextRange { start: 0, end: 7 }]);
    assert_eq!((found.next_line, found.complete), (Some(292), false));
    let rest = search(SearchBuildLogInput { from_line: found.next_line, to_line: Some(295), ..text("line 29") }).await;
    let rest = rest.unwrap();
    assert_eq!(rest.matches.iter().map(|m| m.line.number).collect::<Vec<_>>(), [292, 293, 294, 295]);
    assert_eq!((rest.next_line, rest.complete), (Some(296), true));
    let pattern = SearchBuildLogInput {
        pattern: Some("^LINE [0-9]$".to_owned()),
        ignore_case: Some(true),
        backward: Some(true),
        from_line: Some(3),
        ..Default::default()
    };
    let back = search(pattern.clone()).await.unwrap();
    assert_eq!(back.matches.iter().map(|m| m.line.number).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!((back.next_line, back.complete), (None, true));
    for (input, told) in [
        (SearchBuildLogInput::default(), "give one of text and pattern"),
        (SearchBuildLogInput { text: Some("a".to_owned()), ..pattern }, "give one of text and pattern"),
        (SearchBuildLogInput { pattern: Some("(".to_owned()), ..Default::default() }, "unclosed group"),
        (text(""), "there is no text"),
    ] {
        let refused = search(input).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidInput);
        assert!(refused.message.contains(told), "{refused:?}");
    }
    let count = CountBuildLogInput { id: build.id.clone(), text: Some("9".to_owned()), ..Default::default() };
    let counted = core.count_build_log(&context(), count.clone()).await.unwrap();
    let expected = (0..300).filter(|n: &u32| n.to_string().contains('9')).count() as u64;
    assert_eq!((counted.matched_lines, counted.total_lines, counted.next_line), (expected, 300, 301));
    assert!(counted.complete);
    let part = CountBuildLogInput { from_line: Some(91), to_line: Some(100), ..count };
    let counted = core.count_build_log(&context(), part).await.unwrap();
    assert_eq!((counted.matched_lines, counted.total_lines, counted.next_line), (10, 10, 101));
    place.checked(core);
}

/// The clock stands still, so no segment is written: what is seen is what the runner wrote a moment ago.
#[tokio::test]
async fn a_running_builds_lines_are_there_at_once() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "lines 3\nwait\nlines 2").await;
    let build = place.start(&core, "demo").await;
    let input = GetBuildLogInput { id: build.id.clone(), ..Default::default() };
    let look = async {
        loop {
            let log = core.get_build_log(&context(), input.clone()).await.unwrap();
            if log.lines.len() == 3 {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let log = tokio::time::timeout(PATIENCE, look).await.unwrap();
    assert_eq!(log.lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["line 0", "line 1", "line 2"]);
    assert!(!log.complete && log.next_line == 4);
    let search = SearchBuildLogInput { id: build.id.clone(), text: Some("line 2".to_owned()), ..Default::default() };
    let found = core.search_build_log(&context(), search.clone()).await.unwrap();
    assert_eq!((found.matches[0].line.number, found.next_line, found.complete), (3, Some(4), false));
    place.world.tell(build.id.split(':').nth(1).unwrap(), Control::Kill);
    place.end(&core, &build.id).await;
    let rest = GetBuildLogInput { from_line: Some(log.next_line), ..input };
    let rest = core.get_build_log(&context(), rest).await.unwrap();
    assert_eq!(rest.lines.iter().map(|l| l.number).collect::<Vec<_>>(), [4, 5]);
    assert!(rest.complete);
    place.checked(core);
}

#[tokio::test]
async fn a_failed_build_says_where() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "fail").await;
    let build = place.start(&core, "demo").await;
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Failed));
    let phase = ended.phases.iter().find(|p| p.phase_type == Some(PhaseType::Build)).unwrap();
    assert_eq!(phase.contexts.as_ref().unwrap()[0].status_code, "COMMAND_EXECUTION_ERROR");
    place.checked(core);
}

#[tokio::test]
async fn a_runner_that_dies_is_a_fault() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "die").await;
    let build = place.start(&core, "demo").await;
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Fault));
    let text = format!("{:?}", ended.phases);
    assert!(text.contains("The build's runner ended without a word"), "{text}");
    place.checked(core);
}

#[tokio::test]
async fn stopping_answers_with_the_end() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let build = place.start(&core, "demo").await;
    place.begun(&core, &build.id).await;
    let stopped = core.stop_build(&context(), StopBuildInput { id: build.arn.clone() }).await.unwrap().build;
    assert_eq!(stopped.build_status, Some(BuildStatus::Stopped));
    assert_eq!(stopped.current_phase, Some(PhaseType::Completed));
    // Once more changes nothing.
    let again = core.stop_build(&context(), StopBuildInput { id: build.id.clone() }).await.unwrap().build;
    assert_eq!(again, stopped);
    place.checked(core);
}

#[tokio::test]
async fn what_does_not_fit_waits_with_a_reason() {
    let place = Place::with_builds(1);
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let first = place.start(&core, "demo").await;
    place.begun(&core, &first.id).await;
    let second = place.start(&core, "demo").await;
    let queue = core.describe_queue(&context(), DescribeQueueInput::default()).await.unwrap();
    assert_eq!((queue.capacity.running_builds, queue.capacity.queued_builds), (1, 1));
    assert_eq!(queue.queued[0].queue.reason, "waiting for a place: 1 of 1 builds run");
    // A waiting build is stopped at once, and never begins.
    let stopped = core.stop_build(&context(), StopBuildInput { id: second.id.clone() }).await.unwrap().build;
    assert_eq!(stopped.build_status, Some(BuildStatus::Stopped));
    core.stop_build(&context(), StopBuildInput { id: first.id.clone() }).await.unwrap();
    assert_eq!(place.world.starts(second.id.split(':').next_back().unwrap()), 0);
    place.checked(core);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_token_starts_one_build() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let input = StartBuildInput {
        project_name: "demo".to_owned(),
        idempotency_token: Some("token".to_owned()),
        ..Default::default()
    };
    let calls = (0..100).map(|_| {
        let (core, input) = (core.clone(), input.clone());
        tokio::spawn(async move { core.start_build(&context(), input).await.unwrap().build.id })
    });
    let mut ids = std::collections::BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        ids.insert(call.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let other = StartBuildInput { source_version: Some("v2".to_owned()), ..input.clone() };
    let refused = core.start_build(&context(), other).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidInput);
    place.end(&core, ids.first().unwrap()).await;
    // Remembered across a restart, forgotten after five minutes.
    place.checked(core);
    let core = place.serve();
    assert_eq!(core.start_build(&context(), input.clone()).await.unwrap().build.id, *ids.first().unwrap());
    place.advance(std::time::Duration::from_secs(301));
    let next = core.start_build(&context(), input).await.unwrap().build;
    assert_eq!(next.build_number, Some(2));
    place.end(&core, &next.id).await;
    place.checked(core);
}

#[tokio::test]
async fn failures_are_tried_again_and_linked() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "fail").await;
    let input =
        StartBuildInput { project_name: "demo".to_owned(), auto_retry_limit_override: Some(2), ..Default::default() };
    let first = core.start_build(&context(), input).await.unwrap().build;
    let mut build = place.end(&core, &first.id).await;
    for number in 1..=2 {
        let next = build.auto_retry_config.as_ref().unwrap().next_auto_retry.clone().unwrap();
        let retry = place.end(&core, &next).await;
        let config = retry.auto_retry_config.as_ref().unwrap();
        assert_eq!(config.auto_retry_number, Some(number));
        assert_eq!(config.previous_auto_retry.as_deref(), Some(build.arn.as_str()));
        build = retry;
    }
    assert_eq!(build.auto_retry_config.unwrap().next_auto_retry, None);
    assert_eq!(build.build_number, Some(3));
    place.checked(core);
}

#[tokio::test]
async fn a_stopped_build_is_not_tried_again() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let input =
        StartBuildInput { project_name: "demo".to_owned(), auto_retry_limit_override: Some(2), ..Default::default() };
    let build = core.start_build(&context(), input).await.unwrap().build;
    place.begun(&core, &build.id).await;
    let stopped = core.stop_build(&context(), StopBuildInput { id: build.id }).await.unwrap().build;
    assert_eq!(stopped.auto_retry_config.unwrap().next_auto_retry, None);
    place.checked(core);
}

#[tokio::test]
async fn builds_are_retried_listed_and_deleted() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let first = place.start(&core, "demo").await;
    place.end(&core, &first.id).await;
    let input = RetryBuildInput { id: Some(first.id.clone()), idempotency_token: None };
    let second = core.retry_build(&context(), input).await.unwrap().build;
    assert_eq!(second.build_number, Some(2));
    place.end(&core, &second.id).await;
    let all = core.list_builds(&context(), ListBuildsInput::default()).await.unwrap().ids;
    assert_eq!(all, [second.id.clone(), first.id.clone()]);
    let input = ListBuildsForProjectInput { project_name: "demo".to_owned(), ..Default::default() };
    assert_eq!(core.list_builds_for_project(&context(), input).await.unwrap().ids, all);

    let ids = vec![first.id.clone(), "demo:00000000-0000-4000-8000-000000000000".to_owned()];
    let deleted = core.batch_delete_builds(&context(), BatchDeleteBuildsInput { ids }).await.unwrap();
    assert_eq!(deleted.builds_deleted, [first.arn]);
    assert_eq!(deleted.builds_not_deleted.len(), 1);
    let ids = vec![first.id.clone()];
    let got = core.batch_get_builds(&context(), BatchGetBuildsInput { ids }).await.unwrap();
    assert_eq!(got.builds_not_found, [first.id]);
    // Numbers are not given out again.
    let third = place.start(&core, "demo").await;
    assert_eq!(third.build_number, Some(3));
    place.end(&core, &third.id).await;
    place.checked(core);
}

#[tokio::test]
async fn pages_join_without_a_gap() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    let mut started = Vec::new();
    for _ in 0..205 {
        started.push(place.start(&core, "demo").await.id);
    }
    for id in &started {
        place.end(&core, id).await;
    }
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let page = core.list_builds(&context(), ListBuildsInput { sort_order: None, next_token: token }).await.unwrap();
        assert!(page.ids.len() <= 100);
        listed.extend(page.ids);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    started.reverse();
    assert_eq!(listed, started);
    place.checked(core);
}

#[tokio::test]
async fn the_projects_limit_refuses() {
    let place = Place::new();
    let core = place.serve();
    let mut input = Place::input("demo", "wait");
    input.concurrent_build_limit = Some(1);
    core.create_project(&context(), input).await.unwrap();
    let build = place.start(&core, "demo").await;
    let start = StartBuildInput { project_name: "demo".to_owned(), ..Default::default() };
    let refused = core.start_build(&context(), start.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::AccountLimitExceeded);
    core.stop_build(&context(), StopBuildInput { id: build.id }).await.unwrap();
    let next = core.start_build(&context(), start).await.unwrap().build;
    core.stop_build(&context(), StopBuildInput { id: next.id }).await.unwrap();
    place.checked(core);
}
