//! What happens to requests whose handlers run on, fail, or fall over.

use crate::{client::Message, world::World};

fn start(project: &str) -> Message {
    Message::call("StartBuild", format!(r#"{{"projectName":"{project}"}}"#))
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_nothing() {
    let world = World::start().await;
    let mut connection = world.connect().await;
    connection.send(&start("wait").signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    drop(connection);
    // The server notices: another request on another connection is answered in between.
    world.is_well().await;
    assert_eq!(world.service.calls(), ["ListProjects"]);
    world.service.gate.add_permits(1);
    while !world.service.calls().contains(&"StartBuild".to_owned()) {
        world.is_well().await;
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_failure_and_no_more() {
    let world = World::start().await;
    let mut connection = world.connect().await;
    connection.send(&start("panic").signed().bytes()).await;
    let reply = connection.reply().await.unwrap();
    reply.refused("InternalFailure", reply.header("x-amzn-requestid"));
    assert!(!reply.text().contains("told"), "what panicked is for the operator's log");
    // The same connection goes on, too.
    connection.send(&start("demo").signed().bytes()).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    world.is_well().await;
}

#[tokio::test]
async fn errors_of_the_service_reach_the_client() {
    let world = World::start().await;
    world.ask(start("missing")).await.refused("ResourceNotFoundException", "Project cannot be found");
    world.ask(Message::call("StartBuild", "{}")).await.refused("InvalidInputException", "projectName");
}

#[tokio::test]
async fn keys_are_a_service_of_their_own() {
    let world = World::start().await;
    let reply = world.ask(Message::call("EnableKey", r#"{"KeyId":"x"}"#)).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    world.ask(Message::call("EnableKey", "{}")).await.refused("ValidationException", "Value null at 'keyId'");
    world.ask(Message::call("GetPublicKey", "{}")).await.refused("UnsupportedOperationException", "GetPublicKey");
    let long = format!(r#"{{"KeyId":"x","Plaintext":"{}"}}"#, "AAAA".repeat(1366));
    let reply = world.ask(Message::call("Encrypt", long)).await;
    reply.refused("ValidationException", "Value at 'plaintext' failed to satisfy constraint: Member must have length");
    assert!(!reply.text().contains("AAAA"), "what was to be encrypted is not repeated");
    world
        .ask(Message::call("Encrypt", r#"{"KeyId":"x","Plaintext":"?"}"#))
        .await
        .refused("SerializationException", "base64");
    assert_eq!(world.service.calls(), ["EnableKey"]);
    let mut foreign = Message::call("EnableKey", r#"{"KeyId":"x"}"#);
    foreign.service = "codebuild";
    world.ask(foreign).await.refused("InvalidSignatureException", "correct service: 'kms'");
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let world = World::start().await;
    let mut connection = world.connect().await;
    let mut both = start("demo").signed().bytes();
    both.extend(Message::call("ListProjects", "{}").signed().bytes());
    connection.send(&both).await;
    for _ in 0..2 {
        assert_eq!(connection.reply().await.unwrap().status, 200);
    }
    assert_eq!(world.service.calls(), ["StartBuild", "ListProjects"]);
}
