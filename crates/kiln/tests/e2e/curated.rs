//! Curated images: made by `kiln image build` of the recipes that come with kiln, and builds in them that ask for their
//! runtimes (`buildspec.md` 13).
//!
//! What they are made of, and the images, stay in the CI cache (`~/.cache/kiln-ci/images/data`), so that only what has
//! changed is made again. The quick form builds the base and one image on it; the long one (`KILN_SOAK`) all.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

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
        let artifacts = tempfile::tempdir().unwrap();
        let (dir, out) = (dir.to_str().unwrap(), artifacts.path().to_str().unwrap());
        let output = self.kiln(&["run", dir, "--image", image, "--artifacts", out, "--no-cache"]);
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let names =
            fs::read_dir(artifacts.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (output.status.code().unwrap_or(-1), log, names.collect())
    }

    /// Runs commands in an image, without network, with these runtimes. Returns the exit status and the log.
    fn commands(&self, image: &str, runtimes: &[(&str, &str)], commands: &[&str]) -> (i32, String) {
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
        let output = self.kiln(&["run", dir, "--image", image, "--network", "none", "--no-cache"]);
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
        said.contains("there is no environment `cobol`: there are base, go, java, node, php, python, ruby"),
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
