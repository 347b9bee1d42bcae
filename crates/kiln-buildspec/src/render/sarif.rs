//! SARIF 2.1.0 (OASIS standard "Static Analysis Results Interchange Format").

use serde_json::{Value, json};

use super::Checked;
use crate::diagnostic::{Code, Diagnostic, Severity};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn report(files: &[Checked<'_>]) -> Value {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| json!({ "id": code.as_str(), "shortDescription": { "text": code.summary() } }))
        .collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|(path, _, diagnostics)| diagnostics.iter().map(|diagnostic| result(path, diagnostic)))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "kiln lint", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            // Columns are counted in characters, not in UTF-16 units.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(path: &str, diagnostic: &Diagnostic) -> Value {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "note",
    };
    let mut text = diagnostic.message.clone();
    if let Some(hint) = &diagnostic.hint {
        text.push_str(". ");
        text.push_str(hint);
    }
    let mut region = json!({ "startLine": diagnostic.line, "startColumn": diagnostic.column });
    if let (Some(end), Value::Object(region)) = (diagnostic.end, &mut region) {
        region.insert("endLine".to_owned(), json!(end.line));
        region.insert("endColumn".to_owned(), json!(end.column));
    }
    json!({
        "ruleId": diagnostic.code,
        "ruleIndex": Code::ALL.iter().position(|code| *code == diagnostic.code),
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri(path) }, "region": region },
        }],
    })
}

/// A path as a relative or `file:` URI reference.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        // The characters that a path of a URI holds as they are; a colon could be read as a scheme.
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("ci/build spec.yml"), "ci/build%20spec.yml");
        assert_eq!(uri("/a/é:b"), "file:///a/%C3%A9%3Ab");
    }
}
