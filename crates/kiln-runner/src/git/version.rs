//! `sourceVersion` of a git source: what is to be fetched (`integrations.md` 4.2, `api.md` 2.4).

use crate::job::PullRequests;

/// What is to be found in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What its HEAD stands for: the default branch.
    Head,
    /// A branch, a tag, or the beginning of a commit's id.
    Name(String),
    /// A reference by its whole name, and which commit of it.
    Reference { name: String, commit: Option<String> },
    /// A commit by its whole id.
    Commit(String),
}

/// A version that no repository can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionError {
    /// git would not take it for the name of a reference.
    NoReference,
    /// The provider has no reference for pull requests.
    NoPullRequests,
}

impl Wanted {
    /// Reads a version.
    pub(super) fn of(version: Option<&str>, requests: PullRequests) -> Result<Self, VersionError> {
        let Some(version) = version.map(str::trim).filter(|version| !version.is_empty()) else { return Ok(Self::Head) };
        if let Some((name, commit)) =
            version.split_once("^{").and_then(|(name, rest)| Some((name, rest.strip_suffix('}')?)))
        {
            let name = match name {
                name if name.starts_with("refs/") => name.to_owned(),
                name => format!("refs/heads/{name}"),
            };
            if !is_reference(&name) || !is_commit(commit) {
                return Err(VersionError::NoReference);
            }
            return Ok(Self::Reference { name, commit: Some(commit.to_ascii_lowercase()) });
        }
        if is_commit(version) {
            return Ok(Self::Commit(version.to_ascii_lowercase()));
        }
        let number = version.strip_prefix("pr/").filter(|number| is_number(number));
        if let Some(number) = number {
            let name = match requests {
                PullRequests::Pulls => format!("refs/pull/{number}/head"),
                PullRequests::MergeRequests => format!("refs/merge-requests/{number}/head"),
                PullRequests::None => return Err(VersionError::NoPullRequests),
            };
            return Ok(Self::Reference { name, commit: None });
        }
        if !is_reference(version) {
            return Err(VersionError::NoReference);
        }
        Ok(match version.starts_with("refs/") {
            true => Self::Reference { name: version.to_owned(), commit: None },
            false => Self::Name(version.to_owned()),
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The whole id of a commit, SHA-1 or SHA-256.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_hex(text)
}

/// What git looks for among the commits as the beginning of an id.
pub(super) fn is_short_commit(text: &str) -> bool {
    (4..40).contains(&text.len()) && is_hex(text)
}

/// `git check-ref-format --allow-onelevel`, and nothing that could be taken for an option.
fn is_reference(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.len() <= 1024
        && name != "@"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name.chars().all(plain)
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "0123456789ABCDEF0123456789abcdef01234567";

    fn of(version: &str) -> Result<Wanted, VersionError> {
        Wanted::of(Some(version), PullRequests::Pulls)
    }

    #[test]
    fn every_form_says_what_is_wanted() {
        let reference = |name: &str, commit: Option<&str>| {
            Ok(Wanted::Reference { name: name.to_owned(), commit: commit.map(str::to_ascii_lowercase) })
        };
        assert_eq!(Wanted::of(None, PullRequests::None), Ok(Wanted::Head));
        assert_eq!(of(""), Ok(Wanted::Head));
        assert_eq!(of("main"), Ok(Wanted::Name("main".into())));
        assert_eq!(of("feature/x"), Ok(Wanted::Name("feature/x".into())));
        assert_eq!(of("abc1234"), Ok(Wanted::Name("abc1234".into())));
        assert_eq!(of(SHA), Ok(Wanted::Commit(SHA.to_ascii_lowercase())));
        assert_eq!(of(&"a".repeat(64)), Ok(Wanted::Commit("a".repeat(64))));
        assert_eq!(of("pr/12"), reference("refs/pull/12/head", None));
        assert_eq!(
            Wanted::of(Some("pr/12"), PullRequests::MergeRequests),
            reference("refs/merge-requests/12/head", None)
        );
        assert_eq!(Wanted::of(Some("pr/12"), PullRequests::None), Err(VersionError::NoPullRequests));
        // A branch of that name.
        assert_eq!(of("pr/fix"), Ok(Wanted::Name("pr/fix".into())));
        assert_eq!(of("refs/tags/v1"), reference("refs/tags/v1", None));
        assert_eq!(of(&format!("refs/heads/main^{{{SHA}}}")), reference("refs/heads/main", Some(SHA)));
        assert_eq!(of(&format!("main^{{{SHA}}}")), reference("refs/heads/main", Some(SHA)));
        assert!(is_short_commit("abc1234") && !is_short_commit("abc") && !is_short_commit(SHA));
    }

    #[test]
    fn what_git_would_misunderstand_is_no_version() {
        for version in [
            "--upload-pack=touch /tmp/x",
            "-x",
            "a b",
            "a..b",
            "a:b",
            "+a",
            "a~1",
            "a^",
            "@{-1}",
            "@",
            "a\nb",
            "*",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "refs/heads/x^{short}",
            "refs/heads/^{",
            "x\\y",
            "a?",
            "a[",
        ] {
            if version == "+a" {
                // A plus in front of a name is a part of it; it is told to git behind `refs/heads/`.
                assert_eq!(of(version), Ok(Wanted::Name("+a".into())));
                continue;
            }
            assert_eq!(of(version), Err(VersionError::NoReference), "{version}");
        }
        assert_eq!(of(&"a".repeat(2000)), Err(VersionError::NoReference));
    }
}
