//! What is searched for in the lines of a log.
//!
//! A line is searched as it is read: bytes that are not UTF-8 are replaced, what is longer than [`super::LINE_BYTES`] is left
//! out. Escape sequences of terminals are passed over, so that `error: no such file` is found where a compiler coloured
//! `error:`.

use std::{borrow::Cow, ops::Range};

use memchr::memmem::{self, Finder};
use regex::{Regex, RegexBuilder};

/// Longest text or pattern that is searched for, in bytes.
pub const QUERY_BYTES: usize = 4096;
/// Most places of one line that are told.
const MOST_RANGES: usize = 100;
/// Most memory that a pattern takes when it is compiled, and that its automaton may fill while it searches.
const PATTERN_MEMORY: usize = 2 << 20;
/// Deepest nesting of a pattern.
const PATTERN_DEPTH: u32 = 100;
/// Lines of about so many bytes are passed over together when a pattern is in none of them. Where it may be in one, each
/// line behind is searched by itself, so that no byte is looked at more than twice, whatever the pattern.
const PATTERN_PIECE: usize = 16 << 10;

/// Something that cannot be searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nothing is searched for.
    #[error("there is no text to search for")]
    Empty,
    /// It is longer than [`QUERY_BYTES`].
    #[error("what is searched for may have {QUERY_BYTES} bytes at most")]
    TooLong,
    /// Lines are searched one by one.
    #[error("lines are searched one by one: the text must not contain the end of a line")]
    Newline,
    /// It is no pattern.
    #[error("not a regular expression: {0}")]
    Pattern(String),
}

/// What is searched for.
#[derive(Debug, Clone)]
pub struct Query {
    /// For one line.
    regex: Regex,
    way: Way,
}

/// How many lines are searched at once.
#[derive(Debug, Clone)]
enum Way {
    /// For these bytes.
    Text(Box<Finder<'static>>),
    /// With the regular expression of a text in any case: what it finds never reaches over the end of a line.
    AnyCase,
    /// Line by line; but if this finds nothing in several lines, nothing is to be found in each of them.
    Pattern(Option<Regex>),
}

impl Query {
    /// Lines that contain a text; `ignore_case` takes letters in Unicode's simple case folding.
    ///
    /// # Errors
    /// [`QueryError`] but for [`QueryError::Pattern`].
    pub fn text(text: &str, ignore_case: bool) -> Result<Self, QueryError> {
        if text.contains('\n') {
            return Err(QueryError::Newline);
        }
        let way = if ignore_case { Way::AnyCase } else { Way::Text(Box::new(Finder::new(text).into_owned())) };
        let regex = compile(&regex::escape(text), text.len(), ignore_case, false)?;
        Ok(Self { regex, way })
    }

    /// Lines in which a regular expression matches (syntax of the crate `regex`: no look-around and no back references,
    /// so that a search takes linear time). `^` and `$` are the ends of a line, whose carriage return is left out.
    ///
    /// # Errors
    /// [`QueryError`]
    pub fn pattern(pattern: &str, ignore_case: bool) -> Result<Self, QueryError> {
        let regex = compile(pattern, pattern.len(), ignore_case, false)?;
        let several = is_local(pattern).then(|| compile(pattern, pattern.len(), ignore_case, true)).transpose()?;
        Ok(Self { regex, way: Way::Pattern(several) })
    }

    /// The places of a line's text (as it is shown, escape sequences included) that are what is searched for, in bytes: the
    /// first 100, none of them empty. A place in which escape sequences stand includes them.
    #[must_use]
    pub fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let plain = Plain::new(text);
        self.regex
            .find_iter(self.searched(&plain.text))
            .filter(|found| !found.is_empty())
            .take(MOST_RANGES)
            .map(|found| plain.origin(found.start())..plain.origin(found.end() - 1) + 1)
            .collect()
    }

    /// Whether a line, with or without its end, is one of those that are searched for.
    #[must_use]
    pub fn finds(&self, line: &[u8]) -> bool {
        self.regex.is_match(self.searched(&shown(line, &mut String::new())))
    }

    /// What of a line without escape sequences is searched.
    fn searched<'a>(&self, line: &'a str) -> &'a str {
        let line = line.strip_suffix('\n').unwrap_or(line);
        match self.way {
            Way::Text(_) | Way::AnyCase => line,
            Way::Pattern(_) => line.strip_suffix('\r').unwrap_or(line),
        }
    }

    /// Calls `see` with the index of each line of `lines` that is searched for, until it says false. `buffer` is of no
    /// meaning; one that is given again need not be made again.
    pub(super) fn each(&self, lines: &[u8], buffer: &mut String, mut see: impl FnMut(usize) -> bool) {
        let text = shown(lines, buffer);
        let (mut counted, mut index) = (0, 0);
        self.places(&text, |place| {
            index += newlines(text.as_bytes().get(counted..place).unwrap_or_default());
            counted = place;
            see(index)
        });
    }

    /// How many of these lines are searched for.
    pub(super) fn count(&self, lines: &[u8], buffer: &mut String) -> u64 {
        let mut count = 0;
        self.places(&shown(lines, buffer), |_| {
            count += 1;
            true
        });
        count
    }

    /// Calls `see` with a place in each line of the text that is searched for, until it says false.
    fn places(&self, text: &str, see: impl FnMut(usize) -> bool) {
        match &self.way {
            Way::Text(finder) => {
                let length = finder.needle().len();
                let find = |from| {
                    let at = from + finder.find(text.as_bytes().get(from..)?)?;
                    Some(at..at + length)
                };
                each_line(text, find, see);
            }
            Way::AnyCase => each_line(text, |from| self.regex.find_at(text, from).map(|found| found.range()), see),
            Way::Pattern(several) => self.each_by_itself(text, several.as_ref(), PATTERN_PIECE, see),
        }
    }

    /// Calls `see` with the beginning of each line that is searched for; lines of about `piece` bytes are passed over together.
    fn each_by_itself(&self, text: &str, several: Option<&Regex>, piece: usize, mut see: impl FnMut(usize) -> bool) {
        let mut start = 0;
        while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
            let behind = rest.as_bytes().get(piece..).and_then(|behind| memchr::memchr(b'\n', behind));
            let length = behind.map_or(rest.len(), |newline| piece + newline + 1);
            let lines = rest.get(..length).unwrap_or(rest);
            let mut at = 0;
            if let Some(several) = several
                && !has_carriage_returns(lines)
            {
                let found = several.find(lines);
                at = found.map_or(length, |found| line_start(lines, found.start()));
            }
            for line in lines.get(at..).unwrap_or_default().split_inclusive('\n') {
                if self.regex.is_match(self.searched(line)) && !see(start + at) {
                    return;
                }
                at += line.len();
            }
            start += length;
        }
    }
}

fn compile(pattern: &str, length: usize, ignore_case: bool, several_lines: bool) -> Result<Regex, QueryError> {
    match length {
        0 => return Err(QueryError::Empty),
        _ if length > QUERY_BYTES => return Err(QueryError::TooLong),
        _ => {}
    }
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .multi_line(several_lines)
        .size_limit(PATTERN_MEMORY)
        .dfa_size_limit(PATTERN_MEMORY)
        .nest_limit(PATTERN_DEPTH)
        .build()
        .map_err(|e| QueryError::Pattern(e.to_string()))
}

/// Whether a pattern that matches in a line by itself does so too when other lines stand around it and `^` and `$` are the
/// ends of each line. That is so unless it asks for the ends of the text, or sets flags which might (verbose patterns may be
/// written so that this would have to be looked for in other ways).
fn is_local(pattern: &str) -> bool {
    let harmless = |group: &str| {
        let flags = group.trim_start_matches(['i', 'm', 's', 'R', 'U', 'u']);
        flags.starts_with([':', ')', '<']) || group.starts_with("P<")
    };
    !pattern.contains("\\A") && !pattern.contains("\\z") && pattern.split("(?").skip(1).all(harmless)
}

/// Whether a line ends with one.
fn has_carriage_returns(lines: &str) -> bool {
    lines.ends_with('\r') || memmem::find(lines.as_bytes(), b"\r\n").is_some()
}

/// Where the line begins in which `at` is.
fn line_start(lines: &str, at: usize) -> usize {
    memchr::memrchr(b'\n', lines.as_bytes().get(..at).unwrap_or_default()).map_or(0, |newline| newline + 1)
}

/// Calls `see` with the first place in each line that `find` finds from a place on, until it says false.
fn each_line(text: &str, find: impl Fn(usize) -> Option<Range<usize>>, mut see: impl FnMut(usize) -> bool) {
    let mut from = 0;
    while let Some(found) = find(from) {
        let rest = text.as_bytes().get(found.end..).unwrap_or_default();
        let (true, Some(end)) = (see(found.start), memchr::memchr(b'\n', rest)) else { return };
        from = found.end + end + 1;
    }
}

/// How many lines end in these bytes.
fn newlines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Lines as they are searched.
fn shown<'a>(lines: &'a [u8], buffer: &'a mut String) -> Cow<'a, str> {
    match std::str::from_utf8(lines) {
        Ok(text) if memchr::memchr(ESCAPE, lines).is_none() => return Cow::Borrowed(text),
        Ok(text) => remove_sequences(text, buffer, |_, _| {}),
        // Several times slower, and seldom.
        Err(_) => remove_sequences(&String::from_utf8_lossy(lines), buffer, |_, _| {}),
    }
    Cow::Borrowed(buffer)
}

/// A text without escape sequences, and where its pieces stood.
struct Plain {
    text: String,
    /// Beginnings of pieces: in the text without sequences, and in the original.
    pieces: Vec<(usize, usize)>,
}

impl Plain {
    fn new(text: &str) -> Self {
        let mut plain = Self { text: String::new(), pieces: Vec::new() };
        let mut length = 0;
        remove_sequences(text, &mut plain.text, |at, piece| {
            plain.pieces.push((length, at));
            length += piece.len();
        });
        plain
    }

    /// Where the byte `at` of the text without sequences stood.
    fn origin(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(plain, _)| *plain <= at);
        match index.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some((plain, original)) => original + (at - plain),
            None => at,
        }
    }
}

/// Writes a text into `plain` without escape sequences (ECMA-48: control sequences, control strings, others); the end of a
/// line ends them. `keep` is called with each piece that stays and its place.
fn remove_sequences(text: &str, plain: &mut String, mut keep: impl FnMut(usize, &str)) {
    plain.clear();
    plain.reserve(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = memchr::memchr(ESCAPE, rest.as_bytes()).unwrap_or(rest.len());
        let (piece, sequence) = rest.split_at(length);
        if !piece.is_empty() {
            keep(at, piece);
            plain.push_str(piece);
        }
        at += length + sequence_length(sequence.as_bytes());
    }
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Length of the sequence that these bytes begin with; it ends before anything that is not ASCII, but for control strings.
fn sequence_length(bytes: &[u8]) -> usize {
    let span = |from: usize, of: std::ops::RangeInclusive<u8>| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| of.contains(byte)).count()
    };
    // One more byte, when it is one that ends the sequence.
    let last =
        |at: usize, of: std::ops::RangeInclusive<u8>| at + usize::from(bytes.get(at).is_some_and(|b| of.contains(b)));
    match bytes.get(1) {
        _ if bytes.is_empty() => 0,
        // Control sequence: parameters, intermediate bytes, a final byte.
        Some(b'[') => last(span(span(2, 0x30..=0x3f), 0x20..=0x2f), 0x40..=0x7e),
        // Control string: up to its terminator, which is an escape sequence of its own, or to a bell.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let rest = bytes.get(2..).unwrap_or_default();
            match memchr::memchr3(BELL, ESCAPE, b'\n', rest) {
                Some(end) => 2 + end + usize::from(rest.get(end) == Some(&BELL)),
                None => bytes.len(),
            }
        }
        Some(_) => last(span(1, 0x20..=0x2f), 0x30..=0x7e),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequences_are_passed_over() {
        for (text, plain) in [
            ("\x1b[1m\x1b[31merror\x1b[0m\x1b[1m: no\x1b[0m such", "error: no such"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07 end", "link end"),
            ("a\x1b(Bb\x1b7c\x1b[?25ld", "abcd"),
            // The end of a line ends what has no end.
            ("a\x1b[31\nb\x1b]0;title\nc\x1bP\n\x1b", "a\nb\nc\n"),
            ("\x1b[31ä", "ä"),
            ("plain", "plain"),
        ] {
            assert_eq!(shown(text.as_bytes(), &mut String::new()), plain, "{text:?}");
        }
    }

    #[test]
    fn places_are_those_of_the_text_as_it_is_shown() {
        let query = Query::text("error: no", false).unwrap();
        let text = "an \x1b[31merror\x1b[0m: no\x1b[0m, error: no";
        let ranges = query.ranges(text);
        let places: Vec<&str> = ranges.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(places, ["error\x1b[0m: no", "error: no"]);
        let any_case = Query::text("STRASSE Ä", true).unwrap();
        assert_eq!(any_case.ranges("strasse ä"), std::slice::from_ref(&(0..10)));
        let pattern = Query::pattern("^[a-z]+ (?<n>\\d+)$", false).unwrap();
        assert_eq!(pattern.ranges("line 12\r"), std::slice::from_ref(&(0..7)));
        assert!(pattern.finds(b"line 12\r\n") && !pattern.finds(b"line 12 \r\n"));
        assert!(Query::pattern("x*", false).unwrap().ranges("aa").is_empty());
        assert_eq!(Query::text("a", false).unwrap().ranges(&"a".repeat(1000)).len(), 100);
    }

    #[test]
    fn what_cannot_be_searched_for_is_refused() {
        assert_eq!(Query::text("", true).unwrap_err(), QueryError::Empty);
        assert_eq!(Query::text("a\nb", true).unwrap_err(), QueryError::Newline);
        assert_eq!(Query::text(&"a".repeat(QUERY_BYTES + 1), true).unwrap_err(), QueryError::TooLong);
        assert!(Query::text(&"(".repeat(QUERY_BYTES), true).is_ok());
        for pattern in ["(", "(?=a)", "(a){1000000}", &"(".repeat(500), "((a{100}){100}){100}"] {
            assert!(matches!(Query::pattern(pattern, false), Err(QueryError::Pattern(_))), "{pattern}");
        }
    }

    #[test]
    fn patterns_are_known_of_which_several_lines_say_nothing() {
        for local in ["a", "^a$", "(?:a)(?i:b)(?<n>c)(?P<m>d)(?is)e", r"\bx\b", "[^a]*"] {
            assert!(is_local(local), "{local}");
        }
        for other in [r"\Aa", r"a\z", "(?-m)^a", "(?i-m:^a)", "(?x) a ( ?-m:^b)"] {
            assert!(!is_local(other), "{other}");
        }
    }

    proptest! {
        /// Lines that are passed over together are those in which nothing is found.
        #[test]
        fn lines_are_passed_over_only_where_nothing_is(
            text in "[ab \r\n]{0,60}\n",
            parts in prop::collection::vec(prop::sample::select(vec![
                "a", "b", "^", "$", r"\b", r"\B", "[^a]", r"\s", ".", "(?s:.)", " *", "(a|b$)", r"\A", r"\z", "(?m)", "(?-m)", "\r",
                r"b\s*a", "(?R)", "(?U)a+", r"[^b]*b",
            ]), 1..5),
            piece in 1usize..20,
        ) {
            let Ok(query) = Query::pattern(&parts.concat(), false) else { return Ok(()) };
            let Way::Pattern(several) = &query.way else { unreachable!("it is a pattern") };
            let mut found = Vec::new();
            query.each_by_itself(&text, several.as_ref(), piece, |at| { found.push(at); true });
            let mut start = 0;
            let mut expected = Vec::new();
            for line in text.split_inclusive('\n') {
                if query.finds(line.as_bytes()) {
                    expected.push(start);
                }
                start += line.len();
            }
            prop_assert_eq!(found, expected);
        }

        /// Searching many lines at once finds what searching each of them does.
        #[test]
        fn many_lines_at_once_are_searched_as_each(
            text in "[ab\u{e9}\u{fffd}\\x1b\\[m\n]{0,60}\n",
            bad in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
            needle in "[ab\u{fffd}mé]{1,2}",
            ignore_case in any::<bool>(),
        ) {
            let mut bytes = text.into_bytes();
            for at in bad {
                let at = at.index(bytes.len());
                if bytes[at] != b'\n' {
                    bytes[at] = 0xc3;
                }
            }
            for query in [Query::text(&needle, ignore_case).unwrap(), Query::pattern(&format!("{needle}$"), ignore_case).unwrap()] {
                let (mut found, mut buffer) = (Vec::new(), String::from("old"));
                query.each(&bytes, &mut buffer, |index| { found.push(index); true });
                prop_assert_eq!(query.count(&bytes, &mut buffer), found.len() as u64);
                let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
                let expected: Vec<usize> = lines.filter(|(_, line)| query.finds(line)).map(|(index, _)| index).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
