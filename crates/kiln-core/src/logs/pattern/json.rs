//! Tests of members of a JSON object.

use serde_json::Value;

use super::{
    Problem,
    expression::{Expression, Reader},
    value::{Operand, Operator},
};

/// Steps of a path, at most.
const DEEPEST: usize = 64;

/// A test of what a path leads to.
#[derive(Debug)]
pub(super) struct Test {
    path: Vec<Step>,
    wanted: Wanted,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
    /// Any item.
    Items,
}

#[derive(Debug)]
enum Wanted {
    Compared(Operator, Operand),
    Is(Value),
    Missing,
}

pub(super) fn parse(text: &str) -> Result<Expression<Test>, Problem> {
    let mut reader = Reader::new(text);
    reader.skip_blanks();
    reader.take("{");
    let expression = Expression::read(&mut reader, 0, &test)?;
    reader.skip_blanks();
    if !reader.take("}") {
        return Err(Problem::new(reader.at(), "expected &&, || or the closing brace"));
    }
    reader.skip_blanks();
    if !reader.is_over() {
        return Err(Problem::new(reader.at(), "something follows the closing brace"));
    }
    Ok(expression)
}

fn test(reader: &mut Reader<'_>) -> Result<Test, Problem> {
    reader.skip_blanks();
    let path = path(reader)?;
    let at = reader.at();
    if reader.take_word("NOT") {
        return match reader.take_word("EXISTS") {
            true => Ok(Test { path, wanted: Wanted::Missing }),
            false => Err(Problem::new(reader.at(), "expected EXISTS behind NOT")),
        };
    }
    if reader.take_word("IS") {
        for (word, value) in [("NULL", Value::Null), ("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false))] {
            if reader.take_word(word) {
                return Ok(Test { path, wanted: Wanted::Is(value) });
            }
        }
        return Err(Problem::new(reader.at(), "expected NULL, TRUE or FALSE behind IS"));
    }
    let operator = Operator::read(reader)
        .ok_or_else(|| Problem::new(at, "expected =, !=, <, <=, >, >=, IS or NOT EXISTS behind the path"))?;
    let operand = Operand::read(reader, &['}', ')', '&', '|'])?;
    operand.check(operator, at)?;
    Ok(Test { path, wanted: Wanted::Compared(operator, operand) })
}

/// `$.a.b[0]`; also `$.a["b c"]`.
fn path(reader: &mut Reader<'_>) -> Result<Vec<Step>, Problem> {
    if !reader.take("$") {
        return Err(Problem::new(reader.at(), "expected a path that begins with $"));
    }
    let mut path = Vec::new();
    loop {
        let at = reader.at();
        if path.len() > DEEPEST {
            return Err(Problem::new(at, format!("a path has more than {DEEPEST} steps")));
        }
        if reader.take("[") {
            let step = if let Some(name) = reader.quoted()? {
                Step::Member(name)
            } else if reader.take("*") {
                Step::Items
            } else {
                let number = reader.word(&[']']).parse();
                Step::Item(number.map_err(|_| Problem::new(at, "expected a number or * between the brackets"))?)
            };
            if !reader.take("]") {
                return Err(Problem::new(reader.at(), "a bracket is not closed"));
            }
            path.push(step);
        } else if reader.take(".") {
            if reader.peek() == Some('[') {
                continue;
            }
            let name = reader.word(&['.', '[', '=', '!', '<', '>', ')', '}', '&', '|']);
            if name.is_empty() {
                return Err(Problem::new(at, "a name is missing behind the dot"));
            }
            path.push(Step::Member(name));
        } else if path.is_empty() {
            return Err(Problem::new(at, "expected a name behind the $"));
        } else {
            return Ok(path);
        }
    }
}

/// Calls with each value that a path leads to, until `wanted` says yes.
fn any(value: &Value, path: &[Step], wanted: &impl Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = path.split_first() else { return wanted(value) };
    match step {
        Step::Member(name) => value.get(name).is_some_and(|value| any(value, rest, wanted)),
        Step::Item(number) => value.get(number).is_some_and(|value| any(value, rest, wanted)),
        Step::Items => value.as_array().into_iter().flatten().any(|value| any(value, rest, wanted)),
    }
}

impl Test {
    pub(super) fn holds(&self, value: &Value) -> bool {
        match &self.wanted {
            Wanted::Missing => !any(value, &self.path, &|_| true),
            Wanted::Is(wanted) => any(value, &self.path, &|found| found == wanted),
            Wanted::Compared(operator, operand) => any(value, &self.path, &|found| match found {
                Value::String(text) => operand.match_text(*operator, text),
                Value::Number(number) => {
                    number.as_f64().is_some_and(|n| operand.match_number(*operator, n, &number.to_string()))
                }
                Value::Bool(value) => operand.match_text(*operator, if *value { "true" } else { "false" }),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            }),
        }
    }
}
