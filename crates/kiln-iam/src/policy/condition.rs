//! Conditions (`security.md` 2.3).

mod operator;

use std::cmp::Ordering;

use base64::{Engine, engine::general_purpose::STANDARD};
use time::OffsetDateTime;

use self::operator::{Comparison, Family, Operator, Qualifier};
use super::{
    context::{Context, KeyName, Values},
    decimal::Decimal,
    error::{PolicyError, quoted},
    evaluate::Effect,
    json::Json,
    moment,
    network::{self, Network},
    pattern::ArnText,
    resource::ArnPattern,
    variable::{Pattern, Template},
};

/// One key under one operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    operator: Operator,
    key: KeyName,
    test: Test,
}

/// The values that a policy gives, read.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    Equal(Vec<Template>),
    EqualIgnoringCase(Vec<Template>),
    Like(Vec<Pattern>),
    Number(Comparison, Vec<Decimal>),
    Date(Comparison, Vec<OffsetDateTime>),
    Bool(Vec<bool>),
    Binary(Vec<Vec<u8>>),
    Network(Vec<Network>),
    Arn(Vec<ArnPattern>),
    IsAbsent(bool),
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Fails,
    /// A value cannot be read, or sources disagree about what it means.
    Unclear,
}

impl Outcome {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }

    fn negated(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            Self::Unclear => Self::Unclear,
        }
    }

    /// True when all are; what is plainly false wins over what is unclear.
    fn all(outcomes: impl Iterator<Item = Self>) -> Self {
        outcomes.fold(Self::Holds, |all, one| match (all, one) {
            (Self::Fails, _) | (_, Self::Fails) => Self::Fails,
            (Self::Unclear, _) | (_, Self::Unclear) => Self::Unclear,
            _ => Self::Holds,
        })
    }

    /// True when one is.
    fn any(outcomes: impl Iterator<Item = Self>) -> Self {
        Self::all(outcomes.map(Self::negated)).negated()
    }
}

/// Longest value that is compared as a pattern.
const LONGEST_PATTERN: usize = 2_048;

/// Reads the value of `Condition`.
pub(super) fn parse(value: &Json, has_variables: bool, place: &str) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (name, keys) in object(value, place)? {
        let place = format!("{place}.{name}");
        let operator = Operator::parse(name).ok_or_else(|| {
            PolicyError::syntax(
                &place,
                format!("'{}' is no condition operator (their names are case-sensitive)", quoted(name)),
            )
        })?;
        for (key, values) in object(keys, &place)? {
            let place = format!("{place}.{key}");
            if !key.split_once(':').is_some_and(|(vendor, rest)| !vendor.is_empty() && !rest.is_empty()) {
                return Err(PolicyError::new(
                    "Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                    place,
                    "expected <service>:<key>, e.g. aws:SourceIp",
                ));
            }
            let test = Test::parse(operator.family, &texts(values, &place)?, has_variables)
                .map_err(|problem| PolicyError::syntax(&place, problem))?;
            conditions.push(Condition { operator, key: KeyName::new(key), test });
        }
    }
    Ok(conditions)
}

fn object<'a>(value: &'a Json, place: &str) -> Result<&'a [(String, Json)], PolicyError> {
    match value {
        Json::Object(members) => Ok(members),
        other => Err(PolicyError::syntax(place, format!("expected an object, not {}", other.kind()))),
    }
}

/// The values of a key; numbers and booleans may stand without quotes.
fn texts(values: &Json, place: &str) -> Result<Vec<String>, PolicyError> {
    let texts: Vec<String> = values
        .items()
        .iter()
        .map(|value| match value {
            Json::Text(text) | Json::Number(text) => Ok(text.clone()),
            Json::Bool(value) => Ok(value.to_string()),
            other => {
                Err(PolicyError::syntax(place, format!("expected a text, a number or a boolean, not {}", other.kind())))
            }
        })
        .collect::<Result<_, _>>()?;
    if texts.is_empty() {
        return Err(PolicyError::syntax(place, "the list is empty: no value could ever be in it"));
    }
    Ok(texts)
}

impl Test {
    fn parse(family: Family, texts: &[String], has_variables: bool) -> Result<Self, String> {
        let template = |text: &String| Template::parse(text, has_variables);
        let short = |text: &String| match text.len() > LONGEST_PATTERN {
            true => Err(format!("a pattern may have {LONGEST_PATTERN} bytes")),
            false => template(text),
        };
        Ok(match family {
            Family::StringEquals => Self::Equal(read(texts, template)?),
            Family::StringEqualsIgnoreCase => Self::EqualIgnoringCase(read(texts, template)?),
            Family::StringLike => Self::Like(read(texts, |text| short(text).map(Pattern::new))?),
            Family::Numeric(comparison) => Self::Number(
                comparison,
                read(texts, |text| Decimal::parse(text).ok_or_else(|| format!("'{}' is no number", quoted(text))))?,
            ),
            Family::Date(comparison) => Self::Date(
                comparison,
                read(texts, |text| {
                    moment::parse(text).ok_or_else(|| {
                        format!(
                            "'{}' is no date: expected e.g. 2026-11-26T10:00:00Z, or seconds since 1970",
                            quoted(text)
                        )
                    })
                })?,
            ),
            Family::Bool => Self::Bool(read(texts, |text| boolean_or_error(text))?),
            Family::Null => match read(texts, |text| boolean_or_error(text))?.as_slice() {
                [is_absent] => Self::IsAbsent(*is_absent),
                _ => return Err("Null takes one value: a key is either there or not".to_owned()),
            },
            Family::Binary => Self::Binary(read(texts, |text| {
                STANDARD.decode(text).map_err(|error| format!("'{}' is not base64: {error}", quoted(text)))
            })?),
            Family::Ip => Self::Network(read(texts, |text| {
                Network::parse(text).ok_or_else(|| {
                    format!("'{}' is neither an address nor a range such as 203.0.113.0/24", quoted(text))
                })
            })?),
            Family::Arn => Self::Arn(read(texts, |text| {
                ArnPattern::new(short(text)?)
                    .ok_or_else(|| format!("'{}' is no ARN: it has fewer than six parts", quoted(text)))
            })?),
        })
    }

    /// Compares a value of the request: holds when one of the policy's values matches, and the other way round if the
    /// operator is negated.
    fn outcome(&self, value: &str, is_negated: bool, context: &Context) -> Outcome {
        let known = |holds: Option<bool>| holds.map_or(Outcome::Unclear, Outcome::of);
        let outcome = match self {
            Self::Equal(texts) => any(texts, is_negated, |text| Some(text.text(context)? == value)),
            Self::EqualIgnoringCase(texts) => {
                let value = value.to_lowercase();
                any(texts, is_negated, |text| Some(text.text(context)?.to_lowercase() == value))
            }
            Self::Like(patterns) => any(patterns, is_negated, |pattern| pattern.matches(context, value)),
            Self::Arn(patterns) => match ArnText::new(value) {
                Some(arn) => any(patterns, is_negated, |pattern| pattern.matches(context, &arn)),
                None => Outcome::Unclear,
            },
            Self::Number(comparison, numbers) => {
                known(Decimal::parse(value).map(|value| comparison.any(&value, numbers)))
            }
            Self::Date(comparison, dates) => known(moment::parse(value).map(|value| comparison.any(&value, dates))),
            Self::Bool(values) => known(boolean(value).map(|value| values.contains(&value))),
            Self::Binary(values) => known(STANDARD.decode(value).ok().map(|value| values.contains(&value))),
            Self::Network(networks) => match network::address(value) {
                // That an address of the one version is in no range of the other is what AWS's documentation says of
                // NotIpAddress, but not the oracle of the tests.
                Some(address) => any(networks, is_negated, |network| network.contains(address)),
                None => Outcome::Unclear,
            },
            Self::IsAbsent(_) => Outcome::Fails,
        };
        if is_negated { outcome.negated() } else { outcome }
    }
}

/// Whether one of the policy's values matches; `None` is one that cannot be compared, which matches nothing: its variable
/// has no value. That a negated operator then holds is what AWS's documentation says, but not the oracle of the tests.
fn any<T>(values: &[T], is_negated: bool, matches: impl Fn(&T) -> Option<bool>) -> Outcome {
    let mut outcome = Outcome::Fails;
    for value in values {
        match matches(value) {
            Some(true) => return Outcome::Holds,
            Some(false) => {}
            None if is_negated => outcome = Outcome::Unclear,
            None => {}
        }
    }
    outcome
}

fn read<T>(texts: &[String], one: impl Fn(&String) -> Result<T, String>) -> Result<Vec<T>, String> {
    texts.iter().map(one).collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn boolean_or_error(text: &str) -> Result<bool, String> {
    boolean(text).ok_or_else(|| format!("'{}' is neither true nor false", quoted(text)))
}

impl Comparison {
    fn any<T: Ord>(self, value: &T, wanted: &[T]) -> bool {
        wanted.iter().any(|wanted| {
            let order = value.cmp(wanted);
            match self {
                Self::Equal => order == Ordering::Equal,
                Self::Less => order == Ordering::Less,
                Self::LessOrEqual => order != Ordering::Greater,
                Self::Greater => order == Ordering::Greater,
                Self::GreaterOrEqual => order != Ordering::Less,
            }
        })
    }
}

impl Condition {
    /// Whether all conditions hold. What is unclear holds in a statement that denies, and does not in one that allows.
    pub(super) fn all_hold(conditions: &[Self], effect: Effect, context: &Context) -> bool {
        match Outcome::all(conditions.iter().map(|condition| condition.outcome(context))) {
            Outcome::Holds => true,
            Outcome::Fails => false,
            Outcome::Unclear => effect == Effect::Deny,
        }
    }

    /// The first condition that keeps a statement from applying.
    pub(super) fn first_that_fails<'a>(conditions: &'a [Self], effect: Effect, context: &Context) -> Option<&'a Self> {
        conditions.iter().find(|condition| !Self::all_hold(std::slice::from_ref(condition), effect, context))
    }

    /// The key.
    pub(super) fn key(&self) -> &KeyName {
        &self.key
    }

    /// The operator's name, as policies have it.
    pub(super) fn operator_name(&self) -> String {
        self.operator.name()
    }

    /// The keys that it looks at: its own, and those of variables in its values.
    pub(super) fn keys(&self) -> Vec<String> {
        let variables: Vec<String> = match &self.test {
            Test::Equal(texts) | Test::EqualIgnoringCase(texts) => texts.iter().flat_map(Template::keys).collect(),
            Test::Like(patterns) => patterns.iter().flat_map(Pattern::keys).collect(),
            Test::Arn(patterns) => patterns.iter().flat_map(ArnPattern::keys).collect(),
            Test::Number(..)
            | Test::Date(..)
            | Test::Bool(_)
            | Test::Binary(_)
            | Test::Network(_)
            | Test::IsAbsent(_) => Vec::new(),
        };
        std::iter::once(self.key.text().to_owned()).chain(variables).collect()
    }

    fn outcome(&self, context: &Context) -> Outcome {
        let Operator { qualifier, is_negated, if_exists, .. } = self.operator;
        let values = context.get(&self.key);
        if let Test::IsAbsent(wanted) = &self.test {
            return Outcome::of(*wanted == values.is_none());
        }
        let one = |value: &String| self.test.outcome(value, is_negated, context);
        match (qualifier, values) {
            (Qualifier::None, None) => Outcome::of(is_negated || if_exists),
            (Qualifier::ForAllValues, None) => Outcome::Holds,
            // Sources disagree: the oracle of the tests says that it fails, the text about IfExists that it holds.
            (Qualifier::ForAnyValue, None) => {
                if if_exists {
                    Outcome::Unclear
                } else {
                    Outcome::Fails
                }
            }
            (_, Some(Values::One(value))) => one(value),
            (Qualifier::ForAllValues, Some(Values::Many(values))) => Outcome::all(values.iter().map(one)),
            (Qualifier::ForAnyValue, Some(Values::Many(values))) => Outcome::any(values.iter().map(one)),
            // Such a key wants a qualifier. Without, nothing is allowed, and what is denied for one value is denied.
            (Qualifier::None, Some(Values::Many(values))) => match Outcome::any(values.iter().map(one)) {
                Outcome::Fails => Outcome::Fails,
                Outcome::Holds | Outcome::Unclear => Outcome::Unclear,
            },
        }
    }
}
