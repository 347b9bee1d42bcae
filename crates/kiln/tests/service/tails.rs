//! Logs followed while they are written, by unmodified clients: `aws logs tail --follow` and `StartLiveTail`.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use crate::{
    client::{Client, id, project},
    clients::{client, command, run, script},
    server::{Server, not_root, rounds, wait_for},
};

const GROUP: &str = "/aws/codebuild/tailed";

/// A client that follows, and what it has shown.
struct Follower {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Follower {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut child = command.env("PYTHONUNBUFFERED", "1").stdout(Stdio::piped()).spawn().unwrap();
        let shown = Arc::<Mutex<Vec<u8>>>::default();
        let (into, output) = (Arc::clone(&shown), child.stdout.take().unwrap());
        thread::spawn(move || read_all(output, &into));
        Self { child, shown }
    }

    /// `aws logs tail --follow` of the group, where version 2 of the AWS CLI is installed. It shows the time before each
    /// message.
    fn cli(server: &Server) -> Option<Self> {
        let mut aws = command(server, &client("cli2")?);
        aws.args(["--endpoint-url", &format!("http://{}", server.address())]);
        aws.args(["logs", "tail", GROUP, "--follow", "--since", "1h", "--format", "short"]);
        Some(Self::start(aws))
    }

    /// A live tail of the group through boto3, once it has begun.
    #[track_caller]
    fn live(server: &Server, python: &Path, stream: &[&str]) -> Self {
        let mut live = command(server, &python.join("bin/python"));
        live.arg(script("tail.py")).arg(GROUP).args(stream);
        let follower = Self::start(live);
        follower.until("the session to begin", |shown| shown.starts_with("begun\n"));
        follower
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn until(&self, what: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        wait_for(what, || Some(self.shown()).filter(|shown| is_wanted(shown)))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_all(mut output: ChildStdout, into: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = output.read(&mut piece) {
        into.lock().unwrap().extend_from_slice(&piece[..length]);
    }
}

/// Length of the times that the AWS CLI shows.
const TIME: usize = "2026-01-01T00:00:00".len();

/// The messages of what the AWS CLI has shown.
fn without_times(shown: &str) -> String {
    let messages = shown.lines().map(|line| line.get(TIME..).unwrap_or_default().trim_start_matches(' '));
    messages.map(|message| format!("{message}\n")).collect()
}

/// A log as the AWS CLI shows it: it leaves out white space at the end of lines, and ours here at their beginning.
fn trimmed(log: &str) -> String {
    log.lines().map(|line| format!("{}\n", line.trim())).collect()
}

fn with_group(client: &Client, commands: &str) {
    let buildspec = format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {}\n", json!(commands));
    client.call("CreateProject", &project("tailed", &buildspec)).unwrap();
    client.service("logs", "Logs_20140328.CreateLogGroup", &json!({ "logGroupName": GROUP })).unwrap();
}

fn tail(input: &Value) -> (&'static str, &'static str, &Value) {
    ("logs", "Logs_20140328.StartLiveTail", input)
}

#[test]
fn a_running_build_is_followed_line_by_line() {
    let Some(python) = client("python") else { return };
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    // It goes on until it is stopped: what is seen before was seen while it ran.
    with_group(&client, "echo ä 1; for i in 2 3 4 5; do sleep 0.3; echo ä $i; done; sleep 1000");
    let mut live = Follower::live(&server, &python, &[]);
    let build = client.start_build("tailed");
    let stream = Follower::live(&server, &python, &[&build.uuid[..8]]);
    let cli = Follower::cli(&server);
    let followers: Vec<_> = std::iter::once(&live).chain(&cli).collect();
    for follower in &followers {
        for line in 1..=5 {
            follower.until("a line of the running build", |shown| shown.contains(&format!("ä {line}\n")));
        }
    }
    stream.until("a line of the running build", |shown| shown.contains("ä 5\n"));
    client.call("StopBuild", &json!({ "id": id(&build) })).unwrap();
    assert_eq!(client.finished(&build)["buildStatus"], "STOPPED");

    let kiln = run(&mut server.kiln(&["logs", &id(&build)]));
    let whole = format!("begun\n{kiln}");
    live.until("the whole log", |shown| shown == whole);
    if let Some(cli) = &cli {
        cli.until("the whole log", |shown| without_times(shown) == trimmed(&kiln));
    }
    drop((cli, stream));
    // A server that stops tells those who follow.
    server.check(&[build]);
    let over = format!("{whole}SessionStreamingException: Kiln is stopping. Start another session.\n");
    live.until("the end of the session", |shown| shown == over);
    assert!(live.child.wait().unwrap().success());
}

/// In the long form of 100 MB and more.
#[test]
fn a_large_log_is_followed_to_its_end() {
    let Some(python) = client("python") else { return };
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let lines = rounds(20_000, 1_400_000);
    with_group(
        &client,
        &format!("seq -f 'line %.0f of a log that is long, as those of builds are: 0123456789' {lines}"),
    );
    let live = Follower::live(&server, &python, &[]);
    let cli = Follower::cli(&server);
    let build = client.start_build("tailed");
    assert_eq!(client.finished(&build)["buildStatus"], "SUCCEEDED");
    let kiln = run(&mut server.kiln(&["logs", &id(&build)]));
    if let Some(cli) = &cli {
        // Looked at by its length first: it is long.
        let whole = trimmed(&kiln);
        let least = whole.len() + kiln.lines().count() * TIME;
        wait_for("the whole log", || (cli.shown.lock().unwrap().len() >= least).then_some(()));
        cli.until("the whole log", |shown| without_times(shown) == whole);
    }
    // There is no time to show all of it: the newest lines come, in order, and the client is told.
    let last = kiln.lines().next_back().unwrap();
    let shown = live.until("the last line", |shown| shown.contains(last));
    assert!(shown.contains("sampled\n"), "{shown}");
    let mut rest = kiln.lines();
    for line in shown.lines().filter(|line| !["begun", "sampled"].contains(line)) {
        assert!(rest.any(|other| other == line), "{line:?} is not the log's, or not in its order");
    }
    drop((cli, live));
    server.check(&[build]);
}

#[test]
fn sessions_are_for_those_who_may_and_clients_that_do_not_read_do_no_harm() {
    let mut server = Server::start();
    let client = server.client();
    for group in ["allowed", "other"] {
        client.service("logs", "Logs_20140328.CreateLogGroup", &json!({ "logGroupName": group })).unwrap();
        let stream = json!({ "logGroupName": group, "logStreamName": "s" });
        client.service("logs", "Logs_20140328.CreateLogStream", &stream).unwrap();
    }
    client.iam(&[("Action", "CreateUser"), ("UserName", "reader")]);
    let arn = |group: &str| format!("arn:aws:logs:us-east-1:000000000000:log-group:{group}");
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "logs:StartLiveTail", "Resource": format!("{}:*", arn("allowed")) },
    ] });
    let policy = policy.to_string();
    client.iam(&[
        ("Action", "PutUserPolicy"),
        ("UserName", "reader"),
        ("PolicyName", "p"),
        ("PolicyDocument", &policy),
    ]);
    let answer = client.iam(&[("Action", "CreateAccessKey"), ("UserName", "reader")]);
    let text = |tag: &str| {
        let (_, rest) = answer.split_once(&format!("<{tag}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let reader = Client::new(server.address(), &text("AccessKeyId"), &text("SecretAccessKey"));
    let both = json!({ "logGroupIdentifiers": [arn("allowed"), arn("other")] });
    let (service, target, input) = tail(&both);
    let refused = reader.service(service, target, input).unwrap_err();
    assert_eq!(refused.code(), "AccessDeniedException");
    let told = format!("{refused:?}");
    let action = format!("is not authorized to perform: logs:StartLiveTail on resource: {}:log-stream:", arn("other"));
    assert!(told.contains(&action), "{told}");
    let nowhere = json!({ "logGroupIdentifiers": [arn("nowhere")] });
    let (service, target, input) = tail(&nowhere);
    assert_eq!(client.service(service, target, input).unwrap_err().code(), "ResourceNotFoundException");

    // Fifteen who begin and do not read; there is no room for one more until one of them goes.
    let allowed = serde_json::to_vec(&json!({ "logGroupIdentifiers": [arn("allowed")] })).unwrap();
    let open = || {
        let kind = "application/x-amz-json-1.1";
        let mut socket = reader.open("logs", target, kind, &allowed, allowed.len()).unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).unwrap();
        (socket, String::from_utf8_lossy(&head).into_owned())
    };
    let mut sessions: Vec<_> = (0..15).map(|_| open()).collect();
    assert!(sessions.iter().all(|(_, head)| head == "HTTP/1.1 200"), "{sessions:?}");
    let full: Value = serde_json::from_slice(&allowed).unwrap();
    let (service, target, input) = tail(&full);
    assert_eq!(client.service(service, target, input).unwrap_err().code(), "LimitExceededException");
    let before = resident(&server);
    let message = "x".repeat(200 << 10);
    for _ in 0..rounds(40, 400) {
        let now = time::OffsetDateTime::now_utc().unix_timestamp() * 1000;
        let event = json!({ "timestamp": now, "message": message });
        let input = json!({ "logGroupName": "allowed", "logStreamName": "s", "logEvents": [event] });
        client.service("logs", "Logs_20140328.PutLogEvents", &input).unwrap();
    }
    let grown = resident(&server).saturating_sub(before);
    assert!(grown < 128 << 20, "the server has grown by {} MiB", grown >> 20);
    sessions.pop();
    wait_for("room for a session", || (open().1 == "HTTP/1.1 200").then_some(()));
    drop(sessions);
    server.check(&[]);
}

/// Bytes of memory that the server takes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
