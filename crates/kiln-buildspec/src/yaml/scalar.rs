//! The three ways to write a scalar.

use super::{Fault, Style, scanner::Scanner};
use crate::source::Mark;

/// Line breaks inside a flow scalar, which folding turns into a blank or into fewer breaks.
#[derive(Default)]
struct Folding {
    /// A break was seen since the last character of the text.
    on_new_line: bool,
    /// The first of them.
    first: String,
    /// The others.
    further: String,
    /// Blanks that stand between two characters of one line.
    blanks: String,
}

impl Folding {
    /// Writes out what was seen between two characters.
    fn flush(&mut self, text: &mut String) {
        if !self.on_new_line {
            text.push_str(&self.blanks);
        } else if self.first.starts_with('\n') {
            if self.further.is_empty() {
                text.push(' ');
            } else {
                text.push_str(&self.further);
            }
        } else {
            text.push_str(&self.first);
            text.push_str(&self.further);
        }
        self.on_new_line = false;
        self.first.clear();
        self.further.clear();
        self.blanks.clear();
    }

    fn line_break(&mut self, c: Option<char>) {
        if self.on_new_line {
            self.further.extend(c);
        } else {
            self.blanks.clear();
            self.first.extend(c);
            self.on_new_line = true;
        }
    }
}

impl Scanner<'_> {
    /// `|` and `>`. Returns the text and the end of its last line.
    pub(super) fn scan_block_scalar(&mut self, style: Style) -> Result<(String, Mark), Fault> {
        const CONTEXT: &str = "while scanning a block scalar";
        let start = self.mark;
        self.advance();

        // Header: chomping and indentation indicator in either order.
        let mut chomping = None;
        let mut increment = 0;
        for _ in 0..2 {
            match self.byte(0) {
                sign @ (b'+' | b'-') if chomping.is_none() => chomping = Some(sign),
                b'0' if increment == 0 => {
                    return self.error("found an indentation indicator equal to 0", CONTEXT, start);
                }
                digit @ b'1'..=b'9' if increment == 0 => increment = i64::from(digit - b'0'),
                _ => break,
            }
            self.advance();
        }
        self.skip_blanks();
        if self.byte(0) == b'#' {
            while !self.is_break_or_end() {
                self.advance();
            }
        }
        if !self.is_break_or_end() {
            return self.error("did not find expected comment or line break", CONTEXT, start);
        }
        self.advance_line();

        let mut end = self.mark;
        let mut indent = if increment > 0 { self.indent.max(0) + increment } else { 0 };
        let mut text = String::new();
        let mut first_break = String::new();
        let mut further_breaks = String::new();
        let mut after_blank = false;
        self.scan_block_breaks(&mut indent, &mut further_breaks, start, &mut end)?;
        while self.column() == indent && !self.at_end() {
            let blank = self.is_blank(0);
            if style == Style::Folded && first_break.starts_with('\n') && !after_blank && !blank {
                if further_breaks.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(&first_break);
            }
            first_break.clear();
            text.push_str(&further_breaks);
            further_breaks.clear();
            after_blank = blank;
            while !self.is_break_or_end() {
                self.read(&mut text);
            }
            first_break.extend(self.advance_line());
            self.scan_block_breaks(&mut indent, &mut further_breaks, start, &mut end)?;
        }
        if chomping != Some(b'-') {
            text.push_str(&first_break);
        }
        if chomping == Some(b'+') {
            text.push_str(&further_breaks);
        }
        Ok((text, end))
    }

    /// Skips indentation and empty lines; finds the indentation if it is not known yet (0).
    fn scan_block_breaks(
        &mut self,
        indent: &mut i64,
        breaks: &mut String,
        start: Mark,
        end: &mut Mark,
    ) -> Result<(), Fault> {
        let mut deepest = 0;
        *end = self.mark;
        loop {
            while (*indent == 0 || self.column() < *indent) && self.byte(0) == b' ' {
                self.advance();
            }
            deepest = deepest.max(self.column());
            if (*indent == 0 || self.column() < *indent) && self.byte(0) == b'\t' {
                return self.error(
                    "found a tab character where an indentation space is expected",
                    "while scanning a block scalar",
                    start,
                );
            }
            let Some(c) = self.advance_line() else { break };
            breaks.push(c);
            *end = self.mark;
        }
        if *indent == 0 {
            *indent = deepest.max(self.indent + 1).max(1);
        }
        Ok(())
    }

    /// `'…'` and `"…"`.
    pub(super) fn scan_flow_scalar(&mut self, style: Style) -> Result<String, Fault> {
        const CONTEXT: &str = "while scanning a quoted scalar";
        let quote = if style == Style::SingleQuoted { b'\'' } else { b'"' };
        let start = self.mark;
        self.advance();
        let mut text = String::new();
        let mut folding = Folding::default();
        loop {
            if self.at_document_indicator() {
                return self.error("found unexpected document indicator", CONTEXT, start);
            }
            if self.at_end() {
                return self.error("found unexpected end of stream", CONTEXT, start);
            }
            while !self.is_blank_break_or_end(0) {
                if style == Style::SingleQuoted && self.byte(0) == b'\'' && self.byte(1) == b'\'' {
                    text.push('\'');
                    self.advance();
                    self.advance();
                } else if self.byte(0) == quote {
                    break;
                } else if style == Style::DoubleQuoted && self.byte(0) == b'\\' && self.is_break(1) {
                    // An escaped line break joins the lines: no blank, and the next line's indentation is dropped.
                    self.advance();
                    self.advance_line();
                    folding.on_new_line = true;
                    break;
                } else if style == Style::DoubleQuoted && self.byte(0) == b'\\' {
                    text.push(self.scan_escape(start)?);
                } else {
                    self.read(&mut text);
                }
            }
            if self.byte(0) == quote {
                self.advance();
                return Ok(text);
            }
            while self.is_blank(0) || self.is_break(0) {
                if self.is_break(0) {
                    let c = self.advance_line();
                    folding.line_break(c);
                } else if folding.on_new_line {
                    self.advance();
                } else {
                    self.read(&mut folding.blanks);
                }
            }
            folding.flush(&mut text);
        }
    }

    fn scan_escape(&mut self, start: Mark) -> Result<char, Fault> {
        const CONTEXT: &str = "while parsing a quoted scalar";
        let simple = match self.byte(1) {
            b'0' => '\0',
            b'a' => '\x07',
            b'b' => '\x08',
            b't' | b'\t' => '\t',
            b'n' => '\n',
            b'v' => '\x0b',
            b'f' => '\x0c',
            b'r' => '\r',
            b'e' => '\x1b',
            c @ (b' ' | b'"' | b'/' | b'\\') => char::from(c),
            b'N' => '\u{85}',
            b'_' => '\u{a0}',
            b'L' => '\u{2028}',
            b'P' => '\u{2029}',
            c @ (b'x' | b'u' | b'U') => {
                let length = match c {
                    b'x' => 2,
                    b'u' => 4,
                    _ => 8,
                };
                self.advance();
                self.advance();
                let digits = self.text.get(self.mark.offset..self.mark.offset + length);
                let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(value) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
                    return self.error("did not find expected hexdecimal number", CONTEXT, start);
                };
                let Some(c) = char::from_u32(value) else {
                    return self.error("found invalid Unicode character escape code", CONTEXT, start);
                };
                for _ in 0..length {
                    self.advance();
                }
                return Ok(c);
            }
            _ => return self.error("found unknown escape character", CONTEXT, start),
        };
        self.advance();
        self.advance();
        Ok(simple)
    }

    /// Returns the text and the end of its last character.
    pub(super) fn scan_plain_scalar(&mut self) -> Result<(String, Mark), Fault> {
        const CONTEXT: &str = "while scanning a plain scalar";
        let start = self.mark;
        let mut end = start;
        let indent = self.indent + 1;
        let mut text = String::new();
        let mut folding = Folding::default();
        loop {
            if self.at_document_indicator() || self.byte(0) == b'#' {
                break;
            }
            while !self.is_blank_break_or_end(0) {
                if self.in_flow()
                    && self.byte(0) == b':'
                    && matches!(self.byte(1), b',' | b'?' | b'[' | b']' | b'{' | b'}')
                {
                    return self.error("found unexpected ':'", CONTEXT, start);
                }
                if (self.byte(0) == b':' && self.is_blank_break_or_end(1))
                    || (self.in_flow() && matches!(self.byte(0), b',' | b'[' | b']' | b'{' | b'}'))
                {
                    break;
                }
                if folding.on_new_line || !folding.blanks.is_empty() {
                    folding.flush(&mut text);
                }
                self.read(&mut text);
                end = self.mark;
            }
            if !(self.is_blank(0) || self.is_break(0)) {
                break;
            }
            while self.is_blank(0) || self.is_break(0) {
                if self.is_break(0) {
                    let c = self.advance_line();
                    folding.line_break(c);
                } else if !folding.on_new_line {
                    self.read(&mut folding.blanks);
                } else if self.column() < indent && self.byte(0) == b'\t' {
                    return self.error("found a tab character that violates indentation", CONTEXT, start);
                } else {
                    self.advance();
                }
            }
            if !self.in_flow() && self.column() < indent {
                break;
            }
        }
        if folding.on_new_line {
            self.simple_key_allowed = true;
        }
        Ok((text, end))
    }
}
