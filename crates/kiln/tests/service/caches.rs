//! Caches of type S3: objects of a bucket, which builds find again as long as they are there.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, project},
    clients::client,
    places::{Aws, Moto, built},
    server::{Server, not_root},
};

/// A project that says what it found in its cache, and leaves its build's number there.
fn cached(name: &str, bucket: &str, cache: &str) -> Value {
    let spec = format!(
        "version: 0.2\nenv:\n  variables: {{KEY: one}}\nphases:\n  build:\n    commands:\n      - 'echo \"found: $(cat cached/number || echo nothing)\"'\n      - mkdir -p cached\n      - echo {name}-$CODEBUILD_BUILD_NUMBER > cached/number\ncache:\n{cache}  paths:\n    - 'cached/**/*'\n"
    );
    let mut input = project(name, &spec);
    input["cache"] = json!({ "type": "S3", "location": format!("{bucket}/some/prefix") });
    input
}

/// What a build with this value of KEY found, and its log.
#[track_caller]
fn found(client: &Client, name: &str, key: &str) -> (String, Vec<String>) {
    let variables = json!([{ "name": "KEY", "value": key }]);
    let (record, log) = built(client, &json!({ "projectName": name, "environmentVariablesOverride": variables }));
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}\n{log:#?}");
    let found = log.iter().find_map(|line| line.strip_prefix("found: ")).map(ToOwned::to_owned);
    (found.unwrap(), log)
}

/// The keys of a bucket.
fn listed(aws: &Aws<'_>, bucket: &str) -> Vec<String> {
    let listed =
        aws.run(&["s3api", "list-objects-v2", "--bucket", bucket, "--query", "Contents[].Key", "--output", "text"]);
    listed.split_whitespace().map(ToOwned::to_owned).collect()
}

fn key_of(aws: &Aws<'_>, bucket: &str, end: &str) -> String {
    listed(aws, bucket).into_iter().find(|key| key.ends_with(end)).unwrap()
}

/// The keys below the prefix, without it and what names the cache's paths.
fn keys(aws: &Aws<'_>, bucket: &str) -> Vec<String> {
    let mut keys: Vec<_> = listed(aws, bucket)
        .iter()
        .filter_map(|key| key.strip_prefix("some/prefix/")?.split_once('/'))
        .map(|(_, rest)| rest.to_owned())
        .collect();
    keys.sort();
    keys
}

/// One object without a key, which is replaced; those of keys stay; what is deleted is a miss.
fn come_and_go(client: &Client, aws: &Aws<'_>, bucket: &str) {
    aws.run(&["s3", "mb", &format!("s3://{bucket}")]);
    client.retried("CreateProject", &cached("plain", bucket, ""));
    let (first, log) = found(client, "plain", "-");
    assert_eq!(first, "nothing", "{log:#?}");
    assert!(log.iter().any(|line| line.contains("Unable to download cache: none saved yet")), "{log:#?}");
    assert_eq!(keys(aws, bucket), ["current"]);
    assert_eq!(found(client, "plain", "-").0, "plain-1");
    assert_eq!(found(client, "plain", "-").0, "plain-2", "it was replaced");
    aws.run(&["s3", "rm", "--recursive", &format!("s3://{bucket}/some/prefix")]);
    let (found_then, log) = found(client, "plain", "-");
    assert_eq!(found_then, "nothing", "it is gone from the bucket\n{log:#?}");

    client.retried("CreateProject", &cached("keyed", bucket, "  key: npm-$KEY\n  fallback-keys: ['npm-t', npm-]\n"));
    assert_eq!(found(client, "keyed", "one").0, "nothing");
    assert_eq!(found(client, "keyed", "two").0, "keyed-1", "a fallback key");
    let (then, log) = found(client, "keyed", "one");
    assert_eq!(then, "keyed-1", "not replaced by the second\n{log:#?}");
    assert_eq!(found(client, "keyed", "three").0, "keyed-2", "the first fallback key that fits");
    assert_eq!(keys(aws, bucket), ["current", "keys/npm-one", "keys/npm-three", "keys/npm-two"]);
    let two = key_of(aws, bucket, "npm-two");
    aws.run(&["s3", "rm", &format!("s3://{bucket}/{two}")]);
    assert_eq!(found(client, "keyed", "two").0, "keyed-4", "the newest that is left of the first fallback key");
}

#[test]
fn caches_are_objects_of_their_bucket() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let aws = Aws { server: &server, program: python.join("bin/aws"), endpoint: None };
    let client = server.client();
    come_and_go(&client, &aws, "caches");

    // They are objects as all others: sealed, and of one build.
    let key = key_of(&aws, "caches", "npm-one");
    let head = aws.run(&["s3api", "head-object", "--bucket", "caches", "--key", &key, "--output", "json"]);
    let head: Value = serde_json::from_str(&head).unwrap();
    assert_eq!(head["ServerSideEncryption"], "aws:kms", "{head}");
    assert!(head["Metadata"]["codebuild-buildarn"].as_str().unwrap().contains(":build/keyed:"), "{head}");

    // What somebody else put there is no cache, is told, and fails no build.
    let files = TempDir::new().unwrap();
    let garbage = files.path().join("garbage");
    fs::write(&garbage, [b"\x01kiln cache bundle\n".as_slice(), &[0; 500]].concat()).unwrap();
    aws.run(&["s3", "cp", "--quiet", garbage.to_str().unwrap(), &format!("s3://caches/{key}")]);
    let (then, log) = found(&client, "keyed", "one");
    assert_eq!(then, "nothing", "{log:#?}");
    assert!(log.iter().any(|line| line.contains("Unable to download cache: ") && line.contains("damaged")), "{log:#?}");

    // A role that may not store: it is told, and the build goes on.
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "codebuild.amazonaws.com" }, "Action": "sts:AssumeRole",
    }] });
    let allowed = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["logs:*", "s3:Get*", "s3:List*", "kms:*"], "Resource": "*",
    }] });
    let trust = trust.to_string();
    aws.run(&["iam", "create-role", "--role-name", "reader", "--assume-role-policy-document", &trust]);
    let policy = ["--policy-name", "p", "--policy-document", &allowed.to_string()];
    aws.run(&[["iam", "put-role-policy", "--role-name", "reader"].as_slice(), &policy].concat());
    let mut input = cached("reader", "caches", "");
    input["serviceRole"] = json!("arn:aws:iam::000000000000:role/reader");
    client.retried("CreateProject", &input);
    let (then, log) = found(&client, "reader", "-");
    assert!(then.starts_with("plain-"), "it shares the bucket: {log:#?}");
    let refused =
        |line: &String| line.contains("Unable to upload cache: AccessDenied: ") && line.contains("s3:PutObject");
    assert!(log.iter().any(refused), "{log:#?}");
    assert!(found(&client, "plain", "-").0.starts_with("plain-"), "what was not stored is not found");

    // One that is sealed with a key that the role may not use: it is told as well, and found when the role may.
    let sealing = aws.run(&["kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text"]);
    let sealing = sealing.trim();
    let mut input = cached("sealed", "caches", "");
    input["cache"]["location"] = json!("caches/sealed");
    input["encryptionKey"] = json!(sealing);
    client.retried("CreateProject", &input);
    assert_eq!(found(&client, "sealed", "-").0, "nothing");
    let role =
        |name: &str| json!({ "name": "sealed", "serviceRole": format!("arn:aws:iam::000000000000:role/{name}") });
    let allow = |actions: Value| {
        let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        let names = ["--role-name", "reader", "--policy-name", "p", "--policy-document", &policy];
        aws.run(&[["iam", "put-role-policy"].as_slice(), &names].concat());
    };
    allow(json!(["logs:*", "s3:*", "kms:GenerateDataKey*"]));
    client.retried("UpdateProject", &role("reader"));
    let (then, log) = found(&client, "sealed", "-");
    assert_eq!(then, "nothing", "{log:#?}");
    let refused = |line: &String| {
        line.contains("Unable to download cache: AccessDenied: ")
            && line.contains(&format!("kms:Decrypt on resource: {sealing}"))
    };
    assert!(log.iter().any(refused), "{log:#?}");
    allow(json!(["logs:*", "s3:*", "kms:GenerateDataKey*", "kms:Decrypt"]));
    assert_eq!(found(&client, "sealed", "-").0, "sealed-2");

    // Its own cache is another one once the project's is invalidated.
    client.retried("InvalidateProjectCache", &json!({ "projectName": "plain" }));
    assert_eq!(found(&client, "plain", "-").0, "nothing");
    server.check(&[]);
}

#[test]
fn servers_share_the_caches_of_another_s3() {
    let (false, Some(python), Some(moto)) = (not_root(), client("python"), Moto::start()) else { return };
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut server = moto.server(here.path());
    let program = python.join("bin/aws");
    let aws = Aws { server: &server, program, endpoint: Some(moto.endpoint()) };
    come_and_go(&server.client(), &aws, "ext-caches");
    server.check(&[]);

    let mut other = moto.server(there.path());
    let client = other.client();
    client.retried("CreateProject", &cached("elsewhere", "ext-caches", "  key: npm-$KEY\n"));
    assert_eq!(found(&client, "elsewhere", "three").0, "keyed-4", "what the first server stored");
    // The other S3 is away: a line in the log, and the build goes on.
    drop(moto);
    let (then, log) = found(&client, "elsewhere", "three");
    assert_eq!(then, "nothing", "{log:#?}");
    assert!(log.iter().any(|line| line.contains("Unable to download cache: ")), "{log:#?}");
    other.check(&[]);
}
