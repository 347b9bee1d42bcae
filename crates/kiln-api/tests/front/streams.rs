//! Operations of the Kiln API that carry bytes.

use kiln_api::Listener;
use kiln_iam::sigv4::sha256;
use kiln_model::{
    logs::{LiveTailSessionStart, LiveTailSessionUpdate},
    service::LiveTailEvent,
};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::mpsc,
};

use crate::{
    client::{ALICE, Connection, Message},
    world::World,
};

fn journal() -> Message {
    Message::call("GetBuildJournal", r#"{"id":"demo:1","follow":true}"#)
}

#[tokio::test]
async fn a_journal_comes_as_it_is_written() {
    let world = World::start().await;
    let (pieces, receiver) = mpsc::channel(1);
    *world.service.journal.lock().unwrap() = Some(receiver);
    let mut connection = world.connect().await;
    connection.send(&journal().signed().bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, "application/octet-stream"));
    for piece in [&b"first"[..], b"second"] {
        pieces.send(Ok(piece.to_vec())).await.unwrap();
        assert_eq!(connection.chunk().await.unwrap().unwrap(), piece, "before the next one is there");
    }
    drop(pieces);
    assert_eq!(connection.chunk().await, Ok(None));
    // The connection is as good as before.
    connection.send(&Message::call("ListProjects", "{}").signed().bytes()).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_follower_that_goes_is_noticed() {
    let world = World::start().await;
    let (pieces, receiver) = mpsc::channel(1);
    *world.service.journal.lock().unwrap() = Some(receiver);
    let mut connection = world.connect().await;
    connection.send(&journal().signed().bytes()).await;
    connection.head().await.unwrap();
    drop(connection);
    world.service.dropped.acquire().await.unwrap().forget();
    assert!(pieces.is_closed());
}

#[tokio::test]
async fn a_journal_that_breaks_off_has_no_proper_end() {
    let world = World::start().await;
    let (pieces, receiver) = mpsc::channel(1);
    *world.service.journal.lock().unwrap() = Some(receiver);
    let mut connection = world.connect().await;
    connection.send(&journal().signed().bytes()).await;
    connection.head().await.unwrap();
    pieces.send(Err(std::io::ErrorKind::Other.into())).await.unwrap();
    assert!(connection.chunk().await.is_err());
}

#[tokio::test]
async fn refusals_come_before_the_bytes() {
    let world = World::start().await;
    world.ask(journal()).await.refused("ResourceNotFoundException", "no such build");
    world.ask(journal().by(ALICE)).await.refused("AccessDeniedException", "kiln:GetBuildJournal");
    world.ask(Message::call("GetBuildJournal", "{}")).await.refused("InvalidInputException", "id");
}

#[tokio::test]
async fn artifacts_are_no_pages() {
    let world = World::start().await;
    for length in [None, Some(16)] {
        *world.service.artifact_length.lock().unwrap() = length;
        let reply = world.ask(Message::call("GetBuildArtifact", r#"{"id":"demo:1"}"#)).await;
        assert_eq!(reply.text(), "<script>artifact");
        assert_eq!(reply.header("content-type"), "application/octet-stream");
        assert_eq!(reply.header("content-security-policy"), "sandbox");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("content-disposition"), "attachment; filename=\"a_b__c.zip\"");
        assert_eq!(reply.find("content-length").map(str::to_owned), length.map(|length| length.to_string()));
    }
}

#[tokio::test]
async fn uploads_arrive_whole_or_not_at_all() {
    let world = World::limited(|limits| limits.upload_bytes = 4 << 20).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let upload = Message::call("UploadSource", bytes.clone()).with("Content-Type", "application/zip");

    let reply = world.ask(upload.clone()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer["location"], "bucket/key");
    let sha256 = hex::encode(sha256(&bytes));
    assert_eq!(world.service.uploads.lock().unwrap().remove(&sha256).unwrap(), bytes);

    let mut changed = upload.clone().signed();
    changed.body[1_000_000] ^= 1;
    world.send(&changed).await.refused("InvalidInputException", "its SHA-256 is another");

    let mut cut = world.connect().await;
    cut.send(&upload.clone().signed().bytes()[..1_000_000]).await;
    cut.stream.shutdown().await.unwrap();
    cut.closed().await;
    for _ in 0..3 {
        world.service.upload_ended.acquire().await.unwrap().forget();
    }
    assert!(world.service.uploads.lock().unwrap().is_empty(), "only what is whole is kept");

    let mut large = upload.clone();
    large.body = vec![0; (4 << 20) + 1];
    let reply = world.raw(&large.signed().head()).await.unwrap();
    reply.refused("InvalidInputException", "the upload has 4194305 bytes; at most 4194304 are taken");
    world.ask(upload.by(ALICE)).await.refused("AccessDeniedException", "kiln:UploadSource");
}

fn debug() -> Message {
    Message::call("DebugBuild", r#"{"id":"demo:1"}"#)
}

#[tokio::test]
async fn a_shell_takes_the_connection_over() {
    let world = World::limited(|limits| limits.idle = std::time::Duration::from_millis(50)).await;
    world.ask(debug()).await.refused("InvalidInputException", "Upgrade: kiln-debug");
    let upgrade = debug().with("Connection", "Upgrade").with("Upgrade", "kiln-debug");
    world.ask(upgrade.clone().by(ALICE)).await.refused("AccessDeniedException", "kiln:DebugBuild");

    let mut connection = world.connect().await;
    connection.send(&upgrade.signed().bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("upgrade")), (101, "kiln-debug"));
    for text in [&b"echo"[..], b"\0binary\xff"] {
        connection.send(text).await;
        assert_eq!(connection.take(text.len()).await, text);
    }
    // No idle limit of HTTP ends a shell that nobody types into.
    let wait = tokio::time::timeout(std::time::Duration::from_millis(200), connection.take(1)).await;
    assert!(wait.is_err(), "{wait:?}");
    connection.send(b"still here").await;
    assert_eq!(connection.take(10).await, b"still here");
    // The client has said all; the shell ends, and so does the connection.
    connection.stream.shutdown().await.unwrap();
    connection.closed().await;
    world.service.dropped.acquire().await.unwrap().forget();
}

#[tokio::test]
async fn the_relay_out_of_builds_uses_a_unix_socket() {
    let directory = std::env::temp_dir().join(format!("kiln-api-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("api.sock");
    let listener = Listener::Unix(UnixListener::bind(&path).unwrap());
    let world =
        World::on(listener, ([127, 0, 0, 1], 1).into(), |config| config.domains.push("169.254.170.2".to_owned()));
    let message = Message::call("ListProjects", "{}").with("Host", "169.254.170.2:5456").signed();
    let mut connection = Connection::over(UnixStream::connect(&path).await.unwrap());
    connection.send(&message.bytes()).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    drop(world);
    std::fs::remove_dir_all(directory).unwrap();
}

fn tail() -> Message {
    let mut message = Message::call("StartLiveTail", r#"{"logGroupIdentifiers":["a"]}"#);
    message.service = "logs";
    message.set("x-amz-target", "Logs_20140328.StartLiveTail");
    message
}

/// The texts of a message's headers, and its payload.
fn parts(message: &[u8]) -> (Vec<String>, String) {
    let number = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(number(0), message.len());
    let (mut headers, payload) = message[12..message.len() - 4].split_at(number(4));
    let mut texts = Vec::new();
    while let Some((length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at(usize::from(*length));
        assert_eq!(rest[0], 7, "a text");
        let (value, rest) = rest[3..].split_at(usize::from(u16::from_be_bytes([rest[1], rest[2]])));
        texts.push(format!("{} {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        headers = rest;
    }
    (texts, String::from_utf8_lossy(payload).into_owned())
}

#[tokio::test]
async fn a_live_tail_is_a_stream_of_messages_and_ends_properly_when_the_server_stops() {
    let mut world = World::start().await;
    let (events, receiver) = mpsc::channel(1);
    *world.service.tail.lock().unwrap() = Some(receiver);
    let mut connection = world.connect().await;
    connection.send(&tail().signed().bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, "application/vnd.amazon.eventstream"));
    let headers = |kind: &str, name: &str| {
        vec![
            format!(":message-type {kind}"),
            format!(":{kind}-type {name}"),
            ":content-type application/json".to_owned(),
        ]
    };
    let said = parts(&connection.chunk().await.unwrap().unwrap());
    assert_eq!(said, (headers("event", "initial-response"), "{}".to_owned()), "clients want it first");
    let start = LiveTailSessionStart { session_id: Some("s".to_owned()), ..Default::default() };
    let update = LiveTailSessionUpdate { session_results: Some(Vec::new()), ..Default::default() };
    for (event, name, payload) in [
        (LiveTailEvent::Start(start), "sessionStart", r#"{"sessionId":"s"}"#),
        (LiveTailEvent::Update(update), "sessionUpdate", r#"{"sessionResults":[]}"#),
    ] {
        events.send(event).await.unwrap();
        assert_eq!(parts(&connection.chunk().await.unwrap().unwrap()), (headers("event", name), payload.to_owned()));
    }
    world.stop();
    let (texts, payload) = parts(&connection.chunk().await.unwrap().unwrap());
    assert_eq!(texts, headers("exception", "SessionStreamingException"));
    assert!(payload.contains("Kiln is stopping"), "{payload}");
    assert_eq!(connection.chunk().await, Ok(None), "a proper end");
    world.stopped().await;
}

#[tokio::test]
async fn a_live_tail_ends_by_itself_and_when_its_client_goes() {
    let world = World::start().await;
    let begin = async || {
        let (events, receiver) = mpsc::channel(1);
        *world.service.tail.lock().unwrap() = Some(receiver);
        let mut connection = world.connect().await;
        connection.send(&tail().signed().bytes()).await;
        connection.head().await.unwrap();
        connection.chunk().await.unwrap().unwrap();
        (events, connection)
    };
    let (events, mut connection) = begin().await;
    events.send(LiveTailEvent::Timeout("three hours".to_owned())).await.unwrap();
    let (texts, payload) = parts(&connection.chunk().await.unwrap().unwrap());
    assert!(texts.contains(&":exception-type SessionTimeoutException".to_owned()), "{texts:?}");
    assert_eq!(payload, r#"{"message":"three hours"}"#);
    assert_eq!(connection.chunk().await, Ok(None));
    world.service.dropped.acquire().await.unwrap().forget();
    let (events, connection) = begin().await;
    drop(connection);
    world.service.dropped.acquire().await.unwrap().forget();
    assert!(events.is_closed());
}

#[tokio::test]
async fn what_a_live_tail_is_refused_for_comes_before_it() {
    let world = World::start().await;
    world.ask(tail().by(ALICE)).await.refused("AccessDeniedException", "logs:StartLiveTail");
    let mut empty = tail();
    empty.body = br#"{"logGroupIdentifiers":[]}"#.to_vec();
    world.ask(empty).await.refused("InvalidParameterException", "logGroupIdentifiers");
}
