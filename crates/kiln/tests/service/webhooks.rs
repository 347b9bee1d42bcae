//! Webhooks over the wire: unmodified clients make them, a provider's API is called, deliveries start builds.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    clients::{client, command, run, script, text},
    server::{Server, not_root, rounds, wait_for},
    terraform::{Terraform, plugins},
};

/// A call to the provider: method and path, its token, its body.
type Call = (String, String, Value);

/// A provider's API. It makes webhooks, and says of everything else that it is done.
#[derive(Clone)]
struct Provider {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Status of the next answers; the last one stays.
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            calls: Arc::default(),
            statuses: Arc::new(Mutex::new(vec![201])),
        };
        let with = provider.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), with) = (stream, with.clone()) else { return };
                thread::spawn(move || with.answer(stream).ok());
            }
        });
        provider
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let what = line.rsplit_once(" HTTP/").map_or("", |(what, _)| what).to_owned();
        let (mut length, mut token) = (0, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => token = value.to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        self.calls.lock().unwrap().push((what, token, body));
        let status = {
            let mut statuses = self.statuses.lock().unwrap();
            if statuses.len() > 1 { statuses.remove(0) } else { statuses[0] }
        };
        let made = json!({ "id": 77 }).to_string();
        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{made}", made.len())
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// A server whose GitHub is this.
    fn server(&self) -> Server {
        let url = format!("http://{}/api", self.address);
        Server::with(&[("KILN_PROVIDERS_GITHUB_URL", &url), ("KILN_PUBLIC_URL", "https://ci.example")])
    }
}

fn project(name: &str) -> Value {
    let mut project = crate::client::project(name, &crate::client::buildspec(&["true"]));
    project["source"]["type"] = json!("GITHUB");
    project["source"]["location"] = json!("https://github.com/octocat/hello");
    project
}

#[test]
fn the_aws_cli_goes_through_a_webhooks_life() {
    let Some(python) = client("python") else { return };
    let aws = python.join("bin/aws");
    let provider = Provider::start();
    let mut server = provider.server();
    server.secret("hush-hush-token");
    let cli = |args: &[&str]| {
        let output = command(&server, &aws).arg("codebuild").args(args).output().unwrap();
        let json = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
        (output.status.success(), json, text(&output))
    };
    server.client().retried("CreateProject", &project("demo"));
    let create = [
        "create-webhook",
        "--project-name",
        "demo",
        "--filter-groups",
        "[[{\"type\":\"EVENT\",\"pattern\":\"PUSH, PULL_REQUEST_CREATED\"},{\"type\":\"HEAD_REF\",\"pattern\":\"^refs/heads/main$\"}]]",
    ];
    let (_, _, told) = cli(&create);
    assert!(told.contains("(ResourceNotFoundException)"), "{told}");
    assert!(told.contains("Could not find access token for server type github"), "{told}");
    let import = [
        "import-source-credentials",
        "--server-type",
        "GITHUB",
        "--auth-type",
        "PERSONAL_ACCESS_TOKEN",
        "--token",
        "hush-hush-token",
    ];
    assert!(cli(&import).0);
    *provider.statuses.lock().unwrap() = vec![404, 201];
    let (_, _, told) = cli(&create);
    assert!(
        told.contains("(OAuthProviderException)") && told.contains("Repository not found or permission denied"),
        "{told}"
    );
    let (done, made, told) = cli(&create);
    assert!(done, "{told}");
    let hook = &made["webhook"];
    assert!(hook["payloadUrl"].as_str().unwrap().starts_with("https://ci.example/-/webhooks/"), "{hook}");
    assert_eq!(hook["url"], format!("http://{}/api/repos/octocat/hello/hooks/77", provider.address));
    assert_eq!(hook["filterGroups"][0][1]["excludeMatchedPattern"], false);
    let (what, token, body) = provider.calls().pop().unwrap();
    assert_eq!((what.as_str(), token.as_str()), ("POST /api/repos/octocat/hello/hooks", "Bearer hush-hush-token"));
    assert_eq!((&body["config"]["url"], &body["config"]["secret"]), (&hook["payloadUrl"], &hook["secret"]));
    let (_, shown, _) = cli(&["batch-get-projects", "--names", "demo"]);
    let shown = &shown["projects"][0]["webhook"];
    assert_eq!((&shown["payloadUrl"], &shown["secret"]), (&hook["payloadUrl"], &Value::Null));
    let (_, told, _) = cli(&["create-webhook", "--project-name", "demo"]);
    assert_eq!(told, Value::Null);
    let (_, rotated, _) = cli(&["update-webhook", "--project-name", "demo", "--rotate-secret"]);
    assert_ne!(rotated["webhook"]["secret"], hook["secret"]);
    assert_eq!(provider.calls().pop().unwrap().0, "PATCH /api/repos/octocat/hello/hooks/77");
    let (_, _, told) = cli(&[
        "update-webhook",
        "--project-name",
        "demo",
        "--filter-groups",
        "[[{\"type\":\"EVENT\",\"pattern\":\"PUSH\"},{\"type\":\"HEAD_REF\",\"pattern\":\"(?=x)\"}]]",
    ]);
    assert!(told.contains("(InvalidInputException)") && told.contains("look-around"), "{told}");

    // What a delivery would do, by the service's description and by a file's.
    let work = tempfile::TempDir::new().unwrap();
    let payload = work.path().join("push.json");
    for (branch, status) in [("main", 0), ("other", 1)] {
        fs::write(&payload, push(branch, None, 1).to_string()).unwrap();
        let test = server.kiln(&["webhook", "test", "demo"]).arg(&payload).output().unwrap();
        assert_eq!(test.status.code(), Some(status), "{}", text(&test));
        assert!(
            text(&test).contains(&format!(
                "HEAD_REF ^refs/heads/main$: the value {}",
                if status == 0 { "matches" } else { "does not match" }
            )),
            "{}",
            text(&test)
        );
    }
    let description = work.path().join("project.json");
    fs::write(&description, json!({ "webhook": { "branchFilter": "other" } }).to_string()).unwrap();
    let test = server.kiln(&["webhook", "test", "--json"]).args([&description, &payload]).output().unwrap();
    assert_eq!(test.status.code(), Some(0), "{}", text(&test));
    assert_eq!(serde_json::from_slice::<Value>(&test.stdout).unwrap()[0]["status"], "STARTED");

    assert!(cli(&["delete-webhook", "--project-name", "demo"]).0);
    assert_eq!(provider.calls().pop().unwrap().0, "DELETE /api/repos/octocat/hello/hooks/77");
    assert!(cli(&["delete-webhook", "--project-name", "demo"]).2.contains("(ResourceNotFoundException)"));
    server.check(&[]);
}

#[test]
fn boto3_makes_webhooks_by_hand() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("webhooks.py")));
    server.check(&[]);
}

#[test]
fn terraform_plans_no_difference_of_a_webhook() {
    let Some(plugins) = plugins() else { return };
    let provider = Provider::start();
    let mut server = provider.server();
    server.client().retried(
        "ImportSourceCredentials",
        &json!({ "serverType": "GITHUB", "authType": "PERSONAL_ACCESS_TOKEN", "token": "hush-hush-token" }),
    );
    let terraform = Terraform::init(&server, &plugins, "webhooks.tf");
    terraform.apply(&[]);
    terraform.apply(&["branches=true"]);
    terraform.destroy(&[]);
    let deleted = provider.calls().iter().filter(|(what, ..)| what.starts_with("DELETE")).count();
    assert_eq!(deleted, 1, "{:?}", provider.calls());
    server.check(&[]);
}

/// A commit's hash that begins with a number.
fn hash(n: u64) -> String {
    format!("{n:08x}{}", "b".repeat(32))
}

fn push(branch: &str, before: Option<u64>, after: u64) -> Value {
    json!({
        "ref": format!("refs/heads/{branch}"),
        "before": before.map_or("0".repeat(40), hash),
        "after": hash(after),
        "head_commit": { "id": hash(after), "message": "m" },
        "commits": [],
        "repository": { "name": "hello", "full_name": "octocat/hello", "pushed_at": after },
        "sender": { "id": 5, "login": "octocat" },
    })
}

/// HMAC-SHA256 (RFC 2104), hex.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let pad = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36).as_slice(), message].concat());
    Sha256::digest([pad(0x5c).as_slice(), inner.as_slice()].concat()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Delivers as GitHub does; the status and the answer.
fn deliver(address: SocketAddr, hook: &Value, id: &str, body: &Value) -> io::Result<(u16, Value)> {
    let path = hook["payloadUrl"].as_str().unwrap();
    let path = path.get(path.find("/-/").unwrap()..).unwrap();
    let body = body.to_string();
    let signature = hmac(hook["secret"].as_str().unwrap().as_bytes(), body.as_bytes());
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nuser-agent: GitHub-Hookshot/1\r\n\
         x-github-event: push\r\nx-github-delivery: {id}\r\nx-hub-signature-256: sha256={signature}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no answer"))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

/// Deliveries in a burst, each push several times, to a server that is killed in the middle of it: each commit is built
/// once, and none is lost.
#[test]
fn a_burst_is_built_once_over_a_kill() {
    if not_root() {
        return;
    }
    let commits: u64 = rounds(60, 400);
    let mut server = Server::with(&[]);
    let client = server.client();
    // There is no such server: each build fails at once, but begins once.
    let mut project = project("demo");
    project["source"]["type"] = json!("GITHUB_ENTERPRISE");
    project["source"]["location"] = json!("https://git.invalid/octocat/hello");
    client.retried("CreateProject", &project);
    let hook =
        client.retried("CreateWebhook", &json!({ "projectName": "demo", "manualCreation": true }))["webhook"].clone();
    // Two or three deliveries of each push: one id twice, one id of its own.
    let mut all: Vec<(u64, u64)> = (1..=commits).flat_map(|n| [(n, 0), (n, 0), (n, 1)]).collect();
    all.sort_by_key(|(n, copy)| (n * 7919 + copy * 104_729) % 1009);
    let send = |address, (n, copy): (u64, u64)| {
        deliver(address, &hook, &format!("{n}-{copy}"), &push("main", n.checked_sub(1).filter(|n| *n > 0), n))
    };
    let address = server.address();
    let acknowledged = Arc::new(Mutex::new(HashMap::new()));
    thread::scope(|scope| {
        for part in all.chunks(all.len().div_ceil(8)) {
            let acknowledged = Arc::clone(&acknowledged);
            scope.spawn(move || {
                for one in part {
                    if let Ok((200, answer)) = send(address, *one) {
                        acknowledged.lock().unwrap().insert(*one, answer);
                    }
                }
            });
        }
        wait_for("deliveries", || (acknowledged.lock().unwrap().len() > all.len() / 8).then_some(()));
        assert!(server.kill());
    });
    server.run();
    // What was acknowledged is known still; the rest is sent again, as providers and people do.
    for one in &all {
        let (status, answer) = send(address, *one).unwrap();
        assert_eq!(status, 200, "{answer}");
        if acknowledged.lock().unwrap().contains_key(one) {
            assert!(answer["message"].as_str().unwrap().contains("delivered before"), "{answer}");
        }
    }
    let (status, _) = deliver(address, &hook, "1-0", &push("main", None, 999)).unwrap();
    assert_eq!(status, 200, "known by its id");
    let mut forged = hook.clone();
    forged["secret"] = json!("guessed");
    assert_eq!(deliver(address, &forged, "new", &push("main", None, 999)).unwrap().0, 403);
    let mut ids = Vec::new();
    let mut next = Value::Null;
    loop {
        let page = client.retried("ListBuildsForProject", &json!({ "projectName": "demo", "nextToken": next }));
        ids.extend(page["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        next = page["nextToken"].clone();
        if next.is_null() {
            break;
        }
    }
    let mut versions = Vec::new();
    let mut accepted = Vec::new();
    for some in ids.chunks(100) {
        let builds = client.retried("BatchGetBuilds", &json!({ "ids": some }));
        for build in builds["builds"].as_array().unwrap() {
            versions.push(build["sourceVersion"].as_str().unwrap().to_owned());
            accepted.push(crate::client::accepted(build));
        }
    }
    versions.sort();
    assert_eq!(versions, (1..=commits).map(hash).collect::<Vec<_>>());
    for build in &accepted {
        client.finished(build);
    }
    server.check(&accepted);
}
