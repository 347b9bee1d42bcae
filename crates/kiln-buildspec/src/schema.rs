//! The JSON Schema for editors, made from the key table.

use serde_json::{Map, Value, json};

use crate::keys::{self, Section, Shape};

/// The JSON Schema (draft 2020-12) of a buildspec, for editors: completion, descriptions, unknown keys.
///
/// It is stricter than [`crate::parse()`]: what is accepted with a warning (unknown keys, a single string for a list) is
/// marked where the schema can say so. `docs/buildspec.schema.json` holds its text; see [`schema_text`].
#[must_use]
pub fn schema() -> Value {
    let definitions: Map<String, Value> = keys::ALL
        .iter()
        .filter(|section| section.name != keys::ROOT.name)
        .map(|section| (section.name.to_owned(), section_schema(section)))
        .collect();
    let mut root = section_schema(&keys::ROOT);
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("title".to_owned(), json!("AWS CodeBuild buildspec, as Kiln reads it"));
        // A file that only lists the builds of a batch has no phases.
        root.insert("required".to_owned(), json!(["version"]));
        root.insert("anyOf".to_owned(), json!([{ "required": ["phases"] }, { "required": ["batch"] }]));
        root.insert("patternProperties".to_owned(), json!({ "^(x-|\\.)": true }));
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

/// The schema as it stands in `docs/buildspec.schema.json`: indented, with a line break at the end.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

fn section_schema(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| {
            let mut schema = shape_schema(key.shape);
            if let Value::Object(schema) = &mut schema {
                schema.insert("description".to_owned(), json!(key.doc));
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": section.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if let Value::Object(schema) = &mut schema {
        if !required.is_empty() {
            schema.insert("required".to_owned(), json!(required));
        }
        if section.name == keys::BATCH.name {
            let kinds = ["build-list", "build-graph", "build-matrix", "build-fanout"];
            schema.insert("oneOf".to_owned(), kinds.iter().map(|kind| json!({ "required": [kind] })).collect());
        }
    }
    schema
}

fn reference(section: &Section) -> Value {
    json!({ "$ref": format!("#/$defs/{}", section.name) })
}

fn shape_schema(shape: Shape) -> Value {
    // Scalars keep the text that is written, whatever YAML would make of it.
    let scalar = json!(["string", "number", "boolean"]);
    let scalar_or_null = json!(["string", "number", "boolean", "null"]);
    match shape {
        Shape::Text => json!({ "type": scalar }),
        Shape::Words(words) => {
            let any_case = words.iter().map(|word| pattern(word)).collect::<Vec<_>>().join("|");
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": format!("^({any_case})$") }] })
        }
        Shape::Version => json!({ "enum": [0.2, 0.1, "0.2", "0.1"], "default": 0.2 }),
        Shape::Switch => json!({ "enum": [true, false, "yes", "no"] }),
        Shape::Texts => json!({ "anyOf": [{ "type": "array", "items": { "type": scalar } }, { "type": scalar }] }),
        Shape::Commands => {
            json!({ "anyOf": [{ "type": "array", "items": { "type": scalar_or_null } }, { "type": scalar_or_null }] })
        }
        Shape::TextMap => json!({ "type": ["object", "null"], "additionalProperties": { "type": scalar_or_null } }),
        Shape::TextsMap => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": "array", "items": { "type": scalar } }, { "type": scalar }] },
        }),
        Shape::OnFailure => json!({
            "type": "string",
            "anyOf": [
                { "enum": ["ABORT", "CONTINUE", "RETRY"] },
                { "pattern": format!("^({}|{}|{}(-.+)?)$", pattern("ABORT"), pattern("CONTINUE"), pattern("RETRY")) },
            ],
        }),
        Shape::Count => json!({ "type": "integer", "minimum": 1 }),
        Shape::Section(section) => reference(section),
        Shape::Named(section) => json!({ "type": "object", "additionalProperties": reference(section) }),
        Shape::Items(section) => json!({ "type": "array", "minItems": 1, "items": reference(section) }),
    }
}

/// A regular expression for a word in any case; JSON Schema has no flag for that.
fn pattern(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            c if c.is_ascii_alphabetic() => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
            '.' | '/' => format!("\\{c}"),
            c => c.to_string(),
        })
        .collect()
}
