use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, wanted: &[&str], others: &[&str]) {
    let parsed = Pattern::parse(pattern).unwrap_or_else(|problem| panic!("{pattern}: {problem}"));
    for message in wanted {
        assert!(parsed.matches(message), "{pattern} wants {message}");
    }
    for message in others {
        assert!(!parsed.matches(message), "{pattern} does not want {message}");
    }
}

#[test]
fn terms() {
    check("", &["", "anything"], &[]);
    check("  ", &["anything"], &[]);
    check("ERROR", &["[ERROR] 400", "ERRORS"], &["error", ""]);
    check("ERROR ARGUMENTS", &["ERROR bad ARGUMENTS", "ARGUMENTS ERROR"], &["ERROR"]);
    check("?ERROR ?ARGUMENTS", &["ERROR", "ARGUMENTS"], &["INFO"]);
    check("ERROR -ARGUMENTS", &["ERROR x"], &["ERROR ARGUMENTS", "x"]);
    check("-ARGUMENTS", &["x", ""], &["ARGUMENTS"]);
    check(r#""INTERNAL SERVER ERROR""#, &["500 INTERNAL SERVER ERROR!"], &["INTERNAL  SERVER ERROR"]);
    check(r#"-"a b" c"#, &["c a"], &["c a b", "a"]);
    check(r#""say \"hi\"""#, &[r#"say "hi" x"#], &["say hi"]);
    check(r"%4[0-9]{2}%", &["status 404."], &["status 504"]);
    check(r"%^a%  -%b$%", &["a c"], &["a b", "c a"]);
    check("?a b", &["b"], &["a"]);
}

#[test]
fn json() {
    let login = r#"{"user": {"id": 1, "Email": "J@x.com"}, "users": [{"id": 2}, {"id": 3}], "ok": true, "n": null, "ip": "123.45.6.7", "code": 404, "empty": ""}"#;
    for pattern in [
        r#"{ $.user.Email = "J@x.com" }"#,
        r#"{$.user.Email="J@*"}"#,
        r#"{ $.user.Email != "x" }"#,
        "{ $.user.id = 1 }",
        "{ $.user.id >= 1 && $.user.id <= 1 && $.user.id < 1.5 && $.user.id > -1e1 }",
        "{ $.users[1].id = 3 }",
        "{ $.users[*].id = 3 }",
        "{ $.ip = 123.45.* }",
        "{ $.ip = %123\\.45\\.[0-9]\\.7% }",
        "{ $.code = 4* }",
        "{ $.code = %40[34]% }",
        "{ $.n IS NULL }",
        "{ $.ok IS TRUE }",
        "{ $.ok is true }",
        "{ $.other NOT EXISTS }",
        r#"{ $.empty = "" }"#,
        r#"{ ($.user.id = 2) || ($.user.id = 1 && ($.ok IS TRUE)) }"#,
        r#"{ $.user.id = 1 || $.user.id = 2 && $.ok IS FALSE }"#,
        r#"{ $.["user"].id = 1 }"#,
    ] {
        check(pattern, &[login, &format!(" {login}\n")], &[]);
    }
    for pattern in [
        r#"{ $.user.Email = "j@x.com" }"#,
        r#"{ $.missing != "x" }"#,
        "{ $.user.id != 1 }",
        "{ $.user = 1 }",
        "{ $.users[2].id = 3 }",
        "{ $.n NOT EXISTS }",
        "{ $.ok IS FALSE }",
        "{ $.code IS NULL }",
        "{ $.code > 404 }",
        "{ ($.user.id = 1 || $.user.id = 2) && $.ok IS FALSE }",
    ] {
        check(pattern, &[], &[login]);
    }
    check("{ $.x NOT EXISTS }", &["{}"], &["[]", "text", "{\"a\"", "5", ""]);
}

#[test]
fn fields() {
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 404 1534"#;
    for pattern in [
        "[ip, id, user, timestamp, request, status_code, size]",
        "[ip, id, user, timestamp, request, status_code = 4*, size]",
        "[ip, id, user, timestamp, request =*.gif*, status_code = 404, size > 1500]",
        r#"[..., request = "GET *", status_code, size]"#,
        "[..., size]",
        "[ip = 127.*, ...]",
        "[ip, ..., status_code = 404 || status_code = 500, size]",
        "[ip, ..., (status_code = 4* && status_code != 403), size]",
        "[ip,id,user=%^fr%,...]",
        "[,,,,,,]",
        "[...]",
    ] {
        check(pattern, &[line, &format!("{line}\n")], &[]);
    }
    for pattern in [
        "[ip, id, user, timestamp, request, status_code]",
        "[ip, id, user, timestamp, request, status_code, size, more]",
        "[..., status_code = 5*, size]",
        "[..., size < 1000]",
        "[ip != 127.0.0.1, ...]",
        "[a, b, c, d, e, f, g, h, ...]",
    ] {
        check(pattern, &[], &[line]);
    }
    check("[w1 = ERROR, w2]", &["ERROR x"], &["ERROR x y", "ERROR", "INFO x", ""]);
}

#[test]
fn bad_patterns_say_what_is_wrong() {
    for (pattern, what) in [
        ("\"open", "a quotation mark is not closed (at character 1)"),
        ("a %open", "a percent sign is not closed (at character 3)"),
        ("%%", "nothing between the percent signs"),
        ("%(%", "no regular expression"),
        ("a -", "a term is missing (at character 3)"),
        ("{ $.a }", "expected =, !=, <, <=, >, >=, IS or NOT EXISTS"),
        ("{ $.a = }", "a value is missing"),
        ("{ $.a = 1", "the closing brace"),
        ("{ $.a = 1 } x", "something follows"),
        ("{ a = 1 }", "begins with $"),
        ("{ $ = 1 }", "expected a name behind the $"),
        ("{ $.a > \"x\" }", "only numbers"),
        ("{ ($.a = 1 }", "a parenthesis is not closed"),
        ("{ $.a[x] = 1 }", "between the brackets"),
        ("{ $.a NOT 1 }", "EXISTS"),
        ("{ $.a IS 1 }", "NULL, TRUE or FALSE"),
        ("{}", "begins with $"),
        ("[a, b", "closing bracket"),
        ("[..., a, ...]", "twice"),
        ("[a = 1 && b = 1]", "name another"),
        ("[a] x", "something follows"),
        ("[a = ]", "a value is missing"),
    ] {
        let problem = Pattern::parse(pattern).unwrap_err().to_string();
        assert!(problem.starts_with("Invalid filter pattern: ") && problem.contains(what), "{pattern}: {problem}");
    }
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(2000), ")".repeat(2000));
    assert!(Pattern::parse(&deep).unwrap_err().to_string().contains("deep"));
    assert!(Pattern::parse(&"a".repeat(5000)).unwrap_err().to_string().contains("too long"));
}

proptest! {
    /// Nothing panics, and what is read can be asked.
    #[test]
    fn any_text_is_a_pattern_or_a_problem(
        pattern in "[\\[{]?[-?%\"$.a-c0-9*=!<>&|()\\[\\]{}, ä\\\\]{0,40}",
        message in "\\PC{0,60}",
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            pattern.matches(&message);
        }
    }

    /// Stars against a plain search in both places.
    #[test]
    fn stars_stand_for_any_text(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
        let regex = format!("^(?s){}$", pattern.split('*').map(regex::escape).collect::<Vec<_>>().join(".*"));
        prop_assert_eq!(value::is_like(&pattern, &text), regex::Regex::new(&regex).unwrap().is_match(&text));
    }

    /// A quoted phrase is looked for as it is.
    #[test]
    fn phrases_are_found_as_they_are(phrase in "[a-zA-Z0-9 .:/*-]{1,10}", before in "[a-c ]{0,5}") {
        let pattern = Pattern::parse(&format!("\"{phrase}\"")).unwrap();
        let message = format!("{before}{phrase}");
        prop_assert!(pattern.matches(&message));
    }
}
