//! Requests that are wrong in every way (fault test 22, quick form): documented codes, no 5xx, no crash.

use kiln_model::operations::{KILN_OPERATIONS, OPERATIONS};

use crate::{
    client::{Message, Reply},
    world::World,
};

/// Codes that a client can look up (`api.md` 1.3).
const DOCUMENTED: [&str; 6] = [
    "InvalidInputException",
    "SerializationException",
    "UnknownOperationException",
    "ResourceNotFoundException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
];

#[track_caller]
fn is_documented(reply: &Reply, what: &str) {
    if reply.status == 200 {
        return;
    }
    let (code, message) = reply.error();
    assert_eq!(reply.status, 400, "{what}: {code} {message}");
    assert!(DOCUMENTED.contains(&code.as_str()), "{what}: {code}");
    assert!(!message.is_empty() && message.len() < 5_000, "{what}: {} bytes", message.len());
}

fn bodies() -> Vec<String> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(60_000), close.repeat(60_000));
    let mut bodies: Vec<String> =
        ["", " ", "{", "}", "[]", "null", "0", "\"\"", "{\"a\":}", "{]", "{}{}", "nul", "{\"\u{0}\":1}", "\u{feff}{}"]
            .map(str::to_owned)
            .to_vec();
    bodies.extend([deep("[", "]"), deep("{\"a\":", "}"), format!("{{\"name\":\"{}\"}}", "x".repeat(900_000))]);
    bodies.push(r#"{"name":"a","name":1,"projectName":"b","projectName":[]}"#.to_owned());
    bodies.push(r#"{"name":"\ud800"}"#.to_owned());
    bodies.push(r#"{"maxResults":1e400,"pageSize":-1}"#.to_owned());
    // Every member name of the common inputs, with every wrong type.
    for value in
        ["null", "true", "-1", "1.5", "9999999999999999999999", "\"\"", "[]", "{}", "[[[]]]", "[null]", "{\"a\":{}}"]
    {
        let members: Vec<String> = [
            "name",
            "names",
            "id",
            "ids",
            "projectName",
            "source",
            "artifacts",
            "environment",
            "serviceRole",
            "tags",
            "sortBy",
            "nextToken",
            "arn",
            "policy",
            "resourceArn",
            "token",
            "serverType",
            "authType",
            "buildspec",
            "projectArn",
            "projectVisibility",
            "environmentVariablesOverride",
            "cacheOverride",
            "maxLines",
            "offset",
        ]
        .iter()
        .map(|name| format!("\"{name}\":{value}"))
        .collect();
        bodies.push(format!("{{{}}}", members.join(",")));
    }
    bodies
}

#[tokio::test]
async fn every_operation_bears_every_body() {
    let world = World::start().await;
    let mut connection = world.connect().await;
    for operation in OPERATIONS.iter().chain(&KILN_OPERATIONS).map(|operation| operation.name) {
        if operation == "UploadSource" {
            continue;
        }
        for body in bodies() {
            let message = Message::call(operation, body.clone()).signed();
            connection.send(&message.bytes()).await;
            let reply = match connection.reply().await {
                Some(reply) => reply,
                None => panic!("{operation}: the server closed the connection at {body:.60}"),
            };
            is_documented(&reply, operation);
        }
    }
    world.is_well().await;
}

#[tokio::test]
async fn bodies_that_are_not_utf8() {
    let world = World::start().await;
    for body in [&b"{\"name\":\"\xff\"}"[..], b"\xff\xfe{\0}\0", b"\0"] {
        world.ask(Message::call("ListProjects", body)).await.refused("SerializationException", "not JSON");
    }
}

#[tokio::test]
async fn targets_and_content_types() {
    let world = World::start().await;
    for target in [
        "CodeBuild_20161006",
        "CodeBuild_20161006.",
        "CodeBuild_20161006.listProjects",
        "CodeBuild_20161006.ListProjects ",
        "CodeBuild_20161006.../x",
    ] {
        let message = Message::call("ListProjects", "{}").with("X-Amz-Target", target);
        let reply = world.ask(message).await;
        // A blank at the end is no part of a header's value.
        if reply.status != 200 {
            reply.refused("UnknownOperationException", "");
        } else {
            assert!(target.ends_with(' '));
        }
    }
    for (method, path) in [("GET", "/"), ("PUT", "/"), ("POST", "/projects"), ("POST", "//"), ("POST", "/.")] {
        let mut message = Message::call("ListProjects", "");
        (message.method, message.target) = (method, path.to_owned());
        world.ask(message).await.refused("UnknownOperationException", "POST / with one header X-Amz-Target");
    }
    let mut twice = Message::call("ListProjects", "{}");
    twice.headers.push(("X-Amz-Target".to_owned(), "CodeBuild_20161006.DeleteProject".to_owned()));
    assert!(world.ask(twice).await.status >= 400);
    let cbor = Message::call("ListProjects", "\u{a0}").with("Content-Type", "application/cbor");
    world.ask(cbor).await.refused("SerializationException", "application/x-amz-json-1.1");
    let mut rpc = Message::call("ListProjects", "");
    rpc.remove("X-Amz-Target");
    rpc.target = "/service/CodeBuild_20161006/operation/ListProjects".to_owned();
    world.ask(rpc).await.refused("UnknownOperationException", "AWS JSON 1.1");
    let zipped = Message::call("ListProjects", "{}").with("Content-Encoding", "gzip");
    world.ask(zipped).await.refused("InvalidInputException", "Content-Encoding");
    assert!(world.service.calls().iter().all(|call| call == "ListProjects"));
}

/// A request within the body of another must never be taken for a request.
#[tokio::test]
async fn nothing_can_be_smuggled() {
    let world = World::start().await;
    let inner = Message::call("DeleteProject", r#"{"name":"victim"}"#).signed().bytes();
    let outer = Message::call("ListProjects", "").signed();
    let base = String::from_utf8(outer.head()).unwrap();
    let base = base.strip_suffix("Content-Length: 0\r\n\r\n").unwrap();
    let length = inner.len();
    for framing in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding:\u{b}chunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "X: y\r\n Transfer-Encoding: chunked\r\n".to_owned(),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}, 0\r\n"),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: +0\r\n".to_owned(),
        "Content-Length: 0x0\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n".to_owned(),
        "Content-Length : 0\r\n".to_owned(),
        "Content\0-Length: 0\r\n".to_owned(),
    ] {
        for lead in ["", "0\r\n\r\n"] {
            let mut bytes = format!("{base}{framing}\r\n{lead}").into_bytes();
            bytes.extend_from_slice(&inner);
            let mut connection = world.connect().await;
            connection.send(&bytes).await;
            if let Some(reply) = connection.reply().await {
                assert_eq!(reply.status, 400, "{framing}: {reply:?}");
            }
            connection.closed().await;
        }
    }
    assert!(world.service.calls().is_empty(), "{:?}", world.service.calls());
    world.is_well().await;
}

#[tokio::test]
async fn expectations_are_met_or_answered() {
    let world = World::start().await;
    let good = Message::call("ListProjects", "{}").with("Expect", "100-continue").signed();
    let mut connection = world.connect().await;
    connection.send(&good.head()).await;
    assert_eq!(connection.head().await.unwrap().status, 100);
    connection.send(&good.body).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);

    // Whoever would be refused anyway is refused before the body.
    for mut message in [good.clone().with("X-Amz-Date", "20200101T000000Z"), good.clone()] {
        message.set("Content-Length", "2000000");
        let mut connection = world.connect().await;
        connection.send(&message.head()).await;
        assert_eq!(connection.reply().await.unwrap().status, 400);
    }
    // One who announces and never sends is cut like any slow body; one who hangs up is gone.
    let mut connection = world.connect().await;
    connection.send(&good.head()).await;
    assert_eq!(connection.head().await.unwrap().status, 100);
    drop(connection);
    world.is_well().await;
}

#[tokio::test]
async fn what_is_no_http_at_all() {
    let world = World::start().await;
    for bytes in [
        &b"\r\n\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0\0\0",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let mut connection = world.connect().await;
        connection.send(bytes).await;
        tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await.unwrap();
        if let Some(reply) = connection.reply().await {
            assert!(reply.status >= 400, "{reply:?}");
        }
    }
    world.is_well().await;
}
