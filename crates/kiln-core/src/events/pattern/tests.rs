//! Each operator, and what holds of all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn matches(pattern: &Value, event: &Value) -> bool {
    Pattern::parse(&pattern.to_string()).unwrap_or_else(|error| panic!("{pattern}: {error}")).matches(event)
}

#[test]
fn operators() {
    // What the member `x` is compared with, what matches, what does not.
    let all: &[(Value, &[Value], &[Value])] = &[
        (
            json!(["a", "b"]),
            &[json!("a"), json!("b"), json!(["c", "b"])],
            &[json!("A"), json!("ab"), json!(null), json!([])],
        ),
        (json!([3]), &[json!(3), json!(3.0), json!([1, 3])], &[json!("3"), json!(3.1)]),
        (json!([null, true]), &[json!(null), json!(true)], &[json!("null"), json!(false), json!(0), json!("")]),
        (json!([""]), &[json!("")], &[json!(null), json!("a")]),
        (json!([{ "prefix": "ab" }]), &[json!("ab"), json!("abc")], &[json!("a"), json!("Abc"), json!(5)]),
        (json!([{ "suffix": ".png" }]), &[json!("a.png")], &[json!("a.PNG"), json!("png")]),
        (json!([{ "prefix": { "equals-ignore-case": "Ab" } }]), &[json!("aBc")], &[json!("ba")]),
        (json!([{ "suffix": { "equals-ignore-case": ".Png" } }]), &[json!("a.PNG")], &[json!("a.pn")]),
        (json!([{ "equals-ignore-case": "AlicE" }]), &[json!("alice"), json!("ALICE")], &[json!("alices"), json!(1)]),
        (json!([{ "wildcard": "a*c" }]), &[json!("ac"), json!("abbc")], &[json!("acb"), json!("a"), json!("bac")]),
        (json!([{ "wildcard": "*/dir/*.rs" }]), &[json!("/dir/.rs"), json!("a/dir/b/dir/c.rs")], &[json!("/dir.rs")]),
        (json!([{ "wildcard": "ab*ba" }]), &[json!("abba")], &[json!("aba")]),
        (json!([{ "wildcard": r"a\*\\*" }]), &[json!(r"a*\"), json!(r"a*\b")], &[json!("ab"), json!(r"a\*")]),
        (json!([{ "wildcard": "*" }]), &[json!(""), json!("x")], &[json!(1)]),
        (
            json!([{ "anything-but": "a" }]),
            &[json!("b"), json!(1), json!(["a", "b"])],
            &[json!("a"), json!(["a"]), json!([])],
        ),
        (json!([{ "anything-but": [1, "a"] }]), &[json!(2), json!("1")], &[json!(1.0), json!("a")]),
        (json!([{ "anything-but": { "prefix": "a" } }]), &[json!("ba"), json!(1)], &[json!("ab")]),
        (json!([{ "anything-but": { "suffix": ["a", "b"] } }]), &[json!("ac")], &[json!("cb"), json!("ca")]),
        (json!([{ "anything-but": { "equals-ignore-case": ["X", "y"] } }]), &[json!("z")], &[json!("x"), json!("Y")]),
        (json!([{ "anything-but": { "wildcard": "*/lib/*" } }]), &[json!("/src/")], &[json!("/a/lib/b")]),
        (json!([{ "anything-but": { "prefix": { "equals-ignore-case": "a" } } }]), &[json!("b")], &[json!("Ab")]),
        (json!([{ "numeric": ["=", 5] }]), &[json!(5), json!(5.0)], &[json!("5"), json!(5.01)]),
        (json!([{ "numeric": [">", 0, "<=", 5] }]), &[json!(0.1), json!(5)], &[json!(0), json!(5.1)]),
        (json!([{ "numeric": [">=", -1e3] }]), &[json!(-1000), json!(7)], &[json!(-1001)]),
        (json!([{ "numeric": ["<", 2] }]), &[json!(1)], &[json!(2), json!(null)]),
        (
            json!([{ "cidr": "10.0.0.0/24" }]),
            &[json!("10.0.0.255")],
            &[json!("10.0.1.0"), json!("::1"), json!("x"), json!(1)],
        ),
        (json!([{ "cidr": "10.1.2.3/0" }]), &[json!("1.2.3.4")], &[json!("::")]),
        (json!([{ "cidr": "2001:db8::/32" }]), &[json!("2001:db8:ffff::1")], &[json!("2001:db9::")]),
        (json!([{ "exists": true }]), &[json!(null), json!(""), json!([1])], &[json!({}), json!([])]),
        (json!([{ "exists": false }]), &[json!([]), json!({ "y": 1 })], &[json!(null), json!([1])]),
        (json!([{ "exists": false }, "a"]), &[json!("a")], &[json!("b")]),
    ];
    for (values, good, bad) in all {
        for (events, expected) in [(good, true), (bad, false)] {
            for event in *events {
                assert_eq!(matches(&json!({ "x": values }), &json!({ "x": event })), expected, "{values} {event}");
            }
        }
        let without = matches(&json!({ "x": values }), &json!({ "y": 1 }));
        assert_eq!(without, values.to_string().contains(r#""exists":false"#), "{values} without x");
    }
}

#[test]
fn members_go_together() {
    let event = json!({
        "source": "aws.codecommit", "detail-type": "CodeCommit Repository State Change",
        "detail": { "event": "referenceUpdated", "referenceType": "branch", "referenceName": "main", "n": [1, [2]] },
    });
    let canonical = json!({
        "source": ["aws.codecommit"], "detail-type": ["CodeCommit Repository State Change"],
        "detail": { "event": ["referenceCreated", "referenceUpdated"], "referenceName": ["main"] },
    });
    assert!(matches(&canonical, &event));
    assert!(matches(&json!({ "detail": { "n": [2] } }), &event));
    assert!(!matches(&json!({ "source": ["aws.codecommit"], "detail": { "referenceName": ["dev"] } }), &event));
    assert!(!matches(&json!({ "detail": ["x"] }), &event));
    assert!(!matches(&json!({ "source": { "x": ["y"] } }), &event));
    assert!(matches(&json!({ "source": { "x": [{ "exists": false }] } }), &event));
    assert!(matches(&json!({ "other": { "x": [{ "exists": false }] } }), &event));
    assert!(!matches(&canonical, &json!([event])));
}

#[test]
fn one_item_of_an_array_of_objects_has_it_all() {
    let event = json!({ "all": [{ "a": 1, "b": 2 }, [{ "a": 3, "b": [4, 5] }], "x"] });
    let pattern = |a: i32, b: i32| json!({ "all": { "a": [a], "b": [b] } });
    assert!(matches(&pattern(1, 2), &event));
    assert!(matches(&pattern(3, 5), &event));
    assert!(!matches(&pattern(1, 4), &event));
    assert!(!matches(&json!({ "all": { "a": [1], "b": [{ "exists": false }] } }), &event));
    assert!(!matches(&json!({ "all": { "b": [{ "exists": false }] } }), &json!({ "all": [{ "a": 1 }, { "b": 1 }] })));
}

#[test]
fn alternatives() {
    let pattern = json!({
        "source": ["a"],
        "$or": [{ "n": [{ "numeric": [">", 5] }] }, { "detail": { "$or": [{ "x": ["y"] }, { "z": [{ "exists": true }] }] } }],
    });
    assert!(matches(&pattern, &json!({ "source": "a", "n": 6 })));
    assert!(matches(&pattern, &json!({ "source": "a", "detail": { "x": "y" } })));
    assert!(matches(&pattern, &json!({ "source": "a", "detail": { "z": null } })));
    assert!(!matches(&pattern, &json!({ "source": "a", "n": 5, "detail": {} })));
    assert!(!matches(&pattern, &json!({ "source": "b", "n": 6 })));
    // A member that is called so.
    assert!(matches(&json!({ "$or": ["x"] }), &json!({ "$or": "x" })));
    assert!(matches(&json!({ "$or": [{ "prefix": "x" }, { "suffix": "y" }] }), &json!({ "$or": "ay" })));
}

#[test]
fn what_is_no_pattern_is_refused() {
    for (text, why) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not an object"),
        ("\"x\"", "not an object"),
        ("{}", "Empty objects"),
        (r#"{"source":"aws.codecommit"}"#, "\"source\" must be an object or an array"),
        (r#"{"a":null}"#, "must be an object"),
        (r#"{"a":[]}"#, "Empty arrays"),
        (r#"{"a":{}}"#, "Empty objects"),
        (r#"{"a":[["b"]]}"#, "stand values"),
        (r#"{"a":[{}]}"#, "one condition"),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "one condition"),
        (r#"{"a":[{"prefx":"x"}]}"#, "Unrecognized match type prefx"),
        (r#"{"a":[{"prefix":5}]}"#, "must be a string"),
        (r#"{"a":[{"exists":"x"}]}"#, "true or false"),
        (r#"{"a":[{"wildcard":"a**b"}]}"#, "Consecutive"),
        (r#"{"a":[{"wildcard":"a\\b"}]}"#, "escape"),
        (r#"{"a":[{"wildcard":"a\\"}]}"#, "escape"),
        (r#"{"a":[{"numeric":[]}]}"#, "numeric"),
        (r#"{"a":[{"numeric":["=", "5"]}]}"#, "numeric"),
        (r#"{"a":[{"numeric":["!=", 5]}]}"#, "operator: !="),
        (r#"{"a":[{"numeric":[">", 5, "<", 5]}]}"#, "Bottom"),
        (r#"{"a":[{"numeric":["<", 5, ">", 1]}]}"#, "Too many"),
        (r#"{"a":[{"numeric":["=", 5, "=", 1]}]}"#, "Too many"),
        (r#"{"a":[{"numeric":[">", 1, "<", 5, "<", 6]}]}"#, "Too many"),
        (r#"{"a":[{"numeric":[">"]}]}"#, "numeric"),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "CIDR"),
        (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "mask bits"),
        (r#"{"a":[{"cidr":"x/8"}]}"#, "address"),
        (r#"{"a":[{"anything-but":[]}]}"#, "Empty arrays"),
        (r#"{"a":[{"anything-but":{"prefix":[]}}]}"#, "Empty arrays"),
        (r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#, "Unsupported"),
        (r#"{"a":[{"anything-but":[["x"]]}]}"#, "Inside anything-but"),
        (r#"{"$or":[{"a":["b"]}]}"#, "Unrecognized match type a"),
        (r#"{"$or":[{"a":["b"]},{"a":[]}]}"#, "Empty arrays"),
    ] {
        let error = Pattern::parse(text).err().unwrap_or_else(|| panic!("{text}"));
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
    let deep = format!("{}[1]{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    assert!(Pattern::parse(&deep).is_err());
}

/// JSON of any kind.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-50i32..50).prop_map(Value::from),
        "[ab*\\\\./]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name =
            prop_oneof!["[abc]", "prefix|suffix|wildcard|anything-but|exists|numeric|cidr|equals-ignore-case|\\$or"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A pattern of exactly what an event has; `None` for what has nothing.
fn pattern_of(event: &Value) -> Option<Value> {
    match event {
        Value::Object(members) => {
            let members: serde_json::Map<_, _> =
                members.iter().filter_map(|(name, value)| Some((name.clone(), pattern_of(value)?))).collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        Value::Array(items) => items.iter().find_map(pattern_of),
        leaf => Some(json!([leaf])),
    }
}

proptest! {
    #[test]
    fn nothing_panics(pattern in any_json(), event in any_json()) {
        if let Ok(pattern) = Pattern::parse(&pattern.to_string()) {
            pattern.matches(&event);
        }
    }

    #[test]
    fn an_event_matches_what_was_made_of_it(event in any_json()) {
        if let Some(pattern) = pattern_of(&event).filter(Value::is_object)
            && let Ok(pattern) = Pattern::parse(&pattern.to_string())
            && event.is_object()
        {
            prop_assert!(pattern.matches(&event));
        }
    }

    /// Stars compared with a matcher that tries everything.
    #[test]
    fn wildcards_are_like_a_matcher_that_tries_everything(pattern in "[ab]{0,2}(\\*[ab]{1,2}){0,3}\\*?", text in "[ab]{0,8}") {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match pattern {
                [] => text.is_empty(),
                [b'*', rest @ ..] => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                [letter, rest @ ..] => text.first() == Some(letter) && slow(rest, &text[1..]),
            }
        }
        let expected = slow(pattern.as_bytes(), text.as_bytes());
        prop_assert_eq!(matches(&json!({ "x": [{ "wildcard": pattern }] }), &json!({ "x": text })), expected);
    }
}
