//! Secrets Manager and Parameter Store, driven by unmodified clients, and what builds make of them: values are in the
//! build, and nowhere else (fault test 28).

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    client::{Client, buildspec, project},
    clients::{client, command, run, script, text},
    server::{Server, not_root},
    terraform::{Terraform, plugins},
};

/// A value that no other test has, nor another run of this one.
fn value(name: &str) -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{name}-{:016x}", RandomState::new().hash_one(name))
}

fn secrets(client: &Client, operation: &str, input: &Value) -> Value {
    client.service("secretsmanager", &format!("secretsmanager.{operation}"), input).unwrap()
}

fn parameters(client: &Client, operation: &str, input: &Value) -> Value {
    client.service("ssm", &format!("AmazonSSM.{operation}"), input).unwrap()
}

#[test]
fn boto3_takes_secrets_and_parameters_through_their_lives() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("values.py")));
    server.check(&[]);
}

#[test]
fn the_aws_cli_takes_a_secret_and_a_parameter_through_their_lives() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let value = value("cli");
    server.secret(&value);
    let call = |server: &Server, args: &[&str]| {
        let mut aws = command(server, &python.join("bin/aws"));
        serde_json::from_str::<Value>(&run(aws.args(args).args(["--output", "json"]))).unwrap_or_default()
    };
    let refused = |server: &Server, args: &[&str]| {
        let output = command(server, &python.join("bin/aws")).args(args).output().unwrap();
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &value).unwrap();
    let from = format!("file://{}", file.path().display());
    let made = call(&server, &["secretsmanager", "create-secret", "--name", "cli", "--secret-string", &from]);
    let read = ["secretsmanager", "get-secret-value", "--secret-id", made["ARN"].as_str().unwrap()];
    assert_eq!(call(&server, &read)["SecretString"], value.as_str());
    let put = ["ssm", "put-parameter", "--name", "/cli", "--type", "SecureString", "--value", &from];
    assert_eq!(call(&server, &put)["Version"], 1);
    drop(file);
    let get = ["ssm", "get-parameter", "--name", "/cli", "--with-decryption"];
    assert_eq!(call(&server, &get)["Parameter"]["Value"], value.as_str());

    // All of it is on the disk.
    server.stop();
    server.run();
    assert_eq!(call(&server, &read)["SecretString"], value.as_str());
    assert_eq!(call(&server, &get)["Parameter"]["Value"], value.as_str());
    call(&server, &["secretsmanager", "delete-secret", "--secret-id", "cli", "--recovery-window-in-days", "7"]);
    let said = refused(&server, &read);
    assert!(said.contains("(InvalidRequestException)") && said.contains("marked for deletion"), "{said}");
    call(&server, &["secretsmanager", "restore-secret", "--secret-id", "cli"]);
    call(&server, &read);
    call(&server, &["ssm", "delete-parameter", "--name", "/cli"]);
    let said = refused(&server, &get);
    assert!(said.contains("(ParameterNotFound)"), "{said}");
    server.check(&[]);
}

#[test]
fn terraform_makes_what_a_build_with_secrets_needs_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let value = value("terraform");
    server.secret(&value);
    let terraform = Terraform::init(&server, &plugins, "secrets.tf");
    let client = server.client();
    let mut builds = Vec::new();
    for changed in ["changed=false", "changed=true"] {
        terraform.apply(&[changed, &format!("value={value}")]);
        let build = client.start_build("by-terraform");
        let record = client.finished(&build);
        let log = client.log(&build);
        assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
        assert!(log.iter().any(|line| line == "found: ***"), "{log:#?}");
        builds.push(build);
    }
    terraform.destroy(&["changed=true", &format!("value={value}")]);
    let described = secrets(&client, "DescribeSecret", &json!({ "SecretId": "by-terraform" }));
    assert!(described["DeletedDate"].is_number(), "{described}");
    drop(terraform);
    server.check(&builds);
}

/// The role of builds may read everything.
fn permit(client: &Client) {
    for (service, action, name) in
        [("ssm", "ssm:GetParameters", "parameter/"), ("secretsmanager", "secretsmanager:GetSecretValue", "secret:")]
    {
        let head = format!("arn:aws:{service}:us-east-1:000000000000:{name}");
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": format!("{head}*") });
        let document = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        client.iam(&[
            ("Action", "PutRolePolicy"),
            ("RoleName", "kiln-default-build-role"),
            ("PolicyName", service),
            ("PolicyDocument", &document),
        ]);
    }
}

fn parameter(client: &Client, name: &str, value: &str) {
    parameters(client, "PutParameter", &json!({ "Name": name, "Value": value, "Type": "SecureString" }));
}

/// Every way of naming a secret, and every form of printing it.
#[test]
fn builds_get_their_secrets_and_the_log_shows_none() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    permit(&client);
    let names = ["parameter", "labelled", "whole", "member", "previous", "typed", "overridden", "late"];
    let values: Vec<String> = names.iter().map(|name| value(name)).collect();
    let of = |name: &str| values[names.iter().position(|known| *known == name).unwrap()].as_str();
    values.iter().for_each(|value| server.secret(value));
    parameter(&client, "/b/parameter", of("parameter"));
    parameter(&client, "/b/labelled", of("labelled"));
    parameters(
        &client,
        "LabelParameterVersion",
        &json!({ "Name": "/b/labelled", "ParameterVersion": 1, "Labels": ["prod"] }),
    );
    let over = json!({ "Name": "/b/labelled", "Value": "not this one", "Type": "SecureString", "Overwrite": true });
    parameters(&client, "PutParameter", &over);
    parameter(&client, "/b/typed", of("typed"));
    parameter(&client, "/b/overridden", of("overridden"));
    let json_text = |member: &str| json!({ "member": member, "port": 543_210, "late": of("late") }).to_string();
    let make = |name: &str, text: &str| {
        secrets(
            &client,
            "CreateSecret",
            &json!({
                "Name": name, "SecretString": text, "ClientRequestToken": format!("{name}{}", "0".repeat(32 - name.len())),
            }),
        )
    };
    make("whole", of("whole"));
    let made = make("json", &json_text(of("previous")));
    let arn = made["ARN"].as_str().unwrap();
    let first = made["VersionId"].as_str().unwrap();
    secrets(&client, "PutSecretValue", &json!({ "SecretId": arn, "SecretString": json_text(of("member")) }));

    let checks: Vec<String> = [
        ("PARAMETER", of("parameter")),
        ("LABELLED", of("labelled")),
        ("WHOLE", of("whole")),
        ("MEMBER", of("member")),
        ("BY_ARN", of("member")),
        ("STAGED", of("previous")),
        ("BY_VERSION", of("previous")),
        ("PORT", "543210"),
        ("TYPED", of("typed")),
        ("OVERRIDDEN", of("overridden")),
    ]
    .iter()
    // The buildspec is stored: it holds a digest of the value, not the value.
    .map(|(name, value)| {
        format!(
            "test \"$(printf %s \"${name}\" | sha256sum | cut -c1-64)\" = {}",
            hex::encode(Sha256::digest(value.as_bytes()))
        )
    })
    .collect();
    let prints = [
        "echo \"plain: $PARAMETER $LABELLED $WHOLE $MEMBER $STAGED $TYPED $OVERRIDDEN\"",
        "env",
        "set -x; : \"$WHOLE\"; set +x",
        "for f in \"$WHOLE\" \"$JSON\"; do printf %s \"$f\" | base64; printf 'x%s' \"$f\" | base64 -w0; echo; done",
        "for f in \"$WHOLE\" \"$MEMBER\"; do printf %s \"$f\" | od -An -tx1; printf %q \"$f\"; echo; done",
        "python3 -c 'import os, urllib.parse, json, binascii; w = os.environ[\"WHOLE\"]; print(urllib.parse.quote(w), \
         json.dumps(w), binascii.hexlify(w.encode()).decode(), w.encode().hex().upper())' || true",
        "i=1; while [ $i -le ${#WHOLE} ]; do printf %s \"$(printf %s \"$WHOLE\" | cut -c$i)\"; i=$((i+1)); done; echo",
        "echo \"late: $JSON\"",
    ];
    let commands: Vec<&str> = checks.iter().map(String::as_str).chain(prints).collect();
    let env = format!(
        "env:\n  shell: bash\n  exported-variables: [WHOLE, COPIED]\n  parameter-store:\n    PARAMETER: /b/parameter\n    LABELLED: /b/labelled:prod\n    \
         OVERRIDDEN: /b/parameter\n  secrets-manager:\n    WHOLE: whole\n    MEMBER: json:member\n    \
         BY_ARN: {arn}:member\n    STAGED: json:member:AWSPREVIOUS\n    BY_VERSION: json:member::{first}\n    PORT: json:port\n    JSON: 'json:::'\n"
    );
    let spec = buildspec(&[&commands[..], &["COPIED=$WHOLE"]].concat()).replace("phases:", &format!("{env}phases:"));
    let mut input = project("secrets", &spec);
    input["environment"]["environmentVariables"] =
        json!([{ "name": "TYPED", "value": "/b/typed", "type": "PARAMETER_STORE" }]);
    client.retried("CreateProject", &input);
    let start = json!({ "projectName": "secrets", "environmentVariablesOverride": [
        { "name": "OVERRIDDEN", "value": "/b/overridden", "type": "PARAMETER_STORE" },
    ] });
    let build = crate::client::accepted(&client.retried("StartBuild", &start)["build"]);
    let record = client.finished(&build);
    let log = client.log(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
    assert!(log.iter().any(|line| line == "plain: *** *** *** *** *** *** ***"), "{log:#?}");
    let exported = record["exportedEnvironmentVariables"].as_array().map_or(0, Vec::len);
    assert_eq!(exported, 0, "neither a secret nor what equals one is exported: {record}");
    let (log, record) = (log.join("\n"), record.to_string());
    for (name, value) in names.iter().zip(&values) {
        assert!(!log.contains(value.as_str()) && !record.contains(value.as_str()), "{name} in\n{log}\n{record}");
    }
    assert!(record.contains("/b/overridden"), "the record has the reference: {record}");
    server.check(&[build]);
}

/// What a build is told of its only phase that failed: code and message.
fn failure(client: &Client, name: &str) -> (kiln_check::Accepted, String, String) {
    let build = client.start_build(name);
    let record = client.finished(&build);
    assert_eq!(record["buildStatus"], "FAILED", "{record}");
    let phases = record["phases"].as_array().unwrap();
    let download = phases.iter().find(|p| p["phaseType"] == "DOWNLOAD_SOURCE").unwrap();
    assert_eq!(download["phaseStatus"], "FAILED", "{record}");
    let context = &download["contexts"][0];
    let text = |member: &str| context[member].as_str().unwrap().to_owned();
    (build, text("statusCode"), text("message"))
}

#[test]
fn a_secret_that_cannot_be_had_fails_the_download() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let value = value("kept");
    server.secret(&value);
    parameter(&client, "/kept/parameter", &value);
    secrets(&client, "CreateSecret", &json!({ "Name": "kept", "SecretString": json!({ "a": value }).to_string() }));
    let mut builds = Vec::new();
    let mut fails = |name: &str, env: &str, code: &str, message: &str| {
        let spec = buildspec(&["echo never"]).replace("phases:", &format!("env:\n{env}phases:"));
        client.retried("CreateProject", &project(name, &spec));
        let (build, status, said) = failure(&client, name);
        assert!(status == code && said.contains(message), "{status}: {said}");
        builds.push(build);
    };
    let denied = "AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/kiln-default-build-role/";
    fails("denied-p", "  parameter-store: {A: /kept/parameter}\n", "Decrypted Variables Error", denied);
    fails("denied-s", "  secrets-manager: {A: 'kept:a'}\n", "Secrets Manager Error", denied);
    permit(&client);
    fails(
        "gone-p",
        "  parameter-store: {A: /nothing}\n",
        "Decrypted Variables Error",
        "parameter does not exist: /nothing",
    );
    let missing = "ResourceNotFoundException: Secrets Manager can't find the specified secret.";
    fails("gone-s", "  secrets-manager: {A: 'nothing:a'}\n", "Secrets Manager Error", missing);
    fails("key", "  secrets-manager: {A: 'kept:b'}\n", "Secrets Manager Error", "has no key b");
    server.check(&builds);
}

/// Where the server is away just then, the build waits for it.
#[test]
fn a_build_waits_for_its_secrets() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    permit(&client);
    let value = value("waited");
    server.secret(&value);
    parameter(&client, "/waited", &value);
    let spec = buildspec(&["echo \"got ${#A} characters\""])
        .replace("phases:", "env:\n  parameter-store: {A: /waited}\nphases:");
    client.retried("CreateProject", &project("waiting", &spec));
    let build = client.start_build("waiting");
    server.kill();
    server.run();
    let client = server.client();
    let record = client.finished(&build);
    let log = client.log(&build);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
    assert!(log.iter().any(|line| *line == format!("got {} characters", value.len())), "{log:#?}");
    server.check(&[build]);
}
