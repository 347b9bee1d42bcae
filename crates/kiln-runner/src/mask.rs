//! Hides secrets in everything that leaves a build (`security.md` 5.1).
//!
//! A guard against accidents, not a boundary: a build that wants to print a secret in a form of its own can.

mod forms;

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
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
        let mut forms: BTreeSet<Vec<u8>> = BTreeSet::new();
        for secret in secrets {
            forms::add_secret(secret.as_ref(), &mut forms);
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
        // What is hidden may be a piece of a secret that begins or ends within a character.
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

#[cfg(test)]
mod tests;
