//! What `lint` says, and where it keeps quiet.

use kiln_buildspec::{Code, Severity, lint};

/// Code and line of everything found.
fn found(text: &str) -> Vec<(Code, u32)> {
    lint(text.as_bytes()).iter().map(|d| (d.code, d.line)).collect()
}

/// The same for commands of a build phase; the first is on line 1 of the result.
fn found_in(commands: &str) -> Vec<(Code, u32)> {
    let body: String = commands.lines().map(|line| format!("      {line}\n")).collect();
    found(&format!("version: 0.2\nphases:\n  build:\n    commands:\n{body}"))
        .into_iter()
        .map(|(c, l)| (c, l - 4))
        .collect()
}

#[test]
fn a_sound_buildspec_has_no_remarks() {
    let text = "version: 0.2\nenv:\n  shell: bash\n  variables:\n    A: b\n    PRICE: 5$\n  exported-variables: [V]\nphases:\n  \
                install:\n    runtime-versions:\n      python: 3.12\n  build:\n    on-failure: RETRY-2-timed out\n    commands:\n      - cd \
                app\n      - export V=$(date +%F)\n      - X=1\n      - if [[ -n $V ]]; then echo yes; fi\n      - |\n        set -e\n        \
                make\n        make test\n      - nohup ./server > server.log 2>&1 &\n      - |\n        f() { echo 1; }\n        f\n      - \
                >-\n        docker build\n        -t x .\n      - 'echo \"a # b\"' # c\n  post_build:\n    commands:\n      - tar czf a.tgz \
                out\nreports:\n  unit:\n    files: ['**/*.xml']\nartifacts:\n  files: [a.tgz]\ncache:\n  paths: ['/root/.cache/**/*']\n";
    assert_eq!(lint(text.as_bytes()), []);
}

#[test]
fn all_at_once() {
    let text = "version: 0.2\nenv:\n  variables:\n    PATH: /x:$PATH\nphases:\n  build:\n    comands: [a]\n  artifacts:\n    files: \
                [x]\nartefacts: {}\n";
    assert_eq!(
        found(text),
        [(Code::NotExpanded, 4), (Code::UnknownKey, 7), (Code::UnknownPhase, 8), (Code::UnknownKey, 10),]
    );
}

#[test]
fn settings() {
    let phases = "phases: {build: {commands: [a]}}\n";
    for (text, expected) in [
        ("version: 0.2\nenv: {shell: fish}\n", vec![(Code::UnknownShell, 2)]),
        ("version: 0.2\nenv: {shell: PowerShell.exe}\n", vec![]),
        ("version: 0.2\nenv: {variables: {A: '${B}', C: '\\$D', E: '^x$'}}\n", vec![(Code::NotExpanded, 2)]),
        ("version: 0.2\nenv: {parameter-store: {A: /x/$B}}\n", vec![]),
        ("version: 0.2\nenv: {variables: {A: AKIAABCDEFGHIJ234567}}\n", vec![(Code::PlainTextSecret, 2)]),
        ("version: 0.2\nenv: {exported-variables: [A, AWS_REGION]}\n", vec![(Code::NotExported, 2)]),
        ("version: 0.2\nartifacts: {files: x, name: y}\n", vec![(Code::ArtifactName, 2)]),
        ("version: '0.2'\n", vec![]),
        ("version: 0.2\nbatch: {build-list: [{identifier: a, env: {SUITE: x}}]}\n", vec![(Code::UnknownKey, 2)]),
    ] {
        assert_eq!(found(&format!("{text}{phases}")), expected, "{text}");
    }
    let runtimes =
        "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      docker: 18\n  build:\n    commands: [a]\n";
    assert_eq!(found(runtimes), [(Code::LegacyRuntime, 5)]);
    assert_eq!(found("version: 0.2\nphases:\n  build:\n    commands:\n"), [(Code::NoCommands, 2)]);
    assert_eq!(found("version: 0.2\nbatch: {build-list: [{identifier: a}]}\n"), []);
}

#[test]
fn a_lost_path_is_worse_than_a_literal_dollar() {
    let text = "version: 0.2\nenv: {variables: {PATH: '/x:$PATH', A: $B}}\nphases: {build: {commands: [a]}}\n";
    let severities: Vec<_> = lint(text.as_bytes()).iter().map(|d| d.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Hint]);
}

#[test]
fn bash_only_syntax_without_bash() {
    for command in [
        "'[[ -n $A ]]'",
        "source x.sh",
        "x <<< y",
        "function f { a; }",
        "'a=(b c)'",
        "set -o pipefail; a",
        "a &> log",
        "diff <(a) <(b)",
        "echo ${A//x/y}",
        "echo ${A:0:3}",
        "echo ${A^^}",
        "echo \"${!A}\"",
        "'(( i++ ))'",
        "if [[ $A == b ]]; then c; fi",
    ] {
        assert_eq!(found_in(&format!("- {command}")), [(Code::BashSyntax, 1)], "{command}");
    }
    for command in [
        "echo '[[ x ]]'",
        "echo source",
        ". x.sh",
        "echo ${A:-b} ${A#b} ${A%%b} ${A:+c} ${#A}",
        "(a; b)",
        "a > b 2>&1",
        "awk '{ print ${x/y} }'",
        "grep function x",
    ] {
        assert_eq!(found_in(&format!("- {command}")), [], "{command}");
    }
    let two = lint(b"version: 0.2\nphases: {build: {commands: [source a, b, source c]}}\n");
    assert_eq!(two.len(), 1);
    assert!(two[0].message.contains("another command"), "{}", two[0].message);
}

#[test]
fn windows_commands_are_left_alone() {
    for command in ["Write-Host \"a\" & b", "$env:X = 'y'; source z", "choco install x; [[ y ]]"] {
        assert_eq!(found_in(&format!("- '{}'", command.replace('\'', "''"))), [], "{command}");
    }
    let shell = "version: 0.2\nenv: {shell: cmd.exe}\nphases: {build: {commands: ['a & b']}}\n";
    assert_eq!(found(shell), []);
}

#[test]
fn state_that_is_not_kept() {
    assert_eq!(found_in("- 'f() { a; }'\n- f"), [(Code::StateNotKept, 2)]);
    assert_eq!(found_in("- 'f() { a; }'\n- g\n- echo f"), []);
    assert_eq!(found_in("- set -e\n- a"), [(Code::StateNotKept, 1)]);
    assert_eq!(found_in("- a\n- set -e"), []);
    assert_eq!(found_in("- set -e; a\n- b"), []);
    assert_eq!(found_in("- alias a=b\n- a"), [(Code::StateNotKept, 1)]);
    assert_eq!(found_in("- cd x\n- export A=b\n- C=d\n- make"), []);
    let old = "version: 0.1\nphases:\n  build:\n    commands:\n      - a\n      - cd x\n      - make\n";
    assert_eq!(found(old), [(Code::Version01, 6)]);
    assert_eq!(found(&old.replace("cd x", "cd x && make")), []);
}

#[test]
fn blocks() {
    assert_eq!(found_in("- |\n  make\n  make test"), [(Code::BlockStatus, 1)]);
    for block in [
        "set -e\n  make\n  make test",
        "set -euxo pipefail\n  make\n  make test",
        "make &&\n  make test",
        "make || exit 1\n  make test",
        "echo a\n  cd b\n  export C=d\n  make",
        "if a; then\n    b\n  fi\n  make",
        "# comment\n  make",
        "make \\\n    -j",
        "cat <<EOF > x\n  make\n  EOF\n  make",
        "make\n  test $? -eq 0",
    ] {
        let found = found_in(&format!("- |\n  {block}"));
        assert!(!found.iter().any(|(code, _)| *code == Code::BlockStatus), "{block}: {found:?}");
    }
    let folded = "- >\n  if a\n  then b\n  fi";
    assert_eq!(found_in(folded), [(Code::FoldedBlock, 1)]);
    assert_eq!(found_in("- >\n  if a;\n  then b;\n  fi"), []);
    assert_eq!(found_in("- if a\n  then b\n  fi"), [(Code::FoldedBlock, 1)]);
    assert_eq!(found_in("- |\n  if a\n  then b\n  fi"), []);
    assert_eq!(found_in("- docker build \\\n  -t x"), [(Code::FoldedBlock, 1)]);
    assert_eq!(found_in("- >\n  docker build\n  -t x"), []);
}

#[test]
fn quotes_cut_by_a_comment() {
    assert_eq!(found_in("- echo \"issue #12\""), [(Code::CutByComment, 1)]);
    assert_eq!(found_in("- echo \"issue#12\""), []);
    assert_eq!(found_in("- echo issue #12"), []);
    assert_eq!(found_in("- 'echo \"issue #12\"'"), []);
}

#[test]
fn background_processes() {
    assert_eq!(found_in("- ./server &"), [(Code::BackgroundProcess, 1)]);
    assert_eq!(found_in("- a; ./server & b"), [(Code::BackgroundProcess, 1)]);
    for command in
        ["nohup ./server &", "./server > log 2>&1 &", "a & b & wait", "a && b", "a 2>&1", "curl 'x?a&b'", "setsid a &"]
    {
        assert_eq!(found_in(&format!("- {command}")), [], "{command}");
    }
}

#[test]
fn cloudformation_functions_are_hints_here() {
    let text = "version: 0.2\nphases:\n  build:\n    commands:\n      - !Sub 'echo ${AWS::Region}'\n      - !Join ['', [a, b]]\n      - !Foo a\n";
    let found: Vec<_> = lint(text.as_bytes()).iter().map(|d| (d.code, d.severity, d.line)).collect();
    assert_eq!(
        found,
        [
            (Code::CloudFormationTag, Severity::Hint, 5),
            (Code::CloudFormationTag, Severity::Hint, 6),
            (Code::YamlTag, Severity::Error, 7),
        ]
    );
}

#[test]
fn a_syntax_error_comes_with_what_was_found_before_it() {
    let found: Vec<_> = found("a: 1\nb: {c: 1, c: 2}\nd: [\n");
    assert_eq!(found, [(Code::DuplicateKey, 2), (Code::YamlSyntax, 3)]);
}
