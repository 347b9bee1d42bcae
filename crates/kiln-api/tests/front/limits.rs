//! Clients that are slow, idle, greedy or many.

use tokio::time::Duration;

use crate::{client::Message, world::World};

const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(600);

fn list() -> Message {
    Message::call("ListProjects", "{}")
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let world = World::limited(|limits| limits.idle = SHORT).await;
    world.connect().await.closed().await;
    let mut connection = world.connect().await;
    connection.send(&list().signed().bytes()).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    connection.closed().await;
}

#[tokio::test]
async fn slow_heads_are_cut() {
    let world = World::limited(|limits| (limits.head, limits.idle) = (SHORT, LONG)).await;
    let mut connection = world.connect().await;
    connection.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await;
    connection.closed().await;

    // One byte every now and then does not help.
    let mut connection = world.connect().await;
    connection.send(b"POST / HTTP/1.1\r\n").await;
    let (mut read, mut write) = connection.stream.into_split();
    let dripping = tokio::spawn(async move {
        let mut pause = tokio::time::interval(SHORT / 20);
        while tokio::io::AsyncWriteExt::write_all(&mut write, b"x").await.is_ok() {
            pause.tick().await;
        }
    });
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut read, &mut rest).await.ok();
    dripping.await.unwrap();
    world.is_well().await;
}

#[tokio::test]
async fn slow_bodies_are_cut() {
    let world = World::limited(|limits| limits.body = SHORT).await;
    let mut message = list().signed();
    message.set("Content-Length", "2");
    message.body.truncate(1);
    let mut connection = world.connect().await;
    connection.send(&message.bytes()).await;
    connection.reply().await.unwrap().refused("SerializationException", "too slowly: 1 of 2 bytes");
    connection.closed().await;
    assert!(world.service.calls().is_empty());
}

#[tokio::test]
async fn a_connection_too_many_replaces_the_idlest() {
    let world = World::limited(|limits| (limits.connections, limits.idle) = (2, LONG)).await;
    let mut idle = world.connect().await;
    idle.send(&list().signed().bytes()).await;
    idle.reply().await.unwrap();
    let mut busy = world.connect().await;
    busy.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();

    let mut third = world.connect().await;
    third.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    idle.closed().await;

    let mut none_left = world.connect().await;
    let reply = none_left.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (400, "close"));
    assert!(reply.text().contains("ThrottlingException"));
    world.service.gate.add_permits(2);
    for connection in [&mut busy, &mut third] {
        assert_eq!(connection.reply().await.unwrap().status, 200);
    }
    world.is_well().await;
}

#[tokio::test]
async fn many_idle_connections_are_no_burden() {
    let world = World::limited(|limits| (limits.connections, limits.idle) = (50, LONG)).await;
    let mut connections = Vec::new();
    for _ in 0..300 {
        connections.push(world.connect().await);
    }
    world.is_well().await;
    for connection in &mut connections[..200] {
        connection.closed().await;
    }
}

#[tokio::test]
async fn too_many_requests_are_throttled() {
    let world = World::limited(|limits| limits.requests = 1).await;
    let mut busy = world.connect().await;
    busy.send(&Message::call("StartBuild", r#"{"projectName":"wait"}"#).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    world.ask(list()).await.refused("ThrottlingException", "Rate exceeded");
    world.service.gate.add_permits(1);
    busy.reply().await.unwrap();
    world.is_well().await;
}

#[tokio::test]
async fn bodies_share_a_limited_memory() {
    let world = World::limited(|limits| limits.all_bodies_bytes = 64 * 1024).await;
    let large = |project: &str, spaces: usize| {
        Message::call("StartBuild", format!(r#"{{"projectName":"{project}"{}}}"#, " ".repeat(spaces)))
    };
    world.ask(large("demo", 70_000)).await.refused("ThrottlingException", "Rate exceeded");
    let mut busy = world.connect().await;
    busy.send(&large("wait", 40_000).signed().bytes()).await;
    world.service.begun.acquire().await.unwrap().forget();
    world.ask(large("demo", 40_000)).await.refused("ThrottlingException", "Rate exceeded");
    world.is_well().await;
    world.service.gate.add_permits(1);
    busy.reply().await.unwrap();
    assert_eq!(world.ask(large("demo", 40_000)).await.status, 200);
}

#[tokio::test]
async fn large_bodies_and_heads_are_refused() {
    let world = World::start().await;
    let mut message = list();
    message.body = vec![b' '; 1024 * 1024 + 1];
    // Nothing of the body is sent: the answer comes without.
    let reply = world.raw(&message.signed().head()).await.unwrap();
    reply.refused("InvalidInputException", "the body has 1048577 bytes; at most 1048576 are read");
    assert_eq!(reply.header("connection"), "close");

    let mut message = list();
    message.body = format!("{{{}}}", " ".repeat(1024 * 1024 - 2)).into_bytes();
    assert_eq!(world.ask(message).await.status, 200);

    let long = list().with("X-Long", &"x".repeat(40_000));
    assert_eq!(world.send(&long).await.status, 431);
    let mut many = list();
    for n in 0..200 {
        many.set(&format!("X-Many-{n}"), "x");
    }
    assert_eq!(world.send(&many).await.status, 431);
    let mut endless = list();
    endless.target = format!("/?{}", "x".repeat(70_000));
    assert!(matches!(world.send(&endless).await.status, 414 | 431));
    world.is_well().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let world = World::limited(|limits| limits.stalled_write = SHORT).await;
    let (pieces, journal) = tokio::sync::mpsc::channel(1);
    *world.service.journal.lock().unwrap() = Some(journal);
    let mut connection = world.connect().await;
    connection.send(&Message::call("GetBuildJournal", r#"{"id":"a:b"}"#).signed().bytes()).await;
    // Buffers of both sockets fill, then nothing moves.
    while pieces.send(Ok(vec![0; 1 << 20])).await.is_ok() {}
    world.service.dropped.acquire().await.unwrap().forget();
}
