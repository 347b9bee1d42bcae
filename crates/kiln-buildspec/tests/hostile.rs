//! Hostile and broken texts: refused with a diagnostic, within bounds, never with a panic (fault test 25 of
//! `reliability.md`, `security.md` 5.5). Asserted by structure: which limit refuses, and how much comes out.

use kiln_buildspec::{
    Buildspec, BuildspecError, Code, Format, MAX_BYTES, ParseOptions, SourceText, lint, parse, render, render_excerpt,
};
use proptest::prelude::*;

fn refusal(text: impl AsRef<[u8]>) -> BuildspecError {
    parse(text.as_ref(), ParseOptions::default()).expect_err("refused")
}

fn code(text: impl AsRef<[u8]>) -> Code {
    refusal(text).first().code
}

/// Reads in every way and checks what must hold for any text.
fn exercise(text: &[u8]) {
    let source = SourceText::lossy(text);
    for options in [ParseOptions::default(), ParseOptions { batch: true }] {
        match parse(text, options) {
            Ok(parsed) => {
                assert!(parsed.diagnostics.iter().all(|d| d.severity != kiln_buildspec::Severity::Error));
                let json = serde_json::to_string(&parsed.buildspec).expect("JSON");
                let again: Buildspec = serde_json::from_str(&json).expect("the same");
                assert_eq!(again, parsed.buildspec);
                assert!(parsed.warning_lines().len() < 200_000);
            }
            Err(error) => {
                assert!(error.diagnostics().contains(error.first()));
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let found = lint(text);
    assert!(found.len() <= 3000);
    for diagnostic in &found {
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1, "{diagnostic:?}");
        assert!(usize::try_from(diagnostic.line).expect("a line") <= source.line_count(), "{diagnostic:?}");
        if let Some(end) = diagnostic.end {
            assert!(end > diagnostic.start(), "{diagnostic:?}");
        }
        let excerpt = render_excerpt(&source, diagnostic, false);
        assert_eq!(excerpt.lines().count(), 2, "{excerpt:?}");
        assert!(excerpt.contains('^'));
        let told = [Some(&diagnostic.message), diagnostic.hint.as_ref(), diagnostic.aws_message.as_ref()];
        for text in told.into_iter().flatten() {
            assert!(text.len() < 4000 && !text.contains(char::is_control), "{diagnostic:?}");
        }
    }
    for format in [Format::Text, Format::Json, Format::Sarif] {
        let out = render(format, &[("f", text, &found)], false);
        assert!(!out.contains(|c: char| c.is_control() && c != '\n'), "{out:?}");
    }
}

#[test]
fn billion_laughs() {
    let mut text = "version: 0.2\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert_eq!(code(&text), Code::YamlTooBig);
    exercise(text.as_bytes());
    // As long text instead of many items.
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 100].join(", "));
    assert_eq!(code(&long), Code::YamlTooBig);
}

#[test]
fn merge_bombs() {
    let keys: String = (0..20_000).map(|i| format!("k{i}: v, ")).collect();
    let uses: String = (0..1_000).map(|i| format!("m{i}: {{<<: *b}}\n")).collect();
    assert_eq!(code(format!("version: 0.2\nbase: &b {{{keys}}}\n{uses}")), Code::YamlTooBig);
    // The keys are known already, so nothing would be added; looking at them again and again costs all the same.
    let again = format!("version: 0.2\nbase: &b {{{keys}}}\nm: {{<<: [{}]}}\n", vec!["*b"; 500].join(", "));
    assert_eq!(code(again), Code::YamlTooBig);
}

#[test]
fn deep_nesting() {
    for open in ["[", "{a: ", "- ", "? ", "[? ", "- - ", "{? "] {
        let text = open.repeat(200_000 / open.len());
        assert_eq!(code(&text), Code::YamlTooDeep, "{open:?}");
        exercise(text.as_bytes());
    }
    let blocks: String = (0..400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert_eq!(code(blocks), Code::YamlTooDeep);
    let fits =
        format!("version: 0.2\nx-a: {}{}\nphases: {{build: {{commands: [a]}}}}\n", "[".repeat(90), "]".repeat(90));
    assert!(parse(fits.as_bytes(), ParseOptions::default()).is_ok());
}

#[test]
fn recursion_by_alias() {
    for text in
        ["a: &a [*a]\n", "&a {b: *a}\n", "a: &a\n  <<: *a\n", "a: &a {b: {c: [*a]}}\n", "&a *a\n", "a: &a\n  - &a *a\n"]
    {
        assert!(matches!(code(text), Code::YamlAlias | Code::YamlSyntax | Code::NotABuildspec), "{text}");
        exercise(text.as_bytes());
    }
    assert_eq!(code("a: &a [*a]\n"), Code::YamlAlias);
}

#[test]
fn huge_scalars_and_keys() {
    let key = "k".repeat(MAX_BYTES - 100);
    for text in [
        format!("{key}: x\n"),
        format!("version: 0.2\nphases: {{{key}: {{}}}}\n"),
        format!("version: 0.2\n? {key}\n: x\n"),
        format!("version: 0.2\n? {key}\n: x\nphases: {{build: {{commands: [a]}}}}\n"),
        format!("a: \"{key}\"\n"),
        format!("a: \"{key}\n"),
        format!("a: *{key}\n"),
        format!("a: !{key} x\n"),
        format!("version: 0.2\nphases: {{build: {{on-failure: {key}, commands: [a]}}}}\n"),
        format!("version: {key}\n"),
    ] {
        exercise(text.as_bytes());
    }
    let command = format!("version: 0.2\nphases:\n  build:\n    commands:\n      - {key}\n");
    let parsed = parse(command.as_bytes(), ParseOptions::default()).expect("a long command");
    assert_eq!(parsed.buildspec.phases.build.expect("a phase").commands[0].text, key);
}

#[test]
fn many_values() {
    for text in [
        format!("[{}]", "a,".repeat(MAX_BYTES / 2 - 2)),
        "a: b\n".repeat(MAX_BYTES / 5),
        (0..90_000).map(|i| format!("k{i}: 1\n")).collect(),
        "- - - a\n".repeat(100_000),
        "{}\n".repeat(100_000),
    ] {
        let code = code(&text);
        assert!(matches!(code, Code::YamlTooBig | Code::YamlSyntax | Code::NotABuildspec), "{code}");
    }
    let directives: String = (0..40_000).map(|i| format!("%TAG !a{i}! b\n")).collect();
    assert_eq!(code(directives), Code::YamlTooBig);
}

#[test]
fn too_large() {
    assert_eq!(code(vec![b'#'; MAX_BYTES + 1]), Code::TooLarge);
    let spec = "version: 0.2\nphases: {build: {commands: [a]}}\n";
    let full = format!("{spec}{}", "#".repeat(MAX_BYTES - spec.len()));
    assert_eq!(full.len(), MAX_BYTES);
    assert!(parse(full.as_bytes(), ParseOptions::default()).is_ok());
}

#[test]
fn diagnostics_are_bounded() {
    let commands = "      - ./server &\n".repeat(40_000);
    exercise(format!("version: 0.2\nphases:\n  build:\n    commands:\n{commands}").as_bytes());
    let colons = "      - a: b\n".repeat(12_000);
    let text = format!("version: 0.2\nphases:\n  build:\n    commands:\n{colons}");
    assert_eq!(refusal(&text).diagnostics().len(), 1000);
    assert_eq!(refusal(&text).first().line, 5);
    let unknown: String = (0..20_000).map(|i| format!("kk{i}: 1\n")).collect();
    exercise(format!("version: 0.2\nphases: {{build: {{commands: [a]}}}}\n{unknown}").as_bytes());
}

#[test]
fn not_text() {
    for bytes in [
        &b"\x00"[..],
        b"\xff\xfe",
        b"\xfe\xff\xd8\x00",
        b"\xff\xfe\x00\x00",
        b"\xef\xbb\xbf\xef\xbb\xbfversion: 0.2\n",
        b"\xc0\x80",
        b"version: 0.2\n\x1b[31m\n",
        b"version: 0.2\n\x7f\n",
        b"%PDF-1.7\n%\xe2\xe3\n",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
    ] {
        assert!(parse(bytes, ParseOptions::default()).is_err());
        exercise(bytes);
    }
}

#[test]
fn shells_that_never_end() {
    for script in [
        "$(", "${", "\"$(", "`", "'", "<<a ", "<<a\n", "((", "f() ", "a & ", "a>b & ", "\\", "if ", "${a:-", "&>",
        "case ",
    ] {
        let text = serde_json::json!({
            "version": "0.2",
            "phases": { "build": { "commands": [script.repeat(40_000 / script.len()), "a"] } },
        });
        exercise(text.to_string().as_bytes());
    }
}

/// Pieces of buildspecs, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "version: 0.2\n",
        "version: ",
        "phases:\n",
        "  install:\n",
        "  build:\n",
        "    commands:\n",
        "      - echo a\n",
        "      - echo \"a: b\"\n",
        "      - |\n        a\n        b\n",
        "    finally: [x]\n",
        "    runtime-versions: {python: 3.10}\n",
        "    on-failure: RETRY-3-(\n",
        "env:\n",
        "  variables:\n",
        "    A: $B\n",
        "  secrets-manager: {A: b:c:d:e:f}\n",
        "batch:\n",
        "  build-graph:\n",
        "    - identifier: a\n",
        "      depend-on: [a, b]\n",
        "  build-matrix: {dynamic: {env: 1}}\n",
        "reports:\n",
        "artifacts:\n",
        "  files: '**/*'\n",
        "  secondary-artifacts: {a: }\n",
        "cache:\n",
        "  paths:\n",
        "\t",
        "\r\n",
        " ",
        "- ",
        ": ",
        "&a ",
        "*a",
        "<<: *a\n",
        "!Sub ",
        "!!str ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "#",
        "|\n",
        ">-\n",
        "---\n",
        "...\n",
        "\u{85}",
        "\u{2028}",
        "é",
        "🎉",
        "\u{202e}",
        "\u{feff}",
        "~",
        "null",
        "\\",
        "%TAG ! x\n",
        "? ",
        "@",
        "`",
    ];
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        exercise(text.as_bytes());
    }

    #[test]
    fn pieces_of_buildspecs(pieces in proptest::collection::vec(piece(), 0..40)) {
        exercise(pieces.concat().as_bytes());
    }

    #[test]
    fn a_buildspec_with_a_change(at in 0.0..1.0f64, length in 0usize..12, change in "[ \\t\\n:\\-\\[\\]{}'\"#&*!|>%@`,a0]{0,4}") {
        let text = include_str!("complete.yml");
        let from = (0..=text.len()).rev().find(|i| *i <= (at * text.len() as f64) as usize && text.is_char_boundary(*i)).unwrap_or(0);
        let to = (from + length).min(text.len());
        exercise(format!("{}{change}{}", &text[..from], &text[to..]).as_bytes());
    }

    #[test]
    fn raw_text_is_kept(value in "[A-Za-z0-9_./+-][A-Za-z0-9_./+-]{0,20}") {
        // A lone dash is a list's item.
        prop_assume!(value != "-");
        let text = format!("version: 0.2\nenv:\n  variables:\n    A: {value}\nphases:\n  install:\n    runtime-versions:\n      \
                            python: {value}\n    commands:\n      - {value}\n");
        let spec = parse(text.as_bytes(), ParseOptions::default()).expect("valid").buildspec;
        let null = ["null", "Null", "NULL"].contains(&value.as_str());
        let expected = if null { "" } else { &value };
        prop_assert_eq!(&spec.env.variables[0].1, expected);
        let install = spec.phases.install.expect("install");
        prop_assert_eq!(&install.commands[0].text, expected);
        if !null {
            prop_assert_eq!(&install.runtime_versions[0].1, &value);
        }
    }

    /// What is written as JSON comes back as it was, whatever the text.
    #[test]
    fn texts_survive(values in proptest::collection::vec("\\PC{0,40}|[ -~\\n\\t]{0,60}", 1..8)) {
        let text = serde_json::json!({
            "version": 0.2,
            "env": { "variables": { "A": values[0] } },
            "phases": { "build": { "commands": values } },
        });
        let spec = parse(text.to_string().as_bytes(), ParseOptions::default()).expect("valid").buildspec;
        prop_assert_eq!(&spec.env.variables[0].1, &values[0]);
        let commands: Vec<_> = spec.phases.build.expect("build").commands.into_iter().map(|c| c.text).collect();
        prop_assert_eq!(commands, values);
    }
}
