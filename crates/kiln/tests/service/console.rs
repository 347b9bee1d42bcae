//! The web console: links that sign in, and journeys through it in a real browser.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use kiln_check::Accepted;
use serde_json::{Value, json};

use crate::{
    client::{Client, id, project},
    clients::{run, script},
    server::{Server, not_root, rounds},
    terraform::{self, Terraform},
};

/// What `kiln console` prints.
#[track_caller]
fn link(server: &Server, args: &[&str]) -> String {
    let output = server.kiln(&[&["console"], args].concat()).output().unwrap();
    assert!(output.status.success(), "kiln console: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    assert!(text.starts_with(&format!("http://{}/-/#link=", server.address())), "{text}");
    text
}

fn get(server: &Server, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    (status, answer)
}

/// Hands the secret of a link in.
fn hand_in(server: &Server, secret: &str) -> (u16, Value) {
    let body = json!({ "link": secret }).to_string();
    let request = format!(
        "POST /-/sign-in HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        server.address(),
        body.len()
    );
    let (status, answer) = get(server, &request);
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn a_link_of_kiln_console_signs_in_once_and_is_kept_nowhere() {
    let mut server = Server::start();
    let link = link(&server, &["--duration", "15"]);
    let secret = link.split_once("#link=").unwrap().1.to_owned();
    let other = self::link(&server, &[]);
    server.secret(&secret);

    let (status, session) = hand_in(&server, &secret);
    assert_eq!(status, 200);
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    assert!(text("accessKeyId").starts_with("ASIA") && text("region") == "us-east-1", "{session}");
    let (status, again) = hand_in(&server, &secret);
    assert_eq!(status, 403);
    assert!(again["message"].as_str().unwrap().contains("kiln console"), "{again}");

    // The session works, as whoever made the link; it makes no links itself.
    let kiln = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command
            .args(args)
            .env("HOME", "/nonexistent")
            .env("AWS_ENDPOINT_URL", format!("http://{}", server.address()))
            .env("AWS_ACCESS_KEY_ID", text("accessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", text("secretAccessKey"))
            .env("AWS_SESSION_TOKEN", text("sessionToken"));
        command.output().unwrap()
    };
    let listed = kiln(&["build", "ls"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let refused = kiln(&["console"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("A session cannot make another one"), "{said}");

    for wrong in [&["--duration", "14"][..], &["--duration", "721"]] {
        let output = server.kiln(&[&["console"], wrong].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }

    // Its making is in the audit log, its secret is not: the checker looks for that in everything that is kept.
    let events = server.client().kiln("LookupEvents", &json!({ "eventName": "CreateConsoleLink" })).unwrap();
    assert_eq!(events["events"].as_array().unwrap().len(), 3, "{events}");
    assert!(!events.to_string().contains(&secret) && !server.log().contains(&secret));

    // A server that was started again knows no links.
    server.stop();
    server.run();
    assert_eq!(hand_in(&server, other.split_once("#link=").unwrap().1).0, 403);
    server.check(&[]);
}

#[test]
fn a_browser_is_sent_to_the_console() {
    let mut server = Server::start();
    let ask = |path: &str| {
        let host = server.address();
        get(&server, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\r\n"))
    };
    let (status, answer) = ask("/");
    assert!(status == 302 && answer.contains("location: /-/\r\n"), "{answer}");
    let (status, answer) = ask("/-/");
    assert_eq!(status, 200);
    let is_built = answer.contains("id=\"root\"");
    // Without the console the page says how to get it.
    assert!(is_built || answer.contains("scripts/console"), "{answer}");
    server.check(&[]);
}

/// A build that lasts until it is over; its record is not looked at.
#[track_caller]
fn over(client: &Client, project: &str) -> Accepted {
    let build = client.start_build(project);
    client.finished(&build);
    build
}

/// What the build prints that a viewer must not obey, and must not be hurt by.
const HOSTILE: &str = r#"version: 0.2
phases:
  build:
    commands:
      - |
        echo '<img src=x onerror="alert(1)"><script>alert(2)</script>'
        printf '\033]0;hijacked\007\033[2J\033[10;10Hmoved\n'
        printf '\033[30;40mhidden? no\033[0m \033[8mconcealed? no\033[0m\n'
        printf '\033]8;;http://evil.example/osc8\033\\link\033]8;;\033\\\n'
        printf 'bidi \342\200\256 txet denrut \342\200\254 end\n'
        printf 'no end of a string \033]0;and more\n'
        printf '\033[31mred \033[1;32mbold green \033[38;5;208morange \033[48;2;10;20;200mon blue\033[0m\n'
        head -c 1000000 /dev/zero | tr '\0' x; echo
      - "seq 200; echo the last words; exit 3"
"#;

/// A project with something of everything that Terraform has an argument for: the provider that is tested with has none for
/// `autoRetryLimit`, which newer ones have.
fn exported() -> Value {
    let mut exported =
        project("exported", "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"${HOME}\" 'it''s'\n");
    let more = json!({
        "description": "a \"quoted\" ${description}, %{of} two\nlines",
        "badgeEnabled": true,
        "timeoutInMinutes": 30,
        "queuedTimeoutInMinutes": 60,
        "concurrentBuildLimit": 2,
        "tags": [{ "key": "team", "value": "blue" }, { "key": "a:b", "value": "" }],
        "artifacts": { "type": "S3", "location": "kiln-000000000000-us-east-1", "path": "out", "name": "exported.zip",
                       "packaging": "ZIP", "namespaceType": "BUILD_ID", "overrideArtifactName": true },
        "secondaryArtifacts": [{ "type": "S3", "location": "kiln-000000000000-us-east-1", "name": "more",
                                 "artifactIdentifier": "more", "packaging": "NONE", "namespaceType": "NONE" }],
        "cache": { "type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE", "LOCAL_SOURCE_CACHE"] },
        "logsConfig": { "cloudWatchLogs": { "status": "ENABLED", "groupName": "builds", "streamName": "exported" },
                        "s3Logs": { "status": "DISABLED" } },
    });
    for (name, value) in more.as_object().unwrap() {
        exported[name] = value.clone();
    }
    exported["environment"]["privilegedMode"] = json!(true);
    exported["environment"]["environmentVariables"] = json!([
        { "name": "WORD", "value": "clay ${x}", "type": "PLAINTEXT" },
        { "name": "EMPTY", "value": "", "type": "PLAINTEXT" },
        { "name": "KEPT", "value": "/kept", "type": "PARAMETER_STORE" },
    ]);
    exported
}

/// Where the browser and what drives it are; says why they are not.
fn browser() -> Option<PathBuf> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/node_modules");
    let missing = if !Path::new("/usr/bin/chromium").exists() {
        "there is no chromium (scripts/setup test)"
    } else if !modules.join("playwright-core").exists() {
        "the console's packages are not there (scripts/console)"
    } else {
        return Some(modules);
    };
    println!("skipped: {missing}");
    None
}

#[test]
fn people_use_the_console_in_a_browser() {
    let (false, Some(modules)) = (not_root(), browser()) else { return };
    let mut server = Server::start();
    let page = format!("GET /-/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", server.address());
    if !get(&server, &page).1.contains("id=\"root\"") {
        println!("skipped: this binary was built without the console (scripts/console)");
        server.check(&[]);
        return;
    }
    let client = server.client();
    let lines = rounds(2_000_000, 10_000_000);
    let spec = |commands: &str| format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}");
    let shop = spec("      - echo hello ${GREETING:-world}; date > made.txt; sleep ${PAUSE:-0}; exit ${STATUS:-0}\n")
        + "artifacts:\n  files: [made.txt]\n";
    let ticker = spec("      - i=0; while true; do i=$((i+1)); echo tick $i $(date +%s%3N); sleep 0.1; done\n");
    let half = lines / 2;
    let large = spec(&format!(
        "      - seq {half}\n      - echo a needle in the hay\n      - seq {half}\n      - echo after all the lines\n"
    ));
    let mut made = project("shop", &shop);
    made["artifacts"] = json!({ "type": "S3", "location": "kiln-000000000000-us-east-1", "packaging": "ZIP" });
    client.call("CreateProject", &made).unwrap();
    for (name, text) in [("ticker", ticker.as_str()), ("hostile", HOSTILE), ("large", large.as_str())] {
        client.call("CreateProject", &project(name, text)).unwrap();
    }
    let mut cached = project(
        "cached",
        &(spec("      - mkdir -p kept; seq 1000 > kept/file\n") + "cache:\n  paths: ['kept/**/*']\n"),
    );
    cached["cache"] = json!({ "type": "LOCAL", "modes": ["LOCAL_CUSTOM_CACHE"] });
    client.call("CreateProject", &cached).unwrap();
    over(&client, "cached");
    client.call("CreateProject", &exported()).unwrap();
    let visibility = json!({
        "projectArn": "arn:aws:codebuild:us-east-1:000000000000:project/exported",
        "projectVisibility": "PUBLIC_READ",
        "resourceAccessRole": "arn:aws:iam::000000000000:role/kiln-default-build-role",
    });
    client.call("UpdateProjectVisibility", &visibility).unwrap();
    over(&client, "shop");
    let failing =
        json!({ "projectName": "shop", "environmentVariablesOverride": [{ "name": "STATUS", "value": "1" }] });
    let failed = crate::client::accepted(&client.call("StartBuild", &failing).unwrap()["build"]);
    client.finished(&failed);
    over(&client, "shop");
    let hostile = over(&client, "hostile");
    let large = over(&client, "large");
    let detail = client.kiln("DescribeBuild", &json!({ "id": id(&hostile) })).unwrap();

    // Somebody who may list projects and no more.
    client.iam(&[("Action", "CreateUser"), ("UserName", "visitor")]);
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "codebuild:ListProjects", "Resource": "*" },
    ] });
    let policy = policy.to_string();
    client.iam(&[
        ("Action", "PutUserPolicy"),
        ("UserName", "visitor"),
        ("PolicyName", "p"),
        ("PolicyDocument", &policy),
    ]);
    let key = client.iam(&[("Action", "CreateAccessKey"), ("UserName", "visitor")]);
    let part = |name: &str| {
        let begun = key.split_once(&format!("<{name}>")).unwrap().1;
        begun.split_once('<').unwrap().0.to_owned()
    };
    let keys =
        format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", part("AccessKeyId"), part("SecretAccessKey"));
    let root: String = server.environment().iter().map(|(name, value)| format!("export {name}={value}\n")).collect();

    let mut browser = Command::new("node");
    browser
        .arg(script("console.cjs"))
        .env("NODE_PATH", &modules)
        .env("CONSOLE_URL", format!("http://{}", server.address()))
        .env("CONSOLE_LINK", link(&server, &[]))
        .env("CONSOLE_KEYS", root)
        .env("CONSOLE_DENIED_KEYS", keys)
        .env("CONSOLE_HOSTILE", id(&hostile))
        .env("CONSOLE_HOSTILE_LINE", detail["commands"][0]["firstLine"].to_string())
        .env("CONSOLE_LARGE", id(&large))
        .env("CONSOLE_LARGE_LINES", lines.to_string());
    let copied = tempfile::NamedTempFile::new().unwrap();
    browser.env("CONSOLE_TERRAFORM", copied.path());
    println!("{}", run(&mut browser));
    if let Some(plugins) = terraform::plugins() {
        let resource = std::fs::read_to_string(copied.path()).unwrap();
        let terraform = Terraform::of_resource(&server, &plugins, &resource);
        terraform.import("aws_codebuild_project.exported", "arn:aws:codebuild:us-east-1:000000000000:project/exported");
    }
    // The builds that the browser has started, too.
    let all = client.call("ListBuilds", &json!({})).unwrap();
    let ids = all["ids"].clone();
    let builds = client.call("BatchGetBuilds", &json!({ "ids": ids })).unwrap();
    assert!(builds["builds"].as_array().unwrap().iter().all(|build| build["buildComplete"] == true), "{builds}");
    server.check(&[failed, hostile, large]);
}
