//! Comparison with `libyaml-safer`, a port of libyaml, and the budgets.

use proptest::prelude::*;

use super::*;

/// A document as one line: what the comparison looks at.
fn outline(document: &Document, id: NodeId, out: &mut String) {
    let node = document.node(id);
    if let Some(tag) = &node.tag {
        out.push_str(&format!("<{tag}>"));
    }
    match &node.kind {
        Kind::Scalar { text, style } => out.push_str(&format!("{text:?}{style:?}")),
        Kind::Sequence(items) => {
            out.push('[');
            for item in items {
                outline(document, *item, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::Mapping(entries) => {
            out.push('{');
            for (key, value) in entries {
                outline(document, *key, out);
                out.push(':');
                outline(document, *value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

#[derive(Debug, PartialEq)]
enum Reading {
    Document(String),
    Refused {
        problem: String,
        line: u64,
    },
    /// Only one of the two implementations has an opinion.
    NoMatter,
}

fn ours(text: &str) -> Reading {
    let source = SourceText::decode(text.as_bytes()).unwrap();
    match compose::compose(&source, &mut Findings::default()) {
        Ok(document) => {
            let mut out = String::new();
            if let Some(root) = document.root() {
                outline(&document, root, &mut out);
            }
            Reading::Document(out)
        }
        Err(Fault::Syntax { problem, at, .. }) => {
            Reading::Refused { problem: problem.to_owned(), line: u64::from(at.line) - 1 }
        }
        Err(Fault::Other(_)) => Reading::NoMatter,
    }
}

/// The same from the events of `libyaml-safer`; it keeps aliases and duplicate keys, so texts with them do not matter.
fn theirs(text: &str) -> Reading {
    use libyaml_safer::{EventData, ScalarStyle};
    let mut input = text.strip_prefix('\u{feff}').unwrap_or(text).as_bytes();
    let mut parser = libyaml_safer::Parser::new();
    parser.set_encoding(libyaml_safer::Encoding::Utf8);
    parser.set_input(&mut input);
    let mut out = String::new();
    // Open collections: closing bracket, and for a mapping whether a key comes next, and the keys so far.
    let mut open: Vec<(char, bool, Vec<String>)> = Vec::new();
    loop {
        let event = match parser.parse() {
            Ok(event) => event,
            Err(error) => {
                let line = error.problem_mark().map_or(0, |mark| mark.line);
                return Reading::Refused { problem: error.problem().to_owned(), line };
            }
        };
        let before = out.len();
        let tagged = |out: &mut String, tag: Option<String>| out.extend(tag.map(|tag| format!("<{tag}>")));
        match event.data {
            EventData::Alias { .. } => return Reading::NoMatter,
            EventData::DocumentEnd { .. } | EventData::StreamEnd => return Reading::Document(out),
            EventData::Scalar { tag, value, style, .. } => {
                tagged(&mut out, tag);
                if value == "<<" {
                    return Reading::NoMatter;
                }
                let style = match style {
                    ScalarStyle::SingleQuoted => Style::SingleQuoted,
                    ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                    _ => Style::Plain,
                };
                out.push_str(&format!("{value:?}{style:?}"));
                if let Some(('}', true, keys)) = open.last_mut() {
                    if keys.contains(&value) {
                        return Reading::NoMatter;
                    }
                    keys.push(value);
                }
            }
            EventData::SequenceStart { .. } | EventData::MappingStart { .. }
                if matches!(open.last(), Some(('}', true, _))) =>
            {
                return Reading::NoMatter;
            }
            EventData::SequenceStart { tag, .. } => {
                tagged(&mut out, tag);
                out.push('[');
                open.push((']', false, Vec::new()));
                continue;
            }
            EventData::MappingStart { tag, .. } => {
                tagged(&mut out, tag);
                out.push('{');
                open.push(('}', true, Vec::new()));
                continue;
            }
            EventData::SequenceEnd | EventData::MappingEnd => {
                let (close, ..) = open.pop().unwrap();
                out.push(close);
            }
            _ => {}
        }
        if out.len() > before {
            match open.last_mut() {
                Some((']', ..)) => out.push(','),
                Some((_, key_next, _)) => {
                    out.push(if *key_next { ':' } else { ',' });
                    *key_next = !*key_next;
                }
                None => {}
            }
        }
    }
}

/// The texts on which `libyaml-safer` 0.3.0 panics: no line break at the end, and a tag followed by a comma.
fn comparable(text: &str) -> bool {
    let tag_then_comma = text.match_indices('!').any(|(at, _)| {
        text[at..].find(',').is_some_and(|comma| !text[at..at + comma].contains([' ', '\n', '\t', '\r']))
    });
    !tag_then_comma && text.ends_with('\n')
}

fn compare(text: &str) {
    if !comparable(text) {
        return;
    }
    let (ours, theirs) = (ours(text), theirs(text));
    if ours != Reading::NoMatter && theirs != Reading::NoMatter {
        assert_eq!(ours, theirs, "{text:?}");
    }
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n"),
        Just("\n  "),
        Just("\n    "),
        Just("\n\n"),
        Just(" "),
        Just("  "),
        Just("\t"),
        Just("\r\n"),
        Just("- "),
        Just("-\n"),
        Just("? "),
        Just(": "),
        Just(":"),
        Just(":\n  "),
        Just(", "),
        Just(","),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("#"),
        Just(" # c"),
        Just("|\n"),
        Just("|-\n"),
        Just("|+\n"),
        Just(">\n"),
        Just(">-\n"),
        Just("|2\n"),
        Just("'"),
        Just("\""),
        Just("''"),
        Just("\\\""),
        Just("\\n"),
        Just("\\\n"),
        Just("\\u00e9"),
        Just("\\x"),
        Just("!"),
        Just("!!str "),
        Just("!a "),
        Just("&a "),
        Just("*a"),
        Just("%"),
        Just("%YAML 1.1\n---\n"),
        Just("---\n"),
        Just("--- "),
        Just("...\n"),
        Just("@"),
        Just("`"),
        Just("a"),
        Just("b: c"),
        Just("key:\n"),
        Just("version: 0.2\n"),
        Just("phases:\n"),
        Just("é"),
        Just("\u{2028}"),
        Just("\u{85}"),
        Just("\u{feff}"),
        Just("~"),
        Just("a b"),
        Just("\n- "),
        Just("\na: "),
        Just("\n  b: "),
        Just("\n  - "),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn reads_what_libyaml_reads(parts in proptest::collection::vec(fragment(), 0..24)) {
        let mut text = parts.concat();
        text.push('\n');
        compare(&text);
    }
}

#[test]
fn texts_that_stop_other_parsers() {
    for (text, expected) in [
        ("a: |\n  b", "{\"a\"Plain:\"b\"Literal,}"),
        ("a: >\n  b", "{\"a\"Plain:\"b\"Folded,}"),
        ("a: |2\n    b", "{\"a\"Plain:\"  b\"Literal,}"),
        ("[!t,a]", "[<!t>\"\"Plain,\"a\"Plain,]"),
        ("- |", "[\"\"Literal,]"),
    ] {
        assert_eq!(ours(text), Reading::Document(expected.to_owned()), "{text:?}");
    }
    let unknown_escape = Reading::Refused { problem: "found unknown escape character".to_owned(), line: 0 };
    assert_eq!(ours("a: \"\\"), unknown_escape);
}
