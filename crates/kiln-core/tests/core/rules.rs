//! Rules of EventBridge: what they take, when they are due, what they start, and that nothing starts twice.

use std::time::Duration;

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode,
    codebuild::{Build, ListBuildsInput, UpdateProjectInput},
    events::*,
    iam::{Owner, Request},
    kiln::{DescribeRuleInput, DescribeRuleOutput},
    service::{CodeBuild as _, Events, Iam as _, KilnService},
};
use serde_json::json;

use crate::{
    fake::FakeRunners,
    place::{PATIENCE, Place, context},
};

const ROLE: &str = "arn:aws:iam::000000000000:role/starter";
const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/demo";
/// 2027-01-15T08:00:00Z, at which the clock of a place stands.
const BEGIN: i64 = 1_800_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

/// A role that EventBridge may assume, with a policy.
async fn role(core: &Core<FakeRunners>, policy: serde_json::Value) {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" }, "Action": "sts:AssumeRole",
        "Condition": { "ArnLike": { "aws:SourceArn": "arn:aws:events:us-east-1:000000000000:rule/*" } },
    }] });
    let request = Request::CreateRole {
        name: "starter".to_owned(),
        path: None,
        trust: trust.to_string(),
        description: None,
        max_session_seconds: None,
        boundary: None,
        tags: Vec::new(),
    };
    core.iam(&context(), request).await.unwrap();
    put_policy(core, policy).await;
}

async fn put_policy(core: &Core<FakeRunners>, statements: serde_json::Value) {
    let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    let owner = Owner::Role("starter".to_owned());
    core.iam(&context(), Request::PutInlinePolicy { owner, name: "p".to_owned(), document }).await.unwrap();
}

fn may_start() -> serde_json::Value {
    json!([{ "Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": PROJECT }])
}

fn rule(name: &str) -> PutRuleRequest {
    PutRuleRequest { name: name.to_owned(), ..Default::default() }
}

fn scheduled(name: &str, expression: &str) -> PutRuleRequest {
    PutRuleRequest { schedule_expression: Some(expression.to_owned()), ..rule(name) }
}

fn target(id: &str, input: Option<&str>) -> Target {
    Target {
        id: id.to_owned(),
        arn: PROJECT.to_owned(),
        role_arn: Some(ROLE.to_owned()),
        input: input.map(str::to_owned),
        ..Default::default()
    }
}

async fn put_target(core: &Core<FakeRunners>, rule: &str, target: Target) -> Result<PutTargetsResponse, ApiError> {
    let input = PutTargetsRequest { rule: rule.to_owned(), event_bus_name: None, targets: vec![target] };
    core.put_targets(&context(), input).await
}

/// A project, and a role that may start it.
async fn prepared(place: &Place) -> Core<FakeRunners> {
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    role(&core, may_start()).await;
    core
}

async fn builds(core: &Core<FakeRunners>) -> usize {
    core.list_builds(&context(), ListBuildsInput::default()).await.unwrap().ids.len()
}

async fn shown(core: &Core<FakeRunners>, name: &str) -> DescribeRuleOutput {
    KilnService::describe_rule(core, &context(), DescribeRuleInput { name: name.to_owned() }).await.unwrap()
}

/// Waits until a rule is as wanted. The bell is rung by a call that changes nothing: the thread looks at the clock.
async fn until(
    core: &Core<FakeRunners>,
    name: &str,
    wanted: impl Fn(&DescribeRuleOutput) -> bool,
) -> DescribeRuleOutput {
    let look = async {
        loop {
            let input = EnableRuleRequest { name: name.to_owned(), event_bus_name: None };
            core.enable_rule(&context(), input).await.unwrap();
            let found = shown(core, name).await;
            if wanted(&found) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, look).await;
    match found {
        Ok(found) => found,
        Err(_) => panic!("{:?}", shown(core, name).await),
    }
}

/// Waits until a time of a schedule had its turn, and all that it is to start is started.
async fn turned(core: &Core<FakeRunners>, name: &str, due: i64) -> DescribeRuleOutput {
    until(core, name, |rule| rule.last_due.map(|at| at.millis()) == Some(due) && rule.waiting == 0).await
}

async fn newest(place: &Place, core: &Core<FakeRunners>) -> Build {
    let listed = core.list_builds(&context(), ListBuildsInput::default()).await.unwrap();
    place.end(core, &listed.ids[0]).await
}

/// The value of the only variable of a build.
fn variable(build: &Build) -> &str {
    &build.environment.environment_variables[0].value
}

async fn end_all(place: &Place, core: &Core<FakeRunners>) {
    for id in core.list_builds(&context(), ListBuildsInput::default()).await.unwrap().ids {
        place.end(core, &id).await;
    }
}

#[tokio::test]
async fn rules_are_made_shown_changed_and_deleted() {
    let place = Place::new();
    let core = place.serve();
    let arn = "arn:aws:events:us-east-1:000000000000:rule/r";
    let input = PutRuleRequest {
        event_pattern: Some(r#"{"source":["a"]}"#.to_owned()),
        description: Some("d".to_owned()),
        tags: Some(vec![Tag { key: "k".to_owned(), value: "v".to_owned() }]),
        ..scheduled("r", "rate(5 minutes)")
    };
    assert_eq!(core.put_rule(&context(), input).await.unwrap().rule_arn.as_deref(), Some(arn));
    let describe = |name: &str, bus: Option<&str>| DescribeRuleRequest {
        name: name.to_owned(),
        event_bus_name: bus.map(str::to_owned),
    };
    for bus in [None, Some("default"), Some("arn:aws:events:us-east-1:000000000000:event-bus/default")] {
        let found = Events::describe_rule(&core, &context(), describe("r", bus)).await.unwrap();
        assert_eq!((found.arn.as_deref(), found.description.as_deref()), (Some(arn), Some("d")));
        assert_eq!((found.state, found.event_bus_name.as_deref()), (Some(RuleState::Enabled), Some("default")));
    }
    refused(
        Events::describe_rule(&core, &context(), describe("x", None)).await,
        ErrorCode::ResourceNotFound,
        "Rule x does not exist on EventBus default.",
    );
    refused(
        Events::describe_rule(&core, &context(), describe("r", Some("b"))).await,
        ErrorCode::ResourceNotFound,
        "Event bus b does not exist.",
    );
    // What a change leaves out is gone; tags stay.
    let tags = Some(vec![Tag { key: "other".to_owned(), value: String::new() }]);
    core.put_rule(&context(), PutRuleRequest { tags, ..scheduled("r", "rate(1 hour)") }).await.unwrap();
    let found = Events::describe_rule(&core, &context(), describe("r", None)).await.unwrap();
    assert_eq!(
        (found.description, found.event_pattern, found.schedule_expression.as_deref()),
        (None, None, Some("rate(1 hour)"))
    );
    let list = ListTagsForResourceRequest { resource_arn: arn.to_owned() };
    let tags =
        |answer: ListTagsForResourceResponse| answer.tags.unwrap().into_iter().map(|tag| tag.key).collect::<Vec<_>>();
    assert_eq!(tags(Events::list_tags_for_resource(&core, &context(), list.clone()).await.unwrap()), ["k"]);
    let untag = UntagResourceRequest { resource_arn: arn.to_owned(), tag_keys: vec!["k".to_owned()] };
    Events::untag_resource(&core, &context(), untag).await.unwrap();
    assert!(tags(Events::list_tags_for_resource(&core, &context(), list).await.unwrap()).is_empty());

    put_target(&core, "r", target("1", None)).await.unwrap();
    let delete = |name: &str| DeleteRuleRequest { name: name.to_owned(), ..Default::default() };
    refused(
        core.delete_rule(&context(), delete("r")).await,
        ErrorCode::Validation,
        "Rule can't be deleted since it has targets.",
    );
    let remove = RemoveTargetsRequest {
        rule: "r".to_owned(),
        ids: vec!["1".to_owned(), "none".to_owned()],
        ..Default::default()
    };
    assert_eq!(core.remove_targets(&context(), remove).await.unwrap().failed_entry_count, Some(0));
    core.delete_rule(&context(), delete("r")).await.unwrap();
    core.delete_rule(&context(), delete("r")).await.unwrap();
    refused(Events::describe_rule(&core, &context(), describe("r", None)).await, ErrorCode::ResourceNotFound, "Rule r");
    place.checked(core);
}

#[tokio::test]
async fn what_is_no_rule_or_target_is_refused_in_awss_words() {
    let place = Place::new();
    let core = place.serve();
    let put = async |input: PutRuleRequest| core.put_rule(&context(), input).await;
    refused(
        put(rule("r")).await,
        ErrorCode::Validation,
        "Parameter(s) EventPattern or ScheduleExpression must be specified.",
    );
    refused(
        put(scheduled("r", "rate(1 minutes)")).await,
        ErrorCode::Validation,
        "Parameter ScheduleExpression is not valid.",
    );
    refused(put(scheduled("r", "cron(0 0 * * * *)")).await, ErrorCode::Validation, "must be '?'");
    let pattern = |text: &str| PutRuleRequest { event_pattern: Some(text.to_owned()), ..rule("r") };
    refused(
        put(pattern(r#"{"source":"x"}"#)).await,
        ErrorCode::InvalidEventPattern,
        "Event pattern is not valid. Reason: ",
    );
    put(scheduled("r", "rate(1 hour)")).await.unwrap();
    refused(put_target(&core, "none", target("1", None)).await, ErrorCode::ResourceNotFound, "Rule none");
    refused(
        put_target(&core, "r", Target { arn: "demo".to_owned(), ..target("1", None) }).await,
        ErrorCode::Validation,
        "not in correct format",
    );
    refused(
        put_target(&core, "r", Target { role_arn: None, ..target("1", None) }).await,
        ErrorCode::Validation,
        "RoleArn is required for target",
    );
    refused(
        put_target(&core, "r", target("1", Some("{"))).await,
        ErrorCode::Validation,
        "JSON syntax error in input for target 1",
    );
    let both = Target { input_path: Some("$.detail".to_owned()), ..target("1", Some("{}")) };
    refused(put_target(&core, "r", both).await, ErrorCode::Validation, "Only one of Input, InputPath");
    let path = Target { input_path: Some("detail".to_owned()), ..target("1", None) };
    refused(put_target(&core, "r", path).await, ErrorCode::Validation, "Invalid InputPath for target 1");
    let transformer = InputTransformer { input_paths_map: None, input_template: "{<x>}".to_owned() };
    let transformed = Target { input_transformer: Some(transformer), ..target("1", None) };
    refused(put_target(&core, "r", transformed).await, ErrorCode::Validation, "Invalid InputTransformer for target 1");
    for (unsupported, why) in [
        (
            Target { arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(), ..target("1", None) },
            "starts projects of CodeBuild",
        ),
        (
            Target { arn: "arn:aws:codebuild:eu-west-1:000000000000:project/demo".to_owned(), ..target("1", None) },
            "own account and region",
        ),
        (Target { sqs_parameters: Some(json!({})), ..target("1", None) }, "SqsParameters not valid"),
        (
            Target {
                dead_letter_config: Some(DeadLetterConfig { arn: Some("arn:aws:sqs:::x".to_owned()) }),
                ..target("1", None)
            },
            "no queues",
        ),
    ] {
        let answer = put_target(&core, "r", unsupported).await.unwrap();
        let failed = &answer.failed_entries.unwrap()[0];
        assert_eq!((answer.failed_entry_count, failed.target_id.as_deref()), (Some(1), Some("1")));
        assert!(failed.error_message.as_deref().unwrap().contains(why), "{failed:?}");
    }
    for id in 1..=5 {
        put_target(&core, "r", target(&id.to_string(), None)).await.unwrap();
    }
    refused(put_target(&core, "r", target("6", None)).await, ErrorCode::LimitExceeded, "exceeds the maximum number");
    put_target(&core, "r", target("5", Some("{}"))).await.unwrap();
    let list = ListTargetsByRuleRequest { rule: "r".to_owned(), limit: Some(3), ..Default::default() };
    let first = core.list_targets_by_rule(&context(), list.clone()).await.unwrap();
    let second = core
        .list_targets_by_rule(&context(), ListTargetsByRuleRequest { next_token: first.next_token, ..list })
        .await
        .unwrap();
    let ids: Vec<_> = first.targets.into_iter().chain(second.targets).flatten().map(|target| target.id).collect();
    assert_eq!((ids, second.next_token), (["1", "2", "3", "4", "5"].map(str::to_owned).to_vec(), None));
    let names = ListRuleNamesByTargetRequest { target_arn: PROJECT.to_owned(), ..Default::default() };
    assert_eq!(core.list_rule_names_by_target(&context(), names).await.unwrap().rule_names.unwrap(), ["r"]);
    let token = ListRulesRequest { next_token: Some("x".to_owned()), ..Default::default() };
    refused(core.list_rules(&context(), token).await, ErrorCode::Validation, "NextToken");
    place.checked(core);
}

#[tokio::test]
async fn a_rate_starts_builds_with_the_targets_input() {
    let place = Place::new();
    let core = prepared(&place).await;
    core.put_rule(&context(), scheduled("nightly", "rate(10 minutes)")).await.unwrap();
    let input = r#"{"timeoutInMinutesOverride":7,"environmentVariablesOverride":[{"name":"V","value":"v1"}]}"#;
    put_target(&core, "nightly", target("1", Some(input))).await.unwrap();
    assert_eq!(shown(&core, "nightly").await.next_due.unwrap().millis(), BEGIN + 600_000);
    place.advance(10 * MINUTE);
    let rule = turned(&core, "nightly", BEGIN + 600_000).await;
    let build = newest(&place, &core).await;
    assert_eq!((build.initiator.as_deref(), variable(&build)), (Some("rule/nightly"), "v1"));
    assert_eq!(build.timeout_in_minutes, Some(7));
    assert_eq!((rule.last_start.unwrap().build_id, rule.missed), (build.id, None));
    assert_eq!(rule.next_due.unwrap().millis(), BEGIN + 1_200_000);
    assert_eq!(builds(&core).await, 1);
    // A rule that is disabled does nothing, and what it would have done then is not done later.
    let disable = DisableRuleRequest { name: "nightly".to_owned(), event_bus_name: None };
    core.disable_rule(&context(), disable).await.unwrap();
    assert_eq!(shown(&core, "nightly").await.next_due, None);
    place.advance(25 * MINUTE);
    let rule = until(&core, "nightly", |rule| rule.enabled).await;
    assert_eq!((rule.next_due.unwrap().millis(), rule.missed), (BEGIN + 2_400_000, None));
    assert_eq!(builds(&core).await, 1);
    place.checked(core);
}

#[tokio::test]
async fn cron_is_due_at_its_minute_and_rules_without_targets_start_nothing() {
    let place = Place::new();
    let core = prepared(&place).await;
    core.put_rule(&context(), scheduled("c", "cron(30 8 ? * FRI *)")).await.unwrap();
    core.put_rule(&context(), scheduled("idle", "cron(30 8 ? * FRI *)")).await.unwrap();
    put_target(&core, "c", target("1", None)).await.unwrap();
    put_target(&core, "c", target("2", None)).await.unwrap();
    place.advance(29 * MINUTE);
    assert_eq!(until(&core, "c", |_| true).await.last_due, None);
    place.advance(MINUTE);
    let due = BEGIN + 30 * 60_000;
    turned(&core, "c", due).await;
    turned(&core, "idle", due).await;
    // One for each target; what they are given is the event, of which builds take nothing.
    assert_eq!(builds(&core).await, 2);
    end_all(&place, &core).await;
    place.checked(core);
}

#[tokio::test]
async fn what_was_due_while_the_server_was_down_is_noted_and_not_caught_up_with() {
    let place = Place::new();
    let core = prepared(&place).await;
    core.put_rule(&context(), scheduled("r", "rate(10 minutes)")).await.unwrap();
    put_target(&core, "r", target("1", None)).await.unwrap();
    core.stop();
    drop(core);
    // A short time: as if it had not been down.
    place.advance(12 * MINUTE);
    let core = place.serve();
    turned(&core, "r", BEGIN + 600_000).await;
    assert_eq!(builds(&core).await, 1);
    core.stop();
    drop(core);
    place.advance(24 * MINUTE);
    let core = place.serve();
    let rule = until(&core, "r", |rule| rule.missed.is_some()).await;
    let missed = rule.missed.unwrap();
    assert_eq!((missed.count, missed.last.millis()), (2, BEGIN + 1_800_000));
    assert_eq!(rule.next_due.unwrap().millis(), BEGIN + 2_400_000);
    assert_eq!(builds(&core).await, 1);
    place.advance(4 * MINUTE);
    turned(&core, "r", BEGIN + 2_400_000).await;
    assert_eq!(builds(&core).await, 2);
    end_all(&place, &core).await;
    place.checked(core);
}

#[tokio::test]
async fn a_clock_that_is_set_starts_nothing_twice() {
    let place = Place::new();
    let core = prepared(&place).await;
    core.put_rule(&context(), scheduled("r", "cron(0 * * * ? *)")).await.unwrap();
    put_target(&core, "r", target("1", None)).await.unwrap();
    let hour = |n: i64| BEGIN + n * 3_600_000;
    let set = |ms: i64| place.set_clock(u64::try_from(ms).unwrap() * 1_000_000);
    for n in 1..=3 {
        set(hour(n));
        turned(&core, "r", hour(n)).await;
    }
    // Back by two hours: these times had their turn.
    set(hour(1) + 1);
    assert_eq!(until(&core, "r", |_| true).await.next_due.unwrap().millis(), hour(4));
    set(hour(2));
    until(&core, "r", |_| true).await;
    set(hour(3));
    until(&core, "r", |_| true).await;
    assert_eq!(builds(&core).await, 3);
    // Forward by years, and back: what lies between has its turn when its time comes.
    set(hour(100_000));
    until(&core, "r", |rule| rule.last_due.unwrap().millis() == hour(100_000) && rule.waiting == 0).await;
    set(hour(3) + 5);
    until(&core, "r", |rule| rule.next_due.unwrap().millis() == hour(4)).await;
    set(hour(4));
    turned(&core, "r", hour(4)).await;
    set(hour(100_000));
    until(&core, "r", |rule| rule.next_due.unwrap().millis() == hour(100_001)).await;
    assert_eq!(builds(&core).await, 5);
    end_all(&place, &core).await;
    place.checked(core);
}

#[tokio::test]
async fn events_start_what_their_rules_say() {
    let place = Place::new();
    let core = prepared(&place).await;
    let pattern = r#"{"source":["my.app"],"detail":{"branch":[{"prefix":"release/"}],"size":[{"numeric":[">",0]}]}}"#;
    core.put_rule(&context(), PutRuleRequest { event_pattern: Some(pattern.to_owned()), ..rule("e") }).await.unwrap();
    let paths = [("commit".to_owned(), "$.detail.commit".to_owned())];
    let transformer = InputTransformer {
        input_paths_map: Some(paths.into_iter().collect()),
        input_template: r#"{"environmentVariablesOverride": [{"name": "V", "value": <commit>}]}"#.to_owned(),
    };
    put_target(&core, "e", Target { input_transformer: Some(transformer), ..target("1", None) }).await.unwrap();
    let entry = |source: &str, detail: &str| PutEventsRequestEntry {
        source: Some(source.to_owned()),
        detail_type: Some("t".to_owned()),
        detail: Some(detail.to_owned()),
        ..Default::default()
    };
    let good = r#"{"branch":"release/1","size":2,"commit":"c0ffee"}"#;
    let entries = vec![
        entry("my.app", good),
        entry("other", good),
        entry("my.app", r#"{"branch":"main","size":2}"#),
        entry("aws.codecommit", good),
        entry("my.app", "[]"),
        PutEventsRequestEntry { source: None, ..entry("", good) },
        PutEventsRequestEntry { event_bus_name: Some("b".to_owned()), ..entry("my.app", good) },
    ];
    let answer = core.put_events(&context(), PutEventsRequest { entries, endpoint_id: None }).await.unwrap();
    let results = answer.entries.unwrap();
    let codes: Vec<_> = results.iter().map(|result| result.error_code.as_deref()).collect();
    assert_eq!(
        codes,
        [
            None,
            None,
            None,
            Some("NotAuthorizedForSourceException"),
            Some("MalformedDetail"),
            Some("InvalidArgument"),
            Some("ResourceNotFoundException")
        ]
    );
    assert_eq!(answer.failed_entry_count, Some(4));
    until(&core, "e", |rule| rule.waiting == 0 && rule.last_start.is_some()).await;
    assert_eq!(builds(&core).await, 1);
    assert_eq!(variable(&newest(&place, &core).await), "c0ffee");
    let huge = entry("my.app", &format!(r#"{{"x":"{}"}}"#, "x".repeat(256 << 10)));
    let input = PutEventsRequest { entries: vec![huge], endpoint_id: None };
    refused(core.put_events(&context(), input).await, ErrorCode::Validation, "Total size");
    let test = |event: &str| TestEventPatternRequest { event_pattern: pattern.to_owned(), event: event.to_owned() };
    let event = json!({ "id": "1", "account": "0", "source": "my.app", "time": "t", "region": "r", "resources": [], "detail-type": "t",
        "detail": { "branch": "release/2", "size": 1 } });
    assert_eq!(core.test_event_pattern(&context(), test(&event.to_string())).await.unwrap().result, Some(true));
    refused(
        core.test_event_pattern(&context(), test("{}")).await,
        ErrorCode::Validation,
        "Parameter Event is not valid",
    );
    place.checked(core);
}

/// What the role may not, the rule may not: also by way of its input.
#[tokio::test]
async fn the_targets_role_starts_the_build() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "ok").await;
    core.put_rule(&context(), scheduled("r", "rate(10 minutes)")).await.unwrap();
    put_target(&core, "r", target("1", Some(r#"{"serviceRoleOverride":"admin"}"#))).await.unwrap();
    let mut due = BEGIN;
    let mut failure = async |why: &str, code: &str| {
        place.advance(10 * MINUTE);
        due += 600_000;
        let rule = turned(&core, "r", due).await;
        let failed = rule.last_failure.unwrap();
        assert_eq!((failed.target_id.as_str(), failed.code.as_str()), ("1", code), "{failed:?}");
        assert!(failed.message.contains(why), "{failed:?}");
        assert_eq!(failed.time.millis(), due);
    };
    failure("events.amazonaws.com is not authorized to perform: sts:AssumeRole", "AccessDeniedException").await;
    role(&core, json!([{ "Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": format!("{PROJECT}x") }]))
        .await;
    failure("not authorized to perform: codebuild:StartBuild", "AccessDeniedException").await;
    put_policy(&core, may_start()).await;
    failure("not authorized to perform: iam:PassRole", "AccessDeniedException").await;
    put_target(&core, "r", target("1", Some(r#"{"privilegedModeOverride":true}"#))).await.unwrap();
    let deny = json!([
        { "Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": "*" },
        { "Effect": "Deny", "Action": "codebuild:StartBuild", "Resource": "*",
          "Condition": { "Bool": { "codebuild:environment.privilegedMode": "true" } } },
    ]);
    put_policy(&core, deny).await;
    failure("explicit deny", "AccessDeniedException").await;
    put_target(&core, "r", target("1", Some("[]"))).await.unwrap();
    failure("not a JSON object", "InvalidInputException").await;
    let gone = Target { arn: "arn:aws:codebuild:us-east-1:000000000000:project/gone".to_owned(), ..target("1", None) };
    put_target(&core, "r", gone).await.unwrap();
    failure("Project cannot be found", "ResourceNotFoundException").await;
    assert_eq!(builds(&core).await, 0);
    place.checked(core);
}

/// A project that is busy: it is tried again, also by the next server.
#[tokio::test]
async fn what_cannot_be_started_now_is_tried_again() {
    let place = Place::new();
    let core = place.serve();
    let mut input = Place::input("demo", "wait");
    input.concurrent_build_limit = Some(1);
    core.create_project(&context(), input).await.unwrap();
    role(&core, may_start()).await;
    core.put_rule(&context(), scheduled("r", "rate(10 minutes)")).await.unwrap();
    put_target(&core, "r", target("1", None)).await.unwrap();
    let first = place.start(&core, "demo").await;
    place.begun(&core, &first.id).await;
    place.advance(10 * MINUTE);
    until(&core, "r", |rule| rule.last_due.is_some() && rule.waiting == 1).await;
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!((builds(&core).await, shown(&core, "r").await.waiting), (1, 1));
    let update = UpdateProjectInput { name: "demo".to_owned(), concurrent_build_limit: Some(2), ..Default::default() };
    core.update_project(&context(), update).await.unwrap();
    place.advance(MINUTE);
    let rule = until(&core, "r", |rule| rule.waiting == 0).await;
    assert_eq!((rule.last_start.is_some(), rule.last_failure, builds(&core).await), (true, None, 2));
    for id in core.list_builds(&context(), ListBuildsInput::default()).await.unwrap().ids {
        place.begun(&core, &id).await;
        core.stop_build(&context(), kiln_model::codebuild::StopBuildInput { id: id.clone() }).await.unwrap();
        place.end(&core, &id).await;
    }
    place.checked(core);
}

/// A build that fails starts another one, which is told which.
#[tokio::test]
async fn what_becomes_of_builds_is_an_event() {
    let place = Place::new();
    let core = prepared(&place).await;
    place.project(&core, "first", "fail").await;
    place.project(&core, "good", "ok").await;
    let pattern = json!({
        "source": ["aws.codebuild"], "detail-type": ["CodeBuild Build State Change"],
        "detail": {
            "build-status": ["FAILED"], "project-name": [{ "anything-but": "demo" }],
            "additional-information": {
                "build-complete": [true], "initiator": ["root"], "environment": { "compute-type": ["BUILD_GENERAL1_SMALL"] },
                "phases": { "phase-type": ["BUILD"], "phase-status": ["FAILED"], "phase-context": [{ "prefix": "COMMAND_EXECUTION_ERROR: " }] },
            },
        },
    });
    let pattern = Some(pattern.to_string());
    core.put_rule(&context(), PutRuleRequest { event_pattern: pattern, ..rule("failed") }).await.unwrap();
    let submitted = json!({ "detail": { "build-status": ["IN_PROGRESS"], "project-name": ["good"] } });
    let submitted = Some(submitted.to_string());
    core.put_rule(&context(), PutRuleRequest { event_pattern: submitted, ..rule("submitted") }).await.unwrap();
    let paths = [("which".to_owned(), "$.detail.build-id".to_owned())];
    let transformer = InputTransformer {
        input_paths_map: Some(paths.into_iter().collect()),
        input_template: r#"{"environmentVariablesOverride": [{"name": "V", "value": "<which>"}]}"#.to_owned(),
    };
    for name in ["failed", "submitted"] {
        let target = Target { input_transformer: Some(transformer.clone()), ..target("1", None) };
        put_target(&core, name, target).await.unwrap();
    }
    for (project, name) in [("first", "failed"), ("good", "submitted")] {
        let build = place.start(&core, project).await;
        place.end(&core, &build.id).await;
        let rule = until(&core, name, |rule| rule.waiting == 0 && rule.last_start.is_some()).await;
        let started = place.end(&core, &rule.last_start.unwrap().build_id).await;
        assert_eq!(variable(&started), build.arn);
        assert_eq!(started.initiator, Some(format!("rule/{name}")));
    }
    assert_eq!(builds(&core).await, 4);
    place.checked(core);
}
