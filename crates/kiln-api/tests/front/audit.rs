//! What is kept of requests: of each, whatever became of it, and of none what is secret.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::{
    client::{ALICE, Message, NOW, ROOT, secret_of},
    world::World,
};

fn start(project: &str) -> Message {
    Message::call("StartBuild", format!(r#"{{"projectName":"{project}"}}"#))
}

fn s3(method: &'static str, target: &str, body: &str) -> Message {
    let mut message = Message::get(target).by(ROOT);
    (message.service, message.method, message.body) = ("s3", method, body.as_bytes().to_vec());
    message
}

#[tokio::test]
async fn a_change_is_on_the_disk_before_its_answer_and_a_read_is_not_waited_for() {
    let world = World::start().await;
    assert_eq!(world.ask(start("demo")).await.status, 200);
    let kept = world.trail.one();
    assert!(kept.is_recorded && !kept.is_read_only, "{kept:?}");
    assert_eq!((kept.service.as_str(), kept.operation.as_str(), kept.error.as_str()), ("codebuild", "StartBuild", ""));
    assert_eq!((kept.arn.as_str(), kept.access_key_id.as_str()), ("arn:aws:iam::000000000000:root", ROOT));
    assert_eq!(kept.resources, ["arn:aws:codebuild:us-east-1:000000000000:project/demo"]);
    assert_eq!(kept.parameters, json!({ "projectName": "demo" }));
    assert_eq!(kept.allowed, [true]);
    world.is_well().await;
    let kept = world.trail.one();
    assert!(!kept.is_recorded && kept.is_read_only, "{kept:?}");
    // A change that did not come about is no change.
    world.ask(start("missing")).await.refused("ResourceNotFoundException", "Project");
    let kept = world.trail.one();
    assert_eq!((kept.is_recorded, kept.is_read_only, kept.error.as_str()), (false, false, "ResourceNotFoundException"));
    // Credentials are given out.
    let assume = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=sess";
    assert_eq!(world.ask(Message::form(assume)).await.status, 200);
    let kept = world.trail.one();
    assert_eq!((kept.is_recorded, kept.operation.as_str()), (true, "AssumeRole"));
    assert_eq!(kept.parameters["RoleSessionName"], "sess");
}

#[tokio::test]
async fn every_refusal_is_kept() {
    let world = World::start().await;
    let list = || Message::call("ListProjects", "{}");
    let mut wrong = list();
    wrong.secret = secret_of(ALICE);
    let mut late = list();
    late.at = NOW - 16 * 60;
    let mut foreign = list();
    foreign.service = "dynamodb";
    foreign.set("X-Amz-Target", "DynamoDB_20120810.PutItem");
    for (message, code, arn) in [
        (list(), "MissingAuthenticationTokenException", ""),
        (list().by("AKIDNOBODY").signed(), "UnrecognizedClientException", ""),
        (wrong.signed(), "InvalidSignatureException", ""),
        (late.signed(), "InvalidSignatureException", ""),
        (list().by(ALICE).signed(), "AccessDeniedException", "arn:aws:iam::000000000000:user/alice"),
        (Message::call("NoSuchThing", "{}").signed(), "UnknownOperationException", "arn:aws:iam::000000000000:root"),
        (Message::call("StartBuild", "{").signed(), "SerializationException", "arn:aws:iam::000000000000:root"),
        (foreign.signed(), "UnknownOperationException", ""),
        (list().with("Host", "evil.example").signed(), "AccessDeniedException", ""),
    ] {
        let reply = world.send(&message).await;
        assert!(reply.status >= 400, "{reply:?}");
        let kept = world.trail.one();
        assert_eq!((kept.error.as_str(), kept.arn.as_str()), (code, arn), "{kept:?}");
        assert!(!kept.is_recorded, "nobody makes the disk work without a key: {kept:?}");
    }
    world.ask(list().by(ALICE)).await.refused("AccessDeniedException", "not authorized");
    assert_eq!(world.trail.one().allowed, [false]);
}

#[tokio::test]
async fn objects_and_their_refusals_are_kept() {
    let world = World::start().await;
    assert_eq!(world.ask(s3("PUT", "/bucket", "")).await.status, 200);
    let kept = world.trail.one();
    assert_eq!((kept.operation.as_str(), kept.is_recorded), ("CreateBucket", true));
    let mut put = s3("PUT", "/bucket/a%20b+c", "content");
    put.set("x-amz-server-side-encryption-customer-key", "Y2FuYXJ5");
    world.ask(put).await;
    let kept = world.trail.one();
    assert_eq!((kept.service.as_str(), kept.operation.as_str()), ("s3", "PutObject"));
    assert_eq!((&kept.parameters["bucketName"], &kept.parameters["key"]), (&json!("bucket"), &json!("a b+c")));
    assert!(!kept.parameters.to_string().contains("Y2FuYXJ5"), "{kept:?}");
    assert_eq!(world.ask(s3("GET", "/bucket/missing?versionId=1", "")).await.status, 404);
    let kept = world.trail.one();
    assert!(kept.is_read_only && kept.error.starts_with("NoSuch"), "{kept:?}");
    assert_eq!(kept.parameters["versionId"], "1");
    world.ask(s3("GET", "/bucket/k", "").by(ALICE)).await;
    let kept = world.trail.one();
    assert_eq!((kept.error.as_str(), kept.allowed.as_slice()), ("AccessDenied", [false].as_slice()));
    assert_eq!(kept.resources, ["arn:aws:s3:::bucket/k"]);
    // Nobody: neither key nor name.
    world.send(&Message::get("/bucket/k")).await;
    let kept = world.trail.one();
    assert_eq!((kept.error.as_str(), kept.arn.as_str(), kept.is_recorded), ("AccessDenied", "", false));
}

#[tokio::test]
async fn nothing_changes_while_nothing_can_be_kept() {
    let world = World::start().await;
    world.trail.is_full.store(true, Ordering::Relaxed);
    let reply = world.ask(start("demo")).await;
    assert!(reply.text().contains("the audit log is full"), "{reply:?}");
    assert!(world.service.calls().is_empty(), "it was not called");
    assert_eq!(world.ask(s3("PUT", "/bucket", "")).await.status, 503);
    world.is_well().await;
    world.trail.is_full.store(false, Ordering::Relaxed);
    // It was done, and nothing could be kept: nobody may take it for done.
    world.trail.is_failing.store(true, Ordering::Relaxed);
    let reply = world.ask(start("demo")).await;
    assert!(reply.status >= 400 && reply.text().contains("the audit log is full"), "{reply:?}");
    world.is_well().await;
}

#[tokio::test]
async fn a_call_that_panicked_is_kept_and_pages_are_not() {
    let world = World::start().await;
    world.ask(start("panic")).await.refused("InternalFailure", "");
    let kept = world.trail.one();
    assert_eq!((kept.operation.as_str(), kept.error.as_str()), ("StartBuild", "InternalFailure"));
    assert_eq!(world.send(&Message::get("/-/health")).await.status, 200);
    assert!(world.trail.take().is_empty());
}

#[tokio::test]
async fn no_secret_is_kept() {
    let world = World::start().await;
    let canary = "Y2FuYXJ5Y2FuYXJ5";
    for message in [
        Message::call("Encrypt", format!(r#"{{"KeyId":"x","Plaintext":"{canary}"}}"#)),
        Message::call(
            "ImportSourceCredentials",
            format!(r#"{{"token":"{canary}","serverType":"GITHUB","authType":"PERSONAL_ACCESS_TOKEN"}}"#),
        ),
        Message::call(
            "StartBuild",
            format!(
                r#"{{"projectName":"demo","environmentVariablesOverride":[{{"name":"PASSWORD","value":"{canary}"}}]}}"#
            ),
        ),
    ] {
        assert_eq!(world.ask(message).await.status, 200);
        let kept = world.trail.one();
        assert!(!format!("{kept:?}").contains(canary), "{kept:?}");
        assert!(kept.parameters.to_string().contains("HIDDEN_DUE_TO_SECURITY_REASONS"), "{kept:?}");
    }
}
