//! Git repositories, driven by unmodified clients, and killed in the middle of pushes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::Client,
    clients::{client, command, run, script, text},
    server::{Server, not_root, rounds, wait_for},
    terraform::{Terraform, plugins},
};

#[track_caller]
fn codecommit(client: &Client, operation: &str, input: &Value) -> Value {
    client.service("codecommit", &format!("CodeCommit_20150413.{operation}"), input).unwrap()
}

/// How git signs in.
#[derive(Clone)]
enum Login {
    /// User name and password.
    Password(String, String),
    /// By the AWS CLI's credential helper, with these variables.
    Helper(Vec<(String, String)>),
}

/// Makes a command of git with these arguments.
type MakeGit = Box<dyn Fn(&[&str]) -> Command + Send>;

/// A server with a certificate, and people who use git with it.
struct Hosted {
    server: Server,
    work: TempDir,
}

impl Hosted {
    fn start() -> Self {
        let work = TempDir::new().unwrap();
        let data = work.path().join("data");
        let mut server = Server::prepare(&data, &[]);
        run(&mut server.kiln(&["tls", "init"]));
        let tls = |name: &str| data.join("tls").join(name).display().to_string();
        server.set("KILN_TLS_CERT", Some(&tls("server.pem")));
        server.set("KILN_TLS_KEY", Some(&tls("server.key")));
        server.run();
        Self { server, work }
    }

    fn url(&self, name: &str) -> String {
        format!("https://{}/v1/repos/{name}", self.server.address())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// Git in a directory, without any settings of this machine.
    fn git(&self, directory: &str, login: Option<&Login>, args: &[&str]) -> Command {
        let mut git = Command::new("git");
        fs::create_dir_all(self.path(directory)).unwrap();
        git.current_dir(self.path(directory))
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.server.data().join("tls/ca.pem"))
            .args(["-c", "user.name=A B", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]);
        match login {
            None => {}
            Some(Login::Password(user, password)) => {
                git.env("GIT_USER", user).env("GIT_PASSWORD", password).args([
                    "-c",
                    "credential.helper=!f() { echo \"username=$GIT_USER\"; echo \"password=$GIT_PASSWORD\"; }; f",
                ]);
            }
            Some(Login::Helper(variables)) => {
                let helper = "credential.helper=!f() { test \"$1\" = get && aws codecommit credential-helper get \
                              --ignore-host-check; }; f";
                git.args(["-c", helper, "-c", "credential.UseHttpPath=true"]).envs(variables.iter().cloned());
                git.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
                let mut path = client("python").map_or_else(PathBuf::new, |python| python.join("bin")).into_os_string();
                path.push(":/usr/bin:/bin");
                git.env("PATH", path);
            }
        }
        git.args(args);
        git
    }

    /// Writes a file, commits and pushes it to `main`.
    fn push(&self, directory: &str, login: &Login, name: &str) -> Output {
        fs::write(self.path(directory).join(name), name).unwrap();
        run(&mut self.git(directory, None, &["add", "."]));
        run(&mut self.git(directory, None, &["commit", "--quiet", "--message", name]));
        self.git(directory, Some(login), &["push", "--quiet", "origin", "HEAD:main"]).output().unwrap()
    }

    /// A user with a policy for git, and their password.
    fn user(&self, name: &str, statements: &Value) -> Login {
        let root = self.server.client();
        root.iam(&[("Action", "CreateUser"), ("UserName", name)]);
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let put = [("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "git"), ("PolicyDocument", &policy)];
        root.iam(&put);
        let made = root.iam(&[
            ("Action", "CreateServiceSpecificCredential"),
            ("UserName", name),
            ("ServiceName", "codecommit.amazonaws.com"),
        ]);
        let part = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>")).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        Login::Password(part("ServiceUserName"), part("ServicePassword"))
    }

    /// What `kiln env` says, but without TLS for what is no git.
    fn environment(&self) -> BTreeMap<String, String> {
        let text = run(&mut self.server.kiln(&["env"]));
        let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let mut variables: BTreeMap<_, _> =
            lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
        variables.insert("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", self.server.address()));
        variables
    }

    /// Whoever has the root key.
    fn root(&self) -> Login {
        Login::Helper(self.environment().into_iter().collect())
    }

    fn create(&self, name: &str) {
        codecommit(&self.server.client(), "CreateRepository", &json!({ "repositoryName": name }));
    }

    fn tip(&self, name: &str, branch: &str) -> String {
        let input = json!({ "repositoryName": name, "branchName": branch });
        let found = codecommit(&self.server.client(), "GetBranch", &input);
        found["branch"]["commitId"].as_str().unwrap().to_owned()
    }
}

fn everything() -> Value {
    json!([{ "Effect": "Allow", "Action": "codecommit:*", "Resource": "*" }])
}

fn refused(output: &Output, what: &str) {
    assert!(!output.status.success() && text(output).contains(what), "{}", text(output));
}

#[test]
fn static_passwords_clone_and_push_what_policies_allow() {
    let hosted = Hosted::start();
    hosted.create("demo");
    let alice = hosted.user("alice", &everything());
    let url = hosted.url("demo");
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", &url, "alice"]));
    assert!(hosted.push("alice", &alice, "one").status.success());
    assert!(hosted.push("alice", &alice, "two").status.success());
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", "--depth=1", &url, "shallow"]));
    assert!(hosted.path("shallow/two").is_file());
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", "--filter=blob:none", &url, "partial"]));

    // Whoever may only pull cannot push, and is told so.
    let pull =
        json!([{ "Effect": "Allow", "Action": "codecommit:GitPull", "Resource": "arn:aws:codecommit:*:*:demo" }]);
    let bob = hosted.user("bob", &pull);
    run(&mut hosted.git("", Some(&bob), &["clone", "--quiet", &url, "bob"]));
    refused(&hosted.push("bob", &bob, "three"), "403");
    hosted.create("other");
    refused(&hosted.git("", Some(&bob), &["ls-remote", &hosted.url("other")]).output().unwrap(), "403");
    // A branch may be closed to some.
    let push = json!([
        { "Effect": "Allow", "Action": ["codecommit:GitPull", "codecommit:GitPush"], "Resource": "*" },
        { "Effect": "Deny", "Action": "codecommit:GitPush", "Resource": "*", "Condition": {
            "StringEqualsIfExists": { "codecommit:References": "refs/heads/main" },
            "Null": { "codecommit:References": "false" } } },
    ]);
    let carol = hosted.user("carol", &push);
    run(&mut hosted.git("", Some(&carol), &["clone", "--quiet", &url, "carol"]));
    refused(&hosted.push("carol", &carol, "four"), "403");
    run(&mut hosted.git("carol", Some(&carol), &["push", "--quiet", "origin", "HEAD:refs/heads/mine"]));
    let both = ["push", "--quiet", "origin", "HEAD:refs/heads/mine2", "HEAD:main"];
    refused(&hosted.git("carol", Some(&carol), &both).output().unwrap(), "403");

    let Login::Password(user, _) = &alice else { unreachable!() };
    let wrong = Login::Password(user.clone(), "wrong".to_owned());
    refused(&hosted.git("", Some(&wrong), &["ls-remote", &url]).output().unwrap(), "403");
    refused(&hosted.git("", None, &["ls-remote", &url]).output().unwrap(), "could not read Username");
    refused(&hosted.git("", Some(&alice), &["ls-remote", &hosted.url("nothing")]).output().unwrap(), "not found");
    // The audit log has the pushes, with their references.
    let found = hosted.server.client().kiln("LookupEvents", &json!({ "maxResults": 50 })).unwrap().to_string();
    assert!(found.contains("GitPush") && found.contains("refs/heads/mine"), "{found}");
}

#[test]
fn aws_clients_clone_and_push() {
    let (Some(python), Some(remote)) = (client("python"), client("codecommit")) else { return };
    let mut hosted = Hosted::start();
    hosted.create("demo");
    let (url, root) = (hosted.url("demo"), hosted.root());
    // The credential helper of the AWS CLI.
    run(&mut hosted.git("", Some(&root), &["clone", "--quiet", &url, "helper"]));
    assert!(hosted.push("helper", &root, "one").status.success());
    // With temporary keys too.
    let mut aws = Command::new(python.join("bin/aws"));
    aws.args(["sts", "get-session-token"]).envs(hosted.environment());
    aws.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    let session: Value = serde_json::from_str(&run(&mut aws)).unwrap();
    let mut variables = hosted.environment();
    for (name, member) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        variables.insert(name.to_owned(), session["Credentials"][member].as_str().unwrap().to_owned());
    }
    let temporary = Login::Helper(variables.clone().into_iter().collect());
    assert!(hosted.push("helper", &temporary, "two").status.success());
    // git-remote-codecommit, with keys that last and with temporary ones.
    let program = remote.join("bin");
    for (number, variables) in [hosted.environment(), variables.clone()].iter().enumerate() {
        let directory = format!("remote{number}");
        let mut path = program.clone().into_os_string();
        path.push(":/usr/bin:/bin");
        let git = |directory: &str, args: &[&str]| {
            let mut git = hosted.git(directory, None, args);
            git.envs(variables).env("PATH", &path).env("CODE_COMMIT_ENDPOINT", hosted.server.address().to_string());
            git.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
            git
        };
        run(&mut git("", &["clone", "--quiet", "codecommit::us-east-1://demo", &directory]));
        assert!(hosted.path(&directory).join("two").is_file());
        fs::write(hosted.path(&directory).join(format!("by {directory}")), "x").unwrap();
        run(&mut git(&directory, &["add", "."]));
        run(&mut git(&directory, &["commit", "--quiet", "--message", "more"]));
        run(&mut git(&directory, &["push", "--quiet", "origin", "HEAD:main"]));
    }
    // Keys that are wrong, or for another region.
    variables.insert("AWS_SESSION_TOKEN".to_owned(), "wrong".to_owned());
    let wrong = Login::Helper(variables.into_iter().collect());
    refused(&hosted.git("", Some(&wrong), &["ls-remote", &url]).output().unwrap(), "403");
    let mut elsewhere = hosted.environment();
    elsewhere.insert("AWS_DEFAULT_REGION".to_owned(), "eu-west-1".to_owned());
    elsewhere.insert("AWS_REGION".to_owned(), "eu-west-1".to_owned());
    let elsewhere = Login::Helper(elsewhere.into_iter().collect());
    refused(&hosted.git("", Some(&elsewhere), &["ls-remote", &url]).output().unwrap(), "403");
    hosted.server.check(&[]);
}

/// A repository, a clone, a push, the build of that push, and its end.
#[test]
fn a_push_is_built() {
    if not_root() {
        return;
    }
    let Some(remote) = client("codecommit") else { return };
    let mut hosted = Hosted::start();
    hosted.create("demo");
    let root = hosted.server.client();
    let location = "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/demo";
    let project = json!({
        "name": "demo", "serviceRole": "kiln-default-build-role", "artifacts": { "type": "NO_ARTIFACTS" },
        "source": { "type": "CODECOMMIT", "location": location },
        "environment": { "type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL" },
    });
    let made = root.call("CreateProject", &project).unwrap();
    let triggers = json!({ "repositoryName": "demo", "triggers": [{
        "name": "build", "destinationArn": made["project"]["arn"], "branches": ["main"], "events": ["all"],
    }] });
    codecommit(&root, "PutRepositoryTriggers", &triggers);
    let mut path = remote.join("bin").into_os_string();
    path.push(":/usr/bin:/bin");
    let git = |directory: &str, args: &[&str]| {
        let mut git = hosted.git(directory, None, args);
        git.envs(hosted.environment()).env("PATH", &path).env("AWS_CONFIG_FILE", "/dev/null");
        git.env("CODE_COMMIT_ENDPOINT", hosted.server.address().to_string());
        git.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        run(&mut git)
    };
    git("", &["clone", "--quiet", "codecommit::us-east-1://demo", "work"]);
    let buildspec = "version: 0.2\nphases:\n  build:\n    commands:\n      - test \"$(cat hello)\" = hello\n";
    fs::write(hosted.path("work/buildspec.yml"), buildspec).unwrap();
    fs::write(hosted.path("work/hello"), "hello\n").unwrap();
    git("work", &["add", "."]);
    git("work", &["commit", "--quiet", "--message", "hello"]);
    git("work", &["push", "--quiet", "origin", "HEAD:main"]);
    let commit = git("work", &["rev-parse", "HEAD"]).trim().to_owned();
    let ids = root.call("ListBuilds", &json!({})).unwrap()["ids"].clone();
    assert_eq!(ids.as_array().unwrap().len(), 1, "the push is answered when its build is accepted");
    let build = wait_for("the build's end", || {
        let build = root.call("BatchGetBuilds", &json!({ "ids": ids })).unwrap()["builds"][0].clone();
        (build["buildStatus"] != "IN_PROGRESS").then_some(build)
    });
    assert_eq!(build["buildStatus"], "SUCCEEDED", "{build}");
    assert_eq!((&build["sourceVersion"], &build["resolvedSourceVersion"]), (&json!(commit), &json!(commit)));
    assert_eq!(build["initiator"], "trigger/build");
    hosted.server.check(&[]);
}

#[test]
fn repositories_live_as_boto3_and_the_cli_see_it() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let script = script("codecommit.py");
    run(command(&server, &python.join("bin/python")).arg(script));
    let aws = |args: &[&str]| run(command(&server, &python.join("bin/aws")).arg("codecommit").args(args));
    aws(&["create-repository", "--repository-name", "cli", "--repository-description", "by the CLI"]);
    let work = TempDir::new().unwrap();
    fs::write(work.path().join("hello"), "hello\n").unwrap();
    let content = format!("fileb://{}", work.path().join("hello").display());
    let put = ["put-file", "--repository-name", "cli", "--branch-name", "main", "--file-content", &content];
    let put: Value = serde_json::from_str(&aws(&[&put[..], &["--file-path", "hello"]].concat())).unwrap();
    let commit = aws(&["get-commit", "--repository-name", "cli", "--commit-id", put["commitId"].as_str().unwrap()]);
    assert!(commit.contains("treeId"), "{commit}");
    assert!(
        aws(&["list-repositories", "--query", "repositories[].repositoryName", "--output", "text"]).contains("cli")
    );
    aws(&["delete-repository", "--repository-name", "cli"]);
    server.check(&[]);
}

#[test]
fn terraform_makes_repositories_and_triggers() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "codecommit.tf");
    terraform.apply(&[]);
    terraform.apply(&["changed=true"]);
    terraform.destroy(&[]);
    server.check(&[]);
}

/// A push of what git does not send in one piece.
#[test]
fn a_large_push_arrives_whole() {
    let mut hosted = Hosted::start();
    hosted.create("demo");
    let alice = hosted.user("alice", &everything());
    let url = hosted.url("demo");
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", &url, "large"]));
    let megabytes = rounds(100, 1500);
    // Bytes that do not get smaller.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..megabytes / 50 {
        let mut bytes = Vec::with_capacity(50 << 20);
        while bytes.len() < 50 << 20 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        fs::write(hosted.path("large").join(format!("file{number}")), bytes).unwrap();
    }
    let pushed = hosted.push("large", &alice, "small");
    assert!(pushed.status.success(), "{}", text(&pushed));
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", &url, "again"]));
    let id = |directory: &str| run(&mut hosted.git(directory, None, &["rev-parse", "HEAD^{tree}"]));
    assert_eq!(id("again"), id("large"));
    hosted.server.check(&[]);
}

/// The server is killed again and again while two people push: what was acknowledged is there, in git and in the records.
#[test]
fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let mut hosted = Hosted::start();
    hosted.create("demo");
    let alice = hosted.user("alice", &everything());
    let url = hosted.url("demo");
    run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", &url, "first"]));
    assert!(hosted.push("first", &alice, "start").status.success());
    let people = ["p0", "p1"];
    for person in people {
        run(&mut hosted.git("", Some(&alice), &["clone", "--quiet", &url, person]));
    }
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::<(String, String)>::new()));
    let kills = rounds(6, 60);
    let commands: Vec<MakeGit> = people
        .iter()
        .map(|person| {
            let prepared = hosted.git(person, Some(&alice), &[]);
            let (program, directory) =
                (prepared.get_program().to_owned(), prepared.get_current_dir().unwrap().to_owned());
            let args: Vec<_> = prepared.get_args().map(ToOwned::to_owned).collect();
            let variables: Vec<_> =
                prepared.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap().to_owned())).collect();
            let make = move |more: &[&str]| {
                let mut git = Command::new(&program);
                git.current_dir(&directory).args(&args).envs(variables.clone()).args(more);
                git
            };
            Box::new(make) as MakeGit
        })
        .collect();
    thread::scope(|scope| {
        for (person, git) in people.iter().zip(commands) {
            let (stop, acknowledged, directory) = (&stop, &acknowledged, hosted.work.path().join(person));
            scope.spawn(move || {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    fs::write(directory.join("file"), format!("{person} {number}")).unwrap();
                    run(&mut git(&["add", "."]));
                    run(&mut git(&["commit", "--quiet", "--message", "x"]));
                    let id = run(&mut git(&["rev-parse", "HEAD"])).trim().to_owned();
                    let target = format!("HEAD:refs/heads/{person}");
                    if git(&["push", "--quiet", "origin", &target]).output().unwrap().status.success() {
                        acknowledged.lock().unwrap().push(((*person).to_owned(), id));
                    }
                }
            });
        }
        for round in 0..kills {
            let before = acknowledged.lock().unwrap().len();
            wait_for("a push", || (acknowledged.lock().unwrap().len() > before).then_some(()));
            thread::sleep(Duration::from_millis(37 * (round % 7)));
            hosted.server.kill();
            hosted.server.run();
        }
        stop.store(true, Ordering::Relaxed);
    });
    for person in people {
        let tip = hosted.tip("demo", person);
        run(&mut hosted.git(person, Some(&alice), &["fetch", "--quiet", "origin"]));
        let known =
            run(&mut hosted.git(person, Some(&alice), &["ls-remote", "origin", &format!("refs/heads/{person}")]));
        assert!(known.starts_with(&tip), "what is recorded is what git has: {known} {tip}");
        let ids: Vec<String> =
            acknowledged.lock().unwrap().iter().filter(|(p, _)| p == person).map(|(_, id)| id.clone()).collect();
        assert!(!ids.is_empty());
        for id in ids {
            let ancestor = hosted.git(person, None, &["merge-base", "--is-ancestor", &id, &tip]).status().unwrap();
            assert!(ancestor.success(), "{id} was acknowledged, and is not in {person}");
        }
    }
    let bare = only(&hosted.server.data().join("repos"));
    run(&mut hosted.git(
        "",
        None,
        &["--git-dir", &bare.display().to_string(), "fsck", "--strict", "--connectivity-only"],
    ));
    hosted.server.check(&[]);
}

/// The only entry of a directory.
fn only(directory: &Path) -> PathBuf {
    let mut found = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let one = found.next().unwrap();
    assert_eq!(found.next(), None);
    one
}
