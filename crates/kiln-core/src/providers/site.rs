//! A repository at its provider: where its API is, and how Kiln shows itself there.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use kiln_model::{
    Secret,
    codebuild::{ProjectSource, SourceType},
};
use serde::{Serialize, de::DeserializeOwned};

use super::outgoing::{Answer, Call, CallError, Method, Outgoing};

/// Which API a provider has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Github,
    Gitea,
    Gitlab,
    Bitbucket,
}

/// Who Kiln is at a provider.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    /// User of basic authentication.
    pub(crate) username: Option<String>,
    /// Token, or password of an application.
    pub(crate) token: Secret,
}

/// Where a repository is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// `https://git.example`, with its port.
    pub(crate) origin: String,
    /// `octocat/hello`, without `.git`.
    pub(crate) path: String,
}

impl Location {
    /// Reads the location of a source: `https://host/owner/name.git`, or `git@host:owner/name.git`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest.to_owned()),
            Some(("ssh", rest)) => {
                let (host, path) = rest.split_once('/')?;
                // The port is that of SSH.
                ("https", format!("{}/{path}", host.split(':').next()?))
            }
            Some(_) => return None,
            None => {
                let (host, path) = text.split_once(':')?;
                ("https", format!("{host}/{path}"))
            }
        };
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next()?.to_ascii_lowercase();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./~+".contains(c);
        let parts_fit = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        let fits = !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]_".contains(c))
            && path.chars().all(is_plain)
            && path.contains('/')
            && parts_fit;
        fits.then(|| Self { origin: format!("{scheme}://{host}"), path: path.to_owned() })
    }
}

/// A repository with its API.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) kind: Kind,
    /// `https://api.github.com`.
    pub(crate) api: String,
    /// `octocat/hello`.
    pub(crate) repository: String,
    pub(crate) credential: Option<Credential>,
    pub(crate) outgoing: &'a dyn Outgoing,
}

/// Why a provider did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may do it later; perhaps it said when.
    Later(String, Option<std::time::Duration>),
    /// It does not.
    Refused { status: Option<u16>, why: String },
}

impl Trouble {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Later(why, _) | Self::Refused { why, .. } => why,
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Forbidden(why) => Self::Refused { status: None, why },
            CallError::Failed(why) => Self::Later(why, None),
        }
    }
}

impl Site<'_> {
    /// The path of the repository in the API.
    pub(crate) fn home(&self) -> String {
        match self.kind {
            Kind::Github | Kind::Gitea => format!("/repos/{}", self.repository),
            Kind::Gitlab => format!("/projects/{}", self.repository.replace('/', "%2F")),
            Kind::Bitbucket => format!("/repositories/{}", self.repository),
        }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        match self.kind {
            Kind::Github => {
                headers.push(("accept", "application/vnd.github+json".to_owned()));
                headers.push(("x-github-api-version", "2022-11-28".to_owned()));
            }
            _ => headers.push(("accept", "application/json".to_owned())),
        }
        if let Some(Credential { username, token }) = &self.credential {
            let token = token.expose();
            let value = match (self.kind, username) {
                (Kind::Gitea, _) => format!("token {token}"),
                (Kind::Bitbucket, Some(username)) => {
                    format!("Basic {}", BASE64.encode(format!("{username}:{token}")))
                }
                _ => format!("Bearer {token}"),
            };
            headers.push(("authorization", value));
        }
        headers
    }

    /// Calls the API at a path, or at an address in it.
    pub(crate) fn call(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<Answer, Trouble> {
        let url = if path.starts_with('/') { format!("{}{path}", self.api) } else { path.to_owned() };
        // An address that an answer named: credentials go to no other server.
        if !url.starts_with(&format!("{}/", self.api)) {
            let why = format!("{url} is not below {}", self.api);
            return Err(Trouble::Refused { status: None, why });
        }
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|e| Trouble::Refused { status: None, why: e.to_string() })?;
        let answer = self.outgoing.call(&Call { method, url: url.clone(), headers: self.headers(), body })?;
        match answer.status {
            200..300 => Ok(answer),
            status => {
                // The body may be anybody's: it is told to nobody.
                let why = format!("{} {url} answered {status}", method.as_str());
                let is_passing = matches!(status, 408 | 425 | 429 | 500..) || answer.retry_after.is_some();
                Err(if is_passing {
                    Trouble::Later(why, answer.retry_after)
                } else {
                    Trouble::Refused { status: Some(status), why }
                })
            }
        }
    }

    /// Reads something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        let answer = self.call(Method::Get, path, None::<&()>)?;
        read(path, &answer)
    }
}

/// The JSON of an answer.
pub(crate) fn read<T: DeserializeOwned>(path: &str, answer: &Answer) -> Result<T, Trouble> {
    serde_json::from_slice(&answer.body)
        .map_err(|e| Trouble::Refused { status: None, why: format!("the answer of {path} cannot be read: {e}") })
}

/// Whether a provider has an API for sources of this kind.
pub(crate) fn has_api(source: &ProjectSource) -> bool {
    source.r#type.reports_build_status()
}

/// Name of a provider in AWS's messages: `github`.
pub(crate) fn server_type(source: SourceType) -> String {
    source.as_str().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_nothing_else() {
        let read = |text: &str| Location::parse(text).map(|l| (l.origin, l.path));
        let some = |origin: &str, path: &str| Some((origin.to_owned(), path.to_owned()));
        assert_eq!(read("https://github.com/octocat/hello.git"), some("https://github.com", "octocat/hello"));
        assert_eq!(read("https://me:x@BitBucket.org/team/repo/"), some("https://bitbucket.org", "team/repo"));
        assert_eq!(read("https://git.example:8443/a/b/c.git"), some("https://git.example:8443", "a/b/c"));
        assert_eq!(read("http://127.0.0.1:3000/a/b"), some("http://127.0.0.1:3000", "a/b"));
        assert_eq!(read("git@github.com:octocat/hello.git"), some("https://github.com", "octocat/hello"));
        assert_eq!(read("ssh://git@github.com:22/octocat/hello"), some("https://github.com", "octocat/hello"));
        for bad in [
            "",
            "https://github.com",
            "https://github.com/x",
            "https://github.com/x/../y",
            "https://github.com/x//y",
            "https://github.com/x/y?z",
            "https://github.com/x/y#z",
            "https://good@bad host/x/y",
            "file:///etc/passwd",
            "https://a/%2e%2e/b",
            "ftp://a/b/c",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        // What stands before the last @ is a user, whatever it looks like.
        assert_eq!(read("https://good.example@bad.example/x/y"), some("https://bad.example", "x/y"));
    }
}
