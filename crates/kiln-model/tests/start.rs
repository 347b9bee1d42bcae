//! What StartBuild makes of a project (`api.md` 2.5, `integrations.md` 1.5), and what it refuses.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use kiln_model::{
    ApiError, Timestamp,
    arn::Home,
    codebuild::{Build, CreateProjectInput, Project, StartBuildInput},
    decode::from_value,
    effective::{EffectiveBuild, effective},
    project,
    refusal::{Abilities, refused},
};
use serde_json::{Value, json};

const HERE: Abilities = Abilities { arm: false, host_image: true };

fn home() -> Home {
    Home { region: "us-west-2".to_owned(), account: "111122223333".to_owned() }
}

fn merge(base: &mut Value, changes: &Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(base.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes.clone(),
    }
}

fn project(changes: &Value) -> Project {
    let mut input = json!({
        "name": "demo",
        "source": { "type": "S3", "location": "bucket/src.zip", "buildspec": "ci.yml" },
        "sourceVersion": "v1",
        "artifacts": { "type": "S3", "location": "out", "path": "p", "packaging": "ZIP" },
        "environment": {
            "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [
                { "name": "A", "value": "1" }, { "name": "B", "value": "2", "type": "PARAMETER_STORE" }
            ]
        },
        "serviceRole": "demo"
    });
    merge(&mut input, changes);
    let input: CreateProjectInput = from_value(input).unwrap();
    project::create(input, &home(), Timestamp::from_millis(0)).unwrap()
}

fn start(project: &Project, mut input: Value) -> Result<EffectiveBuild, ApiError> {
    input["projectName"] = json!("demo");
    effective(project, from_value::<StartBuildInput>(input).unwrap(), &home())
}

#[test]
fn without_overrides_the_project_holds() {
    let project = project(&json!({ "autoRetryLimit": 2 }));
    let start = start(&project, json!({})).unwrap();
    assert_eq!(start.build.source, project.source);
    assert_eq!(start.build.environment, project.environment);
    assert_eq!(start.artifacts, project.artifacts);
    assert_eq!(start.build.source_version.as_deref(), Some("v1"));
    assert_eq!(start.build.timeout_in_minutes, Some(60));
    assert_eq!(start.build.queued_timeout_in_minutes, Some(480));
    assert_eq!(start.build.encryption_key.as_deref(), Some("arn:aws:kms:us-west-2:111122223333:alias/aws/s3"));
    assert_eq!(start.auto_retry_limit, 2);
    assert_eq!(start.build.debug_session, None);
    assert_eq!(
        serde_json::to_value(&start.build.logs).unwrap(),
        json!({ "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "DISABLED", "encryptionDisabled": false } })
    );
    let text = serde_json::to_string(&start).unwrap();
    assert_eq!(serde_json::from_str::<EffectiveBuild>(&text).unwrap(), start);
}

#[test]
fn what_jenkins_always_sends_overrides_nothing() {
    let project = project(&json!({}));
    let sent = json!({
        "environmentVariablesOverride": [], "buildspecOverride": "", "sourceVersion": "", "sourceLocationOverride": "",
        "certificateOverride": ""
    });
    assert_eq!(start(&project, sent).unwrap(), start(&project, json!({})).unwrap());
    let depth = start(&project, json!({ "gitCloneDepthOverride": 0 })).unwrap();
    assert_eq!(depth.build.source.git_clone_depth, Some(0));
}

#[test]
fn variables_are_merged_by_name() {
    let project = project(&json!({}));
    let start = start(
        &project,
        json!({ "environmentVariablesOverride": [{ "name": "B", "value": "3" }, { "name": "C", "value": "4", "type": "PLAINTEXT" }] }),
    )
    .unwrap();
    assert_eq!(
        serde_json::to_value(&start.build.environment.environment_variables).unwrap(),
        json!([
            { "name": "A", "value": "1", "type": "PLAINTEXT" },
            { "name": "B", "value": "3", "type": "PLAINTEXT" },
            { "name": "C", "value": "4", "type": "PLAINTEXT" }
        ])
    );
}

#[test]
fn single_members_are_replaced() {
    let project = project(&json!({}));
    let start = start(
        &project,
        json!({
            "sourceVersion": "v2", "sourceLocationOverride": "other/src.zip", "buildspecOverride": "version: 0.2\nphases: {}\n",
            "insecureSslOverride": true, "environmentTypeOverride": "ARM_CONTAINER", "imageOverride": "alpine",
            "computeTypeOverride": "BUILD_GENERAL1_LARGE", "privilegedModeOverride": true,
            "imagePullCredentialsTypeOverride": "SERVICE_ROLE", "serviceRoleOverride": "other", "timeoutInMinutesOverride": 5,
            "queuedTimeoutInMinutesOverride": 6, "encryptionKeyOverride": "key", "autoRetryLimitOverride": 1,
            "debugSessionEnabled": true, "cacheOverride": { "type": "S3", "location": "b/c" },
            "logsConfigOverride": { "cloudWatchLogs": { "status": "DISABLED", "groupName": "" } },
            "secondarySourcesOverride": [{ "type": "S3", "location": "b/k.zip", "sourceIdentifier": "one" }],
            "secondarySourcesVersionOverride": [{ "sourceIdentifier": "one", "sourceVersion": "7" }],
            "secondaryArtifactsOverride": [{ "type": "S3", "location": "b", "artifactIdentifier": "two" }]
        }),
    )
    .unwrap();
    let build = serde_json::to_value(&start.build).unwrap();
    assert_eq!(
        build["source"],
        json!({ "type": "S3", "location": "other/src.zip", "buildspec": "version: 0.2\nphases: {}\n", "insecureSsl": true })
    );
    assert_eq!(build["sourceVersion"], "v2");
    let environment = &build["environment"];
    assert_eq!(environment["type"], "ARM_CONTAINER");
    assert_eq!(environment["image"], "alpine");
    assert_eq!(environment["computeType"], "BUILD_GENERAL1_LARGE");
    assert_eq!(environment["privilegedMode"], true);
    assert_eq!(environment["imagePullCredentialsType"], "SERVICE_ROLE");
    assert_eq!(build["serviceRole"], "other");
    assert_eq!((&build["timeoutInMinutes"], &build["queuedTimeoutInMinutes"]), (&json!(5), &json!(6)));
    assert_eq!(build["encryptionKey"], "key");
    assert_eq!(build["debugSession"], json!({ "sessionEnabled": true }));
    assert_eq!(build["cache"], json!({ "type": "S3", "location": "b/c" }));
    assert_eq!(build["logs"]["cloudWatchLogs"], json!({ "status": "DISABLED" }));
    assert_eq!(build["secondarySources"][0]["insecureSsl"], false);
    assert_eq!(build["secondarySourceVersions"][0]["sourceVersion"], "7");
    assert_eq!(start.secondary_artifacts[0].name.as_deref(), Some("demo"));
    assert_eq!(start.auto_retry_limit, 1);
}

#[test]
fn artifacts_are_replaced_whole() {
    let project = project(&json!({}));
    let replaced = start(&project, json!({ "artifactsOverride": { "type": "S3", "location": "other" } })).unwrap();
    assert_eq!(
        serde_json::to_value(&replaced.artifacts).unwrap(),
        json!({
            "type": "S3", "location": "other", "name": "demo", "namespaceType": "NONE", "packaging": "NONE",
            "encryptionDisabled": false
        })
    );
    let none = start(&project, json!({ "artifactsOverride": { "type": "NO_ARTIFACTS" } })).unwrap();
    assert_eq!(serde_json::to_value(&none.artifacts).unwrap(), json!({ "type": "NO_ARTIFACTS" }));
    let wrong =
        start(&project, json!({ "artifactsOverride": { "type": "NO_ARTIFACTS", "location": "x" } })).unwrap_err();
    assert_eq!(wrong.message, "Invalid artifacts: artifact type NO_ARTIFACTS should have null location");
}

#[test]
fn another_source_type_needs_a_fitting_location() {
    let s3 = project(&json!({}));
    let error = |project: &Project, input: Value| start(project, input).unwrap_err().message;
    assert_eq!(error(&s3, json!({ "sourceTypeOverride": "GITHUB" })), "Project source location is required");
    assert!(error(&s3, json!({ "sourceTypeOverride": "NO_SOURCE" })).contains("NO_SOURCE needs a buildspec"));
    let none =
        start(&s3, json!({ "sourceTypeOverride": "NO_SOURCE", "buildspecOverride": "version: 0.2\nphases: {}" }))
            .unwrap();
    assert_eq!(none.build.source.location, None);
    assert_eq!(none.build.source_version, None);
    assert_eq!(
        error(&s3, json!({ "reportBuildStatusOverride": true })),
        "Source type S3 does not support ReportBuildStatus"
    );

    let git = project(&json!({
        "source": {
            "type": "GITHUB", "location": "https://github.com/o/r.git", "reportBuildStatus": true, "auth": { "type": "OAUTH" }
        }
    }));
    let enterprise = start(&git, json!({ "sourceTypeOverride": "GITHUB_ENTERPRISE" })).unwrap();
    assert_eq!(enterprise.build.source.location.as_deref(), Some("https://github.com/o/r.git"));
    assert_eq!(enterprise.build.source_version.as_deref(), Some("v1"));
    let s3_instead = start(&git, json!({ "sourceTypeOverride": "S3", "sourceLocationOverride": "b/k.zip" })).unwrap();
    assert_eq!(s3_instead.build.source_version, None);
    assert_eq!(
        serde_json::to_value(&s3_instead.build.source).unwrap(),
        json!({ "type": "S3", "location": "b/k.zip", "buildspec": "ci.yml", "insecureSsl": false })
    );
}

#[test]
fn projects_of_pipelines_need_both_overrides() {
    let project = project(&json!({
        "source": { "type": "CODEPIPELINE", "location": null },
        "artifacts": { "type": "CODEPIPELINE", "location": null, "path": null }
    }));
    let error = |input: Value| start(&project, input).unwrap_err().message;
    assert_eq!(error(json!({})), "ArtifactsOverride must be set when using artifacts type CodePipelines");
    let artifacts = json!({ "type": "NO_ARTIFACTS" });
    assert_eq!(
        error(json!({ "artifactsOverride": artifacts })),
        "SourceTypeOverride must be set when using source type CodePipeline"
    );
    let both =
        json!({ "artifactsOverride": artifacts, "sourceTypeOverride": "S3", "sourceLocationOverride": "b/k.zip" });
    start(&project, both).unwrap();
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let plain = json!({ "environment": { "environmentVariables": [] } });
    assert_eq!(refused(&start(&project(&plain), json!({})).unwrap(), HERE), None);
    let host = json!({ "environment": { "environmentVariables": [], "image": "host" } });
    assert_eq!(refused(&start(&project(&host), json!({})).unwrap(), HERE), None);
    let arm = json!({ "environment": { "environmentVariables": [], "type": "ARM_CONTAINER" } });
    assert_eq!(refused(&start(&project(&arm), json!({})).unwrap(), Abilities { arm: true, ..HERE }), None);

    for honoured in [
        json!({ "logsConfig": { "s3Logs": { "status": "ENABLED", "location": "bucket/logs" } } }),
        json!({ "source": { "location": "bucket/folder/" } }),
        json!({ "source": { "buildspec": "arn:aws:s3:::bucket/buildspec.yml" } }),
    ] {
        let mut all = plain.clone();
        merge(&mut all, &honoured);
        assert_eq!(refused(&start(&project(&all), json!({})).unwrap(), HERE), None, "{honoured}");
    }

    let vpc = json!({ "vpcId": "vpc-1", "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"] });
    let secret = json!({ "credential": "c", "credentialProvider": "SECRETS_MANAGER" });
    for (changes, field) in [
        (json!({ "vpcConfig": vpc }), "vpcConfig"),
        (json!({ "fileSystemLocations": [{ "type": "EFS", "identifier": "efs" }] }), "fileSystemLocations"),
        (json!({ "environment": { "fleet": { "fleetArn": "arn:…" } } }), "environment.fleet"),
        (json!({ "environment": { "type": "ARM_CONTAINER" } }), "environment.type"),
        (json!({ "environment": { "type": "WINDOWS_CONTAINER" } }), "environment.type"),
        (json!({ "environment": { "computeType": "BUILD_LAMBDA_1GB" } }), "environment.computeType"),
        (
            json!({ "environment": { "dockerServer": { "computeType": "BUILD_GENERAL1_SMALL" } } }),
            "environment.dockerServer",
        ),
        (
            json!({ "environment": { "image": "r/i", "imagePullCredentialsType": "SERVICE_ROLE", "registryCredential": secret } }),
            "environment.registryCredential",
        ),
        (json!({ "environment": { "hostKernel": "LINUX_KERNEL_4" } }), "environment.hostKernel"),
        (json!({ "environment": { "certificate": "bucket/ca.pem" } }), "environment.certificate"),
        (json!({ "source": { "type": "GITHUB", "location": "file:///srv/r.git" } }), "source.location"),
        (json!({ "source": { "type": "GITHUB_ENTERPRISE", "location": "ssh://git@host/r.git" } }), "source.auth"),
        (
            json!({ "source": { "type": "GITLAB", "location": "https://gitlab.com/o/r.git", "auth": { "type": "CODECONNECTIONS", "resource": "arn:aws:codeconnections:us-east-1:000000000000:connection/1" } } }),
            "source.auth",
        ),
        (
            json!({ "source": { "type": "GITHUB", "location": "https://github.com/o/r.git", "auth": { "type": "SECRETS_MANAGER" } } }),
            "source.auth",
        ),
        (json!({ "source": { "location": "bucket" } }), "source.location"),
        (
            json!({ "secondarySources": [{ "type": "CODECOMMIT", "location": "https://…", "sourceIdentifier": "two" }] }),
            "secondarySources.two.location",
        ),
    ] {
        let mut all = plain.clone();
        merge(&mut all, &changes);
        let refusal = refused(&start(&project(&all), json!({})).unwrap(), HERE).unwrap_or_else(|| panic!("{changes}"));
        assert_eq!(refusal.field, field);
        assert!(ApiError::from(refusal).message.contains(field));
    }
    let debug = start(&project(&plain), json!({ "debugSessionEnabled": true })).unwrap();
    assert_eq!(refused(&debug, HERE).unwrap().field, "debugSessionEnabled");
    let public = Abilities { host_image: false, ..HERE };
    assert_eq!(refused(&start(&project(&host), json!({})).unwrap(), public).unwrap().field, "environment.image");
}

/// A finished build as AWS answers it (`buildspec.md` 4.4) comes out as it went in.
#[test]
fn a_finished_build_survives_json() {
    let text = json!({
        "id": "demo:8f0c1111-1111-4222-8333-444455556666",
        "arn": "arn:aws:codebuild:us-west-2:111122223333:build/demo:8f0c1111-1111-4222-8333-444455556666",
        "buildNumber": 7, "startTime": 1_760_000_000.122, "endTime": 1_760_000_074.846, "currentPhase": "COMPLETED",
        "buildStatus": "SUCCEEDED", "buildComplete": true, "projectName": "demo", "sourceVersion": "refs/heads/main",
        "resolvedSourceVersion": "0123456789012345678901234567890123456789",
        "phases": [
            { "phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED", "startTime": 1_760_000_000.122, "endTime": 1_760_000_000.484, "durationInSeconds": 0 },
            { "phaseType": "PROVISIONING", "phaseStatus": "SUCCEEDED", "startTime": 1_760_000_000.775, "endTime": 1_760_000_034.909, "durationInSeconds": 34,
              "contexts": [{ "statusCode": "", "message": "" }] },
            { "phaseType": "BUILD", "phaseStatus": "CLIENT_ERROR", "startTime": 1_760_000_034.909 },
            { "phaseType": "COMPLETED", "startTime": 1_760_000_074.846 }
        ],
        "source": { "type": "GITHUB", "location": "https://github.com/o/r.git", "gitCloneDepth": 1,
            "gitSubmodulesConfig": { "fetchSubmodules": false }, "reportBuildStatus": false, "insecureSsl": false },
        "secondarySources": [], "secondarySourceVersions": [],
        "artifacts": { "location": "arn:aws:s3:::bucket/demo", "md5sum": "", "sha256sum": "", "overrideArtifactName": false, "encryptionDisabled": false },
        "secondaryArtifacts": [], "cache": { "type": "NO_CACHE" },
        "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [], "privilegedMode": false, "imagePullCredentialsType": "CODEBUILD" },
        "serviceRole": "arn:aws:iam::111122223333:role/service-role/demo",
        "logs": { "groupName": "/aws/codebuild/demo", "streamName": "8f0c",
            "deepLink": "https://console.aws.amazon.com/cloudwatch/home?region=us-west-2#logEvent:group=/aws/codebuild/demo;stream=8f0c",
            "cloudWatchLogsArn": "arn:aws:logs:us-west-2:111122223333:log-group:/aws/codebuild/demo:log-stream:8f0c",
            "cloudWatchLogs": { "status": "ENABLED" }, "s3Logs": { "status": "DISABLED", "encryptionDisabled": false } },
        "timeoutInMinutes": 60, "queuedTimeoutInMinutes": 480, "initiator": "alice",
        "encryptionKey": "arn:aws:kms:us-west-2:111122223333:alias/aws/s3"
    });
    let build: Build = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&build).unwrap(), text);
}
