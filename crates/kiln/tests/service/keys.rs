//! Keys of the Key Management Service, driven by unmodified clients, and what they protect: the encryption of a live
//! server's data (fault test 30).

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use kiln_check::Accepted;
use rustix::fs::{SeekFrom, seek};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, Fault, buildspec, id, project},
    clients::{client, command, run, script, text},
    server::{Server, not_root, wait_for},
    terraform::{Terraform, plugins},
};

fn aws(server: &Server, python: &Path, args: &[&str]) -> Command {
    let mut aws = command(server, &python.join("bin/aws"));
    aws.arg("kms").args(args).args(["--output", "json"]);
    aws
}

#[test]
fn the_aws_cli_takes_a_key_through_its_life() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let files = TempDir::new().unwrap();
    let path = |name: &str| format!("fileb://{}", files.path().join(name).display());
    fs::write(files.path().join("plain"), "what is to be hidden").unwrap();
    let call =
        |args: &[&str]| serde_json::from_str::<Value>(&run(&mut aws(&server, &python, args))).unwrap_or_default();
    let refused = |args: &[&str]| {
        let output = aws(&server, &python, args).output().unwrap();
        assert!(!output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    };
    let key = call(&["create-key", "--description", "of the CLI"]);
    let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
    call(&["create-alias", "--alias-name", "alias/cli", "--target-key-id", key]);
    let with = ["--encryption-context", "project=demo,stage=test"];
    let encrypt = |file: &str, into: &str| {
        let plain = path(file);
        let answer = call(&[&["encrypt", "--key-id", "alias/cli", "--plaintext", &plain], &with[..]].concat());
        let blob = base64(answer["CiphertextBlob"].as_str().unwrap());
        fs::write(files.path().join(into), blob).unwrap();
    };
    encrypt("plain", "sealed");
    let decrypt = ["decrypt", "--ciphertext-blob", &path("sealed")];
    let opened = call(&[&decrypt[..], &with[..]].concat());
    assert_eq!(base64(opened["Plaintext"].as_str().unwrap()), b"what is to be hidden");
    assert_eq!(opened["KeyId"], format!("arn:aws:kms:us-east-1:000000000000:key/{key}"));
    assert!(refused(&decrypt).contains("(InvalidCiphertextException)"));

    let other = call(&["create-key"]);
    let other = other["KeyMetadata"]["Arn"].as_str().unwrap();
    let moved = call(&[
        "re-encrypt",
        "--ciphertext-blob",
        &path("sealed"),
        "--source-encryption-context",
        "project=demo,stage=test",
        "--destination-key-id",
        other,
    ]);
    fs::write(files.path().join("moved"), base64(moved["CiphertextBlob"].as_str().unwrap())).unwrap();
    let opened = call(&["decrypt", "--ciphertext-blob", &path("moved")]);
    assert_eq!(
        (base64(opened["Plaintext"].as_str().unwrap()).as_slice(), opened["KeyId"].as_str()),
        (&b"what is to be hidden"[..], Some(other))
    );

    call(&["rotate-key-on-demand", "--key-id", key]);
    call(&["enable-key-rotation", "--key-id", key]);
    assert_eq!(call(&["get-key-rotation-status", "--key-id", key])["RotationPeriodInDays"], 365);
    call(&[&decrypt[..], &with[..]].concat());

    call(&["disable-key", "--key-id", key]);
    let said = refused(&[&decrypt[..], &with[..]].concat());
    assert!(said.contains("(DisabledException)") && said.contains("is disabled."), "{said}");
    call(&["enable-key", "--key-id", key]);
    call(&["schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7"]);
    let said = refused(&[&decrypt[..], &with[..]].concat());
    assert!(said.contains("(KMSInvalidStateException)") && said.contains("is pending deletion."), "{said}");
    call(&["cancel-key-deletion", "--key-id", key]);
    call(&["enable-key", "--key-id", key]);

    // All of it is on the disk.
    server.stop();
    server.run();
    let call =
        |args: &[&str]| serde_json::from_str::<Value>(&run(&mut aws(&server, &python, args))).unwrap_or_default();
    call(&[&decrypt[..], &with[..]].concat());
    let described = call(&["describe-key", "--key-id", "alias/cli"]);
    assert_eq!(described["KeyMetadata"]["KeyState"], "Enabled");
    server.check(&[]);
}

/// The bytes of a text that a client wrote.
fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn boto3_takes_a_key_through_its_life() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("kms.py")));
    server.check(&[]);
}

#[test]
fn terraform_makes_a_key_and_its_alias_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "kms.tf");
    for changed in ["changed=false", "changed=true"] {
        terraform.apply(&[changed]);
    }
    let client = server.client();
    let found = client.kms("DescribeKey", &json!({ "KeyId": "alias/terraform" })).unwrap();
    assert_eq!(found["KeyMetadata"]["Description"], "changed by Terraform");
    assert_eq!(found["KeyMetadata"]["KeyState"], "Disabled");
    let key = found["KeyMetadata"]["KeyId"].clone();
    terraform.destroy(&["changed=true"]);
    let found = client.kms("DescribeKey", &json!({ "KeyId": key })).unwrap();
    assert_eq!(found["KeyMetadata"]["KeyState"], "PendingDeletion");
    let aliases = client.kms("ListAliases", &json!({})).unwrap();
    assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 1, "{aliases}");
    server.check(&[]);
}

/// What stands in the artifacts again and again, and nowhere else: the buildspec writes it in two halves.
const PLAIN: &str = "plaintext-of-the-artifact";

/// A project whose builds leave a tree, not zipped, of one small and one large file.
fn sealed_project(name: &str, key: &str, disabled: bool) -> Value {
    let halves = format!("printf '%s%s\\n' {} {}", &PLAIN[..9], &PLAIN[9..]);
    let large = format!("i=0; while [ $i -lt 4000 ]; do {halves}; i=$((i+1)); done > large.txt");
    let spec = buildspec(&[&format!("{halves} > small.txt"), &large]);
    let mut project = project(name, &format!("{spec}artifacts:\n  files: ['*.txt']\n"));
    project["artifacts"] = json!({
        "type": "S3", "location": "artifacts", "packaging": "NONE", "name": name, "encryptionDisabled": disabled,
    });
    project["encryptionKey"] = json!(key);
    project
}

fn built(client: &Client, name: &str) -> (Accepted, Value) {
    let build = client.start_build(name);
    let record = client.finished(&build);
    (build, record)
}

/// Waits until a build's directory is gone, a moment after its end.
fn left_alone(server: &Server, build: &Accepted) {
    let directory = server.data().join("builds").join(&build.uuid);
    wait_for("the build's directory to go", || (!directory.exists()).then_some(()));
}

/// A client with the key of a new user.
fn user(server: &Server, root: &Client, name: &str) -> Client {
    root.iam(&[("Action", "CreateUser"), ("UserName", name)]);
    let answer = root.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]);
    let text = |tag: &str| {
        let (_, rest) = answer.split_once(&format!("<{tag}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    Client::new(server.address(), &text("AccessKeyId"), &text("SecretAccessKey"))
}

fn artifact(client: &Client, build: &Accepted, path: &str) -> Result<Vec<u8>, Fault> {
    client.bytes("kiln", "Kiln_20261122.GetBuildArtifact", &json!({ "id": id(build), "path": path }))
}

/// Files below a directory whose bytes contain a text.
fn containing(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().filter_map(Result::ok) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(containing(&entry.path(), text));
        } else if kind.is_file() && contains(&entry.path(), text) {
            found.push(entry.path());
        }
    }
    found
}

/// Whether a file contains a text; of sparse files (templates of build disks) only what is there is read.
fn contains(path: &Path, text: &str) -> bool {
    // One that is gone meanwhile contains nothing any more.
    let Ok(file) = fs::File::open(path) else { return false };
    let mut at = 0;
    while let Ok(data) = seek(&file, SeekFrom::Data(at)) {
        let end = seek(&file, SeekFrom::Hole(data)).unwrap();
        let mut bytes = vec![0; usize::try_from(end - data).unwrap()];
        file.read_exact_at(&mut bytes, data).unwrap();
        if memchr::memmem::find(&bytes, text.as_bytes()).is_some() {
            return true;
        }
        at = end;
    }
    false
}

/// Opens an object as `clients/open_blob.py` does, which shares nothing with Kiln.
fn opened_independently(python: &Path, data: &Path, key: &str) -> Output {
    let mut open = Command::new(python.join("bin/python"));
    open.arg(script("open_blob.py")).arg(data).args(["artifacts", key]).output().unwrap()
}

#[test]
fn artifacts_are_sealed_with_the_key_of_their_project() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let key = client.kms("CreateKey", &json!({})).unwrap()["KeyMetadata"]["KeyId"].take();
    client.kms("CreateAlias", &json!({ "AliasName": "alias/artifacts", "TargetKeyId": key })).unwrap();
    client.retried("CreateProject", &sealed_project("sealed", "alias/artifacts", false));
    let (first, record) = built(&client, "sealed");
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}");
    assert_eq!(record["encryptionKey"], "alias/artifacts", "{record}");
    let small = format!("{PLAIN}\n").into_bytes();
    let large = small.repeat(4000);
    let readable = |client: &Client| {
        assert_eq!(artifact(client, &first, "small.txt").unwrap(), small);
        assert_eq!(artifact(client, &first, "large.txt").unwrap(), large);
    };
    readable(&client);
    // To others the key has to be allowed as well.
    let reader = user(&server, &client, "reader");
    let allow = |actions: Value| {
        let policy = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": actions, "Resource": "*" } ] });
        let names = [("UserName", "reader"), ("PolicyName", "p"), ("PolicyDocument", &policy.to_string())];
        client.iam(&[&[("Action", "PutUserPolicy")], &names[..]].concat());
    };
    allow(json!(["kiln:GetBuildArtifact"]));
    let refused = artifact(&reader, &first, "small.txt").unwrap_err();
    assert_eq!(refused.code(), "AccessDeniedException", "{refused:?}");
    assert!(format!("{refused:?}").contains("is not authorized to perform: kms:Decrypt on resource: "), "{refused:?}");
    allow(json!(["kiln:GetBuildArtifact", "kms:Decrypt"]));
    assert_eq!(artifact(&reader, &first, "small.txt").unwrap(), small);
    // Nothing of it is anywhere once the build's directory is gone: while the server runs, and after it has stopped.
    left_alone(&server, &first);
    assert_eq!(containing(server.data(), PLAIN), Vec::<PathBuf>::new());
    server.stop();
    assert_eq!(containing(server.data(), PLAIN), Vec::<PathBuf>::new());
    if let Some(python) = crate::clients::client("cryptography") {
        for (name, content) in [("small.txt", &small), ("large.txt", &large)] {
            let output = opened_independently(&python, server.data(), &format!("sealed/{name}"));
            assert!(output.status.success(), "{}", text(&output));
            assert_eq!(output.stdout, *content, "{name}");
        }
    }
    server.run();

    // Rotated: what was sealed before opens as before, and what is sealed now does too.
    client.kms("RotateKeyOnDemand", &json!({ "KeyId": key })).unwrap();
    readable(&client);
    let (second, _) = built(&client, "sealed");
    assert_eq!(artifact(&client, &second, "small.txt").unwrap(), small);

    // Disabled: neither read nor written, with the error of the key.
    client.kms("DisableKey", &json!({ "KeyId": key })).unwrap();
    let refused = artifact(&client, &second, "large.txt").unwrap_err();
    assert_eq!(refused.code(), "DisabledException", "{refused:?}");
    let (third, record) = built(&client, "sealed");
    assert_eq!(record["buildStatus"], "FAILED", "{record}");
    let phases = record["phases"].as_array().unwrap();
    let upload = phases.iter().find(|p| p["phaseType"] == "UPLOAD_ARTIFACTS").unwrap();
    let context = &upload["contexts"][0];
    assert_eq!(context["statusCode"], "CLIENT_ERROR", "{upload}");
    let message = context["message"].as_str().unwrap();
    assert!(message.contains("KMS.DisabledException") && message.contains("is disabled."), "{upload}");
    client.kms("ScheduleKeyDeletion", &json!({ "KeyId": key })).unwrap();
    assert_eq!(artifact(&client, &second, "small.txt").unwrap_err().code(), "KMSInvalidStateException");
    client.kms("CancelKeyDeletion", &json!({ "KeyId": key })).unwrap();
    client.kms("EnableKey", &json!({ "KeyId": key })).unwrap();
    assert_eq!(artifact(&client, &second, "large.txt").unwrap(), large);

    // A control: this is what is found where a project asks for no encryption.
    client.retried("CreateProject", &sealed_project("open", "alias/artifacts", true));
    let (open, _) = built(&client, "open");
    assert_eq!(containing(&server.data().join("blobs"), PLAIN).len(), 2);
    server.check(&[first, second, third, open]);
}

#[test]
fn changed_objects_and_a_lost_root_key_are_refused() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    client.retried("CreateProject", &sealed_project("sealed", "alias/aws/s3", false));
    let (build, _) = built(&client, "sealed");
    let small = format!("{PLAIN}\n").into_bytes();
    let blobs: Vec<_> = fs::read_dir(server.data().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(blobs.len(), 2);
    let bytes: Vec<_> = blobs.iter().map(|path| fs::read(path).unwrap()).collect();
    let (at, sealed) = (0..2).map(|n| (&blobs[n], &bytes[n])).min_by_key(|(_, bytes)| bytes.len()).unwrap();
    let refused = |what: &str, name: &str| {
        let refused = artifact(&client, &build, name).unwrap_err();
        assert_eq!(refused.code(), "InternalFailure", "{what}: {refused:?}");
        assert!(!format!("{refused:?}").contains(PLAIN), "{what}");
    };
    // Every byte.
    for n in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[n] ^= 1;
        fs::write(at, changed).unwrap();
        refused(&format!("byte {n}"), "small.txt");
    }
    // Exchanged.
    fs::write(&blobs[0], &bytes[1]).unwrap();
    fs::write(&blobs[1], &bytes[0]).unwrap();
    refused("exchanged", "small.txt");
    refused("exchanged", "large.txt");
    for (path, bytes) in blobs.iter().zip(&bytes) {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(artifact(&client, &build, "small.txt").unwrap(), small);
    // Cut at the edge of each chunk, and before and behind it; nothing of it comes.
    let (at, sealed) = (0..2).map(|n| (&blobs[n], &bytes[n])).max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let (length, chunk) = (small.len() * 4000, 16_400);
    let start = sealed.len() - length / 16_384 * chunk - (length % 16_384 + 16);
    for edge in (start..sealed.len()).step_by(chunk) {
        for cut in [edge - 1, edge, edge + 1] {
            fs::write(at, &sealed[..cut]).unwrap();
            refused(&format!("cut at {cut}"), "large.txt");
        }
    }
    // Two chunks exchanged.
    let mut changed = sealed.clone();
    let (first, second) = changed[start..start + 2 * chunk].split_at_mut(chunk);
    first.swap_with_slice(second);
    fs::write(at, changed).unwrap();
    match artifact(&client, &build, "large.txt") {
        // The length was announced, so that the client knows that it has not got all.
        Err(Fault::Lost(_) | Fault::Refused { .. }) => {}
        Ok(bytes) => panic!("{} bytes of exchanged chunks", bytes.len()),
    }
    fs::write(at, sealed).unwrap();
    assert_eq!(artifact(&client, &build, "large.txt").unwrap().len(), small.len() * 4000);

    // Without its root key the server does not start, and makes no new one.
    server.stop();
    let root = server.data().join("keys/root.key");
    let key = fs::read(&root).unwrap();
    fs::remove_file(&root).unwrap();
    for wrong in [None, Some(String::from_utf8(key.clone()).unwrap().replace(['a', '1'], "2"))] {
        if let Some(wrong) = &wrong {
            fs::write(&root, wrong).unwrap();
            run(Command::new("chmod").arg("600").arg(&root));
        }
        server.launch();
        let status = server.wait();
        assert!(!status.success());
        let log = server.log();
        assert!(log.contains("root.key"), "{log}");
        assert_eq!(root.exists(), wrong.is_some());
    }
    fs::write(&root, key).unwrap();
    server.run();
    assert_eq!(artifact(&client, &build, "small.txt").unwrap(), small);
    server.check(&[build]);
}

/// What a link gives: all of it, or nothing that a client takes for it.
fn fetched(link: &str, range: Option<&str>) -> Result<Vec<u8>, String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "60"]);
    curl.args(range.iter().flat_map(|range| ["--range", range])).arg(link.trim());
    let output = curl.output().unwrap();
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn changed_parts_of_an_object_are_refused() {
    let Some(python) = crate::clients::client("python") else { return };
    let mut server = Server::start();
    let client = server.client();
    let key = client.kms("CreateKey", &json!({})).unwrap()["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let files = TempDir::new().unwrap();
    // Two of one size, which could be exchanged, and a last one that is smaller than parts otherwise are.
    let contents: Vec<Vec<u8>> = [(1_u32, 5 << 20), (2, 5 << 20), (3, 40_000)]
        .into_iter()
        .map(|(seed, size)| {
            let line = |n: u32| format!("{PLAIN} {seed} {n}\n").into_bytes();
            (0..).flat_map(line).take(size).collect()
        })
        .collect();
    let names: Vec<PathBuf> = (0..contents.len()).map(|n| files.path().join(n.to_string())).collect();
    for (name, content) in names.iter().zip(&contents) {
        fs::write(name, content).unwrap();
    }
    let mut upload = command(&server, &python.join("bin/python"));
    let link = run(upload.arg(script("s3_parts.py")).args(["parts", "object", &key]).args(&names));
    let whole = contents.concat();
    assert!(fetched(&link, None).unwrap() == whole);
    assert_eq!(containing(server.data(), PLAIN), Vec::<PathBuf>::new());

    let mut blobs: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(server.data().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    assert_eq!(blobs.len(), 3);
    blobs.sort_by_key(|(_, bytes)| bytes.len());
    let refused = |what: &str| {
        if let Ok(bytes) = fetched(&link, None) {
            panic!("{what}: {} bytes came, as if they were all", bytes.len());
        }
    };
    for (n, (path, sealed)) in blobs.iter().enumerate() {
        let change = |at: usize| {
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            fs::write(path, changed).unwrap();
            refused(&format!("byte {at} of blob {n}"));
        };
        (0..120).for_each(change);
        (1..8).map(|part| sealed.len() / 8 * part).for_each(change);
        change(sealed.len() - 1);
        for cut in [0, 1, 16_400, sealed.len() / 2, sealed.len() - 1] {
            fs::write(path, &sealed[..cut]).unwrap();
            refused(&format!("blob {n} cut at {cut}"));
        }
        fs::write(path, [&sealed[..], b"x"].concat()).unwrap();
        refused(&format!("more in blob {n}"));
        fs::remove_file(path).unwrap();
        refused(&format!("no blob {n}"));
        fs::write(path, sealed).unwrap();
    }
    // The two parts of one size are exchanged, or one stands for both.
    for (first, second) in [(2, 1), (1, 1), (2, 2)] {
        fs::write(&blobs[1].0, &blobs[first].1).unwrap();
        fs::write(&blobs[2].0, &blobs[second].1).unwrap();
        refused(&format!("{first} and {second} for 1 and 2"));
    }
    fs::write(&blobs[1].0, &blobs[1].1).unwrap();
    fs::write(&blobs[2].0, &blobs[2].1).unwrap();
    assert!(fetched(&link, None).unwrap() == whole);

    // Of a damaged part nothing comes; what lies in the others does.
    let (path, sealed) = &blobs[0];
    fs::write(path, &sealed[..sealed.len() - 1]).unwrap();
    let at = contents[0].len() * 2 - 100;
    assert_eq!(fetched(&link, Some(&format!("{at}-{}", at + 99))).unwrap(), &whole[at..at + 100]);
    fetched(&link, Some("-50")).unwrap_err();
    fs::write(path, sealed).unwrap();

    client.kms("DisableKey", &json!({ "KeyId": key })).unwrap();
    refused("a disabled key");
    client.kms("EnableKey", &json!({ "KeyId": key })).unwrap();
    assert!(fetched(&link, None).unwrap() == whole);
    server.check(&[]);
}
