//! S3 with the clients as they come from their makers.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    clients::{client, command, run, script, text},
    server::{Server, peak_kib, rounds},
    terraform::{Terraform, plugins},
};

#[test]
fn the_aws_cli_copies_syncs_links_and_removes() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let aws = |args: &[&str]| {
        let mut command = command(&server, &python.join("bin/aws"));
        command.args(args);
        command
    };
    let files = TempDir::new().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    fs::create_dir_all(files.path().join("tree/sub")).unwrap();
    fs::write(files.path().join("tree/a b.txt"), "first").unwrap();
    fs::write(files.path().join("tree/sub/ä&+.txt"), "second").unwrap();
    // Large enough for parts; of a kind that a wrong order would show.
    let large: Vec<u8> = (0..(20_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect();
    fs::write(files.path().join("large"), &large).unwrap();

    run(&mut aws(&["s3", "mb", "s3://cli-bucket"]));
    assert!(run(&mut aws(&["s3", "ls"])).contains("cli-bucket"));
    run(&mut aws(&["s3", "sync", &path("tree"), "s3://cli-bucket/tree"]));
    let listed = run(&mut aws(&["s3", "ls", "--recursive", "s3://cli-bucket"]));
    assert!(listed.contains("tree/a b.txt") && listed.contains("tree/sub/ä&+.txt"), "{listed}");
    assert_eq!(run(&mut aws(&["s3", "sync", &path("tree"), "s3://cli-bucket/tree"])), "", "nothing is new");
    run(&mut aws(&["s3", "sync", "s3://cli-bucket/tree", &path("back")]));
    assert_eq!(fs::read(files.path().join("back/sub/ä&+.txt")).unwrap(), b"second");

    run(&mut aws(&["s3", "cp", &path("large"), "s3://cli-bucket/large"]));
    run(&mut aws(&["s3", "cp", "s3://cli-bucket/large", &path("large-again")]));
    assert!(fs::read(files.path().join("large-again")).unwrap() == large, "the parts came back in another order");
    run(&mut aws(&["s3", "cp", "s3://cli-bucket/large", "s3://cli-bucket/copy"]));
    run(&mut aws(&["s3", "cp", "--sse", "aws:kms", &path("tree/a b.txt"), "s3://cli-bucket/sealed"]));
    let head: Value = serde_json::from_str(&run(&mut aws(&[
        "s3api",
        "head-object",
        "--bucket",
        "cli-bucket",
        "--key",
        "sealed",
        "--output",
        "json",
    ])))
    .unwrap();
    assert_eq!(head["ServerSideEncryption"], "aws:kms", "{head}");

    // It makes links of version 2 unless it is told otherwise.
    fs::write(files.path().join("config"), "[default]\ns3 =\n  signature_version = s3v4\n").unwrap();
    let link = run(aws(&["s3", "presign", "s3://cli-bucket/tree/a b.txt", "--expires-in", "60"])
        .env("AWS_CONFIG_FILE", files.path().join("config")));
    let fetched = run(Command::new("curl").args(["--silent", "--show-error", "--fail", link.trim()]));
    assert_eq!(fetched, "first");

    run(&mut aws(&[
        "s3api",
        "put-bucket-versioning",
        "--bucket",
        "cli-bucket",
        "--versioning-configuration",
        "Status=Enabled",
    ]));
    run(&mut aws(&["s3", "cp", &path("tree/a b.txt"), "s3://cli-bucket/sealed"]));
    let versions: Value = serde_json::from_str(&run(&mut aws(&[
        "s3api",
        "list-object-versions",
        "--bucket",
        "cli-bucket",
        "--prefix",
        "sealed",
        "--output",
        "json",
    ])))
    .unwrap();
    let ids: Vec<&Value> = versions["Versions"].as_array().unwrap().iter().map(|each| &each["VersionId"]).collect();
    assert_eq!((ids.len(), ids[1]), (2, &json!("null")), "{versions}");
    run(&mut aws(&[
        "s3api",
        "put-bucket-versioning",
        "--bucket",
        "cli-bucket",
        "--versioning-configuration",
        "Status=Suspended",
    ]));
    run(&mut aws(&["s3", "rm", "--recursive", "s3://cli-bucket/tree"]));
    let refused = aws(&["s3", "rb", "s3://cli-bucket"]).output().unwrap();
    assert!(!refused.status.success() && text(&refused).contains("BucketNotEmpty"), "{}", text(&refused));
    let missing = aws(&["s3", "cp", "s3://cli-bucket/tree/a b.txt", &path("gone")]).output().unwrap();
    assert!(text(&missing).contains("404"), "{}", text(&missing));
    server.check(&[]);
}

/// More than one transfer needs, and far less than what is transferred, KiB.
const MEMORY: u64 = 48 << 10;

#[test]
fn large_objects_take_no_memory() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let mib = rounds(160, 2048).to_string();
    let before = peak_kib(server.pid());
    for how in ["put", "parts", "copy", "get"] {
        run(command(&server, &python.join("bin/python")).arg(script("s3_large.py")).args([how, &mib]));
        let peak = peak_kib(server.pid());
        println!("{how} of {mib} MiB: {peak} KiB at most, {before} KiB before");
        assert!(peak < before + MEMORY, "{how} of {mib} MiB took {peak} KiB; before it were {before} KiB");
    }
    server.check(&[]);
}

#[test]
fn boto3_uses_s3() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("s3.py")));
    server.check(&[]);
}

#[test]
fn the_sdk_for_javascript_uses_s3() {
    let Some(node) = client("node") else { return };
    let mut server = Server::start();
    run(command(&server, Path::new("node")).arg(script("s3.cjs")).env("NODE_PATH", node.join("node_modules")));
    server.check(&[]);
}

#[test]
fn terraform_makes_a_bucket_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "s3.tf");
    terraform.apply(&[]);
    terraform.destroy(&[]);
    server.check(&[]);
}
