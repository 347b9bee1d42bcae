//! What a fetch that failed is called (`buildspec.md` 6): AWS's words where it has some, git's own elsewhere.

/// How a fetch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The server wants to know who asks, or does not believe it.
    Authentication,
    /// It knows who asks, and says no.
    Authorization,
    /// It has no such repository, or does not say so to everybody.
    Repository,
    /// The repository has no such branch, tag or commit.
    Reference,
    /// Anything else.
    Other,
}

/// Bytes of git's words that a message has.
const QUOTE: usize = 600;

impl Kind {
    /// From git's error output, which is that of the C locale.
    pub(super) fn of(said: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
            "Permission denied (publickey",
            "returned error: 401",
        ]) {
            Self::Authentication
        } else if has(&["returned error: 403"]) {
            Self::Authorization
        } else if has(&[
            "' not found",
            "Repository not found",
            "does not appear to be a git repository",
            "returned error: 404",
        ]) {
            Self::Repository
        } else if has(&["couldn't find remote ref"]) {
            Self::Reference
        } else {
            Self::Other
        }
    }
}

/// The message of the phase. `source`: `primary`, or the identifier of a secondary one.
pub(super) fn message(kind: Kind, said: &str, source: &str, version: Option<&str>) -> String {
    let which = match version.filter(|version| !version.is_empty()) {
        Some(version) => format!("for {source} source and source version {}", one_line(version)),
        None => format!("for {source} source"),
    };
    let what = match kind {
        Kind::Authentication => "authentication required".to_owned(),
        Kind::Authorization => "authorization failed".to_owned(),
        Kind::Repository => "repository not found".to_owned(),
        Kind::Reference => "reference not found".to_owned(),
        Kind::Other => words(said),
    };
    format!("{what} {which}")
}

/// The lines that say what went wrong: git's own, else the last ones.
fn words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let of_git: Vec<&str> =
        lines.iter().copied().filter(|line| line.starts_with("fatal: ") || line.starts_with("error: ")).collect();
    let chosen =
        if of_git.is_empty() { lines.get(lines.len().saturating_sub(3)..).unwrap_or_default() } else { &of_git };
    let mut text = one_line(&chosen.iter().take(6).copied().collect::<Vec<_>>().join("; "));
    if text.is_empty() {
        "git failed without a word".clone_into(&mut text);
    }
    text
}

/// Others' words, short and without what a terminal would obey.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = plain.take(QUOTE).collect();
    short.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_awss_words() {
        for (said, expected) in [
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled\n",
                "authentication required for primary source and source version main",
            ),
            (
                "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://h/r/'\n",
                "authentication required for primary source and source version main",
            ),
            (
                "fatal: unable to access 'https://h/r/': The requested URL returned error: 403\n",
                "authorization failed for primary source and source version main",
            ),
            (
                "fatal: repository 'https://h/r/' not found\n",
                "repository not found for primary source and source version main",
            ),
            (
                "fatal: couldn't find remote ref refs/heads/main\n",
                "reference not found for primary source and source version main",
            ),
            (
                "fatal: unable to access 'https://h/r/': SSL certificate problem: self-signed certificate\n",
                "fatal: unable to access 'https://h/r/': SSL certificate problem: self-signed certificate for primary source \
                 and source version main",
            ),
            ("", "git failed without a word for primary source and source version main"),
        ] {
            assert_eq!(message(Kind::of(said), said, "primary", Some("main")), expected);
        }
        assert_eq!(message(Kind::Reference, "", "lib", None), "reference not found for lib source");
    }

    #[test]
    fn a_server_cannot_write_into_the_log() {
        let said = format!("remote: \u{1b}[2J\r\nfatal: {}\u{7}\nerror: two\n", "x".repeat(2000));
        let text = message(Kind::of(&said), &said, "primary", Some("a\nb"));
        assert!(!text.chars().any(char::is_control) && text.len() < 800, "{text}");
    }
}
