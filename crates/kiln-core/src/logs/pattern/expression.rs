//! `&&`, `||` and parentheses around tests; and reading patterns.

use super::Problem;

/// Deepest nesting of parentheses.
const DEEPEST: usize = 32;

/// Tests, combined.
#[derive(Debug)]
pub(super) enum Expression<T> {
    Test(T),
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl<T> Expression<T> {
    /// Whether it holds, where `test` says which tests do.
    pub(super) fn holds(&self, test: &impl Fn(&T) -> bool) -> bool {
        match self {
            Self::Test(one) => test(one),
            Self::All(parts) => parts.iter().all(|part| part.holds(test)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(test)),
        }
    }

    /// Reads one; `&&` binds tighter than `||`.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        depth: usize,
        test: &impl Fn(&mut Reader<'_>) -> Result<T, Problem>,
    ) -> Result<Self, Problem> {
        if depth > DEEPEST {
            return Err(Problem::new(reader.at(), format!("parentheses are nested more than {DEEPEST} deep")));
        }
        let mut any = Vec::new();
        loop {
            let mut all = Vec::new();
            loop {
                reader.skip_blanks();
                if reader.take("(") {
                    all.push(Self::read(reader, depth + 1, test)?);
                    reader.skip_blanks();
                    if !reader.take(")") {
                        return Err(Problem::new(reader.at(), "a parenthesis is not closed"));
                    }
                } else {
                    all.push(Self::Test(test(reader)?));
                }
                reader.skip_blanks();
                if !reader.take("&&") {
                    break;
                }
            }
            any.push(one_of(all, Self::All));
            if !reader.take("||") {
                return Ok(one_of(any, Self::Any));
            }
        }
    }
}

/// One alone needs no bracket.
fn one_of<T>(mut parts: Vec<Expression<T>>, bracket: impl Fn(Vec<Expression<T>>) -> Expression<T>) -> Expression<T> {
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    bracket(parts)
}

/// A pattern that is read from its beginning to its end.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn is_over(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a text, if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// Takes a word of letters, whatever their case, if it comes next and ends there.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let begin = self.at;
        self.skip_blanks();
        let found = self.rest().chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>();
        if found.eq_ignore_ascii_case(word) {
            self.at += found.len();
            return true;
        }
        self.at = begin;
        false
    }

    /// What comes before a blank or one of these characters.
    pub(super) fn word(&mut self, ends: &[char]) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || ends.contains(&c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default().to_owned()
    }

    /// A text in quotation marks, if one begins here; a backslash takes the next character as it is.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, Problem> {
        let begin = self.at;
        if !self.take("\"") {
            return Ok(None);
        }
        let mut text = String::new();
        let mut letters = self.rest().char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += at + 1;
                    return Ok(Some(text));
                }
                '\\' => match letters.next() {
                    Some((_, letter @ ('"' | '\\'))) => text.push(letter),
                    Some((_, letter)) => text.extend(['\\', letter]),
                    None => break,
                },
                letter => text.push(letter),
            }
        }
        Err(Problem::new(begin, "a quotation mark is not closed"))
    }

    /// What stands between percent signs, if one begins here.
    pub(super) fn between_percent_signs(&mut self) -> Result<Option<String>, Problem> {
        let begin = self.at;
        if !self.take("%") {
            return Ok(None);
        }
        let rest = self.rest();
        match rest.find('%') {
            Some(0) => Err(Problem::new(begin, "there is nothing between the percent signs")),
            Some(end) => {
                self.at += end + 1;
                Ok(rest.get(..end).map(str::to_owned))
            }
            None => Err(Problem::new(begin, "a percent sign is not closed")),
        }
    }
}
