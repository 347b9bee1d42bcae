//! Builds of git repositories, fetched from real servers on this machine: git's own backend behind TLS and authentication,
//! `sshd`, and servers and repositories that mean harm (fault test 29).
//!
//! Builds share the machine's network here: in their own one they reach nothing of it, which is tested too.

mod forge;

use std::{fs, path::Path};

use kiln_check::Accepted;
use serde_json::{Value, json};

use self::forge::{Forge, Tree, USER};
use crate::{
    client::{Client, accepted, buildspec, project},
    server::{Server, not_root, processes, rounds, wait_for},
};

/// A service whose builds reach this machine.
fn service() -> Server {
    Server::with(&[("KILN_NETWORK_MODE", "host")])
}

const SPEC: &str = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"is=$(cat file)\"\n      - echo \"at=$(pwd)\"\n      - echo \"head=$(git rev-parse HEAD)\"\n      - echo \"resolved=$CODEBUILD_RESOLVED_SOURCE_VERSION\"\n      - echo \"asked=$CODEBUILD_SOURCE_VERSION\"\n      - echo \"url=$CODEBUILD_SOURCE_REPO_URL\"\n      - echo \"commits=$(git rev-list --count HEAD)\"\n      - echo \"state=$(git status --porcelain)\"\n      - echo \"origin=$(git config remote.origin.url)\"\n";

/// A project of a repository, whose certificate is not checked.
fn of_repository(name: &str, kind: &str, url: &str) -> Value {
    let mut input = project(name, "");
    input["source"] = json!({ "type": kind, "location": url, "insecureSsl": true });
    input
}

fn start(client: &Client, input: &Value) -> Accepted {
    accepted(&client.retried("StartBuild", input)["build"])
}

/// Starts a build of a project and waits for its end: record and log.
#[track_caller]
fn built(client: &Client, builds: &mut Vec<Accepted>, input: &Value) -> (Value, Vec<String>) {
    let build = start(client, input);
    let record = client.finished(&build);
    let log = client.log(&build);
    builds.push(build);
    (record, log)
}

fn said<'a>(log: &'a [String], name: &str) -> &'a str {
    let prefix = format!("{name}=");
    log.iter().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap_or_else(|| panic!("no {name} in {log:#?}"))
}

#[track_caller]
fn succeeded((record, log): (Value, Vec<String>)) -> (Value, Vec<String>) {
    assert_eq!(record["buildStatus"], "SUCCEEDED", "{record:#}\n{log:#?}");
    (record, log)
}

/// The message of the phase in which sources are fetched, of a build that failed there.
#[track_caller]
fn failed((record, log): (Value, Vec<String>)) -> String {
    assert_eq!(record["buildStatus"], "FAILED", "{record:#}\n{log:#?}");
    let phases = record["phases"].as_array().unwrap();
    let phase = phases.iter().find(|phase| phase["phaseType"] == "DOWNLOAD_SOURCE").unwrap();
    let context = &phase["contexts"][0];
    assert_eq!(context["statusCode"], "CLIENT_ERROR", "{record:#}");
    // The log ends with it, and says nothing before (`buildspec.md` 5.2).
    assert!(log.iter().any(|line| line.ends_with("Waiting for DOWNLOAD_SOURCE")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("CODEBUILD_SRC_DIR=")), "{log:#?}");
    context["message"].as_str().unwrap().to_owned()
}

/// Three commits, a branch, a tag, a pull request and a merge request: ids of the commits.
fn history(tree: &Tree) -> [String; 3] {
    let commits = ["one", "two", "three"].map(|text| tree.commit(&[("file", text), ("buildspec.yml", SPEC)]));
    tree.git(&["branch", "feature/x", &commits[0]]);
    tree.git(&["tag", "--annotate", "--message", "v1", "v1", &commits[1]]);
    tree.git(&["update-ref", "refs/pull/7/head", &commits[1]]);
    tree.git(&["update-ref", "refs/merge-requests/8/head", &commits[0]]);
    tree.publish();
    commits
}

#[test]
fn every_form_of_a_version_finds_its_commit() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let [one, two, three] = history(&forge.tree("o/r.git"));
    let url = forge.url("public", "o/r.git");
    for (name, kind) in [("hub", "GITHUB_ENTERPRISE"), ("lab", "GITLAB_SELF_MANAGED")] {
        client.retried("CreateProject", &of_repository(name, kind, &url));
    }
    let (short, with_commit) = (&two[..9], format!("refs/heads/main^{{{one}}}"));
    for (project, version, commit, text, depth, commits) in [
        ("hub", "", &three, "three", 0, "3"),
        ("hub", "", &three, "three", 1, "1"),
        ("hub", "main", &three, "three", 2, "2"),
        ("hub", "feature/x", &one, "one", 0, "1"),
        ("hub", "feature/x", &one, "one", 1, "1"),
        ("hub", "v1", &two, "two", 0, "2"),
        ("hub", "v1", &two, "two", 1, "1"),
        ("hub", "refs/tags/v1", &two, "two", 1, "1"),
        ("hub", "refs/heads/feature/x", &one, "one", 0, "1"),
        ("hub", "pr/7", &two, "two", 0, "2"),
        ("hub", "pr/7", &two, "two", 1, "1"),
        ("hub", &with_commit, &one, "one", 0, "1"),
        ("hub", &with_commit, &one, "one", 1, "1"),
        ("hub", &two, &two, "two", 1, "1"),
        ("hub", &two, &two, "two", 0, "2"),
        ("hub", short, &two, "two", 0, "2"),
        ("hub", short, &two, "two", 1, "2"),
        ("lab", "pr/8", &one, "one", 1, "1"),
    ] {
        let input = json!({ "projectName": project, "sourceVersion": version, "gitCloneDepthOverride": depth });
        let (record, log) = succeeded(built(&client, &mut builds, &input));
        let what = format!("{version} at depth {depth}");
        assert_eq!(record["resolvedSourceVersion"], commit.as_str(), "{what}");
        assert_eq!(
            (said(&log, "is"), said(&log, "head"), said(&log, "resolved")),
            (text, &**commit, &**commit),
            "{what}"
        );
        assert_eq!((said(&log, "commits"), said(&log, "state"), said(&log, "asked")), (commits, "", version), "{what}");
        assert_eq!((said(&log, "url"), said(&log, "origin")), (&*url, &*url), "{what}");
        let directory = said(&log, "at");
        assert!(directory.starts_with("/codebuild/output/src") && directory.ends_with("/src/127.0.0.1/public/o/r"));
    }
    for (project, version, message) in [
        ("hub", "none", "reference not found for primary source and source version none"),
        ("hub", "pr/99", "reference not found for primary source and source version pr/99"),
        ("hub", "--upload-pack=touch /tmp/x", "reference not found for primary source and source version --upload"),
        (
            "hub",
            "4444444444444444444444444444444444444444",
            "reference not found for primary source and source version 444",
        ),
        ("hub", "deadbeef", "reference not found for primary source and source version deadbeef"),
    ] {
        for depth in [0, 1] {
            let input = json!({ "projectName": project, "sourceVersion": version, "gitCloneDepthOverride": depth });
            let found = failed(built(&client, &mut builds, &input));
            assert!(found.starts_with(message), "{found}");
        }
    }
    server.check(&builds);
}

#[test]
fn credentials_reach_the_sources_server_and_nobody_else() {
    if not_root() {
        return;
    }
    let (mut server, target, mut builds) = (service(), Forge::start(None), Vec::new());
    let forge = Forge::start(Some(&target));
    let client = server.client();
    server.secret(&forge.password);
    for forge in [&forge, &target] {
        history(&forge.tree("o/r.git"));
        // Each with a submodule beside it, and one elsewhere.
        let lib = forge.tree("o/lib.git");
        lib.commit(&[("lib", "of the library")]);
        lib.publish();
    }
    let tree = forge.tree("o/whole.git");
    let spec = buildspec(&[
        "cat lib/lib",
        "git -C lib status --porcelain",
        "test -z \"$(env | grep pass-)\"",
        "cat .git/config lib/.git",
    ]);
    tree.commit(&[("buildspec.yml", &spec)]);
    let url = forge.url("private", "o/lib.git");
    // By its URL relative to the repository's, as is usual for private ones.
    let commit = git_ls(&forge.root().join("o/lib.git"));
    fs::write(tree.directory.join(".gitmodules"), "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib.git\n").unwrap();
    tree.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},lib")]);
    tree.git(&["add", ".gitmodules"]);
    tree.git(&["commit", "--quiet", "--message", "submodule"]);
    tree.publish();

    let mut input = of_repository("whole", "GITHUB_ENTERPRISE", &forge.url("private", "o/whole.git"));
    input["source"]["gitSubmodulesConfig"] = json!({ "fetchSubmodules": true });
    client.retried("CreateProject", &input);
    let whole = json!({ "projectName": "whole" });
    assert_eq!(failed(built(&client, &mut builds, &whole)), "authentication required for primary source");
    let credential =
        |token: &str| json!({ "token": token, "serverType": "GITHUB_ENTERPRISE", "authType": "PERSONAL_ACCESS_TOKEN" });
    client.retried("ImportSourceCredentials", &credential("wrong-token-of-a-test"));
    let version = json!({ "projectName": "whole", "sourceVersion": "main" });
    let message = failed(built(&client, &mut builds, &version));
    assert_eq!(message, "authentication required for primary source and source version main");
    client.retried("ImportSourceCredentials", &credential(&forge.password));
    let (_, log) = succeeded(built(&client, &mut builds, &whole));
    assert!(log.iter().any(|line| line == "of the library"), "{log:#?}");
    let shallow = json!({ "projectName": "whole", "gitCloneDepthOverride": 1 });
    succeeded(built(&client, &mut builds, &shallow));

    // What is not there, and what may not be read.
    for (name, way, message) in [
        ("absent", "private", "repository not found for primary source"),
        ("forbidden", "forbidden", "authorization failed for primary source"),
    ] {
        client.retried("CreateProject", &of_repository(name, "GITHUB_ENTERPRISE", &forge.url(way, "o/absent.git")));
        assert_eq!(failed(built(&client, &mut builds, &json!({ "projectName": name }))), message);
    }

    // A server that sends git elsewhere: the other one is shown nothing.
    client.retried("CreateProject", &of_repository("moved", "GITHUB_ENTERPRISE", &forge.url("moved", "o/r.git")));
    let message = failed(built(&client, &mut builds, &json!({ "projectName": "moved" })));
    assert!(message.starts_with("authentication required"), "{message}");
    let seen = target.requests();
    assert!(!seen.is_empty() && seen.iter().all(|(_, said)| said == "-"), "{seen:?}");

    // A build's own git is let in where the buildspec says so, and only there.
    for (name, says, expected) in [("with", "yes", "SUCCEEDED"), ("without", "no", "FAILED")] {
        let spec = format!(
            "version: 0.2\nenv:\n  git-credential-helper: {says}\nphases:\n  build:\n    commands:\n      - GIT_TERMINAL_PROMPT=0 GIT_SSL_NO_VERIFY=1 git clone --quiet {url} /tmp/own\n      - cat /tmp/own/lib\n"
        );
        let mut input = of_repository(name, "GITHUB_ENTERPRISE", &forge.url("private", "o/r.git"));
        input["source"]["buildspec"] = json!(spec);
        client.retried("CreateProject", &input);
        let (record, log) = built(&client, &mut builds, &json!({ "projectName": name }));
        assert_eq!(record["buildStatus"], expected, "{log:#?}");
    }
    // They know the secrets too.
    drop((forge, target));
    server.check(&builds);
}

/// The commit of a bare repository's `main`.
fn git_ls(bare: &Path) -> String {
    forge::git(bare, &["rev-parse", "refs/heads/main"])
}

#[test]
fn a_sources_own_secret_is_read_by_the_builds_role() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    server.secret(&forge.password);
    history(&forge.tree("o/r.git"));
    let text = json!({ "ServerType": "GITLAB_SELF_MANAGED", "AuthType": "BASIC_AUTH", "Username": USER, "Token": forge.password });
    let made = client
        .service(
            "secretsmanager",
            "secretsmanager.CreateSecret",
            &json!({ "Name": "git", "SecretString": text.to_string() }),
        )
        .unwrap();
    let mut input = of_repository("own", "GITLAB_SELF_MANAGED", &forge.url("private", "o/r.git"));
    input["source"]["auth"] = json!({ "type": "SECRETS_MANAGER", "resource": made["ARN"] });
    client.retried("CreateProject", &input);
    let own = json!({ "projectName": "own" });
    let message = failed(built(&client, &mut builds, &own));
    assert!(
        message.starts_with("AccessDeniedException: ") && message.contains("secretsmanager:GetSecretValue"),
        "{message}"
    );
    let statement = json!({ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": made["ARN"] });
    let document = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
    client.iam(&[
        ("Action", "PutRolePolicy"),
        ("RoleName", "kiln-default-build-role"),
        ("PolicyName", "git"),
        ("PolicyDocument", &document),
    ]);
    let (_, log) = succeeded(built(&client, &mut builds, &own));
    assert_eq!(said(&log, "is"), "three");
    // They know the secrets too.
    drop(forge);
    server.check(&builds);
}

#[test]
fn a_mirror_makes_no_difference_but_in_time() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let tree = forge.tree("o/r.git");
    history(&tree);
    let mut input = of_repository("mirrored", "GITHUB_ENTERPRISE", &forge.url("public", "o/r.git"));
    input["cache"] = json!({ "type": "LOCAL", "modes": ["LOCAL_SOURCE_CACHE"] });
    client.retried("CreateProject", &input);
    let mirrored = json!({ "projectName": "mirrored" });
    let (_, log) = succeeded(built(&client, &mut builds, &mirrored));
    assert_eq!((said(&log, "is"), said(&log, "commits"), said(&log, "state")), ("three", "3", ""));
    let mirror = || {
        let listed = server.kiln(&["cache", "ls", "--json"]).output().unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|cache| cache["namespace"] == "mirrored")
    };
    let listed = mirror().unwrap();
    assert_eq!(listed["paths"][0], forge.url("public", "o/r.git"));

    // A branch that was pushed over, and one that went.
    tree.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    tree.git(&["branch", "--delete", "--force", "feature/x"]);
    let forced = tree.commit(&[("file", "forced")]);
    tree.publish();
    let (record, log) = succeeded(built(&client, &mut builds, &mirrored));
    assert_eq!((said(&log, "is"), said(&log, "commits")), ("forced", "2"));
    assert_eq!(record["resolvedSourceVersion"], forced.as_str());
    let gone = json!({ "projectName": "mirrored", "sourceVersion": "feature/x" });
    assert!(failed(built(&client, &mut builds, &gone)).starts_with("reference not found"));

    // One that is damaged is made anew.
    let packs = server.data().join("cache/git");
    let mut damaged = 0;
    for file in walk(&packs).into_iter().filter(|file| file.extension().is_some_and(|end| end == "pack")) {
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 3;
        bytes[12..middle].fill(0xff);
        let mut permissions = fs::metadata(&file).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        fs::set_permissions(&file, permissions).unwrap();
        fs::write(&file, bytes).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0);
    let (_, log) = succeeded(built(&client, &mut builds, &mirrored));
    assert_eq!((said(&log, "is"), said(&log, "state")), ("forced", ""));

    // Several at once wait for each other.
    let running: Vec<_> = (0..4).map(|_| start(&client, &mirrored)).collect();
    for build in running {
        let record = client.finished(&build);
        assert_eq!(record["buildStatus"], "SUCCEEDED", "{:#?}", client.log(&build));
        builds.push(build);
    }
    // Another project has its own.
    input["name"] = json!("other");
    client.retried("CreateProject", &input);
    succeeded(built(&client, &mut builds, &json!({ "projectName": "other" })));
    assert_eq!(fs::read_dir(&packs).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count(), 2);
    let id = mirror().unwrap()["id"].as_str().unwrap().to_owned();
    let removed = server.kiln(&["cache", "rm", &id]).output().unwrap();
    assert!(removed.status.success(), "{removed:?}");
    assert!(mirror().is_none());
    server.check(&builds);
}

fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(walk(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

#[test]
fn secondary_sources_have_versions_and_places_of_their_own() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let [_, two, _] = history(&forge.tree("o/r.git"));
    let url = forge.url("public", "o/r.git");
    let mut input = of_repository("several", "GITHUB_ENTERPRISE", &url);
    input["source"]["buildspec"] = json!(buildspec(&[
        "echo \"main=$(cat file)\"",
        "echo \"tools=$(cat $CODEBUILD_SRC_DIR_tools/file)\"",
        "echo \"version=$CODEBUILD_SOURCE_VERSION_tools\"",
        "echo \"repository=$CODEBUILD_SOURCE_REPO_URL_tools\"",
    ]));
    input["secondarySources"] =
        json!([{ "type": "GITLAB_SELF_MANAGED", "location": url, "insecureSsl": true, "sourceIdentifier": "tools" }]);
    input["secondarySourceVersions"] = json!([{ "sourceIdentifier": "tools", "sourceVersion": two }]);
    client.retried("CreateProject", &input);
    let (_, log) = succeeded(built(&client, &mut builds, &json!({ "projectName": "several" })));
    assert_eq!((said(&log, "main"), said(&log, "tools")), ("three", "two"));
    assert_eq!((said(&log, "version"), said(&log, "repository")), (&*two, &*url));
    let none = json!([{ "sourceIdentifier": "tools", "sourceVersion": "none" }]);
    let input = json!({ "projectName": "several", "secondarySourcesVersionOverride": none });
    let message = failed(built(&client, &mut builds, &input));
    assert_eq!(message, "reference not found for tools source and source version none");
    server.check(&builds);
}

#[test]
fn large_files_are_fetched_too() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    server.secret(&forge.password);
    let tree = forge.tree("o/large.git");
    let content = "large ".repeat(1000);
    use sha2::{Digest as _, Sha256};
    let oid = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect::<String>();
    fs::write(forge.root().join("lfs").join(&oid), &content).unwrap();
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {}\n", content.len());
    let spec = buildspec(&["echo \"size=$(wc -c < data.bin)\"", "cat .git/config; ls .git/hooks 2>/dev/null || true"]);
    tree.commit(&[
        (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
        ("data.bin", &pointer),
        ("buildspec.yml", &spec),
    ]);
    tree.publish();
    client.retried("CreateProject", &of_repository("large", "GITHUB_ENTERPRISE", &forge.url("private", "o/large.git")));
    let credential =
        json!({ "token": forge.password, "serverType": "GITHUB_ENTERPRISE", "authType": "PERSONAL_ACCESS_TOKEN" });
    client.retried("ImportSourceCredentials", &credential);
    for depth in [0, 1] {
        let input = json!({ "projectName": "large", "gitCloneDepthOverride": depth });
        let (_, log) = succeeded(built(&client, &mut builds, &input));
        assert_eq!(said(&log, "size"), "6000");
    }
    fs::remove_file(forge.root().join("lfs").join(&oid)).unwrap();
    let message = failed(built(&client, &mut builds, &json!({ "projectName": "large" })));
    assert!(message.starts_with("Git LFS: "), "{message}");
    // They know the secrets too.
    drop(forge);
    server.check(&builds);
}

#[test]
fn servers_that_hang_or_break_off_do_not_hold_a_build() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let tree = forge.tree("o/r.git");
    history(&tree);
    let noise: String = (0..200_000_u64).map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    tree.commit(&[("noise", &noise)]);
    tree.publish();
    for way in ["hang", "cut"] {
        client.retried("CreateProject", &of_repository(way, "GITHUB_ENTERPRISE", &forge.url(way, "o/r.git")));
    }
    let message = failed(built(&client, &mut builds, &json!({ "projectName": "cut" })));
    assert!(message.contains("for primary source"), "{message}");

    let build = start(&client, &json!({ "projectName": "hang" }));
    wait_for("git to ask", || forge.requests().iter().any(|(path, _)| path.starts_with("/hang/")).then_some(()));
    client.retried("StopBuild", &json!({ "id": crate::client::id(&build) }));
    assert_eq!(client.finished(&build)["buildStatus"], "STOPPED");
    assert_eq!(processes(&["git-remote-https", "/hang/"]), [] as [i32; 0]);
    builds.push(build);

    // A runner that is killed takes the fetch with it.
    let before = forge.requests().len();
    let build = start(&client, &json!({ "projectName": "hang" }));
    wait_for("git to ask", || (forge.requests().len() > before).then_some(()));
    crate::server::kill_a_runner(&server, 0);
    assert_eq!(client.finished(&build)["buildStatus"], "FAULT");
    wait_for("git to end", || processes(&["git-remote-https", "/hang/"]).is_empty().then_some(()));
    builds.push(build);
    server.check(&builds);
}

/// What repositories try (`security.md` 5.6). Nothing of it runs, and nothing leads out of the checkout.
#[test]
fn hostile_repositories_get_nowhere() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let canary = tempfile::tempdir().unwrap();
    let canary_file = canary.path().join("canary");
    let touch = format!("touch {}", canary_file.display());
    // Each has a submodule whose entry is this one.
    let module = |name: &str, text: &str| {
        let tree = forge.tree(&format!("o/{name}.git"));
        let commit = tree.commit(&[("buildspec.yml", SPEC), ("file", "x")]);
        fs::write(tree.directory.join(".gitmodules"), text).unwrap();
        tree.git(&["add", ".gitmodules"]);
        tree.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{commit},sub")]);
        tree.git(&["commit", "--quiet", "--message", "hostile"]);
        tree.publish();
    };
    let entry = |url: &str| format!("[submodule \"sub\"]\n\tpath = sub\n\turl = {url}\n");
    module("file", &entry("file:///etc"));
    module("path", &entry("/etc"));
    module("ext", &entry(&format!("ext::sh -c {}", touch.replace(' ', "% "))));
    module("proxy", &entry(&format!("ssh://-oProxyCommand={}/x", touch.replace(' ', "$IFS"))));
    module("option", &entry(&format!("--upload-pack={touch}")));
    module("update", &format!("{}\tupdate = !{touch}\n", entry("../r.git")));
    module("name", &format!("[submodule \"../../x\"]\n\tpath = sub\n\turl = {}\n", forge.url("public", "o/r.git")));
    module(
        "return",
        &format!("[submodule \"sub\"]\n\tpath = \"sub\\r\"\n\turl = {}\n", forge.url("public", "o/r.git")),
    );
    for name in ["file", "path", "ext", "proxy", "option", "update", "name", "return"] {
        let mut input = of_repository(name, "GITHUB_ENTERPRISE", &forge.url("public", &format!("o/{name}.git")));
        input["source"]["gitSubmodulesConfig"] = json!({ "fetchSubmodules": true });
        client.retried("CreateProject", &input);
        let message = failed(built(&client, &mut builds, &json!({ "projectName": name })));
        assert!(message.ends_with("for primary source"), "{name}: {message}");
        assert!(!canary_file.exists(), "{name}");
        // Without submodules it is a repository like others, where git takes its text at all.
        let plain = json!({ "projectName": name, "gitSubmodulesConfigOverride": { "fetchSubmodules": false } });
        built(&client, &mut builds, &plain);
        assert!(!canary_file.exists(), "{name}");
    }

    // A buildspec that is a link to what the build must not see, and a directory that is one.
    let tree = forge.tree("o/link.git");
    std::os::unix::fs::symlink("/etc/shadow", tree.directory.join("buildspec.yml")).unwrap();
    tree.commit(&[]);
    tree.publish();
    client.retried("CreateProject", &of_repository("link", "GITHUB_ENTERPRISE", &forge.url("public", "o/link.git")));
    let (record, log) = built(&client, &mut builds, &json!({ "projectName": "link" }));
    assert_eq!(record["buildStatus"], "FAILED");
    assert!(log.iter().any(|line| line.contains("leads out of the source directory")), "{log:#?}");

    // A tree with `.git` in it, which git's own commands would not make.
    let tree = forge.tree("o/dotgit.git");
    let blob = {
        fs::write(tree.directory.join("hook"), format!("#!/bin/sh\n{touch}\n")).unwrap();
        tree.git(&["hash-object", "-w", "hook"])
    };
    let make = |entries: &str| {
        fs::write(tree.directory.join("entries"), entries).unwrap();
        let shell = "git mktree --missing < entries";
        let output =
            std::process::Command::new("sh").args(["-c", shell]).current_dir(&tree.directory).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let hooks = make(&format!("100755 blob {blob}\tpost-checkout\n"));
    let git = make(&format!("040000 tree {hooks}\thooks\n"));
    let top = make(&format!("040000 tree {git}\t.git\n"));
    let commit = tree.git(&["commit-tree", "-m", "hostile", &top]);
    tree.git(&["update-ref", "refs/heads/main", &commit]);
    tree.publish();
    client
        .retried("CreateProject", &of_repository("dotgit", "GITHUB_ENTERPRISE", &forge.url("public", "o/dotgit.git")));
    let message = failed(built(&client, &mut builds, &json!({ "projectName": "dotgit" })));
    assert!(message.contains("hasDotgit") || message.contains("fsck"), "{message}");
    assert!(!canary_file.exists());
    server.check(&builds);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    history(&forge.tree("o/r.git"));
    let mut input = of_repository("tls", "GITHUB_ENTERPRISE", &forge.url("public", "o/r.git"));
    input["source"]["insecureSsl"] = json!(false);
    client.retried("CreateProject", &input);
    let message = failed(built(&client, &mut builds, &json!({ "projectName": "tls" })));
    assert!(message.contains("certificate"), "{message}");
    succeeded(built(&client, &mut builds, &json!({ "projectName": "tls", "insecureSslOverride": true })));
    server.check(&builds);
}

/// In a network of their own builds reach nothing of this machine, and so does git.
#[test]
fn a_fetch_has_the_network_of_builds() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (Server::start(), Forge::start(None), Vec::new());
    let client = server.client();
    history(&forge.tree("o/r.git"));
    for (name, url) in [
        ("loopback", forge.url("public", "o/r.git")),
        ("metadata", "http://169.254.169.254/latest/meta-data/x.git".to_owned()),
    ] {
        client.retried("CreateProject", &of_repository(name, "GITHUB_ENTERPRISE", &url));
        let message = failed(built(&client, &mut builds, &json!({ "projectName": name })));
        assert!(message.contains("unable to access"), "{name}: {message}");
    }
    assert_eq!(forge.requests(), []);
    server.check(&builds);
}

/// A repository that the service hosts itself, which the build's role may pull, or not.
#[test]
fn a_repository_of_codecommit_is_built() {
    if not_root() {
        return;
    }
    use base64::Engine as _;
    // No network is needed.
    let (mut server, mut builds) = (Server::with(&[("KILN_NETWORK_MODE", "none")]), Vec::new());
    let client = server.client();
    let call = |operation: &str, input: &Value| {
        client.service("codecommit", &format!("CodeCommit_20150413.{operation}"), input).unwrap()
    };
    let made = call("CreateRepository", &json!({ "repositoryName": "demo" }));
    let url = made["repositoryMetadata"]["cloneUrlHttp"].as_str().unwrap();
    let mut parent = Value::Null;
    let mut commits = Vec::new();
    for text in ["one", "two"] {
        for (name, content) in [("file", text), ("buildspec.yml", &format!("{SPEC}      - echo \"round={text}\"\n"))] {
            let content = base64::engine::general_purpose::STANDARD.encode(content);
            let mut input =
                json!({ "repositoryName": "demo", "branchName": "main", "filePath": name, "fileContent": content });
            if !parent.is_null() {
                input["parentCommitId"] = parent;
            }
            parent = call("PutFile", &input)["commitId"].take();
        }
        commits.push(parent.as_str().unwrap().to_owned());
    }
    let mut input = of_repository("hosted", "CODECOMMIT", url);
    input["source"]["insecureSsl"] = json!(false);
    client.retried("CreateProject", &input);
    let short = &commits[0][..10];
    for (version, depth, text, commit) in [
        ("", 0, "two", &commits[1]),
        ("main", 1, "two", &commits[1]),
        (commits[0].as_str(), 1, "one", &commits[0]),
        (short, 0, "one", &commits[0]),
    ] {
        let input = json!({ "projectName": "hosted", "sourceVersion": version, "gitCloneDepthOverride": depth });
        let (record, log) = succeeded(built(&client, &mut builds, &input));
        assert_eq!((said(&log, "is"), said(&log, "head"), said(&log, "state")), (text, &**commit, ""));
        assert_eq!((said(&log, "url"), said(&log, "origin")), (url, url));
        assert_eq!(record["resolvedSourceVersion"], commit.as_str());
    }
    let none = json!({ "projectName": "hosted", "sourceVersion": "none" });
    let message = failed(built(&client, &mut builds, &none));
    assert_eq!(message, "reference not found for primary source and source version none");
    let absent = json!({ "projectName": "hosted", "sourceLocationOverride": url.replace("demo", "absent") });
    let (record, _) = built(&client, &mut builds, &absent);
    assert_eq!(record["buildStatus"], "FAILED");
    assert!(record.to_string().contains("RepositoryDoesNotExistException"), "{record}");
    // A role of builds that may not.
    let statement = json!({ "Effect": "Deny", "Action": "codecommit:GitPull", "Resource": "*" });
    client.iam(&[
        ("Action", "PutRolePolicy"),
        ("RoleName", "kiln-default-build-role"),
        ("PolicyName", "git"),
        ("PolicyDocument", &json!({ "Version": "2012-10-17", "Statement": statement }).to_string()),
    ]);
    let (record, _) = built(&client, &mut builds, &json!({ "projectName": "hosted" }));
    assert!(record["buildStatus"] == "FAILED" && record.to_string().contains("codecommit:GitPull"), "{record}");
    server.check(&builds);
}

/// A history of 40 MB, or of 500 in the long form: with a mirror the second build fetches next to nothing of it.
#[test]
fn a_large_history_is_fetched_once() {
    if not_root() {
        return;
    }
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    let tree = forge.tree("o/large.git");
    tree.commit(&[("buildspec.yml", &buildspec(&["git fsck --connectivity-only", "git rev-list --count HEAD"]))]);
    let mut random = fs::File::open("/dev/urandom").unwrap();
    let count = rounds(40, 500);
    for n in 0..count {
        use std::io::Read as _;
        let mut bytes = vec![0; 1 << 20];
        random.read_exact(&mut bytes).unwrap();
        fs::write(tree.directory.join(format!("{}", n % 8)), &bytes).unwrap();
        tree.commit(&[]);
    }
    tree.publish();
    for (name, modes) in [("cold", None), ("warm", Some(["LOCAL_SOURCE_CACHE"]))] {
        let mut input = of_repository(name, "GITHUB_ENTERPRISE", &forge.url("public", "o/large.git"));
        if let Some(modes) = modes {
            input["cache"] = json!({ "type": "LOCAL", "modes": modes });
        }
        client.retried("CreateProject", &input);
    }
    let mut fetched = |name: &str| {
        let before = forge.sent();
        let (record, log) = succeeded(built(&client, &mut builds, &json!({ "projectName": name })));
        assert!(log.contains(&(count + 1).to_string()), "{log:#?}");
        let phases = record["phases"].as_array().unwrap();
        let phase = phases.iter().find(|phase| phase["phaseType"] == "DOWNLOAD_SOURCE").unwrap();
        let seconds = phase["endTime"].as_f64().unwrap() - phase["startTime"].as_f64().unwrap();
        println!("{name}: {seconds:.3} s, {} bytes", forge.sent() - before);
        (seconds, forge.sent() - before)
    };
    let (cold, whole) = fetched("cold");
    let (_, first) = fetched("warm");
    let (warm, second) = fetched("warm");
    let plain = std::time::Instant::now();
    let clone = std::process::Command::new("git")
        .args(["-c", "http.sslVerify=false", "clone", "--quiet", &forge.url("public", "o/large.git")])
        .arg(tree.directory.with_file_name("clone"))
        .status()
        .unwrap();
    assert!(clone.success());
    println!("git clone: {:.3} s", plain.elapsed().as_secs_f64());
    assert!(whole > (count as u64) << 20 && first > (count as u64) << 20);
    assert!(second < whole / 1000, "{second} of {whole} bytes");
    if rounds(false, true) {
        assert!(cold >= 5.0 * warm, "{cold} s without a mirror, {warm} s with one");
    }
    server.check(&builds);
}

/// An `sshd` of our own, with one key that may fetch. It ends with this value.
struct Sshd {
    process: std::process::Child,
    directory: tempfile::TempDir,
    port: u16,
}

impl Sshd {
    fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/sshd").exists() {
            println!("skipped: sshd is not installed (Debian: openssh-server)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["host", "user", "other"] {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(name))
                .status()
                .unwrap();
            assert!(made.success());
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = |name: &str| at(name).to_str().unwrap().to_owned();
        let options = [
            format!("Port={port}"),
            "ListenAddress=127.0.0.1".into(),
            format!("HostKey={}", text("host")),
            format!("AuthorizedKeysFile={}", text("authorized")),
            format!("PidFile={}", text("pid")),
            "StrictModes=no".into(),
            "PermitRootLogin=yes".into(),
            "PasswordAuthentication=no".into(),
            "UsePAM=no".into(),
            "ForceCommand=git shell -c \"$SSH_ORIGINAL_COMMAND\"".into(),
        ];
        let process = std::process::Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", "/dev/null"])
            .args(options.iter().flat_map(|option| ["-o", option]))
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .unwrap();
        wait_for("sshd", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Self { process, directory, port })
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[test]
fn a_repository_is_fetched_over_ssh() {
    if not_root() {
        return;
    }
    let Some(sshd) = Sshd::start() else { return };
    let (mut server, forge, mut builds) = (service(), Forge::start(None), Vec::new());
    let client = server.client();
    history(&forge.tree("o/r.git"));
    let key_line = sshd.read("user").lines().nth(2).unwrap().to_owned();
    server.secret(&key_line);
    let host = format!("[127.0.0.1]:{}", sshd.port);
    let known = |key: &str| format!("{host} {}", sshd.read(key).split(' ').take(2).collect::<Vec<_>>().join(" "));
    let url = format!("ssh://root@127.0.0.1:{}{}", sshd.port, forge.root().join("o/r.git").display());
    let statement = json!({ "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*" });
    client.iam(&[
        ("Action", "PutRolePolicy"),
        ("RoleName", "kiln-default-build-role"),
        ("PolicyName", "git"),
        ("PolicyDocument", &json!({ "Version": "2012-10-17", "Statement": statement }).to_string()),
    ]);
    let mut project = |name: &str, key: &str, host_key: &str| {
        let text = json!({ "AuthType": "SSH_KEY", "PrivateKey": sshd.read(key), "KnownHosts": known(host_key) });
        let secret = json!({ "Name": name, "SecretString": text.to_string() });
        let made = client.service("secretsmanager", "secretsmanager.CreateSecret", &secret).unwrap();
        let mut input = of_repository(name, "GITHUB_ENTERPRISE", &url);
        input["source"]["auth"] = json!({ "type": "SECRETS_MANAGER", "resource": made["ARN"] });
        client.retried("CreateProject", &input);
        built(&client, &mut builds, &json!({ "projectName": name }))
    };
    let (_, log) = succeeded(project("right", "user", "host.pub"));
    assert_eq!((said(&log, "is"), said(&log, "commits")), ("three", "3"));
    assert_eq!(failed(project("wrong-key", "other", "host.pub")), "authentication required for primary source");
    // Somebody else's server.
    let message = failed(project("wrong-host", "user", "other.pub"));
    assert!(message.contains("host key") || message.contains("Could not read from remote repository"), "{message}");
    // They know the secrets too.
    drop((sshd, forge));
    server.check(&builds);
}
