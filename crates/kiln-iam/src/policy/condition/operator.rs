//! The names of condition operators.

/// What an operator does, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) qualifier: Qualifier,
    pub(super) family: Family,
    /// `…Not…`.
    pub(super) is_negated: bool,
    /// `…IfExists`.
    pub(super) if_exists: bool,
    /// Its name without qualifier and `IfExists`.
    plain: &'static str,
}

/// What is said of the values of a key that has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qualifier {
    None,
    ForAllValues,
    ForAnyValue,
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Ip,
    /// `ArnEquals` is `ArnLike`.
    Arn,
    Null,
}

/// How numbers and dates are compared: the request's with the policy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Names without qualifier and `IfExists`, families, and whether they are negated.
const NAMES: [(&str, Family, bool); 27] = [
    ("StringEquals", Family::StringEquals, false),
    ("StringNotEquals", Family::StringEquals, true),
    ("StringEqualsIgnoreCase", Family::StringEqualsIgnoreCase, false),
    ("StringNotEqualsIgnoreCase", Family::StringEqualsIgnoreCase, true),
    ("StringLike", Family::StringLike, false),
    ("StringNotLike", Family::StringLike, true),
    ("NumericEquals", Family::Numeric(Comparison::Equal), false),
    ("NumericNotEquals", Family::Numeric(Comparison::Equal), true),
    ("NumericLessThan", Family::Numeric(Comparison::Less), false),
    ("NumericLessThanEquals", Family::Numeric(Comparison::LessOrEqual), false),
    ("NumericGreaterThan", Family::Numeric(Comparison::Greater), false),
    ("NumericGreaterThanEquals", Family::Numeric(Comparison::GreaterOrEqual), false),
    ("DateEquals", Family::Date(Comparison::Equal), false),
    ("DateNotEquals", Family::Date(Comparison::Equal), true),
    ("DateLessThan", Family::Date(Comparison::Less), false),
    ("DateLessThanEquals", Family::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Family::Date(Comparison::Greater), false),
    ("DateGreaterThanEquals", Family::Date(Comparison::GreaterOrEqual), false),
    ("Bool", Family::Bool, false),
    ("BinaryEquals", Family::Binary, false),
    ("IpAddress", Family::Ip, false),
    ("NotIpAddress", Family::Ip, true),
    ("ArnEquals", Family::Arn, false),
    ("ArnNotEquals", Family::Arn, true),
    ("ArnLike", Family::Arn, false),
    ("ArnNotLike", Family::Arn, true),
    ("Null", Family::Null, false),
];

impl Operator {
    /// Its name, as policies have it.
    pub(super) fn name(&self) -> String {
        let qualifier = match self.qualifier {
            Qualifier::None => "",
            Qualifier::ForAllValues => "ForAllValues:",
            Qualifier::ForAnyValue => "ForAnyValue:",
        };
        format!("{qualifier}{}{}", self.plain, if self.if_exists { "IfExists" } else { "" })
    }

    /// `None`: there is no such operator.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (qualifier, name) = if let Some(name) = name.strip_prefix("ForAllValues:") {
            (Qualifier::ForAllValues, name)
        } else if let Some(name) = name.strip_prefix("ForAnyValue:") {
            (Qualifier::ForAnyValue, name)
        } else {
            (Qualifier::None, name)
        };
        let (plain, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |plain| (plain, true));
        let (plain, family, is_negated) = *NAMES.iter().find(|(known, ..)| *known == plain)?;
        let is_plain = qualifier == Qualifier::None && !if_exists;
        // It asks whether there are values, not what they are.
        (family != Family::Null || is_plain).then_some(Self { qualifier, family, is_negated, if_exists, plain })
    }
}
