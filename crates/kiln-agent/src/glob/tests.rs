use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, path: &str) -> bool {
    Pattern::new(pattern).unwrap().matches(path.as_bytes())
}

#[test]
fn the_dialect() {
    for (pattern, yes, no) in [
        ("my-file.jar", &["my-file.jar"][..], &["a/my-file.jar", "my-file.jarx", ""][..]),
        ("**/*", &["a", "a/b", ".git/config", "a/.b/c"], &[]),
        ("**", &["a", "a/b", ".git/config"], &[]),
        ("dir/*", &["dir/a", "dir/.b"], &["dir", "dir/a/b", "a"]),
        ("dir/**/*", &["dir/a", "dir/a/b", "dir/.a/.b"], &["dir", "di/a", "dirx/a"]),
        ("dir/**", &["dir/a", "dir/a/b"], &["dir", "dirx"]),
        ("**/*.js", &["a.js", "a/b.js", "a/b/.js"], &["a.jsx", "js"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "a/b/c"]),
        ("target/**.jar", &["target/a.jar", "target/x/a.jar"], &["target/a.war", "a.jar"]),
        ("**/.*", &[".a", "x/.a"], &["a", ".a/b", "x/.a/b"]),
        ("**/.*/**/*", &[".a/b", "x/.a/b", "x/.a/y/z"], &[".a", "a/b"]),
        ("a?c", &["abc", "aüc", "a.c"], &["ac", "a/c", "abbc"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "-x", "abx"]),
        ("[!a-c]x", &["dx", "-x", "üx"], &["ax", "/x"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("a[", &["a["], &["a"]),
        ("a{b", &["a{b"], &["ab"]),
        ("{a,b}.txt", &["a.txt", "b.txt"], &["c.txt", "{a,b}.txt"]),
        ("{a,b/c}/*.txt", &["a/x.txt", "b/c/x.txt"], &["b/x.txt"]),
        ("{a,{b,c}d}e", &["ae", "bde", "cde"], &["be", "de"]),
        ("{*.jar,appspec.yml}", &["x.jar", "appspec.yml"], &["x/y.jar"]),
        ("{a}", &["a"], &["{a}"]),
        ("{**/,}a.js", &["a.js", "x/a.js"], &["xa.js"]),
        ("a{,b}", &["a", "ab"], &["abb"]),
        ("\\*", &["*"], &["a"]),
        ("a\\{b,c}", &["a{b,c}"], &["ab"]),
        ("./a//b/./c", &["a/b/c"], &["./a/b/c"]),
        ("x/../a", &["a"], &["x/a"]),
        ("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "a/bc"]),
        ("my-build*/my-file*.txt", &["my-build-1/my-file-1.txt"], &["my-build-1/x/my-file-1.txt"]),
    ] {
        for path in yes {
            assert!(matches(pattern, path), "{pattern} must match {path}");
        }
        for path in no {
            assert!(!matches(pattern, path), "{pattern} must not match {path}");
        }
    }
}

#[test]
fn where_a_pattern_starts_and_what_it_names() {
    let of = |text: &str| {
        let pattern = Pattern::new(text).unwrap();
        (pattern.anchor, pattern.prefix.join("/"), pattern.names_one, pattern.only_directory)
    };
    assert_eq!(of("a/b/*.c"), (Anchor::Base(0), "a/b".into(), false, false));
    assert_eq!(of("/root/.m2/**/*"), (Anchor::Root, "root/.m2".into(), false, false));
    assert_eq!(of("../../x/y"), (Anchor::Base(2), "x".into(), true, false));
    assert_eq!(of("node_modules/"), (Anchor::Base(0), String::new(), true, true));
    assert_eq!(of("/../etc"), (Anchor::Root, String::new(), true, false));
    assert_eq!(of("."), (Anchor::Base(0), String::new(), true, true));
    assert_eq!(of("/"), (Anchor::Root, String::new(), true, true));
    assert_eq!(Pattern::new("").unwrap_err(), PatternError::Empty);
    assert_eq!(Pattern::new(&"x".repeat(5000)).unwrap_err(), PatternError::TooLong(5000));
}

#[test]
fn directories_that_cannot_hold_a_match_are_known() {
    let pattern = Pattern::new("a*/b/*.c").unwrap();
    let enter = |path: &str| !pattern.advance(&pattern.start(), path.as_bytes()).is_dead();
    assert!(enter("a/") && enter("ax/b/"));
    assert!(!enter("b/") && !enter("a/c/") && !enter("a/b/c/"));
    let everywhere = Pattern::new("**/x").unwrap();
    assert!(!everywhere.advance(&everywhere.start(), b"any/where/").is_dead());
}

#[test]
fn names_that_are_not_utf_8_are_matched_by_byte() {
    let pattern = Pattern::new("a?*.txt").unwrap();
    assert!(pattern.matches(b"a\xff.txt") && pattern.matches(b"a\xff\xfe\x80.txt"));
    assert!(!pattern.matches(b"a.txt"));
    assert!(Pattern::new("[!a]").unwrap().matches(b"\xff"));
}

/// The dialect once more, by another way: braces written out, then backtracking.
mod reference {
    pub(super) fn matches(pattern: &str, path: &str) -> bool {
        let pattern: Vec<char> = pattern.chars().collect();
        let path: Vec<char> = path.chars().collect();
        expand(&pattern).iter().any(|pattern| at(pattern, &path, true))
    }

    fn expand(pattern: &[char]) -> Vec<Vec<char>> {
        let Some(open) = pattern.iter().position(|c| *c == '{') else { return vec![pattern.to_vec()] };
        let mut depth = 0;
        let mut cuts = vec![open];
        for (index, c) in pattern.iter().enumerate().skip(open) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => cuts.push(index),
                _ => {}
            }
            if depth == 0 {
                cuts.push(index);
                let tail = &pattern[index + 1..];
                return cuts
                    .windows(2)
                    .flat_map(|cut| {
                        let text = [&pattern[..open], &pattern[cut[0] + 1..cut[1]], tail].concat();
                        expand(&text)
                    })
                    .collect();
            }
        }
        unreachable!("the generator closes its braces")
    }

    fn at(pattern: &[char], path: &[char], fresh: bool) -> bool {
        match pattern {
            [] => path.is_empty(),
            ['*', '*', '/', rest @ ..] if fresh => {
                at(rest, path, true) || (0..path.len()).any(|n| path[n] == '/' && at(rest, &path[n + 1..], true))
            }
            ['*', '*', rest @ ..] => {
                let rest = &rest[rest.iter().take_while(|c| **c == '*').count()..];
                (0..=path.len()).any(|n| at(rest, &path[n..], false))
            }
            ['*', rest @ ..] => {
                (0..=path.len()).take_while(|n| *n == 0 || path[n - 1] != '/').any(|n| at(rest, &path[n..], false))
            }
            ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && at(rest, &path[1..], false),
            [literal, rest @ ..] => path.first() == Some(literal) && at(rest, &path[1..], *literal == '/'),
        }
    }
}

/// Patterns whose meaning does not change when their braces are written out: no star meets another one through them.
fn any_pattern() -> impl Strategy<Value = String> {
    let literal = || prop::sample::select(vec!["a", "b", ".a", "ab"]).prop_map(str::to_owned);
    let star = || prop::sample::select(vec!["*", "?", "**"]).prop_map(str::to_owned);
    let edged = prop::sample::select(vec!["a", "b", "a*b", "a/b", "a?b", "a**b", "ab"]).prop_map(str::to_owned);
    let whole = prop::sample::select(vec!["a", "*", "*a", "?b", "**/a", "a/*", "b/**/a", "ab"]).prop_map(str::to_owned);
    let group =
        |of: BoxedStrategy<String>| prop::collection::vec(of, 1..4).prop_map(|l| format!("{{{}}}", l.join(",")));
    let simple = (literal(), prop::option::of(star()), prop::option::of(literal()));
    let component = prop_oneof![
        2 => Just("**".to_owned()),
        1 => Just("*".to_owned()),
        4 => simple.prop_map(|(a, star, b)| a + &star.unwrap_or_default() + &b.unwrap_or_default()),
        1 => (star(), literal()).prop_map(|(star, literal)| star + &literal),
        1 => (literal(), group(edged.boxed()), star()).prop_map(|(a, group, star)| a + &group + &star),
        1 => group(whole.boxed()),
    ];
    prop::collection::vec(component, 1..5).prop_map(|components| components.join("/"))
}

fn any_path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", ".a", "ab", "ba", "a.b", "abab"]), 1..5)
        .prop_map(|components| components.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_the_reference(pattern in any_pattern(), path in any_path()) {
        let compiled = Pattern::new(&pattern).unwrap();
        prop_assert_eq!(compiled.matches(path.as_bytes()), reference::matches(&pattern, &path), "{} {}", pattern, path);
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(pattern in "[*?\\[\\]{},!/\\\\a-c.^-]{0,60}", path in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(pattern) = Pattern::new(&pattern) {
            std::hint::black_box(pattern.matches(&path));
            prop_assert!(pattern.size() <= 3 * 60 + 2);
        }
    }

    #[test]
    fn a_path_in_parts_is_the_path(pattern in any_pattern(), path in any_path(), cut in any::<prop::sample::Index>()) {
        let pattern = Pattern::new(&pattern).unwrap();
        let (head, tail) = path.as_bytes().split_at(cut.index(path.len() + 1));
        let whole = pattern.advance(&pattern.start(), path.as_bytes());
        prop_assert_eq!(pattern.advance(&pattern.advance(&pattern.start(), head), tail), whole);
    }
}

#[test]
fn no_pattern_makes_matching_slow() {
    // What would make a backtracking matcher take for ever: the work for a character stays within the pattern's size.
    for pattern in [
        "*a".repeat(200),
        "**/a*".repeat(100),
        "{a,a*}".repeat(150),
        "{*,**}".repeat(150),
        "a**".repeat(300),
        format!("{}{}", "{".repeat(12), "a,b}".repeat(12)),
    ] {
        let pattern = Pattern::new(&pattern).unwrap();
        for path in ["a".repeat(10_000) + "b", "a/".repeat(5_000), "\u{fc}".repeat(5_000)] {
            let before = work();
            std::hint::black_box(pattern.matches(path.as_bytes()));
            let work = work() - before;
            assert!(work <= 4 * path.len() * pattern.size(), "{work} for {} states", pattern.size());
        }
    }
}
