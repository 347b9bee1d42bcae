//! What `kiln lint` prints, and the JSON Schema.

use std::path::Path;

use kiln_buildspec::{Code, Format, lint, parse, render, render_diagnostic, schema, schema_text};
use serde_json::Value;

const BROKEN: &str = "version: 0.2\nphases:\n  build:\n    commands:\n\t- a\n";
const MIXED: &str = "version: 0.2\nphases:\n  build:\n    comands: [a]\n    commands:\n      - echo é: b\n";

fn printed(format: Format, color: bool) -> String {
    let (broken, mixed) = (lint(BROKEN.as_bytes()), lint(MIXED.as_bytes()));
    let fine = "version: 0.2\nphases: {build: {commands: [a]}}\n";
    let files = [
        ("ci/broken.yml", BROKEN.as_bytes(), broken.as_slice()),
        ("mixed.yml", MIXED.as_bytes(), mixed.as_slice()),
        ("fine.yml", fine.as_bytes(), &[]),
    ];
    render(format, &files, color)
}

#[test]
fn text() {
    let expected = "\
ci/broken.yml:5:1: error: found character that cannot start any token while scanning for the next token [yaml-syntax]
    5 |     - a
      | ^^^^
      = hint: indent with spaces: YAML allows no tabs there
      = CodeBuild says: found character that cannot start any token at line 4

mixed.yml:4:5: warning: the key 'comands' means nothing in a phase and is ignored [unknown-key]
    4 |     comands: [a]
      |     ^^^^^^^
      = hint: did you mean `commands`?

mixed.yml:6:15: error: `phases/build/commands[0]` is read as a mapping, not as a command, because of this colon \
[command-not-text]
    6 |       - echo é: b
      |               ^
      = hint: quote the whole command: - 'echo é: b'
      = CodeBuild says: Expected Commands[0] to be of string type: found subkeys instead at line 6, value of the key tag on \
line 5 might be empty

3 files checked: 2 errors, 1 warning, 0 hints
";
    assert_eq!(printed(Format::Text, false), expected);
    let fine = render(Format::Text, &[("a", b"", &[])], false);
    assert_eq!(fine, "1 file checked, nothing found\n");
}

#[test]
fn colour_only_adds_escapes() {
    let colored = printed(Format::Text, true);
    assert!(colored.contains("\x1b[1;31merror:\x1b[0m"));
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, printed(Format::Text, false));
}

#[test]
fn nothing_of_the_file_reaches_the_terminal_unescaped() {
    let text = "version: 0.2\n\"\\e]0;x\\a\u{202e}\": 1\n\u{200b}b\u{202e}: 2\nphases: {\"\\e[2J\": {}}\n";
    let found = lint(text.as_bytes());
    assert!(found.len() >= 3);
    let out = render(Format::Text, &[("a\x1b[31m.yml", text.as_bytes(), &found)], false);
    assert!(!out.contains(['\x1b', '\x07', '\u{202e}', '\u{200b}']), "{out:?}");
    let error = parse(text.as_bytes(), Default::default()).unwrap_err();
    assert!(!error.to_string().contains('\x1b'));
    let shown = render_diagnostic("a", &kiln_buildspec::SourceText::lossy(text.as_bytes()), error.first(), false);
    assert!(shown.contains("\\u{1b}[2J"), "{shown}");
}

#[test]
fn json() {
    let value: Value = serde_json::from_str(&printed(Format::Json, true)).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!(value["summary"], serde_json::json!({ "errors": 2, "warnings": 1, "hints": 0 }));
    assert_eq!(value["files"][2], serde_json::json!({ "path": "fine.yml", "diagnostics": [] }));
    assert_eq!(
        value["files"][1]["diagnostics"][0],
        serde_json::json!({
            "severity": "warning",
            "code": "unknown-key",
            "message": "the key 'comands' means nothing in a phase and is ignored",
            "line": 4, "column": 5, "endLine": 4, "endColumn": 12,
            "hint": "did you mean `commands`?",
        })
    );
    let syntax = &value["files"][0]["diagnostics"][0];
    assert_eq!(syntax["awsMessage"], "found character that cannot start any token at line 4");
    assert_eq!((&syntax["endLine"], &syntax["endColumn"]), (&syntax["line"], &syntax["column"]));
}

#[test]
fn sarif() {
    let value: Value = serde_json::from_str(&printed(Format::Sarif, false)).unwrap();
    assert_eq!(value["version"], "2.1.0");
    let run = &value["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), Code::ALL.len());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
    }
    assert_eq!(
        results[1]["locations"][0]["physicalLocation"],
        serde_json::json!({
            "artifactLocation": { "uri": "mixed.yml" },
            "region": { "startLine": 4, "startColumn": 5, "endLine": 4, "endColumn": 12 },
        })
    );
    assert_eq!(results[1]["level"], "warning");
}

#[test]
fn codes_are_unique_and_kebab_case() {
    let names: std::collections::HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        let name = code.as_str();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)), "{name}");
        assert_eq!(serde_json::to_value(code).unwrap(), name);
    }
}

/// `KILN_TEST_UPDATE=1 cargo test -p kiln-buildspec --test output` writes the file anew.
#[test]
fn the_schema_in_docs_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/buildspec.schema.json");
    if std::env::var_os("KILN_TEST_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, schema_text()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == schema_text(),
        "docs/buildspec.schema.json is out of date: run KILN_TEST_UPDATE=1 cargo test -p kiln-buildspec --test output, or \
         kiln lint --schema > docs/buildspec.schema.json"
    );
}

#[test]
fn the_references_of_the_schema_resolve() {
    fn visit(value: &Value, root: &Value) -> usize {
        let inner: usize = match value {
            Value::Object(map) => map.values().map(|v| visit(v, root)).sum(),
            Value::Array(list) => list.iter().map(|v| visit(v, root)).sum(),
            _ => 0,
        };
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return inner };
        let pointer = reference.strip_prefix('#').expect("a local reference");
        assert!(root.pointer(pointer).is_some(), "{reference}");
        inner + 1
    }
    let schema = schema();
    assert!(visit(&schema, &schema) > 15);
    assert!(schema["$defs"]["artifacts"]["properties"]["secondary-artifacts"]["description"].is_string());
}
