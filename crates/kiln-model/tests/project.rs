//! Projects as clients send them and get them back (`api.md` 2.4): defaults, clearing, rules.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use kiln_model::{
    ApiError, Timestamp,
    arn::Home,
    codebuild::{CreateProjectInput, Project, UpdateProjectInput},
    decode::from_value,
    project,
};
use serde_json::{Value, json};

fn home() -> Home {
    Home { region: "us-west-2".to_owned(), account: "111122223333".to_owned() }
}

fn input() -> Value {
    json!({
        "name": "demo",
        "source": { "type": "S3", "location": "bucket/src.zip" },
        "artifacts": { "type": "S3", "location": "out" },
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{ "name": "A", "value": "1" }]
        },
        "serviceRole": "arn:aws:iam::111122223333:role/service-role/demo"
    })
}

/// The input with some members replaced; a null removes one.
fn with(changes: &Value) -> Value {
    let mut input = input();
    for (name, value) in changes.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

fn create(input: Value) -> Result<Project, ApiError> {
    project::create(
        from_value::<CreateProjectInput>(input).unwrap(),
        &home(),
        Timestamp::from_millis(1_760_000_000_122),
    )
}

fn refused(changes: &Value) -> String {
    create(with(changes)).unwrap_err().message
}

fn update(project: &Project, mut changes: Value) -> Result<Project, ApiError> {
    changes["name"] = json!("demo");
    let input = from_value::<UpdateProjectInput>(changes).unwrap();
    project::update(project, input, &home(), Timestamp::from_millis(1_760_000_001_000))
}

#[test]
fn defaults_are_written_into_the_project() {
    let project = create(input()).unwrap();
    assert_eq!(
        serde_json::to_value(&project).unwrap(),
        json!({
            "name": "demo",
            "arn": "arn:aws:codebuild:us-west-2:111122223333:project/demo",
            "source": { "type": "S3", "location": "bucket/src.zip", "insecureSsl": false },
            "secondarySources": [],
            "secondarySourceVersions": [],
            "artifacts": {
                "type": "S3", "location": "out", "name": "demo", "namespaceType": "NONE", "packaging": "NONE",
                "encryptionDisabled": false
            },
            "secondaryArtifacts": [],
            "cache": { "type": "NO_CACHE" },
            "environment": {
                "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [{ "name": "A", "value": "1", "type": "PLAINTEXT" }],
                "privilegedMode": false, "imagePullCredentialsType": "CODEBUILD"
            },
            "serviceRole": "arn:aws:iam::111122223333:role/service-role/demo",
            "timeoutInMinutes": 60,
            "queuedTimeoutInMinutes": 480,
            "encryptionKey": "arn:aws:kms:us-west-2:111122223333:alias/aws/s3",
            "tags": [],
            "created": 1_760_000_000.122,
            "lastModified": 1_760_000_000.122,
            "badge": { "badgeEnabled": false },
            "projectVisibility": "PRIVATE"
        })
    );
}

#[test]
fn defaults_follow_the_types() {
    let project = create(with(&json!({
        "source": { "type": "GITHUB", "location": "https://github.com/o/r.git", "gitCloneDepth": 1 },
        "artifacts": { "type": "NO_ARTIFACTS", "overrideArtifactName": false, "encryptionDisabled": false, "packaging": "NONE" },
        "cache": { "type": "NO_CACHE", "location": "" }
    })))
    .unwrap();
    let project = serde_json::to_value(&project).unwrap();
    assert_eq!(project["artifacts"], json!({ "type": "NO_ARTIFACTS", "overrideArtifactName": false }));
    assert_eq!(project["source"]["reportBuildStatus"], json!(false));
    assert_eq!(project["cache"], json!({ "type": "NO_CACHE" }));
    let pipeline = create(with(&json!({
        "source": { "type": "CODEPIPELINE" }, "artifacts": { "type": "CODEPIPELINE" }
    })))
    .unwrap();
    assert_eq!(
        serde_json::to_value(&pipeline.artifacts).unwrap(),
        json!({ "type": "CODEPIPELINE", "name": "demo", "packaging": "NONE", "encryptionDisabled": false })
    );
}

#[test]
fn the_project_survives_json() {
    let project = create(with(&json!({
        "description": "d", "sourceVersion": "v", "tags": [{ "key": "k", "value": "ü" }],
        "vpcConfig": { "vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"] },
        "logsConfig": { "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "DISABLED" } },
        "buildBatchConfig": { "serviceRole": "batch", "restrictions": { "maximumBuildsAllowed": 100 } },
        "concurrentBuildLimit": 2, "autoRetryLimit": 0, "badgeEnabled": true
    })))
    .unwrap();
    let text = serde_json::to_string(&project).unwrap();
    assert_eq!(serde_json::from_str::<Project>(&text).unwrap(), project);
}

#[test]
fn absent_members_leave_things_as_they_are_but_tags() {
    let full = create(with(&json!({
        "description": "d", "sourceVersion": "v", "tags": [{ "key": "k", "value": "v" }], "concurrentBuildLimit": 2,
        "badgeEnabled": true, "autoRetryLimit": 3, "timeoutInMinutes": 5
    })))
    .unwrap();
    let mut expected = full.clone();
    expected.tags.clear();
    expected.last_modified = Timestamp::from_millis(1_760_000_001_000);
    assert_eq!(update(&full, json!({})).unwrap(), expected);
    let tagged = update(&full, json!({ "tags": [{ "key": "k", "value": "v" }] })).unwrap();
    assert_eq!(tagged.tags, full.tags);
}

#[test]
fn present_members_replace_whole() {
    let project = create(input()).unwrap();
    let changed = update(
        &project,
        json!({
            "environment": { "type": "LINUX_CONTAINER", "image": "2", "computeType": "BUILD_GENERAL1_LARGE" },
            "artifacts": { "type": "S3", "location": "other", "packaging": "ZIP" }
        }),
    )
    .unwrap();
    assert!(changed.environment.environment_variables.is_empty());
    assert_eq!(changed.environment.privileged_mode, Some(false));
    assert_eq!(changed.artifacts.name.as_deref(), Some("demo"));
    assert_eq!(changed.created, project.created);
}

#[test]
fn empty_members_clear() {
    let full = create(with(&json!({
        "description": "d", "sourceVersion": "v", "concurrentBuildLimit": 2, "badgeEnabled": true,
        "vpcConfig": { "vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"] },
        "buildBatchConfig": { "serviceRole": "batch", "timeoutInMins": 60 },
        "secondarySources": [{ "type": "S3", "location": "b/k.zip", "sourceIdentifier": "one" }],
        "secondarySourceVersions": [{ "sourceIdentifier": "one", "sourceVersion": "1" }],
        "secondaryArtifacts": [{ "type": "S3", "location": "b", "artifactIdentifier": "two" }],
        "fileSystemLocations": [{ "type": "EFS", "location": "h:/d", "mountPoint": "/m", "identifier": "efs" }],
        "cache": { "type": "S3", "location": "b/cache" }
    })))
    .unwrap();
    let cleared = update(
        &full,
        json!({
            "description": "", "sourceVersion": "", "concurrentBuildLimit": -1, "vpcConfig": {}, "buildBatchConfig": {},
            "secondarySources": [], "secondarySourceVersions": [], "secondaryArtifacts": [], "fileSystemLocations": [],
            "cache": { "type": "NO_CACHE" }, "badgeEnabled": false
        }),
    )
    .unwrap();
    let mut plain = create(input()).unwrap();
    plain.last_modified = cleared.last_modified;
    assert_eq!(cleared, plain);
}

#[test]
fn a_badge_keeps_its_address_while_it_is_on() {
    let mut project = create(with(&json!({ "badgeEnabled": true }))).unwrap();
    project.badge.badge_request_url = Some("http://127.0.0.1:5456/badges?uuid=x&branch=main".to_owned());
    assert_eq!(update(&project, json!({})).unwrap().badge, project.badge);
    assert_eq!(update(&project, json!({ "badgeEnabled": true })).unwrap().badge, project.badge);
    assert_eq!(update(&project, json!({ "badgeEnabled": false })).unwrap().badge.badge_request_url, None);
}

#[test]
fn broken_rules_have_the_texts_that_clients_know() {
    for (changes, text) in [
        (
            json!({ "serviceRole": "arn:aws:iam::999999999999:role/x" }),
            "Invalid service role: Service role account ID does not match caller's account",
        ),
        (json!({ "serviceRole": "arn:aws:s3:::bucket" }), "Invalid service role"),
        (json!({ "serviceRole": "a b" }), "Invalid service role"),
        (
            json!({ "source": { "type": "CODEPIPELINE" } }),
            "Invalid input: when using CodePipeline both sourceType, and artifactType must be set to: CODEPIPELINE",
        ),
        (
            json!({ "artifacts": { "type": "CODEPIPELINE" } }),
            "Invalid input: when using CodePipeline both sourceType, and artifactType must be set to: CODEPIPELINE",
        ),
        (
            json!({ "secondarySources": [{ "type": "CODEPIPELINE", "sourceIdentifier": "a" }] }),
            "Invalid input: sourceType CODEPIPELINE is not allowed for secondarySources",
        ),
        (
            json!({ "secondaryArtifacts": [{ "type": "CODEPIPELINE", "artifactIdentifier": "a" }] }),
            "Invalid input: artifactType CODEPIPELINE is not allowed for secondaryArtifacts",
        ),
        (
            json!({ "artifacts": { "type": "NO_ARTIFACTS", "location": "b" } }),
            "Invalid artifacts: artifact type NO_ARTIFACTS should have null location",
        ),
        (
            json!({ "artifacts": { "type": "NO_ARTIFACTS", "encryptionDisabled": true } }),
            "Invalid artifacts: artifact type NO_ARTIFACTS should have null encryptionDisabled",
        ),
        (
            json!({ "artifacts": { "type": "NO_ARTIFACTS", "name": "n" } }),
            "Invalid artifacts: artifact type NO_ARTIFACTS should have null output name",
        ),
        (json!({ "source": { "type": "S3" } }), "Project source location is required"),
        (json!({ "source": { "type": "GITHUB", "location": "" } }), "Project source location is required"),
        (
            json!({ "source": { "type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {}", "reportBuildStatus": true } }),
            "Source type NO_SOURCE does not support ReportBuildStatus",
        ),
        (
            json!({ "secondarySources": [{ "type": "S3", "location": "b/k", "sourceIdentifier": "a-b" }] }),
            "Invalid input: identifier must contain only alphanumeric characters and underscores and be less than 128 characters in length",
        ),
    ] {
        assert_eq!(refused(&changes), text, "{changes}");
    }
}

#[test]
fn broken_rules_without_a_known_text_say_what_is_wrong() {
    let long = "a".repeat(128);
    for (changes, part) in [
        (json!({ "artifacts": { "type": "S3" } }), "artifact type S3 should have a location"),
        (json!({ "artifacts": { "type": "S3", "location": "bucket/path" } }), "not the name of a bucket"),
        (json!({ "source": { "type": "NO_SOURCE" } }), "NO_SOURCE needs a buildspec"),
        (
            json!({ "source": { "type": "GITHUB", "location": "https://o:token@github.com/o/r.git" } }),
            "Invalid source location: a URL must not contain a password",
        ),
        (json!({ "source": { "type": "NO_SOURCE", "buildspec": "ci.yml" } }), "NO_SOURCE needs a buildspec"),
        (
            json!({ "source": { "type": "NO_SOURCE", "buildspec": "{}", "location": "x" } }),
            "NO_SOURCE should have null location",
        ),
        (
            json!({ "source": { "type": "NO_SOURCE", "buildspec": "{}" }, "sourceVersion": "v" }),
            "NO_SOURCE should have null sourceVersion",
        ),
        (
            json!({ "secondarySources": [{ "type": "S3", "location": "b/k" }] }),
            "each of secondarySources needs a sourceIdentifier",
        ),
        (
            json!({ "secondarySources": [{ "type": "S3", "location": "b/k", "sourceIdentifier": long }] }),
            "less than 128",
        ),
        (
            json!({ "secondaryArtifacts": [
                { "type": "S3", "location": "b", "artifactIdentifier": "a" }, { "type": "S3", "location": "b", "artifactIdentifier": "a" }
            ] }),
            "artifactIdentifier 'a' stands twice in secondaryArtifacts",
        ),
        (
            json!({ "secondarySourceVersions": [{ "sourceIdentifier": "", "sourceVersion": "v" }] }),
            "identifier must contain",
        ),
        (json!({ "cache": { "type": "S3" } }), "cache type S3 should have a location"),
        (json!({ "cache": { "type": "LOCAL" } }), "at least one mode"),
        (json!({ "vpcConfig": { "vpcId": "vpc-1" } }), "at least one subnet"),
        (json!({ "logsConfig": { "s3Logs": { "status": "ENABLED" } } }), "s3Logs should have a location"),
        (json!({ "concurrentBuildLimit": 0 }), "concurrentBuildLimit should be at least 1"),
        (json!({ "autoRetryLimit": -1 }), "autoRetryLimit should be at least 0"),
        (
            json!({ "buildBatchConfig": { "restrictions": { "maximumBuildsAllowed": 101 } } }),
            "maximumBuildsAllowed should be 1 to 100",
        ),
        (json!({ "buildBatchConfig": { "timeoutInMins": 4 } }), "timeoutInMins should be 5 to 2160"),
    ] {
        assert!(refused(&changes).contains(part), "{changes}: {}", refused(&changes));
    }
}

#[test]
fn environments_are_checked() {
    for (changes, part) in [
        (
            json!({ "imagePullCredentialsType": "SERVICE_ROLE" }),
            "curated images need imagePullCredentialsType CODEBUILD",
        ),
        (
            json!({ "image": "r/i", "registryCredential": { "credential": "c", "credentialProvider": "SECRETS_MANAGER" } }),
            "registryCredential needs imagePullCredentialsType SERVICE_ROLE",
        ),
        (json!({ "computeConfiguration": { "vCpu": 2 } }), "computeConfiguration is for ATTRIBUTE_BASED_COMPUTE"),
        (json!({ "certificate": "bucket" }), "certificate should be bucket/key"),
        (json!({ "environmentVariables": [{ "name": "A=B", "value": "" }] }), "cannot contain '=' or NUL"),
        (json!({ "environmentVariables": [{ "name": "A", "value": "\u{0}" }] }), "cannot contain NUL"),
    ] {
        let mut environment = input()["environment"].clone();
        for (name, value) in changes.as_object().unwrap() {
            environment[name] = value.clone();
        }
        let message = refused(&json!({ "environment": environment }));
        assert!(message.contains(part), "{changes}: {message}");
    }
}

#[test]
fn what_clients_send_is_accepted() {
    for changes in [
        // Terraform's acceptance tests.
        json!({ "environment": { "type": "LINUX_CONTAINER", "image": "2", "computeType": "BUILD_GENERAL1_SMALL", "certificate": "b/certificate.pem" } }),
        json!({ "cache": { "type": "LOCAL", "modes": ["LOCAL_DOCKER_LAYER_CACHE"] } }),
        json!({ "source": { "type": "S3", "location": "b/k.zip", "buildspec": "", "gitCloneDepth": 0, "insecureSsl": false } }),
        json!({ "concurrentBuildLimit": -1, "vpcConfig": {}, "buildBatchConfig": {}, "description": "", "sourceVersion": "" }),
        // A role by its name, as older clients send it.
        json!({ "serviceRole": "service-role/demo" }),
        // A variable of Kiln's own namespace that users are told to set.
        json!({ "environment": { "type": "LINUX_CONTAINER", "image": "2", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{ "name": "CODEBUILD_CONFIG_AUTO_DISCOVER", "value": "true" }] } }),
        json!({ "environment": { "type": "WINDOWS_SERVER_2022_CONTAINER", "image": "i", "computeType": "BUILD_LAMBDA_1GB",
            "fleet": { "fleetArn": "arn:aws:codebuild:us-west-2:111122223333:fleet/f:1" } } }),
    ] {
        create(with(&changes)).unwrap_or_else(|error| panic!("{changes}: {error}"));
    }
}
