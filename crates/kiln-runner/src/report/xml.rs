//! XML as reports have it: elements, attributes and text, and nothing else. A document type is passed over, entities
//! beyond the five predefined ones stay as they are written, nothing is ever fetched, and depth, attributes and sizes are
//! bounded (`security.md` 5.5). What is not well-formed in a way that does not hide anything is forgiven: ampersands
//! that stand alone, characters that XML forbids, whatever follows the root element.

use std::{io, ops::Range};

use quick_xml::{
    Error, Reader,
    events::{BytesStart, Event},
};

use super::{
    ReportProblem,
    decode::{Decoder, TooLarge},
};

/// Elements within elements.
const MAX_DEPTH: usize = 128;
/// Attributes of an element.
const MAX_ATTRIBUTES: usize = 256;
/// Bytes of one element with its attributes, or of one text.
const MAX_TOKEN: usize = 32 << 20;
/// Bytes of one file.
pub(super) const MAX_FILE: u64 = 128 << 20;

/// What comes next. Name, attributes and text are read from [`Xml`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Start,
    End,
    Text,
    /// The root element has ended.
    Eof,
}

/// A report's elements, one after the other.
pub(super) struct Xml<'r> {
    reader: Reader<Decoder<'r>>,
    buffer: Vec<u8>,
    depth: usize,
    name: String,
    text: String,
    values: String,
    /// Name and value of each attribute in `values`.
    attributes: Vec<(Range<usize>, Range<usize>)>,
    ended: bool,
}

impl<'r> Xml<'r> {
    pub(super) fn new(input: &'r mut dyn io::Read) -> Self {
        let mut reader = Reader::from_reader(Decoder::new(input, MAX_FILE));
        let config = reader.config_mut();
        config.allow_dangling_amp = true;
        config.check_comments = false;
        config.expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
            name: String::new(),
            text: String::new(),
            values: String::new(),
            attributes: Vec::new(),
            ended: false,
        }
    }

    /// Goes to the root element and checks its name against the format's.
    pub(super) fn root(&mut self, expected: &[&'static str]) -> Result<(), ReportProblem> {
        match self.next()? {
            Token::Start if expected.contains(&self.name.as_str()) => Ok(()),
            Token::Start => Err(ReportProblem::Root {
                expected: expected.last().copied().unwrap_or_default(),
                found: super::cut(&self.name, 200),
            }),
            _ => Err(ReportProblem::Empty),
        }
    }

    /// Goes to the next element, end of element or text. Text outside of the root element is passed over.
    pub(super) fn next(&mut self) -> Result<Token, ReportProblem> {
        if self.ended {
            return Ok(Token::Eof);
        }
        loop {
            self.buffer.clear();
            self.reader.get_mut().allow(MAX_TOKEN);
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(e) => return Err(problem(e, self.reader.get_mut().line())),
            };
            match event {
                Event::Start(start) | Event::Empty(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(ReportProblem::Limit { what: "nested elements", limit: MAX_DEPTH as u64 });
                    }
                    self.name.clear();
                    self.name.push_str(start.local_name().as_ref());
                    self.values.clear();
                    self.attributes.clear();
                    if let Err(e) = read_attributes(&start, &mut self.values, &mut self.attributes) {
                        return Err(match e {
                            AttributesError::Many => {
                                ReportProblem::Limit { what: "attributes of an element", limit: MAX_ATTRIBUTES as u64 }
                            }
                            AttributesError::Malformed(reason) => {
                                ReportProblem::Syntax { line: self.reader.get_mut().line(), reason }
                            }
                        });
                    }
                    return Ok(Token::Start);
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    self.ended = self.depth == 0;
                    return Ok(Token::End);
                }
                Event::Eof if self.depth == 0 => {
                    self.ended = true;
                    return Ok(Token::Eof);
                }
                Event::Eof => {
                    let line = self.reader.get_mut().line();
                    return Err(ReportProblem::Syntax { line, reason: "unexpected EOF".to_owned() });
                }
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => {}
                Event::Text(text) => {
                    self.text.clear();
                    self.text.push_str(&text.xml10_content());
                    return Ok(Token::Text);
                }
                Event::CData(text) => {
                    self.text.clear();
                    self.text.push_str(&text.xml10_content());
                    return Ok(Token::Text);
                }
                Event::GeneralRef(reference) => {
                    self.text.clear();
                    expand(&reference, &mut self.text);
                    return Ok(Token::Text);
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    /// Name of the element that has begun, without its namespace's prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute of the element that has begun.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let is = |range: &Range<usize>| self.values.get(range.clone()) == Some(name);
        let (_, value) = self.attributes.iter().find(|(key, _)| is(key))?;
        self.values.get(value.clone())
    }

    /// The same, empty when it is not there, and cut.
    pub(super) fn text_attribute(&self, name: &str, most: usize) -> String {
        super::cut(self.attribute(name).unwrap_or_default(), most)
    }

    /// A count in an attribute: absent and empty are 0, as for AWS's parser; what is no number fails.
    pub(super) fn count(&self, name: &str) -> Result<u64, ReportProblem> {
        let Some(value) = self.attribute(name).map(str::trim).filter(|v| !v.is_empty()) else { return Ok(0) };
        value.parse().map_err(|_| ReportProblem::Attribute {
            element: self.name.clone(),
            attribute: name.to_owned(),
            value: super::cut(value, 100),
        })
    }

    /// Goes to the end of the element that has begun.
    pub(super) fn skip(&mut self) -> Result<(), ReportProblem> {
        self.content(0).map(drop)
    }

    /// Goes to the end of the element that has begun, and returns its text, and that of the elements in it, cut.
    pub(super) fn content(&mut self, most: usize) -> Result<String, ReportProblem> {
        let outside = self.depth.saturating_sub(1);
        let mut gathered = String::new();
        let mut left = most;
        loop {
            match self.next()? {
                Token::End if self.depth <= outside => return Ok(gathered),
                Token::Eof => return Ok(gathered),
                Token::Text if left > 0 => {
                    let piece = super::cut(&self.text, left);
                    left = left.saturating_sub(piece.chars().count());
                    gathered.push_str(&piece);
                }
                _ => {}
            }
        }
    }

    /// The next element within the one that has begun; `None` at its end. The caller goes to the end of each element
    /// that it is given before it asks for the next.
    pub(super) fn child(&mut self) -> Result<Option<()>, ReportProblem> {
        loop {
            match self.next()? {
                Token::Start => return Ok(Some(())),
                Token::End | Token::Eof => return Ok(None),
                Token::Text => {}
            }
        }
    }
}

enum AttributesError {
    Many,
    Malformed(String),
}

fn read_attributes(
    start: &BytesStart<'_>,
    values: &mut String,
    attributes: &mut Vec<(Range<usize>, Range<usize>)>,
) -> Result<(), AttributesError> {
    // Looking for doubles takes time that grows with the square of their number; the first one counts.
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|e| AttributesError::Malformed(e.to_string()))?;
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err(AttributesError::Many);
        }
        let from = values.len();
        values.push_str(attribute.key.local_name().as_ref());
        let middle = values.len();
        let mut rest = attribute.value.as_ref();
        while let Some((plain, reference)) = rest.split_once('&') {
            values.push_str(plain);
            // `&#1114111;` is the longest that means something.
            match reference.split_once(';').filter(|(name, _)| name.len() <= 12) {
                Some((name, behind)) => {
                    expand(name, values);
                    rest = behind;
                }
                None => {
                    values.push('&');
                    rest = reference;
                }
            }
        }
        values.push_str(rest);
        attributes.push((from..middle, middle..values.len()));
    }
    Ok(())
}

/// Appends what a reference means: a predefined entity, a character; anything else as it was written.
fn expand(name: &str, out: &mut String) {
    let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    });
    match (name, number.and_then(char::from_u32)) {
        ("lt", _) => out.push('<'),
        ("gt", _) => out.push('>'),
        ("amp", _) => out.push('&'),
        ("quot", _) => out.push('"'),
        ("apos", _) => out.push('\''),
        (_, Some(c)) if c != '\0' => out.push(c),
        (other, _) => {
            out.push('&');
            out.push_str(other);
            out.push(';');
        }
    }
}

fn problem(error: Error, line: u64) -> ReportProblem {
    match error {
        Error::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>()) {
            Some(large) => ReportProblem::Large { what: large.to_string() },
            None => ReportProblem::Read(io::Error::new(e.kind(), e.to_string())),
        },
        other => ReportProblem::Syntax { line, reason: other.to_string() },
    }
}
