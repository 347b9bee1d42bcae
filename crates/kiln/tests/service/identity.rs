//! Builds that act as their roles: what they may, what they may not, and what is left of it when they are over.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, accepted, buildspec, project},
    clients::{client, command, run, text},
    server::{Server, not_root, wait_for},
};

/// The AWS CLI as the account's root, and as a source that builds run it from.
struct Aws<'a> {
    server: &'a Server,
    venv: std::path::PathBuf,
}

impl Aws<'_> {
    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        run(command(self.server, &self.venv.join("bin/aws")).args(args))
    }

    /// With other credentials than root's; how it ended, and what it said.
    fn with(&self, credentials: &Value, args: &[&str]) -> (bool, String) {
        let value = |name: &str| credentials[name].as_str().unwrap();
        let output = command(self.server, &self.venv.join("bin/aws"))
            .args(args)
            .env("AWS_ACCESS_KEY_ID", value("AccessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", value("SecretAccessKey"))
            .env("AWS_SESSION_TOKEN", value("Token"))
            .output()
            .unwrap();
        (output.status.success(), text(&output))
    }

    /// Makes a role that CodeBuild may assume, with these statements beside those for logs.
    #[track_caller]
    fn role(&self, name: &str, statements: &Value) -> String {
        let trust = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "codebuild.amazonaws.com" }, "Action": "sts:AssumeRole",
        }] });
        self.run(&["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust.to_string()]);
        self.allow(name, statements);
        format!("arn:aws:iam::000000000000:role/{name}")
    }

    #[track_caller]
    fn allow(&self, role: &str, statements: &Value) {
        let mut all = vec![json!({ "Effect": "Allow", "Action": "logs:*", "Resource": "*" })];
        all.extend(statements.as_array().unwrap().iter().cloned());
        let policy = json!({ "Version": "2012-10-17", "Statement": all }).to_string();
        let names = ["--role-name", role, "--policy-name", "own", "--policy-document", &policy];
        self.run(&[["iam", "put-role-policy"].as_slice(), &names].concat());
    }

    /// Puts the CLI itself, as it comes from its maker, into a bucket as a source of builds, and makes another bucket.
    #[track_caller]
    fn prepare(&self) {
        let files = TempDir::new().unwrap();
        let zip = files.path().join("aws.zip");
        let pack = r#"
import pathlib, sys, zipfile
import awscli
site = pathlib.Path(awscli.__file__).parent.parent
services = {"codebuild", "iam", "s3", "sts"}
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    for path in sorted(site.rglob("*")):
        parts = path.relative_to(site).parts
        other = parts[:2] == ("botocore", "data") and len(parts) > 3 and parts[2] not in services
        unused = parts[0] in ("pip", "boto3", "setuptools") or "__pycache__" in parts or "examples" in parts
        if path.is_file() and not other and not unused:
            archive.write(path, pathlib.Path("site", *parts))
"#;
        run(Command::new(self.venv.join("bin/python")).args(["-c", pack]).arg(&zip));
        for bucket in ["tools", "out"] {
            self.run(&["s3", "mb", &format!("s3://{bucket}")]);
        }
        self.run(&["s3", "cp", "--quiet", zip.to_str().unwrap(), "s3://tools/aws.zip"]);
    }
}

/// A project that has the CLI as its source and runs these commands; `aws` is there.
fn with_cli(name: &str, role: &str, commands: &[&str]) -> Value {
    let first = r#"aws() { PYTHONPATH="$CODEBUILD_SRC_DIR/site" python3 -m awscli "$@"; }"#;
    let commands: Vec<String> = commands.iter().map(|command| format!("{first}\n{command}")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let mut input = project(name, "");
    input["source"] = json!({ "type": "S3", "location": "tools/aws.zip", "buildspec": buildspec(&commands) });
    input["serviceRole"] = json!(role);
    input
}

fn object(server: &Aws<'_>, url: &str, to: &Path) -> Option<Vec<u8>> {
    let output = command(server.server, &server.venv.join("bin/aws"))
        .args(["s3", "cp", "--quiet", url, to.to_str().unwrap()])
        .output()
        .unwrap();
    output.status.success().then(|| fs::read(to).unwrap())
}

/// The phase that failed: its name, code and message.
#[track_caller]
fn failure(record: &Value) -> (String, String, String) {
    let phases = record["phases"].as_array().unwrap();
    let failed =
        phases.iter().find(|phase| !["SUCCEEDED", ""].contains(&phase["phaseStatus"].as_str().unwrap_or_default()));
    let failed = failed.unwrap_or_else(|| panic!("nothing failed: {record}"));
    let context = &failed["contexts"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&failed["phaseType"]), text(&context["statusCode"]), text(&context["message"]))
}

#[track_caller]
fn started(client: &Client, name: &str) -> (Value, kiln_check::Accepted) {
    let build = accepted(&client.retried("StartBuild", &json!({ "projectName": name }))["build"]);
    (client.finished(&build), build)
}

#[test]
fn a_build_is_its_role_while_it_runs_and_nobody_afterwards() {
    let (false, Some(venv)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let aws = Aws { server: &server, venv };
    aws.prepare();
    let client = server.client();
    let role = aws.role(
        "builder",
        &json!([
            { "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::tools/*"] },
            { "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::out/${codebuild:projectArn}/*" },
            { "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::out/credentials" },
            { "Effect": "Allow", "Action": "codebuild:StartBuild",
              "Resource": "arn:aws:codebuild:us-east-1:000000000000:project/child" },
            { "Effect": "Allow", "Action": "codebuild:CreateProject", "Resource": "*" },
        ]),
    );
    aws.role("admin", &json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]));
    for name in ["child", "other"] {
        client.retried("CreateProject", &project(name, &buildspec(&["true"])));
    }
    let evil = json!({
        "name": "evil", "serviceRole": "arn:aws:iam::000000000000:role/admin",
        "source": { "type": "NO_SOURCE", "buildspec": buildspec(&["true"]) }, "artifacts": { "type": "NO_ARTIFACTS" },
        "environment": { "type": "LINUX_CONTAINER", "image": "host", "computeType": "BUILD_GENERAL1_SMALL" },
    });
    let endpoint = "http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    let prefix = "arn:aws:codebuild:us-east-1:000000000000:project";
    let input = with_cli(
        "identity",
        &role,
        &[
            "echo I am $(aws sts get-caller-identity --query Arn --output text)",
            &format!("echo mine > mine && aws s3 cp --quiet mine s3://out/{prefix}/identity/mine"),
            &format!("if aws s3 cp mine s3://out/{prefix}/other/mine; then exit 1; fi"),
            "aws codebuild start-build --project-name child --query build.buildStatus --output text",
            "if aws codebuild start-build --project-name other; then exit 1; fi",
            &format!("if aws codebuild create-project --cli-input-json '{evil}'; then exit 1; fi"),
            &format!("curl -sf {endpoint} > credentials && aws s3 cp --quiet credentials s3://out/credentials"),
            &format!("if curl -sf {endpoint}x; then exit 1; fi"),
            "curl -s http://169.254.170.2/v2/credentials/another; echo",
            &format!("if curl -sf -H 'X-Forwarded-For: 10.0.0.1' {endpoint}; then exit 1; fi"),
            "env | grep ^AWS_ | cut -d= -f1 | sort | tr '\\n' ' '; echo",
            "curl -s http://127.0.0.1:5456/-/health || echo the host is not reached",
        ],
    );
    client.retried("CreateProject", &input);
    let (record, build) = started(&client, "identity");
    let log = client.log(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}\n{log:#?}");
    let has = |text: &str| log.iter().any(|line| line.contains(text));
    let session = format!("arn:aws:sts::000000000000:assumed-role/builder/AWSCodeBuild-{}", build.uuid);
    for text in [
        &format!("I am {session}"),
        "IN_PROGRESS",
        &format!("User: {session} is not authorized to perform: s3:PutObject on resource"),
        &format!("User: {session} is not authorized to perform: codebuild:StartBuild on resource: {prefix}/other"),
        &format!(
            "User: {session} is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/admin"
        ),
        r#"{"code":"AccessDeniedException","message":"there are no credentials here"#,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED AWS_ENDPOINT_URL AWS_REGION",
        "the host is not reached",
    ] {
        assert!(has(text), "{text} is not in\n{log:#?}");
    }

    // Whoever kept the credentials: each protocol's word for it, also after the server was started anew.
    let files = TempDir::new().unwrap();
    let kept = object(&aws, "s3://out/credentials", &files.path().join("credentials")).unwrap();
    // What the check at the end looks for is the service's, not this copy.
    drop(files);
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    assert!(kept["AccessKeyId"].as_str().unwrap().starts_with("ASIA"), "{kept}");
    assert_eq!(kept["RoleArn"], role.as_str());
    let refused = |aws: &Aws<'_>| {
        for (args, code) in [
            (&["codebuild", "start-build", "--project-name", "child"][..], "(ExpiredTokenException)"),
            (&["s3api", "get-object", "--bucket", "tools", "--key", "aws.zip", "/dev/null"], "(ExpiredToken)"),
            (&["sts", "get-caller-identity"], "(ExpiredToken)"),
        ] {
            let (succeeded, said) = aws.with(&kept, args);
            assert!(!succeeded && said.contains(code), "{args:?}: {said}");
        }
    };
    refused(&aws);
    let venv = aws.venv;
    let children = client.retried("ListBuildsForProject", &json!({ "projectName": "child" }));
    let child: Vec<kiln_check::Accepted> = children["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| {
            let mut found = client.retried("BatchGetBuilds", &json!({ "ids": [id] }));
            let child = accepted(&found["builds"][0].take());
            let record = client.finished(&child);
            assert_eq!(record["initiator"], format!("builder/AWSCodeBuild-{}", build.uuid));
            child
        })
        .collect();
    assert_eq!(child.len(), 1);
    server.kill();
    server.run();
    refused(&Aws { server: &server, venv });
    server.secret(kept["SecretAccessKey"].as_str().unwrap());
    server.check(&[[build].as_slice(), &child].concat());
}

#[test]
fn a_build_goes_on_asking_while_its_server_is_killed() {
    let (false, Some(venv)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let aws = Aws { server: &server, venv: venv.clone() };
    aws.prepare();
    let role = aws.role("builder", &json!([{ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }]));
    let input = with_cli(
        "steadfast",
        &role,
        &[
            "aws s3 cp --quiet buildspec.txt s3://out/begun",
            // Each answer counts: what the old server took is asked of the next.
            "until aws s3 cp --quiet s3://out/go go 2>/dev/null; do\n\
               for n in 1 2 3 4 5 6 7 8; do\n\
                 curl -sf --max-time 100 http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI > c || exit 7\n\
                 grep -q SecretAccessKey c || exit 8\n\
               done\n\
             done",
            "aws sts get-caller-identity --query Arn --output text",
        ],
    );
    let mut input = input;
    let spec = input["source"]["buildspec"].as_str().unwrap().replacen(
        "build:\n    commands:\n",
        "build:\n    commands:\n      - \"date > buildspec.txt\"\n",
        1,
    );
    input["source"]["buildspec"] = json!(spec);
    server.client().retried("CreateProject", &input);
    let build = accepted(&server.client().retried("StartBuild", &json!({ "projectName": "steadfast" }))["build"]);
    let files = TempDir::new().unwrap();
    wait_for("the build to begin", || {
        object(&Aws { server: &server, venv: venv.clone() }, "s3://out/begun", &files.path().join("begun"))
    });
    for _ in 0..3 {
        assert!(server.kill());
        server.run();
    }
    fs::write(files.path().join("go"), "go").unwrap();
    let aws = Aws { server: &server, venv };
    aws.run(&["s3", "cp", "--quiet", files.path().join("go").to_str().unwrap(), "s3://out/go"]);
    let client = server.client();
    let record = client.finished(&build);
    let log = client.log(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
    assert!(log.iter().any(|line| line.contains("assumed-role/builder/AWSCodeBuild-")), "{log:#?}");
    server.check(&[build]);
}

#[test]
fn what_the_service_does_for_a_build_is_what_its_role_allows() {
    let (false, Some(venv)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let aws = Aws { server: &server, venv };
    let client = server.client();
    aws.run(&["s3", "mb", "s3://bucket"]);
    let files = TempDir::new().unwrap();
    fs::write(files.path().join("f"), "content\n").unwrap();
    let zip = files.path().join("f.zip");
    run(Command::new("python3").args(["-m", "zipfile", "-c"]).args([&zip, &files.path().join("f")]));
    aws.run(&["s3", "cp", "--quiet", zip.to_str().unwrap(), "s3://bucket/in/f.zip"]);
    let get = json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/in/*" });
    let put = json!({ "Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/out/*" });
    let list = json!({ "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket" });
    let role = aws.role("limited", &json!([]));
    let mut input = project("limited", "");
    let spec = buildspec(&["cat f; ls"]) + "artifacts:\n  files: ['**/*']\n";
    input["source"] = json!({ "type": "S3", "location": "bucket/in/f.zip", "buildspec": spec });
    input["artifacts"] =
        json!({ "type": "S3", "location": "bucket", "path": "out", "packaging": "ZIP", "name": "a.zip" });
    input["serviceRole"] = json!(role);
    client.retried("CreateProject", &input);
    let mut builds = Vec::new();
    let mut build = |statements: Value, overrides: Value| {
        aws.allow("limited", &statements);
        let mut input = json!({ "projectName": "limited" });
        for (name, value) in overrides.as_object().unwrap() {
            input[name] = value.clone();
        }
        let build = accepted(&client.retried("StartBuild", &input)["build"]);
        let record = client.finished(&build);
        let user = format!("User: arn:aws:sts::000000000000:assumed-role/limited/AWSCodeBuild-{}", build.uuid);
        builds.push(build);
        (record, user)
    };

    let (record, user) = build(json!([]), json!({}));
    let denied = "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::bucket/in/f.zip because no \
                  identity-based policy allows the s3:GetObject action status code: 403 for primary source and source \
                  version arn:aws:s3:::bucket/in/f.zip";
    let expected = ("DOWNLOAD_SOURCE".to_owned(), "CLIENT_ERROR".to_owned(), format!("AccessDenied: {user} {denied}"));
    assert_eq!(failure(&record), expected);
    let (record, _) = build(json!([get]), json!({ "sourceVersion": "null" }));
    assert!(failure(&record).2.contains("s3:GetObjectVersion on resource"), "{record}");
    let (record, _) = build(json!([get]), json!({ "sourceLocationOverride": "bucket/in/" }));
    assert!(failure(&record).2.contains("s3:ListBucket on resource: arn:aws:s3:::bucket because"), "{record}");

    let (record, user) = build(json!([get]), json!({}));
    let denied = "is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::bucket/out/a.zip because no \
                  identity-based policy allows the s3:PutObject action status code: 403";
    let message = format!("Error in UPLOAD_ARTIFACTS phase: AccessDenied: {user} {denied}");
    assert_eq!(failure(&record), ("UPLOAD_ARTIFACTS".to_owned(), "CLIENT_ERROR".to_owned(), message));
    assert_eq!(record["buildStatus"], "FAILED");
    assert!(!aws.run(&["s3", "ls", "--recursive", "s3://bucket"]).contains("out/"), "nothing of it is there");

    // The bucket's policy counts as well, for and against.
    let policy = |effect: &str, action: &str| {
        let statement = json!({ "Effect": effect, "Principal": { "AWS": role }, "Action": action, "Resource": "arn:aws:s3:::bucket/*" });
        json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
    };
    let put_policy = |text: &str| aws.run(&["s3api", "put-bucket-policy", "--bucket", "bucket", "--policy", text]);
    put_policy(&policy("Allow", "s3:PutObject"));
    let (record, _) = build(json!([get, list]), json!({ "sourceLocationOverride": "bucket/in/" }));
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}");
    put_policy(&policy("Deny", "s3:PutObject"));
    let (record, _) = build(json!([get, put]), json!({}));
    assert!(failure(&record).2.contains("with an explicit deny in a resource-based policy"), "{record}");
    aws.run(&["s3api", "delete-bucket-policy", "--bucket", "bucket"]);
    let (record, _) = build(json!([get, put]), json!({}));
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}");

    // A key of the account's own: its policy leaves it to IAM, and IAM to the role.
    let made = aws.run(&["kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text"]);
    let key = made.trim();
    let with_key = json!({ "encryptionKeyOverride": key });
    let (record, user) = build(json!([get, put]), with_key.clone());
    let expected = format!(
        "Error in UPLOAD_ARTIFACTS phase: KMS.AccessDeniedException: {user} is not authorized to perform: \
         kms:GenerateDataKey on resource: {key} because"
    );
    assert!(failure(&record).2.starts_with(&expected), "{record}");
    let via = json!({ "StringEquals": { "kms:ViaService": "s3.us-east-1.amazonaws.com" } });
    let use_key = json!({ "Effect": "Allow", "Action": "kms:GenerateDataKey*", "Resource": key, "Condition": via });
    let (record, _) = build(json!([get, put, use_key]), with_key);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}");

    // So it is with what was sealed with such a key: sources, as files and folders.
    let seal = ["--sse", "aws:kms", "--sse-kms-key-id", key];
    let sealed = ["s3", "cp", "--quiet", zip.to_str().unwrap(), "s3://bucket/in/sealed/f.zip"];
    aws.run(&[sealed.as_slice(), &seal].concat());
    let decrypt = json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": {
        "StringEquals": { "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::bucket/in/sealed/f.zip" } } });
    for source in ["bucket/in/sealed/f.zip", "bucket/in/sealed/"] {
        let overrides = json!({ "sourceLocationOverride": source });
        let (record, user) = build(json!([get, put, list, use_key]), overrides.clone());
        let expected = format!(
            "AccessDenied: {user} is not authorized to perform: kms:Decrypt on resource: {key} because no identity-based \
             policy allows the kms:Decrypt action status code: 403 for primary source and source version \
             arn:aws:s3:::{source}"
        );
        assert_eq!(failure(&record), ("DOWNLOAD_SOURCE".to_owned(), "CLIENT_ERROR".to_owned(), expected));
        let (record, _) = build(json!([get, put, list, decrypt]), overrides);
        assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}");
    }

    // Logs: without them there is nothing to begin with.
    let no_logs = json!({ "Effect": "Deny", "Action": "logs:PutLogEvents", "Resource": "*" });
    let (record, user) = build(json!([get, put, no_logs]), json!({}));
    let (phase, code, message) = failure(&record);
    assert_eq!((phase.as_str(), code.as_str()), ("QUEUED", "ACCESS_DENIED"));
    let expected = format!(
        "Service role {role} does not allow AWS CodeBuild to create Amazon CloudWatch Logs log streams for build {}. Error \
         message: {user} is not authorized to perform: logs:PutLogEvents on resource: ",
        record["arn"].as_str().unwrap()
    );
    assert!(message.starts_with(&expected), "{message}");
    let s3_logs = json!({ "logsConfigOverride": { "s3Logs": { "status": "ENABLED", "location": "bucket/logs" } } });
    let (record, _) = build(json!([get, put]), s3_logs);
    assert!(failure(&record).2.contains("store its Amazon S3 logs for build"), "{record}");

    // A role that is gone, or lets CodeBuild in no more.
    let lambda = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole",
    }] });
    let names = ["--role-name", "limited", "--policy-document", &lambda.to_string()];
    aws.run(&[["iam", "update-assume-role-policy"].as_slice(), &names].concat());
    let (record, _) = build(json!([get, put]), json!({}));
    let message = format!("CodeBuild is not authorized to perform: sts:AssumeRole on {role}");
    assert_eq!(failure(&record), ("QUEUED".to_owned(), "ACCESS_DENIED".to_owned(), message.clone()));
    let update = json!({ "name": "limited", "serviceRole": role });
    assert_eq!(client.refused("UpdateProject", &update), ("InvalidInputException".to_owned(), message));
    server.check(&builds);
}

#[test]
fn a_build_on_the_network_of_its_host_asks_with_a_token() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "host")]);
    let client = server.client();
    let commands = [
        r#"curl -s "$AWS_CONTAINER_CREDENTIALS_FULL_URI"; echo"#,
        r#"curl -sf -H "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" "$AWS_CONTAINER_CREDENTIALS_FULL_URI" | tr , '\n' | grep RoleArn"#,
        r#"curl -sf "$AWS_ENDPOINT_URL/-/health"; echo"#,
        "env | grep ^AWS_CONTAINER",
    ];
    client.retried("CreateProject", &project("shared", &buildspec(&commands)));
    let (record, build) = started(&client, "shared");
    let log = client.log(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
    let has = |text: &str| log.iter().any(|line| line.contains(text));
    assert!(has(r#"{"code":"AccessDeniedException""#), "{log:#?}");
    assert!(has(r#""RoleArn":"arn:aws:iam::000000000000:role/kiln-default-build-role""#), "{log:#?}");
    assert!(has("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:"), "{log:#?}");
    assert!(has("AWS_CONTAINER_AUTHORIZATION_TOKEN=***"), "{log:#?}");
    server.check(&[build]);
}
