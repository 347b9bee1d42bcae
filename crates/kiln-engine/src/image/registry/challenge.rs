//! `WWW-Authenticate` headers (RFC 9110, 11.6.1).

/// One challenge: how to log in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case.
    pub(super) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All challenges of one header. What makes no sense is left out.
    pub(super) fn parse_all(header: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        for item in split_outside_quotes(header) {
            let item = item.trim();
            if item.is_empty() {
                continue;
            }
            // `scheme name=value` begins a challenge, `name=value` goes on with it; `scheme` alone is one too.
            let equals = item.find('=').unwrap_or(item.len());
            let parameter = match item.get(..equals).and_then(|head| head.trim_end().split_once(char::is_whitespace)) {
                Some((scheme, _)) => {
                    challenges.push(Self { scheme: scheme.to_ascii_lowercase(), parameters: Vec::new() });
                    item.get(scheme.len()..).unwrap_or_default().trim_start()
                }
                None if equals == item.len() => {
                    challenges.push(Self { scheme: item.to_ascii_lowercase(), parameters: Vec::new() });
                    continue;
                }
                None => item,
            };
            if let (Some((name, value)), Some(challenge)) = (parameter.split_once('='), challenges.last_mut()) {
                challenge.parameters.push((name.trim().to_ascii_lowercase(), unquote(value.trim())));
            }
        }
        challenges
    }
}

/// Splits at commas that are not inside a quoted string.
fn split_outside_quotes(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) else { return value.to_owned() };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn challenges_are_read() {
        let all = Challenge::parse_all(
            r#"Bearer realm="https://auth.example/token",service="registry, example",scope="repository:a/b:pull,push", Basic realm="x \"y\"""#,
        );
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].scheme, "bearer");
        assert_eq!(all[0].get("realm"), Some("https://auth.example/token"));
        assert_eq!(all[0].get("service"), Some("registry, example"));
        assert_eq!(all[0].get("scope"), Some("repository:a/b:pull,push"));
        assert_eq!(all[1].get("realm"), Some("x \"y\""));
        assert_eq!(Challenge::parse_all("Negotiate, Basic realm=plain")[1].get("realm"), Some("plain"));
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in "\\PC{0,100}|[ ,=\"\\\\a-z]{0,60}") {
            Challenge::parse_all(&header);
        }
    }
}
