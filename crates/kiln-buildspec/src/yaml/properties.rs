//! Directives, anchors, aliases and tags.

use super::{
    Fault,
    scanner::{Scanner, TokenKind},
};
use crate::source::Mark;

impl Scanner<'_> {
    pub(super) fn scan_directive(&mut self) -> Result<(), Fault> {
        const CONTEXT: &str = "while scanning a directive";
        let start = self.mark;
        self.advance();
        let name = self.read_word();
        if name.is_empty() {
            return self.error("could not find expected directive name", CONTEXT, start);
        }
        if !self.is_blank_break_or_end(0) {
            return self.error("found unexpected non-alphabetical character", CONTEXT, start);
        }
        let kind = match name.as_str() {
            "YAML" => self.scan_version(start)?,
            "TAG" => self.scan_tag_directive(start)?,
            _ => return self.error("found unknown directive name", CONTEXT, start),
        };
        self.push(kind, start);
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_line_rest();
        }
        if !self.is_break_or_end() {
            return self.error("did not find expected comment or line break", CONTEXT, start);
        }
        self.advance_line();
        Ok(())
    }

    /// ASCII letters, digits, `_` and `-`.
    fn read_word(&mut self) -> String {
        let mut word = String::new();
        while matches!(self.byte(0), b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-') {
            self.read(&mut word);
        }
        word
    }

    fn scan_version(&mut self, start: Mark) -> Result<TokenKind, Fault> {
        self.skip_blanks();
        let major = self.scan_version_number(start)?;
        if self.byte(0) != b'.' {
            return self.error(
                "did not find expected digit or '.' character",
                "while scanning a %YAML directive",
                start,
            );
        }
        self.advance();
        let minor = self.scan_version_number(start)?;
        Ok(TokenKind::VersionDirective(major, minor))
    }

    fn scan_version_number(&mut self, start: Mark) -> Result<u32, Fault> {
        const CONTEXT: &str = "while scanning a %YAML directive";
        let mut digits = String::new();
        while self.byte(0).is_ascii_digit() {
            if digits.len() == 9 {
                return self.error("found extremely long version number", CONTEXT, start);
            }
            self.read(&mut digits);
        }
        match digits.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.error("did not find expected version number", CONTEXT, start),
        }
    }

    fn scan_tag_directive(&mut self, start: Mark) -> Result<TokenKind, Fault> {
        const CONTEXT: &str = "while scanning a %TAG directive";
        self.skip_blanks();
        let handle = self.scan_tag_handle(true, start)?;
        if !self.is_blank(0) {
            return self.error("did not find expected whitespace", CONTEXT, start);
        }
        self.skip_blanks();
        let prefix = self.scan_tag_uri(true, true, "", start)?;
        if !self.is_blank_break_or_end(0) {
            return self.error("did not find expected whitespace or line break", CONTEXT, start);
        }
        Ok(TokenKind::TagDirective { handle, prefix })
    }

    pub(super) fn scan_anchor(&mut self, alias: bool) -> Result<(), Fault> {
        let start = self.mark;
        self.advance();
        let name = self.read_word();
        let ends = self.is_blank_break_or_end(0)
            || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !ends {
            return self.error(
                "did not find expected alphabetic or numeric character",
                if alias { "while scanning an alias" } else { "while scanning an anchor" },
                start,
            );
        }
        self.push(if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) }, start);
        Ok(())
    }

    pub(super) fn scan_tag(&mut self) -> Result<(), Fault> {
        const CONTEXT: &str = "while scanning a tag";
        let start = self.mark;
        let (handle, suffix) = if self.byte(1) == b'<' {
            self.advance();
            self.advance();
            let suffix = self.scan_tag_uri(true, false, "", start)?;
            if self.byte(0) != b'>' {
                return self.error("did not find the expected '>'", CONTEXT, start);
            }
            self.advance();
            (String::new(), suffix)
        } else {
            let handle = self.scan_tag_handle(false, start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                let suffix = self.scan_tag_uri(false, false, "", start)?;
                (handle, suffix)
            } else {
                let suffix = self.scan_tag_uri(false, false, &handle, start)?;
                // The tag "!" alone: its handle is empty and its suffix is "!".
                if suffix.is_empty() { (String::new(), "!".to_owned()) } else { ("!".to_owned(), suffix) }
            }
        };
        if !(self.is_blank_break_or_end(0) || (self.in_flow() && self.byte(0) == b',')) {
            return self.error("did not find expected whitespace or line break", CONTEXT, start);
        }
        self.push(TokenKind::Tag { handle, suffix }, start);
        Ok(())
    }

    fn scan_tag_handle(&mut self, directive: bool, start: Mark) -> Result<String, Fault> {
        if self.byte(0) != b'!' {
            let context = if directive { "while scanning a tag directive" } else { "while scanning a tag" };
            return self.error("did not find expected '!'", context, start);
        }
        let mut handle = String::new();
        self.read(&mut handle);
        handle.push_str(&self.read_word());
        if self.byte(0) == b'!' {
            self.read(&mut handle);
        } else if directive && handle != "!" {
            return self.error("did not find expected '!'", "while parsing a tag directive", start);
        }
        Ok(handle)
    }

    fn scan_tag_uri(&mut self, uri: bool, directive: bool, head: &str, start: Mark) -> Result<String, Fault> {
        let context = if directive { "while parsing a %TAG directive" } else { "while parsing a tag" };
        let mut text = head.strip_prefix('!').unwrap_or(head).to_owned();
        let mut empty = head.is_empty();
        loop {
            match self.byte(0) {
                b'%' => text.push(self.scan_uri_escape(context, start)?),
                b'0'..=b'9'
                | b'A'..=b'Z'
                | b'a'..=b'z'
                | b'_'
                | b'-'
                | b';'
                | b'/'
                | b'?'
                | b':'
                | b'@'
                | b'&'
                | b'='
                | b'+'
                | b'$'
                | b'.'
                | b'!'
                | b'~'
                | b'*'
                | b'\''
                | b'('
                | b')' => self.read(&mut text),
                b',' | b'[' | b']' if uri => self.read(&mut text),
                _ if empty => return self.error("did not find expected tag URI", context, start),
                _ => return Ok(text),
            }
            empty = false;
        }
    }

    /// One character written as `%XX` for each of its bytes in UTF-8.
    fn scan_uri_escape(&mut self, context: &'static str, start: Mark) -> Result<char, Fault> {
        let mut bytes = Vec::new();
        loop {
            let digits = self.text.get(self.mark.offset + 1..self.mark.offset + 3);
            let octet = digits
                .filter(|d| self.byte(0) == b'%' && d.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|d| u8::from_str_radix(d, 16).ok());
            let Some(octet) = octet else {
                return self.error("did not find URI escaped octet", context, start);
            };
            if bytes.is_empty() && matches!(octet, 0x80..=0xbf | 0xf8..) {
                return self.error("found an incorrect leading UTF-8 octet", context, start);
            }
            if !bytes.is_empty() && octet & 0xc0 != 0x80 {
                return self.error("found an incorrect trailing UTF-8 octet", context, start);
            }
            bytes.push(octet);
            for _ in 0..3 {
                self.advance();
            }
            if let Some(c) = std::str::from_utf8(&bytes).ok().and_then(|s| s.chars().next()) {
                return Ok(c);
            }
            if bytes.len() == 4 {
                return self.error("found an incorrect trailing UTF-8 octet", context, start);
            }
        }
    }
}
