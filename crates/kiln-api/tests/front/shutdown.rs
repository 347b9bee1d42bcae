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
