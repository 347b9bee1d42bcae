//! Conditions (`security.md` 2.3).

use serde_json::{Value, json};

use super::world::Asked;

fn under(operator: &str, key: &str, values: Value) -> Asked {
    Asked::under(
        json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { operator: { key: values } } }),
    )
}

/// The same condition, asked of a statement that denies: whether it does not.
fn denies(operator: &str, key: &str, values: Value) -> Asked {
    Asked::under(json!([
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": { operator: { key: values } } },
    ]))
}

#[test]
fn operators_compare_one_value() {
    for (operator, wanted, value, holds) in [
        ("StringEquals", json!("a"), "a", true),
        ("StringEquals", json!("a"), "A", false),
        ("StringEquals", json!("*"), "a", false),
        ("StringEquals", json!(["b", "a"]), "a", true),
        ("StringEquals", json!(5), "5", true),
        ("StringNotEquals", json!(["a", "b"]), "b", false),
        ("StringNotEquals", json!(["a", "b"]), "c", true),
        ("StringEqualsIgnoreCase", json!("ÄB"), "äb", true),
        ("StringNotEqualsIgnoreCase", json!("AB"), "ab", false),
        ("StringLike", json!("a*c?"), "abbcd", true),
        ("StringLike", json!("A*"), "ab", false),
        ("StringNotLike", json!(["x*", "a*"]), "ab", false),
        ("NumericEquals", json!("10"), "10.0", true),
        ("NumericNotEquals", json!(10), "10.1", true),
        ("NumericLessThan", json!("9"), "10", false),
        ("NumericLessThanEquals", json!("10"), "10", true),
        ("NumericGreaterThan", json!("9.99"), "10", true),
        ("NumericGreaterThanEquals", json!("10"), "9", false),
        ("NumericEquals", json!("9007199254740993"), "9007199254740992", false),
        ("DateEquals", json!("2026-11-26T10:00:00Z"), "2026-11-26T11:00:00+01:00", true),
        ("DateEquals", json!("1795687200"), "2026-11-26T10:00:00Z", true),
        ("DateNotEquals", json!("2026-11-26T10:00:00Z"), "2026-11-26T10:00:00Z", false),
        ("DateLessThan", json!("2027"), "2026-11-26T10:00:00Z", true),
        ("DateLessThanEquals", json!("2026-11-26"), "2026-11-26T00:00:00Z", true),
        ("DateGreaterThan", json!(1_795_687_199), "1795687200", true),
        ("DateGreaterThanEquals", json!("2027-01"), "2026-12-31T23:59:59Z", false),
        ("Bool", json!("true"), "true", true),
        ("Bool", json!(false), "true", false),
        ("BinaryEquals", json!("QUI="), "QUI=", true),
        ("BinaryEquals", json!("QUI="), "QUM=", false),
        ("IpAddress", json!("10.0.0.0/8"), "10.1.2.3", true),
        ("IpAddress", json!(["10.0.0.1", "2001:db8::/32"]), "2001:db8::9", true),
        ("NotIpAddress", json!("10.0.0.0/8"), "11.1.2.3", true),
        ("IpAddress", json!("10.0.0.0/8"), "::ffff:10.0.0.1", true),
        ("ArnEquals", json!("arn:aws:iam::*:role/d*"), "arn:aws:iam::1:role/deploy", true),
        ("ArnLike", json!("arn:aws:iam::1*:x"), "arn:aws:iam::1:role:x", false),
        ("ArnNotLike", json!("arn:aws:iam::*:role/d*"), "arn:aws:iam::1:role/x", true),
        ("ArnNotEquals", json!("arn:aws:iam::1:role/x"), "arn:aws:iam::1:role/x", false),
    ] {
        assert_eq!(
            under(operator, "aws:K", wanted.clone()).with("aws:k", value).is_allowed(),
            holds,
            "{operator} {wanted} {value}"
        );
        assert_eq!(
            !denies(operator, "aws:K", wanted.clone()).with("aws:k", value).is_allowed(),
            holds,
            "Deny {operator} {wanted} {value}"
        );
    }
}

#[test]
fn a_key_that_is_missing() {
    for (operator, holds) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringEqualsIfExists", true),
        ("StringNotEqualsIfExists", true),
        ("NumericLessThan", false),
        ("NumericNotEqualsIfExists", true),
        ("Bool", false),
        ("BoolIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAllValues:StringNotEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
        ("ForAllValues:StringEqualsIfExists", true),
    ] {
        let wanted = match operator {
            "Bool" | "BoolIfExists" => json!("true"),
            _ => json!("1"),
        };
        assert_eq!(under(operator, "aws:k", wanted.clone()).is_allowed(), holds, "{operator}");
        assert_eq!(!denies(operator, "aws:k", wanted).is_allowed(), holds, "Deny {operator}");
    }
    for (wanted, is_there, holds) in
        [("true", false, true), ("true", true, false), ("false", false, false), ("false", true, true)]
    {
        let asked = under("Null", "aws:k", json!(wanted));
        assert_eq!(if is_there { asked.with("aws:k", "") } else { asked }.is_allowed(), holds, "Null {wanted}");
    }
}

#[test]
fn keys_of_several_values() {
    for (operator, wanted, values, holds) in [
        ("ForAllValues:StringEquals", json!(["a", "b"]), ["a", "b"], true),
        ("ForAllValues:StringEquals", json!(["a", "b"]), ["a", "c"], false),
        ("ForAllValues:StringNotEquals", json!(["c"]), ["a", "b"], true),
        ("ForAllValues:StringNotEquals", json!(["a"]), ["a", "b"], false),
        ("ForAnyValue:StringEquals", json!("a"), ["a", "b"], true),
        ("ForAnyValue:StringEquals", json!("c"), ["a", "b"], false),
        // At least one value is not listed; not the negation of the line above.
        ("ForAnyValue:StringNotEquals", json!("a"), ["a", "b"], true),
        ("ForAnyValue:StringNotEquals", json!(["a", "b"]), ["a", "b"], false),
        ("ForAnyValue:StringLike", json!("b*"), ["a", "bc"], true),
    ] {
        assert_eq!(
            under(operator, "aws:TagKeys", wanted.clone()).with_many("aws:tagkeys", &values).is_allowed(),
            holds,
            "{operator} {wanted}"
        );
        assert_eq!(
            !denies(operator, "aws:TagKeys", wanted.clone()).with_many("aws:tagkeys", &values).is_allowed(),
            holds,
            "Deny {operator} {wanted}"
        );
    }
    // Qualifiers do for one value as well.
    assert!(under("ForAnyValue:StringEquals", "aws:k", json!("a")).with("aws:k", "a").is_allowed());
    assert!(!under("ForAllValues:StringEquals", "aws:k", json!("a")).with("aws:k", "b").is_allowed());
}

/// Where sources disagree or a value cannot be read, nothing is allowed, and what is denied stays denied.
#[test]
fn what_is_unclear_is_denied() {
    let cases: [(&str, Value, &[&str]); 10] = [
        ("ForAnyValue:StringEqualsIfExists", json!("a"), &[]),
        ("StringEquals", json!("a"), &["a", "b"]),
        ("StringNotEquals", json!("a"), &["a", "b"]),
        ("NumericEquals", json!("1"), &["one"]),
        ("NumericNotEquals", json!("1"), &["one"]),
        ("DateLessThan", json!("2027"), &["tomorrow"]),
        ("Bool", json!("false"), &["no"]),
        ("NotIpAddress", json!("10.0.0.0/8"), &["localhost"]),
        ("NotIpAddress", json!(["10.0.0.0/8", "2001:db8::/32"]), &["2001:db9::1"]),
        ("ArnNotLike", json!("arn:aws:iam::1:role/x"), &["x"]),
    ];
    for (operator, wanted, values) in cases {
        let with = |asked: Asked| match values {
            [] => asked,
            [one] => asked.with("aws:k", one),
            many => asked.with_many("aws:k", many),
        };
        assert!(!with(under(operator, "aws:k", wanted.clone())).is_allowed(), "{operator}");
        assert!(!with(denies(operator, "aws:k", wanted)).is_allowed(), "Deny {operator}");
    }
    // Without a qualifier, what is said of a value that the request does not have denies nothing.
    assert!(denies("StringEquals", "aws:k", json!("c")).with_many("aws:k", &["a", "b"]).is_allowed());
    let unresolved = "${aws:PrincipalTag/none}";
    assert!(!under("StringNotEquals", "aws:k", json!(unresolved)).with("aws:k", "a").is_allowed());
    assert!(!denies("StringNotEquals", "aws:k", json!(unresolved)).with("aws:k", "a").is_allowed());
    assert!(denies("StringEquals", "aws:k", json!(unresolved)).with("aws:k", "a").is_allowed());
}

#[test]
fn all_conditions_of_a_statement_must_hold() {
    let condition = json!({
        "StringEquals": { "aws:a": "1", "aws:b": ["1", "2"] },
        "Bool": { "aws:SecureTransport": true },
    });
    let statement = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition });
    let asked = |a: &str, b: &str, secure: &str| {
        Asked::under(statement.clone())
            .with("aws:A", a)
            .with("aws:B", b)
            .with("aws:securetransport", secure)
            .is_allowed()
    };
    assert!(asked("1", "2", "true"));
    assert!(!asked("2", "2", "true") && !asked("1", "3", "true") && !asked("1", "1", "false"));
}

#[test]
fn variables_in_values_are_literal() {
    let asked = |operator: &str, value: &str, tag: &str| {
        under(operator, "aws:k", json!("${aws:PrincipalTag/t}"))
            .with("aws:k", value)
            .with("aws:PrincipalTag/t", tag)
            .is_allowed()
    };
    for operator in ["StringEquals", "StringLike", "StringEqualsIgnoreCase"] {
        assert!(asked(operator, "a", "a"), "{operator}");
        assert!(!asked(operator, "a", "*"), "{operator}");
        assert!(asked(operator, "*", "*"), "{operator}");
    }
    let arn = "arn:aws:iam::1:role/${aws:PrincipalTag/t}";
    let arns = |value: &str, tag: &str| {
        under("ArnLike", "aws:k", json!(arn)).with("aws:k", value).with("aws:PrincipalTag/t", tag).is_allowed()
    };
    assert!(arns("arn:aws:iam::1:role/a", "a") && !arns("arn:aws:iam::1:role/a", "*"));
    assert!(under("StringLike", "aws:k", json!("a${*}b*")).with("aws:k", "a*bc").is_allowed());
    assert!(!under("StringLike", "aws:k", json!("a${*}b*")).with("aws:k", "axbc").is_allowed());
}
