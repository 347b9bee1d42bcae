//! What answers must look like on the wire: the traps of `api.md` 11, and what the Jenkins plugin dies without
//! (`integrations.md` 1.6).

use serde_json::{Value, json};

use crate::{
    client::{Client, accepted, buildspec, id, project},
    server::{Server, not_root, wait_for},
};

/// Every member whose name speaks of a time must be a number: the Go SDK fails on text.
fn times_are_numbers(value: &Value, path: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let time = ["startTime", "endTime", "created", "lastModified"].contains(&name.as_str());
                assert!(!time || member.is_number(), "{path}.{name} is {member}");
                assert!(!member.is_null(), "{path}.{name} is null: absent is what clients expect");
                times_are_numbers(member, &format!("{path}.{name}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| times_are_numbers(item, &format!("{path}[]"))),
        _ => {}
    }
}

/// What holds for the record of any build at any time.
fn build_is_well_formed(build: &Value) {
    times_are_numbers(build, "build");
    for member in ["id", "arn", "projectName", "buildStatus", "currentPhase", "initiator"] {
        assert!(build[member].is_string(), "{member}: {build}");
    }
    assert!(build["startTime"].is_number() && build["buildNumber"].is_i64(), "{build}");
    // Present even when there are none.
    assert!(build["artifacts"].is_object() && build["artifacts"]["location"].is_string(), "{build}");
    assert!(build["logs"]["deepLink"].is_string() && build["logs"]["cloudWatchLogsArn"].is_string(), "{build}");
    assert!(build.get("webhook").is_none() && build.get("badge").is_none(), "{build}");
    let complete = build["buildStatus"] != "IN_PROGRESS";
    assert_eq!(build["buildComplete"], complete, "{build}");
    assert_eq!(build["currentPhase"] == "COMPLETED", complete, "{build}");
    assert_eq!(build["endTime"].is_number(), complete, "{build}");
    let phases = build["phases"].as_array().unwrap();
    assert_eq!(build["currentPhase"], phases.last().unwrap()["phaseType"], "{build}");
    let mut last = 0.0;
    for phase in phases {
        let (kind, status) = (phase["phaseType"].as_str().unwrap(), phase["phaseStatus"].as_str());
        let (start, end) = (phase["startTime"].as_f64().unwrap(), phase["endTime"].as_f64());
        assert!(start >= last && end.unwrap_or(start) >= start, "{phase} in {build}");
        last = start;
        match kind {
            "COMPLETED" => assert_eq!((status, end, phase.get("contexts")), (None, None, None), "{phase}"),
            // No contexts at these two.
            "SUBMITTED" | "QUEUED" if status == Some("SUCCEEDED") => {
                assert!(phase.get("contexts").is_none(), "{phase}");
            }
            _ => match status {
                None => assert!(end.is_none(), "{phase}"),
                Some("SUCCEEDED") => {
                    assert_eq!(phase["contexts"], json!([{ "statusCode": "", "message": "" }]), "{phase}");
                }
                Some("FAILED" | "FAULT" | "CLIENT_ERROR") => {
                    let contexts = phase["contexts"].as_array().unwrap_or_else(|| panic!("no contexts in {phase}"));
                    assert!(contexts.iter().all(|c| c["message"].is_string()), "{phase}");
                }
                Some(_) => {}
            },
        }
        if let Some(end) = end {
            let seconds = phase["durationInSeconds"].as_i64().unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "seconds of a test")]
            let floor = (end - start).floor() as i64;
            assert!((seconds - floor).abs() <= 1, "{phase}");
        }
    }
}

fn started(client: &Client, input: &Value) -> (kiln_check::Accepted, Value) {
    let build = client.retried("StartBuild", input)["build"].take();
    build_is_well_formed(&build);
    (accepted(&build), build)
}

#[test]
fn records_hold_what_clients_rely_on() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let made = client.project("contract", &["echo one", "cat wait 2>/dev/null || true", "exit $STATUS"]);
    times_are_numbers(&made, "project");

    // Right after StartBuild: queued, and nothing of a log yet.
    let (good, first) = started(
        &client,
        &json!({ "projectName": "contract", "environmentVariablesOverride": [
        { "name": "STATUS", "value": "0" } ] }),
    );
    assert_eq!((&first["currentPhase"], &first["buildStatus"]), (&json!("QUEUED"), &json!("IN_PROGRESS")));
    let phases: Vec<_> = first["phases"].as_array().unwrap().iter().map(|p| p["phaseType"].as_str().unwrap()).collect();
    assert_eq!(phases, ["SUBMITTED", "QUEUED"], "{first}");
    assert!(first["logs"].get("groupName").is_none(), "{first}");
    assert!(
        first["logs"]["cloudWatchLogsArn"].as_str().unwrap().ends_with("log-group:null:log-stream:null"),
        "{first}"
    );
    // While it goes on: well formed at every look.
    let ended = wait_for("the end", || {
        let found = client.retried("BatchGetBuilds", &json!({ "ids": [id(&good)] }));
        assert_eq!(found["builds"].as_array().map(Vec::len), Some(1), "{found}");
        build_is_well_formed(&found["builds"][0]);
        (found["builds"][0]["currentPhase"] == "COMPLETED").then(|| found["builds"][0].clone())
    });
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    assert_eq!(ended["artifacts"]["location"], "", "{ended}");
    assert_eq!(ended["logs"]["groupName"], "/aws/codebuild/contract");
    assert_eq!(ended["logs"]["streamName"], good.uuid);
    assert_eq!(ended["timeoutInMinutes"], 60);
    assert_eq!(ended["queuedTimeoutInMinutes"], 480, "not 60 (api.md 11.6)");
    assert_eq!(
        ended["environment"]["environmentVariables"],
        json!([{ "name": "STATUS", "value": "0", "type": "PLAINTEXT" }])
    );

    // A failure carries its reason.
    let (bad, _) = started(
        &client,
        &json!({ "projectName": "contract", "environmentVariablesOverride": [
        { "name": "STATUS", "value": "9" } ] }),
    );
    let ended = client.finished(&bad);
    build_is_well_formed(&ended);
    assert_eq!(ended["buildStatus"], "FAILED");
    // A buildspec that is none.
    let (broken, _) =
        started(&client, &json!({ "projectName": "contract", "buildspecOverride": "version: 0.2\nphases: 7\n" }));
    let ended = client.finished(&broken);
    build_is_well_formed(&ended);
    let download = ended["phases"].as_array().unwrap().iter().find(|p| p["phaseType"] == "DOWNLOAD_SOURCE").unwrap();
    assert_eq!(
        (&download["phaseStatus"], &download["contexts"][0]["statusCode"]),
        (&json!("FAILED"), &json!("YAML_FILE_ERROR"))
    );

    // ARNs, though ids were sent (api.md 11.4).
    let gone = client.retried("BatchDeleteBuilds", &json!({ "ids": [id(&bad)] }));
    assert_eq!(gone["buildsDeleted"], json!([format!("arn:aws:codebuild:us-east-1:000000000000:build/{}", id(&bad))]));
    // A number is never given twice.
    let (next, _) = started(&client, &json!({ "projectName": "contract", "buildspecOverride": buildspec(&["true"]) }));
    assert_eq!(next.number, broken.number + 1);
    client.finished(&next);
    client.retried("DeleteProject", &json!({ "name": "contract" }));
    client.retried("CreateProject", &project("contract", &buildspec(&["true"])));
    let later = client.start_build("contract");
    assert_eq!(later.number, next.number + 1, "also not after the project was deleted and made again");
    client.finished(&later);
    server.check(&[good, broken, next, later]);
}

#[test]
fn projects_are_cleared_as_terraform_expects() {
    let mut server = Server::start();
    let client = server.client();
    let mut input = project("cleared", &buildspec(&["true"]));
    let extra = json!({
        "tags": [{ "key": "a", "value": "b" }], "description": "x", "concurrentBuildLimit": 2,
        "vpcConfig": { "vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"] },
        "buildBatchConfig": { "serviceRole": "arn:aws:iam::000000000000:role/kiln", "timeoutInMins": 60 },
        "logsConfig": { "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "DISABLED" } },
        // Sent by Terraform always, and no error.
        "artifacts": { "type": "NO_ARTIFACTS", "overrideArtifactName": false },
    });
    for (name, value) in extra.as_object().unwrap() {
        input[name] = value.clone();
    }
    let made = client.retried("CreateProject", &input)["project"].take();
    for (name, value) in extra.as_object().unwrap().iter().filter(|(name, _)| *name != "artifacts") {
        let got = &made[name];
        let same = got == value || value.as_object().is_some_and(|v| v.iter().all(|(n, v)| got[n] == *v));
        assert!(same, "{name} is {got}");
    }
    assert_eq!(made["badge"], json!({ "badgeEnabled": false }), "nested in answers (api.md 11.5)");

    let update = |change: Value| {
        let mut input = json!({ "name": "cleared", "tags": [{ "key": "a", "value": "b" }] });
        for (name, value) in change.as_object().unwrap() {
            input[name] = value.clone();
        }
        client.retried("UpdateProject", &input)["project"].take()
    };
    let after =
        update(json!({ "vpcConfig": {}, "buildBatchConfig": {}, "concurrentBuildLimit": -1, "description": "" }));
    for gone in ["buildBatchConfig", "concurrentBuildLimit"] {
        assert!(after.get(gone).is_none(), "{gone}: {after}");
    }
    assert!(after["vpcConfig"].get("vpcId").is_none(), "{after}");
    assert!(after["description"].as_str().is_none_or(str::is_empty), "{after}");
    assert_eq!(after["tags"], extra["tags"], "those that were sent");
    assert_eq!(after["source"], made["source"], "what was not sent stays");
    let after = client.retried("UpdateProject", &json!({ "name": "cleared" }))["project"].take();
    assert_eq!(after["tags"], json!([]), "no tags sent: no tags left (api.md 11.2)");

    let arn = made["arn"].as_str().unwrap();
    let (code, message) = client.refused("CreateProject", &input);
    assert_eq!((code.as_str(), message), ("ResourceAlreadyExistsException", format!("Project already exists: {arn}")));
    // What Kiln does not have says so, with an error that clients know.
    for (operation, input) in [("StartBuildBatch", json!({ "projectName": "cleared" })), ("ListFleets", json!({}))] {
        assert_eq!(client.refused(operation, &input).0, "InvalidInputException", "{operation}");
    }
    assert_eq!(client.refused("MakeCoffee", &json!({})).0, "UnknownOperationException");
    for _ in 0..2 {
        client.retried("DeleteProject", &json!({ "name": arn }));
    }
    server.check(&[]);
}
