//! Expressions of `GetMetricData`: their text as a tree, and what a tree gives.
//!
//! There are numbers, ids of other queries, `+ - * /` and parentheses, arrays `[m1, m2]`, and the functions of
//! [`Function`]. A point that cannot be told (a division by zero, a value that is missing on one side) is left out.

use std::collections::BTreeMap;

/// Parentheses, functions and signs within each other, at most.
const DEEPEST: usize = 32;

/// Points by the begin of their period, seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    /// Length of the periods, seconds.
    pub(super) period: i64,
    pub(super) points: BTreeMap<i64, f64>,
}

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Series(Series),
    /// Series with their labels.
    Array(Vec<(String, Series)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    /// Another query.
    Id(String),
    /// All metrics of the request, or those whose ids contain a text.
    Metrics(Option<String>),
    Array(Vec<Expression>),
    Negative(Box<Expression>),
    Binary(Operator, Box<(Expression, Expression)>),
    Call(Function, Vec<Expression>),
    /// `REPEAT` and `LINEAR`, of `FILL`.
    Word(Fill),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Avg,
    Ceil,
    Fill,
    Floor,
    Max,
    Min,
    Rate,
    Sum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    Repeat,
    Linear,
}

const FUNCTIONS: [(&str, Function); 9] = [
    ("ABS", Function::Abs),
    ("AVG", Function::Avg),
    ("CEIL", Function::Ceil),
    ("FILL", Function::Fill),
    ("FLOOR", Function::Floor),
    ("MAX", Function::Max),
    ("MIN", Function::Min),
    ("RATE", Function::Rate),
    ("SUM", Function::Sum),
];

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(other) => Err(parser.wrong(&format!("'{other}' is not expected"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.take(wanted) {
            true => Ok(()),
            false => Err(self.wrong(&format!("'{wanted}' is missing"))),
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} at character {}", self.text.get(..self.at).unwrap_or_default().chars().count() + 1)
    }

    fn while_is(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn binary(
        &mut self,
        operators: &[(char, Operator)],
        side: fn(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = side(self)?;
        while let Some(found) = self.peek()
            && let Some((_, operator)) = operators.iter().find(|(sign, _)| *sign == found)
        {
            self.at += 1;
            left = Expression::Binary(*operator, Box::new((left, side(self)?)));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong(&format!("there are more than {DEEPEST} levels")));
        }
        let expression = self.binary(&[('+', Operator::Plus), ('-', Operator::Minus)], Self::product);
        self.depth -= 1;
        expression
    }

    fn product(&mut self) -> Result<Expression, String> {
        self.binary(&[('*', Operator::Times), ('/', Operator::Over)], Self::one)
    }

    fn one(&mut self) -> Result<Expression, String> {
        match self.peek() {
            Some('-') => {
                self.at += 1;
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.wrong(&format!("there are more than {DEEPEST} levels")));
                }
                let one = self.one()?;
                self.depth -= 1;
                Ok(Expression::Negative(Box::new(one)))
            }
            Some('(') => {
                self.at += 1;
                let inside = self.sum()?;
                self.expect(')')?;
                Ok(inside)
            }
            Some('[') => {
                self.at += 1;
                self.list(']').map(Expression::Array)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => {
                let begin = self.at;
                let text = self.while_is(|c| c.is_ascii_digit() || c == '.');
                text.parse().map(Expression::Number).map_err(|_| {
                    self.at = begin;
                    self.wrong(&format!("'{text}' is not a number"))
                })
            }
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some(other) => Err(self.wrong(&format!("'{other}' is not expected"))),
            None => Err(self.wrong("something is missing")),
        }
    }

    fn word(&mut self) -> Result<Expression, String> {
        let begin = self.at;
        let word = self.while_is(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Ok(Expression::Id(word.to_owned()));
        }
        match word {
            "REPEAT" => return Ok(Expression::Word(Fill::Repeat)),
            "LINEAR" => return Ok(Expression::Word(Fill::Linear)),
            "METRICS" => {
                self.expect('(')?;
                let filter = self.quoted()?;
                self.expect(')')?;
                return Ok(Expression::Metrics(filter));
            }
            _ => {}
        }
        let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == word) else {
            self.at = begin;
            let known: Vec<&str> = FUNCTIONS.iter().map(|(name, _)| *name).collect();
            return Err(self.wrong(&format!(
                "there is no function {word} in this version of Kiln; there are METRICS, {}",
                known.join(", ")
            )));
        };
        self.expect('(')?;
        let arguments = self.list(')')?;
        let wanted = if *function == Function::Fill { 2 } else { 1 };
        if arguments.len() != wanted {
            self.at = begin;
            return Err(self.wrong(&format!("{word} takes {wanted} argument(s), not {}", arguments.len())));
        }
        Ok(Expression::Call(*function, arguments))
    }

    fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(quote @ ('"' | '\'')) = self.peek() else { return Ok(None) };
        self.at += 1;
        let text = self.while_is(|c| c != quote);
        self.expect(quote)?;
        Ok(Some(text.to_owned()))
    }

    fn list(&mut self, end: char) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        loop {
            items.push(self.sum()?);
            if !self.take(',') {
                self.expect(end)?;
                return Ok(items);
            }
        }
    }
}

/// Where the values of other queries come from.
pub(super) trait Queries {
    /// What a query gives.
    fn query(&mut self, id: &str) -> Result<Value, String>;

    /// Ids of the metrics of the request, with their labels.
    fn metrics(&self) -> Vec<(String, String)>;

    /// Begin of the first period and end of the last one, seconds, for periods of that length.
    fn span(&self, period: i64) -> (i64, i64);
}

/// What an expression gives.
///
/// # Errors
/// Why it gives nothing.
pub(super) fn evaluate(expression: &Expression, queries: &mut impl Queries) -> Result<Value, String> {
    match expression {
        Expression::Number(number) => Ok(Value::Number(*number)),
        Expression::Id(id) => queries.query(id),
        Expression::Word(_) => Err("REPEAT and LINEAR are for FILL only".to_owned()),
        Expression::Metrics(filter) => {
            let mut all = Vec::new();
            for (id, label) in queries.metrics() {
                if filter.as_ref().is_none_or(|text| id.contains(text))
                    && let Value::Series(series) = queries.query(&id)?
                {
                    all.push((label, series));
                }
            }
            Ok(Value::Array(all))
        }
        Expression::Array(items) => {
            let mut all = Vec::new();
            for item in items {
                match evaluate(item, queries)? {
                    Value::Number(_) => return Err("an array holds series, not numbers".to_owned()),
                    Value::Series(series) => all.push((label(item), series)),
                    Value::Array(more) => all.extend(more),
                }
            }
            Ok(Value::Array(all))
        }
        Expression::Negative(inside) => {
            let inside = evaluate(inside, queries)?;
            combine(Operator::Times, &Value::Number(-1.0), &inside)
        }
        Expression::Binary(operator, sides) => {
            let (left, right) = (evaluate(&sides.0, queries)?, evaluate(&sides.1, queries)?);
            combine(*operator, &left, &right)
        }
        Expression::Call(function, arguments) => call(*function, arguments, queries),
    }
}

fn label(expression: &Expression) -> String {
    match expression {
        Expression::Id(id) => id.clone(),
        _ => String::new(),
    }
}

fn call(function: Function, arguments: &[Expression], queries: &mut impl Queries) -> Result<Value, String> {
    let [of, more @ ..] = arguments else { return Err("a function without an argument".to_owned()) };
    let of = evaluate(of, queries)?;
    match function {
        Function::Sum | Function::Avg | Function::Min | Function::Max => reduce(function, of),
        Function::Abs => each(of, |series| with_points(series, |value| Some(value.abs())), f64::abs),
        Function::Ceil => each(of, |series| with_points(series, |value| Some(value.ceil())), f64::ceil),
        Function::Floor => each(of, |series| with_points(series, |value| Some(value.floor())), f64::floor),
        Function::Rate => match of {
            Value::Number(_) => Err("RATE takes a series".to_owned()),
            of => each(of, |series| rate(&series), |number| number),
        },
        Function::Fill => {
            let with = match more {
                [Expression::Word(fill)] => Err(*fill),
                [other] => match evaluate(other, queries)? {
                    Value::Number(number) => Ok(number),
                    _ => return Err("FILL takes a number, REPEAT or LINEAR".to_owned()),
                },
                _ => return Err("FILL takes two arguments".to_owned()),
            };
            match of {
                Value::Number(_) => Err("FILL takes a series".to_owned()),
                of => each(
                    of,
                    |series| {
                        let span = queries.span(series.period);
                        fill(&series, with, span)
                    },
                    |number| number,
                ),
            }
        }
    }
}

fn each(of: Value, one: impl Fn(Series) -> Series, number: fn(f64) -> f64) -> Result<Value, String> {
    Ok(match of {
        Value::Number(value) => Value::Number(number(value)),
        Value::Series(series) => Value::Series(one(series)),
        Value::Array(all) => Value::Array(all.into_iter().map(|(label, series)| (label, one(series))).collect()),
    })
}

fn with_points(series: Series, one: impl Fn(f64) -> Option<f64>) -> Series {
    let points =
        series.points.into_iter().filter_map(|(time, value)| Some((time, one(value).filter(|v| v.is_finite())?)));
    Series { period: series.period, points: points.collect() }
}

/// Of one series a number, of several a series: at each time what is made of the values that there are.
fn reduce(function: Function, of: Value) -> Result<Value, String> {
    let fold = |values: &[f64]| match function {
        Function::Sum => values.iter().sum(),
        Function::Avg => values.iter().sum::<f64>() / values.len() as f64,
        Function::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        _ => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    match of {
        Value::Number(_) => Err("SUM, AVG, MIN and MAX take series".to_owned()),
        Value::Series(series) if series.points.is_empty() => Ok(Value::Number(0.0)),
        Value::Series(series) => {
            let values: Vec<f64> = series.points.into_values().collect();
            Ok(Value::Number(fold(&values)))
        }
        Value::Array(all) => {
            let period = all.iter().map(|(_, series)| series.period).max().unwrap_or(60);
            let mut by_time: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (time, value) in all.into_iter().flat_map(|(_, series)| series.points) {
                by_time.entry(time).or_default().push(value);
            }
            let points = by_time.into_iter().map(|(time, values)| (time, fold(&values))).collect();
            Ok(Value::Series(Series { period, points }))
        }
    }
}

/// The change to the value before, by the second.
fn rate(series: &Series) -> Series {
    let pairs = series.points.iter().zip(series.points.iter().skip(1));
    let points = pairs.map(|((before, old), (time, new))| (*time, (new - old) / (time - before) as f64)).collect();
    Series { period: series.period, points }
}

/// Gives the periods without a point one.
fn fill(series: &Series, with: Result<f64, Fill>, (start, end): (i64, i64)) -> Series {
    let step = usize::try_from(series.period.max(1)).unwrap_or(60);
    let mut points = series.points.clone();
    for time in (start..end).step_by(step) {
        if series.points.contains_key(&time) {
            continue;
        }
        let before = series.points.range(..time).next_back();
        let after = series.points.range(time..).next();
        let value = match (with, before, after) {
            (Ok(number), ..) => Some(number),
            (Err(Fill::Repeat), Some((_, value)), _) => Some(*value),
            (Err(Fill::Linear), Some((t0, v0)), Some((t1, v1))) => {
                Some(v0 + (v1 - v0) * (time - t0) as f64 / (t1 - t0) as f64)
            }
            // Before the first value there is nothing to repeat; outside of all values no line.
            _ => None,
        };
        points.extend(value.map(|value| (time, value)));
    }
    Series { period: series.period, points }
}

fn combine(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let apply = |a: f64, b: f64| match operator {
        Operator::Plus => a + b,
        Operator::Minus => a - b,
        Operator::Times => a * b,
        Operator::Over => a / b,
    };
    let both = |a: &Series, b: &Series| {
        let pair = |(time, value): (&i64, &f64)| {
            Some((*time, apply(*value, *b.points.get(time)?))).filter(|(_, value)| value.is_finite())
        };
        Series { period: a.period.max(b.period), points: a.points.iter().filter_map(pair).collect() }
    };
    Ok(match (left, right) {
        (Value::Number(a), Value::Number(b)) => match apply(*a, *b) {
            value if value.is_finite() => Value::Number(value),
            _ => return Err("a number is divided by zero, or too large".to_owned()),
        },
        (Value::Number(a), Value::Series(b)) => Value::Series(with_points(b.clone(), |b| Some(apply(*a, b)))),
        (Value::Series(a), Value::Number(b)) => Value::Series(with_points(a.clone(), |a| Some(apply(a, *b)))),
        (Value::Series(a), Value::Series(b)) => Value::Series(both(a, b)),
        (Value::Array(_), Value::Array(_)) => return Err("two arrays cannot be combined".to_owned()),
        (Value::Array(all), other) => {
            let one = |series: &Series| combine(operator, &Value::Series(series.clone()), other);
            array(all, one)?
        }
        (other, Value::Array(all)) => {
            let one = |series: &Series| combine(operator, other, &Value::Series(series.clone()));
            array(all, one)?
        }
    })
}

fn array(all: &[(String, Series)], one: impl Fn(&Series) -> Result<Value, String>) -> Result<Value, String> {
    let mut made = Vec::with_capacity(all.len());
    for (label, series) in all {
        if let Value::Series(series) = one(series)? {
            made.push((label.clone(), series));
        }
    }
    Ok(Value::Array(made))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two metrics of a minute: `m1` at 0, 60, 180; `m2` at 60, 120, 180.
    struct Two;

    fn series(points: &[(i64, f64)]) -> Series {
        Series { period: 60, points: points.iter().copied().collect() }
    }

    impl Queries for Two {
        fn query(&mut self, id: &str) -> Result<Value, String> {
            match id {
                "m1" => Ok(Value::Series(series(&[(0, 2.0), (60, 4.0), (180, 10.0)]))),
                "m2" => Ok(Value::Series(series(&[(60, 0.0), (120, 5.0), (180, 4.0)]))),
                other => Err(format!("there is no query {other}")),
            }
        }

        fn metrics(&self) -> Vec<(String, String)> {
            ["m1", "m2"].map(|id| (id.to_owned(), id.to_uppercase())).to_vec()
        }

        fn span(&self, _: i64) -> (i64, i64) {
            (0, 300)
        }
    }

    fn value(text: &str) -> Result<Value, String> {
        evaluate(&parse(text)?, &mut Two)
    }

    #[track_caller]
    fn gives(text: &str, points: &[(i64, f64)]) {
        match value(text) {
            Ok(Value::Series(found)) => assert_eq!(found, series(points), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn arithmetic_goes_by_its_rules() {
        for (text, number) in
            [("1+2*3", 7.0), ("(1+2)*3", 9.0), ("8/4/2", 1.0), ("1-2-3", -4.0), ("-2*-3", 6.0), (" .5 + 1. ", 1.5)]
        {
            assert_eq!(value(text), Ok(Value::Number(number)), "{text}");
        }
        gives("m1 * 100", &[(0, 200.0), (60, 400.0), (180, 1000.0)]);
        gives("100 / m1", &[(0, 50.0), (60, 25.0), (180, 10.0)]);
        gives("m1 + m2", &[(60, 4.0), (180, 14.0)]);
        // Nothing is divided by zero.
        gives("m1 / m2", &[(180, 2.5)]);
        gives("m1 - MAX(m1)", &[(0, -8.0), (60, -6.0), (180, 0.0)]);
    }

    #[test]
    fn functions_are_those_of_cloudwatch() {
        gives("SUM(METRICS())", &[(0, 2.0), (60, 4.0), (120, 5.0), (180, 14.0)]);
        gives("AVG([m1, m2])", &[(0, 2.0), (60, 2.0), (120, 5.0), (180, 7.0)]);
        gives("MIN(METRICS())", &[(0, 2.0), (60, 0.0), (120, 5.0), (180, 4.0)]);
        gives("MAX(METRICS(\"2\"))", &[(60, 0.0), (120, 5.0), (180, 4.0)]);
        gives("RATE(m1)", &[(60, 2.0 / 60.0), (180, 6.0 / 120.0)]);
        gives("FILL(m1, 0)", &[(0, 2.0), (60, 4.0), (120, 0.0), (180, 10.0), (240, 0.0)]);
        gives("FILL(m1, REPEAT)", &[(0, 2.0), (60, 4.0), (120, 4.0), (180, 10.0), (240, 10.0)]);
        gives("FILL(m2, LINEAR)", &[(60, 0.0), (120, 5.0), (180, 4.0)]);
        gives("FILL(m1, LINEAR)", &[(0, 2.0), (60, 4.0), (120, 7.0), (180, 10.0)]);
        gives("ABS(m2 - 4.5) ", &[(60, 4.5), (120, 0.5), (180, 0.5)]);
        gives("CEIL(m2 / 3)", &[(60, 0.0), (120, 2.0), (180, 2.0)]);
        assert_eq!(value("SUM(m1)"), Ok(Value::Number(16.0)));
        let Ok(Value::Array(all)) = value("METRICS() * 2") else { panic!() };
        assert_eq!(all[0], ("M1".to_owned(), series(&[(0, 4.0), (60, 8.0), (180, 20.0)])));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, what) in [
            ("", "something is missing at character 1"),
            ("m1 +", "something is missing at character 5"),
            ("(m1", "')' is missing at character 4"),
            ("m1 m2", "'m' is not expected at character 4"),
            ("1.2.3", "'1.2.3' is not a number at character 1"),
            ("SEARCH('x')", "there is no function SEARCH"),
            ("FILL(m1)", "FILL takes 2 argument(s), not 1"),
            ("METRICS(m1)", "')' is missing"),
            ("m1 ^ 2", "'^' is not expected"),
            ("m3", "there is no query m3"),
            ("1/0", "divided by zero"),
            ("METRICS() + METRICS()", "two arrays"),
            ("SUM(1)", "take series"),
            ("FILL(m1, m2)", "FILL takes a number"),
            ("REPEAT", "for FILL only"),
            ("ä", "'ä' is not expected at character 1"),
        ] {
            let error = value(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
        for deep in ["(".repeat(1000), "-".repeat(1000), "SUM(".repeat(500), "[".repeat(1000)] {
            assert!(parse(&deep).unwrap_err().contains("levels"));
        }
    }
}
