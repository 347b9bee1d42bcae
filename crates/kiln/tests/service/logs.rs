//! CloudWatch Logs, driven by unmodified clients: the log of a build while it runs and afterwards, the same bytes each time.

use serde_json::{Value, json};

use crate::{
    client::{id, project},
    clients::{client, command, run, script},
    server::{Server, not_root},
    terraform::{Terraform, plugins},
};

#[test]
fn boto3_reads_a_builds_log_while_it_runs_and_in_both_directions() {
    let Some(python) = client("python") else { return };
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let commands = "version: 0.2\nphases:\n  build:\n    commands:\n      \
                    - for i in $(seq 40); do echo line $i; sleep 0.1; done; seq 3000; printf 'ä the end'\n";
    client.call("CreateProject", &project("logged", commands)).unwrap();
    let build = client.start_build("logged");
    let mut follow = command(&server, &python.join("bin/python"));
    follow.arg(script("logs.py")).args(["/aws/codebuild/logged", &build.uuid]);
    let followed = run(&mut follow);
    let kiln = run(&mut server.kiln(&["logs", &id(&build)]));
    assert_eq!(followed, kiln);
    assert!(followed.contains("line 40\n1\n2\n") && followed.contains("ä the end"), "{followed}");
    let record = client.finished(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED");
    server.check(&[build]);
}

#[test]
fn others_read_what_their_policies_say() {
    let mut server = Server::start();
    let client = server.client();
    for group in ["allowed", "other"] {
        let input = json!({ "logGroupName": group, "tags": { "team": group } });
        client.service("logs", "Logs_20140328.CreateLogGroup", &input).unwrap();
    }
    client.iam(&[("Action", "CreateUser"), ("UserName", "reader")]);
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "logs:DescribeLogStreams",
          "Resource": "arn:aws:logs:us-east-1:000000000000:log-group:allowed:*" },
        { "Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": "*",
          "Condition": { "StringEquals": { "aws:ResourceTag/team": "allowed" } } },
    ] });
    let policy = policy.to_string();
    client.iam(&[
        ("Action", "PutUserPolicy"),
        ("UserName", "reader"),
        ("PolicyName", "p"),
        ("PolicyDocument", &policy),
    ]);
    for (action, group, decision) in [
        ("logs:DescribeLogStreams", "allowed", "allowed"),
        ("logs:DescribeLogStreams", "other", "implicitDeny"),
        ("logs:FilterLogEvents", "allowed", "allowed"),
        ("logs:FilterLogEvents", "other", "implicitDeny"),
        ("logs:DeleteLogGroup", "allowed", "implicitDeny"),
    ] {
        let resource = format!("arn:aws:logs:us-east-1:000000000000:log-group:{group}:log-stream:");
        let input = json!({
            "principal": "arn:aws:iam::000000000000:user/reader", "action": action, "resource": resource,
        });
        let explained = client.kiln("ExplainAccess", &input).unwrap();
        assert_eq!(explained["decision"], decision, "{action} {group}: {explained}");
        if decision == "implicitDeny" {
            let told = explained["message"].as_str().unwrap();
            let text = format!("is not authorized to perform: {action} on resource: {resource}");
            assert!(told.contains(&text), "{told}");
        }
    }
    server.check(&[]);
}

#[test]
fn terraform_makes_a_log_group_and_a_stream_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "logs.tf");
    let client = server.client();
    let groups = || {
        let found = client.service("logs", "Logs_20140328.DescribeLogGroups", &json!({})).unwrap();
        found["logGroups"].as_array().unwrap().clone()
    };
    for (changed, days) in [("changed=false", json!(7)), ("changed=true", json!(30))] {
        terraform.apply(&[changed]);
        assert_eq!(groups()[0]["retentionInDays"], days);
    }
    let streams = client.service("logs", "Logs_20140328.DescribeLogStreams", &json!({ "logGroupName": "/terraform" }));
    assert_eq!(streams.unwrap()["logStreams"][0]["logStreamName"], "made/by/terraform");
    terraform.destroy(&["changed=true"]);
    assert_eq!(groups(), Vec::<Value>::new());
    server.check(&[]);
}
