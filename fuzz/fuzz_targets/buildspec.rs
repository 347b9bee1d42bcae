//! Any bytes as a buildspec: no panic, bounded output, places inside of the text, a model that survives serialisation.
#![no_main]

use kiln_buildspec::{Format, ParseOptions, SourceText, lint, parse, render, render_excerpt};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for batch in [false, true] {
        if let Ok(parsed) = parse(text, ParseOptions { batch }) {
            let json = serde_json::to_vec(&parsed.buildspec).expect("a buildspec is JSON");
            assert_eq!(parsed.buildspec, serde_json::from_slice(&json).expect("and comes back"));
        }
    }
    let source = SourceText::lossy(text);
    let found = lint(text);
    assert!(found.len() <= 3_000);
    for diagnostic in &found {
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
        assert!(render_excerpt(&source, diagnostic, false).contains('^'), "{diagnostic:?}");
    }
    for format in [Format::Text, Format::Json, Format::Sarif] {
        let out = render(format, &[("f", text, &found)], false);
        assert!(!out.contains(|c: char| c.is_control() && c != '\n'));
    }
});
