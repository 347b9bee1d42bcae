//! The registry of images, driven by unmodified clients and by requests as they are on the wire, and killed in the middle
//! of pushes.

mod builds;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    client::Client,
    clients::{client, command, run, script, text},
    server::{Server, not_root, rounds, wait_for},
    terraform::{Terraform, plugins},
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[track_caller]
fn ecr(client: &Client, operation: &str, input: &Value) -> Value {
    client.service("ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{operation}"), input).unwrap()
}

/// The password of the registry that a client gets.
fn password(client: &Client) -> String {
    let answer = ecr(client, "GetAuthorizationToken", &json!({}));
    let token = answer["authorizationData"][0]["authorizationToken"].as_str().unwrap();
    let text = String::from_utf8(STANDARD.decode(token).unwrap()).unwrap();
    text.strip_prefix("AWS:").unwrap().to_owned()
}

/// An answer on the wire.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client of the distribution specification.
#[derive(Clone)]
struct Registry {
    address: SocketAddr,
    password: String,
}

impl Registry {
    fn of(server: &Server) -> Self {
        Self { address: server.address(), password: password(&server.client()) }
    }

    fn open(&self, method: &str, target: &str, headers: &[(&str, &str)], length: usize) -> std::io::Result<TcpStream> {
        let mut socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        let auth = STANDARD.encode(format!("AWS:{}", self.password));
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        head.push_str(&format!("Authorization: Basic {auth}\r\nContent-Length: {length}\r\n"));
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        socket.write_all(format!("{head}\r\n").as_bytes())?;
        Ok(socket)
    }

    /// One request; an error when the server dies before it has answered.
    fn try_ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Reply> {
        let mut socket = self.open(method, target, headers, body.len())?;
        // It may answer before it has read everything.
        let sent = socket.write_all(body);
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            sent?;
            read?;
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let reply = Reply { status, head, body: answer[end + 4..].to_vec() };
        let length = reply.header("content-length").and_then(|length| length.parse::<usize>().ok());
        if method != "HEAD" && length.is_some_and(|length| length != reply.body.len()) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(reply)
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.try_ask(method, target, headers, body).unwrap()
    }

    fn begin(&self, repository: &str) -> String {
        let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], &[]);
        assert_eq!(begun.status, 202, "{begun:?}");
        begun.header("location").unwrap().to_owned()
    }

    /// Pushes a layer in one request; its digest.
    fn layer(&self, repository: &str, bytes: &[u8]) -> std::io::Result<String> {
        let digest = digest(bytes);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.try_ask("POST", &target, &[], bytes)?;
        assert_eq!(reply.status, 201, "{reply:?}");
        Ok(digest)
    }

    /// Pushes an image of these layers; the digest of its manifest.
    fn image(&self, repository: &str, tag: &str, layers: &[Vec<u8>]) -> std::io::Result<String> {
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids":
            layers.iter().map(|layer| digest(layer)).collect::<Vec<_>>() } })
        .to_string()
        .into_bytes();
        let mut parts = Vec::new();
        for part in std::iter::once(&config).chain(layers) {
            parts.push((self.layer(repository, part)?, part.len()));
        }
        let manifest = manifest(&parts);
        let headers = [("Content-Type", MANIFEST)];
        let reply = self.try_ask("PUT", &format!("/v2/{repository}/manifests/{tag}"), &headers, &manifest)?;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(reply.header("docker-content-digest"), Some(digest(&manifest).as_str()));
        Ok(digest(&manifest))
    }

    /// Reads an image with all that it names, and checks every digest.
    #[track_caller]
    fn read(&self, repository: &str, reference: &str) -> String {
        let reply = self.ask("GET", &format!("/v2/{repository}/manifests/{reference}"), &[], &[]);
        assert_eq!(reply.status, 200, "{reference}: {reply:?}");
        let own = digest(&reply.body);
        assert_eq!(reply.header("docker-content-digest"), Some(own.as_str()));
        let manifest: Value = serde_json::from_slice(&reply.body).unwrap();
        let parts = std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().unwrap());
        for part in parts {
            let named = part["digest"].as_str().unwrap();
            let reply = self.ask("GET", &format!("/v2/{repository}/blobs/{named}"), &[], &[]);
            assert_eq!((reply.status, digest(&reply.body).as_str()), (200, named));
        }
        own
    }
}

/// A manifest of a configuration and layers: their digests and sizes.
fn manifest(parts: &[(String, usize)]) -> Vec<u8> {
    let descriptor =
        |kind: &str, (digest, size): &(String, usize)| json!({ "mediaType": kind, "digest": digest, "size": size });
    let layers: Vec<_> = parts[1..].iter().map(|part| descriptor(LAYER, part)).collect();
    json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &parts[0]), "layers": layers,
    })
    .to_string()
    .into_bytes()
}

/// Random bytes, so many.
fn random(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}

/// An image in a directory of the image specification's layout, of a tar archive with one file.
fn layout(dir: &Path, text: &str) -> String {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("file"), text).unwrap();
    let tar = dir.join("layer.tar");
    run(Command::new("tar").args(["-C".as_ref(), dir.as_os_str(), "-cf".as_ref(), tar.as_os_str(), "file".as_ref()]));
    layout_of(dir, &fs::read(&tar).unwrap())
}

/// The same, of a layer; the digest of its manifest.
fn layout_of(dir: &Path, layer: &[u8]) -> String {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let keep = |bytes: &[u8]| {
        let digest = digest(bytes);
        fs::write(blobs.join(&digest["sha256:".len()..]), bytes).unwrap();
        (digest, bytes.len())
    };
    let layer = keep(layer);
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({ "architecture": machine, "os": "linux", "config": { "Env": ["A=b", "PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [layer.0] } });
    let config = keep(config.to_string().as_bytes());
    let (own, size) = keep(&manifest(&[config, layer]));
    let index = json!({ "schemaVersion": 2, "manifests": [{ "mediaType": MANIFEST, "digest": own, "size": size,
        "annotations": { "org.opencontainers.image.ref.name": "v1" } }] });
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    own
}

fn has_skopeo() -> bool {
    let has = Command::new("skopeo").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: skopeo is not installed");
    }
    has
}

#[test]
fn skopeo_pushes_and_pulls_with_the_password_of_the_aws_cli() {
    let Some(python) = client("python") else { return };
    if !has_skopeo() {
        return;
    }
    let mut server = Server::start();
    let aws = |server: &Server, args: &[&str]| {
        let mut aws = command(server, &python.join("bin/aws"));
        run(aws.args(args).args(["--output", "json"]))
    };
    let made: Value =
        serde_json::from_str(&aws(&server, &["ecr", "create-repository", "--repository-name", "team/app"])).unwrap();
    let uri = made["repository"]["repositoryUri"].as_str().unwrap().to_owned();
    assert_eq!(uri, format!("{}/team/app", server.address()));
    let password = aws(&server, &["ecr", "get-login-password"]);
    let work = TempDir::new().unwrap();
    let from = work.path().join("from");
    let own = layout(&from, "pushed by skopeo");
    let auth = work.path().join("auth.json");
    let host = server.address().to_string();
    let mut login = Command::new("skopeo");
    login.args(["login", "--tls-verify=false", "--username", "AWS", "--password-stdin", &host]);
    let mut login = login.arg("--authfile").arg(&auth).stdin(std::process::Stdio::piped()).spawn().unwrap();
    login.stdin.take().unwrap().write_all(password.trim().as_bytes()).unwrap();
    assert!(login.wait().unwrap().success());
    let skopeo = |args: &[&str]| {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(args).arg("--authfile").arg(&auth);
        skopeo
    };
    let image = format!("docker://{uri}:v1");
    let layout_of = |name: &str| format!("oci:{}:v1", work.path().join(name).display());
    let no_tls = ("--dest-tls-verify=false", "--src-tls-verify=false");
    for _ in 0..2 {
        // The second time everything is there.
        run(&mut skopeo(&["copy", "--preserve-digests", no_tls.0, &layout_of("from"), &image]));
    }
    run(&mut skopeo(&["copy", "--preserve-digests", no_tls.1, &image, &layout_of("to")]));
    for entry in fs::read_dir(from.join("blobs/sha256")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |layout: &str| fs::read(work.path().join(layout).join("blobs/sha256").join(&name)).unwrap();
        assert_eq!(read("to"), read("from"));
    }
    let inspected: Value = serde_json::from_str(&run(&mut skopeo(&["inspect", "--tls-verify=false", &image]))).unwrap();
    assert_eq!(inspected["Digest"], own.as_str(), "{inspected}");
    // All of it is on the disk, and has AWS's names.
    server.stop();
    server.run();
    run(&mut skopeo(&["copy", "--preserve-digests", no_tls.1, &format!("docker://{uri}@{own}"), &layout_of("again")]));
    // As the image of a build is fetched: with what `docker login` leaves.
    if !not_root() {
        let docker = work.path().join("docker");
        fs::create_dir(&docker).unwrap();
        fs::copy(&auth, docker.join("config.json")).unwrap();
        run(server.kiln(&["image", "pull", &format!("{uri}:v1")]).env("DOCKER_CONFIG", &docker));
        assert!(run(&mut server.kiln(&["image", "ls"])).contains("team/app"));
    }
    let described: Value =
        serde_json::from_str(&aws(&server, &["ecr", "describe-images", "--repository-name", "team/app"])).unwrap();
    let detail = &described["imageDetails"][0];
    assert_eq!((&detail["imageDigest"], &detail["imageTags"]), (&json!(own), &json!(["v1"])), "{described}");
    let deleted =
        aws(&server, &["ecr", "batch-delete-image", "--repository-name", "team/app", "--image-ids", "imageTag=v1"]);
    assert!(deleted.contains(&own), "{deleted}");
    let gone = skopeo(&["inspect", "--tls-verify=false", &image]).output().unwrap();
    assert!(!gone.status.success() && text(&gone).contains("manifest unknown"), "{}", text(&gone));
    server.check(&[]);
}

#[test]
fn boto3_takes_repositories_and_images_through_their_lives() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    run(command(&server, &python.join("bin/python")).arg(script("images.py")));
    server.check(&[]);
}

#[test]
fn terraform_makes_repositories_without_a_difference() {
    let Some(plugins) = plugins() else { return };
    let mut server = Server::start();
    let terraform = Terraform::init(&server, &plugins, "images.tf");
    for changed in ["changed=false", "changed=true"] {
        terraform.apply(&[changed]);
    }
    terraform.destroy(&["changed=true"]);
    let left = ecr(&server.client(), "DescribeRepositories", &json!({}));
    assert_eq!(left["repositories"], json!([]), "{left}");
    drop(terraform);
    server.check(&[]);
}

#[test]
fn an_upload_that_was_cut_goes_on_and_survives_the_server() {
    let mut server = Server::start();
    ecr(&server.client(), "CreateRepository", &json!({ "repositoryName": "app" }));
    let registry = Registry::of(&server);
    let bytes = random(3 << 20);
    let at = registry.begin("app");
    // A client that dies in the middle: what came is kept.
    let mut socket = registry.open("PATCH", &at, &[], bytes.len()).unwrap();
    socket.write_all(&bytes[..1 << 20]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    drop(socket);
    let uploaded = |registry: &Registry| {
        let state = registry.ask("GET", &at, &[], &[]);
        assert_eq!(state.status, 204, "{state:?}");
        let range = state.header("range").unwrap().to_owned();
        range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1
    };
    let there = wait_for("what came of the body", || Some(uploaded(&registry)).filter(|there| *there > 1));
    assert!(there <= 1 << 20);
    assert!(server.kill());
    server.run();
    assert_eq!(uploaded(&registry), there, "the server was killed");
    let range = format!("{there}-{}", (2 << 20) - 1);
    let reply = registry.ask("PATCH", &at, &[("Content-Range", &range)], &bytes[there..2 << 20]);
    assert_eq!((reply.status, reply.header("range")), (202, Some(format!("0-{}", (2 << 20) - 1).as_str())));
    let twice = registry.ask("PATCH", &at, &[("Content-Range", &range)], &bytes[there..2 << 20]);
    assert_eq!((twice.status, twice.code().as_str()), (416, "BLOB_UPLOAD_INVALID"));
    let own = digest(&bytes);
    let done = registry.ask("PUT", &format!("{at}?digest={own}"), &[], &bytes[2 << 20..]);
    assert_eq!((done.status, done.header("docker-content-digest")), (201, Some(own.as_str())));
    let reply = registry.ask("GET", &format!("/v2/app/blobs/{own}"), &[], &[]);
    assert!(reply.body == bytes, "{} bytes", reply.body.len());
    let part = registry.ask("GET", &format!("/v2/app/blobs/{own}"), &[("Range", "bytes=1048570-1048585")], &[]);
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[1_048_570..1_048_586]));
    assert_eq!(part.header("content-range"), Some(format!("bytes 1048570-1048585/{}", bytes.len()).as_str()));
    assert_eq!(registry.ask("GET", &at, &[], &[]).code(), "BLOB_UPLOAD_UNKNOWN", "it is over");
    server.check(&[]);
}

#[test]
fn a_corrupted_layer_is_refused_and_leaves_nothing() {
    let mut server = Server::start();
    ecr(&server.client(), "CreateRepository", &json!({ "repositoryName": "app" }));
    let registry = Registry::of(&server);
    let bytes = random(1 << 20);
    let own = digest(&bytes);
    let mut corrupted = bytes.clone();
    corrupted[500_000] ^= 1;
    let at = registry.begin("app");
    assert_eq!(registry.ask("PATCH", &at, &[], &corrupted).status, 202);
    let refused = registry.ask("PUT", &format!("{at}?digest={own}"), &[], &[]);
    assert_eq!((refused.status, refused.code().as_str()), (400, "DIGEST_INVALID"));
    let once = registry.ask("POST", &format!("/v2/app/blobs/uploads/?digest={own}"), &[], &corrupted);
    assert_eq!((once.status, once.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(registry.ask("HEAD", &format!("/v2/app/blobs/{own}"), &[], &[]).status, 404);
    let image = manifest(&[(own.clone(), bytes.len()), (own, bytes.len())]);
    let reply = registry.ask("PUT", "/v2/app/manifests/t", &[("Content-Type", MANIFEST)], &image);
    assert_eq!((reply.status, reply.code().as_str()), (404, "MANIFEST_BLOB_UNKNOWN"));
    server.stop();
    let left = fs::read_dir(server.data().join("blobs")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).filter(|name| name.len() == 32).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
    server.check(&[]);
}

#[test]
fn somebody_who_may_only_pull_is_told_so() {
    let mut server = Server::start();
    let client = server.client();
    for name in ["app", "other"] {
        ecr(&client, "CreateRepository", &json!({ "repositoryName": name }));
    }
    let root = Registry::of(&server);
    let layer = random(1000);
    let own = root.image("app", "v1", std::slice::from_ref(&layer)).unwrap();
    let arn = "arn:aws:ecr:us-east-1:000000000000:repository/app";
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*" },
        { "Effect": "Allow", "Resource": arn, "Action":
            ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"] },
    ]})
    .to_string();
    client.iam(&[("Action", "CreateUser"), ("UserName", "puller")]);
    client.iam(&[
        ("Action", "PutUserPolicy"),
        ("UserName", "puller"),
        ("PolicyName", "pull"),
        ("PolicyDocument", &policy),
    ]);
    let key = client.iam(&[("Action", "CreateAccessKey"), ("UserName", "puller")]);
    let element = |name: &str| key.split_once(&format!("<{name}>")).unwrap().1.split('<').next().unwrap().to_owned();
    let (id, secret) = (element("AccessKeyId"), element("SecretAccessKey"));
    let puller = Client::new(server.address(), &id, &secret);
    let registry = Registry { address: server.address(), password: password(&puller) };
    assert_eq!(registry.read("app", "v1"), own);
    let blob = format!("/v2/other/blobs/uploads/?mount={}&from=app", digest(&layer));
    for (method, target, action) in [
        ("POST", "/v2/app/blobs/uploads/", "ecr:InitiateLayerUpload"),
        ("PUT", "/v2/app/manifests/v1", "ecr:PutImage"),
        ("DELETE", "/v2/app/manifests/v1", "ecr:BatchDeleteImage"),
        ("GET", "/v2/app/tags/list", "ecr:ListImages"),
        ("GET", "/v2/other/manifests/v1", "ecr:BatchGetImage"),
        ("GET", "/v2/none/manifests/v1", "ecr:BatchGetImage"),
        ("POST", blob.as_str(), "ecr:InitiateLayerUpload"),
        ("GET", "/v2/_catalog", "ecr:DescribeRepositories"),
    ] {
        let refused = registry.ask(method, target, &[], b"{}");
        let said = String::from_utf8_lossy(&refused.body);
        assert_eq!((refused.status, refused.code().as_str()), (403, "DENIED"), "{method} {target}: {said}");
        assert!(said.contains(&format!("user/puller is not authorized to perform: {action} on resource: ")), "{said}");
    }
    let wanted = json!({ "accessKeyId": id, "eventName": "PutImage", "refused": true });
    let event = wait_for("the record of the push", || {
        let mut found = client.kiln("LookupEvents", &wanted).ok()?;
        found["events"].as_array_mut()?.pop()
    });
    assert!(event.to_string().contains("DENIED") && event.to_string().contains(arn), "{event}");
    // A password is worth as much as its key.
    client.iam(&[("Action", "DeleteAccessKey"), ("UserName", "puller"), ("AccessKeyId", &id)]);
    let refused = registry.ask("GET", "/v2/", &[], &[]);
    assert_eq!((refused.status, refused.code().as_str()), (401, "UNAUTHORIZED"));
    server.secret(&secret);
    server.secret(&registry.password);
    server.check(&[]);
}

#[test]
fn what_a_push_was_answered_survives_a_crash_at_every_point() {
    let mut server = Server::start();
    ecr(&server.client(), "CreateRepository", &json!({ "repositoryName": "app" }));
    for point in ["layer_piece_stored", "layer_completed", "manifest_stored", "image_stored", "images_deleted"] {
        let registry = Registry::of(&server);
        let safe = registry.image("app", "safe", &[random(70_000)]).unwrap();
        server.stop();
        server.set("KILN_CRASH_POINT", Some(point));
        server.run();
        let layers = [random(70_000), random(5000)];
        let pushed = registry.image("app", "new", &layers);
        if point == "images_deleted" {
            pushed.unwrap();
            let input = json!({ "repositoryName": "app", "imageIds": [{ "imageTag": "new" }] });
            let target = "AmazonEC2ContainerRegistry_V20150921.BatchDeleteImage";
            assert!(server.client().service("ecr", target, &input).is_err(), "{point} was not passed");
        } else {
            assert!(pushed.is_err(), "{point} was not passed");
        }
        server.wait();
        server.set("KILN_CRASH_POINT", None);
        server.run();
        assert_eq!(registry.read("app", "safe"), safe, "{point}");
        let there = registry.ask("GET", "/v2/app/manifests/new", &[], &[]).status;
        match point {
            "image_stored" => assert_eq!(there, 200, "it was committed"),
            _ => assert_eq!(there, 404, "{point}"),
        }
        // And it can be pushed again.
        registry.image("app", "new", &layers).unwrap();
        registry.read("app", "new");
        let input = json!({ "repositoryName": "app", "imageIds": [{ "imageTag": "new" }] });
        ecr(&server.client(), "BatchDeleteImage", &input);
    }
    // A repository goes with all that is in it.
    ecr(&server.client(), "CreateRepository", &json!({ "repositoryName": "gone" }));
    Registry::of(&server).image("gone", "v1", &[random(70_000)]).unwrap();
    server.stop();
    server.set("KILN_CRASH_POINT", Some("repository_deleted"));
    server.run();
    let target = "AmazonEC2ContainerRegistry_V20150921.DeleteRepository";
    assert!(server.client().service("ecr", target, &json!({ "repositoryName": "gone", "force": true })).is_err());
    server.wait();
    server.set("KILN_CRASH_POINT", None);
    server.run();
    let left = ecr(&server.client(), "DescribeRepositories", &json!({}));
    assert_eq!(left["repositories"].as_array().unwrap().len(), 1, "{left}");
    server.check(&[]);
}

#[test]
fn a_server_that_is_killed_amid_pushes_loses_no_image_and_leaks_no_byte() {
    let mut server = Server::start();
    ecr(&server.client(), "CreateRepository", &json!({ "repositoryName": "app" }));
    let registry = Registry::of(&server);
    let shared = random(200_000);
    for round in 0..rounds(3, 30) {
        let over = AtomicBool::new(false);
        let pushed: Vec<(String, String)> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let (registry, shared, over) = (&registry, &shared, &over);
                    scope.spawn(move || {
                        let mut pushed = Vec::new();
                        for image in 0.. {
                            if over.load(Ordering::Relaxed) {
                                break;
                            }
                            let tag = format!("r{round}-{n}-{image}");
                            // One layer is everybody's: they all complete it at once.
                            let layers = [shared.clone(), random(fastrand::usize(1..100_000))];
                            match registry.image("app", &tag, &layers) {
                                Ok(own) => pushed.push((tag, own)),
                                Err(_) => break,
                            }
                        }
                        pushed
                    })
                })
                .collect();
            thread::sleep(Duration::from_millis(fastrand::u64(300..1500)));
            assert!(server.kill(), "the server has ended by itself: {}", server.log());
            over.store(true, Ordering::Relaxed);
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        server.run();
        for (tag, own) in &pushed {
            assert_eq!(registry.read("app", tag), *own, "it was answered");
        }
    }
    server.check(&[]);
}
