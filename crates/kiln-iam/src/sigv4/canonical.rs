//! The canonical form of a request (`security.md` 1.1).

use super::{
    query::{self, Pair},
    request::Request,
};

/// How a service wants the path in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathRule {
    /// All services but S3: `.`, `..` and doubled slashes resolved, then the path as received escaped once more.
    Normalised,
    /// S3: a key may contain anything, so nothing is resolved; decoded once and escaped in the one canonical way.
    Verbatim,
}

impl PathRule {
    /// The rule of the service that a scope names.
    pub(super) fn of(service: &str) -> Self {
        if service == "s3" { Self::Verbatim } else { Self::Normalised }
    }
}

/// The bytes whose hash is signed; `None` when an escape in the path or the query is incomplete, or the path is not
/// absolute.
///
/// `is_signed` chooses the query's pairs that the signature covers.
pub(super) fn canonical_request(
    request: &Request<'_>,
    rule: PathRule,
    is_signed: impl Fn(Pair<'_>) -> bool,
    signed_headers: &[String],
    payload: &str,
) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(512);
    output.extend_from_slice(request.method.as_bytes());
    output.push(b'\n');
    path(&mut output, request.path, rule)?;
    output.push(b'\n');
    query_string(&mut output, request.query, is_signed)?;
    output.push(b'\n');
    for name in signed_headers {
        output.extend_from_slice(name.as_bytes());
        output.push(b':');
        for (index, value) in request.values(name).enumerate() {
            if index > 0 {
                output.push(b',');
            }
            header_value(&mut output, value);
        }
        output.push(b'\n');
    }
    output.push(b'\n');
    output.extend_from_slice(signed_headers.join(";").as_bytes());
    output.push(b'\n');
    output.extend_from_slice(payload.as_bytes());
    Some(output)
}

fn path(output: &mut Vec<u8>, path: &str, rule: PathRule) -> Option<()> {
    // Other forms (`*`, `host:port`) are never signed, and `.` would be resolved to the root.
    if !path.starts_with('/') {
        return None;
    }
    match rule {
        PathRule::Normalised => query::encode(output, normalise(path).as_bytes(), true),
        PathRule::Verbatim => query::encode(output, &query::decode(path)?, true),
    }
    Some(())
}

/// Resolves `.`, `..` and doubled slashes as RFC 3986 section 5.2.4 does; never leaves the root.
fn normalise(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut result = format!("/{}", kept.join("/"));
    let is_directory = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if is_directory && result.len() > 1 {
        result.push('/');
    }
    result
}

fn query_string(output: &mut Vec<u8>, query: Option<&str>, is_signed: impl Fn(Pair<'_>) -> bool) -> Option<()> {
    let mut pairs = query::pairs(query)
        .filter(|pair| is_signed(*pair))
        .map(|pair| Some((escape_anew(pair.name)?, escape_anew(pair.value)?)))
        .collect::<Option<Vec<_>>>()?;
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            output.push(b'&');
        }
        output.extend_from_slice(name);
        output.push(b'=');
        output.extend_from_slice(value);
    }
    Some(())
}

fn escape_anew(text: &str) -> Option<Vec<u8>> {
    let mut output = Vec::with_capacity(text.len());
    query::encode(&mut output, &query::decode(text)?, false);
    Some(output)
}

/// Appends a value without the blanks around it and with runs of blanks as one.
fn header_value(output: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            output.push(b' ');
        }
        output.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_like_rfc_3986() {
        for (given, expected) in [
            ("/", "/"),
            ("//a//b//", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/../../etc", "/etc"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/b..", "/a/b.."),
        ] {
            assert_eq!(normalise(given), expected, "{given}");
        }
    }

    #[test]
    fn paths_are_absolute() {
        for rule in [PathRule::Normalised, PathRule::Verbatim] {
            for given in ["", ".", "*", "a/b", "host:80"] {
                assert_eq!(path(&mut Vec::new(), given, rule), None, "{given}");
            }
        }
    }

    #[test]
    fn paths_of_s3_are_left_alone() {
        let mut output = Vec::new();
        path(&mut output, "/b/./x/../y//z%2f+%C3%A4 ", PathRule::Verbatim).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "/b/./x/../y//z/%2B%C3%A4%20");
    }

    #[test]
    fn query_is_sorted_by_its_escaped_form() {
        let mut output = Vec::new();
        query_string(&mut output, Some("b=2&b=1&a&%61-=x+y&A=%7e%2f"), |_| true).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "A=~%2F&a=&a-=x%2By&b=1&b=2");
        assert_eq!(query_string(&mut Vec::new(), Some("a=%4"), |_| true), None);
    }
}
