//! S3 over real sockets: who may do what, bodies of all forms, hosts, and what every answer has.

mod bodies;
mod links;
mod protocol;
mod sign;

use crate::{
    client::{Message, ROOT, Reply},
    world::World,
};

/// A request of S3, by root.
fn s3(method: &'static str, target: &str) -> Message {
    let mut message = Message::get(target).by(ROOT);
    (message.service, message.method) = ("s3", method);
    message
}

fn put(target: &str, body: &str) -> Message {
    let mut message = s3("PUT", target);
    message.body = body.as_bytes().to_vec();
    message
}

/// A server with a bucket.
async fn world() -> World {
    let world = World::start().await;
    assert_eq!(world.ask(s3("PUT", "/bucket")).await.status, 200);
    world
}

/// Checks an error's code and status, and what all errors of S3 have.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) {
    let text = reply.text();
    assert!(text.contains(&format!("<Code>{code}</Code>")), "{code} is not in {status}: {reply:?}");
    assert_eq!(reply.status, status, "{text}");
    assert!(text.contains("<RequestId>") && text.contains("<Message>"), "{text}");
    every_answer(reply);
}

/// What every answer of S3 has.
#[track_caller]
fn every_answer(reply: &Reply) {
    assert_eq!(reply.header("content-security-policy"), "sandbox");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-amz-request-id").len(), 36);
    assert!(reply.header("date").ends_with(" GMT"));
}
