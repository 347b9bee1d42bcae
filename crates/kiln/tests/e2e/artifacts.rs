//! Artifacts, reports and caches (`buildspec.md` 9 to 11, 17).

use std::{fs, path::Path, process::Command};

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::{Artifact, CacheAction, Event, Report};

use crate::project::{Outcome, Project};

fn spec(commands: &str, rest: &str) -> String {
    format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {commands}\n{rest}")
}

fn artifacts(outcome: &Outcome) -> Vec<Artifact> {
    let pick = |e: &Event| if let Event::Artifact(a) = e { Some(a.clone()) } else { None };
    outcome.events.iter().filter_map(pick).collect()
}

fn reports(outcome: &Outcome) -> Vec<Report> {
    let pick = |e: &Event| if let Event::Report(r) = e { Some(r.clone()) } else { None };
    outcome.events.iter().filter_map(pick).collect()
}

/// Names in an archive, by Debian's `unzip`, which also tests it.
fn unzip(path: &str) -> Vec<String> {
    let test = Command::new("unzip").args(["-tqq", path]).output().expect("unzip is installed by scripts/setup");
    assert!(test.status.success(), "{test:?}");
    let list = Command::new("unzip").args(["-Z1", path]).output().unwrap();
    String::from_utf8_lossy(&list.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn checklist_11_no_artifact() {
    let outcome = Project::new(&spec("\"true\"", "artifacts:\n  files: [app.jar]\n")).run(&[]).expect(1);
    assert_eq!(outcome.end().phase, Some(PhaseType::UploadArtifacts));
    outcome.expect_text("Skipping invalid file path app.jar");
    outcome.expect_text("CLIENT_ERROR Message: no matching artifact paths found");
}

#[test]
fn no_base_directory() {
    let rest = "artifacts:\n  base-directory: cdk.out\n  files: ['**/*']\n";
    let outcome = Project::new(&spec("\"true\"", rest)).run(&[]).expect(1);
    outcome.expect_text("CLIENT_ERROR Message: no matching base directory path found for cdk.out");
}

#[test]
fn checklist_12_one_pattern_matches() {
    let rest = "artifacts:\n  files: [app, missing.txt]\n";
    let outcome = Project::new(&spec("touch app", rest)).run(&[]).expect(0);
    assert_eq!(outcome.log.matches("Skipping invalid file path").count(), 1);
    outcome.expect_text("Found 1 file(s)");
}

#[test]
fn checklist_13_zip_name_and_checksums() {
    let rest = "artifacts:\n  name: a\n  files: ['**/*']\n  base-directory: out\n";
    let outcome =
        Project::new(&spec("mkdir -p out/sub && echo 1 > out/.hidden && echo 2 > out/sub/b.txt", rest)).run(&[]);
    let artifact = artifacts(&outcome.expect(0)).pop().unwrap();
    assert!(artifact.path.ends_with("/a"), "{}", artifact.path);
    assert_eq!(
        (artifact.files, artifact.sha256.map(|h| h.len()), artifact.md5.map(|h| h.len())),
        (2, Some(64), Some(32))
    );
    // The run's directory is gone with the project; the checker compared the digest before.
}

#[test]
fn zip_content() {
    let project = Project::new(&spec(
        "mkdir -p out/sub && echo 1 > out/.hidden && echo 2 > out/sub/b.txt && chmod 755 out/sub/b.txt && ln -s sub/b.txt out/link",
        "artifacts:\n  files: ['**/*']\n  base-directory: out\n",
    ));
    let artifact = artifacts(&project.run(&[]).expect(0)).pop().unwrap();
    assert!(artifact.path.ends_with("/artifacts.zip"));
    assert_eq!(unzip(&artifact.path), [".hidden", "link", "sub/b.txt"]);
    let modes = Command::new("zipinfo").arg(&artifact.path).output().unwrap();
    let modes = String::from_utf8_lossy(&modes.stdout).into_owned();
    assert!(modes.lines().any(|l| l.starts_with("-rwxr-xr-x") && l.ends_with("sub/b.txt")), "{modes}");
}

#[test]
fn checklist_15_name_evaluated() {
    let rest = "artifacts:\n  name: builds/$CODEBUILD_BUILD_NUMBER/app-$(echo x | tr x y)-$V.zip\n  files: [app]\n";
    let outcome = Project::new(&spec("touch app; V=3", rest)).run(&[]).expect(0);
    assert!(artifacts(&outcome)[0].path.ends_with("/builds/1/app-y-3.zip"), "{:?}", artifacts(&outcome));
}

#[test]
fn a_name_that_leads_out_is_refused() {
    let rest = "artifacts:\n  name: ../../../../tmp/kiln-escaped\n  files: [app]\n";
    let outcome = Project::new(&spec("touch app", rest)).run(&[]).expect(1);
    outcome.expect_text("leads out of the artifact directory");
    assert!(!Path::new("/tmp/kiln-escaped").exists());
}

#[test]
fn secondary_artifacts() {
    let rest = "artifacts:\n  files: [a.txt]\n  secondary-artifacts:\n    docs:\n      files: ['*.md']\n      discard-paths: yes\n      base-directory: d\n    bin:\n      files: [d/x/tool]\n      discard-paths: yes\n";
    let project = Project::new(&spec("touch a.txt; mkdir -p d/x; touch d/one.md d/two.md d/x/tool", rest));
    let outcome = project.run(&[]).expect(0);
    let found: Vec<(Option<String>, Vec<String>)> =
        artifacts(&outcome).into_iter().map(|a| (a.identifier, unzip(&a.path))).collect();
    assert_eq!(
        found,
        [
            (None, vec!["a.txt".to_owned()]),
            (Some("docs".to_owned()), vec!["one.md".to_owned(), "two.md".to_owned()]),
            (Some("bin".to_owned()), vec!["tool".to_owned()]),
        ]
    );
    outcome.expect_text("Preparing to copy secondary artifacts docs");
}

#[test]
fn exclude_paths_and_variables() {
    let rest = "artifacts:\n  files: ['$OUT/**/*']\n  exclude-paths: ['**/*.tmp']\n";
    let project = Project::new(&spec("OUT=result; mkdir -p result/x; touch result/x/a result/x/b.tmp", rest));
    let artifact = artifacts(&project.run(&[]).expect(0)).pop().unwrap();
    assert_eq!(unzip(&artifact.path), ["result/x/a"]);
}

#[test]
fn artifacts_directory() {
    let project = Project::new(&spec("mkdir -p o/s; echo hi > o/s/f", "artifacts:\n  files: ['o/**/*']\n"));
    let target = tempfile::tempdir().unwrap();
    let outcome = project.run(&["--artifacts", target.path().to_str().unwrap(), "--packaging", "none"]).expect(0);
    let path = artifacts(&outcome)[0].path.clone();
    assert_eq!(fs::read_to_string(Path::new(&path).join("o/s/f")).unwrap(), "hi\n");
}

#[test]
fn the_same_files_give_the_same_archive() {
    let project = Project::new(&spec("echo a > a; echo b > b", "artifacts:\n  files: [a, b]\n"));
    let digest = || {
        let output = project.run_command(&[]).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
        artifacts(&project.outcome(&output)).pop().unwrap().sha256
    };
    let first = digest();
    assert!(first.is_some());
    assert_eq!(digest(), first);
}

const JUNIT: &str = r#"<testsuite name="calc" tests="2" failures="1" errors="0" skipped="0" time="0.2">
<testcase classname="calc.AddTest" name="adds" time="0.1"/>
<testcase classname="calc.DivTest" name="divides" file="tests/div.py" time="0.1"><failure message="expected 2 but was 3">trace</failure></testcase>
</testsuite>"#;

#[test]
fn checklist_21_failing_tests_in_report() {
    let project = Project::new(&spec("\"true\"", "reports:\n  unit:\n    files: ['reports/*.xml']\n"));
    project.file("reports/junit.xml", JUNIT);
    let outcome = project.run(&[]).expect(0);
    let report = reports(&outcome).pop().unwrap();
    assert_eq!((report.name.as_str(), report.status), ("local-unit", BuildStatus::Failed));
    let tests = report.tests.unwrap();
    assert_eq!((tests.total, tests.succeeded, tests.failed), (2, 1, 1));
    assert!(report.failures[0].message.starts_with("expected 2 but was 3"), "{:?}", report.failures);
    assert!(outcome.summary.contains("expected 2 but was 3"), "{}", outcome.summary);
}

#[test]
fn checklist_22_wrong_report_format() {
    let project = Project::new(&spec("\"true\"", "reports:\n  cov:\n    files: [clover.xml]\n"));
    project.file("clover.xml", "<coverage generated=\"1\"><project/></coverage>");
    let outcome = project.run(&[]).expect(1);
    outcome.expect_text("expected element type <testsuite> but have <coverage>");
    assert_eq!(outcome.end().phase, Some(PhaseType::UploadArtifacts));
}

#[test]
fn reports_are_found_without_being_named() {
    let project = Project::new(&spec("\"true\"", ""));
    project.file("build/test-results/junit.xml", JUNIT);
    let outcome = project.run(&[]).expect(0);
    assert_eq!(reports(&outcome).pop().unwrap().name, "local-JUNITXML-AutoDiscovered");
    outcome.expect_text("Set report auto-discover timeout to 5 seconds");
    let off = project.run(&["-e", "CODEBUILD_CONFIG_AUTO_DISCOVER=false"]).expect(0);
    assert!(reports(&off).is_empty() && !off.log.contains("auto-discover"));
}

fn cache_actions(outcome: &Outcome) -> Vec<CacheAction> {
    let pick = |e: &Event| if let Event::Cache { action, .. } = e { Some(*action) } else { None };
    outcome.events.iter().filter_map(pick).collect()
}

#[test]
fn a_cache_comes_back_and_an_unchanged_one_is_not_written() {
    let project = Project::new(&spec(
        "if [ -f /root/.m2/repo/a.jar ]; then echo hit $(cat /root/.m2/repo/a.jar); else echo miss; mkdir -p /root/.m2/repo; echo jar > /root/.m2/repo/a.jar; ln -s a.jar /root/.m2/repo/b.jar; fi",
        "cache:\n  paths: ['/root/.m2/**/*', node_modules]\n",
    ));
    let first = project.run(&[]).expect(0);
    first.expect_line("miss");
    assert_eq!(cache_actions(&first), [CacheAction::Missed, CacheAction::Saved]);
    let second = project.run(&[]).expect(0);
    second.expect_line("hit jar").expect_text("Expanded cache path /root/.m2/**/*");
    assert_eq!(cache_actions(&second), [CacheAction::Restored, CacheAction::Unchanged]);
    // The file and the link; directories are no files.
    let files = |e: &Event| if let Event::Cache { files, .. } = e { Some(*files) } else { None };
    assert_eq!(first.events.iter().filter_map(files).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(second.events.iter().filter_map(files).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn checklist_25_key_saved_once() {
    let project = Project::new(&spec(
        "mkdir -p c; cat c/f || true; echo $CODEBUILD_BUILD_NUMBER > c/f",
        "cache:\n  key: k-$(codebuild-hash-files lock.txt)\n  fallback-keys: [k-]\n  paths: ['c/**/*']\n",
    ));
    project.file("lock.txt", "1");
    assert_eq!(cache_actions(&project.run(&[]).expect(0)), [CacheAction::Missed, CacheAction::Saved]);
    let second = project.run(&[]).expect(0);
    assert_eq!(cache_actions(&second), [CacheAction::Restored, CacheAction::Unchanged]);
    // Another key: the fallback's content comes back, and the new key is saved.
    project.file("lock.txt", "2");
    let third = project.run(&[]).expect(0);
    third.expect_line("1");
    assert_eq!(cache_actions(&third), [CacheAction::Restored, CacheAction::Saved]);
}

#[test]
fn cache_after_failure() {
    let project = Project::new(&spec("mkdir -p c; touch c/f; false", "cache:\n  paths: ['c/**/*']\n"));
    assert_eq!(cache_actions(&project.run(&[]).expect(1)), [CacheAction::Missed, CacheAction::Saved]);
}
