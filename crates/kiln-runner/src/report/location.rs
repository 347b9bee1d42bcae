//! Where a test failed, read out of its message or stack trace, for formats that have no field for it.

/// Colons looked at in one text, and bytes that a file's name may have in front of one: a hostile text with many of them
/// must not take long.
const MAX_COLONS: usize = 1_000;
const MAX_FILE_NAME: usize = 300;

/// Looks for `file.ext:line` in the texts, in order. Of several places the first in the file that is `known`, or that
/// `prefix` (the class or module of the test) names; else, when no file is known, the first that does not lie in a library.
///
/// Understands what Java (`(FooTest.java:12)`), pytest and pylint (`tests/test_foo.py:12:`), JavaScript
/// (`(/src/foo.test.js:5:17)`), Go (`foo_test.go:12:`), Ruby, Rust and PHP write, and .NET's `in /src/Foo.cs:line 12`.
pub(super) fn find<'t>(
    known: Option<&str>,
    prefix: &str,
    texts: impl IntoIterator<Item = &'t String>,
) -> Option<(String, u32)> {
    let known = known.map(base);
    let mut names = prefix.rsplit(['.', '/', '\\', ':', '$', '+', ' ']).filter(|n| !n.is_empty());
    let class = [names.next().unwrap_or_default(), names.next().unwrap_or_default()];
    let mut fallback = None;
    for text in texts {
        for (file, line) in candidates(text) {
            let stem = base(file).split('.').next().unwrap_or_default();
            let its_own = match known {
                Some(known) => known == base(file),
                None => !stem.is_empty() && class.contains(&stem),
            };
            if its_own {
                return Some((file.to_owned(), line));
            }
            if fallback.is_none() && known.is_none() && !is_library(file) {
                fallback = Some((file.to_owned(), line));
            }
        }
    }
    // A Java frame has no directory: it says nothing when it is another class's.
    fallback.filter(|(file, _)| ![".java", ".kt", ".scala", ".groovy"].iter().any(|e| file.ends_with(e)))
}

fn base(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or_default()
}

fn is_library(file: &str) -> bool {
    const LIBRARIES: [&str; 9] = [
        "node_modules/",
        "site-packages/",
        "dist-packages/",
        "/usr/lib/",
        "/usr/local/",
        "/vendor/",
        "/gems/",
        "/.cargo/",
        "/rustc/",
    ];
    file.starts_with("node:") || LIBRARIES.iter().any(|part| file.contains(part)) || file.starts_with("internal/")
}

/// Every `name.ext:number` of a text.
fn candidates(text: &str) -> impl Iterator<Item = (&str, u32)> {
    memchr::memchr_iter(b':', text.as_bytes()).take(MAX_COLONS).filter_map(move |colon| {
        let near = (colon.saturating_sub(MAX_FILE_NAME)..=colon).find(|&at| text.is_char_boundary(at))?;
        let before = text.get(near..colon)?;
        let start = before
            .rfind(|c: char| c.is_whitespace() || "()[]<>\"'`,;|=".contains(c))
            .map_or(0, |at| at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
        let file = before.get(start..)?;
        let file = file.strip_prefix("file://").unwrap_or(file);
        let extension = file.rsplit('.').next().filter(|e| e.len() < file.len())?;
        let named = (1..=5).contains(&extension.len())
            && extension.starts_with(|c: char| c.is_ascii_alphabetic())
            && extension.chars().all(|c| c.is_ascii_alphanumeric());
        let after = text.get(colon + 1..)?;
        let after = after.strip_prefix("line ").unwrap_or(after);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let line = after.get(..end)?.parse().ok().filter(|&line| line > 0)?;
        // `host.com:80/` and `12.5s:3` are no files.
        let file_like = named && !after.get(end..)?.starts_with('/') && !file.contains("://");
        file_like.then_some((file, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tests_own_place() {
        for (prefix, text, expected) in [
            (
                "org.example.FooTest",
                "java.lang.AssertionError\n\tat org.junit.Assert.fail(Assert.java:89)\n\tat org.example.FooTest.bar(FooTest.java:12)",
                Some(("FooTest.java", 12)),
            ),
            ("org.example.FooTest", "at org.junit.Assert.fail(Assert.java:89)", None),
            (
                "tests.test_foo",
                "def helper():\nlib/helper.py:3: in helper\ntests/test_foo.py:7: AssertionError",
                Some(("tests/test_foo.py", 7)),
            ),
            ("tests.test_foo.TestClass", "tests/test_foo.py:9: AssertionError", Some(("tests/test_foo.py", 9))),
            (
                "adds numbers",
                "Error: no\n    at expect (/src/node_modules/x/build/index.js:1:2)\n    at Object.<anonymous> (/src/sum.test.js:5:17)",
                Some(("/src/sum.test.js", 5)),
            ),
            ("pkg", "    sum_test.go:12: got 3", Some(("sum_test.go", 12))),
            (
                "N.FooTests",
                "   at N.FooTests.Bar() in /src/Foo Tests/FooTests.cs:line 21",
                Some(("Tests/FooTests.cs", 21)),
            ),
            ("x", "thread 'main' panicked at src/lib.rs:8:5:", Some(("src/lib.rs", 8))),
            ("x", "connect to example.com:80/path and 10.0.0.1:8080 at 12:30", None),
            ("x", "", None),
        ] {
            let found = find(None, prefix, [&text.to_owned()]);
            assert_eq!(found.as_ref().map(|(f, l)| (f.as_str(), *l)), expected, "{text}");
        }
    }

    #[test]
    fn hostile_texts_take_no_time() {
        let text = "a:".repeat(1_000_000);
        assert_eq!(find(None, "", [&text]), None);
        let text = "\u{20ac}:1".repeat(1_000_000);
        assert_eq!(find(None, "", [&text]), None);
        let text = format!("{} x.rs:7", "no ".repeat(1_000_000));
        assert_eq!(find(None, "", [&text]), Some(("x.rs".to_owned(), 7)));
    }
}
