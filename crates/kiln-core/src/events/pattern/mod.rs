//! Patterns of events (`integrations.md` 6.1): which events a rule is for. Pure functions of JSON.
//!
//! All members of a pattern must match, one of the values of each. In an array of the event one item suffices; what a
//! pattern says about objects in an array must be true of one and the same object.

mod matching;
mod parse;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

/// A pattern, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern {
    fields: Vec<Field>,
}

/// What must be true of an object.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    /// A member's value is one of these.
    Leaf(String, Vec<Matcher>),
    /// A member is an object, or an array of objects, with that.
    Object(String, Pattern),
    /// One of these is true.
    Or(Vec<Pattern>),
}

/// What must be true of a value.
#[derive(Debug, Clone, PartialEq)]
enum Matcher {
    /// It is null, true, false, a number or a text.
    Exact(Scalar),
    /// A text that is like this.
    Text(TextMatcher),
    /// Anything but these.
    NotExact(Vec<Scalar>),
    /// Anything but a text that is like one of these.
    NotText(Vec<TextMatcher>),
    /// A number within bounds.
    Numeric(Vec<(Comparison, f64)>),
    /// A text that is an address within a network.
    Cidr(IpAddr, u8),
    /// It is there, or it is not.
    Exists(bool),
}

/// A value that is neither array nor object. Numbers are compared as doubles: 3 is 3.0.
#[derive(Debug, Clone, PartialEq)]
enum Scalar {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What a text is like.
#[derive(Debug, Clone, PartialEq)]
enum TextMatcher {
    Prefix(String),
    Suffix(String),
    /// As before, whatever the case; the texts are in lower case.
    PrefixIgnoreCase(String),
    SuffixIgnoreCase(String),
    EqualsIgnoreCase(String),
    /// The texts between the stars.
    Wildcard(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
