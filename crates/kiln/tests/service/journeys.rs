//! Whole journeys through the service, each with another client as it comes from its maker.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{accepted, buildspec, project},
    clients::{client, command, run, script, text},
    server::{Server, not_root, wait_for},
    terraform::{Terraform, plugins},
};

/// `aws codebuild …`, its answer.
struct Cli<'a> {
    server: &'a Server,
    aws: PathBuf,
}

impl Cli<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.server, &self.aws);
        command.arg("codebuild").args(args).args(["--output", "json"]);
        command
    }

    #[track_caller]
    fn call(&self, args: &[&str]) -> Value {
        serde_json::from_str(&run(&mut self.command(args))).unwrap_or_default()
    }

    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output));
        text(&output)
    }

    #[track_caller]
    fn finished(&self, id: &str) -> Value {
        wait_for("a build to be COMPLETED", || {
            let mut found = self.call(&["batch-get-builds", "--ids", id]);
            let build = found["builds"][0].take();
            (build["currentPhase"] == "COMPLETED").then_some(build)
        })
    }
}

#[test]
fn the_aws_cli_makes_a_whole_journey() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let cli = Cli { server: &server, aws: python.join("bin/aws") };
    let files = TempDir::new().unwrap();
    let input = files.path().join("project.json");
    fs::write(&input, project("demo", &buildspec(&["echo hello $NAME", "exit $STATUS"])).to_string()).unwrap();
    let input = format!("file://{}", input.display());

    let created = cli.call(&["create-project", "--cli-input-json", &input, "--tags", "key=team,value=blue"]);
    let arn = created["project"]["arn"].as_str().unwrap();
    assert_eq!(arn, "arn:aws:codebuild:us-east-1:000000000000:project/demo");
    assert!(cli.refused(&["create-project", "--cli-input-json", &input]).contains("ResourceAlreadyExistsException"));
    assert_eq!(cli.call(&["list-projects"])["projects"], json!(["demo"]));
    let got = cli.call(&["batch-get-projects", "--names", arn, "nowhere"]);
    assert_eq!((&got["projects"][0]["name"], &got["projectsNotFound"]), (&json!("demo"), &json!(["nowhere"])));
    assert_eq!(got["projects"][0]["tags"], json!([{ "key": "team", "value": "blue" }]));
    let updated = cli.call(&["update-project", "--name", "demo", "--description", "a demonstration"]);
    assert_eq!(
        (&updated["project"]["description"], &updated["project"]["tags"]),
        (&json!("a demonstration"), &json!([]))
    );

    let start = ["start-build", "--project-name", "demo", "--environment-variables-override"];
    let good = cli.call(&[&start[..], &["name=NAME,value=world", "name=STATUS,value=0"]].concat());
    let good = accepted(&good["build"]);
    let id = format!("demo:{}", good.uuid);
    let ended = cli.finished(&id);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    let log = server.client().log(&good);
    assert!(log.iter().any(|line| line == "hello world"), "{log:?}");

    let bad = cli.call(&[&start[..], &["name=STATUS,value=7"]].concat());
    let bad = accepted(&bad["build"]);
    let ended = cli.finished(&format!("demo:{}", bad.uuid));
    assert_eq!((&ended["buildStatus"], &ended["buildNumber"]), (&json!("FAILED"), &json!(2)));
    assert!(
        ended.to_string().contains("Error while executing command: exit $STATUS. Reason: exit status 7"),
        "{ended}"
    );

    let long = buildspec(&["echo begun", "sleep 1000"]);
    let long = cli.call(&["start-build", "--project-name", "demo", "--buildspec-override", &long]);
    let long = accepted(&long["build"]);
    let long_id = format!("demo:{}", long.uuid);
    let stopped = cli.call(&["stop-build", "--id", &long_id]);
    assert!(["STOPPED", "IN_PROGRESS"].contains(&stopped["build"]["buildStatus"].as_str().unwrap()));
    assert_eq!(cli.finished(&long_id)["buildStatus"], "STOPPED");

    let again = accepted(&cli.call(&["retry-build", "--id", &id])["build"]);
    assert_eq!(cli.finished(&format!("demo:{}", again.uuid))["buildStatus"], "SUCCEEDED");
    let listed = cli.call(&["list-builds-for-project", "--project-name", "demo"]);
    let newest_first: Vec<_> = [&again, &long, &bad, &good].iter().map(|b| format!("demo:{}", b.uuid)).collect();
    assert_eq!(listed["ids"], json!(newest_first));

    let deleted = cli.call(&["batch-delete-builds", "--ids", &id, "demo:00000000-0000-4000-8000-000000000000"]);
    assert_eq!(deleted["buildsDeleted"], json!([format!("arn:aws:codebuild:us-east-1:000000000000:build/{id}")]));
    assert_eq!(deleted["buildsNotDeleted"].as_array().unwrap().len(), 1, "{deleted}");
    assert_eq!(cli.call(&["batch-get-builds", "--ids", &id])["buildsNotFound"], json!([id]));
    cli.call(&["delete-project", "--name", arn]);
    cli.call(&["delete-project", "--name", arn]);
    assert_eq!(cli.call(&["list-projects"])["projects"], json!([]));
    server.check(&[bad, long, again]);
}

#[test]
fn boto3_sees_codebuild() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    // The token of a source credential in it.
    server.secret("secret-token");
    run(command(&server, &python.join("bin/python")).arg(script("journey.py")));
    server.check(&[]);
}

#[test]
fn boto3_pages_through_everything() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("pages.py")));
    server.check(&[]);
}

#[test]
fn strangers_are_refused_with_the_codes_of_aws() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("strangers.py")));
    server.check(&[]);
}

#[test]
fn the_sdk_for_javascript_makes_a_journey() {
    let (false, Some(node)) = (not_root(), client("node")) else { return };
    let mut server = Server::start();
    run(command(&server, Path::new("node")).arg(script("journey.cjs")).env("NODE_PATH", node.join("node_modules")));
    server.check(&[]);
}

#[test]
fn terraform_applies_without_a_difference_and_destroys() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "main.tf");
    terraform.apply(&[]);
    // What was said before is taken back: tags, limit, description.
    terraform.apply(&["plain=true"]);
    let project = server.client().retried("BatchGetProjects", &json!({ "names": ["terraform"] }));
    let project = &project["projects"][0];
    assert_eq!((&project["tags"], &project["concurrentBuildLimit"]), (&json!([]), &Value::Null), "{project}");
    terraform.destroy(&[]);
    assert_eq!(server.client().retried("ListProjects", &json!({}))["projects"], json!([]));
    server.check(&[]);
}

/// Tests of moto that Kiln answers otherwise, and why: they encode a shortcut of an emulator that runs nothing.
const SHORTCUTS: [(&str, &str); 6] = [
    ("test_codebuild_create_project_s3_artifacts", "wants none of the defaults that CodeBuild writes into the project"),
    ("test_codebuild_create_project_no_artifacts", "wants none of the defaults that CodeBuild writes into the project"),
    ("test_codebuild_start_build_no_overrides", "wants the version refs/heads/main of an object in S3"),
    ("test_codebuild_batch_get_builds_1_project", "wants all phases of a build that has not begun, or has no source"),
    ("test_codebuild_batch_get_builds_2_projects", "wants the oldest build first"),
    ("test_codebuild_stop_build", "wants STOPPED of a build that was over before, as its source does not exist"),
];

#[test]
fn motos_own_tests_pass() {
    let (false, Some(moto)) = (not_root(), client("moto")) else { return };
    // What is written in those tests.
    let mut server = Server::with(&[("KILN_ACCOUNT", "123456789012"), ("KILN_REGION", "eu-central-1")]);
    let mut pytest = command(&server, &moto.join("bin/python"));
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "moto_front", "--tb=short"])
        .arg(moto.join("tests/test_codebuild/test_codebuild.py"))
        .env("PYTHONPATH", script(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TEST_SERVER_MODE", "true")
        .env("MOTO_SHORTCUTS", SHORTCUTS.map(|(test, _)| test).join(" "))
        .current_dir(&moto);
    let said = run(&mut pytest);
    println!("{}", said.lines().last().unwrap_or_default());
    for (test, why) in SHORTCUTS {
        println!("answered otherwise: {test} {why}");
    }
    server.check(&[]);
}
