//! The text of a buildspec: decoding, and the way from offsets to lines and columns.

use std::borrow::Cow;

use crate::diagnostic::{Code, Diagnostic, Position, Severity};

/// Largest buildspec, in bytes (`security.md` 5.5). The largest public one has 84 kB.
pub const MAX_BYTES: usize = 1 << 20;

/// A place: line and column from 1 (column in characters), offset in bytes of the decoded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) offset: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Mark {
    pub(crate) const START: Self = Self { offset: 0, line: 1, column: 1 };

    pub(crate) fn position(self) -> Position {
        Position { line: self.line, column: self.column }
    }
}

/// A stretch of the text; empty when `start == end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

impl Span {
    pub(crate) const START: Self = Self::point(Mark::START);

    pub(crate) const fn point(mark: Mark) -> Self {
        Self { start: mark, end: mark }
    }
}

/// A buildspec's text, decoded to UTF-8 without byte-order mark, with an index of its lines.
///
/// Line breaks are those of YAML 1.1, which the service's parser goes by: CR LF, LF, CR, and the Unicode breaks U+0085,
/// U+2028 and U+2029.
#[derive(Debug, Clone)]
pub struct SourceText {
    text: String,
    /// Offset of the first byte of each line; never empty.
    line_starts: Vec<usize>,
}

impl SourceText {
    /// Decodes UTF-8 (with or without byte-order mark) or UTF-16 with a byte-order mark, replacing what is malformed.
    /// For showing excerpts; [`crate::parse()`] refuses malformed text.
    #[must_use]
    pub fn lossy(bytes: &[u8]) -> Self {
        let text = match split_bom(bytes) {
            (Encoding::Utf8, rest) => String::from_utf8_lossy(rest),
            (Encoding::Utf16(order), rest) => {
                Cow::Owned(char::decode_utf16(units(rest, order)).map(|c| c.unwrap_or('\u{fffd}')).collect())
            }
            (Encoding::Utf32, rest) => String::from_utf8_lossy(rest),
        };
        Self::new(text.into_owned())
    }

    /// Decodes, or says what cannot be decoded and where.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Box<Diagnostic>> {
        if bytes.len() > MAX_BYTES {
            return Err(refusal(
                Code::TooLarge,
                Mark::START,
                format!("the buildspec has {} bytes, more than {MAX_BYTES}", bytes.len()),
                "move long scripts into files of the source and call them",
            ));
        }
        let utf8_hint = "save the file as UTF-8";
        let text = match split_bom(bytes) {
            (Encoding::Utf32, _) => {
                return Err(refusal(Code::Encoding, Mark::START, "the buildspec is encoded as UTF-32", utf8_hint));
            }
            (Encoding::Utf8, rest) => match std::str::from_utf8(rest) {
                Ok(text) => text.to_owned(),
                Err(error) => {
                    let (valid, _) = rest.split_at(error.valid_up_to());
                    let before = Self::new(String::from_utf8_lossy(valid).into_owned());
                    let byte = rest.get(error.valid_up_to()).copied().unwrap_or_default();
                    let message = format!("the buildspec is not UTF-8: byte 0x{byte:02x} does not belong here");
                    return Err(refusal(Code::Encoding, before.mark_at(valid.len()), message, utf8_hint));
                }
            },
            (Encoding::Utf16(order), rest) => {
                let mut text = String::with_capacity(rest.len() / 2);
                for unit in char::decode_utf16(units(rest, order)) {
                    match unit {
                        Ok(c) => text.push(c),
                        Err(_) => {
                            let before = Self::new(text);
                            let end = before.mark_at(before.text.len());
                            return Err(refusal(
                                Code::Encoding,
                                end,
                                "the buildspec is not UTF-16: half a pair is missing",
                                utf8_hint,
                            ));
                        }
                    }
                }
                if rest.len() % 2 == 1 {
                    let before = Self::new(text);
                    let end = before.mark_at(before.text.len());
                    let message = "the buildspec is not UTF-16: it has an odd number of bytes";
                    return Err(refusal(Code::Encoding, end, message, utf8_hint));
                }
                text
            }
        };
        let source = Self::new(text);
        if let Some((offset, c)) = source.text.char_indices().find(|(_, c)| !is_yaml_character(*c)) {
            let message = format!("control characters are not allowed: U+{:04X}", u32::from(c));
            let hint = "remove the character, or write it as an escape in double quotes, like \"\\e\"";
            return Err(refusal(Code::Encoding, source.mark_at(offset), message, hint));
        }
        Ok(source)
    }

    fn new(text: String) -> Self {
        let mut line_starts = vec![0];
        let mut chars = text.char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            let crlf = c == '\r' && matches!(chars.peek(), Some((_, '\n')));
            if is_break(c) && !crlf {
                line_starts.push(offset + c.len_utf8());
            }
        }
        Self { text, line_starts }
    }

    /// The decoded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many lines there are; a break at the end begins a last, empty line.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// A line by its number from 1, without its break.
    #[must_use]
    pub fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self.line_starts.get(index)?;
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end)?;
        Some(line.strip_suffix("\r\n").or_else(|| line.strip_suffix(is_break)).unwrap_or(line))
    }

    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start.offset..span.end.offset).unwrap_or_default()
    }

    pub(crate) fn line_start(&self, line_from_0: usize) -> usize {
        self.line_starts.get(line_from_0).copied().unwrap_or(self.text.len())
    }

    /// The mark of a byte offset. Walks the line: for single look-ups.
    pub(crate) fn mark_at(&self, offset: usize) -> Mark {
        let index = self.line_starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let column = self.text.get(self.line_start(index)..offset).map_or(0, |before| before.chars().count());
        Mark { offset, line: number_from_1(index), column: number_from_1(column) }
    }
}

/// A count from 0 as a number from 1; texts are bounded, so that it always fits.
pub(crate) fn number_from_1(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX - 1) + 1
}

fn refusal(code: Code, at: Mark, message: impl Into<String>, hint: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::new(Severity::Error, code, Span::point(at), message).with_hint(hint))
}

/// True for the line breaks of YAML 1.1.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The characters that libyaml reads.
fn is_yaml_character(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..='\u{10ffff}')
}

#[derive(Clone, Copy)]
enum ByteOrder {
    Little,
    Big,
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16(ByteOrder),
    Utf32,
}

fn split_bom(bytes: &[u8]) -> (Encoding, &[u8]) {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (Encoding::Utf8, rest),
        [0xff, 0xfe, 0, 0, rest @ ..] | [0, 0, 0xfe, 0xff, rest @ ..] => (Encoding::Utf32, rest),
        [0xff, 0xfe, rest @ ..] => (Encoding::Utf16(ByteOrder::Little), rest),
        [0xfe, 0xff, rest @ ..] => (Encoding::Utf16(ByteOrder::Big), rest),
        rest => (Encoding::Utf8, rest),
    }
}

fn units(bytes: &[u8], order: ByteOrder) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).filter_map(move |pair| {
        let pair = <[u8; 2]>::try_from(pair).ok()?;
        Some(match order {
            ByteOrder::Little => u16::from_le_bytes(pair),
            ByteOrder::Big => u16::from_be_bytes(pair),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_every_break_of_yaml() {
        let source = SourceText::lossy("a\r\nb\nc\rd\u{2028}é\n".as_bytes());
        assert_eq!(source.line_count(), 6);
        let lines: Vec<_> = (1..=6).filter_map(|n| source.line(n)).collect();
        assert_eq!(lines, ["a", "b", "c", "d", "é", ""]);
        assert_eq!((source.line(0), source.line(7)), (None, None));
        let mark = source.mark_at(source.as_str().find('é').unwrap());
        assert_eq!((mark.line, mark.column), (5, 1));
    }

    #[test]
    fn every_byte_order_mark() {
        let text = "version: 0.2 # é🎉";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = utf16.iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = utf16.iter().flat_map(|u| u.to_be_bytes()).collect();
        for (bom, body) in [
            (&[][..], text.as_bytes()),
            (&[0xef, 0xbb, 0xbf][..], text.as_bytes()),
            (&[0xff, 0xfe][..], &little),
            (&[0xfe, 0xff][..], &big),
        ] {
            let bytes = [bom, body].concat();
            assert_eq!(SourceText::decode(&bytes).unwrap().as_str(), text);
            assert_eq!(SourceText::lossy(&bytes).as_str(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        for (bytes, line, column) in [
            (&b"a: b\nc: \xff"[..], 2, 4),
            (b"a: \x01", 1, 4),
            (b"\xff\xfea\0\x00\xd8b\0", 1, 2),
            (b"\xff\xfea\0b", 1, 2),
            (b"\xff\xfe\0\0a\0\0\0", 1, 1),
            (b"\x00\x00\xfe\xff\0\0\0a", 1, 1),
            (b"\xef\xbb", 1, 1),
        ] {
            let error = SourceText::decode(bytes).unwrap_err();
            assert_eq!((error.code, error.line, error.column), (Code::Encoding, line, column), "{bytes:?}: {error:?}");
        }
        assert_eq!(SourceText::decode(&vec![b' '; MAX_BYTES + 1]).unwrap_err().code, Code::TooLarge);
        assert!(SourceText::decode(&vec![b' '; MAX_BYTES]).is_ok());
    }
}
