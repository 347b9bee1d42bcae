//! Builds in images that were just pushed.

use super::*;
use crate::client::{accepted, buildspec, project};

/// The layer of a root file system with this machine's shell, and a file that says which one it is.
fn root_file_system(dir: &Path, marker: &str) -> Vec<u8> {
    let script = "set -e; rm -rf \"$1\"; mkdir -p \"$1\"; cd \"$1\"; mkdir -p root bin etc tmp proc sys dev usr/lib lib lib64; \
        for tool in sh cat id; do cp -L \"$(command -v $tool)\" bin/; done; \
        for lib in $(ldd bin/* | grep -o '/lib[^ :]*' | sort -u); do mkdir -p .$(dirname $lib); cp -L $lib .$lib; done; \
        echo 'root:x:0:0:root:/root:/bin/sh' > etc/passwd; echo \"$3\" > etc/marker; tar cf \"$2\" .";
    let tar = dir.join("root.tar");
    run(Command::new("sh").args(["-c", script, "sh"]).args([&dir.join("root"), &tar]).arg(marker));
    fs::read(tar).unwrap()
}

/// A project whose builds run in an image that is pulled by their role.
fn in_image(name: &str, image: &str, commands: &[&str]) -> Value {
    let mut input = project(name, &buildspec(commands));
    input["environment"]["image"] = image.into();
    input["environment"]["imagePullCredentialsType"] = "SERVICE_ROLE".into();
    input
}

#[test]
fn a_pushed_image_is_a_projects_environment_at_once() {
    if not_root() || !has_skopeo() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    let made = ecr(&client, "CreateRepository", &json!({ "repositoryName": "team/app" }));
    let uri = made["repository"]["repositoryUri"].as_str().unwrap().to_owned();
    let work = TempDir::new().unwrap();
    let password = password(&client);
    server.secret(&password);
    let push = |marker: &str, tag: &str| {
        let tar = root_file_system(work.path(), marker);
        let layout = work.path().join(marker);
        layout_of(&layout, &tar);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "--dest-tls-verify=false", "--dest-creds", &format!("AWS:{password}")]);
        run(skopeo.arg(format!("oci:{}:v1", layout.display())).arg(format!("docker://{uri}:{tag}")));
    };
    push("first", "v1");
    client.call("CreateProject", &in_image("demo", &format!("{uri}:v1"), &["cat /etc/marker", "id -u"])).unwrap();
    let mut builds = Vec::new();
    let mut build = |client: &Client, image: Option<&str>| {
        let mut input = json!({ "projectName": "demo" });
        if let Some(image) = image {
            input["imageOverride"] = image.into();
        }
        let build = accepted(&client.call("StartBuild", &input).unwrap()["build"]);
        let ended = client.finished(&build);
        let succeeded = ended["buildStatus"] == "SUCCEEDED";
        let log = if succeeded { client.log(&build) } else { Vec::new() };
        builds.push(build);
        (ended, log)
    };
    let (ended, log) = build(&client, None);
    assert!(log.iter().any(|line| line == "first"), "{ended} {log:#?}");
    assert_eq!(ended["environment"]["image"], format!("{uri}:v1"));
    // What the tag means now, and not what is here.
    push("second", "v1");
    let (ended, log) = build(&client, None);
    assert!(log.iter().any(|line| line == "second"), "{ended} {log:#?}");
    // What builds call the registry.
    let (ended, log) = build(&client, Some("169.254.170.2:5456/team/app:v1"));
    assert!(log.iter().any(|line| line == "second"), "{ended} {log:#?}");
    let (ended, _) = build(&client, Some(&format!("{uri}:none")));
    let failed = ended["phases"].as_array().unwrap().iter().find(|phase| phase["phaseStatus"] == "FAILED").unwrap();
    assert_eq!(failed["phaseType"], "PROVISIONING", "{ended}");
    assert_eq!(
        failed["contexts"][0],
        json!({ "statusCode": "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", "message": format!(
            "Unable to pull customer's container image. CannotPullContainerError: Error response from daemon: manifest for \
             {uri}:none not found: manifest unknown: Requested image not found") })
    );
    // An image that is no root file system of this machine's is the pusher's fault, and told.
    let registry = Registry::of(&server);
    registry.image("team/app", "broken", &[random(5000)]).unwrap();
    let (ended, _) = build(&client, Some(&format!("{uri}:broken")));
    assert!(ended.to_string().contains("CannotPullContainerError: layer"), "{ended}");
    server.check(&builds);
}

#[test]
fn a_server_that_is_killed_while_it_unpacks_begins_anew() {
    if not_root() {
        return;
    }
    let mut server = Server::start();
    let client = server.client();
    ecr(&client, "CreateRepository", &json!({ "repositoryName": "app" }));
    let work = TempDir::new().unwrap();
    let layers = [root_file_system(work.path(), "whole"), tar_of(work.path(), &random(24 << 20))];
    Registry::of(&server).image("app", "v1", &layers).unwrap();
    let image = format!("{}/app:v1", server.address());
    client.call("CreateProject", &in_image("demo", &image, &["cat /etc/marker"])).unwrap();
    let build = client.start_build("demo");
    // One that is being unpacked, or, should that have been missed, is.
    let places = ["images/tmp", "images/layers/host"].map(|place| server.data().join(place));
    let begun = |place: &std::path::PathBuf| fs::read_dir(place).is_ok_and(|mut layers| layers.next().is_some());
    wait_for("a layer that is unpacked", || places.iter().any(begun).then_some(()));
    assert!(server.kill());
    server.run();
    let ended = server.client().finished(&build);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    let log = server.client().log(&build);
    assert!(log.iter().any(|line| line == "whole"), "{log:#?}");
    server.check(&[build]);
}

/// An archive of one file.
fn tar_of(dir: &Path, bytes: &[u8]) -> Vec<u8> {
    fs::write(dir.join("bytes"), bytes).unwrap();
    let tar = dir.join("bytes.tar");
    run(Command::new("tar").arg("-C").arg(dir).arg("-cf").arg(&tar).arg("bytes"));
    fs::read(tar).unwrap()
}
