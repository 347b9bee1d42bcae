//! URLs of git repositories: the `location` of a git source (`api.md` 2.4), taken apart before anything is done with it.

use std::fmt;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitScheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://`, or `user@host:path` (Kiln's addition).
    Ssh,
}

impl GitScheme {
    /// `https`, `http`, `ssh`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
        }
    }
}

/// A repository's URL. It has no password, and nothing in it can be taken for an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitLocation {
    /// How.
    pub scheme: GitScheme,
    /// User, of [`GitScheme::Ssh`] alone: that of another URL says nothing, and is left out.
    pub user: Option<String>,
    /// Host in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// Port, where it is said.
    pub port: Option<u16>,
    /// Path without a slash at its start.
    pub path: String,
}

/// A text that is no URL of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GitLocationError {
    /// Neither `https://`, `http://`, `ssh://` nor `user@host:path`.
    #[error("it should be the https:// URL of a repository, or an ssh:// one")]
    Scheme,
    /// A password, which would be kept and shown as the project's other settings are.
    #[error(
        "a URL must not contain a password or token: import it with ImportSourceCredentials, or name a secret in auth"
    )]
    Password,
    /// No host, or one that is none.
    #[error("its host is no name and no address")]
    Host,
    /// A port that is none.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// No path, or one with what no path of a repository has.
    #[error("its path is empty, or has spaces, quotes, control characters, `?`, `#` or a part that is `..`")]
    Path,
}

impl GitLocation {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, GitLocationError> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "https" => (GitScheme::Https, rest),
                "http" => (GitScheme::Http, rest),
                "ssh" | "git+ssh" => (GitScheme::Ssh, rest),
                _ => return Err(GitLocationError::Scheme),
            },
            // As scp has it. A path of this machine has no user.
            None => return Self::parse_scp(text),
        };
        let (authority, path) = rest.split_once('/').ok_or(GitLocationError::Path)?;
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(GitLocationError::Password);
        }
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (server, None),
        };
        let port = port
            .map(|port| port.parse().ok().filter(|port| *port != 0))
            .map_or(Ok(None), |port: Option<u16>| port.map(Some).ok_or(GitLocationError::Port))?;
        Self::of(scheme, user, host, port, path)
    }

    fn parse_scp(text: &str) -> Result<Self, GitLocationError> {
        let (server, path) = text.split_once(':').ok_or(GitLocationError::Scheme)?;
        let (user, host) = server.rsplit_once('@').ok_or(GitLocationError::Scheme)?;
        // `ext::…`, and an absolute path, which `ssh://` says.
        if path.starts_with([':', '/']) {
            return Err(GitLocationError::Scheme);
        }
        Self::of(GitScheme::Ssh, Some(user), host, None, path)
    }

    fn of(
        scheme: GitScheme,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        path: &str,
    ) -> Result<Self, GitLocationError> {
        let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let is_name = !host.is_empty() && host.len() <= 253 && host.chars().all(name) && !host.starts_with(['-', '.']);
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_address = inner.is_some_and(|inner| inner.parse::<core::net::Ipv6Addr>().is_ok());
        if !is_name && !is_address {
            return Err(GitLocationError::Host);
        }
        let path = path.trim_matches('/');
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\' | '"' | '\'' | '`' | '<' | '>');
        let parts_fit = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if path.is_empty() || path.len() > 1024 || !path.chars().all(plain) || !parts_fit || path.starts_with('-') {
            return Err(GitLocationError::Path);
        }
        let user = match (scheme, user.filter(|user| !user.is_empty())) {
            (GitScheme::Ssh, user) => {
                let user = user.unwrap_or("git");
                if user.starts_with('-') || !user.chars().all(name) {
                    return Err(GitLocationError::Host);
                }
                Some(user.to_owned())
            }
            _ => None,
        };
        Ok(Self { scheme, user, host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }

    /// `https://host[:port]`: what credentials of the repository are for.
    #[must_use]
    pub fn base(&self) -> String {
        let mut base = format!("{}://", self.scheme.as_str());
        if let Some(user) = &self.user {
            base.push_str(user);
            base.push('@');
        }
        base.push_str(&self.host);
        if let Some(port) = self.port {
            base.push(':');
            base.push_str(&port.to_string());
        }
        base
    }

    /// Where AWS puts the checkout below the source directory: `github.com/owner/name` (`buildspec.md` 2.1).
    #[must_use]
    pub fn directory(&self) -> String {
        let host = self.host.trim_matches(['[', ']']).replace(':', "_");
        let path = self.path.strip_suffix(".git").filter(|path| !path.is_empty() && !path.ends_with('/'));
        format!("{host}/{}", path.unwrap_or(&self.path))
    }
}

impl fmt::Display for GitLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, url, directory) in [
            ("https://github.com/o/r.git", "https://github.com/o/r.git", "github.com/o/r"),
            ("HTTPS://GitHub.com/o/r/", "https://github.com/o/r", "github.com/o/r"),
            ("https://someone@bitbucket.org/w/r.git", "https://bitbucket.org/w/r.git", "bitbucket.org/w/r"),
            ("http://10.0.0.7:8080/git/r", "http://10.0.0.7:8080/git/r", "10.0.0.7/git/r"),
            ("https://[::1]:8443/r.git", "https://[::1]:8443/r.git", "__1/r"),
            ("ssh://git@host.example:2222/o/r.git", "ssh://git@host.example:2222/o/r.git", "host.example/o/r"),
            ("ssh://host.example/o/r.git", "ssh://git@host.example/o/r.git", "host.example/o/r"),
            ("git@host.example:o/r.git", "ssh://git@host.example/o/r.git", "host.example/o/r"),
        ] {
            let location = GitLocation::parse(text).unwrap();
            assert_eq!((location.to_string().as_str(), location.directory().as_str()), (url, directory), "{text}");
            assert_eq!(GitLocation::parse(url).unwrap(), location, "{text}");
        }
    }

    #[test]
    fn what_is_no_repository_elsewhere_is_refused() {
        for (text, why) in [
            ("https://user:secret@github.com/o/r", GitLocationError::Password),
            ("https://good@bad:x@evil/o/r", GitLocationError::Password),
            ("/srv/git/r.git", GitLocationError::Scheme),
            ("file:///srv/git/r.git", GitLocationError::Scheme),
            ("ext::sh -c touch% /tmp/x", GitLocationError::Scheme),
            ("git://host/r", GitLocationError::Scheme),
            ("-oProxyCommand=x", GitLocationError::Scheme),
            ("ssh://-oProxyCommand=x/r", GitLocationError::Host),
            ("ssh://-l@host/r", GitLocationError::Host),
            ("git@-oProxyCommand=x:r", GitLocationError::Host),
            ("https:///o/r", GitLocationError::Host),
            ("https://ho st/o/r", GitLocationError::Host),
            ("https://host:99999/r", GitLocationError::Port),
            ("https://host:0/r", GitLocationError::Port),
            ("https://host", GitLocationError::Path),
            ("https://host/", GitLocationError::Path),
            ("https://host/a/../b", GitLocationError::Path),
            ("https://host/a\nb", GitLocationError::Path),
            ("https://host/a?x=1", GitLocationError::Path),
            ("git@host:-x", GitLocationError::Path),
            ("git@host:/absolute", GitLocationError::Scheme),
        ] {
            assert_eq!(GitLocation::parse(text), Err(why), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_to_hand_on(text in "(https|ssh)?(://)?[-a-zA-Z0-9@:./\\[\\]\\\\ %?#\n]{0,40}") {
            if let Ok(location) = GitLocation::parse(&text) {
                let url = location.to_string();
                prop_assert!(GitLocation::parse(&url).as_ref() == Ok(&location));
                prop_assert!(!url.chars().any(|c| c.is_control() || c == ' '));
                prop_assert!(!location.host.starts_with('-') && !location.path.starts_with(['-', '/']));
                prop_assert!(!location.directory().split('/').any(|part| matches!(part, "" | "." | "..")));
            }
        }
    }
}
