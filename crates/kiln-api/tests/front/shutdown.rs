//! Stopping.

use tokio::net::TcpStream;

use crate::{client::Message, world::World};

#[tokio::test]
async fn a_stopping_server_ends_what_it_has_begun() {
    let mut world = World::start().await;
    let mut idle = world.connect().await;
    idle.send(&Message::call("ListProjects", "{}").signed().bytes()).await;
    idle.reply().await.unwrap();
    let untouched = world.connect().await;
    let mut busy = world.connect().await;
    busy.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    let mut gone = world.connect().await;
    gone.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    drop(gone);

    world.stop();
    idle.closed().await;
    let mut untouched = untouched;
    untouched.closed().await;
    let service = std::sync::Arc::clone(&world.service);
    let address = world.address;
    service.gate.add_permits(2);
    let reply = busy.reply().await.unwrap();
    assert_eq!(reply.status, 200);
    busy.closed().await;
    world.stopped().await;
    assert_eq!(service.calls(), ["ListProjects", "StartBuild", "StartBuild"], "also the one whose client is gone");
    assert!(TcpStream::connect(address).await.is_err());
}

/// A request of each protocol, with the content type of its answer, and status and code of its refusal.
pub(crate) fn one_of_each() -> Vec<(Message, &'static str, (u16, &'static str))> {
    let json = Message::call("ListProjects", "{}");
    let form = Message::form("Action=GetCallerIdentity&Version=2011-06-15");
    let mut s3 = Message::get("/bucket/key").by(crate::client::ROOT);
    s3.service = "s3";
    let mut put = s3.clone();
    (put.method, put.body) = ("PUT", vec![b'x'; 300_000]);
    let mut granite = Message::call("ListProjects", "{}");
    granite.service = "monitoring";
    granite.set("X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics");
    let mut cbor = granite.clone();
    cbor.remove("X-Amz-Target");
    cbor.set("Smithy-Protocol", "rpc-v2-cbor");
    cbor.target = "/service/GraniteServiceVersion20100801/operation/ListMetrics".to_owned();
    cbor.body = vec![0xa0];
    let mut query = Message::form("Action=ListMetrics&Version=2010-08-01");
    query.service = "monitoring";
    let (throttled, slow) = ((400, "ThrottlingException"), (503, "<Code>ServiceUnavailable</Code>"));
    vec![
        (json, "application/x-amz-json-1.1", throttled),
        (form, "text/xml", (400, "<Code>Throttling</Code>")),
        (s3, "text/xml", slow),
        (put, "text/xml", slow),
        (granite, "application/x-amz-json-1.0", throttled),
        (cbor, "application/cbor", throttled),
        (query, "text/xml", (400, "<Code>Throttling</Code>")),
    ]
}

#[tokio::test]
async fn whoever_asks_a_stopping_server_is_told_in_its_own_protocol() {
    let mut world = World::limited(|limits| limits.linger = std::time::Duration::from_secs(30)).await;
    let mut busy = world.connect().await;
    busy.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    let asked = one_of_each();
    let mut waiting = Vec::new();
    for _ in &asked {
        let mut connection = world.connect().await;
        connection.send(&Message::call("ListProjects", "{}").signed().bytes()).await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
        waiting.push(connection);
    }
    world.stop();
    // Nothing but the state says that the stop was noticed.
    while world.readiness.get() != kiln_api::State::Stopping {
        tokio::task::yield_now().await;
    }
    for ((message, kind, (status, text)), mut old) in asked.into_iter().zip(waiting) {
        let mut new = world.connect().await;
        for connection in [&mut old, &mut new] {
            connection.send(&message.clone().signed().bytes()).await;
            let reply = connection.reply().await.expect("an answer, not an end");
            assert_eq!((reply.status, reply.header("content-type")), (status, kind), "{reply:?}");
            assert_eq!((reply.header("retry-after"), reply.header("connection")), ("1", "close"), "{reply:?}");
            assert!(reply.text().contains(text), "{text} is not in {}", reply.text());
            assert!(reply.find("x-amzn-requestid").or(reply.find("x-amz-request-id")).is_some(), "{reply:?}");
            connection.closed().await;
        }
    }
    let health = world.send(&Message::get("/-/ready")).await;
    assert_eq!(health.status, 503);
    world.service.gate.add_permits(1);
    let reply = busy.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (200, "close"), "what was accepted ends");
    assert_eq!(world.service.calls().iter().filter(|name| *name == "StartBuild").count(), 1);
    drop(busy);
    world.stopped().await;
}

#[tokio::test]
async fn live_streams_end_as_incomplete() {
    let mut world = World::start().await;
    let (pieces, journal) = tokio::sync::mpsc::channel(1);
    *world.service.journal.lock().unwrap() = Some(journal);
    let mut connection = world.connect().await;
    connection.send(&Message::call("GetBuildJournal", r#"{"id":"a:b","follow":true}"#).signed().bytes()).await;
    assert_eq!(connection.head().await.unwrap().status, 200);
    pieces.send(Ok(b"record".to_vec())).await.unwrap();
    assert_eq!(connection.chunk().await.unwrap().unwrap(), b"record");
    world.stop();
    assert!(connection.chunk().await.is_err(), "no proper end");
    world.stopped().await;
}

#[tokio::test]
async fn a_request_that_never_ends_is_not_waited_for_forever() {
    let mut world = World::limited(|limits| limits.drain = std::time::Duration::from_millis(50)).await;
    let mut busy = world.connect().await;
    busy.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    world.stop();
    world.stopped().await;
}
