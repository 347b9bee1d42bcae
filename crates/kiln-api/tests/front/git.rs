//! Git behind the front end, and what the front end does about it before it asks: who has sent a request, whether they may,
//! and whether it is one.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use kiln_iam::sigv4::git_password;
use kiln_model::{
    ApiError, ErrorCode, Secret,
    service::{ByteSource, Caller, Context, GitCall, GitHost},
};
use time::OffsetDateTime;

use crate::{
    client::{ALICE, Message, NOW, ROOT, Reply, SESSION, TOKEN, secret_of},
    fake::Fake,
    world::World,
};

const COMMIT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NONE: &str = "0000000000000000000000000000000000000000";
const REFS: &str = "/v1/repos/demo/info/refs?service=git-upload-pack";

/// What the fake git answers.
pub(crate) struct Spoken(Option<Vec<u8>>);

impl ByteSource for Spoken {
    async fn next(&mut self) -> Option<std::io::Result<Vec<u8>>> {
        self.0.take().map(Ok)
    }
}

impl GitHost for Fake {
    type GitOutput = Spoken;

    async fn git_user(&self, user_name: &str, password: &Secret) -> Result<Option<Caller>, ApiError> {
        let account = "000000000000".to_owned();
        let is_known = user_name == "alice-at-000000000000" && password.expose() == "static:password=";
        Ok(is_known.then(|| Caller {
            arn: format!("arn:aws:iam::{account}:root"),
            name: "root".to_owned(),
            access_key_id: "ACCA".to_owned(),
            user_id: account.clone(),
            session: None,
            account,
        }))
    }

    async fn git(
        &self,
        _: &Context,
        repository: &str,
        call: GitCall,
        version: u8,
        mut body: impl ByteSource,
    ) -> Result<Spoken, ApiError> {
        if repository == "missing" {
            return Err(ApiError::new(ErrorCode::RepositoryDoesNotExist, "missing does not exist"));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend(piece.map_err(|e| ApiError::invalid_input(e.to_string()))?);
        }
        let call = match call {
            GitCall::Advertise(service) => format!("advertise {}", service.name()),
            GitCall::Fetch => "fetch".to_owned(),
            GitCall::Push(head) => {
                format!("push {}", head.updates.iter().map(|update| update.name.as_str()).collect::<Vec<_>>().join(" "))
            }
        };
        self.calls.lock().unwrap().push(format!("{repository} v{version} {call}"));
        self.uploads.lock().unwrap().insert("git".to_owned(), bytes);
        Ok(Spoken(Some(b"0000".to_vec())))
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A password as clients make it for the repository `demo`.
fn signed(key: &str, host: &str, at: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at).unwrap();
    git_password(&secret_of(key), "us-east-1", host, "/v1/repos/demo", at)
}

fn get(path: &str) -> Message {
    Message::get(path).with("Authorization", &basic(ROOT, &signed(ROOT, "localhost", NOW)))
}

fn post(service: &str, body: Vec<u8>) -> Message {
    let mut message = get(&format!("/v1/repos/demo/git-{service}"));
    (message.method, message.body) = ("POST", body);
    message.with("Content-Type", &format!("application/x-git-{service}-request"))
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

/// A push of some references.
fn push(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let capabilities = if number == 0 { "\0 report-status side-band-64k" } else { "" };
        bytes.extend(line(&format!("{NONE} {COMMIT} {name}{capabilities}")));
    }
    bytes.extend(b"0000PACK...");
    bytes
}

#[tokio::test]
async fn git_is_asked_for_a_password_first() {
    let world = World::start().await;
    let reply = world.send(&Message::get(REFS)).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Basic realm=\"CodeCommit\""));
    assert!(world.service.calls().is_empty());
}

#[tokio::test]
async fn signatures_and_static_passwords_are_taken() {
    let world = World::start().await;
    let ask = async |user: &str, password: &str, host: &str| {
        let message = Message::get(REFS).with("Host", host).with("Authorization", &basic(user, password));
        world.send(&message).await.status
    };
    // With the port of the address and without.
    for host in ["localhost:5456", "localhost"] {
        assert_eq!(ask(ROOT, &signed(ROOT, host, NOW), "localhost:5456").await, 200, "{host}");
    }
    assert_eq!(ask(ROOT, &signed(ROOT, "localhost:5456", NOW - 800), "localhost:5456").await, 200);
    assert_eq!(ask(&format!("{SESSION}%{TOKEN}"), &signed(SESSION, "localhost", NOW), "localhost").await, 200);
    assert_eq!(ask("alice-at-000000000000", "static:password=", "localhost").await, 200);
    for (user, password) in [
        (ROOT.to_owned(), signed(ROOT, "other", NOW)),
        (ROOT.to_owned(), signed(ROOT, "localhost", NOW - 1000)),
        (ROOT.to_owned(), signed(ROOT, "localhost", NOW + 1000)),
        (ROOT.to_owned(), signed(ALICE, "localhost", NOW)),
        ("AKIDNOBODY".to_owned(), signed(ROOT, "localhost", NOW)),
        (SESSION.to_owned(), signed(SESSION, "localhost", NOW)),
        (format!("{SESSION}%other"), signed(SESSION, "localhost", NOW)),
        (format!("{ROOT}%{TOKEN}"), signed(ROOT, "localhost", NOW)),
        ("alice-at-000000000000".to_owned(), "wrong".to_owned()),
        (ROOT.to_owned(), secret_of(ROOT).expose().to_owned()),
        (String::new(), String::new()),
    ] {
        assert_eq!(ask(&user, &password, "localhost").await, 403, "{user}");
    }
    for header in ["Basic !", "Bearer x", "Basic", &format!("Basic {}", STANDARD.encode("no-colon"))] {
        let reply = world.send(&Message::get(REFS).with("Authorization", header)).await;
        assert_eq!(reply.status, 403, "{header}");
        assert!(!reply.text().contains("no-colon"), "{}", reply.text());
    }
}

#[tokio::test]
async fn who_may_not_is_told() {
    let world = World::start().await;
    let message =
        |path: &str| Message::get(path).with("Authorization", &basic(ALICE, &signed(ALICE, "localhost", NOW)));
    for (service, action) in [("upload", "GitPull"), ("receive", "GitPush")] {
        let reply = world.send(&message(&format!("/v1/repos/demo/info/refs?service=git-{service}-pack"))).await;
        assert_eq!(reply.status, 403);
        assert!(reply.text().contains(&format!("not authorized to perform: codecommit:{action}")), "{}", reply.text());
    }
    assert!(world.service.calls().is_empty());
}

#[tokio::test]
async fn git_gets_what_it_expects() {
    let world = World::start().await;
    let reply = world.send(&get(REFS)).await;
    assert_eq!(reply.header("content-type"), "application/x-git-upload-pack-advertisement");
    assert_eq!(reply.header("cache-control"), "no-cache, max-age=0, must-revalidate");
    assert_eq!(reply.text(), "001e# service=git-upload-pack\n00000000");
    let reply = world.send(&get(REFS).with("Git-Protocol", "version=2")).await;
    assert_eq!(reply.text(), "0000", "no line of the service before version 2");
    let reply = world.send(&get(&REFS.replace("upload", "receive")).with("Git-Protocol", "version=2")).await;
    assert_eq!(reply.text(), "001f# service=git-receive-pack\n00000000");
    assert_eq!(
        world.service.calls(),
        [
            "demo v0 advertise git-upload-pack",
            "demo v2 advertise git-upload-pack",
            "demo v2 advertise git-receive-pack"
        ]
    );
    let reply = world.send(&get("/v1/repos/missing/info/refs?service=git-upload-pack")).await;
    assert_eq!(reply.status, 403, "signed for another repository");
}

#[tokio::test]
async fn bodies_may_be_packed_or_in_chunks() {
    let world = World::start().await;
    let text = b"0032want aaaa\n".repeat(5000);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    let reply = world.send(&post("upload-pack", packed.clone()).with("Content-Encoding", "gzip")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-git-upload-pack-result"));
    assert_eq!(world.service.uploads.lock().unwrap()["git"], text);
    let chunked = [format!("{:x}\r\n", text.len()).as_bytes(), &text, b"\r\n0\r\n\r\n"].concat();
    let reply = world.send(&post("upload-pack", chunked).with("Transfer-Encoding", "chunked")).await;
    assert_eq!(reply.status, 200);
    assert_eq!(world.service.uploads.lock().unwrap()["git"], text);
    let cut = packed.get(..packed.len() / 2).unwrap().to_vec();
    assert_eq!(world.send(&post("upload-pack", cut).with("Content-Encoding", "gzip")).await.status, 400);
    assert_eq!(world.send(&post("upload-pack", packed).with("Content-Encoding", "br")).await.status, 415);
}

#[tokio::test]
async fn pushes_are_authorised_by_reference_and_arrive_whole() {
    let world = World::start().await;
    let body = push(&["refs/heads/main", "refs/tags/v1"]);
    assert_eq!(world.send(&post("receive-pack", body.clone())).await.status, 200);
    assert_eq!(world.service.calls(), ["demo v0 push refs/heads/main refs/tags/v1"]);
    assert_eq!(world.service.uploads.lock().unwrap()["git"], body);
    // What git asks before a large push.
    assert_eq!(world.send(&post("receive-pack", b"0000".to_vec())).await.status, 200);
    let kept = world.trail.take();
    let call = kept.iter().find(|call| !call.is_read_only).expect("a change in the audit log");
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("codecommit", "GitPush"));
    assert_eq!(call.allowed, [true; 3], "for the repository, and for each reference");
}

#[tokio::test]
async fn what_is_no_push_is_refused() {
    let world = World::start().await;
    let refused = async |body: Vec<u8>| -> Reply {
        let reply = world.send(&post("receive-pack", body)).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        reply
    };
    refused(b"garbage!".to_vec()).await;
    refused(push(&["../../etc/passwd"])).await;
    refused(push(&["refs/heads/a b"])).await;
    refused(push(&["refs/heads/main"]).get(..40).unwrap().to_vec()).await;
    let silent = [line(&format!("{NONE} {COMMIT} refs/heads/a\0 side-band-64k")), b"0000".to_vec()].concat();
    assert!(refused(silent).await.text().contains("report-status"));
    let names: Vec<String> = (0..20_000).map(|number| format!("refs/heads/branch-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(refused(push(&names)).await.text().contains("in parts"));
    assert!(world.service.calls().is_empty());
}

#[tokio::test]
async fn nothing_but_git_is_below_the_path() {
    let world = World::start().await;
    for path in ["/v1/repos/demo", "/v1/repos/demo/HEAD", "/v1/repos/demo/../x/info/refs?service=git-upload-pack"] {
        assert_eq!(world.send(&get(path)).await.status, 404, "{path}");
    }
    let dumb = world.send(&get("/v1/repos/demo/info/refs")).await;
    assert_eq!(dumb.status, 403);
    // Of the host that AWS's clients know.
    let host = "git-codecommit.us-east-1.localhost";
    let message = Message::get(REFS).with("Host", host);
    assert_eq!(world.send(&message).await.status, 401);
    assert_eq!(world.send(&Message::get(REFS).with("Host", "bucket.localhost")).await.status, 403, "a bucket's key");
}
