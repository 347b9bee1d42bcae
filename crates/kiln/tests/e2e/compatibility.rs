//! Rows of `docs/compatibility.md`, section 3, that only a whole build shows: what Kiln decided where AWS says nothing.
//! One test for each, under the name that stands there.

use std::process::Command;

use kiln_wire::event::{Artifact, CacheAction, Event, Report};

use crate::project::{Outcome, Project};

fn spec(command: &str, rest: &str) -> String {
    format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n{rest}")
}

fn artifact(outcome: &Outcome) -> Artifact {
    let pick = |e: &Event| if let Event::Artifact(a) = e { Some(a.clone()) } else { None };
    outcome.events.iter().find_map(pick).expect("an artifact")
}

fn report_names(outcome: &Outcome) -> Vec<String> {
    let pick = |e: &Event| if let Event::Report(Report { name, .. }) = e { Some(name.clone()) } else { None };
    outcome.events.iter().filter_map(pick).collect()
}

/// One line of `zipinfo` for each entry: its mode and its name.
fn entries(path: &str) -> Vec<(String, String)> {
    let output = Command::new("zipinfo").args(["-s", path]).output().expect("unzip is installed by scripts/setup");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut entries: Vec<(String, String)> = words
        // A mode: neither the line before the entries nor the one after them begins so.
        .filter(|words| words.first().is_some_and(|mode| mode.starts_with(['-', 'l'])))
        .filter_map(|words| Some(((*words.first()?).to_owned(), (*words.last()?).to_owned())))
        .collect();
    entries.sort_by(|a, b| a.1.cmp(&b.1));
    entries
}

fn names(path: &str) -> Vec<String> {
    entries(path).into_iter().map(|(_, name)| name).collect()
}

fn content(path: &str, name: &str) -> String {
    let output = Command::new("unzip").args(["-p", path, name]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_directory_as_artifact_selects_nothing() {
    let project = Project::new(&spec("mkdir d; touch d/f a.txt", "artifacts:\n  files: [d, a.txt]\n"));
    let outcome = project.run(&[]).expect(0);
    outcome.expect_text("Skipping invalid file path d");
    assert_eq!(names(&artifact(&outcome).path), ["a.txt"]);
}

#[test]
fn a_base_directory_may_end_in_a_slash() {
    let rest = "artifacts:\n  files: ['**/*']\n  base-directory: d/\n";
    let project = Project::new(&spec("mkdir d; touch d/f", rest));
    let outcome = project.run(&[]).expect(0);
    assert_eq!(names(&artifact(&outcome).path), ["f"]);
}

#[test]
fn of_two_files_with_one_name_the_last_is_stored_and_the_log_says_so() {
    let rest = "artifacts:\n  files: ['a/f', 'b/f']\n  discard-paths: yes\n";
    let project = Project::new(&spec("mkdir a b; echo one > a/f; echo two > b/f", rest));
    let outcome = project.run(&[]).expect(0);
    let artifact = artifact(&outcome);
    assert_eq!(names(&artifact.path), ["f"]);
    assert_eq!(content(&artifact.path, "f"), "two\n");
    outcome.expect_text("which is stored under the same name");
}

#[test]
fn links_are_followed_unless_they_are_asked_for() {
    let command = "mkdir d; echo text > d/f; ln -s f d/link";
    let rest = |more: &str| format!("artifacts:\n  files: ['**/*']\n  base-directory: d\n{more}");
    let project = Project::new(&spec(command, &rest("")));
    let followed = artifact(&project.run(&[]).expect(0));
    let modes: Vec<char> = entries(&followed.path).iter().filter_map(|(mode, _)| mode.chars().next()).collect();
    assert_eq!(modes, ['-', '-']);
    assert_eq!(content(&followed.path, "link"), "text\n");

    let project = Project::new(&spec(command, &rest("  enable-symlinks: yes\n")));
    let kept = artifact(&project.run(&[]).expect(0));
    let modes: Vec<char> = entries(&kept.path).iter().filter_map(|(mode, _)| mode.chars().next()).collect();
    assert_eq!(modes, ['-', 'l']);
}

#[test]
fn discovery_passes_over_what_the_buildspec_names() {
    let junit = r#"<testsuite name="s" tests="1" failures="0" errors="0" skipped="0"><testcase classname="c" name="n"/></testsuite>"#;
    let project = Project::new(&spec("\"true\"", "reports:\n  unit:\n    files: [unit.xml]\n    base-directory: r\n"));
    project.file("r/unit.xml", junit);
    // Looked into as well, and no report: it must not be taken for one.
    project.file("package.json", "{}");
    assert_eq!(report_names(&project.run(&[]).expect(0)), ["local-unit"]);
    project.file("r/more.xml", junit);
    assert_eq!(report_names(&project.run(&[]).expect(0)), ["local-unit", "local-JUNITXML-AutoDiscovered"]);
}

#[test]
fn an_exported_variable_that_was_never_set_is_left_out() {
    let spec =
        "version: 0.2\nenv:\n  exported-variables: [SET, NEVER]\nphases:\n  build:\n    commands:\n      - SET=1\n";
    let outcome = Project::new(spec).run(&[]).expect(0);
    let pick = |e: &Event| if let Event::Exported { variables } = e { Some(variables.clone()) } else { None };
    let exported = outcome.events.iter().find_map(pick).unwrap();
    assert_eq!(exported.into_iter().collect::<Vec<_>>(), [("SET".to_owned(), "1".to_owned())]);
}

#[test]
fn what_the_cache_restores_replaces_the_sources_file() {
    let project = Project::new(&spec("cat d/f; echo cached > d/f", "cache:\n  paths: ['d/**/*']\n"));
    project.file("d/f", "source\n");
    project.run(&[]).expect(0).expect_line("source");
    let second = project.run(&[]).expect(0);
    assert!(second.events.iter().any(|e| matches!(e, Event::Cache { action: CacheAction::Restored, .. })));
    second.expect_line("cached");
}
