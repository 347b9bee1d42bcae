//! From JSON to a pattern.

use std::{fmt, net::IpAddr};

use serde_json::{Map, Value};

use super::{Comparison, Field, Matcher, Pattern, Scalar, TextMatcher};

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What objects in lists are: conditions, by their only member.
const CONDITIONS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

fn invalid<T>(why: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(why.into()))
}

impl Pattern {
    /// Reads a pattern.
    pub(in super::super) fn parse(text: &str) -> Result<Self, Invalid> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => pattern(&members),
            Ok(_) => invalid("Filter is not an object"),
            Err(error) => invalid(format!("it is not JSON: {error}")),
        }
    }
}

fn pattern(members: &Map<String, Value>) -> Result<Pattern, Invalid> {
    if members.is_empty() {
        return invalid("Empty objects are not allowed");
    }
    let fields = members.iter().map(|(name, value)| field(name, value)).collect::<Result<_, _>>()?;
    Ok(Pattern { fields })
}

fn field(name: &str, value: &Value) -> Result<Field, Invalid> {
    match value {
        Value::Object(members) => Ok(Field::Object(name.to_owned(), pattern(members)?)),
        Value::Array(items) if name == "$or" && is_or(items) => {
            let all = items.iter().filter_map(Value::as_object).map(pattern).collect::<Result<_, _>>()?;
            Ok(Field::Or(all))
        }
        Value::Array(items) if items.is_empty() => invalid("Empty arrays are not allowed"),
        Value::Array(items) => {
            let matchers = items.iter().map(|item| matcher(name, item)).collect::<Result<_, _>>()?;
            Ok(Field::Leaf(name.to_owned(), matchers))
        }
        _ => invalid(format!("\"{name}\" must be an object or an array")),
    }
}

/// A list under the name `$or` that could not be one of conditions.
fn is_or(items: &[Value]) -> bool {
    let is_condition = |members: &Map<String, Value>| members.keys().any(|name| CONDITIONS.contains(&name.as_str()));
    items.len() >= 2 && items.iter().all(|item| item.as_object().is_some_and(|members| !is_condition(members)))
}

fn scalar(value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::Null => Scalar::Null,
        Value::Bool(value) => Scalar::Bool(*value),
        Value::Number(number) => Scalar::Number(number.as_f64()?),
        Value::String(text) => Scalar::Text(text.clone()),
        Value::Array(_) | Value::Object(_) => return None,
    })
}

fn matcher(field: &str, item: &Value) -> Result<Matcher, Invalid> {
    if let Some(scalar) = scalar(item) {
        return Ok(Matcher::Exact(scalar));
    }
    let Some((name, value)) = item.as_object().and_then(only) else {
        return invalid(format!("in the list \"{field}\" stand values, and objects with one condition"));
    };
    match name {
        "anything-but" => anything_but(value),
        "numeric" => numeric(value),
        "exists" => match value {
            Value::Bool(is_there) => Ok(Matcher::Exists(*is_there)),
            _ => invalid("exists match pattern must be either true or false."),
        },
        "cidr" => cidr(value),
        name => match text_matcher(name, value)? {
            Some(text) => Ok(Matcher::Text(text)),
            None => invalid(format!("Unrecognized match type {name}")),
        },
    }
}

/// The only member.
fn only(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    members.iter().next().filter(|_| members.len() == 1).map(|(name, value)| (name.as_str(), value))
}

/// `None`: there is no such condition on texts.
fn text_matcher(name: &str, value: &Value) -> Result<Option<TextMatcher>, Invalid> {
    let ignoring_case = value.as_object().and_then(only).filter(|(name, _)| *name == "equals-ignore-case");
    let found = match (name, value, ignoring_case) {
        ("prefix", Value::String(text), _) => TextMatcher::Prefix(text.clone()),
        ("suffix", Value::String(text), _) => TextMatcher::Suffix(text.clone()),
        ("prefix", _, Some((_, Value::String(text)))) => TextMatcher::PrefixIgnoreCase(text.to_lowercase()),
        ("suffix", _, Some((_, Value::String(text)))) => TextMatcher::SuffixIgnoreCase(text.to_lowercase()),
        ("equals-ignore-case", Value::String(text), _) => TextMatcher::EqualsIgnoreCase(text.to_lowercase()),
        ("wildcard", Value::String(text), _) => TextMatcher::Wildcard(wildcard(text)?),
        ("prefix" | "suffix" | "equals-ignore-case" | "wildcard", ..) => {
            return invalid(format!("{name} match pattern must be a string"));
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

/// The texts between the stars; a star or a backslash behind a backslash is a letter.
fn wildcard(text: &str) -> Result<Vec<String>, Invalid> {
    let (mut parts, mut part, mut letters) = (Vec::new(), String::new(), text.chars());
    let mut is_after_star = false;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if is_after_star => return invalid("Consecutive wildcard characters in a wildcard match pattern"),
            '*' => parts.push(std::mem::take(&mut part)),
            '\\' => match letters.next() {
                Some(escaped @ ('*' | '\\')) => part.push(escaped),
                _ => return invalid("Invalid escape character in a wildcard match pattern"),
            },
            _ => part.push(letter),
        }
        is_after_star = letter == '*';
    }
    parts.push(part);
    Ok(parts)
}

fn anything_but(value: &Value) -> Result<Matcher, Invalid> {
    let wrong = || {
        invalid(
            "Inside anything-but stand texts, numbers, a list of these, or one of prefix, suffix, equals-ignore-case and wildcard",
        )
    };
    match value {
        Value::Array(items) => {
            let scalars: Option<Vec<Scalar>> = items.iter().map(scalar).collect();
            match scalars {
                Some(scalars) if !scalars.is_empty() => Ok(Matcher::NotExact(scalars)),
                Some(_) => invalid("Empty arrays are not allowed"),
                None => wrong(),
            }
        }
        Value::Object(members) => {
            let Some((name, value)) = only(members) else { return wrong() };
            let values = match value {
                Value::Array(values) if values.is_empty() => return invalid("Empty arrays are not allowed"),
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            let mut texts = Vec::new();
            for value in values {
                match text_matcher(name, value)? {
                    Some(text) => texts.push(text),
                    None => return invalid(format!("Unsupported anything-but pattern: {name}")),
                }
            }
            Ok(Matcher::NotText(texts))
        }
        value => match scalar(value) {
            Some(scalar) => Ok(Matcher::NotExact(vec![scalar])),
            None => wrong(),
        },
    }
}

fn numeric(value: &Value) -> Result<Matcher, Invalid> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut bounds = Vec::new();
    for pair in items.chunks(2) {
        let [Value::String(comparison), Value::Number(number)] = pair else {
            return invalid("Value of numeric must be an array of comparisons and numbers, in turn");
        };
        let comparison = match comparison.as_str() {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            other => return invalid(format!("Unrecognized numeric range operator: {other}")),
        };
        let Some(number) = number.as_f64().filter(|number| number.is_finite()) else {
            return invalid("Value of numeric is out of range");
        };
        bounds.push((comparison, number));
    }
    let is_lower = |comparison| matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual);
    let is_upper = |comparison| matches!(comparison, Comparison::Less | Comparison::LessOrEqual);
    match bounds[..] {
        [_] => {}
        [(first, bottom), (second, top)] if is_lower(first) && is_upper(second) => {
            if bottom >= top {
                return invalid("Bottom must be less than top");
            }
        }
        [] => return invalid("Value of numeric must be an array of comparisons and numbers, in turn"),
        _ => return invalid("Too many elements in numeric expression"),
    }
    Ok(Matcher::Numeric(bounds))
}

fn cidr(value: &Value) -> Result<Matcher, Invalid> {
    let Some(text) = value.as_str() else { return invalid("prefix match pattern must be a string") };
    let malformed = || invalid(format!("Malformed CIDR, one '/' required: {text}"));
    let Some((address, bits)) = text.split_once('/') else { return malformed() };
    let Ok(address) = address.parse::<IpAddr>() else { return invalid(format!("Nonstandard IP address: {address}")) };
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits.parse::<u8>() {
        Ok(bits) if bits <= most => Ok(Matcher::Cidr(address, bits)),
        _ => invalid(format!("Malformed CIDR, mask bits must be an integer from 0 to {most}")),
    }
}
