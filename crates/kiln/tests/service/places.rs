//! Builds that read from buckets and store to them: Kiln's own, and those of another S3, whose part moto's server plays.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, accepted, buildspec, project},
    clients::{client, command, run},
    server::{Server, not_root, wait_for},
};

/// The AWS CLI for one S3.
pub(crate) struct Aws<'a> {
    pub(crate) server: &'a Server,
    pub(crate) program: PathBuf,
    /// Of another S3 than the server's.
    pub(crate) endpoint: Option<String>,
}

impl Aws<'_> {
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let mut aws = command(self.server, &self.program);
        if let Some(endpoint) = &self.endpoint {
            aws.env("AWS_ENDPOINT_URL", endpoint);
        }
        run(aws.args(args))
    }

    /// What an object holds, decompressed if it is gzip.
    #[track_caller]
    fn read(&self, url: &str, to: &Path) -> Vec<u8> {
        self.run(&["s3", "cp", "--quiet", url, to.to_str().unwrap()]);
        if url.ends_with(".gz") {
            run(Command::new("gzip").arg("-dc").arg(to)).into_bytes()
        } else {
            fs::read(to).unwrap()
        }
    }
}

/// A ZIP of a file with this content.
fn zip(directory: &Path, name: &str, content: &str) -> PathBuf {
    let (file, zip) = (directory.join("file.txt"), directory.join(name));
    fs::write(&file, content).unwrap();
    run(Command::new("python3").args(["-m", "zipfile", "-c"]).args([&zip, &file]));
    zip
}

/// Starts a build with these members of StartBuild; its record when it is over, and its log.
#[track_caller]
pub(crate) fn built(client: &Client, input: &Value) -> (Value, Vec<String>) {
    let build = accepted(&client.retried("StartBuild", input)["build"]);
    (client.finished(&build), client.log(&build))
}

/// A project whose source, buildspec, artifact and log are in the buckets `<prefix>in` and `<prefix>out`.
fn project_of(prefix: &str) -> Value {
    let mut input = project("places", "");
    let spec = format!("arn:aws:s3:::{prefix}in/specs/build.yml");
    input["source"] = json!({ "type": "S3", "location": format!("{prefix}in/src.zip"), "buildspec": spec });
    input["artifacts"] = json!({
        "type": "S3", "location": format!("{prefix}out"), "packaging": "ZIP", "namespaceType": "BUILD_ID", "name": "app.zip",
    });
    input["logsConfig"] = json!({ "s3Logs": { "status": "ENABLED", "location": format!("{prefix}out/logs") } });
    input
}

/// What both tests do: ZIPs with their versions, a folder, a buildspec by its ARN, the artifact's key, the log.
#[track_caller]
fn read_and_store(client: &Client, aws: &Aws<'_>, prefix: &str) {
    let files = TempDir::new().unwrap();
    let (bucket_in, bucket_out) = (format!("{prefix}in"), format!("{prefix}out"));
    for bucket in [&bucket_in, &bucket_out] {
        aws.run(&["s3", "mb", &format!("s3://{bucket}")]);
    }
    let enabled = ["--versioning-configuration", "Status=Enabled", "--bucket", &bucket_in];
    aws.run(&[["s3api", "put-bucket-versioning"].as_slice(), &enabled].concat());
    let spec = buildspec(&["cat file.txt"]) + "artifacts:\n  files: ['**/*']\n  s3-prefix: pre\n";
    fs::write(files.path().join("build.yml"), spec).unwrap();
    let copy = |from: &Path, key: &str| {
        aws.run(&["s3", "cp", "--quiet", from.to_str().unwrap(), &format!("s3://{bucket_in}/{key}")]);
    };
    copy(&files.path().join("build.yml"), "specs/build.yml");
    copy(&zip(files.path(), "one.zip", "the first version\n"), "src.zip");
    let first = aws.run(&["s3api", "head-object", "--bucket", &bucket_in, "--key", "src.zip", "--output", "json"]);
    let first: Value = serde_json::from_str(&first).unwrap();
    copy(&zip(files.path(), "two.zip", "the second version\n"), "src.zip");

    client.retried("CreateProject", &project_of(prefix));
    let (record, log) = built(client, &json!({ "projectName": "places", "sourceVersion": first["VersionId"] }));
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record}\n{log:#?}");
    assert!(log.iter().any(|line| line == "the first version"), "{log:#?}");
    let (record, log) = built(client, &json!({ "projectName": "places" }));
    assert!(log.iter().any(|line| line == "the second version"), "{log:#?}");

    let uuid = record["id"].as_str().unwrap().split_once(':').unwrap().1;
    let key = format!("{bucket_out}/pre/{uuid}/app.zip");
    assert_eq!(record["artifacts"]["location"], format!("arn:aws:s3:::{key}"));
    let artifact = files.path().join("app.zip");
    aws.run(&["s3", "cp", "--quiet", &format!("s3://{key}"), artifact.to_str().unwrap()]);
    run(Command::new("python3").args(["-m", "zipfile", "-t"]).arg(&artifact));
    let sum = run(Command::new("sha256sum").arg(&artifact));
    assert_eq!(sum.split(' ').next(), record["artifacts"]["sha256sum"].as_str());

    let key = format!("{bucket_out}/logs/{uuid}.gz");
    assert_eq!(record["logs"]["s3LogsArn"], format!("arn:aws:s3:::{key}"));
    let text = aws.read(&format!("s3://{key}"), &files.path().join("log.gz"));
    let lines: Vec<_> = String::from_utf8(text).unwrap().lines().map(ToOwned::to_owned).collect();
    assert_eq!(lines, log);

    // A folder, with what some clients make for a folder itself.
    fs::write(files.path().join("run.sh"), "echo from a folder\n").unwrap();
    copy(&files.path().join("run.sh"), "tree/sub/run.sh");
    aws.run(&["s3api", "put-object", "--bucket", &bucket_in, "--key", "tree/sub/"]);
    let folder = json!({
        "projectName": "places", "sourceLocationOverride": format!("{bucket_in}/tree/"),
        "buildspecOverride": buildspec(&["sh sub/run.sh"]), "artifactsOverride": { "type": "NO_ARTIFACTS" },
    });
    let (record, log) = built(client, &folder);
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{log:#?}");
    assert!(log.iter().any(|line| line == "from a folder"), "{log:#?}");

    // What is not there is said, and where it was looked for.
    for (member, value, said) in [
        ("sourceLocationOverride", format!("{bucket_in}/none.zip"), "none.zip"),
        ("sourceLocationOverride", format!("{bucket_in}/none/"), "none/"),
        ("sourceVersion", "0000".to_owned(), "src.zip"),
        ("buildspecOverride", format!("arn:aws:s3:::{bucket_in}/specs/none.yml"), "none.yml"),
    ] {
        let (record, _) = built(client, &json!({ "projectName": "places", member: value }));
        assert_eq!(record["buildStatus"], "FAILED", "{record}");
        let phases = record["phases"].as_array().unwrap();
        let failed = phases.iter().find(|phase| phase["phaseStatus"] == "FAILED").unwrap();
        assert_eq!(failed["phaseType"], "DOWNLOAD_SOURCE", "{record}");
        let message = failed["contexts"][0]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn builds_read_from_buckets_and_store_to_them() {
    let (false, Some(python)) = (not_root(), client("python")) else { return };
    let mut server = Server::start();
    let aws = Aws { server: &server, program: python.join("bin/aws"), endpoint: None };
    read_and_store(&server.client(), &aws, "own-");
    server.check(&[]);
}

/// moto's server.
pub(crate) struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Moto {
    pub(crate) fn start() -> Option<Self> {
        let moto = client("moto")?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(moto.join("bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, address };
        wait_for("moto's server", || TcpStream::connect(address).ok());
        Some(moto)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Moto {
    /// A server whose buckets `ext-…` are here.
    pub(crate) fn server(&self, data: &Path) -> Server {
        let config = format!(
            "[[external_s3]]\nbuckets = [\"ext-*\"]\nendpoint = \"{}\"\naccess_key_id = \"k\"\nsecret_access_key = \"s3cr3t-of-moto\"\n",
            self.endpoint()
        );
        fs::write(data.join("kiln.toml"), config).unwrap();
        let mut server = Server::prepare(data, &[]);
        server.run();
        server
    }
}

#[test]
fn buckets_of_another_s3_are_used_directly() {
    let (false, Some(python), Some(moto)) = (not_root(), client("python"), Moto::start()) else { return };
    let data = TempDir::new().unwrap();
    let mut server = moto.server(data.path());
    let aws = Aws { server: &server, program: python.join("bin/aws"), endpoint: Some(moto.endpoint()) };
    let client = server.client();
    read_and_store(&client, &aws, "ext-");
    let own = Aws { endpoint: None, ..aws };
    assert!(!own.run(&["s3", "ls"]).contains("ext-"), "nothing of it is in Kiln");

    // A client of the Kiln API gets the artifact from there.
    let ids = client.retried("ListBuildsForProject", &json!({ "projectName": "places" }));
    let with_artifact = ids["ids"].as_array().unwrap().iter().find_map(|id| {
        let found = client.kiln("DescribeBuild", &json!({ "id": id })).unwrap();
        (!found["artifacts"].as_array().is_none_or(Vec::is_empty)).then(|| id.clone())
    });
    let body = serde_json::to_vec(&json!({ "id": with_artifact.unwrap() })).unwrap();
    let (status, zip) = client.exchange("kiln", "Kiln_20261122.GetBuildArtifact", &body).unwrap();
    assert!(status == 200 && zip.starts_with(b"PK"), "{status}");
    server.check(&[]);
}

#[test]
fn objects_can_be_kept_in_a_bucket_of_another_s3() {
    let (false, Some(python), Some(moto)) = (not_root(), client("python"), Moto::start()) else { return };
    let data = TempDir::new().unwrap();
    let endpoint = moto.endpoint();
    let mut server = Server::prepare(
        data.path(),
        &[
            ("KILN_STORAGE_BLOBS", "s3://kept/below"),
            ("KILN_STORAGE_ENDPOINT", &endpoint),
            ("KILN_STORAGE_ACCESS_KEY_ID", "k"),
            ("KILN_STORAGE_SECRET_ACCESS_KEY", "s"),
        ],
    );
    server.run();
    let program = python.join("bin/aws");
    let there = Aws { server: &server, program: program.clone(), endpoint: Some(endpoint.clone()) };
    there.run(&["s3", "mb", "s3://kept"]);
    let own = Aws { server: &server, program: program.clone(), endpoint: None };
    let files = TempDir::new().unwrap();
    // More than one request on both ways.
    let large: Vec<u8> = (0..20_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    fs::write(files.path().join("large"), &large).unwrap();
    own.run(&["s3", "mb", "s3://mine"]);
    own.run(&["s3", "cp", "--quiet", files.path().join("large").to_str().unwrap(), "s3://mine/large"]);
    let listed = there.run(&["s3", "ls", "--recursive", "s3://kept"]);
    assert!(listed.contains("below/") && !listed.contains("large"), "{listed}");
    let blobs: Vec<_> = fs::read_dir(data.path().join("blobs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(blobs.iter().all(|name| name == "partial" || name == "kept.json"), "{blobs:?}");
    server.stop();

    // Without the key it would look for them here, and lose them.
    server.set("KILN_STORAGE_BLOBS", None);
    for name in ["KILN_STORAGE_ENDPOINT", "KILN_STORAGE_ACCESS_KEY_ID", "KILN_STORAGE_SECRET_ACCESS_KEY"] {
        server.set(name, None);
    }
    server.launch();
    assert!(!server.wait().success());
    assert!(server.log().contains("s3://kept/below") && server.log().contains("storage.blobs"), "{}", server.log());
    server.set("KILN_STORAGE_BLOBS", Some("s3://kept/below"));
    for (name, value) in [("ENDPOINT", endpoint.as_str()), ("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")] {
        server.set(&format!("KILN_STORAGE_{name}"), Some(value));
    }
    server.run();
    let own = Aws { server: &server, program, endpoint: None };
    assert!(own.read("s3://mine/large", &files.path().join("back")) == large);
    server.stop();
}
