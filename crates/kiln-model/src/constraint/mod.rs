//! Constraints of inputs, as the service model states them (`api.md` 2.2): which members are required, lengths,
//! patterns, ranges, enumerations, counts.
//!
//! [`shapes`], [`cloudwatch`], [`ecr`], [`events`], [`kms`], [`logs`], [`secretsmanager`] and [`ssm`] write them down as data, so that a test compares them with the
//! published models.

/// States the constraints of an input of a service that answers `ValidationException`.
macro_rules! validated {
    ($input:ident: $($member:expr,)*) => {
        impl $crate::decode::Input for $input {
            const SHAPE: &'static Structure =
                &Structure { name: stringify!($input), members: &[$($member,)*] };
            const VIOLATED: $crate::ErrorCode = $crate::ErrorCode::Validation;
        }
    };
}

mod cloudwatch;
mod codecommit;
mod ecr;
mod events;
mod kms;
mod logs;
mod pattern;
mod secretsmanager;
mod shapes;
mod ssm;

use serde_json::Value;

pub use self::pattern::Pattern;
use crate::{error::excerpt, kms::decoded_length};

/// Constraints of a structure. Members without any are left out.
#[derive(Debug)]
pub struct Structure {
    /// AWS's name of the shape.
    pub name: &'static str,
    /// Members, in the model's order.
    pub members: &'static [Member],
}

/// Constraints of a member.
#[derive(Debug)]
pub struct Member {
    /// Name in JSON.
    pub name: &'static str,
    /// Whether it must be there and not null.
    pub required: bool,
    /// What its value must fulfil.
    pub rule: Rule,
}

/// What a value must fulfil. A value of another JSON type passes: decoding refuses it.
#[derive(Debug)]
pub enum Rule {
    /// Anything.
    Any,
    /// A string with so many characters, and of that form.
    Text {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
        /// Form.
        pattern: Option<Pattern>,
    },
    /// A string with so many characters that is a secret: messages do not repeat it.
    Hidden {
        /// Fewest characters.
        min: usize,
        /// Most characters.
        max: usize,
    },
    /// So many bytes, in base64. What is no base64 passes: decoding refuses it.
    Blob {
        /// Fewest bytes.
        min: usize,
        /// Most bytes.
        max: usize,
    },
    /// An integer in that range.
    Number {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// One of these strings.
    OneOf {
        /// AWS's names.
        names: &'static [&'static str],
        /// What a message calls the value where AWS has a text of its own: `compute type`, `type`.
        called: Option<&'static str>,
    },
    /// An array of so many items, each of which fulfils a rule.
    List {
        /// Fewest items.
        min: usize,
        /// Most items.
        max: usize,
        /// What each fulfils.
        item: &'static Rule,
    },
    /// An object with so many members of any names.
    Map {
        /// Fewest members.
        min: usize,
        /// Most members.
        max: usize,
        /// What each name fulfils: a rule for texts.
        key: &'static Rule,
        /// What each value fulfils: a rule for texts.
        value: &'static Rule,
    },
    /// An object.
    Structure(&'static Structure),
}

/// Something that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Violation {
    text: String,
    /// True when AWS answers with this text alone.
    whole: bool,
}

/// Most violations that one answer tells.
const MOST_VIOLATIONS: usize = 20;

/// Checks an input against the constraints of its shape.
///
/// # Errors
/// The message of an `InvalidInputException`: all violations, in the words of AWS's request validation.
pub fn check(structure: &Structure, input: &Value) -> Result<(), String> {
    let mut violations = Vec::new();
    check_structure(structure, input, "", &mut violations);
    if let Some(violation) = violations.iter().find(|violation| violation.whole) {
        return Err(violation.text.clone());
    }
    let count = violations.len();
    if count == 0 {
        return Ok(());
    }
    let texts: Vec<_> = violations.into_iter().take(MOST_VIOLATIONS).map(|violation| violation.text).collect();
    let plural = if count == 1 { "" } else { "s" };
    Err(format!("{count} validation error{plural} detected: {}", texts.join("; ")))
}

/// Whether a value fulfils a rule.
pub(crate) fn fulfils(rule: &Rule, value: &Value) -> bool {
    let mut violations = Vec::new();
    check_rule(rule, value, "", &mut violations);
    violations.is_empty()
}

fn check_structure(structure: &Structure, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    let Some(object) = value.as_object() else { return };
    for member in structure.members {
        let mut path = path.to_owned();
        if !path.is_empty() {
            path.push('.');
        }
        push_member(&mut path, member.name);
        match object.get(member.name) {
            None | Some(Value::Null) => {
                if member.required {
                    violations.push(violation(None, &path, "Member must not be null"));
                }
            }
            Some(value) => check_rule(&member.rule, value, &path, violations),
        }
    }
}

/// AWS names members with a small first letter here, whatever they are called in JSON.
fn push_member(path: &mut String, name: &str) {
    let mut letters = name.chars();
    path.extend(letters.next().map(|first| first.to_ascii_lowercase()));
    path.push_str(letters.as_str());
}

fn check_rule(rule: &Rule, value: &Value, path: &str, violations: &mut Vec<Violation>) {
    match (rule, value) {
        (Rule::Structure(structure), Value::Object(_)) => check_structure(structure, value, path, violations),
        (Rule::List { min, max, item }, Value::Array(items)) => {
            violations.extend(length_violation(items.len(), *min, *max).map(|sentence| Violation {
                text: format!("Value at '{path}' failed to satisfy constraint: {sentence}"),
                whole: false,
            }));
            for (index, value) in items.iter().enumerate() {
                // Far more than one answer tells; the rest of a hostile input need not be read.
                if violations.len() > MOST_VIOLATIONS {
                    return;
                }
                check_rule(item, value, &format!("{path}.{}.member", index + 1), violations);
            }
        }
        (Rule::Map { min, max, key, value: of_values }, Value::Object(members)) => {
            let mut sentences: Vec<String> = length_violation(members.len(), *min, *max).into_iter().collect();
            for (name, value) in members {
                let value = value.as_str().unwrap_or_default();
                for (what, rule, text) in [("keys", key, name.as_str()), ("value", of_values, value)] {
                    let found = sentences_of(rule, text);
                    if !found.is_empty() {
                        sentences.push(format!("Map {what} must satisfy constraint: [{}]", found.join(", ")));
                    }
                }
                if !sentences.is_empty() {
                    break;
                }
            }
            violations.extend(sentences.into_iter().map(|sentence| Violation {
                text: format!("Value at '{path}' failed to satisfy constraint: {sentence}"),
                whole: false,
            }));
        }
        (Rule::Text { min, max, pattern }, Value::String(text)) => {
            check_text(text, (*min, *max), *pattern, path, violations);
        }
        (Rule::Blob { min, max } | Rule::Hidden { min, max }, Value::String(text)) => {
            // The value is not repeated: it is a secret, or longer than anybody wants to read.
            let length =
                if matches!(rule, Rule::Blob { .. }) { decoded_length(text) } else { Some(text.chars().count()) };
            let sentence = length.and_then(|length| length_violation(length, *min, *max));
            violations.extend(sentence.map(|sentence| Violation {
                text: format!("Value at '{path}' failed to satisfy constraint: {sentence}"),
                whole: false,
            }));
        }
        (Rule::Number { min, max }, Value::Number(number)) => {
            // A number that is no i64 is no value of any integer member: decoding refuses it.
            if let Some(number) = number.as_i64() {
                let sentence = if number < *min {
                    format!("Member must have value greater than or equal to {min}")
                } else if number > *max {
                    format!("Member must have value less than or equal to {max}")
                } else {
                    return;
                };
                violations.push(violation(Some(&number.to_string()), path, &sentence));
            }
        }
        (Rule::OneOf { names, called }, Value::String(text)) => {
            if names.contains(&text.as_str()) {
                return;
            }
            violations.push(match called {
                Some(called) => {
                    Violation { text: format!("Invalid {called} provided: {}", excerpt(text)), whole: true }
                }
                None => {
                    let sentence = format!("Member must satisfy enum value set: [{}]", names.join(", "));
                    violation(Some(text), path, &sentence)
                }
            });
        }
        _ => {}
    }
}

fn check_text(
    text: &str,
    (min, max): (usize, usize),
    pattern: Option<Pattern>,
    path: &str,
    violations: &mut Vec<Violation>,
) {
    if pattern == Some(Pattern::ProjectName) {
        if !Pattern::ProjectName.matches(text) {
            let text = "Only alphanumeric characters, dash, and underscore are supported".to_owned();
            violations.push(Violation { text, whole: true });
        }
        return;
    }
    for sentence in sentences_of(&Rule::Text { min, max, pattern }, text) {
        violations.push(violation(Some(text), path, &sentence));
    }
}

/// What is wrong with a text; nothing where the rule is not one for texts.
fn sentences_of(rule: &Rule, text: &str) -> Vec<String> {
    let Rule::Text { min, max, pattern } = rule else { return Vec::new() };
    let length = length_violation(text.chars().count(), *min, *max);
    let form = pattern
        .filter(|pattern| !pattern.matches(text))
        .map(|pattern| format!("Member must satisfy regular expression pattern: {}", pattern.as_str()));
    length.into_iter().chain(form).collect()
}

fn length_violation(length: usize, min: usize, max: usize) -> Option<String> {
    if length < min {
        Some(format!("Member must have length greater than or equal to {min}"))
    } else if length > max {
        Some(format!("Member must have length less than or equal to {max}"))
    } else {
        None
    }
}

fn violation(value: Option<&str>, path: &str, sentence: &str) -> Violation {
    let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", excerpt(value)));
    let text = format!("Value {value} at '{path}' failed to satisfy constraint: {sentence}");
    Violation { text, whole: false }
}
