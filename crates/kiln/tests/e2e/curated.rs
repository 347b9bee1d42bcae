//! Curated images: made by `kiln image build` of the recipes that come with kiln, and builds in them that ask for their
//! runtimes (`buildspec.md` 13).
//!
//! What they are made of, and the images, stay in the CI cache (`~/.cache/kiln-ci/images/data`), so that only what has
//! changed is made again. The quick form builds the base and one image on it; the long one (`KILN_SOAK`) all.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use kiln_environments::{Lock, PackageCache, Recipes};
use sha2::{Digest as _, Sha256};

use crate::project::not_root;

/// A data directory with images.
struct Curated {
    data: PathBuf,
}

impl Curated {
    /// The cached one with the image of an environment; `None`, with a printed reason, where it cannot be made.
    fn new(name: &str) -> Option<Self> {
        if not_root() {
            return None;
        }
        if env::consts::ARCH != "x86_64" {
            println!("skipped: curated images are for x86-64");
            return None;
        }
        let cache = env::var_os("KILN_CI_CACHE").map(PathBuf::from).or_else(|| {
            let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
            Some(home.join(".cache/kiln-ci"))
        })?;
        let data = cache.join("images/data");
        fs::create_dir_all(&data).unwrap();
        let curated = Self { data };
        let built = curated.kiln(&["image", "build", name]);
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        if built.status.success() {
            // The layers of what it replaces.
            assert!(!said.contains(": storing") || curated.kiln(&["image", "prune"]).status.success());
            return Some(curated);
        }
        // Debian has dropped what the lock names, or nothing can be reached at all.
        assert!(said.contains("no longer has a version"), "{said}");
        let updated = curated.kiln(&["image", "build", "--update", name]);
        if updated.status.success() {
            return Some(curated);
        }
        let said = String::from_utf8_lossy(&updated.stderr).into_owned();
        assert!(said.contains("` could not "), "{said}");
        println!("skipped: the packages of {name} cannot be fetched: {}", said.lines().last().unwrap_or_default());
        None
    }

    fn kiln(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.env("KILN_DATA", &self.data).env("NO_COLOR", "1").env_remove("KILN_CRASH_POINT");
        command.args(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a directory in an image, and returns the exit status, the log, and the names of what the build left.
    fn run(&self, image: &str, dir: &Path) -> (i32, String, Vec<String>) {
        self.run_with(image, dir, &[])
    }

    /// [`run`](Self::run) with more options.
    fn run_with(&self, image: &str, dir: &Path, options: &[&str]) -> (i32, String, Vec<String>) {
        let artifacts = tempfile::tempdir().unwrap();
        let (dir, out) = (dir.to_str().unwrap(), artifacts.path().to_str().unwrap());
        let args = ["run", dir, "--image", image, "--artifacts", out, "--no-cache"];
        let output = self.kiln(&[&args, options].concat());
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let names =
            fs::read_dir(artifacts.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (output.status.code().unwrap_or(-1), log, names.collect())
    }

    /// Runs commands in an image, without network, with these runtimes. Returns the exit status and the log.
    fn commands(&self, image: &str, runtimes: &[(&str, &str)], commands: &[&str]) -> (i32, String) {
        self.commands_with(image, runtimes, commands, &[])
    }

    /// [`commands`](Self::commands) with more options.
    fn commands_with(
        &self,
        image: &str,
        runtimes: &[(&str, &str)],
        commands: &[&str],
        options: &[&str],
    ) -> (i32, String) {
        let project = tempfile::tempdir().unwrap();
        let mut spec = "version: 0.2\nphases:\n".to_owned();
        if !runtimes.is_empty() {
            spec.push_str("  install:\n    runtime-versions:\n");
            runtimes.iter().for_each(|(runtime, version)| spec.push_str(&format!("      {runtime}: '{version}'\n")));
        }
        spec.push_str("  build:\n    commands:\n");
        commands.iter().for_each(|command| spec.push_str(&format!("      - {command}\n")));
        fs::write(project.path().join("buildspec.yml"), spec).unwrap();
        let dir = project.path().to_str().unwrap();
        let args = ["run", dir, "--image", image, "--network", "none", "--no-cache"];
        let output = self.kiln(&[&args, options].concat());
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code().unwrap_or(-1), log)
    }
}

fn long() -> bool {
    let long = env::var_os("KILN_SOAK").is_some();
    if !long {
        println!("skipped: made in the long form (KILN_SOAK)");
    }
    long
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).canonicalize().unwrap()
}

/// Each runtime of an image in each version, what is taken without a choice, and each error.
fn matrix(curated: &Curated, image: &str, runtime: &str, versions: &[(&str, &str)], asks: &str, default: &str) {
    for (version, says) in versions {
        let (status, log) = curated.commands(image, &[(runtime, version)], &[asks]);
        assert_eq!(status, 0, "{runtime} {version}:\n{log}");
        assert!(
            log.contains(&format!("Selecting '{runtime}' runtime version '{version}' based on manual selections...")),
            "{log}"
        );
        assert!(log.lines().any(|line| line.starts_with(says)), "{runtime} {version} is not {says}:\n{log}");
    }
    let (status, log) = curated.commands(image, &[], &[asks]);
    assert!(status == 0 && log.lines().any(|line| line.starts_with(default)), "{log}");
    let (status, log) = curated.commands(image, &[(runtime, "0.1")], &["true"]);
    let known =
        format!("Unknown runtime version named '0.1' of {runtime}. This build image has the following versions: ");
    assert!(status == 2 && log.contains(&known), "{status}\n{log}");
    let (status, log) = curated.commands(image, &[("cobol", "85")], &["true"]);
    let known = format!("Unknown runtime named 'cobol'. This build image has the following runtimes: {runtime}");
    assert!(status == 2 && log.contains(&known), "{status}\n{log}");
}

#[test]
fn the_list_of_environments_says_which_are_ready() {
    let empty = tempfile::tempdir().unwrap();
    let curated = Curated { data: empty.path().to_owned() };
    let output = curated.kiln(&["image", "build"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("NAME"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.starts_with("python ") && line.contains("kiln/python:1") && line.contains("not built")),
        "{text}"
    );
    let output = curated.kiln(&["image", "build", "cobol"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("there is no environment `cobol`: there are android, base, docker, dotnet, go, gradle, java"),
        "{said}"
    );
}

#[test]
fn without_a_lock_it_is_said_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let recipes = dir.path().join("recipes");
    fs::create_dir_all(recipes.join("mine")).unwrap();
    fs::write(recipes.join("mine/recipe.toml"), "description = 'x'\nlanguage = 'base'\n[debian]\nsuite = 'trixie'\n")
        .unwrap();
    let curated = Curated { data: dir.path().join("data") };
    let output = curated.kiln(&["image", "build", "--recipes", recipes.to_str().unwrap(), "mine"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it has no lock yet") && said.contains("`kiln image build --update mine`"), "{said}");
}

#[test]
fn python_builds_its_example_in_its_image() {
    let Some(curated) = Curated::new("python") else { return };
    let (status, log, artifacts) = curated.run("kiln/python:1", &example("python-pytest"));
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("Selecting 'python' runtime version '3.13' based on manual selections..."), "{log}");
    assert!(log.contains("| apple           |  0.35 | crisp, sour                      |"), "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);

    let versions = [("3.13", "Python 3.13."), ("3.x", "Python 3.13."), ("latest", "Python 3.13.")];
    matrix(&curated, "kiln/python:1", "python", &versions, "python --version", "Python 3.13.");
    let checks = [
        "python -c 'import ssl, sqlite3, ctypes, venv'",
        "python -m venv /tmp/v && /tmp/v/bin/pip --version",
        "gcc --version && make --version && git --version && aws --version && jq --version",
        "test -s /codebuild/image/sbom/base.spdx.json && jq -e '.packages | length > 5' /codebuild/image/sbom/python.spdx.json",
        "test ! -e /etc/machine-id && test \"$(stat -c %a /tmp)\" = 1777 && id codebuild-user",
    ];
    let (status, log) = curated.commands("kiln/python:1", &[], &checks);
    assert_eq!(status, 0, "{log}");
}

#[test]
fn an_image_that_is_there_is_not_made_again_and_one_made_again_is_the_same() {
    let Some(curated) = Curated::new("python") else { return };
    let digest = |output: &Output| String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).map(str::to_owned);
    let there = curated.kiln(&["image", "build", "python"]);
    assert!(String::from_utf8_lossy(&there.stderr).contains("kiln/python:1: is up to date"), "{there:?}");
    assert!(digest(&there).unwrap().starts_with("sha256:"));
    let again = curated.kiln(&["image", "build", "--force", "python"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("kiln/python:1: installing"), "{again:?}");
    assert_eq!(digest(&again), digest(&there));
}

#[test]
fn the_base_made_again_is_the_same() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("base") else { return };
    let digest = |output: &Output| String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1).map(str::to_owned);
    let there = curated.kiln(&["image", "build", "base"]);
    let again = curated.kiln(&["image", "build", "--force", "base"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("kiln/base:1: installing"), "{again:?}");
    assert!(digest(&there).is_some());
    assert_eq!(digest(&again), digest(&there));
    let (status, log, _) = curated.run("kiln/base:1", &example("c-make"));
    assert!(status == 0 && log.contains("7 passed, 0 failed"), "{log}");
}

#[test]
fn node_switches_its_versions() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("node") else { return };
    let (status, log, artifacts) = curated.run("kiln/node:1", &example("node"));
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("together 2d 1h 30m 45s"), "{log}");
    assert_eq!(artifacts, ["duration-2.1.0.zip"]);
    let versions =
        [("20", "v20."), ("22", "v22."), ("24", "v24."), ("26", "v26."), ("latest", "v26."), ("24.x", "v24.")];
    matrix(&curated, "kiln/node:1", "nodejs", &versions, "node --version", "v24.");
    let (status, log) = curated.commands(
        "kiln/node:1",
        &[("nodejs", "20")],
        &["npm --version", "npx --version", "node -p process.execPath"],
    );
    assert!(status == 0 && log.lines().any(|line| line == "/opt/node/20/bin/node"), "{log}");
    assert!(!log.contains("npm warn"), "{log}");

    // A native add-on, against the headers of the image.
    let project = tempfile::tempdir().unwrap();
    let spec = "version: 0.2\nphases:\n  build:\n    commands:\n      - node /opt/node/npm/node_modules/node-gyp/bin/node-gyp.js rebuild\n      \
        - node -p 'require(\"./build/Release/add_on.node\")'\n";
    let code =
        "#include <node_api.h>\nNAPI_MODULE_INIT() { napi_value v; napi_create_int32(env, 4711, &v); return v; }\n";
    for (name, text) in [
        ("buildspec.yml", spec),
        ("add_on.c", code),
        ("binding.gyp", "{'targets': [{'target_name': 'add_on', 'sources': ['add_on.c']}]}\n"),
    ] {
        fs::write(project.path().join(name), text).unwrap();
    }
    let (status, log, _) = curated.run_with("kiln/node:1", project.path(), &["--network", "none"]);
    assert!(status == 0 && log.lines().any(|line| line == "4711"), "{log}");
}

#[test]
fn go_switches_its_versions() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("go") else { return };
    let (status, log, artifacts) = curated.run("kiln/go:1", &example("go"));
    assert_eq!(status, 0, "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);
    let versions = [
        ("1.25", "go version go1.25."),
        ("1.26", "go version go1.26."),
        ("1.x", "go version go1.27."),
        ("latest", "go version go1.27."),
    ];
    matrix(&curated, "kiln/go:1", "golang", &versions, "go version", "go version go1.27.");
}

#[test]
fn java_switches_its_versions() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("java") else { return };
    let versions = [
        ("corretto21", "javac 21."),
        ("openjdk25", "javac 25."),
        ("corretto25", "javac 25."),
        ("openjdk21", "javac 21."),
    ];
    matrix(&curated, "kiln/java:1", "java", &versions, "javac --version", "javac 21.");
    let (status, log) =
        curated.commands("kiln/java:1", &[("java", "corretto25")], &["mvn --version", "echo home $JAVA_HOME"]);
    assert!(status == 0 && log.contains("Java version: 25.") && log.contains("home /opt/java/current"), "{log}");
    let (status, log, artifacts) = curated.run("kiln/java:1", &example("java-maven"));
    let unreachable = ["Could not transfer artifact", "Unknown host", "Connection refused", "Network is unreachable"];
    if status == 1 && unreachable.iter().any(|text| log.contains(text)) {
        println!("skipped: Maven reaches no repository from a build on this machine");
        return;
    }
    assert_eq!(status, 0, "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);
}

#[test]
fn ruby_builds_its_example_in_its_image() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("ruby") else { return };
    let (status, log, artifacts) = curated.run("kiln/ruby:1", &example("ruby-rspec"));
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("23 examples, 0 failures") && log.lines().any(|line| line == "MMXXVI"), "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);
    let versions = [("3.3", "ruby 3.3."), ("3.x", "ruby 3.3."), ("latest", "ruby 3.3.")];
    matrix(&curated, "kiln/ruby:1", "ruby", &versions, "ruby --version", "ruby 3.3.");
    let (status, log) = curated.commands("kiln/ruby:1", &[], &["bundle --version", "rake --version", "gem --version"]);
    assert_eq!(status, 0, "{log}");
}

#[test]
fn php_builds_its_example_in_its_image() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("php") else { return };
    let (status, log, artifacts) = curated.run("kiln/php:1", &example("php-phpunit"));
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("OK (6 tests, 7 assertions)") && log.lines().any(|line| line == "ueber-die-bruecke"), "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);
    let versions = [("8.4", "PHP 8.4."), ("8.x", "PHP 8.4."), ("latest", "PHP 8.4.")];
    matrix(&curated, "kiln/php:1", "php", &versions, "php --version", "PHP 8.4.");
    let (status, log) =
        curated.commands("kiln/php:1", &[], &["composer --version", "php -m | grep -E 'curl|intl|mbstring|xml|zip'"]);
    assert_eq!(status, 0, "{log}");
}

#[test]
fn docker_builds_and_runs_its_example_in_its_image() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("docker") else { return };
    let (status, log, artifacts) = curated.run_with("kiln/docker:1", &example("docker"), &["--privileged"]);
    assert_eq!(status, 0, "{log}");
    assert!(log.lines().any(|line| line == "Hello, Kiln, from a container."), "{log}");
    assert_eq!(artifacts, ["artifacts.zip"]);
    // Without a daemon: an image of a Dockerfile, and what stands in it.
    let (status, log) = curated.commands_with(
        "kiln/docker:1",
        &[],
        &[
            "docker --version && docker buildx version && docker compose version",
            "dockerd-entrypoint.sh docker run --help >help && grep -q Usage help && docker version",
            "echo content >file && printf 'FROM scratch\\nCOPY file /file\\nLABEL made=here\\n' >Dockerfile",
            "buildah bud --tag demo:1 . && buildah push demo:1 oci-archive:/tmp/demo.tar",
            "skopeo inspect oci-archive:/tmp/demo.tar",
        ],
        &["--privileged"],
    );
    assert!(status == 0 && log.contains("\"made\": \"here\""), "{log}");
    // Without the privilege the daemon cannot start, and says so; its client can still be used with another's.
    let (status, log) = curated.commands("kiln/docker:1", &[], &["docker --version", "dockerd", "true"]);
    assert!(status == 1 && log.contains("Docker version ") && log.contains("failed to start daemon"), "{log}");
}

#[test]
fn standard_has_every_runtime() {
    if !long() {
        return;
    }
    let Some(curated) = Curated::new("standard") else { return };
    let all = [
        ("nodejs", "22"),
        ("golang", "1.26"),
        ("java", "corretto25"),
        ("python", "3.13"),
        ("ruby", "3.3"),
        ("php", "8.4"),
    ];
    let asks = [
        "node --version && npm --version",
        "go version",
        "javac --version && mvn --version",
        "python --version && pytest --version",
        "ruby --version && rspec --version",
        "php --version && composer --version",
        "docker --version",
        "ls /codebuild/image/sbom",
    ];
    let (status, log) = curated.commands("kiln/standard:1", &all, &asks);
    assert_eq!(status, 0, "{log}");
    for says in [
        "v22.",
        "go version go1.26.",
        "javac 25.",
        "Python 3.13.",
        "ruby 3.3.",
        "PHP 8.4.",
        "Docker version ",
        "standard.spdx.json",
    ] {
        assert!(log.lines().any(|line| line.starts_with(says)), "{says}:\n{log}");
    }
    for name in ["node", "go", "python-pytest", "ruby-rspec", "php-phpunit"] {
        let (status, log, artifacts) = curated.run("kiln/standard:1", &example(name));
        assert!(status == 0 && artifacts.len() == 1, "{name}:\n{log}");
    }
    let (status, log) = curated.commands("kiln/standard:1", &[("rust", "1.93")], &["true"]);
    let known = "Unknown runtime named 'rust'. This build image has the following runtimes: golang, java, nodejs, php, python, ruby";
    assert!(status == 2 && log.contains(known), "{log}");
}

/// Serves one answer to each of the next requests.
fn serve(answers: Vec<(&'static str, Vec<u8>)>) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                request.extend(byte);
            }
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    (port, server)
}

#[test]
fn what_a_vendor_serves_is_checked_and_its_absence_explained() {
    let Some(curated) = Curated::new("base") else { return };
    let dir = tempfile::tempdir().unwrap();
    // Unlike any that the cache has.
    let said = format!("tool of {}", dir.path().display());
    fs::create_dir_all(dir.path().join("tool-1.0/bin")).unwrap();
    fs::write(dir.path().join("tool-1.0/bin/tool"), format!("#!/bin/sh\necho {said}\n")).unwrap();
    let tar = Command::new("tar")
        .args(["--create", "--gzip", "--directory"])
        .arg(dir.path())
        .arg("tool-1.0")
        .output()
        .unwrap();
    let hash = hex::encode(Sha256::digest(&tar.stdout));
    let (port, server) =
        serve(vec![("404 Not Found", Vec::new()), ("200 OK", b"another file".to_vec()), ("200 OK", tar.stdout)]);

    let recipes = dir.path().join("recipes");
    fs::create_dir_all(recipes.join("tool")).unwrap();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../environments/base");
    assert!(Command::new("cp").arg("-r").args([&base, &recipes]).status().unwrap().success());
    // Where the base's packages are no longer to be had, this machine has a lock of its own.
    fs::copy(curated.data.join("environments/base/lock"), recipes.join("base/lock")).ok();
    let url = format!("http://127.0.0.1:{port}/tool-1.0.tar.gz");
    let recipe = format!(
        "description = 'A tool'\nlanguage = 'base'\nfrom = 'base'\n[[unpack]]\nregistry = 'vendor'\nname = 'tool'\nversion = '1.0'\n\
         url = '{url}'\nsha256 = '{hash}'\nstrip = 'tool-1.0'\nto = '/opt/tool'\nprograms = ['bin/*']\n\
         [links]\n'/usr/local/bin/tool' = '../../../opt/tool/bin/tool'\n"
    );
    fs::write(recipes.join("tool/recipe.toml"), recipe).unwrap();
    let known = Recipes::new(Some(recipes.clone()), dir.path().join("locks"));
    let parent = known.load("base").unwrap().usable_lock().unwrap().hash();
    known.store_lock("tool", &Lock { epoch: 1_795_000_000, parent: Some(parent), packages: Vec::new() }).unwrap();
    let build = || curated.kiln(&["image", "build", "--recipes", recipes.to_str().unwrap(), "tool"]);

    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let gone = build();
    assert_eq!(gone.status.code(), Some(3), "{}", text(&gone));
    let explained = format!("kiln/tool:1 needs the internet: no registry has tool 1.0, and it comes from {url}.");
    assert!(
        text(&gone).contains("`curl` could not download tool 1.0") && text(&gone).contains(&explained),
        "{}",
        text(&gone)
    );
    let other = build();
    assert!(!other.status.success(), "{}", text(&other));
    assert!(text(&other).contains("tool-1.0.tar.gz is not the file that the lock names"), "{}", text(&other));
    let made = build();
    assert!(made.status.success(), "{}", text(&made));
    let checks = ["tool", "cat /codebuild/image/sbom/tool.spdx.json"];
    let (status, log) = curated.commands("kiln/tool:1", &[], &checks);
    assert!(status == 0 && log.lines().any(|line| line == said), "{log}");
    assert!(log.contains(&format!("pkg:generic/tool@1.0?checksum=sha256:{hash}")), "{log}");

    server.join().unwrap();
    assert!(curated.kiln(&["image", "rm", "kiln/tool:1"]).status.success());
    fs::remove_file(PackageCache::open(curated.data.join("packages")).unwrap().place(&hash)).unwrap();
}
