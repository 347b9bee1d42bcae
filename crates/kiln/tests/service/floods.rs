//! Very much output (fault test 14 of `reliability.md`): stored whole whatever its readers do, and read whole by each of the
//! ways that there are.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use kiln_check::Accepted;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    client::{Client, id, project},
    clients::client,
    places::Aws,
    server::{Server, not_root, peak_kib, rounds, wait_for},
};

/// The server's memory may grow by this much under a flood, KiB.
const GROWTH: u64 = 64 << 10;

fn now_ns() -> i128 {
    time::OffsetDateTime::now_utc().unix_timestamp_nanos()
}

/// Number of the first line in which a pattern matches.
#[track_caller]
fn first(client: &Client, build: &Accepted, pattern: &str) -> u64 {
    let mut input = json!({ "id": id(build), "pattern": pattern, "maxMatches": 1 });
    loop {
        let found = client.kiln("SearchBuildLog", &input).unwrap();
        if let Some(number) = found["matches"][0]["number"].as_u64() {
            return number;
        }
        assert_eq!(found["complete"], false, "no line like {pattern}: {found}");
        assert_ne!(found["nextLine"], input["fromLine"], "the search does not go on");
        input["fromLine"] = found["nextLine"].clone();
    }
}

/// How many lines there are in which a pattern matches.
#[track_caller]
fn count(client: &Client, build: &Accepted, pattern: &str) -> u64 {
    let mut input = json!({ "id": id(build), "pattern": pattern });
    let mut matched = 0;
    loop {
        let counted = client.kiln("CountBuildLog", &input).unwrap();
        matched += counted["matchedLines"].as_u64().unwrap();
        if counted["complete"] == true {
            return matched;
        }
        input["fromLine"] = counted["nextLine"].clone();
    }
}

#[test]
fn a_flood_is_stored_whole_while_readers_never_read() {
    if not_root() {
        return;
    }
    let (lines, bytes) = rounds((1_000_000_u64, 24 << 20), (10_000_000, 1_u64 << 30));
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    client.project("small", &["echo small"]);
    client.project("clock", &["for i in $(seq 20); do date +%s%N; sleep 0.05; done"]);
    let long = format!("head -c {bytes} /dev/zero | tr '\\0' x");
    client.project(
        "flood",
        &[
            &format!("seq 1 {lines}"),
            &long,
            "printf 'nul \\000 and \\377\\376 bytes\\n'",
            // Its standard output is closed early.
            "yes | head -n 1; echo the last line",
        ],
    );
    // What is allocated once is allocated by this one.
    let small = client.start_build("small");
    client.finished(&small);
    let before = peak_kib(server.pid());
    let flood = client.start_build("flood");
    wait_for("the flood to begin", || {
        let page = client.kiln("GetBuildLog", &json!({ "id": id(&flood), "tail": 1 })).ok()?;
        (page["lines"][0]["number"].as_u64()? > 100).then_some(())
    });
    let never_reads = |operation: &str, input: &Value| {
        let body = serde_json::to_vec(input).unwrap();
        let target = format!("Kiln_20261122.{operation}");
        client.open("kiln", &target, "application/x-amz-json-1.1", &body, body.len()).unwrap()
    };
    let readers = [
        never_reads("GetBuildJournal", &json!({ "id": id(&flood), "follow": true })),
        never_reads("GetBuildJournal", &json!({ "id": id(&flood) })),
        never_reads("GetBuildLog", &json!({ "id": id(&flood), "fromLine": 1, "maxLines": 10_000 })),
        never_reads("GetBuildLog", &json!({ "id": id(&flood), "tail": 10_000 })),
        never_reads("SearchBuildLog", &json!({ "id": id(&flood), "text": "1", "maxMatches": 1000 })),
    ];
    // Another build's lines are to be seen meanwhile, soon after they were printed.
    let other = client.start_build("clock");
    let mut lags = Vec::new();
    wait_for("the other build's lines", || {
        let input = json!({ "id": id(&other), "pattern": "^[0-9]{19}$", "maxMatches": 100 });
        let found = client.kiln("SearchBuildLog", &input).ok()?;
        let matches = found["matches"].as_array()?;
        let now = now_ns();
        for line in matches.get(lags.len()..).unwrap_or_default() {
            lags.push((now - line["text"].as_str()?.parse::<i128>().ok()?) / 1_000_000);
        }
        (lags.len() == 20).then_some(())
    });
    lags.sort_unstable();
    let ended = client.finished(&flood);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    client.finished(&other);

    assert_eq!(count(&client, &flood, "^[0-9]+$"), lines);
    assert_eq!(count(&client, &flood, "^x{1000}"), 1);
    assert_eq!(count(&client, &flood, "^nul \u{0} and \u{fffd}\u{fffd} bytes$"), 1);
    // Each line is where it should be: the log is in order and nothing is missing.
    let (one, xs, last) =
        (first(&client, &flood, "^1$"), first(&client, &flood, "^x{9}"), first(&client, &flood, "^the last line$"));
    assert_eq!((xs, last), (one + lines + 2, xs + 7));
    for n in [1, lines / 3, lines] {
        let page = client.kiln("GetBuildLog", &json!({ "id": id(&flood), "fromLine": one + n - 1, "maxLines": 1 }));
        assert_eq!(page.unwrap()["lines"][0]["text"], n.to_string());
    }
    let text = |line: u64| {
        let page = client.kiln("GetBuildLog", &json!({ "id": id(&flood), "fromLine": line, "maxLines": 2 })).unwrap();
        let start = |index: usize| page["lines"][index]["byte"].as_u64().unwrap();
        start(1) - start(0)
    };
    assert_eq!(text(xs), bytes + 1, "the long line is stored whole");
    let described = client.kiln("DescribeBuild", &json!({ "id": id(&flood) })).unwrap();
    let places: Vec<_> = described["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["firstLine"].as_u64(), c["lastLine"].as_u64()))
        .collect();
    let expected = [(one, one + lines - 1), (xs, xs), (xs + 3, xs + 3), (last - 1, last)];
    assert_eq!(places, expected.map(|(from, to)| (Some(from), Some(to))), "{described}");

    let grown = peak_kib(server.pid()).saturating_sub(before);
    let lag = lags[lags.len() / 2];
    println!("{lines} lines and one of {bytes} bytes: the server's memory grew by {grown} KiB, others lag {lag} ms");
    assert!(grown < GROWTH, "memory grew by {grown} KiB");
    // On an idle machine a few milliseconds; the quick form runs beside other tests.
    assert!(lag < rounds(10_000, 1000), "another build's lines were {lag} ms late: {lags:?}");
    drop(readers);
    server.check(&[small, flood, other]);
}

/// A page of CloudWatch's.
#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
    #[serde(rename = "nextForwardToken", alias = "nextToken")]
    forward: Option<String>,
    #[serde(rename = "nextBackwardToken")]
    backward: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    message: String,
}

/// What has the digest and the length of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    sha256: String,
}

fn seen(mut from: impl Read) -> Seen {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let n = from.read(&mut buffer).unwrap();
        if n == 0 {
            return Seen { bytes, sha256: hex::encode(digest.finalize()) };
        }
        bytes += n as u64;
        digest.update(&buffer[..n]);
    }
}

fn printed_by(command: &mut Command) -> Seen {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let seen = seen(child.stdout.take().unwrap());
    assert!(child.wait().unwrap().success(), "{command:?}");
    seen
}

/// A log as pages of events, each of which names the next one.
struct Events<'a> {
    client: &'a Client,
    operation: &'a str,
    input: Value,
    page: Vec<u8>,
    at: usize,
    over: bool,
}

impl<'a> Events<'a> {
    fn new(client: &'a Client, operation: &'a str, input: Value) -> Self {
        Self { client, operation, input, page: Vec::new(), at: 0, over: false }
    }

    fn next_page(&mut self) {
        let target = format!("Logs_20140328.{}", self.operation);
        let answer = self.client.bytes("logs", &target, &self.input).unwrap();
        let page: Page = serde_json::from_slice(&answer).unwrap();
        self.at = 0;
        self.page = page.events.iter().flat_map(|event| event.message.bytes()).collect();
        let next = page.forward.map_or(Value::Null, Value::String);
        self.over = next.is_null() || self.input["nextToken"] == next;
        self.input["nextToken"] = next;
    }
}

impl Read for Events<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.page.len() && !self.over {
            self.next_page();
        }
        let n = (&self.page[self.at..]).read(buffer)?;
        self.at += n;
        Ok(n)
    }
}

/// A log from its last page to its first one: `digests` of the forward direction cannot be used, so the pages are compared
/// with what stands in a file, from its end.
fn same_backward(client: &Client, mut input: Value, file: &std::fs::File, length: u64) {
    use std::os::unix::fs::FileExt as _;
    let mut end = length;
    loop {
        let answer = client.bytes("logs", "Logs_20140328.GetLogEvents", &input).unwrap();
        let page: Page = serde_json::from_slice(&answer).unwrap();
        let text: Vec<u8> = page.events.iter().flat_map(|event| event.message.bytes()).collect();
        let mut expected = vec![0; text.len()];
        end = end.checked_sub(text.len() as u64).unwrap_or_else(|| panic!("more than {length} bytes backward"));
        file.read_exact_at(&mut expected, end).unwrap();
        assert!(text == expected, "backward, the page at byte {end} differs");
        let next = page.backward.map_or(Value::Null, Value::String);
        if input["nextToken"] == next {
            assert_eq!(end, 0, "backward, the log's beginning is missing");
            return;
        }
        input["nextToken"] = next;
    }
}

#[test]
fn a_long_log_is_the_same_bytes_whoever_reads_it() {
    if not_root() {
        return;
    }
    let (lines, wide) = rounds((100_000_u64, 16_000_u64), (10_000_000, 1_000_000));
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    // Short lines, wide ones, and some that are cut in any place by what transports them.
    let commands = [
        format!("seq 1 {lines}"),
        format!(
            "head -c 930 /dev/zero | tr '\\0' = > fill; awk -v n={wide} '{{ for (i = 0; i < n; i++) print i, \"ä\", $0 }}' fill"
        ),
        "printf 'no end'".to_owned(),
    ];
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let mut input = project("long", &crate::client::buildspec(&commands));
    let aws = client_program(&server);
    if let Some(aws) = &aws {
        aws.run(&["s3", "mb", "s3://long"]);
        input["logsConfig"] = json!({ "s3Logs": { "status": "ENABLED", "location": "long/logs" } });
    }
    client.retried("CreateProject", &input);
    let build = client.start_build("long");
    let ended = client.finished(&build);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let name = id(&build);
    let status = server.kiln(&["logs", &name]).stdout(std::fs::File::create(&path).unwrap()).status().unwrap();
    assert!(status.success());
    let file = std::fs::File::open(&path).unwrap();
    let log = seen(&file);
    // What the build printed, and nothing else between.
    let shell = |script: &str| printed_by(Command::new("sh").arg("-c").arg(script).current_dir(directory.path()));
    let printed = shell(&format!("{}; {}", commands[0], commands[1]));
    assert_eq!(shell("grep -E '^[0-9]+( ä =+)?$' log"), printed);
    assert!(log.bytes > printed.bytes);

    let stream = json!({ "logGroupName": "/aws/codebuild/long", "logStreamName": build.uuid });
    let with = |also: Value| {
        let mut input = stream.clone();
        input.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
        input
    };
    assert_eq!(seen(Events::new(&client, "GetLogEvents", with(json!({ "startFromHead": true })))), log);
    same_backward(&client, stream.clone(), &file, log.bytes);
    let all = json!({ "logGroupName": "/aws/codebuild/long", "logStreamNames": [build.uuid] });
    assert_eq!(seen(Events::new(&client, "FilterLogEvents", all)), log);
    if let Some(aws) = &aws {
        let object = directory.path().join("log.gz");
        aws.run(&["s3", "cp", "--quiet", &format!("s3://long/logs/{}.gz", build.uuid), object.to_str().unwrap()]);
        assert_eq!(printed_by(Command::new("gzip").arg("-dc").arg(&object)), log);
    }
    server.check(&[build]);
}

/// The AWS CLI, where it can be had.
fn client_program(server: &Server) -> Option<Aws<'_>> {
    let python = client("python")?;
    Some(Aws { server, program: python.join("bin/aws"), endpoint: None })
}
