//! What the service was seen to do with real buildspecs (`buildspecs-in-the-wild.md` 3.1 to 3.4), with small files of the
//! same shapes. Rows 10 and 23 of `buildspec.md` 17 are among them.

use kiln_buildspec::{Buildspec, Code, Command, OnFailure, ParseOptions, Parsed, Severity, Version, parse};

fn read(text: &str) -> Parsed {
    parse(text.as_bytes(), ParseOptions::default()).unwrap_or_else(|e| panic!("{e}\n{text}\n{:?}", e.diagnostics()))
}

fn spec(text: &str) -> Buildspec {
    read(text).buildspec
}

fn message(text: &str) -> String {
    match parse(text.as_bytes(), ParseOptions::default()) {
        Ok(parsed) => panic!("accepted: {parsed:?}"),
        Err(error) => error.to_string(),
    }
}

/// A build phase with these lines below `build:`.
fn build(body: &str) -> String {
    format!("version: 0.2\nphases:\n  build:\n{body}")
}

fn commands(text: &str) -> Vec<String> {
    spec(text).phases.build.expect("a build phase").commands.into_iter().map(|c| c.text).collect()
}

fn codes(text: &str) -> Vec<Code> {
    read(text).diagnostics.iter().map(|d| d.code).collect()
}

// 3.1: texts.

#[test]
fn a_colon_in_a_command() {
    let text = "version: 0.2\n\nphases:\n  build:\n    commands:\n     - echo \"Hello: world\"\n";
    let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Expected Commands[0] to be of string type: found subkeys instead at line 6, value of the key tag on line 5 might \
         be empty"
    );
    let first = error.first();
    assert_eq!((first.code, first.line, first.column), (Code::CommandNotText, 6, 19));
    assert_eq!(first.hint.as_deref(), Some("quote the whole command: - 'echo \"Hello: world\"'"));

    let tenth =
        build("    commands:\n      - a\n      - b\n      - c\n      - d\n      # comment\n      - echo a: b\n");
    assert_eq!(
        message(&tenth),
        "Expected Commands[4] to be of string type: found subkeys instead at line 10, value of the key tag on line 9 might \
         be empty"
    );
    let quote = build("    commands:\n      - echo 'it''s: x'\n");
    let error = parse(quote.as_bytes(), ParseOptions::default()).unwrap_err();
    assert_eq!(error.first().hint.as_deref(), Some("quote the whole command: - 'echo ''it''''s: x'''"));
    let steps = build("    commands:\n      - name: a\n        run: b\n");
    let error = parse(steps.as_bytes(), ParseOptions::default()).unwrap_err();
    assert!(error.first().hint.as_deref().unwrap().contains("behind `name:`"), "{error:?}");
}

#[test]
fn the_hint_for_a_colon_makes_the_command_readable() {
    for command in ["echo \"a: b\"", "echo 'a: b'", "curl -H \"X: y\" 'http://x'", "echo C:\\x: y", "x: \"y\""] {
        let text = build(&format!("    commands:\n      - {command}\n"));
        let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
        let hint = error.first().hint.clone().unwrap();
        let quoted = hint.strip_prefix("quote the whole command: - ").unwrap();
        assert_eq!(commands(&build(&format!("    commands:\n      - {quoted}\n"))), [command]);
    }
}

#[test]
fn unknown_phases() {
    for (name, advice) in [
        ("artifacts", Some("it belongs at the top level")),
        ("post-build", Some("did you mean `post_build`?")),
        ("pre-build", Some("did you mean `pre_build`?")),
        ("prebuild", Some("did you mean `pre_build`?")),
        ("reports", Some("it belongs at the top level")),
        ("deploy", Some("deploy in `post_build`")),
        ("test", Some("run the tests in `build` or `post_build`")),
        ("xyzzy", None),
    ] {
        let text = format!("version: 0.2\nphases:\n  build:\n    commands: [a]\n  {name}:\n    commands: [b]\n");
        let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Invalid buildspec phase name: {name}. Expecting: build,install,post_build,pre_build")
        );
        assert_eq!((error.first().line, error.first().hint.as_deref()), (5, advice), "{name}");
    }
}

#[test]
fn what_is_no_buildspec() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "phases:\n  build:\n    commands: [a]\n",
        "ersion: 0.2\nphases: {}\n",
        "version: 0.2\n",
        "version: 0.2\nphases:\n",
        "- a\n- b\n",
        "hello\n",
        "version: 0.0\ncontainers: []\n",
    ] {
        assert_eq!(message(text), "wrong number of container tags, expected 1", "{text:?}");
    }
}

#[test]
fn syntax_errors_have_libyamls_words_and_lines_from_0() {
    for (text, aws, line, column) in [
        // The texts of awsdocs/aws-codebuild-user-guide pull request 25, and of a file on one line.
        ("version: 0.2\n\nphases:\n\tbuild:\n", "found character that cannot start any token at line 3", 4, 1),
        ("version: 0.2 phases: build\n", "mapping values are not allowed in this context at line 0", 1, 20),
        ("a:\n  b: [1, 2\nc: d\n", "did not find expected ',' or ']' at line 2", 3, 2),
        ("a: **/*\n", "did not find expected alphabetic or numeric character at line 0", 1, 5),
        ("a: && b\n", "did not find expected alphabetic or numeric character at line 0", 1, 5),
        ("a: @x\n", "found character that cannot start any token at line 0", 1, 4),
        ("a: \"x\nb: c\n", "found unexpected end of stream at line 2", 1, 4),
        ("a: *b\n", "unknown anchor 'b' referenced", 1, 4),
        ("a: &b [*b]\n", "anchor 'b' value contains itself", 1, 8),
    ] {
        let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), aws, "{text:?}");
        assert_eq!((error.first().line, error.first().column), (line, column), "{text:?}");
        assert!(error.first().hint.is_some(), "{text:?}");
    }
}

#[test]
fn the_log_warns_of_unknown_keys() {
    let text = "version: 0.2\nenv:\n  compute-type: x\nphases:\n  pre_build:\n    labels: [a]\n    steps: []\n  build:\n    \
                commands: [a]\nartifacts:\n  type: zip\n  files: '**/*'\n";
    let parsed = read(text);
    assert_eq!(
        parsed.warning_lines(),
        [
            "Found possible syntax errors in buildspec:",
            "In the section env",
            "    The following keys cannot be identified:",
            "        compute-type",
            "In the section PRE_BUILD",
            "    The following keys cannot be identified:",
            "        labels",
            "        steps",
            "In the section artifacts",
            "    The following keys cannot be identified:",
            "        type",
        ]
    );
    assert!(parsed.diagnostics.iter().all(|d| d.severity == Severity::Warning));
    assert_eq!(read(&build("    commands: [a]\n")).warning_lines(), Vec::<String>::new());
}

// 3.2: what history shows to be accepted, and what not.

#[test]
fn accepted_shapes() {
    assert_eq!(commands(&build("    commands: echo a\n")), ["echo a"]);
    assert_eq!(commands(&build("    commands: |\n      a\n      b\n")), ["a\nb\n"]);
    assert_eq!(commands(&build("    commands:\n")), Vec::<String>::new());
    assert_eq!(
        commands(&build("    commands:\n      -\n      - # comment\n      - ~\n      - a\n")),
        ["", "", "", "a"]
    );
    assert_eq!(
        commands(&build("    commands:\n      - true\n      - 1\n      - 010\n      - 1e3\n")),
        ["true", "1", "010", "1e3"]
    );
    let artifacts =
        spec(&format!("{}artifacts:\n  files: out/*.jar\n", build("    commands: [a]\n"))).artifacts.unwrap();
    assert_eq!(artifacts.primary.files, ["out/*.jar"]);
    let reports = spec(&format!("{}reports:\n  unit:\n    files: '**/*.xml'\n", build("    commands: [a]\n"))).reports;
    assert_eq!(reports[0].1.files, ["**/*.xml"]);
    let env = spec(&format!("env:\n  exported-variables: A\n{}", build("    commands: [a]\n"))).env;
    assert_eq!(env.exported_variables, ["A"]);
    let empty = "version: 0.2\nphases:\n  install:\n  build: {}\nartifacts:\ncache:\nreports:\nenv:\n";
    let empty = spec(empty);
    assert!(empty.phases.install.is_some() && empty.artifacts.is_none() && empty.cache.is_none());
}

#[test]
fn duplicate_keys_the_last_counts() {
    let text = "version: 0.2\nenv:\n  variables:\n    A: 1\n    B: 2\n    A: 3\nphases:\n  build:\n    commands: [a]\n    commands: \
                [b]\n";
    let parsed = read(text);
    assert_eq!(parsed.buildspec.env.variables, [("A".into(), "3".into()), ("B".into(), "2".into())]);
    assert_eq!(parsed.buildspec.phases.build.unwrap().commands[0].text, "b");
    assert_eq!(
        parsed.diagnostics.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(),
        [(Code::DuplicateKey, 6), (Code::DuplicateKey, 10)]
    );
}

#[test]
fn refused_shapes() {
    for (text, code, line) in [
        (build("    commands:\n      - - a\n"), Code::CommandNotText, 5),
        (build("    commands:\n      - [ -f x ]\n"), Code::CommandNotText, 5),
        (build("    commands:\n      a: b\n"), Code::WrongType, 5),
        (build("    - a\n"), Code::WrongType, 4),
        ("version: 0.2\nphases:\n  build: make\n".into(), Code::WrongType, 3),
        ("version: 0.2\nphases: [build]\n".into(), Code::WrongType, 2),
        ("version: 0.2\nenv:\n  variables:\n    - A: b\nphases: {build: {commands: [a]}}\n".into(), Code::WrongType, 4),
        ("version: 0.2\nenv:\n  variables:\n    A: [b]\nphases: {build: {commands: [a]}}\n".into(), Code::WrongType, 4),
        ("version: 0.2\nphases:\n  install:\n    runtime-versions: [a]\n".into(), Code::WrongType, 4),
        ("version: 0.2\nphases:\n  install:\n    runtime-versions: a\n".into(), Code::WrongType, 4),
        ("version: 0.2\nphases: {build: {commands: [a]}}\nreports:\n  r: ['**/*']\n".into(), Code::WrongType, 4),
        ("version: 2.0\nphases: {build: {commands: [a]}}\n".into(), Code::UnsupportedVersion, 1),
        ("version: 0.3\nphases: {build: {commands: [a]}}\n".into(), Code::UnsupportedVersion, 1),
        ("version: [0.2]\nphases: {build: {commands: [a]}}\n".into(), Code::WrongType, 1),
        (build("    on-failure: STOP\n    commands: [a]\n"), Code::OnFailure, 4),
        (build("    on-failure: RETRY-(\n    commands: [a]\n"), Code::OnFailure, 4),
        (format!("{}artifacts:\n  files: a\n  discard-paths: maybe\n", build("    commands: [a]\n")), Code::YesNo, 7),
        (format!("env:\n  variables:\n    'A=B': c\n{}", build("    commands: [a]\n")), Code::VariableName, 3),
        (format!("env:\n  secrets-manager:\n    A: ':k'\n{}", build("    commands: [a]\n")), Code::SecretReference, 3),
        (build("    commands: [!Sub 'a']\n"), Code::CloudFormationTag, 4),
        (build("    commands: [!x 'a']\n"), Code::YamlTag, 4),
        (format!("? [a]\n: b\n{}", build("    commands: [a]\n")), Code::YamlKey, 1),
    ] {
        let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
        assert_eq!((error.first().code, error.first().line), (code, line), "{text}\n{error:?}");
    }
}

#[test]
fn all_errors_of_shape_are_found_at_once() {
    let text = build("    commands:\n      - a: b\n      - c: d\n  foo: {}\nartifacts: [a]\n");
    let error = parse(text.as_bytes(), ParseOptions::default()).unwrap_err();
    let found: Vec<_> = error.diagnostics().iter().map(|d| (d.line, d.code)).collect();
    assert_eq!(
        found,
        [(5, Code::CommandNotText), (6, Code::CommandNotText), (7, Code::UnknownPhase), (8, Code::WrongType)]
    );
}

#[test]
fn what_is_only_warned_of() {
    let phases = "phases: {build: {commands: [a]}}\n";
    for (text, code) in [
        ("version: 0.2\nfoo: 1\n".to_owned(), Code::UnknownKey),
        ("version: 0.2\nenvironment_variables: {plaintext: {A: b}}\n".to_owned(), Code::UnknownKey),
        ("version: 0.2\ncache: {directories: [x]}\n".to_owned(), Code::UnknownKey),
        ("version: 0.2\nreports: {r: {files: x, file-format: SARIFZIP}}\n".to_owned(), Code::ReportFormat),
        ("version: 0.2\nreports: {r: {}}\n".to_owned(), Code::MissingFiles),
        ("version: 0.2\nartifacts: {secondary-artifacts: {a: {files: x}}}\n".to_owned(), Code::MissingFiles),
        ("version: 0.2\ncache: {fallback-keys: [x]}\n".to_owned(), Code::CacheKeys),
        ("version: 0.2\ncache: {key: k, fallback-keys: [a, b, c, d, e, f]}\n".to_owned(), Code::CacheKeys),
        ("version: 0.2\ncache: {action: both}\n".to_owned(), Code::CacheAction),
        ("version: 0.2\nenv: {variables: {CODEBUILD_X: 1}}\n".to_owned(), Code::ReservedVariable),
        ("version: 0.2\nenv: {variables: {a-b: 1}}\n".to_owned(), Code::VariableName),
        ("version: 0.2\nenv: {variables: {A: 1}, parameter-store: {A: /x}}\n".to_owned(), Code::VariableTwice),
        ("version: 0.2\nbatch: {build-list: x}\n".to_owned(), Code::WrongType),
        ("version: 0.2\nbatch: {build-list: [{identifier: a-b}]}\n".to_owned(), Code::BatchIdentifier),
    ] {
        assert_eq!(codes(&format!("{text}{phases}")), [code], "{text}");
    }
    let cache =
        spec(&format!("version: 0.2\ncache: {{key: k, fallback-keys: [a, b, c, d, e, f]}}\n{phases}")).cache.unwrap();
    assert_eq!(cache.fallback_keys.len(), 5);
}

#[test]
fn version_0_1() {
    let text = "version: 0.1\nenvironment_variables:\n  plaintext:\n    A: b\n  parameter-store:\n    P: /p\nphases:\n  build:\n    \
                commands: [a]\nartifacts:\n  type: zip\n  files: [x]\n";
    let spec = spec(text);
    assert_eq!(spec.version, Version::V0_1);
    assert_eq!(spec.env.variables, [("A".into(), "b".into())]);
    assert_eq!(spec.env.parameter_store, [("P".into(), "/p".into())]);
}

#[test]
fn every_way_to_write_the_version() {
    for (text, version) in [
        ("0.2", Version::V0_2),
        ("'0.2'", Version::V0_2),
        ("\"0.2\"", Version::V0_2),
        ("0.20", Version::V0_2),
        ("!!str 0.2", Version::V0_2),
        ("0.1", Version::V0_1),
    ] {
        let text = format!("version: {text}\nphases: {{build: {{commands: [a]}}}}\n");
        assert_eq!(spec(&text).version, version);
        assert!(read(&text).diagnostics.is_empty());
    }
}

// 3.4: traps for a parser.

#[test]
fn tabs_where_libyaml_takes_them() {
    let json = "{\t\n\t\"version\"\t:\t0.2,\n\t\"phases\": {\n\t\t\"build\": {\t\"commands\": [\t\"a\",\n\t\t\t\"b\"\t]\n\t\t}\n\t}\n}\n";
    assert_eq!(commands(json), ["a", "b"]);
    assert_eq!(commands("version: 0.2\t\nphases:\t\n  build:\t\n    commands:\t# c\n      - a\t\n"), ["a"]);
}

#[test]
fn encodings_line_ends_and_markers() {
    let text = build("    commands:\n      - echo 'é 🎉'\n      - |\n        a\n        b\n");
    let expected = ["echo 'é 🎉'", "a\nb\n"];
    let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
    let crlf = text.replace('\n', "\r\n");
    for bytes in [
        text.clone().into_bytes(),
        [b"\xef\xbb\xbf".to_vec(), text.clone().into_bytes()].concat(),
        [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
        [b"\xfe\xff".to_vec(), utf16(u16::to_be_bytes)].concat(),
        crlf.into_bytes(),
        text.replace('\n', "\r").into_bytes(),
        format!("---\n{text}").into_bytes(),
        format!("%YAML 1.1\n---\n{text}...\n").into_bytes(),
    ] {
        let spec = parse(&bytes, ParseOptions::default()).unwrap().buildspec;
        let texts: Vec<_> = spec.phases.build.unwrap().commands.into_iter().map(|c| c.text).collect();
        assert_eq!(texts, expected);
    }
}

#[test]
fn only_the_first_document_counts() {
    let parsed = read(&format!("{}---\nversion: 0.1\n", build("    commands: [a]\n")));
    assert_eq!(parsed.buildspec.version, Version::V0_2);
    assert_eq!(parsed.diagnostics.iter().map(|d| (d.code, d.line)).collect::<Vec<_>>(), [(Code::MultipleDocuments, 5)]);
    // The service's library does not look at what is behind the document either.
    assert_eq!(codes("{version: 0.2, phases: {build: {commands: [a]}}}}\n"), [Code::MultipleDocuments]);
}

#[test]
fn a_block_at_the_end_without_line_break() {
    assert_eq!(commands(&build("    commands:\n      - |\n        a\n        b")), ["a\nb"]);
    assert_eq!(commands(&build("    commands:\n      - >-\n        a\n        b")), ["a b"]);
}

#[test]
fn raw_text_is_kept() {
    let text = "version: 0.2\nenv:\n  variables:\n    A: 1.10\n    B: yes\n    C: 010\n    D: 1e3\n    E: null\n    F: ~\n    G:\n    H: \
                0x1F\n    I: 2024-01-01\n    J: 1_000\n    K: .5\n    L: 'null'\n    M: true\n    N: +1\n    O: 12:30:45\nphases:\n  \
                install:\n    runtime-versions:\n      python: 3.10\n      nodejs: 20\n      java: corretto17\n      dotnet: 6.0\n      \
                golang: $GO\n      ruby: 3.x\n    commands: [a]\n";
    let spec = spec(text);
    let values: Vec<_> = spec.env.variables.iter().map(|(_, v)| v.as_str()).collect();
    assert_eq!(
        values,
        [
            "1.10",
            "yes",
            "010",
            "1e3",
            "",
            "",
            "",
            "0x1F",
            "2024-01-01",
            "1_000",
            ".5",
            "null",
            "true",
            "+1",
            "12:30:45"
        ]
    );
    let versions: Vec<_> =
        spec.phases.install.as_ref().unwrap().runtime_versions.iter().map(|(_, v)| v.as_str()).collect();
    assert_eq!(versions, ["3.10", "20", "corretto17", "6.0", "$GO", "3.x"]);
}

#[test]
fn switches_in_every_spelling() {
    for (text, expected) in
        [("yes", true), ("no", false), ("true", true), ("false", false), ("'yes'", true), ("On", true), ("", false)]
    {
        let text = format!("env:\n  git-credential-helper: {text}\n{}", build("    commands: [a]\n"));
        assert_eq!(spec(&text).env.git_credential_helper, expected, "{text}");
    }
}

#[test]
fn anchors_and_merge_keys() {
    let text = "version: 0.2\nx-defaults: &d\n  on-failure: ABORT\n  commands: &c [a, b]\nphases:\n  pre_build:\n    <<: *d\n    commands: \
                [x]\n  build:\n    commands: *c\n  post_build:\n    <<: [*d, {run-as: me, on-failure: CONTINUE}]\n";
    let parsed = read(text);
    assert_eq!(parsed.diagnostics, []);
    let phases = parsed.buildspec.phases;
    let pre = phases.pre_build.unwrap();
    assert_eq!((pre.on_failure, pre.commands[0].text.as_str(), pre.commands.len()), (Some(OnFailure::Abort), "x", 1));
    assert_eq!(phases.build.unwrap().commands.len(), 2);
    let post = phases.post_build.unwrap();
    assert_eq!((post.on_failure, post.run_as.as_deref()), (Some(OnFailure::Abort), Some("me")));
    assert_eq!(message("a: &x {b: c}\n<<: 1\n"), "map merge requires map or sequence of maps as the value");
}

#[test]
fn placeholders_and_phases_out_of_order() {
    let text = "version: 0.2\nphases:\n  post_build:\n    commands:\n      - echo ${AWS::Region} {{ x }} $(y)\n  install:\n    commands: \
                [a]\n";
    let spec = spec(text);
    assert_eq!(spec.phases.post_build.as_ref().unwrap().commands[0].text, "echo ${AWS::Region} {{ x }} $(y)");
    assert_eq!(spec.phases.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>(), ["INSTALL", "POST_BUILD"]);
    let error = parse(build("    commands:\n      - {{ x }}\n").as_bytes(), ParseOptions::default()).unwrap_err();
    assert_eq!((error.first().code, error.first().line), (Code::YamlKey, 5));
}

#[test]
fn commands_know_their_line() {
    let text = build(
        "    commands:\n      - a\n\n      # c\n      - |\n        b\n        c\n      - d\n    finally:\n      - e\n",
    );
    let phase = spec(&text).phases.build.unwrap();
    let line = |text: &str, line| Command { text: text.to_owned(), line };
    assert_eq!(phase.commands, [line("a", 5), line("b\nc\n", 8), line("d", 11)]);
    assert_eq!(phase.finally, [line("e", 13)]);
}

#[test]
fn every_key_of_the_reference() {
    let text = include_str!("complete.yml");
    let parsed = read(text);
    assert_eq!(parsed.diagnostics, []);
    let json = serde_json::to_value(&parsed.buildspec).unwrap();
    let expected: serde_json::Value = serde_json::from_str(include_str!("complete.json")).unwrap();
    assert_eq!(json, expected, "{json:#}");
    let again: Buildspec = serde_json::from_value(json).unwrap();
    assert_eq!(again, parsed.buildspec);
}
