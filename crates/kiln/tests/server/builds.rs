//! Builds over the command line, in real containers.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, Run};

/// A server needs root, as build services have it.
fn may_build(name: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: {name}: needs root");
    }
    root
}

const SPEC: &str = "version: 0.2
phases:
  build:
    commands:
      - cat data.txt link; test -x run.sh && echo \"hello $WHO\"
artifacts:
  files: ['data.txt']
";

/// A working tree, and a project that it can be built with.
fn project(place: &Place) -> String {
    let tree = place.path("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("buildspec.yml"), SPEC).unwrap();
    fs::write(tree.join("data.txt"), "some data\n").unwrap();
    fs::write(tree.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("data.txt", tree.join("link")).unwrap();
    create_project(place);
    tree.to_str().unwrap().to_owned()
}

/// Calls CreateProject with curl's own Signature Version 4.
fn create_project(place: &Place) {
    let input = r#"{"name":"demo","source":{"type":"S3","location":"kiln-000000000000-us-east-1/none.zip"},
        "artifacts":{"type":"S3","location":"kiln-000000000000-us-east-1","packaging":"ZIP"},
        "environment":{"type":"LINUX_CONTAINER","image":"host","computeType":"BUILD_GENERAL1_SMALL"},
        "serviceRole":"arn:aws:iam::000000000000:role/kiln-default-build-role"}"#;
    let env = place.run(&["env"]).succeeded().stdout();
    let script = format!(
        "{env}\ncurl -sS --fail-with-body --aws-sigv4 aws:amz:us-east-1:codebuild --user \
         \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" -H 'content-type: application/x-amz-json-1.1' \
         -H 'x-amz-target: CodeBuild_20161006.CreateProject' --data \"$INPUT\" \"$AWS_ENDPOINT_URL/\""
    );
    Run(Command::new("sh").arg("-c").arg(script).env("INPUT", input).output().unwrap()).succeeded();
}

#[test]
fn a_working_tree_is_built_and_its_artifacts_come_back() {
    if !may_build("a_working_tree_is_built_and_its_artifacts_come_back") {
        return;
    }
    let place = Place::new();
    let _server = place.serve(&[]);
    let tree = project(&place);
    let out = place.path("out");
    let args = ["build", "start", "demo", "--source", &tree, "--follow", "-e", "WHO=you", "--artifacts"];
    let run = place.run(&[&args[..], &[out.to_str().unwrap()]].concat()).succeeded();
    assert!(run.stdout().contains("some data\nsome data\nhello you\n"), "{}", run.stdout());
    assert!(run.stderr().contains("SUCCEEDED  build 1"), "{}", run.stderr());
    assert!(run.stderr().contains("arn:aws:s3:::kiln-000000000000-us-east-1/"), "{}", run.stderr());
    let zip = fs::read(out.join("artifacts.zip")).unwrap();
    assert!(zip.starts_with(b"PK"));

    let listed = place.run(&["build", "ls", "demo"]).succeeded().stdout();
    let id = listed.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(id.starts_with("demo:"), "{listed}");
    for args in [&["logs", &id][..], &["logs", "-f", &id]] {
        assert_eq!(place.run(args).succeeded().stdout(), run.stdout(), "the log again, byte for byte");
    }

    fs::write(place.path("tree/buildspec.yml"), SPEC.replace("cat data.txt", "exit 7; cat")).unwrap();
    let failed = place.run(&["build", "start", "demo", "--source", &tree, "--follow"]);
    assert_eq!(failed.code(), 1, "{}", failed.stderr());
    let id = failed.stderr().lines().next().unwrap().strip_prefix("kiln: build ").unwrap().to_owned();
    let mut shell = place.kiln(&["debug", &id]);
    let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), b"cat data.txt\nexit 5\n").unwrap();
    let shell = Run(shell.wait_with_output().unwrap());
    assert!(shell.stdout().contains("some data"), "{}", shell.stdout());
    assert_eq!(shell.code(), 5);
}

/// A build that goes on until it is stopped; told by its output that it has begun.
const WAITS: &str = "version: 0.2
phases:
  build:
    commands:
      - echo line one; sleep 600
";

#[test]
fn ctrl_c_stops_the_build() {
    if !may_build("ctrl_c_stops_the_build") {
        return;
    }
    let place = Place::new();
    let _server = place.serve(&[]);
    let tree = project(&place);
    fs::write(place.path("tree/buildspec.yml"), WAITS).unwrap();
    let mut start = place.kiln(&["build", "start", "demo", "--source", &tree, "--follow"]);
    let mut child = start.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != "line one\n" {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    std::io::copy(&mut log, &mut std::io::sink()).unwrap();
    let ended = Run(child.wait_with_output().unwrap());
    assert_eq!(ended.code(), 130, "{}", ended.stderr());
    assert!(ended.stderr().contains("STOPPED in BUILD"), "{}", ended.stderr());
}

#[test]
fn a_server_that_is_killed_comes_back_and_who_follows_misses_nothing() {
    if !may_build("a_server_that_is_killed_comes_back_and_who_follows_misses_nothing") {
        return;
    }
    let place = Place::new();
    let server = place.serve(&[]);
    let tree = project(&place);
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - for i in $(seq 1 30); do echo line $i; sleep 0.1; done\n";
    fs::write(place.path("tree/buildspec.yml"), spec).unwrap();
    let mut start = place.kiln(&["build", "start", "demo", "--source", &tree, "--follow"]);
    let mut child = start.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut seen) = (String::new(), String::new());
    while line != "line 5\n" {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "{seen}");
        seen.push_str(&line);
    }
    server.signal(Signal::KILL);
    server.end();
    let _server = place.serve_again();
    std::io::Read::read_to_string(&mut log, &mut seen).unwrap();
    let ended = Run(child.wait_with_output().unwrap()).succeeded();
    let lines: Vec<_> = seen.lines().filter(|line| line.starts_with("line ")).collect();
    let wanted: Vec<_> = (1..=30).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, wanted, "no line is lost or doubled");
    assert!(ended.stderr().contains("SUCCEEDED  build 1"), "{}", ended.stderr());
}
