//! The projects under `examples/`, as their READMEs say: with this machine's own tools (image `host`). A tool that is
//! not there skips the test, with a printed reason.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kiln_model::BuildStatus;
use kiln_wire::event::{Artifact, CacheAction, Event, Report};

use crate::project::{Outcome, Project, not_root};

/// One example, and the data directory that its builds share.
struct Example {
    dir: PathBuf,
    project: Project,
}

impl Example {
    /// The example of this name; `None`, with a printed reason, where it cannot be built.
    fn new(name: &str, tools: &[&[&str]]) -> Option<Self> {
        if not_root() {
            return None;
        }
        for tool in tools {
            let (program, arguments) = tool.split_first()?;
            let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
            if !done.is_ok_and(|output| output.status.success()) {
                println!("skipped: '{}' does not work on this machine", tool.join(" "));
                return None;
            }
        }
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).canonicalize().unwrap();
        Some(Self { dir, project: Project::empty() })
    }

    /// Builds it, and sees to it that its directory is as before.
    fn run(&self) -> Outcome {
        let before = files(&self.dir);
        let output = self.project.kiln(&["run"]).arg(&self.dir).output().unwrap();
        assert_eq!(before, files(&self.dir), "the build changed its source directory");
        self.project.check();
        self.project.outcome(&output)
    }
}

/// Every file below a directory with its bytes.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// The artifact with this identifier (`None`: the primary one).
fn artifact(outcome: &Outcome, identifier: Option<&str>) -> Artifact {
    let mut all = outcome.events.iter().filter_map(|e| if let Event::Artifact(a) = e { Some(a) } else { None });
    all.find(|a| a.identifier.as_deref() == identifier).cloned().unwrap_or_else(|| panic!("no artifact {identifier:?}"))
}

/// Unpacks an artifact where it can be tried, and returns that directory and the names in it.
fn unpacked(artifact: &Artifact) -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let done = Command::new("unzip").args(["-q", &artifact.path, "-d"]).arg(dir.path()).output();
    let done = done.expect("unzip is installed by scripts/setup");
    assert!(done.status.success(), "{done:?}");
    let names = files(dir.path())
        .into_keys()
        .map(|path| path.strip_prefix(dir.path()).unwrap().to_string_lossy().into_owned())
        .collect();
    (dir, names)
}

/// The report of this name: all its cases have passed.
fn passed(outcome: &Outcome, name: &str) -> u64 {
    let mut all = outcome.events.iter().filter_map(|e| if let Event::Report(r) = e { Some(r) } else { None });
    let report: &Report = all.find(|r| r.name.ends_with(name)).unwrap_or_else(|| panic!("no report {name}"));
    assert_eq!(report.status, BuildStatus::Succeeded);
    let tests = report.tests.as_ref().unwrap();
    assert_eq!(tests.total, tests.succeeded);
    tests.total
}

fn exported(outcome: &Outcome) -> BTreeMap<String, String> {
    let mut all = outcome.events.iter();
    all.find_map(|e| if let Event::Exported { variables } = e { Some(variables.clone()) } else { None }).unwrap()
}

/// What happened to the cache, in order.
fn cache(outcome: &Outcome) -> Vec<CacheAction> {
    outcome
        .events
        .iter()
        .filter_map(|e| if let Event::Cache { action, .. } = e { Some(*action) } else { None })
        .collect()
}

#[test]
fn example_c_make() {
    let Some(example) = Example::new("c-make", &[&["cc", "--version"], &["make", "--version"]]) else { return };
    let outcome = example.run().expect(0);
    outcome.expect_line("7 passed, 0 failed").expect_line("generation 6, 5 alive");
    assert_eq!(passed(&outcome, "unit"), 7);
    assert_eq!(exported(&outcome)["VERSION"], "1.2.0");
    let artifact = artifact(&outcome, None);
    assert!(artifact.path.ends_with("/life-1.2.0.zip"), "{artifact:?}");
    let (dir, names) = unpacked(&artifact);
    assert_eq!(names, ["VERSION", "bin/life", "share/life/glider.txt", "share/life/pulsar.txt"]);
    let life = Command::new(dir.path().join("bin/life"))
        .args(["0", "share/life/glider.txt"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(life.stdout.starts_with(b"generation 0, 5 alive\n.#......\n"), "{life:?}");
}

#[test]
fn example_python_pytest() {
    let Some(example) = Example::new("python-pytest", &[&["python3", "-m", "pytest", "--version"]]) else { return };
    let outcome = example.run().expect(0);
    outcome.expect_line("| apple           |  0.35 | crisp, sour                      |");
    assert_eq!(passed(&outcome, "unit"), 13);
    let (_dir, names) = unpacked(&artifact(&outcome, None));
    assert_eq!(names, ["tabular"]);
}

#[test]
fn example_node() {
    // The JUnit reporter came with 18.19 and 20.7.
    let reporter = "const [a, b] = process.versions.node.split('.').map(Number); process.exit(a > 20 || (a === 20 && b >= 7) || (a === 18 && b >= 19) ? 0 : 1)";
    let Some(example) = Example::new("node", &[&["node", "-e", reporter]]) else { return };
    let outcome = example.run().expect(0);
    outcome.expect_line("together 2d 1h 30m 45s");
    assert_eq!(passed(&outcome, "unit"), 18);
    let artifact = artifact(&outcome, None);
    assert!(artifact.path.ends_with("/duration-2.1.0.zip"), "{artifact:?}");
    let (_dir, names) = unpacked(&artifact);
    assert_eq!(names, ["bin/duration.js", "package.json", "src/duration.js"]);
}

#[test]
fn example_go() {
    let Some(example) = Example::new("go", &[&["go", "version"]]) else { return };
    let outcome = example.run().expect(0);
    assert_eq!(passed(&outcome, "unit"), 8);
    assert_eq!(exported(&outcome)["BINARY_SHA256"].len(), 64);
    assert_eq!(unpacked(&artifact(&outcome, None)).1, ["shorten"]);
    assert_eq!(cache(&outcome), [CacheAction::Missed, CacheAction::Saved]);
    // The compiler's cache is there again: nothing is compiled twice.
    let again = example.run().expect(0);
    assert_eq!(cache(&again).first(), Some(&CacheAction::Restored));
    assert_eq!(exported(&again), exported(&outcome), "the same sources made another binary");
}

#[test]
fn example_java_maven() {
    let Some(example) = Example::new("java-maven", &[&["mvn", "--version"], &["javac", "--version"]]) else { return };
    let outcome = example.run();
    let unreachable = ["Could not transfer artifact", "Unknown host", "Connection refused", "Network is unreachable"];
    if outcome.status == 1 && unreachable.iter().any(|text| outcome.log.contains(text)) {
        println!("skipped: Maven reaches no repository from a build on this machine");
        return;
    }
    let outcome = outcome.expect(0);
    outcome.expect_line("33.34  33.3 %");
    assert_eq!(passed(&outcome, "unit"), 10);
    assert_eq!(unpacked(&artifact(&outcome, None)).1, ["split.jar"]);
    assert_eq!(cache(&outcome), [CacheAction::Missed, CacheAction::Saved]);
}

#[test]
fn example_multi_artifact() {
    let Some(example) = Example::new("multi-artifact", &[&["python3", "--version"]]) else { return };
    let outcome = example.run().expect(0);
    outcome.expect_line("4 pages rendered, 0 taken from the cache");
    assert_eq!(passed(&outcome, "unit"), 6);
    assert_eq!(passed(&outcome, "links"), 6);
    assert_eq!(exported(&outcome)["PAGE_COUNT"], "4");
    assert_eq!(unpacked(&artifact(&outcome, None)).1, ["SHA256SUMS"]);
    let site = artifact(&outcome, Some("site"));
    assert_eq!(unpacked(&site).1, ["guide/fog.html", "guide/lamp.html", "guide/log.html", "index.html"]);
    assert_eq!(unpacked(&artifact(&outcome, Some("search"))).1, ["index.json"]);

    let again = example.run().expect(0);
    again.expect_line("0 pages rendered, 4 taken from the cache");
    assert_eq!(cache(&again).first(), Some(&CacheAction::Restored));
}
