//! Whether an event matches.

use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Comparison, Field, Matcher, Pattern, Scalar, TextMatcher};

impl Pattern {
    /// Whether an event is one that the pattern is for.
    pub(in super::super) fn matches(&self, event: &Value) -> bool {
        let Some(members) = event.as_object() else { return false };
        self.is_true_of(members, event, &mut Vec::new())
    }

    /// `path` leads from the whole event, `root`, to `object`.
    fn is_true_of<'a>(&'a self, object: &Map<String, Value>, root: &Value, path: &mut Vec<&'a str>) -> bool {
        self.fields.iter().all(|field| match field {
            Field::Or(patterns) => patterns.iter().any(|pattern| pattern.is_true_of(object, root, path)),
            Field::Leaf(name, matchers) => {
                path.push(name);
                let value = object.get(name);
                let found = matchers.iter().any(|matcher| match matcher {
                    // Nothing there in any item of the arrays on the way.
                    Matcher::Exists(false) => !has_leaf(root, path),
                    matcher => value.is_some_and(|value| any_leaf(value, &mut |leaf| matcher.is_true_of(leaf))),
                });
                path.pop();
                found
            }
            Field::Object(name, pattern) => {
                path.push(name);
                let nothing = Map::new();
                let found = match object.get(name) {
                    Some(Value::Object(members)) => pattern.is_true_of(members, root, path),
                    Some(Value::Array(items)) => {
                        any_object(items, &mut |members| pattern.is_true_of(members, root, path))
                    }
                    // What has no members has none of those that must not be there.
                    _ => pattern.is_true_of(&nothing, root, path),
                };
                path.pop();
                found
            }
        })
    }
}

/// Whether something is true of a value, or of one in its arrays.
fn any_leaf(value: &Value, is_true: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| any_leaf(item, is_true)),
        Value::Object(_) => false,
        leaf => is_true(leaf),
    }
}

/// The same of the objects in an array.
fn any_object(items: &[Value], is_true: &mut impl FnMut(&Map<String, Value>) -> bool) -> bool {
    items.iter().any(|item| match item {
        Value::Object(members) => is_true(members),
        Value::Array(items) => any_object(items, is_true),
        _ => false,
    })
}

/// Whether a value is at the end of a path, through arrays too.
fn has_leaf(value: &Value, path: &[&str]) -> bool {
    match (value, path) {
        (Value::Array(items), path) => items.iter().any(|item| has_leaf(item, path)),
        (Value::Object(members), [name, rest @ ..]) => members.get(*name).is_some_and(|value| has_leaf(value, rest)),
        (Value::Object(_), []) => false,
        (_, path) => path.is_empty(),
    }
}

impl Matcher {
    fn is_true_of(&self, leaf: &Value) -> bool {
        match self {
            Self::Exact(scalar) => scalar.is(leaf),
            Self::Text(text) => leaf.as_str().is_some_and(|leaf| text.is_true_of(leaf)),
            Self::NotExact(scalars) => !scalars.iter().any(|scalar| scalar.is(leaf)),
            Self::NotText(texts) => !leaf.as_str().is_some_and(|leaf| texts.iter().any(|text| text.is_true_of(leaf))),
            Self::Numeric(bounds) => leaf
                .as_f64()
                .is_some_and(|number| bounds.iter().all(|(comparison, bound)| comparison.is_true_of(number, *bound))),
            Self::Cidr(network, bits) => {
                leaf.as_str().and_then(|text| text.parse().ok()).is_some_and(|address| is_in(address, *network, *bits))
            }
            Self::Exists(is_there) => *is_there,
        }
    }
}

impl Scalar {
    fn is(&self, leaf: &Value) -> bool {
        match (self, leaf) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(own), Value::Bool(other)) => own == other,
            (Self::Number(own), Value::Number(other)) => other.as_f64() == Some(*own),
            (Self::Text(own), Value::String(other)) => own == other,
            _ => false,
        }
    }
}

impl TextMatcher {
    fn is_true_of(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::PrefixIgnoreCase(prefix) => text.to_lowercase().starts_with(prefix),
            Self::SuffixIgnoreCase(suffix) => text.to_lowercase().ends_with(suffix),
            Self::EqualsIgnoreCase(own) => text.to_lowercase() == *own,
            Self::Wildcard(parts) => is_like(text, parts),
        }
    }
}

/// Whether a text has the parts in their order, with anything between them. As early as possible is as good as anywhere,
/// so that nothing is tried twice.
fn is_like(text: &str, parts: &[String]) -> bool {
    let [first, between @ .., last] = parts else { return parts.iter().all(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in between {
        let Some((_, behind)) = rest.split_once(part.as_str()) else { return false };
        rest = behind;
    }
    rest.ends_with(last.as_str())
}

impl Comparison {
    fn is_true_of(self, number: f64, bound: f64) -> bool {
        match self {
            Self::Equal => number == bound,
            Self::Less => number < bound,
            Self::LessOrEqual => number <= bound,
            Self::Greater => number > bound,
            Self::GreaterOrEqual => number >= bound,
        }
    }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |own: u128, other: u128, width: u32| {
        let shift = width - u32::from(bits).min(width);
        own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
    };
    match (address, network) {
        (IpAddr::V4(own), IpAddr::V4(other)) => same(u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}
