//! Many at once: fault tests 18, 20 and 34 of `reliability.md`, and the queue as its users see it.

use std::{
    collections::{BTreeMap, HashSet},
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    client::{Client, accepted},
    server::{Server, not_root, resident_kib, rounds, wait_for},
};

/// Resident memory may grow by this much over a thousand builds, KiB.
const GROWTH: u64 = 16 << 10;
/// Requests on their way together, and builds that run together, of the test of the queue.
const AT_THE_SAME_TIME: usize = 4 + 4;

fn in_parallel<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || (first..count).step_by(threads).map(work).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn queued_builds_finish_in_order_with_flat_memory() {
    if not_root() {
        return;
    }
    let count = rounds(200, 10_000);
    let mut server = Server::with(&[("KILN_CAPACITY_MAX_BUILDS", "4"), ("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    for project in ["red", "blue"] {
        client.project(project, &["true"]);
    }
    // What is allocated once is allocated by these.
    let first = client.start_build("red");
    client.finished(&first);
    let mut slowest = std::time::Duration::ZERO;
    let builds = in_parallel(4, count, |i| {
        let start = Instant::now();
        let build = client.start_build(if i % 2 == 0 { "red" } else { "blue" });
        (build, start.elapsed())
    });
    for (_, took) in &builds {
        slowest = slowest.max(*took);
    }
    let builds: Vec<_> = builds.into_iter().map(|(build, _)| build).collect();
    let accepted_memory = resident_kib(server.pid());
    // The queue says what it waits for.
    let queue = client.kiln("DescribeQueue", &json!({ "maxResults": 1000 })).unwrap();
    assert!(
        queue["capacity"]["maxBuilds"] == 4 && queue["capacity"]["runningBuilds"].as_u64().unwrap() <= 4,
        "{queue}"
    );
    let waiting = queue["queued"].as_array().unwrap();
    assert!(waiting.iter().all(|build| build["queue"]["reason"].as_str().is_some_and(|r| !r.is_empty())), "{queue}");

    let mut peak = accepted_memory;
    let mut left = u64::MAX;
    while left > 0 {
        left = wait_for("the queue to get shorter", || {
            peak = peak.max(resident_kib(server.pid()));
            let queue = client.kiln("DescribeQueue", &json!({})).ok()?;
            let capacity = &queue["capacity"];
            let now = capacity["queuedBuilds"].as_u64().unwrap() + capacity["runningBuilds"].as_u64().unwrap();
            (now < left).then_some(now)
        });
    }
    let mut order: BTreeMap<String, Vec<(f64, i64)>> = BTreeMap::new();
    for part in builds.chunks(100) {
        let ids: Vec<_> = part.iter().map(crate::client::id).collect();
        let found = client.retried("BatchGetBuilds", &json!({ "ids": ids }));
        for build in found["builds"].as_array().unwrap() {
            assert_eq!(build["buildStatus"], "SUCCEEDED", "{build}");
            let queued = build["phases"].as_array().unwrap().iter().find(|p| p["phaseType"] == "QUEUED").unwrap();
            let project = build["projectName"].as_str().unwrap().to_owned();
            let left = (queued["endTime"].as_f64().unwrap(), build["buildNumber"].as_i64().unwrap());
            order.entry(project).or_default().push(left);
        }
    }
    for (project, mut left) in order {
        left.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sorted: Vec<_> = left.iter().map(|(_, number)| *number).collect();
        sorted.sort_unstable();
        // Oldest first; only those that were accepted, or given away, at the same time may change places.
        let wrong = left
            .iter()
            .enumerate()
            .find(|(place, (_, number))| sorted.binary_search(number).unwrap().abs_diff(*place) > AT_THE_SAME_TIME);
        assert!(wrong.is_none(), "{project}: {wrong:?}");
    }
    let memory = resident_kib(server.pid());
    println!(
        "{count} builds: {accepted_memory} KiB when accepted, at most {peak} KiB, {memory} KiB at the end; \
         StartBuild took at most {slowest:?}"
    );
    assert!(peak < accepted_memory + GROWTH, "memory grew from {accepted_memory} to {peak} KiB");
    let mut all = builds;
    all.push(first);
    server.check(&all);
}

#[test]
fn as_many_files_may_be_open_as_the_machine_allows() {
    let data = tempfile::TempDir::new().unwrap();
    let mut server = Server::prepare(data.path(), &[]);
    server.wrap(&["prlimit", "--nofile=256:4096"]);
    server.run();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().filter(|word| *word == "4096").count(), 2, "{files}");
    server.check(&[]);
}

#[test]
fn forty_builds_at_once_leave_nothing() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_CAPACITY_MAX_BUILDS", "40"), ("KILN_CAPACITY_MEMORY", "1000GiB")]);
    let client = server.client();
    client.project("forty", &["true"]);
    let mut all = Vec::new();
    for _ in 0..rounds(1, 20) {
        let builds = in_parallel(8, 40, |_| client.start_build("forty"));
        for build in &builds {
            let ended = client.finished(build);
            assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
        }
        all.extend(builds);
    }
    server.check(&all);
}

/// Whatever is the same in all answers.
fn start(client: &Client, token: &str, extra: &Value) -> Value {
    let mut input = json!({ "projectName": "token", "idempotencyToken": token });
    for (name, value) in extra.as_object().unwrap() {
        input[name] = value.clone();
    }
    client.retried("StartBuild", &input)["build"].take()
}

#[test]
fn one_token_is_one_build() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    client.project("token", &["true"]);
    let none = json!({});
    let answers = in_parallel(8, 100, |_| start(&client, "same", &none));
    let ids: HashSet<_> = answers.iter().map(|b| b["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "one build");
    let first = accepted(&answers[0]);
    let refused = |client: &Client| {
        let other = json!({ "projectName": "token", "idempotencyToken": "same", "timeoutInMinutesOverride": 5 });
        assert_eq!(client.refused("StartBuild", &other).0, "InvalidInputException");
    };
    refused(&client);
    let other = accepted(&start(&client, "other", &none));
    assert_ne!(first.uuid, other.uuid);

    // Across a kill: also when the answer is what was lost.
    server.kill();
    server.run();
    assert_eq!(accepted(&start(&client, "same", &none)).uuid, first.uuid);
    refused(&client);
    server.stop();
    server.set("KILN_CRASH_POINT", Some("build_accepted"));
    server.launch();
    let lost = wait_for("the server to die before it answers", || {
        match client.call("StartBuild", &json!({ "projectName": "token", "idempotencyToken": "lost" })) {
            Ok(answer) => panic!("an answer: {answer}"),
            Err(_) => server.exited(),
        }
    });
    assert_eq!(lost.code(), None);
    server.set("KILN_CRASH_POINT", None);
    server.run();
    let third = accepted(&start(&client, "lost", &none));
    assert_eq!(third.number, other.number + 1, "the one that was recorded, not another one");
    for build in [&first, &other, &third] {
        client.finished(build);
    }
    let listed = client.retried("ListBuildsForProject", &json!({ "projectName": "token" }));
    assert_eq!(listed["ids"].as_array().map(Vec::len), Some(3), "{listed}");
    server.check(&[first, other, third]);
}
