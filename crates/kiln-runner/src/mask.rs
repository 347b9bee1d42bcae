//! Hides secrets in everything that leaves a build (`security.md` 5.1).
//!
//! A guard against accidents, not a boundary: a build that wants to print a secret in a form of its own can.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{Engine as _, engine::general_purpose};
use memchr::memmem;

/// What stands in place of a secret.
pub(crate) const REPLACEMENT: &[u8] = b"***";

/// Shorter values are not masked: they would destroy the log (`security.md` 5.1).
const SHORTEST: usize = 4;
/// Values that are too common to mask.
const COMMON: [&str; 6] = ["true", "false", "null", "none", "test", "root"];
/// `AKIA` or `ASIA` and 16 characters.
const ACCESS_KEY_LENGTH: usize = 20;

/// Finds secrets and AWS access key ids in streams of bytes.
#[derive(Debug)]
pub(crate) struct Masker {
    /// Sorted: the tail of a stream is compared with them by binary search.
    patterns: Vec<Vec<u8>>,
    automaton: Option<AhoCorasick>,
    longest: usize,
    first_bytes: [bool; 256],
    akia: memmem::Finder<'static>,
    asia: memmem::Finder<'static>,
}

/// The end of a stream that may be the start of a secret, held back until more is known.
#[derive(Debug, Default)]
pub(crate) struct Held(Vec<u8>);

impl Held {
    /// True when nothing is held back.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Masker {
    fn default() -> Self {
        Self::new(std::iter::empty::<&str>())
    }
}

impl Masker {
    /// A masker for the given secret values, in all the forms in which tools print them.
    pub(crate) fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            add_secret(secret.as_ref(), &mut forms);
        }
        let patterns: Vec<Vec<u8>> = forms.into_iter().collect();
        let mut first_bytes = [false; 256];
        for &byte in patterns.iter().filter_map(|p| p.first()) {
            if let Some(seen) = first_bytes.get_mut(usize::from(byte)) {
                *seen = true;
            }
        }
        Self {
            automaton: (!patterns.is_empty())
                .then(|| {
                    AhoCorasick::builder()
                        .match_kind(MatchKind::LeftmostLongest)
                        .kind(Some(AhoCorasickKind::ContiguousNFA))
                        .build(&patterns)
                        .ok()
                })
                .flatten(),
            longest: patterns.iter().map(Vec::len).max().unwrap_or(0),
            patterns,
            first_bytes,
            akia: memmem::Finder::new("AKIA"),
            asia: memmem::Finder::new("ASIA"),
        }
    }

    /// True when the value is too short or too common to be masked; the log says so.
    #[must_use]
    pub(crate) fn is_unmaskable(value: &str) -> bool {
        value.trim().len() < SHORTEST || COMMON.contains(&value.trim().to_ascii_lowercase().as_str())
    }

    /// Appends `bytes` to `out`, masked. What may be the start of a secret stays in `held` until the next call, or
    /// until [`Self::finish`].
    pub(crate) fn feed(&self, held: &mut Held, bytes: &[u8], out: &mut Vec<u8>) {
        if held.0.is_empty() {
            let rest = self.mask(bytes, self.hold_from(bytes), out);
            held.0.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut held.0);
            joined.extend_from_slice(bytes);
            let rest = self.mask(&joined, self.hold_from(&joined), out).len();
            joined.drain(..joined.len() - rest);
            held.0 = joined;
        }
    }

    /// Appends what is held back: the stream is over, so it is not the start of a longer secret. It may still be, or
    /// contain, a shorter one.
    pub(crate) fn finish(&self, held: &mut Held, out: &mut Vec<u8>) {
        let bytes = std::mem::take(&mut held.0);
        self.mask(&bytes, bytes.len(), out);
    }

    /// A whole text, masked.
    #[must_use]
    pub(crate) fn text(&self, text: &str) -> String {
        let mut held = Held::default();
        let mut out = Vec::with_capacity(text.len());
        self.feed(&mut held, text.as_bytes(), &mut out);
        self.finish(&mut held, &mut out);
        // Patterns are whole UTF-8 texts or ASCII, and so are the cuts.
        String::from_utf8_lossy(&out).into_owned()
    }

    /// True when the text contains something that is masked.
    #[must_use]
    pub(crate) fn hides(&self, text: &str) -> bool {
        self.text(text) != text
    }

    /// Masks `bytes` into `out`; returns the end that must wait for more: from `hold` on, but for what a secret that
    /// begins before it covers.
    fn mask<'a>(&self, bytes: &'a [u8], hold: usize, out: &mut Vec<u8>) -> &'a [u8] {
        let mut done = 0;
        let mut emit = |start: usize, end: usize| {
            if start >= hold || start < done {
                return;
            }
            if let Some(before) = bytes.get(done..start) {
                out.extend_from_slice(before);
            }
            out.extend_from_slice(REPLACEMENT);
            done = end;
        };
        let mut keys = self.access_keys(bytes).into_iter().peekable();
        if let Some(automaton) = &self.automaton {
            for found in automaton.find_iter(bytes) {
                while let Some(key) = keys.next_if(|&key| key < found.start()) {
                    emit(key, key + ACCESS_KEY_LENGTH);
                }
                emit(found.start(), found.end());
            }
        }
        for key in keys {
            emit(key, key + ACCESS_KEY_LENGTH);
        }
        let end = hold.max(done);
        if let Some(plain) = bytes.get(done..end) {
            out.extend_from_slice(plain);
        }
        bytes.get(end..).unwrap_or_default()
    }

    /// Offsets of access key ids.
    fn access_keys(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for finder in [&self.akia, &self.asia] {
            found.extend(finder.find_iter(bytes).filter(|&at| {
                bytes.get(at + 4..at + ACCESS_KEY_LENGTH).is_some_and(|rest| rest.iter().all(is_key_character))
            }));
        }
        found.sort_unstable();
        found
    }

    /// Where the end begins that may be the start of a pattern.
    fn hold_from(&self, bytes: &[u8]) -> usize {
        let window = self.longest.max(ACCESS_KEY_LENGTH) - 1;
        let from = bytes.len().saturating_sub(window);
        (from..bytes.len())
            .find(|&at| {
                let tail = &bytes[at..];
                let first = tail.first().copied().unwrap_or_default();
                (first == b'A' && starts_access_key(tail))
                    || (self.first_bytes.get(usize::from(first)).copied().unwrap_or(false) && self.starts_pattern(tail))
            })
            .unwrap_or(bytes.len())
    }

    /// True when `tail` is a proper prefix of a pattern.
    fn starts_pattern(&self, tail: &[u8]) -> bool {
        let at = self.patterns.partition_point(|p| p.as_slice() <= tail);
        self.patterns.get(at).is_some_and(|p| p.starts_with(tail))
    }
}

fn is_key_character(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn starts_access_key(tail: &[u8]) -> bool {
    if tail.len() >= ACCESS_KEY_LENGTH {
        return false;
    }
    let (head, rest) = tail.split_at(tail.len().min(4));
    (b"AKIA".starts_with(head) || b"ASIA".starts_with(head)) && rest.iter().all(is_key_character)
}

/// Adds a secret in every form in which tools print it.
fn add_secret(secret: &str, forms: &mut BTreeSet<Vec<u8>>) {
    add_text(secret, forms);
    // Keys of several lines: each line alone, and all of them with the line ends that tools make of them.
    if secret.contains('\n') {
        for line in secret.lines() {
            add_text(line.trim(), forms);
        }
        let lines: Vec<&str> = secret.lines().collect();
        for separator in ["\r\n", "\r", "\\n", "\\r\\n"] {
            add_text(lines.join(separator).trim(), forms);
        }
    }
    // A JSON secret: every string in it.
    if secret.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(secret)
    {
        add_json_strings(&value, forms);
    }
}

fn add_json_strings(value: &serde_json::Value, forms: &mut BTreeSet<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => add_text(text, forms),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_json_strings(item, forms)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| add_json_strings(field, forms)),
        _ => {}
    }
}

fn add_text(text: &str, forms: &mut BTreeSet<Vec<u8>>) {
    if Masker::is_unmaskable(text) {
        return;
    }
    let bytes = text.as_bytes();
    let mut add = |form: Vec<u8>| {
        if form.len() >= SHORTEST {
            forms.insert(form);
        }
    };
    add(bytes.to_vec());
    add(hex::encode(bytes).into_bytes());
    add(hex::encode_upper(bytes).into_bytes());
    for engine in [&general_purpose::STANDARD, &general_purpose::URL_SAFE] {
        for offset in 0..3usize {
            add(base64_inside(engine, bytes, offset));
        }
    }
    add(percent_encoded(bytes, false));
    add(percent_encoded(bytes, true));
    if let Ok(quoted) = serde_json::to_string(text) {
        add(quoted.trim_matches('"').as_bytes().to_vec());
    }
    // `set -x` and `export -p`: 'it'\''s', "it's", $'…'; `printf %q`: backslashes.
    add(text.replace('\'', "'\\''").into_bytes());
    add(text.replace('\'', "'\"'\"'").into_bytes());
    add(backslashed(text, |c| matches!(c, '\\' | '"' | '$' | '`')));
    add(backslashed(text, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,\n".contains(c)));
}

fn backslashed(text: &str, special: impl Fn(char) -> bool) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out.into_bytes()
}

fn percent_encoded(bytes: &[u8], lower: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte);
        } else {
            let code = if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
            out.extend_from_slice(code.as_bytes());
        }
    }
    out
}

/// The characters of base64 that depend on the secret alone when it starts at `offset` (mod 3) of the encoded text.
fn base64_inside(engine: &general_purpose::GeneralPurpose, bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(bytes);
    let encoded = engine.encode(&padded).into_bytes();
    let start = (offset * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    let inside = encoded.get(start..end).unwrap_or_default();
    // Short pieces would match by chance.
    if inside.len() < 6 { Vec::new() } else { inside.to_vec() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let masker = Masker::new(secrets);
        let mut held = Held::default();
        let mut out = Vec::new();
        for piece in pieces {
            masker.feed(&mut held, piece, &mut out);
        }
        masker.finish(&mut held, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_secret_written_byte_by_byte_is_masked() {
        let text = b"before hunter2-secret after";
        let pieces: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(masked(&["hunter2-secret"], &pieces), "before *** after");
    }

    #[test]
    fn the_longer_of_two_secrets_wins_across_a_cut() {
        assert_eq!(masked(&["abcd", "abcdefgh"], &[b"x abcd", b"efgh y abcd z"]), "x *** y *** z");
        assert_eq!(masked(&["abcd", "abcdefgh"], &[b"x abcd", b"e y"]), "x ***e y");
    }

    #[test]
    fn lines_of_a_key_are_masked_alone() {
        let key = "-----BEGIN KEY-----\nMIIabcdef123\nzyxwvu987\n-----END KEY-----\n";
        assert_eq!(masked(&[key], &[b"line: MIIabcdef123\r\n"]), "line: ***\r\n");
        let one_line = key.trim_end().replace('\n', "\\n");
        assert_eq!(masked(&[key], &[one_line.as_bytes()]), "***");
    }

    #[test]
    fn encoded_forms_are_masked() {
        let secret = "p@ss/word+1 'x' \"y\" $z";
        for offset in 0..3 {
            let text = format!("{}{secret}tail", "A".repeat(offset));
            let encoded = general_purpose::STANDARD.encode(&text);
            assert!(masked(&[secret], &[encoded.as_bytes()]).contains("***"), "base64 at offset {offset}");
        }
        for form in [
            hex::encode(secret),
            hex::encode_upper(secret),
            "p%40ss%2Fword%2B1%20%27x%27%20%22y%22%20%24z".to_owned(),
            serde_json::to_string(secret).unwrap(),
            secret.replace('\'', "'\\''"),
        ] {
            let shown = masked(&[secret], &[form.as_bytes()]);
            assert!(shown.contains("***") && !shown.contains("word"), "{form} became {shown}");
        }
    }

    #[test]
    fn strings_of_a_json_secret_are_masked() {
        assert_eq!(masked(&[r#"{"user":"bob1","password":"s3cr3tpw"}"#], &[b"login bob1 s3cr3tpw"]), "login *** ***");
    }

    #[test]
    fn access_keys_are_masked_and_short_values_are_not() {
        assert_eq!(masked(&["1", "true"], &[b"1 true AKIAIOSFODNN7", b"EXAMPLE."]), "1 true ***.");
        assert_eq!(masked(&[], &[b"AKIA is a prefix"]), "AKIA is a prefix");
        assert!(Masker::is_unmaskable("abc") && Masker::is_unmaskable("TRUE"));
    }

    proptest! {
        #[test]
        fn text_without_secrets_passes_unchanged(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20),
        ) {
            let masker = Masker::new(["correct horse battery", "\u{1F40E}\u{1F40E}\u{1F40E}"]);
            let mut held = Held::default();
            let mut out = Vec::new();
            for piece in &pieces {
                masker.feed(&mut held, piece, &mut out);
            }
            masker.finish(&mut held, &mut out);
            prop_assert_eq!(out, pieces.concat());
        }

        #[test]
        fn a_secret_never_passes_however_it_is_cut(
            before in "[a-z ]{0,30}",
            after in "[a-z ]{0,30}",
            cuts in prop::collection::vec(1usize..8, 1..20),
        ) {
            let secret = "sEcReT-vAlUe";
            let text = format!("{before}{secret}{after}");
            let masker = Masker::new([secret]);
            let mut held = Held::default();
            let mut out = Vec::new();
            let mut rest = text.as_bytes();
            for n in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let n = (*n).min(rest.len());
                masker.feed(&mut held, &rest[..n], &mut out);
                prop_assert!(!String::from_utf8_lossy(&out).contains("sEcR"));
                rest = &rest[n..];
            }
            masker.finish(&mut held, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before}***{after}"));
        }
    }
}
