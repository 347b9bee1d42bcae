//! From text to tokens, by libyaml's rules (version 0.2.5).
//!
//! libyaml's particular idea is the *simple key*: whether `a` is a key shows only at the `:` behind it, so tokens are
//! queued until no token in front of the queue can still turn out to be one. A simple key is at most 1,024 characters
//! long and on one line, which bounds the look-ahead.

use std::collections::VecDeque;

use super::{Fault, MAX_DEPTH, Style};
use crate::{diagnostic::Code, source::Mark};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TokenKind {
    StreamStart,
    StreamEnd,
    /// Major and minor version.
    VersionDirective(u32, u32),
    TagDirective {
        handle: String,
        prefix: String,
    },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag {
        handle: String,
        suffix: String,
    },
    Scalar {
        text: String,
        style: Style,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

#[derive(Debug, Clone, Copy)]
struct SimpleKey {
    possible: bool,
    /// At the indentation of a block mapping only a key can stand.
    required: bool,
    /// Number of the token that would be the key, counted from the start of the stream.
    token: usize,
    mark: Mark,
    /// Characters before it.
    index: usize,
}

const NO_KEY: SimpleKey = SimpleKey { possible: false, required: false, token: 0, mark: Mark::START, index: 0 };
const MAX_SIMPLE_KEY: usize = 1024;

/// Reads tokens from a text without NUL and other control characters ([`crate::source::SourceText::decode`]).
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) mark: Mark,
    /// Characters before [`Self::mark`].
    index: usize,
    tokens: VecDeque<Token>,
    /// Tokens taken out of the queue.
    taken: usize,
    started: bool,
    /// Column (from 0) of the innermost block; -1 outside.
    pub(super) indent: i64,
    indents: Vec<i64>,
    pub(super) simple_key_allowed: bool,
    /// One for each open flow collection.
    simple_keys: Vec<SimpleKey>,
    /// The one outside flow collections.
    base_key: SimpleKey,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            mark: Mark::START,
            index: 0,
            tokens: VecDeque::new(),
            taken: 0,
            started: false,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: Vec::new(),
            base_key: NO_KEY,
        }
    }

    /// The next token, which stays where it is. After the end of the stream: the end again.
    pub(super) fn peek(&mut self) -> Result<&mut Token, Fault> {
        self.fetch_more()?;
        let mark = self.mark;
        self.tokens.front_mut().ok_or(Fault::Syntax {
            problem: "did not find expected <stream-start>",
            at: mark,
            context: "",
            context_at: None,
        })
    }

    /// Takes the token that [`Self::peek`] showed.
    pub(super) fn skip(&mut self) {
        if self.tokens.pop_front().is_some() {
            self.taken += 1;
        }
    }

    // Reading characters.

    pub(super) fn in_flow(&self) -> bool {
        !self.simple_keys.is_empty()
    }

    /// The byte `ahead` of the current one; 0 behind the end.
    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.mark.offset + ahead).copied().unwrap_or(0)
    }

    pub(super) fn at_end(&self) -> bool {
        self.mark.offset >= self.text.len()
    }

    /// Column from 0.
    pub(super) fn column(&self) -> i64 {
        i64::from(self.mark.column) - 1
    }

    fn break_length(&self, ahead: usize) -> usize {
        match (self.byte(ahead), self.byte(ahead + 1), self.byte(ahead + 2)) {
            (b'\r', b'\n', _) | (0xc2, 0x85, _) => 2,
            (b'\r' | b'\n', _, _) => 1,
            (0xe2, 0x80, 0xa8 | 0xa9) => 3,
            _ => 0,
        }
    }

    pub(super) fn is_break(&self, ahead: usize) -> bool {
        self.break_length(ahead) > 0
    }

    pub(super) fn is_blank(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), b' ' | b'\t')
    }

    /// A blank, a line break or the end of the text. (No text holds a NUL, so 0 is the end.)
    pub(super) fn is_blank_break_or_end(&self, ahead: usize) -> bool {
        matches!(self.byte(ahead), 0 | b' ' | b'\t') || self.is_break(ahead)
    }

    pub(super) fn is_break_or_end(&self) -> bool {
        self.byte(0) == 0 || self.is_break(0)
    }

    /// Goes on by one character that is no line break.
    pub(super) fn advance(&mut self) -> Option<char> {
        let c = self.text.get(self.mark.offset..)?.chars().next()?;
        self.mark.offset += c.len_utf8();
        self.mark.column = self.mark.column.saturating_add(1);
        self.index += 1;
        Some(c)
    }

    pub(super) fn read(&mut self, into: &mut String) {
        into.extend(self.advance());
    }

    /// Goes on to the next line, if a line break is here. Returns what it stands for: a line feed, or the Unicode break
    /// itself.
    pub(super) fn advance_line(&mut self) -> Option<char> {
        let length = self.break_length(0);
        if length == 0 {
            return None;
        }
        let c = if length == 3 { self.text.get(self.mark.offset..)?.chars().next()? } else { '\n' };
        self.index += if self.byte(0) == b'\r' { length } else { 1 };
        self.mark.offset += length;
        self.mark.line = self.mark.line.saturating_add(1);
        self.mark.column = 1;
        Some(c)
    }

    /// `---` or `...` at the beginning of a line.
    pub(super) fn at_document_indicator(&self) -> bool {
        let three = [self.byte(0), self.byte(1), self.byte(2)];
        self.column() == 0 && (three == *b"---" || three == *b"...") && self.is_blank_break_or_end(3)
    }

    pub(super) fn error<T>(&self, problem: &'static str, context: &'static str, from: Mark) -> Result<T, Fault> {
        Err(Fault::Syntax { problem, at: self.mark, context, context_at: (!context.is_empty()).then_some(from) })
    }

    // Simple keys and indentation.

    fn current_key(&mut self) -> &mut SimpleKey {
        self.simple_keys.last_mut().unwrap_or(&mut self.base_key)
    }

    fn all_keys(&mut self) -> impl Iterator<Item = &mut SimpleKey> {
        self.simple_keys.iter_mut().chain(std::iter::once(&mut self.base_key))
    }

    fn missing_colon<T>(&self, key: Mark) -> Result<T, Fault> {
        self.error("could not find expected ':'", "while scanning a simple key", key)
    }

    fn drop_stale_keys(&mut self) -> Result<(), Fault> {
        let (line, index) = (self.mark.line, self.index);
        let mut missing = None;
        for key in self.all_keys() {
            if key.possible && (key.mark.line < line || key.index + MAX_SIMPLE_KEY < index) {
                if key.required {
                    missing = Some(key.mark);
                }
                key.possible = false;
            }
        }
        missing.map_or(Ok(()), |key| self.missing_colon(key))
    }

    fn save_key(&mut self) -> Result<(), Fault> {
        if self.simple_key_allowed {
            let required = !self.in_flow() && self.indent == self.column();
            let key = SimpleKey {
                possible: true,
                required,
                token: self.taken + self.tokens.len(),
                mark: self.mark,
                index: self.index,
            };
            self.drop_key()?;
            *self.current_key() = key;
        }
        Ok(())
    }

    fn drop_key(&mut self) -> Result<(), Fault> {
        let key = *self.current_key();
        self.current_key().possible = false;
        if key.possible && key.required { self.missing_colon(key.mark) } else { Ok(()) }
    }

    /// Opens a block at `column` if it is deeper than the current one; its token goes in front of token number `before`.
    fn roll_indent(&mut self, column: i64, before: Option<usize>, kind: TokenKind, mark: Mark) -> Result<(), Fault> {
        if self.in_flow() || self.indent >= column {
            return Ok(());
        }
        if self.indents.len() > MAX_DEPTH {
            return Err(too_deep(mark));
        }
        self.indents.push(self.indent);
        self.indent = column;
        self.insert(before, Token { kind, start: mark, end: mark });
        Ok(())
    }

    fn insert(&mut self, before: Option<usize>, token: Token) {
        let at = before.map_or(self.tokens.len(), |number| number.saturating_sub(self.taken));
        self.tokens.insert(at.min(self.tokens.len()), token);
    }

    fn unroll_indent(&mut self, column: i64) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            self.push(TokenKind::BlockEnd, self.mark);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    // Tokens.

    pub(super) fn push(&mut self, kind: TokenKind, start: Mark) {
        self.tokens.push_back(Token { kind, start, end: self.mark });
    }

    fn fetch_more(&mut self) -> Result<(), Fault> {
        loop {
            if !self.tokens.is_empty() {
                self.drop_stale_keys()?;
                let next = self.taken;
                if !self.all_keys().any(|key| key.possible && key.token == next) {
                    return Ok(());
                }
            }
            self.fetch_next()?;
        }
    }

    fn fetch_next(&mut self) -> Result<(), Fault> {
        if !self.started {
            self.started = true;
            self.push(TokenKind::StreamStart, self.mark);
            return Ok(());
        }
        self.skip_to_token();
        self.drop_stale_keys()?;
        self.unroll_indent(self.column());
        if self.at_end() {
            return self.fetch_stream_end();
        }
        let first = self.byte(0);
        if self.column() == 0 && first == b'%' {
            self.unroll_indent(-1);
            self.drop_key()?;
            self.simple_key_allowed = false;
            return self.scan_directive();
        }
        if self.at_document_indicator() {
            return self.fetch_document_indicator(first);
        }
        let separated = self.is_blank_break_or_end(1);
        match first {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => {
                self.drop_key()?;
                self.simple_key_allowed = true;
                self.push_indicator(TokenKind::FlowEntry, 1);
                Ok(())
            }
            b'-' if separated => self.fetch_block_entry(),
            b'?' if separated || self.in_flow() => self.fetch_key(),
            b':' if separated || self.in_flow() => self.fetch_value(),
            b'*' | b'&' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.scan_anchor(first == b'*')
            }
            b'!' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                self.scan_tag()
            }
            b'|' | b'>' if !self.in_flow() => {
                self.drop_key()?;
                self.simple_key_allowed = true;
                let start = self.mark;
                let style = if first == b'|' { Style::Literal } else { Style::Folded };
                let (text, end) = self.scan_block_scalar(style)?;
                self.tokens.push_back(Token { kind: TokenKind::Scalar { text, style }, start, end });
                Ok(())
            }
            b'\'' | b'"' => {
                self.save_key()?;
                self.simple_key_allowed = false;
                let start = self.mark;
                let style = if first == b'"' { Style::DoubleQuoted } else { Style::SingleQuoted };
                let text = self.scan_flow_scalar(style)?;
                self.push(TokenKind::Scalar { text, style }, start);
                Ok(())
            }
            _ if self.begins_plain_scalar(first) => {
                self.save_key()?;
                self.simple_key_allowed = false;
                let start = self.mark;
                let (text, end) = self.scan_plain_scalar()?;
                self.tokens.push_back(Token { kind: TokenKind::Scalar { text, style: Style::Plain }, start, end });
                Ok(())
            }
            _ => self.error(
                "found character that cannot start any token",
                "while scanning for the next token",
                self.mark,
            ),
        }
    }

    fn begins_plain_scalar(&self, first: u8) -> bool {
        match first {
            b'-' => !self.is_blank(1),
            b'?' | b':' => !self.in_flow() && !self.is_blank_break_or_end(1),
            b' ' | b'\t' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\''
            | b'"' | b'%' | b'@' | b'`' => false,
            _ => true,
        }
    }

    fn skip_to_token(&mut self) {
        loop {
            if self.column() == 0 && self.text.get(self.mark.offset..).is_some_and(|rest| rest.starts_with('\u{feff}'))
            {
                self.advance();
            }
            while self.byte(0) == b' ' || (self.byte(0) == b'\t' && (self.in_flow() || !self.simple_key_allowed)) {
                self.advance();
            }
            if self.byte(0) == b'#' {
                self.skip_line_rest();
            }
            if self.advance_line().is_none() {
                return;
            }
            if !self.in_flow() {
                self.simple_key_allowed = true;
            }
        }
    }

    pub(super) fn skip_line_rest(&mut self) {
        while !self.is_break_or_end() {
            self.advance();
        }
    }

    pub(super) fn skip_blanks(&mut self) {
        while self.is_blank(0) {
            self.advance();
        }
    }

    fn push_indicator(&mut self, kind: TokenKind, length: usize) {
        let start = self.mark;
        for _ in 0..length {
            self.advance();
        }
        self.push(kind, start);
    }

    fn fetch_stream_end(&mut self) -> Result<(), Fault> {
        if self.column() != 0 {
            self.mark.column = 1;
            self.mark.line = self.mark.line.saturating_add(1);
        }
        self.unroll_indent(-1);
        self.drop_key()?;
        self.simple_key_allowed = false;
        self.push(TokenKind::StreamEnd, self.mark);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, first: u8) -> Result<(), Fault> {
        self.unroll_indent(-1);
        self.drop_key()?;
        self.simple_key_allowed = false;
        self.push_indicator(if first == b'-' { TokenKind::DocumentStart } else { TokenKind::DocumentEnd }, 3);
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind) -> Result<(), Fault> {
        self.save_key()?;
        if self.simple_keys.len() > MAX_DEPTH {
            return Err(too_deep(self.mark));
        }
        self.simple_keys.push(NO_KEY);
        self.simple_key_allowed = true;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind) -> Result<(), Fault> {
        self.drop_key()?;
        self.simple_keys.pop();
        self.simple_key_allowed = false;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Fault> {
        if !self.in_flow() {
            if !self.simple_key_allowed {
                return self.error("block sequence entries are not allowed in this context", "", self.mark);
            }
            self.roll_indent(self.column(), None, TokenKind::BlockSequenceStart, self.mark)?;
        }
        self.drop_key()?;
        self.simple_key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Fault> {
        if !self.in_flow() {
            if !self.simple_key_allowed {
                return self.error("mapping keys are not allowed in this context", "", self.mark);
            }
            self.roll_indent(self.column(), None, TokenKind::BlockMappingStart, self.mark)?;
        }
        self.drop_key()?;
        self.simple_key_allowed = !self.in_flow();
        self.push_indicator(TokenKind::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Fault> {
        let key = *self.current_key();
        if key.possible {
            self.insert(Some(key.token), Token { kind: TokenKind::Key, start: key.mark, end: key.mark });
            self.current_key().possible = false;
            let column = i64::from(key.mark.column) - 1;
            self.roll_indent(column, Some(key.token), TokenKind::BlockMappingStart, key.mark)?;
            self.simple_key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.simple_key_allowed {
                    return self.error("mapping values are not allowed in this context", "", self.mark);
                }
                self.roll_indent(self.column(), None, TokenKind::BlockMappingStart, self.mark)?;
            }
            self.simple_key_allowed = !self.in_flow();
        }
        self.push_indicator(TokenKind::Value, 1);
        Ok(())
    }
}

pub(super) fn too_deep(at: Mark) -> Fault {
    Fault::limit(Code::YamlTooDeep, at, format!("lists and mappings are nested more than {MAX_DEPTH} deep"))
}
