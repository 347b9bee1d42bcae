//! Who is refused, with unmodified clients: what they are told, and that the audit log says it afterwards.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::{
    client::Client,
    clients::{client, command, run, text},
    clocks::Time,
    server::{Server, wait_for},
};

const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project";
const ADMIN: &str = "arn:aws:iam::000000000000:role/admin";

/// The AWS CLI, whose clock is the server's.
struct Cli<'a> {
    server: &'a Server,
    program: PathBuf,
    time: &'a Time,
}

impl Cli<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.server, &self.program);
        command.args(args).args(["--output", "json"]).envs(self.time.variables());
        command
    }

    /// As the account's root; what it answers.
    #[track_caller]
    fn root(&self, args: &[&str]) -> Value {
        serde_json::from_str(&run(&mut self.command(args))).unwrap_or_default()
    }

    /// With a key of IAM or of a session; how it ended, and what it said.
    fn with(&self, key: &Value, args: &[&str]) -> (bool, String) {
        let mut command = self.command(args);
        for (name, member) in [
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ] {
            match key[member].as_str() {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        (output.status.success(), text(&output))
    }
}

/// The record of the newest call of that operation with that key that was refused with that code, and a message that begins so.
#[track_caller]
fn record(client: &Client, key: &Value, event: &str, code: &str, message: &str) -> Value {
    let filter = json!({ "accessKeyId": key["AccessKeyId"], "eventName": event, "refused": true });
    wait_for(&format!("the record of {event}, refused with {code}"), || {
        let mut found = client.kiln("LookupEvents", &filter).ok()?;
        let is_it = |one: &&mut Value| {
            one["errorCode"] == code && one["errorMessage"].as_str().is_some_and(|said| said.starts_with(message))
        };
        found["events"].as_array_mut()?.iter_mut().find(is_it).map(Value::take)
    })
}

#[test]
fn refusals_are_told_and_found_in_the_audit_log() {
    let (Some(time), Some(venv)) = (Time::new(), client("python")) else { return };
    let variables = time.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut server = Server::with(&variables);
    let client = server.client();
    let cli = Cli { server: &server, program: venv.join("bin/aws"), time: &time };
    let document = |statements: Value| json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
    for name in ["mine", "theirs"] {
        client.project(name, &["true"]);
    }
    cli.root(&["s3api", "create-bucket", "--bucket", "theirs"]);
    cli.root(&["iam", "create-user", "--user-name", "alice"]);
    let trust = document(json!([
        { "Effect": "Allow", "Principal": { "Service": "codebuild.amazonaws.com" }, "Action": "sts:AssumeRole" },
        { "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::000000000000:user/alice" }, "Action": "sts:AssumeRole",
          "Condition": { "StringEquals": { "sts:RoleSessionName": "viewer" } } },
    ]));
    cli.root(&["iam", "create-role", "--role-name", "admin", "--assume-role-policy-document", &trust]);
    let everything = document(json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]));
    let policy = ["--policy-name", "p", "--policy-document"];
    cli.root(&[["iam", "put-role-policy", "--role-name", "admin"].as_slice(), &policy, &[&everything]].concat());
    let own = document(json!([
        { "Effect": "Allow", "Action": "codebuild:*", "Resource": format!("{PROJECT}/mine") },
        { "Effect": "Allow", "Action": "codebuild:ListProjects", "Resource": "*" },
        { "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" },
    ]));
    cli.root(&[["iam", "put-user-policy", "--user-name", "alice"].as_slice(), &policy, &[&own]].concat());
    let key = cli.root(&["iam", "create-access-key", "--user-name", "alice"])["AccessKey"].take();

    // Other people's projects, builds and objects; and every way to be more than she is.
    assert!(cli.with(&key, &["codebuild", "batch-get-projects", "--names", "mine"]).0);
    let (theirs, bucket) = (format!("{PROJECT}/theirs"), "arn:aws:s3:::theirs");
    let build = "theirs:11111111-2222-3333-4444-555555555555";
    let object = format!("{bucket}/k");
    let alice = "arn:aws:iam::000000000000:user/alice";
    let [denied, other] = ["AccessDeniedException", "AccessDenied"];
    for (args, event, code, action, resource) in [
        (
            &["codebuild", "batch-get-projects", "--names", "mine", "theirs"][..],
            "BatchGetProjects",
            denied,
            "codebuild:BatchGetProjects",
            theirs.as_str(),
        ),
        (
            &["codebuild", "batch-get-builds", "--ids", build],
            "BatchGetBuilds",
            denied,
            "codebuild:BatchGetBuilds",
            &theirs,
        ),
        (
            &["codebuild", "list-builds-for-project", "--project-name", "theirs"],
            "ListBuildsForProject",
            denied,
            "codebuild:ListBuildsForProject",
            &theirs,
        ),
        (&["codebuild", "stop-build", "--id", build], "StopBuild", denied, "codebuild:StopBuild", &theirs),
        (
            &["s3api", "get-object", "--bucket", "theirs", "--key", "k", "/dev/null"],
            "GetObject",
            other,
            "s3:GetObject",
            &object,
        ),
        (&["s3api", "list-objects-v2", "--bucket", "theirs"], "ListObjectsV2", other, "s3:ListBucket", bucket),
        (
            &["codebuild", "start-build", "--project-name", "mine", "--service-role-override", ADMIN],
            "StartBuild",
            denied,
            "iam:PassRole",
            ADMIN,
        ),
        (
            &["codebuild", "update-project", "--name", "mine", "--service-role", ADMIN],
            "UpdateProject",
            denied,
            "iam:PassRole",
            ADMIN,
        ),
        (
            &[
                "iam",
                "attach-user-policy",
                "--user-name",
                "alice",
                "--policy-arn",
                "arn:aws:iam::aws:policy/AdministratorAccess",
            ],
            "AttachUserPolicy",
            other,
            "iam:AttachUserPolicy",
            alice,
        ),
        (
            &["iam", "create-access-key", "--user-name", "bob"],
            "CreateAccessKey",
            other,
            "iam:CreateAccessKey",
            "arn:aws:iam::000000000000:user/bob",
        ),
        (
            &["iam", "update-assume-role-policy", "--role-name", "admin", "--policy-document", &trust],
            "UpdateAssumeRolePolicy",
            other,
            "iam:UpdateAssumeRolePolicy",
            ADMIN,
        ),
        (
            &["sts", "assume-role", "--role-arn", ADMIN, "--role-session-name", "another"],
            "AssumeRole",
            other,
            "sts:AssumeRole",
            ADMIN,
        ),
    ] {
        let (succeeded, said) = cli.with(&key, args);
        let message = format!("User: {alice} is not authorized to perform: {action} on resource: {resource}");
        assert!(!succeeded && said.contains(&format!("({code})")) && said.contains(&message), "{args:?}: {said}");
        let found = record(&client, &key, event, code, &message);
        assert_eq!(found["userIdentity"]["arn"], alice, "{found}");
        let decided = found["authorization"].as_array().unwrap();
        let is_it = |one: &&Value| one["action"] == action && one["allowed"] == false && one["resource"] == resource;
        assert!(decided.iter().any(|one| is_it(&one)), "{found}");
    }

    // A session works until it is over, whatever else its user still has.
    let assumed =
        ["sts", "assume-role", "--role-arn", ADMIN, "--role-session-name", "viewer", "--duration-seconds", "900"];
    let (succeeded, said) = cli.with(&key, &assumed);
    assert!(succeeded, "{said}");
    let session = serde_json::from_str::<Value>(&said).unwrap()["Credentials"].take();
    let list = ["codebuild", "list-projects"];
    assert!(cli.with(&session, &list).0);
    // A key that is deleted is nobody's, at once.
    let id = key["AccessKeyId"].as_str().unwrap();
    cli.root(&["iam", "delete-access-key", "--user-name", "alice", "--access-key-id", id]);
    let (succeeded, said) = cli.with(&key, &list);
    assert!(!succeeded && said.contains("(UnrecognizedClientException)"), "{said}");
    assert!(said.contains("The security token included in the request is invalid"), "{said}");
    record(
        &client,
        &key,
        "ListProjects",
        "UnrecognizedClientException",
        "The security token included in the request is invalid",
    );
    assert!(cli.with(&session, &list).0);

    time.set(1_000);
    let later = client.ahead(1_000);
    wait_for("the server to notice the time", || {
        let (succeeded, said) = cli.with(&session, &list);
        (!succeeded && said.contains("Expired")).then_some(())
    });
    // Which operation it is, is not looked at where that is in the body, or S3's to decode.
    for (args, event, code, message) in [
        (&list[..], "ListProjects", "ExpiredTokenException", "The security token included in the request is expired"),
        (
            &["sts", "get-caller-identity"],
            "Unknown",
            "ExpiredToken",
            "The security token included in the request is expired",
        ),
        (
            &["s3api", "list-objects-v2", "--bucket", "theirs"],
            "Unknown",
            "ExpiredToken",
            "The provided token has expired.",
        ),
    ] {
        let (succeeded, said) = cli.with(&session, args);
        assert!(!succeeded && said.contains(&format!("({code})")) && said.contains(message), "{args:?}: {said}");
        record(&later, &session, event, code, message);
    }
    // What was refused did nothing.
    let project = later.retried("BatchGetProjects", &json!({ "names": ["mine"] }))["projects"][0].take();
    assert_ne!(project["serviceRole"], ADMIN, "{project}");
    let builds = later.retried("ListBuilds", &json!({}));
    assert_eq!(builds["ids"], json!([]), "{builds}");
    server.check(&[]);
}
