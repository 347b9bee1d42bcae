//! Terms: all of them must be in the message, none of those behind a minus; with question marks alone, any of them.

use memchr::memmem;
use regex::Regex;

use super::{Problem, expression::Reader, value::regex};

/// What must be in a message, or must not.
#[derive(Debug, Default)]
pub(super) struct Terms {
    all: Vec<Term>,
    none: Vec<Term>,
    /// Counts only where nothing else is said: AWS ignores it beside other terms.
    any: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => memmem::find(message.as_bytes(), text.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Terms, Problem> {
    let mut reader = Reader::new(text);
    let mut terms = Terms::default();
    loop {
        reader.skip_blanks();
        if reader.is_over() {
            return Ok(terms);
        }
        let at = reader.at();
        let list = if reader.take("-") {
            &mut terms.none
        } else if reader.take("?") {
            &mut terms.any
        } else {
            &mut terms.all
        };
        let begin = reader.at();
        let term = if let Some(text) = reader.quoted()? {
            Term::Text(text)
        } else if let Some(text) = reader.between_percent_signs()? {
            Term::Regex(regex(begin, &text)?)
        } else {
            Term::Text(reader.word(&['"']))
        };
        if matches!(&term, Term::Text(text) if text.is_empty()) {
            return Err(Problem::new(at, "a term is missing"));
        }
        list.push(term);
    }
}

impl Terms {
    pub(super) fn match_text(&self, message: &str) -> bool {
        let is_in = |term: &Term| term.is_in(message);
        if self.all.is_empty() && self.none.is_empty() {
            return self.any.iter().any(is_in);
        }
        self.all.iter().all(is_in) && !self.none.iter().any(is_in)
    }
}
