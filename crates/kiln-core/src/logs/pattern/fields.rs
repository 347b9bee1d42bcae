//! Fields that are separated by blanks; what stands in quotation marks or brackets is one.

use super::{
    Problem,
    expression::{Expression, Reader},
    value::{Operand, Operator},
};

/// Fields that a message may have, at most; one with more does not match.
const MOST: usize = 1000;

/// What the fields of a message must be: those before the dots, and those behind them.
#[derive(Debug)]
pub(super) struct Fields {
    before: Vec<Field>,
    /// `None`: there are no dots, and there must be as many fields as were named.
    behind: Option<Vec<Field>>,
}

/// A field; any will do where nothing is said of it.
type Field = Option<Expression<(Operator, Operand)>>;

pub(super) fn parse(text: &str) -> Result<Fields, Problem> {
    let mut reader = Reader::new(text);
    reader.skip_blanks();
    reader.take("[");
    let mut fields = Fields { before: Vec::new(), behind: None };
    loop {
        reader.skip_blanks();
        let at = reader.at();
        if reader.take("...") || reader.take("…") {
            if fields.behind.replace(Vec::new()).is_some() {
                return Err(Problem::new(at, "the dots stand twice"));
            }
        } else {
            let field = field(&mut reader)?;
            fields.behind.as_mut().unwrap_or(&mut fields.before).push(field);
        }
        reader.skip_blanks();
        if reader.take("]") {
            break;
        }
        if !reader.take(",") {
            return Err(Problem::new(reader.at(), "expected a comma or the closing bracket"));
        }
    }
    reader.skip_blanks();
    if !reader.is_over() {
        return Err(Problem::new(reader.at(), "something follows the closing bracket"));
    }
    Ok(fields)
}

/// `name`, or `name = value && name != value`.
fn field(reader: &mut Reader<'_>) -> Result<Field, Problem> {
    const ENDS: [char; 10] = [',', ']', '=', '!', '<', '>', '&', '|', '(', ')'];
    let mut plain = reader.clone();
    plain.word(&ENDS);
    plain.skip_blanks();
    if matches!(plain.peek(), Some(',' | ']')) {
        // An empty name counts as a field as well.
        *reader = plain;
        return Ok(None);
    }
    if plain.is_over() {
        return Err(Problem::new(plain.at(), "expected a comma or the closing bracket"));
    }
    let name = std::cell::RefCell::new(None::<String>);
    let test = |reader: &mut Reader<'_>| {
        reader.skip_blanks();
        let at = reader.at();
        let found = reader.word(&ENDS);
        if found.is_empty() {
            return Err(Problem::new(at, "the name of a field is missing"));
        }
        if *name.borrow_mut().get_or_insert_with(|| found.clone()) != found {
            return Err(Problem::new(at, "conditions of one field name another"));
        }
        let operator = Operator::read(reader)
            .ok_or_else(|| Problem::new(reader.at(), "expected =, !=, <, <=, > or >= behind the name of the field"))?;
        let operand = Operand::read(reader, &[',', ']', '&', '|', ')'])?;
        operand.check(operator, at)?;
        Ok((operator, operand))
    };
    Expression::read(reader, 0, &test).map(Some)
}

/// The fields of a message.
fn split(message: &str) -> Option<Vec<&str>> {
    let mut fields = Vec::new();
    let mut rest = message.trim();
    while !rest.is_empty() {
        if fields.len() == MOST {
            return None;
        }
        let closing = match rest.chars().next() {
            Some('"') => Some('"'),
            Some('[') => Some(']'),
            _ => None,
        };
        let closed = closing.and_then(|closing| rest.get(1..)?.find(closing));
        let (field, behind) = match closed {
            Some(end) => (rest.get(1..=end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default()),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = behind.trim_start();
    }
    Some(fields)
}

impl Fields {
    pub(super) fn match_text(&self, message: &str) -> bool {
        let Some(found) = split(message) else { return false };
        let behind = self.behind.as_deref().unwrap_or_default();
        let named = self.before.len() + behind.len();
        if found.len() < named || (self.behind.is_none() && found.len() != named) {
            return false;
        }
        let last = found.iter().skip(found.len() - behind.len());
        self.before.iter().zip(&found).chain(behind.iter().zip(last)).all(|(field, text)| {
            field.as_ref().is_none_or(|field| field.holds(&|(operator, operand)| operand.match_text(*operator, text)))
        })
    }
}
