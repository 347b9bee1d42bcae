//! The rows of `docs/compatibility.md`, section 3, that concern the text of a buildspec: what Kiln decided where AWS
//! says nothing. One test for each row, under the name that stands there.

use kiln_buildspec::{Buildspec, OnFailure, ParseOptions, Parsed, Severity, parse};

fn parsed(text: &str) -> Parsed {
    parse(text.as_bytes(), ParseOptions::default()).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

fn buildspec(text: &str) -> Buildspec {
    parsed(text).buildspec
}

/// A buildspec with this below `phases: build:`, and the given rest.
fn with_build(build: &str, rest: &str) -> String {
    format!("version: 0.2\nphases:\n  build:\n{build}\n{rest}")
}

const BUILD: &str = "    commands: [make]";

fn commands(build: &str) -> Vec<String> {
    let phase = buildspec(&with_build(build, "")).phases.build;
    phase.map(|phase| phase.commands.into_iter().map(|command| command.text).collect()).unwrap_or_default()
}

fn error(text: &str) -> String {
    parse(text.as_bytes(), ParseOptions::default()).map(|p| p.buildspec).expect_err(text).to_string()
}

fn warnings(parsed: &Parsed) -> usize {
    parsed.diagnostics.iter().filter(|d| d.severity == Severity::Warning).count()
}

#[test]
fn an_empty_env_means_nothing() {
    for env in ["env:\n", "env: {}\n", "env:\n  variables:\n", "env:\n  variables: {}\n"] {
        assert_eq!(buildspec(&with_build(BUILD, env)).env, buildspec(&with_build(BUILD, "")).env, "{env}");
    }
}

#[test]
fn a_null_value_is_the_empty_text() {
    let env = "env:\n  variables:\n    A:\n    B: ~\n    C: null\n    D: ''\n";
    let values: Vec<String> = buildspec(&with_build(BUILD, env)).env.variables.into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, ["", "", "", ""]);
}

#[test]
fn scalars_keep_their_text() {
    let env = "env:\n  variables: {A: 1.10, B: yes, C: 0x1F, D: 2026-01-01, E: 1e3, F: 007, G: True}\n";
    let values: Vec<String> = buildspec(&with_build(BUILD, env)).env.variables.into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, ["1.10", "yes", "0x1F", "2026-01-01", "1e3", "007", "True"]);
}

#[test]
fn commands_as_one_text_are_one_command() {
    assert_eq!(commands("    commands: make all"), ["make all"]);
    assert_eq!(commands("    commands: |\n      make\n      make test"), ["make\nmake test\n"]);
    assert!(commands("    commands:").is_empty());
}

#[test]
fn an_empty_command_does_nothing() {
    assert_eq!(
        commands("    commands:\n      - make\n      -\n      - # only a comment\n      - make test"),
        ["make", "", "", "make test"]
    );
}

#[test]
fn an_unknown_key_at_top_level_is_a_warning() {
    let parsed = parsed(&with_build(BUILD, "post_build:\n  commands: [make clean]\n"));
    assert_eq!(
        parsed.warning_lines(),
        [
            "Found possible syntax errors in buildspec:",
            "In the section buildspec",
            "    The following keys cannot be identified:",
            "        post_build"
        ]
    );
    assert!(parsed.buildspec.phases.post_build.is_none());
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let parsed = parsed(&with_build(BUILD, "env:\n  variables: {A: '1', A: '2'}\n"));
    assert_eq!(parsed.buildspec.env.variables, [("A".to_owned(), "2".to_owned())]);
    assert_eq!(warnings(&parsed), 1);
    assert_eq!(commands("    commands: [make]\n    commands: [make all]"), ["make all"]);
}

#[test]
fn an_empty_section_means_nothing() {
    let without = buildspec(&with_build(BUILD, ""));
    for rest in ["artifacts:\n", "cache:\n", "reports:\n", "env: ~\n"] {
        assert_eq!(buildspec(&with_build(BUILD, rest)), without, "{rest}");
    }
    let empty = buildspec(&with_build(BUILD, "  install:\n  post_build: ~\n"));
    assert!(empty.phases.install.is_none_or(|phase| phase.commands.is_empty()));
    assert_eq!(empty.phases.build, without.phases.build);
}

#[test]
fn shapes_that_fit_no_key_are_refused() {
    for build in [
        "    commands:\n      - [make]",
        "    commands: {a: make}",
        "    commands: [make]\n    finally: {a: make}",
        "    [make]",
    ] {
        assert!(!error(&with_build(build, "")).is_empty(), "{build}");
    }
    for rest in ["artifacts: [a]\n", "env:\n  variables: [A]\n", "cache: true\n", "reports: [a]\n"] {
        assert!(!error(&with_build(BUILD, rest)).is_empty(), "{rest}");
    }
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    let text = "version: 0.2\nx-common: &common\n  on-failure: ABORT\n  commands: &list [make]\nphases:\n  build:\n    <<: *common\n  post_build:\n    commands: *list\n";
    let phases = buildspec(text).phases;
    let build = phases.build.unwrap();
    assert_eq!(build.on_failure, Some(OnFailure::Abort));
    assert_eq!(build.commands[0].text, "make");
    assert_eq!(phases.post_build.unwrap().commands[0].text, "make");
}

#[test]
fn a_quoted_version_is_a_version() {
    let plain = buildspec("version: 0.2\nphases: {build: {commands: [make]}}\n");
    assert_eq!(buildspec("version: \"0.2\"\nphases: {build: {commands: [make]}}\n"), plain);
    let batch = "version: \"0.2\"\nbatch:\n  build-list:\n    - identifier: one\n";
    assert!(parse(batch.as_bytes(), ParseOptions { batch: true }).unwrap().buildspec.batch.is_some());
}

#[test]
fn on_failure_has_no_case() {
    for (written, meant) in [("abort", OnFailure::Abort), ("Continue", OnFailure::Continue)] {
        let build = buildspec(&with_build(&format!("{BUILD}\n    on-failure: {written}"), "")).phases.build.unwrap();
        assert_eq!(build.on_failure, Some(meant));
    }
    let build = buildspec(&with_build(&format!("{BUILD}\n    on-failure: Retry-2"), "")).phases.build.unwrap();
    assert!(matches!(build.on_failure, Some(OnFailure::Retry { .. })));
}

#[test]
fn a_sixth_fallback_key_is_too_many() {
    let keys = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("k{n}")).collect();
        format!("cache:\n  key: k\n  fallback-keys: [{}]\n  paths: ['a/**/*']\n", keys.join(", "))
    };
    let five = buildspec(&with_build(BUILD, &keys(5))).cache.unwrap();
    assert_eq!(five.fallback_keys.len(), 5);
    let six = parsed(&with_build(BUILD, &keys(6)));
    assert_eq!(six.buildspec.cache.as_ref().unwrap().fallback_keys, five.fallback_keys);
    assert_eq!(warnings(&six), 1);
}

#[test]
fn windows_shells_are_read() {
    for shell in ["powershell.exe", "cmd.exe", "bash", "/bin/sh"] {
        let env = buildspec(&with_build(BUILD, &format!("env:\n  shell: {shell}\n"))).env;
        assert_eq!(env.shell.as_deref(), Some(shell));
    }
}
