//! The server is killed in the middle of its work, and its builds with it or not: fault tests 2 to 6, 8 and 34 of
//! `reliability.md`.

use std::{
    collections::HashSet,
    fs,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use kiln_check::{Accepted, Ends};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    client::{Client, Fault, accepted, buildspec, id, project},
    server::{Server, not_root, processes, rounds, wait_for},
};

/// A build that prints a number every 10 ms, this often.
fn counter(count: u32) -> String {
    format!("i=0; while [ $i -lt {count} ]; do echo count $i; i=$((i+1)); sleep 0.01; done")
}

/// The numbers that it printed are all of them, each once, in order.
#[track_caller]
fn assert_counted(log: &[String], count: u32) {
    let seen: Vec<u32> = log.iter().filter_map(|line| line.strip_prefix("count ")?.parse().ok()).collect();
    let gap = seen.iter().zip(0..).find(|(seen, wanted)| *seen != wanted);
    assert!(gap.is_none() && seen.len() == count as usize, "{} numbers, first wrong {gap:?}", seen.len());
}

/// Waits until a build has printed something; the log may be a second behind.
fn wait_until_it_prints(client: &Client, build: &Accepted, text: &str) {
    wait_for(text, || {
        let page = client.kiln("GetBuildLog", &json!({ "id": id(build), "tail": 100 })).ok()?;
        page["lines"].as_array()?.iter().any(|l| l["text"].as_str().is_some_and(|t| t.contains(text))).then_some(())
    });
}

fn runners(server: &Server, build: &Accepted) -> Vec<i32> {
    processes(&["runner", &build.uuid, &server.data().to_string_lossy()])
}

#[track_caller]
fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_build_does_not_notice_that_its_server_dies() {
    if not_root() {
        return;
    }
    let count = rounds(400, 2000);
    let mut server = Server::start();
    let client = server.client();
    client.project("count", &[&counter(count)]);
    let mut builds = Vec::new();
    for round in 0..rounds(2, 50) {
        let build = client.start_build("count");
        wait_until_it_prints(&client, &build, "count ");
        // At another moment each time, several times in one build.
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(fastrand::u64(0..300)));
            assert!(server.kill());
            thread::sleep(Duration::from_millis(fastrand::u64(0..rounds(300, 10_000))));
            let start = Instant::now();
            server.run();
            assert!(start.elapsed() < Duration::from_secs(2), "round {round}: {:?} until it answered", start.elapsed());
            assert!(runners(&server, &build).len() <= 1);
        }
        let ended = client.finished(&build);
        assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
        assert_counted(&client.log(&build), count);
        builds.push(build);
    }
    server.check(&builds);
}

#[test]
fn a_build_ends_while_there_is_no_server() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    client.project("alone", &[&counter(200), "echo made > f"]);
    let artifact = json!({ "type": "S3", "location": "out", "packaging": "ZIP", "name": "f.zip" });
    let spec = format!("{}artifacts:\n  files: [f]\n", buildspec(&[&counter(200), "echo made > f"]));
    let input = json!({ "projectName": "alone", "artifactsOverride": artifact, "buildspecOverride": spec });
    for stopped in [true, false] {
        let build = accepted(&client.retried("StartBuild", &input)["build"]);
        wait_until_it_prints(&client, &build, "count ");
        let runner = runners(&server, &build);
        assert_eq!(runner.len(), 1);
        if stopped {
            server.stop();
        } else {
            server.kill();
        }
        wait_for("the runner to end", || runners(&server, &build).is_empty().then_some(()));
        let over = now_s();
        server.run();
        let ended = client.finished(&build);
        assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
        assert!(ended["endTime"].as_f64().unwrap() <= over, "it ended when it ended, not when that was found out");
        assert_eq!(ended["artifacts"]["sha256sum"].as_str().map(str::len), Some(64), "{ended}");
        assert_counted(&client.log(&build), 200);
    }
    server.check(&[]);
}

fn now_s() -> f64 {
    let now = time::OffsetDateTime::now_utc();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
    let seconds = (now.unix_timestamp_nanos() / 1_000_000) as f64 / 1000.0 + 0.001;
    seconds
}

/// Where the server may die; `log_segment` is not among them, as short logs have but one segment.
const POINTS: [&str; 14] = [
    "build_accepted",
    "build_given",
    "build_started",
    "build_over",
    "build_log_finished",
    "build_artifacts_stored",
    "build_end_committed",
    "build_stop_recorded",
    "store_before_commit",
    "store_committed",
    "store_sequenced",
    "log_ended",
    "blob_synced",
    "blob_named",
];

/// A whole life: a project, a build with an artifact, one that is stopped. The client tries again when nobody answers;
/// that its builds are not made twice is what tokens are for.
pub(crate) fn scenario(client: &Client) -> Vec<Accepted> {
    let mut input = project("crash", &format!("{}artifacts:\n  files: [f]\n", buildspec(&["echo once", "echo x > f"])));
    input["artifacts"] = json!({ "type": "S3", "location": "out", "packaging": "ZIP", "name": "f.zip" });
    wait_for("CreateProject", || match client.call("CreateProject", &input) {
        Ok(_) => Some(()),
        Err(Fault::Lost(_) | Fault::Refused { status: 500.., .. }) => None,
        // It ends, and says so.
        Err(fault) if fault.code() == "ThrottlingException" => None,
        // It was made, and the answer was lost.
        Err(fault) if fault.code() == "ResourceAlreadyExistsException" => Some(()),
        Err(fault) => panic!("{fault:?}"),
    });
    let input = json!({ "projectName": "crash", "idempotencyToken": "one" });
    let first = accepted(&client.retried("StartBuild", &input)["build"]);
    let long = buildspec(&["echo begun", "sleep 1000"]);
    let input = json!({ "projectName": "crash", "idempotencyToken": "two", "buildspecOverride": long });
    let second = accepted(&client.retried("StartBuild", &input)["build"]);
    let ended = client.finished(&first);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    assert_eq!(client.log(&first).iter().filter(|line| *line == "once").count(), 1);
    client.retried("StopBuild", &json!({ "id": id(&second) }));
    let ended = client.finished(&second);
    assert_eq!(ended["buildStatus"], "STOPPED", "{ended}");
    let ids = client.retried("ListBuildsForProject", &json!({ "projectName": "crash" }));
    assert_eq!(ids["ids"].as_array().map(Vec::len), Some(2), "{ids}");
    assert_eq!(builds_counted(client), 2.0, "each build is counted once");
    vec![first, second]
}

/// How many builds there were by the metrics of CloudWatch.
fn builds_counted(client: &Client) -> f64 {
    let input = json!({
        "Namespace": "AWS/CodeBuild", "MetricName": "Builds", "Statistics": ["Sum"], "Period": 86_400 * 2,
        "StartTime": now_s() - 86_400.0, "EndTime": now_s() + 86_400.0,
    });
    let found = wait_for("GetMetricStatistics", || {
        client.service("monitoring", "GraniteServiceVersion20100801.GetMetricStatistics", &input).ok()
    });
    found["Datapoints"].as_array().unwrap().iter().map(|point| point["Sum"].as_f64().unwrap()).sum()
}

/// Runs the scenario on a server that was told to die, or to fail, and is started again without being told so. How it
/// ended; `None`: it never did.
pub(crate) fn scenario_survives(
    what: &str,
    tell: impl FnOnce(&mut Server),
    untell: impl FnOnce(&mut Server),
) -> Option<(ExitStatus, String)> {
    let mut server = Server::start();
    let client = server.client().stubborn();
    server.stop();
    tell(&mut server);
    server.launch();
    let driver = thread::spawn(move || scenario(&client));
    let status = wait_for(&format!("the server to die at {what}"), || match server.exited() {
        Some(status) => Some(Some(status)),
        None => driver.is_finished().then_some(None),
    });
    let said = server.log();
    untell(&mut server);
    // One that lived through it could still be told so while it ends.
    server.kill();
    server.run();
    let builds = driver.join().unwrap_or_else(|_| panic!("the scenario failed after a death at {what}"));
    server.check(&builds);
    status.map(|status| (status, said))
}

/// False: the server never got to this point.
fn crash_at(point: &str) -> bool {
    let ended = scenario_survives(
        point,
        |server| server.set("KILN_CRASH_POINT", Some(point)),
        |server| server.set("KILN_CRASH_POINT", None),
    );
    if let Some((status, said)) = &ended {
        assert_eq!(status.code(), None, "{point}: the server ended with {status}: {said}");
    }
    ended.is_some()
}

#[test]
fn a_server_that_died_at_any_named_point_goes_on() {
    if not_root() {
        return;
    }
    for point in POINTS {
        assert!(crash_at(point), "{point} was not reached");
        // The store's points are passed by every change: at later ones too, until there are no more.
        if point.starts_with("store_") {
            (2..rounds(4, 100)).take_while(|nth| crash_at(&format!("{point}:{nth}"))).for_each(drop);
        }
    }
}

#[test]
fn a_killed_runner_is_a_fault_and_leaves_nothing() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    client.project("killed", &["(setsid sleep 1000 &); echo begun; sleep 1000"]);
    let mut builds = Vec::new();
    for with_server in [false, true] {
        for _ in 0..rounds(1, 20) {
            let build = client.start_build("killed");
            wait_until_it_prints(&client, &build, "begun");
            if with_server {
                server.kill();
            }
            for pid in runners(&server, &build) {
                kill(pid);
            }
            if with_server {
                server.run();
            }
            let start = Instant::now();
            let ended = client.finished(&build);
            assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
            assert_eq!(ended["buildStatus"], "FAULT", "{ended}");
            assert!(ended.to_string().contains("runner ended without a word"), "the reason: {ended}");
            builds.push(build);
        }
    }
    server.check(&builds);
}

#[test]
fn a_build_that_lost_its_first_process_says_so() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    client.project("init", &["echo begun; sleep 1000"]);
    let build = client.start_build("init");
    wait_until_it_prints(&client, &build, "begun");
    let runner = runners(&server, &build)[0];
    let children = fs::read_to_string(format!("/proc/{runner}/task/{runner}/children")).unwrap();
    kill(children.split_whitespace().next().unwrap().parse().unwrap());
    let ended = client.finished(&build);
    assert_eq!(ended["buildStatus"], "FAULT", "{ended}");
    assert!(ended.to_string().contains("killed by signal 9"), "{ended}");
    server.check(&[build]);
}

#[test]
fn after_a_restart_of_the_machine_nothing_runs_twice() {
    if not_root() {
        return;
    }
    // One at a time, so that others wait.
    let mut server = Server::with(&[("KILN_CAPACITY_MAX_BUILDS", "1")]);
    let client = server.client();
    client.project("reboot", &["echo ran; sleep ${LONG:-0}"]);
    let long =
        json!({ "projectName": "reboot", "environmentVariablesOverride": [{ "name": "LONG", "value": "1000" }] });
    let mut retried = long.clone();
    retried["autoRetryLimitOverride"] = json!(1);
    retried["environmentVariablesOverride"][0]["value"] = json!("3");
    for input in [long, retried] {
        let running = accepted(&client.retried("StartBuild", &input)["build"]);
        wait_until_it_prints(&client, &running, "ran");
        let queued: Vec<_> = (0..3).map(|_| client.start_build("reboot")).collect();
        // All processes at once; mounts and cgroups go with a machine, here the next server clears them up.
        server.kill();
        for pid in processes(&["runner", &server.data().to_string_lossy()]) {
            kill(pid);
        }
        server.run();
        let ended = client.finished(&running);
        assert_eq!(ended["buildStatus"], "FAULT", "{ended}");
        assert!(ended.to_string().contains("the machine was restarted"), "the reason: {ended}");
        for build in &queued {
            let ended = client.finished(build);
            assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
            assert_eq!(client.log(build).iter().filter(|line| *line == "ran").count(), 1);
        }
        if input.get("autoRetryLimitOverride").is_some() {
            let next = ended["autoRetryConfig"]["nextAutoRetry"].as_str().unwrap();
            let next = next.rsplit_once(':').unwrap().1.to_owned();
            let next = Accepted { uuid: next, project: "reboot".to_owned(), number: 0 };
            assert_eq!(client.finished(&next)["buildStatus"], "SUCCEEDED", "tried again by itself");
        }
    }
    server.check(&[]);
}

#[test]
fn killing_the_server_again_and_again_loses_nothing() {
    if not_root() {
        return;
    }
    let (times, at_once) = (rounds(1, 10), rounds(20, 200));
    let most = at_once.to_string();
    let mut server = Server::with(&[
        ("KILN_CAPACITY_MAX_BUILDS", most.as_str()),
        ("KILN_CAPACITY_MEMORY", "10000GiB"),
        ("KILN_NETWORK_MODE", "none"),
    ]);
    let client = server.client();
    client.project("many", &[&counter(rounds(100, 300))]);
    let mut all: Vec<Accepted> = Vec::new();
    for time in 0..times {
        let builds: Vec<Accepted> = thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once)
                .map(|i| {
                    let client = &client;
                    scope.spawn(move || {
                        let token = format!("{time}-{i}");
                        let input = json!({ "projectName": "many", "idempotencyToken": token });
                        accepted(&client.retried("StartBuild", &input)["build"])
                    })
                })
                .collect();
            // While they are being accepted, started, run and ended.
            for _ in 0..rounds(4, 10) {
                thread::sleep(Duration::from_millis(fastrand::u64(20..800)));
                assert!(server.kill(), "the server has ended by itself: {}", server.log());
                server.run();
            }
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let distinct: HashSet<_> = builds.iter().map(|b| &b.uuid).collect();
        assert_eq!(distinct.len(), at_once, "one build for each token");
        for build in &builds {
            let ended = client.finished(build);
            assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
            assert_counted(&client.log(build), rounds(100, 300));
        }
        all.extend(builds);
    }
    let count = client.retried("ListBuildsForProject", &json!({ "projectName": "many" }));
    assert!(all.len() > 100 || count["ids"].as_array().map(Vec::len) == Some(all.len()), "no build twice: {count}");
    // How they ended stays.
    server.stop();
    let before = Ends::read(server.data()).unwrap();
    server.run();
    server.stop();
    let changed = before.changed_in(&Ends::read(server.data()).unwrap());
    assert!(changed.is_empty(), "{changed:?}");
    server.check(&all);
}
