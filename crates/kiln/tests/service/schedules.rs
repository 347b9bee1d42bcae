//! Rules of EventBridge, driven by unmodified clients, with a clock that is moved and a server that is killed.

use std::{thread, time::Duration};

use kiln_check::Accepted;
use serde_json::{Value, json};

use crate::{
    client::{Client, accepted},
    clients::{client, command, run, script, text},
    clocks::Time,
    server::{Server, not_root, rounds, wait_for},
    terraform::{Terraform, plugins},
};

const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/demo";
const ROLE: &str = "arn:aws:iam::000000000000:role/starter";

#[track_caller]
fn events(client: &Client, operation: &str, input: &Value) -> Value {
    client.service("events", &format!("AWSEvents.{operation}"), input).unwrap()
}

/// A project, and a role with which EventBridge may start it.
fn prepare(client: &Client, commands: &[&str]) {
    client.project("demo", commands);
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "events.amazonaws.com" }, "Action": "sts:AssumeRole",
    }] });
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": PROJECT,
    }] });
    let (trust, policy) = (trust.to_string(), policy.to_string());
    client.iam(&[("Action", "CreateRole"), ("RoleName", "starter"), ("AssumeRolePolicyDocument", &trust)]);
    let put = [("Action", "PutRolePolicy"), ("RoleName", "starter"), ("PolicyName", "p"), ("PolicyDocument", &policy)];
    client.iam(&put);
}

fn target(input: &Value) -> Value {
    json!([{ "Id": "1", "Arn": PROJECT, "RoleArn": ROLE, "Input": input.to_string() }])
}

fn ids(client: &Client) -> Vec<String> {
    let listed = client.retried("ListBuilds", &json!({}));
    listed["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn all_of(client: &Client) -> Vec<Accepted> {
    let ids = ids(client);
    let found = client.retried("BatchGetBuilds", &json!({ "ids": ids }));
    let builds: Vec<_> = found["builds"].as_array().unwrap().iter().map(accepted).collect();
    for build in &builds {
        client.finished(build);
    }
    builds
}

#[test]
fn boto3_takes_rules_through_their_lives_and_an_event_starts_a_build() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let here = server.client();
    prepare(&here, &["echo commit $CODEBUILD_SOURCE_VERSION, by $CODEBUILD_INITIATOR, $GREETING"]);
    run(command(&server, &python.join("bin/python")).arg(script("events.py")));
    wait_for("a build", || (!ids(&here).is_empty()).then_some(()));
    let builds = all_of(&here);
    assert_eq!(builds.len(), 1);
    let log = here.log(&builds[0]).join("\n");
    assert!(log.contains("by rule/on-push, hello"), "{log}");
    server.check(&builds);
}

#[test]
fn the_aws_cli_makes_a_schedule() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    prepare(&server.client(), &["true"]);
    let call = |server: &Server, args: &[&str]| {
        let mut aws = command(server, &python.join("bin/aws"));
        let out = run(aws.arg("events").args(args).args(["--output", "json"]));
        serde_json::from_str::<Value>(&out).unwrap_or_default()
    };
    let schedule = ["put-rule", "--name", "nightly", "--schedule-expression", "cron(0 3 ? * MON-FRI *)"];
    assert_eq!(call(&server, &schedule)["RuleArn"], "arn:aws:events:us-east-1:000000000000:rule/nightly");
    let targets = format!("Id=1,Arn={PROJECT},RoleArn={ROLE}");
    assert_eq!(call(&server, &["put-targets", "--rule", "nightly", "--targets", &targets])["FailedEntryCount"], 0);
    let lambda = "Id=2,Arn=arn:aws:lambda:us-east-1:000000000000:function:f";
    let refused = call(&server, &["put-targets", "--rule", "nightly", "--targets", lambda]);
    let said = refused["FailedEntries"][0]["ErrorMessage"].as_str().unwrap_or_default();
    assert!(said.contains("starts projects of CodeBuild"), "{refused}");
    // All of it is on the disk.
    server.stop();
    server.run();
    let rule = call(&server, &["describe-rule", "--name", "nightly"]);
    assert_eq!((&rule["State"], &rule["ScheduleExpression"]), (&json!("ENABLED"), &json!(schedule[4])));
    assert_eq!(call(&server, &["list-targets-by-rule", "--rule", "nightly"])["Targets"][0]["Arn"], PROJECT);
    assert_eq!(call(&server, &["list-rule-names-by-target", "--target-arn", PROJECT])["RuleNames"], json!(["nightly"]));
    call(&server, &["disable-rule", "--name", "nightly"]);
    let known = server.client().kiln("DescribeRule", &json!({ "name": "nightly" })).unwrap();
    assert_eq!((&known["enabled"], &known["nextDue"]), (&json!(false), &Value::Null));
    let bad = ["events", "put-rule", "--name", "x", "--schedule-expression", "rate(1 minutes)"];
    let output = command(&server, &python.join("bin/aws")).args(bad).output().unwrap();
    let said = text(&output);
    assert!(said.contains("(ValidationException)") && said.contains("ScheduleExpression is not valid"), "{said}");
    call(&server, &["remove-targets", "--rule", "nightly", "--ids", "1"]);
    call(&server, &["delete-rule", "--name", "nightly"]);
    assert_eq!(call(&server, &["list-rules"])["Rules"], json!([]));
    server.check(&[]);
}

#[test]
fn terraform_makes_rules_and_targets_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "events.tf");
    terraform.apply(&["changed=false"]);
    terraform.apply(&["changed=true"]);
    terraform.destroy(&["changed=true"]);
    assert_eq!(events(&server.client(), "ListRules", &json!({}))["Rules"], json!([]));
    server.check(&[]);
}

/// The clock is the process's own: each hour is there at once.
#[test]
fn cron_starts_a_build_at_its_minute_once_whatever_the_clock_does() {
    let (false, Some(time)) = (not_root(), Time::new()) else { return };
    let variables = time.variables();
    let mut all = vec![("KILN_NETWORK_MODE", "none")];
    all.extend(variables.iter().map(|(name, value)| (*name, value.as_str())));
    let mut server = Server::with(&all);
    let here = server.client();
    prepare(&here, &["true"]);
    events(&here, "PutRule", &json!({ "Name": "hourly", "ScheduleExpression": "cron(0 * * * ? *)" }));
    events(&here, "PutTargets", &json!({ "Rule": "hourly", "Targets": target(&json!({})) }));
    let now = || time::OffsetDateTime::now_utc().unix_timestamp();
    let base = now() / 3600;
    // When the n-th hour from now is, and by how many seconds the clock has to be ahead for that.
    let at = |n: i64| (base + n) * 3600;
    let hour = |n: i64| at(n) - now();
    let known = |ahead: i64| here.ahead(ahead).kiln("DescribeRule", &json!({ "name": "hourly" })).ok();
    let is_at = |time: &Value, n: i64| *time == json!(f64::from(u32::try_from(at(n)).unwrap()));
    let turned = |n: i64| {
        time.set(hour(n));
        wait_for("the hour", || {
            let rule = known(hour(n))?;
            (is_at(&rule["lastDue"], n) && rule["waiting"] == 0).then_some(rule)
        })
    };
    let next_is = |ahead: i64, n: i64| known(ahead).filter(|rule| is_at(&rule["nextDue"], n));
    for n in 2..=3 {
        turned(n);
    }
    // Back by an hour, and over the same hour again, by another server too.
    let back = hour(2) + 60;
    time.set(back);
    wait_for("the old hour", || next_is(back, 4));
    time.set(hour(3));
    server.kill();
    server.run();
    wait_for("the same hour again", || next_is(hour(3), 4));
    assert_eq!(ids(&here.ahead(hour(3))).len(), 2);
    // Down for hours: these are noted, with the one that was leapt over before, and not caught up with.
    server.kill();
    let later = hour(8) + 1800;
    time.set(later);
    server.run();
    let rule = wait_for("what was missed", || known(later).filter(|rule| rule["missed"]["count"] == 6));
    assert!(is_at(&rule["nextDue"], 9), "{rule}");
    let rule = turned(9);
    assert!(rule["lastStart"]["buildId"].as_str().unwrap().starts_with("demo:"), "{rule}");
    let builds = all_of(&here.ahead(hour(9)));
    assert_eq!(builds.len(), 3);
    server.check(&builds);
}

/// Killed again and again while events are put: what was answered starts one build, and no event two.
#[test]
fn each_event_that_was_taken_starts_one_build_whatever_happens_to_the_server() {
    if not_root() {
        return;
    }
    let count = rounds(20, 90);
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let here = server.client();
    prepare(&here, &["true"]);
    events(&here, "PutRule", &json!({ "Name": "e", "EventPattern": r#"{"source":["my.app"]}"# }));
    let transformer = json!({ "InputPathsMap": { "n": "$.detail.n" }, "InputTemplate": r#"{"environmentVariablesOverride": [{"name": "N", "value": "n<n>"}]}"# });
    let target = json!([{ "Id": "1", "Arn": PROJECT, "RoleArn": ROLE, "InputTransformer": transformer }]);
    events(&here, "PutTargets", &json!({ "Rule": "e", "Targets": target }));
    let client = here.clone();
    let putter = thread::spawn(move || {
        let mut taken = Vec::new();
        for n in 0..count {
            let entry = json!({ "Source": "my.app", "DetailType": "t", "Detail": json!({ "n": n }).to_string() });
            // One that is not answered may have been taken.
            let answer = client.service("events", "AWSEvents.PutEvents", &json!({ "Entries": [entry] }));
            if answer.is_ok_and(|answer| answer["FailedEntryCount"] == 0) {
                taken.push(format!("n{n}"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        taken
    });
    while !putter.is_finished() {
        thread::sleep(Duration::from_millis(400));
        server.kill();
        server.run();
    }
    let taken = putter.join().unwrap();
    wait_for("everything to be started", || {
        let rule = here.kiln("DescribeRule", &json!({ "name": "e" })).ok()?;
        (rule["waiting"] == 0).then_some(())
    });
    let builds = all_of(&here);
    let value = |build: &Accepted| here.build(build)["environment"]["environmentVariables"][0]["value"].take();
    let mut versions: Vec<String> = builds.iter().map(|build| value(build).as_str().unwrap().to_owned()).collect();
    versions.sort_unstable();
    let all = versions.len();
    versions.dedup();
    assert_eq!(versions.len(), all, "an event started two builds");
    assert!(!taken.is_empty() && taken.iter().all(|one| versions.contains(one)), "{taken:?} {versions:?}");
    server.check(&builds);
}
