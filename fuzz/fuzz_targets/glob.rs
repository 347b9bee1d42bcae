//! A pattern and a path, separated by NUL: no panic, bounded states, and a path in parts matches as the whole does.
#![no_main]

use kiln_agent::glob::Pattern;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let pattern = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let path = parts.next().unwrap_or_default();
    let Ok(pattern) = Pattern::new(&pattern) else { return };
    assert!(pattern.size() <= 3 * input.len() + 2);
    let (head, tail) = path.split_at(path.len() / 2);
    let whole = pattern.advance(&pattern.start(), path);
    if cut_is_clean(head, tail) {
        assert_eq!(pattern.advance(&pattern.advance(&pattern.start(), head), tail), whole);
    }
    std::hint::black_box(pattern.matches(path));
});

/// True when the cut is not within a character.
fn cut_is_clean(head: &[u8], tail: &[u8]) -> bool {
    let whole = [head, tail].concat();
    let count =
        |bytes: &[u8]| bytes.utf8_chunks().map(|c| c.valid().chars().count() + c.invalid().len()).sum::<usize>();
    count(head) + count(tail) == count(&whole)
}
