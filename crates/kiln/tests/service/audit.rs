//! The audit log of a live server: what is in it after a crash, and how tampering is found.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use serde_json::{Value, json};

use crate::{
    client::{Client, Fault},
    disks::SmallDisk,
    server::{Server, not_root, wait_for},
};

/// The directory of a log on a file system of its own.
struct Apart {
    directory: PathBuf,
    disk: SmallDisk,
}

impl Apart {
    fn new(data: &Path) -> Self {
        let (disk, directory) = (SmallDisk::new(16, 16 << 10), data.join("audit"));
        for path in [&disk.data(), &directory] {
            fs::DirBuilder::new().mode(0o700).create(path).unwrap();
        }
        let mounted = Command::new("mount").arg("--bind").args([&disk.data(), &directory]).status().unwrap();
        assert!(mounted.success());
        Self { directory, disk }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.directory).status().ok();
    }
}

/// All records, the newest first.
fn events(client: &Client, filter: Value) -> Vec<Value> {
    let mut input = filter;
    input["maxResults"] = json!(1000);
    let mut all = Vec::new();
    loop {
        let mut page = client.kiln("LookupEvents", &input).unwrap();
        all.append(page["events"].as_array_mut().unwrap());
        if page["nextToken"].is_null() {
            return all;
        }
        input["nextToken"] = page["nextToken"].take();
    }
}

/// `kiln audit verify`: its exit status and what it says.
fn verify(server: &Server, more: &[&str]) -> (i32, String) {
    let output = server.kiln(&[&["audit", "verify"], more].concat()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// Makes projects until the server is gone; which were acknowledged.
fn changes(client: &Client, round: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let name = format!("p{round}-{n}");
        match client.call("CreateProject", &crate::client::project(&name, "version: 0.2\nphases: {}")) {
            Ok(_) => acknowledged.push(name),
            Err(Fault::Lost(_)) => return acknowledged,
            Err(fault) => panic!("{fault:?}"),
        }
    }
    acknowledged
}

#[test]
fn no_acknowledged_change_is_missing_after_a_crash() {
    let mut server = Server::start();
    for (round, point) in [None, Some("audit_written:20"), Some("audit_synced:20")].into_iter().enumerate() {
        if let Some(point) = point {
            server.stop();
            server.set("KILN_CRASH_POINT", Some(point));
            server.run();
        }
        let client = server.client();
        let writing = client.clone();
        let writer = thread::spawn(move || changes(&writing, round));
        match point {
            Some(_) => drop(wait_for("the server to die", || server.exited())),
            None => {
                wait_for("some projects", || {
                    let found = client.call("ListProjects", &json!({})).ok()?;
                    (found["projects"].as_array()?.len() >= 20).then_some(())
                });
            }
        }
        server.kill();
        let acknowledged = writer.join().unwrap();
        assert!(!acknowledged.is_empty(), "{point:?}");
        server.set("KILN_CRASH_POINT", None);
        server.run();
        let made = events(&server.client(), json!({ "eventName": "CreateProject", "refused": false }));
        for name in acknowledged {
            let is_it = |event: &&Value| event["requestParameters"]["name"] == json!(name);
            assert!(made.iter().any(|event| is_it(&event)), "{point:?}: {name} was acknowledged");
        }
        let (status, said) = verify(&server, &[]);
        assert_eq!(status, 0, "{point:?}: {said}");
    }
    let opened = events(&server.client(), json!({ "eventName": "AuditLogOpened" }));
    assert_eq!(opened[0]["serviceEventDetails"], json!({ "before": "interrupted", "damage": null }));
    server.check(&[]);
}

#[test]
fn nothing_is_changed_while_the_log_has_no_room() {
    if not_root() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let apart = Apart::new(data.path());
    let mut server = Server::prepare(data.path(), &[]);
    server.run();
    let client = server.client();
    client.project("before", &["true"]);
    let keys = client.kms("ListKeys", &json!({})).unwrap();
    apart.disk.fill();

    let input = |name: &str| crate::client::project(name, "version: 0.2\nphases: {}");
    let is_clear = |fault: &Fault| match fault {
        Fault::Refused { status, code, message } => {
            assert_eq!((*status, code.as_str()), (400, "ThrottlingException"), "{message}");
            assert!(message.contains("audit") && message.contains("space"), "{message}");
        }
        Fault::Lost(e) => panic!("the server is gone: {e}\n{}", server.log()),
    };
    // The last block of the file has room for some records. Then nothing begins that could not be kept, in any service;
    // and what reads is answered.
    let names: Vec<String> = (0..60).map(|n| format!("p{n}")).collect();
    let mut acknowledged = vec!["before".to_owned()];
    for name in &names {
        match client.call("CreateProject", &input(name)) {
            Ok(_) => acknowledged.push(name.clone()),
            Err(fault) => is_clear(&fault),
        }
        assert_eq!(client.call("ListProjects", &json!({})).unwrap()["projects"][0], "before");
    }
    let never = &names[40..];
    assert!(!acknowledged.iter().any(|name| never.contains(name)), "there is no room: {acknowledged:?}");
    is_clear(&client.kms("CreateKey", &json!({})).unwrap_err());
    assert_eq!(client.kms("ListKeys", &json!({})).unwrap(), keys);
    let output = server.kiln(&["audit", "--event", "CreateProject"]).output().unwrap();
    assert!(output.status.success(), "what is there can be read: {output:?}");

    apart.disk.free();
    wait_for("a change to be accepted", || client.call("CreateProject", &input("after")).ok());
    acknowledged.push("after".to_owned());
    let lost = wait_for("the gap to be told of", || events(&client, json!({ "eventName": "AuditRecordsLost" })).pop());
    assert!(lost["serviceEventDetails"]["records"].as_u64().unwrap() >= 10, "{lost}");
    let found = client.retried("ListProjects", &json!({}));
    let names: Vec<&str> = found["projects"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"after") && !never.iter().any(|name| names.contains(&name.as_str())), "{names:?}");
    // What was acknowledged is recorded.
    let made = events(&client, json!({ "eventName": "CreateProject", "refused": false }));
    for name in acknowledged {
        assert!(made.iter().any(|event| event["requestParameters"]["name"] == json!(name)), "{name}");
    }
    let (status, said) = verify(&server, &[]);
    assert_eq!(status, 0, "{said}");
    server.stop();
    let (status, said) = verify(&server, &[]);
    assert_eq!(status, 0, "{said}");
    server.run();
    server.check(&[]);
}

#[test]
fn tampering_is_found_whether_the_service_runs_or_not() {
    let mut server = Server::start();
    let client = server.client();
    for n in 0..5 {
        client.project(&format!("p{n}"), &["true"]);
    }
    let (status, said) = verify(&server, &[]);
    assert_eq!(status, 0, "{said}");
    let end = said.lines().find_map(|line| line.strip_prefix("end ")).unwrap().to_owned();
    server.stop();
    assert_eq!(verify(&server, &["--expect", &end]).0, 0);

    let directory = server.data().join("audit");
    let path = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    // Somebody makes it look as if another project had been made.
    fs::write(&path, whole.replacen("p3", "p9", 1)).unwrap();
    let (status, said) = verify(&server, &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("the record was changed, or one was removed or put in before it"), "{said}");
    server.run();
    let (again, while_it_runs) = verify(&server, &[]);
    // The same from the service, which has compressed the file meanwhile.
    let of = |said: &str| said.split(" (").next().unwrap_or_default().to_owned();
    assert_eq!((again, of(&while_it_runs)), (1, of(&said)));
    let opened = events(&server.client(), json!({ "eventName": "AuditLogOpened" }));
    assert!(opened[0]["serviceEventDetails"]["damage"].is_string(), "{}", opened[0]);
    assert_eq!(server.client().project("after", &["true"])["name"], "after", "the service works on");
}

#[test]
fn calls_are_found_by_who_what_and_when_and_secrets_are_not() {
    let mut server = Server::start();
    let client = server.client();
    client.project("demo", &["true"]);
    let input = json!({ "projectName": "demo", "environmentVariablesOverride":
        [{ "name": "PASSWORD", "value": "canary-of-the-audit-log" }] });
    client.call("StartBuild", &input).unwrap();
    let token =
        json!({ "token": "canary-of-the-audit-log", "serverType": "GITHUB", "authType": "PERSONAL_ACCESS_TOKEN" });
    client.call("ImportSourceCredentials", &token).unwrap();
    client.refused("StartBuild", &json!({ "projectName": "missing" }));
    let stranger = Client::new(server.address(), "AKIDNOBODY", "nothing");
    stranger.refused("ListProjects", &json!({}));

    let count = |filter: Value| events(&client, filter).len();
    assert_eq!(count(json!({ "eventName": "StartBuild" })), 2);
    assert_eq!(count(json!({ "eventName": "StartBuild", "refused": true })), 1);
    assert_eq!(count(json!({ "eventName": "StartBuild", "userName": "root", "readOnly": false })), 2);
    assert_eq!(count(json!({ "eventName": "StartBuild", "userName": "alice" })), 0);
    assert_eq!(count(json!({ "accessKeyId": "AKIDNOBODY" })), 1);
    let project = "arn:aws:codebuild:us-east-1:000000000000:project/demo";
    assert_eq!(count(json!({ "resource": project })), 2);
    assert_eq!(count(json!({ "startTime": 4_000_000_000_i64 })), 0);
    assert_eq!(count(json!({ "endTime": 4 })), 0);
    let newest = &events(&client, json!({ "eventName": "StartBuild" }))[0];
    assert_eq!(newest["errorCode"], "ResourceNotFoundException");
    let refused = &events(&client, json!({ "accessKeyId": "AKIDNOBODY" }))[0];
    assert_eq!(
        (&refused["userIdentity"]["type"], &refused["errorCode"]),
        (&json!("Unknown"), &json!("UnrecognizedClientException"))
    );
    assert!(client.kiln("LookupEvents", &json!({ "nextToken": "x" })).is_err());
    let output = server.kiln(&["audit", "--since", "1h", "--event", "StartBuild", "--json"]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let shown = server.kiln(&["audit", "--refused", "-n", "2"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("? AKIDNOBODY") && shown.contains("UnrecognizedClientException"), "{shown}");
    for entry in fs::read_dir(server.data().join("audit")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("canary-of-the-audit-log"));
    }
    server.check(&[]);
}
