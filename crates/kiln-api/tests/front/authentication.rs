//! Who may call, and what those read who may not.

use std::sync::atomic::Ordering;

use crate::{
    client::{ALICE, Message, NOW, SESSION, TOKEN},
    world::World,
};

fn list() -> Message {
    Message::call("ListProjects", "{}")
}

#[tokio::test]
async fn a_signed_call_is_answered() {
    let world = World::start().await;
    let reply = world.ask(list()).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"projects":[]}"#));
    assert_eq!(reply.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(reply.header("date"), "Thu, 26 Nov 2026 12:00:00 GMT");
    assert_eq!(reply.header("x-amzn-requestid").len(), 36);
    assert_eq!(reply.find("access-control-allow-origin"), None);
    assert_eq!(world.service.calls(), ["ListProjects"]);
}

#[tokio::test]
async fn every_way_to_fail_has_its_code() {
    let world = World::start().await;
    let mut refused: Vec<(Message, &str, &str)> = Vec::new();
    let mut expect = |message: Message, code, text| refused.push((message, code, text));

    expect(list(), "MissingAuthenticationTokenException", "Missing Authentication Token");
    expect(list().by("AKIDNOBODY").signed(), "UnrecognizedClientException", "security token");
    let mut wrong = list();
    wrong.secret = crate::client::secret_of(ALICE);
    expect(wrong.signed(), "InvalidSignatureException", "does not match the signature you provided");
    let mut early = list();
    early.at = NOW + 15 * 60 + 1;
    expect(early.signed(), "InvalidSignatureException", "Signature not yet current");
    let mut late = list();
    late.at = NOW - 15 * 60 - 1;
    expect(late.signed(), "InvalidSignatureException", "Signature expired: 20261126T114459Z is now earlier");
    let mut elsewhere = list();
    elsewhere.region = "eu-west-1";
    expect(elsewhere.signed(), "InvalidSignatureException", "valid region, not 'eu-west-1'");
    let mut other = list();
    other.service = "logs";
    expect(other.signed(), "InvalidSignatureException", "correct service: 'codebuild'");
    expect(
        list().by(ALICE).signed(),
        "AccessDeniedException",
        "user/alice is not authorized to perform: codebuild:ListProjects",
    );

    let mut token = list().by(SESSION);
    expect(token.clone().signed(), "UnrecognizedClientException", "security token");
    token.token = Some("another");
    expect(token.signed(), "UnrecognizedClientException", "security token");
    let mut unneeded = list();
    unneeded.token = Some(TOKEN);
    expect(unneeded.signed(), "UnrecognizedClientException", "security token");

    let mut tampered = list().signed();
    tampered.body = b"[]".to_vec();
    expect(tampered, "InvalidSignatureException", "x-amz-content-sha256");
    let retargeted = list().signed().with("X-Amz-Target", "CodeBuild_20161006.DeleteProject");
    expect(retargeted, "InvalidSignatureException", "does not match");
    let mut untargeted = list();
    untargeted.remove("X-Amz-Target");
    let untargeted = untargeted.signed().with("X-Amz-Target", "CodeBuild_20161006.ListProjects");
    expect(untargeted, "InvalidSignatureException", "'x-amz-target' must be a 'SignedHeader'");
    let mut twice = list().signed();
    let (name, value) = twice.headers.iter().find(|(name, _)| name == "authorization").unwrap().clone();
    twice.headers.push((name, value));
    expect(twice, "IncompleteSignatureException", "exactly once");
    let mut both = list();
    both.target = "/?X-Amz-Expires=60".to_owned();
    expect(both.signed(), "IncompleteSignatureException", "Only one form");
    expect(list().with("Authorization", "AWS AKID:x"), "IncompleteSignatureException", "Please use AWS4-HMAC-SHA256");
    expect(list().with("Authorization", "Basic eDp5"), "IncompleteSignatureException", "Please use AWS4-HMAC-SHA256");
    expect(list().with("Authorization", "AWS4-HMAC-SHA256 Credential="), "IncompleteSignatureException", "'Signature'");

    for (message, code, text) in refused {
        world.send(&message).await.refused(code, text);
    }
    assert!(world.service.calls().is_empty(), "nothing reached the service");

    let mut session = list().by(SESSION);
    session.token = Some(TOKEN);
    assert_eq!(world.ask(session.clone()).await.status, 200);
    world.now.store(NOW + 3600, Ordering::Relaxed);
    session.at = NOW + 3600;
    world.ask(session).await.refused("ExpiredTokenException", "expired");
}

#[tokio::test]
async fn nobody_learns_what_operations_there_are_without_a_key() {
    let world = World::start().await;
    let unknown = Message::call("NoSuchThing", "{}");
    world.send(&unknown).await.refused("MissingAuthenticationTokenException", "");
    world.ask(unknown).await.refused("UnknownOperationException", "there is no operation 'NoSuchThing'");
    let later = Message::call("CreateFleet", "{}");
    world.ask(later).await.refused("InvalidInputException", "CreateFleet is not available in this version of Kiln");
}

#[tokio::test]
async fn a_sample_of_changed_bytes_reaches_nothing() {
    let world = World::start().await;
    let honest = Message::call("DeleteProject", r#"{"name":"demo"}"#).signed();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut changed = honest.clone();
        let signed: Vec<usize> = (0..changed.headers.len()).collect();
        let flip = |bytes: &mut [u8], random: &mut fastrand::Rng| {
            let index = random.usize(0..bytes.len());
            let old = bytes[index];
            while bytes[index] == old || !(0x21..0x7f).contains(&bytes[index]) {
                bytes[index] = random.u8(0x21..0x7f);
            }
        };
        if random.u8(0..4) == 0 {
            flip(&mut changed.body, &mut random);
        } else {
            let (_, value) = &mut changed.headers[signed[random.usize(0..signed.len())]];
            let mut bytes = value.clone().into_bytes();
            flip(&mut bytes, &mut random);
            *value = String::from_utf8(bytes).unwrap();
        }
        // The kind of a target may change its style of errors, never the outcome.
        if let Some(reply) = world.raw(&changed.bytes()).await {
            assert!(reply.status >= 400, "{reply:?}");
        }
    }
    assert!(world.service.calls().is_empty());
    assert_eq!(world.send(&honest).await.status, 200);
}

#[tokio::test]
async fn who_am_i() {
    let world = World::start().await;
    let ask = Message::form("Action=GetCallerIdentity&Version=2011-06-15");
    let reply = world.ask(ask.clone()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/xml"));
    let id = reply.header("x-amzn-requestid").to_owned();
    assert_eq!(
        reply.text(),
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::000000000000:root</Arn><UserId>000000000000</UserId><Account>000000000000</Account>\
             </GetCallerIdentityResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
             </GetCallerIdentityResponse>\n"
        )
    );
    // Everybody may ask, but only those who are somebody.
    assert!(world.ask(ask.clone().by(ALICE)).await.text().contains("<Arn>arn:aws:iam::000000000000:user/alice</Arn>"));
    let nobody = world.ask(ask.clone().by("AKIDNOBODY")).await;
    assert_eq!(nobody.status, 403);
    assert!(nobody.text().contains("<Code>InvalidClientTokenId</Code>"), "{}", nobody.text());
    let unsigned = world.send(&ask).await;
    assert!(unsigned.text().contains("<Code>MissingAuthenticationToken</Code>"), "{}", unsigned.text());
    // As in a presigned link: the parameters in the query.
    for method in ["GET", "POST"] {
        let mut query = Message::form("");
        (query.method, query.target) = (method, "/?Action=GetCallerIdentity&Version=2011-06-15".to_owned());
        assert!(world.ask(query).await.text().contains("<Account>000000000000</Account>"), "{method}");
    }
    let mut assume = Message::form("Action=GetFederationToken&Version=2011-06-15");
    assume.region = "us-east-1";
    let reply = world.ask(assume).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("<Code>InvalidAction</Code>"), "{}", reply.text());
}

#[tokio::test]
async fn sts_takes_its_global_region_too() {
    let world = World::with(|config| config.region = "eu-central-1".to_owned()).await;
    let mut ask = Message::form("Action=GetCallerIdentity&Version=2011-06-15");
    for (region, status) in [("us-east-1", 200), ("eu-central-1", 200), ("eu-west-1", 403)] {
        ask.region = region;
        assert_eq!(world.ask(ask.clone()).await.status, status, "{region}");
    }
    world.ask(list()).await.refused("InvalidSignatureException", "expecting 'eu-central-1'");
}

#[tokio::test]
async fn services_that_are_not_here_say_so_in_their_own_way() {
    let world = World::start().await;
    let mut machines = list().with("X-Amz-Target", "AWSStepFunctions.ListActivities");
    machines.service = "states";
    world.ask(machines).await.refused("UnknownOperationException", "the service 'states' is not available");
    let mut topics = Message::form("Action=ListTopics&Version=2010-03-31");
    topics.service = "sns";
    let reply = world.ask(topics).await;
    assert!(reply.text().contains("<Code>InvalidAction</Code><Message>the service 'sns' is not"), "{}", reply.text());
    let mut express = Message::get("/bucket/key%20?versionId=1");
    express.service = "s3express";
    let reply = world.ask(express).await;
    assert!(reply.text().contains("<Error><Code>NotImplemented</Code>"), "{}", reply.text());
    assert_eq!(reply.header("x-amz-request-id").len(), 36);
}
