//! Clients that are slow, idle, greedy or many.

use kiln_api::Rates;
use tokio::time::Duration;

use crate::{
    client::{ALICE, Message, Reply},
    shutdown::one_of_each,
    world::World,
};

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

/// Sends until it is refused, which it has to be.
async fn until_refused(world: &World, message: &Message) -> Reply {
    for _ in 0..500 {
        let reply = world.ask(message.clone()).await;
        let text = reply.text();
        if text.contains("Throttling") || text.contains("SlowDown") {
            return reply;
        }
    }
    panic!("never refused");
}

#[tokio::test]
async fn whoever_calls_too_often_is_told_in_its_own_protocol() {
    let world =
        World::limited(|limits| limits.rates = Rates { reads: 1, changes: 1, strangers: 1, deliveries: 1 }).await;
    for _ in 0..5 {
        world.is_well().await;
    }
    for (message, kind, _) in one_of_each() {
        let reply = until_refused(&world, &message).await;
        let (status, text) = match kind {
            "text/xml" if message.service == "s3" => (503, "<Code>SlowDown</Code>"),
            "text/xml" => (400, "<Code>Throttling</Code>"),
            _ => (400, "ThrottlingException"),
        };
        assert_eq!((reply.status, reply.header("content-type")), (status, kind), "{reply:?}");
        assert!(reply.text().contains(text), "{text} is not in {reply:?}");
        if message.service == "monitoring" && kind != "text/xml" {
            assert_eq!(reply.header("x-amzn-query-error"), "Throttling;Sender");
        }
    }
    // Calls of other kinds, services and callers are not concerned.
    assert_eq!(world.ask(Message::call("StartBuild", r#"{"projectName":"demo"}"#)).await.status, 200);
    assert_eq!(world.ask(Message::call("ListKeys", "{}")).await.status, 200);
    let alice = until_refused(&world, &list().by(ALICE)).await;
    alice.refused("ThrottlingException", "Rate exceeded");
    let figures = world.send(&Message::get("/-/metrics")).await.text();
    let count = |kind: &str| {
        let name = format!("kiln_api_throttled_total{{kind=\"{kind}\"}} ");
        figures.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap()
    };
    assert!(count("read") >= 6 && count("change") >= 1, "{figures}");
    assert_eq!(count("stranger"), 0);
}

#[tokio::test]
async fn strangers_are_slowed_down_and_nobody_else_is() {
    let world = World::limited(|limits| limits.rates = Rates { strangers: 1, ..Rates::default() }).await;
    let mut forged = list().signed();
    forged.set("X-Amz-Date", "20261126T120001Z");
    let (mut known, mut slowed) = (0, 0);
    for _ in 0..30 {
        match world.send(&forged).await.error().0.as_str() {
            "InvalidSignatureException" => known += 1,
            "ThrottlingException" => slowed += 1,
            other => panic!("{other}"),
        }
    }
    assert!(known >= 5 && slowed >= 10, "{known} and {slowed}");
    let unsigned = world.send(&Message::get("/bucket/key")).await;
    assert!(unsigned.status == 503 && unsigned.text().contains("SlowDown"), "{unsigned:?}");
    assert_eq!(world.send(&Message::get("/badges?uuid=known")).await.status, 429);
    assert_eq!(world.send(&Message::get("/-/health")).await.status, 200);
    for _ in 0..30 {
        world.is_well().await;
    }
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
