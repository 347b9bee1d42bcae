//! What runners of builds get over their socket, and what others get there.

use std::net::SocketAddr;

use kiln_api::{Limits, Listener};
use kiln_model::{
    build_cache::{BuildCache, BuildCacheAnswer},
    build_secret::{BuildSecret, BuildSecretAnswer, HiddenText},
    build_source::{BuildSource, BuildSourceAnswer},
};
use kiln_wire::{
    agent,
    frame::FrameBuffer,
    server::{Hello, MAX_HELLO, PROTOCOL, SecretsRequest, Wants, kind},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::{client::Message, fake::BUILD, world::World};

/// A server that listens for runners.
struct Host {
    /// Serves as long as it is there.
    _world: World,
    directory: tempfile::TempDir,
}

impl Host {
    fn start(limits: impl FnOnce(&mut Limits)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let world = World::on(Listener::Runners(listener), nowhere, |config| limits(&mut config.limits));
        Self { _world: world, directory }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.directory.path().join("s")).await.unwrap()
    }

    /// Says hello; the connection, and the kind of the answer (`None`: it was closed).
    async fn greet(&self, hello: &Hello) -> (UnixStream, Option<u8>) {
        let mut stream = self.connect().await;
        put(&mut stream, kind::HELLO, hello).await;
        let kind = frame(&mut stream).await.map(|(kind, _)| kind);
        (stream, kind)
    }

    /// Sends bytes on a connection that wants something, and reads to its end.
    async fn exchange(&self, wants: Wants, request: &str) -> String {
        let (mut stream, kind) = self.greet(&hello(wants)).await;
        assert_eq!(kind, Some(kind::WELCOME));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn hello(wants: Wants) -> Hello {
    let uuid = BUILD.split_once(':').unwrap().1;
    Hello { version: PROTOCOL, build: uuid.to_owned(), token: "right".to_owned(), wants }
}

async fn put(stream: &mut UnixStream, kind: u8, message: &impl serde::Serialize) {
    let mut bytes = Vec::new();
    agent::encode(kind, message, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
}

async fn frame(stream: &mut UnixStream) -> Option<(u8, Vec<u8>)> {
    let mut frames = FrameBuffer::new();
    loop {
        if let Some(frame) = frames.next_frame().unwrap() {
            return Some((frame.kind, frame.payload.to_vec()));
        }
        let mut byte = [0; 1];
        match stream.read(&mut byte).await {
            Ok(1) => frames.push(&byte),
            _ => return None,
        }
    }
}

#[tokio::test]
async fn only_the_runner_of_a_running_build_is_let_in() {
    let host = Host::start(|_| {});
    let right = hello(Wants::Api);
    assert_eq!(host.greet(&right).await.1, Some(kind::WELCOME));
    for wrong in [
        Hello { token: "wrong".to_owned(), ..right.clone() },
        Hello { token: String::new(), ..right.clone() },
        Hello { build: "11111111-2222-3333-4444-666666666666".to_owned(), ..right.clone() },
        Hello { version: PROTOCOL + 1, ..right.clone() },
    ] {
        let (mut stream, kind) = host.greet(&wrong).await;
        assert_eq!(kind, Some(kind::REFUSED), "{wrong:?}");
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "it is closed");
    }
    for wrong in [
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".as_slice(),
        &[0; 64],
        &u32::try_from(MAX_HELLO + 1).unwrap().to_le_bytes(),
        b"\x05\0\0\0\x01nope",
        b"\x03\0\0\0\x09{}",
    ] {
        let mut stream = host.connect().await;
        stream.write_all(wrong).await.unwrap();
        let mut answer = Vec::new();
        // Closed with bytes of ours unread, which some kernels call a reset.
        stream.read_to_end(&mut answer).await.ok();
        assert!(answer.is_empty(), "{wrong:?}");
    }
}

#[tokio::test]
async fn who_says_nothing_is_cut() {
    let host = Host::start(|limits| limits.head = std::time::Duration::from_millis(50));
    let mut stream = host.connect().await;
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn credentials_are_for_the_path_the_method_and_nobody_behind_a_proxy() {
    let host = Host::start(|_| {});
    let get = |head: &str| format!("GET {head}host: 169.254.170.2\r\n\r\n");
    let own = Wants::Credentials { shared: false };
    let answer = host.exchange(own, &get("/v2/credentials/long HTTP/1.1\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("cache-control: no-store"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "AccessKeyId": "ASIAX",
            "SecretAccessKey": format!("secret of {BUILD}"),
            "Token": "token",
            "Expiration": "1970-01-01T00:00:00Z",
            "RoleArn": "arn:aws:iam::000000000000:role/build",
        })
    );
    let shared = Wants::Credentials { shared: true };
    let let_me = get("/v2/credentials/long HTTP/1.1\r\nauthorization: let me\r\n");
    assert!(host.exchange(shared, &let_me).await.starts_with("HTTP/1.1 200 "));
    for (wants, request) in [
        (own, get("/v2/credentials/other HTTP/1.1\r\n")),
        (own, get("/ HTTP/1.1\r\n")),
        (own, get("/v2/credentials/long HTTP/1.1\r\nx-forwarded-for: 10.0.0.1\r\n")),
        (own, get("/v2/credentials/long HTTP/1.1\r\nforwarded: for=10.0.0.1\r\n")),
        (own, "POST /v2/credentials/long HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".to_owned()),
        (shared, get("/v2/credentials/long HTTP/1.1\r\n")),
        (shared, get("/v2/credentials/long HTTP/1.1\r\nauthorization: let you\r\n")),
    ] {
        let answer = host.exchange(wants, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 4"), "{request}\n{answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["code"].is_string() && body["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn the_api_is_reached_by_the_address_that_builds_know() {
    let host = Host::start(|_| {});
    let call = |name: &str| {
        let message = Message::call("ListProjects", "{}").with("Host", name).with("Connection", "close");
        String::from_utf8(message.signed().bytes()).unwrap()
    };
    for known in ["169.254.170.2:5456", "127.0.0.1:34567"] {
        let answer = host.exchange(Wants::Api, &call(known)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let answer = host.exchange(Wants::Api, &call("evil.example")).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let unsigned = "POST / HTTP/1.1\r\nhost: 169.254.170.2:5456\r\nconnection: close\r\ncontent-length: 2\r\n\
                    x-amz-target: CodeBuild_20161006.ListProjects\r\n\r\n{}";
    let answer = host.exchange(Wants::Api, unsigned).await;
    assert!(answer.contains("MissingAuthenticationToken"), "{answer}");
}

#[tokio::test]
async fn secrets_are_answered_one_by_one() {
    let host = Host::start(|_| {});
    let (mut stream, _) = host.greet(&hello(Wants::Secrets)).await;
    let secrets = vec![
        BuildSecret::Parameter { name: "/a".to_owned() },
        BuildSecret::Secret { id: "b".to_owned(), json_key: None, version_stage: None, version_id: None },
    ];
    put(&mut stream, kind::SECRETS, &SecretsRequest { secrets }).await;
    let mut answers = Vec::new();
    while let Some((kind, payload)) = frame(&mut stream).await {
        assert_eq!(kind, kind::SECRET);
        answers.push(serde_json::from_slice::<BuildSecretAnswer>(&payload).unwrap());
    }
    assert_eq!(
        answers,
        [
            BuildSecretAnswer::Value { value: HiddenText("value of /a".to_owned()), hidden: Vec::new() },
            BuildSecretAnswer::Refused { code: "ResourceNotFoundException".to_owned(), message: "b".to_owned() },
        ]
    );
    // More than a build may name.
    let (mut stream, _) = host.greet(&hello(Wants::Secrets)).await;
    let secrets = vec![BuildSecret::Parameter { name: "/a".to_owned() }; 1001];
    put(&mut stream, kind::SECRETS, &SecretsRequest { secrets }).await;
    assert_eq!(frame(&mut stream).await, None);
}

#[tokio::test]
async fn builds_leave_connections_for_others() {
    let host = Host::start(|limits| limits.connections = 4);
    let (first, second) = (host.greet(&hello(Wants::Api)).await, host.greet(&hello(Wants::Api)).await);
    assert_eq!((first.1, second.1), (Some(kind::WELCOME), Some(kind::WELCOME)));
    // Not refused: its runner tries again.
    assert_eq!(host.greet(&hello(Wants::Api)).await.1, None);
    drop(first);
    while host.greet(&hello(Wants::Api)).await.1.is_none() {}
}

#[tokio::test]
async fn caches_are_asked_for_and_kept() {
    let host = Host::start(|_| {});
    let key = Some("npm-1".to_owned());
    let find = BuildCache::Find { paths: vec!["a/**/*".to_owned()], key: key.clone(), fallback_keys: Vec::new() };
    let keep = BuildCache::Keep { paths: Vec::new(), key: None };
    for (asked, expected) in [
        (find, BuildCacheAnswer::Found { key, exact: true }),
        (keep, BuildCacheAnswer::Problem { message: format!("of {BUILD}") }),
    ] {
        let (mut stream, _) = host.greet(&hello(Wants::Cache)).await;
        put(&mut stream, kind::CACHE, &asked).await;
        let (kind, payload) = frame(&mut stream).await.unwrap();
        assert_eq!(kind, kind::CACHE_ANSWER);
        assert_eq!(serde_json::from_slice::<BuildCacheAnswer>(&payload).unwrap(), expected);
    }
    let (mut stream, _) = host.greet(&hello(Wants::Cache)).await;
    put(&mut stream, kind::SECRETS, &SecretsRequest { secrets: Vec::new() }).await;
    assert!(frame(&mut stream).await.is_none(), "something else than was announced");
}

#[tokio::test]
async fn a_sources_credential_is_handed_over() {
    let host = Host::start(|_| {});
    let password = HiddenText(BUILD.to_owned());
    for (identifier, expected) in [
        (None, BuildSourceAnswer::Anonymous),
        (Some("lib".to_owned()), BuildSourceAnswer::Password { username: HiddenText("lib".to_owned()), password }),
    ] {
        let (mut stream, _) = host.greet(&hello(Wants::Source)).await;
        put(&mut stream, kind::SOURCE, &BuildSource { identifier }).await;
        let (kind, payload) = frame(&mut stream).await.unwrap();
        assert_eq!(kind, kind::SOURCE_ANSWER);
        assert_eq!(serde_json::from_slice::<BuildSourceAnswer>(&payload).unwrap(), expected);
    }
}
