//! The `batch` section (`buildspec.md` 12.1).

use kiln_buildspec::{Batch, BatchKind, Code, Diagnostic, Fanout, ParseOptions, Severity, parse};

const FOR_BATCH: ParseOptions = ParseOptions { batch: true };

fn batch(section: &str) -> Batch {
    let text = format!("version: 0.2\nbatch:\n{section}");
    match parse(text.as_bytes(), FOR_BATCH) {
        Ok(parsed) => parsed.buildspec.batch.expect("a batch"),
        Err(error) => panic!("{error}: {:?}", error.diagnostics()),
    }
}

fn errors(section: &str) -> Vec<Diagnostic> {
    let text = format!("version: 0.2\nbatch:\n{section}");
    let error = parse(text.as_bytes(), FOR_BATCH).expect_err("an error");
    error.diagnostics().iter().filter(|d| d.severity == Severity::Error).cloned().collect()
}

#[test]
fn a_list() {
    let batch = batch(
        "  fast-fail: true\n  build-list:\n    - identifier: >-\n        0_digit_first\n      buildspec: a.yml\n      env: {image: \
         $IMAGE, variables: {N: 010}}\n    - identifier: b\n",
    );
    let BatchKind::BuildList(tasks) = &batch.kind else { panic!("{batch:?}") };
    assert!(batch.fast_fail);
    assert_eq!(tasks.len(), 2);
    assert_eq!((tasks[0].identifier.as_str(), tasks[0].buildspec.as_deref()), ("0_digit_first", Some("a.yml")));
    assert_eq!(tasks[0].env.variables, [("N".into(), "010".into())]);
    assert_eq!(tasks[0].env.image.as_deref(), Some("$IMAGE"));
}

#[test]
fn a_graph_with_its_dependencies() {
    let batch = batch(
        "  build-graph:\n    - identifier: a\n    - identifier: b\n      depend-on: a\n    - identifier: c\n      depend-on: [a, b]\n",
    );
    let BatchKind::BuildGraph(tasks) = batch.kind else { panic!() };
    assert_eq!(tasks[1].depend_on, ["a"]);
    assert_eq!(tasks[2].depend_on, ["a", "b"]);
}

#[test]
fn a_matrix_and_how_many_builds_it_has() {
    let batch = batch(
        "  build-matrix:\n    static:\n      ignore-failure: false\n      env: {type: LINUX_CONTAINER, privileged-mode: true}\n    \
         dynamic:\n      buildspec: [a.yml, b.yml]\n      env:\n        image: x\n        variables:\n          V: [1.10, 2, yes]\n",
    );
    let BatchKind::BuildMatrix(matrix) = batch.kind else { panic!() };
    assert_eq!(matrix.dynamic.combinations(), Some(6));
    assert_eq!(matrix.dynamic.variables, [("V".into(), vec!["1.10".into(), "2".into(), "yes".into()])]);
    assert_eq!(
        (matrix.fixed.privileged_mode, matrix.fixed.environment_type.as_deref()),
        (Some(true), Some("LINUX_CONTAINER"))
    );
}

#[test]
fn a_fanout() {
    let batch = batch("  build-fanout:\n    parallelism: 5\n    ignore-failure: yes\n");
    assert_eq!(batch.kind, BatchKind::BuildFanout(Fanout { parallelism: 5, ignore_failure: true }));
}

#[test]
fn malformed_identifiers_are_named_together() {
    let found = errors("  build-list:\n    - identifier: a-b\n    - identifier: ok\n    - identifier: c-d\n");
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[0].service_message(),
        "BatchSpec has invalid values.. Build Identifiers a-b,c-d must contain only alphanumeric characters and underscores \
         and be less than 128 characters in length."
    );
    assert_eq!((found[1].line, found[1].code), (6, Code::BatchIdentifier));
    let long = "x".repeat(128);
    assert_eq!(errors(&format!("  build-list: [{{identifier: {long}}}]\n"))[0].code, Code::BatchIdentifier);
    batch(&format!("  build-list: [{{identifier: {}}}]\n", &long[1..]));
}

#[test]
fn what_a_batch_cannot_be() {
    for (section, code, line) in [
        ("  fast-fail: true\n", Code::Batch, 3),
        ("  build-list: [{identifier: a}]\n  build-fanout: {parallelism: 2}\n", Code::Batch, 4),
        ("  build-list:\n", Code::WrongType, 3),
        ("  build-list: []\n", Code::Batch, 3),
        ("  build-list: {a: b}\n", Code::WrongType, 3),
        ("  build-list: [a]\n", Code::WrongType, 3),
        ("  build-list: [{buildspec: a}]\n", Code::BatchIdentifier, 3),
        ("  build-list:\n    - identifier: a\n    - identifier: a\n", Code::BatchIdentifier, 5),
        ("  build-list:\n    - identifier: a\n      env: {compute-type: x, fleet: y}\n", Code::Batch, 5),
        ("  build-graph: [{identifier: a, depend-on: [b]}]\n", Code::BatchDependency, 3),
        ("  build-graph: [{identifier: a, depend-on: [a]}]\n", Code::BatchDependency, 3),
        ("  build-fanout: {}\n", Code::Batch, 3),
        ("  build-fanout: {parallelism: 0}\n", Code::Batch, 3),
        ("  build-fanout: {parallelism: many}\n", Code::Batch, 3),
        ("  build-matrix: {dynamic: {env: {variables: [a]}}}\n", Code::WrongType, 3),
    ] {
        let found = errors(section);
        assert_eq!((found[0].code, found[0].line), (code, line), "{section}: {found:?}");
    }
    let none = parse(b"version: 0.2\nphases: {build: {commands: [a]}}\n", FOR_BATCH).unwrap_err();
    assert_eq!(none.first().code, Code::Batch);
}

#[test]
fn cycles_are_shown() {
    let found = errors(
        "  build-graph:\n    - identifier: x\n      depend-on: [b]\n    - identifier: a\n      depend-on: [c]\n    - identifier: b\n      \
         depend-on: [a]\n    - identifier: c\n      depend-on: [b]\n",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].message, "builds of the graph wait for each other: b → a → c → b");
}

#[test]
fn a_long_chain_needs_no_stack() {
    let chain: String = (0..9_000)
        .map(|i: u32| format!("    - {{identifier: b{i}, depend-on: [b{}]}}\n", (i + 1).min(8_999)))
        .collect::<String>()
        .replace("{identifier: b8999, depend-on: [b8999]}", "identifier: b8999");
    let parsed = parse(format!("version: 0.2\nbatch:\n  build-graph:\n{chain}").as_bytes(), FOR_BATCH);
    // More values than a document may have: refused, not overflowed.
    assert_eq!(parsed.unwrap_err().first().code, Code::YamlTooBig);
    let short: String =
        (0..4_000).map(|i: u32| format!("    - {{identifier: b{i}, depend-on: [b{}]}}\n", (i + 1) % 4_000)).collect();
    let found = errors(&format!("  build-graph:\n{short}"));
    assert_eq!(found[0].code, Code::BatchDependency);
}

#[test]
fn a_single_build_does_not_mind_a_broken_batch() {
    let text = "version: \"0.2\"\nbatch: {build-list: [{identifier: a-b}]}\nphases: {build: {commands: [a]}}\n";
    let parsed = parse(text.as_bytes(), ParseOptions::default()).unwrap();
    assert_eq!(parsed.buildspec.batch, None);
    assert_eq!(
        parsed.diagnostics.iter().map(|d| (d.code, d.severity)).collect::<Vec<_>>(),
        [(Code::BatchIdentifier, Severity::Warning)]
    );
    let lint: Vec<_> = kiln_buildspec::lint(text.as_bytes()).iter().map(|d| (d.code, d.severity)).collect();
    assert_eq!(lint, [(Code::QuotedVersion, Severity::Warning), (Code::BatchIdentifier, Severity::Error)]);
}

#[test]
fn a_dependency_defined_later_is_only_warned_of() {
    let text = "version: 0.2\nbatch:\n  build-graph:\n    - identifier: a\n      depend-on: [b]\n    - identifier: b\n";
    let parsed = parse(text.as_bytes(), FOR_BATCH).unwrap();
    assert_eq!(parsed.diagnostics.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(), [(Code::BatchDependency, 5)]);
}
