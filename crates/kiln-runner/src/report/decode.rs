//! Any bytes to UTF-8, a piece at a time: what encoding a report is in, and how much of it is taken.

use std::io::{self, BufRead, Read};

/// Encoding of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Also what declares an encoding that is not known here: most of such reports are ASCII, and in the others the odd
    /// character is replaced.
    Utf8,
    Utf16 {
        big_endian: bool,
    },
    /// ISO-8859-1, -15 and windows-1252, which differ in few characters.
    Latin1,
    Windows1252,
}

/// windows-1252's characters 0x80 to 0x9f.
const WINDOWS_1252: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// Reads UTF-8 out of bytes in whatever encoding, with bounds.
pub(super) struct Decoder<'r> {
    input: &'r mut dyn Read,
    encoding: Option<Encoding>,
    /// Bytes that are not decoded yet.
    raw: Vec<u8>,
    /// Decoded text; from `at` on not yet consumed.
    text: Vec<u8>,
    at: usize,
    ended: bool,
    /// Bytes that may still be read.
    left: u64,
    /// Bytes that may still be consumed before [`Decoder::allow`] is called again.
    budget: usize,
    /// Lines consumed.
    lines: u64,
}

/// Bytes taken from the input at once.
const PIECE: usize = 64 << 10;

impl<'r> Decoder<'r> {
    pub(super) fn new(input: &'r mut dyn Read, most: u64) -> Self {
        Self {
            input,
            encoding: None,
            raw: Vec::new(),
            text: Vec::new(),
            at: 0,
            ended: false,
            left: most,
            budget: usize::MAX,
            lines: 1,
        }
    }

    /// Bounds what may be consumed until the next call: the parser above gathers a token before it returns.
    pub(super) fn allow(&mut self, bytes: usize) {
        self.budget = bytes;
    }

    /// Line that the next byte is on, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines
    }

    fn refill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.at = 0;
        while self.text.is_empty() && !self.ended {
            let before = self.raw.len();
            let wanted = (PIECE as u64).min(self.left.saturating_add(1));
            Read::take(&mut *self.input, wanted).read_to_end(&mut self.raw)?;
            let read = (self.raw.len() - before) as u64;
            self.ended = read < wanted;
            match self.left.checked_sub(read) {
                Some(left) => self.left = left,
                None => return Err(io::Error::new(io::ErrorKind::FileTooLarge, TooLarge::File)),
            }
            let encoding = *self.encoding.get_or_insert_with(|| sniff(&self.raw));
            self.decode(encoding);
        }
        Ok(())
    }

    /// Decodes what `raw` holds; an incomplete character at the end stays there while more may come.
    fn decode(&mut self, encoding: Encoding) {
        let mut used = self.raw.len();
        match encoding {
            Encoding::Utf8 => {
                for chunk in self.raw.utf8_chunks() {
                    self.text.extend_from_slice(chunk.valid().as_bytes());
                    let tail = chunk.invalid();
                    let at_end = std::ptr::eq(tail.as_ptr_range().end, self.raw.as_ptr_range().end);
                    if tail.is_empty() {
                    } else if at_end && !self.ended && incomplete(tail) {
                        used -= tail.len();
                    } else {
                        self.text.extend_from_slice("\u{fffd}".as_bytes());
                    }
                }
            }
            Encoding::Utf16 { big_endian } => {
                let (pairs, rest) = self.raw.as_chunks::<2>();
                let mut units: Vec<u16> = pairs
                    .iter()
                    .map(|&p| if big_endian { u16::from_be_bytes(p) } else { u16::from_le_bytes(p) })
                    .collect();
                used -= rest.len();
                if !self.ended && units.last().is_some_and(|u| (0xD800..0xDC00).contains(u)) {
                    units.pop();
                    used -= 2;
                }
                let mut buffer = [0; 4];
                for c in char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)) {
                    self.text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                }
            }
            Encoding::Latin1 | Encoding::Windows1252 => {
                let mut buffer = [0; 4];
                for &byte in &self.raw {
                    let c = match byte {
                        0x80..=0x9f if encoding == Encoding::Windows1252 => {
                            WINDOWS_1252.chars().nth(usize::from(byte - 0x80)).unwrap_or(char::REPLACEMENT_CHARACTER)
                        }
                        byte => char::from(byte),
                    };
                    self.text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                }
            }
        }
        self.raw.drain(..used);
    }
}

/// Something is larger than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooLarge {
    #[error("the file")]
    File,
    #[error("one element or text in it")]
    Token,
}

/// True for a beginning of a character of UTF-8 whose rest may follow.
fn incomplete(tail: &[u8]) -> bool {
    std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none())
}

/// Judges the encoding by the first bytes: a byte order mark, the look of `<` in UTF-16, else what an XML declaration
/// says. One that says UTF-16 in 8-bit characters (a string that .NET wrote to a file) is not believed.
fn sniff(start: &[u8]) -> Encoding {
    match start {
        [0xff, 0xfe, ..] | [b'<' | b'{' | b'[', 0, ..] => return Encoding::Utf16 { big_endian: false },
        [0xfe, 0xff, ..] | [0, b'<' | b'{' | b'[', ..] => return Encoding::Utf16 { big_endian: true },
        _ => {}
    }
    let head = start.get(..200).unwrap_or(start);
    let head = String::from_utf8_lossy(head);
    let declared = head
        .trim_start_matches('\u{feff}')
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split("?>").next())
        .and_then(|declaration| declaration.split_once("encoding"))
        .map(|(_, value)| value.trim_start_matches([' ', '\t', '\r', '\n', '=', '"', '\'']))
        .and_then(|value| value.split(['"', '\'']).next())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match declared.as_str() {
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" | "iso-8859-15" => Encoding::Latin1,
        "windows-1252" | "cp1252" => Encoding::Windows1252,
        _ => Encoding::Utf8,
    }
}

impl BufRead for Decoder<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.text.len() {
            let first = self.encoding.is_none();
            self.refill()?;
            // A byte order mark is not text.
            if first && self.text.starts_with("\u{feff}".as_bytes()) {
                self.at = 3;
                if self.at == self.text.len() {
                    self.refill()?;
                }
            }
        }
        if self.budget == 0 && self.at < self.text.len() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, TooLarge::Token));
        }
        let end = self.at.saturating_add(self.budget).min(self.text.len());
        Ok(self.text.get(self.at..end).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        let end = self.at.saturating_add(amount).min(self.text.len());
        let consumed = self.text.get(self.at..end).unwrap_or_default();
        self.lines = self.lines.saturating_add(memchr::memchr_iter(b'\n', consumed).count() as u64);
        self.budget = self.budget.saturating_sub(consumed.len());
        self.at = end;
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let count = buf.len().min(3).min(self.0.len());
            let (now, rest) = self.0.split_at(count);
            buf[..count].copy_from_slice(now);
            self.0 = rest;
            Ok(count)
        }
    }

    fn decode(bytes: &[u8]) -> String {
        let mut text = String::new();
        Decoder::new(&mut Drip(bytes), 1 << 30).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn every_encoding_becomes_utf8() {
        let text = "<?xml version='1.0'?><a>\u{fc}\u{20ac}\u{1f600}</a>";
        assert_eq!(decode(text.as_bytes()), text);
        assert_eq!(decode(&[b"\xef\xbb\xbf", text.as_bytes()].concat()), text);
        for bom in ["", "\u{feff}"] {
            let units: Vec<u16> = format!("{bom}{text}").encode_utf16().collect();
            assert_eq!(decode(&units.iter().flat_map(|u| u.to_le_bytes()).collect::<Vec<_>>()), text);
            assert_eq!(decode(&units.iter().flat_map(|u| u.to_be_bytes()).collect::<Vec<_>>()), text);
        }
        let declared = |name: &str, rest: &[u8]| {
            [format!("<?xml version=\"1.0\" encoding=\"{name}\"?>").as_bytes(), rest].concat()
        };
        let rest = |name: &str, bytes: &[u8]| decode(&declared(name, bytes)).split("?>").nth(1).unwrap().to_owned();
        assert_eq!(rest("ISO-8859-1", b"\xfc\x80"), "\u{fc}\u{80}");
        assert_eq!(rest("windows-1252", b"\xfc\x80\x9f"), "\u{fc}\u{20ac}\u{178}");
        assert_eq!(rest("utf-16", "\u{fc}".as_bytes()), "\u{fc}");
        assert_eq!(rest("Shift_JIS", b"ok \x83\x65"), "ok \u{fffd}e");
        assert_eq!(decode(b"<a>\xff\xe2\x82</a>\xe2\x82"), "<a>\u{fffd}\u{fffd}</a>\u{fffd}");
    }

    #[test]
    fn long_input_is_decoded_whole_and_bounded() {
        let text = "\u{20ac}\n".repeat(100_000);
        let bytes = text.as_bytes();
        let mut input = bytes;
        let mut decoder = Decoder::new(&mut input, bytes.len() as u64);
        let mut out = String::new();
        decoder.read_to_string(&mut out).unwrap();
        assert_eq!((out.len(), decoder.line()), (text.len(), 100_001));
        let mut input = bytes;
        let e = Decoder::new(&mut input, bytes.len() as u64 - 1).read_to_string(&mut out).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::FileTooLarge);
        let mut input = bytes;
        let mut decoder = Decoder::new(&mut input, u64::MAX);
        decoder.allow(1000);
        out.clear();
        assert!(decoder.read_to_string(&mut out).is_err());
    }
}
