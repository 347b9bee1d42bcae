//! Image references by the rules of docker and OCI registries: `[host[:port]/]path[:tag][@digest]`.

use std::fmt;

use super::digest::Digest;
use super::error::ImageError;

/// The registry of references without a host, and its conventional names.
const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
/// Where the API of the default registry answers.
const DEFAULT_API_HOST: &str = "registry-1.docker.io";
/// Under which key docker's configuration file keeps the default registry's credentials.
const DEFAULT_CREDENTIALS_KEY: &str = "https://index.docker.io/v1/";
const OFFICIAL_PREFIX: &str = "library/";
/// What CodeBuild calls its own images, and where AWS publishes them (`buildspec.md` 13.1).
const CODEBUILD_PREFIX: &str = "aws/codebuild/";
const CODEBUILD_DOMAIN: &str = "public.ecr.aws";
const CODEBUILD_PATH: &str = "codebuild/";
/// Longest name (host and path) that registries accept.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A parsed image reference in canonical form: host and tag (or digest) are always there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses `text`: no host means docker's default registry, no slash in the path there means `library/`, neither
    /// tag nor digest means `latest`. `aws/codebuild/` means the registry where AWS publishes CodeBuild's images.
    ///
    /// # Errors
    /// [`ImageError::Reference`] with the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        Self::read(text).map_err(|problem| ImageError::Reference { text: shown(text), problem })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        if text.len() > MAX_NAME + 1 + MAX_TAG + 1 + 128 {
            return Err("it is too long");
        }
        if !text.is_ascii() {
            return Err("it may hold ASCII characters only");
        }
        let (rest, digest) = match text.split_once('@') {
            None => (text, None),
            Some((rest, digest)) => {
                (rest, Some(Digest::parse(digest).ok_or("what follows `@` must be sha256: and 64 hex digits")?))
            }
        };
        // A colon after the last slash starts a tag; one before it is a port.
        let name_end = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(name_end..).and_then(|last| last.split_once(':')) {
            Some((last, tag)) => (rest.get(..name_end + last.len()).unwrap_or(rest), Some(tag)),
            None => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain(first) => {
                check_domain(first)?;
                (first, path.to_owned())
            }
            _ => match name.strip_prefix(CODEBUILD_PREFIX) {
                Some(image) => (CODEBUILD_DOMAIN, format!("{CODEBUILD_PATH}{image}")),
                None => (DEFAULT_DOMAIN, name.to_owned()),
            },
        };
        let domain = if domain == LEGACY_DEFAULT_DOMAIN { DEFAULT_DOMAIN } else { domain };
        let path =
            if domain == DEFAULT_DOMAIN && !path.contains('/') { format!("{OFFICIAL_PREFIX}{path}") } else { path };
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err("host and path together may have 255 characters");
        }
        for component in path.split('/') {
            check_component(component)?;
        }
        if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("64 hex digits are an image id, not a name");
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }

    /// Registry host, with the port if one was given.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Repository path within the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if any.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if any: it wins over the tag.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Host (and port) to connect to.
    #[must_use]
    pub(crate) fn api_host(&self) -> &str {
        if self.domain == DEFAULT_DOMAIN { DEFAULT_API_HOST } else { &self.domain }
    }

    /// The key of this registry in docker's configuration file.
    #[must_use]
    pub(crate) fn credentials_key(&self) -> &str {
        if self.domain == DEFAULT_DOMAIN { DEFAULT_CREDENTIALS_KEY } else { &self.domain }
    }

    /// What stands after `manifests/` in the registry protocol.
    #[must_use]
    pub(crate) fn manifest_key(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The short form that people write: without the default registry and `library/`, where that reads back as the
    /// same reference (`docker.io/my.team/app` cannot be shortened: `my.team` would be taken for a host); CodeBuild's
    /// images as CodeBuild calls them.
    #[must_use]
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let published = full.strip_prefix(CODEBUILD_DOMAIN).and_then(|rest| rest.strip_prefix('/'));
        if let Some(image) = published.and_then(|rest| rest.strip_prefix(CODEBUILD_PATH)) {
            return format!("{CODEBUILD_PREFIX}{image}");
        }
        let Some(short) = full.strip_prefix(DEFAULT_DOMAIN).and_then(|rest| rest.strip_prefix('/')) else {
            return full;
        };
        let shortest = short.strip_prefix(OFFICIAL_PREFIX);
        let reads_back = |text: &&str| Self::read(text).as_ref() == Ok(self);
        let familiar = shortest.into_iter().chain([short]).find(reads_back).map(str::to_owned);
        familiar.unwrap_or(full)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether the first component is a host: it has a dot or a port, is `localhost`, or has capitals (paths may not).
fn is_domain(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.starts_with('[')
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    const PROBLEM: &str = "the part before the first slash is no host name";
    let (host, port) = if let Some(v6) = domain.strip_prefix('[') {
        let (address, port) = v6.split_once(']').ok_or(PROBLEM)?;
        address.parse::<std::net::Ipv6Addr>().map_err(|_| PROBLEM)?;
        (None, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(PROBLEM)?) })
    } else {
        match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        }
    };
    if let Some(port) = port {
        let number: u16 = port.parse().map_err(|_| "the registry's port is no number up to 65535")?;
        if number == 0 || port.starts_with('+') {
            return Err("the registry's port is no number up to 65535");
        }
    }
    let labels_fit = host.is_none_or(|host| {
        host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    });
    if labels_fit { Ok(()) } else { Err(PROBLEM) }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn check_component(component: &str) -> Result<(), &'static str> {
    if component.is_empty() {
        return Err("the path has an empty component");
    }
    if component.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err("the path must be in lower case");
    }
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    if !bytes.first().copied().is_some_and(is_word) || !bytes.last().copied().is_some_and(is_word) {
        return Err("each path component must begin and end with a letter or digit");
    }
    let mut separators = component.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if separators.all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-')) {
        Ok(())
    } else {
        Err("the path may hold lower-case letters and digits, separated by `.`, `_`, `__` or `-`")
    }
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
    {
        Ok(())
    } else {
        Err("the tag must be 1 to 128 letters, digits, `_`, `.` or `-`, and not begin with `.` or `-`")
    }
}

/// The text for an error message: cut, and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Reference::parse(text).unwrap().to_string()
    }

    #[test]
    fn defaults_are_docker_s() {
        assert_eq!(canonical("debian"), "docker.io/library/debian:latest");
        assert_eq!(canonical("debian:12"), "docker.io/library/debian:12");
        assert_eq!(canonical("aws/codebuild/standard:7.0"), "public.ecr.aws/codebuild/standard:7.0");
        assert_eq!(canonical("docker.io/aws/codebuild/x:1"), "docker.io/aws/codebuild/x:1");
        assert_eq!(canonical("index.docker.io/debian"), "docker.io/library/debian:latest");
        assert_eq!(canonical("localhost/a"), "localhost/a:latest");
        assert_eq!(canonical("localhost:5000/a/b:1"), "localhost:5000/a/b:1");
        assert_eq!(canonical("[::1]:5000/a"), "[::1]:5000/a:latest");
        assert_eq!(canonical("Host/a"), "Host/a:latest");
        let digest = Digest::of(b"");
        assert_eq!(canonical(&format!("a@{digest}")), format!("docker.io/library/a@{digest}"));
        assert_eq!(canonical(&format!("a:1@{digest}")), format!("docker.io/library/a:1@{digest}"));
    }

    #[test]
    fn familiar_form_reads_back() {
        for text in [
            "debian:12",
            "a/b:1",
            "localhost:5000/a:1",
            "library/a/b:1",
            "docker.io/library/x:y",
            "docker.io/my.team/a",
            "docker.io/aws/codebuild/x:1",
            "public.ecr.aws/codebuild/standard:7.0",
            "public.ecr.aws/other/standard:7.0",
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference, "{text}");
        }
        assert_eq!(Reference::parse("debian:12").unwrap().familiar(), "debian:12");
        let published = Reference::parse("public.ecr.aws/codebuild/amazonlinux-x86_64-standard:5.0").unwrap();
        assert_eq!(published.familiar(), "aws/codebuild/amazonlinux-x86_64-standard:5.0");
    }

    #[test]
    fn broken_references_are_refused() {
        let long = format!("{}/x", "a".repeat(300));
        for text in [
            "",
            "Debian",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:b c",
            "a:.x",
            "a@sha256:12",
            "a@md5:00",
            "-a",
            "a-",
            "a..b",
            "a___b",
            "a b",
            "ä",
            "host:99999/a",
            "host:0/a",
            "host:+1/a",
            "ho_st.x/a",
            "[::1/a",
            "[zz]/a",
            "a:b:c",
            "../a",
            "a/../b",
            &long,
            &"0".repeat(64),
            "a\u{1b}[2J",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_reads_back(text in "\\PC{0,80}") {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(&Reference::parse(&reference.to_string()).unwrap(), &reference);
                prop_assert_eq!(&Reference::parse(&reference.familiar()).unwrap(), &reference);
            }
        }

        #[test]
        fn well_formed_references_are_read(
            domain in proptest::option::of("[a-z][a-z0-9-]{0,8}[a-z0-9]\\.[a-z]{2,4}(:[1-9][0-9]{0,3})?"),
            path in proptest::collection::vec("[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", 1..4),
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            by_digest in any::<bool>(),
        ) {
            // Else the first component is a host.
            prop_assume!(domain.is_some() || path.len() == 1 || !(path[0].contains('.') || path[0] == "localhost"));
            let mut text = domain.as_ref().map(|d| format!("{d}/")).unwrap_or_default();
            text.push_str(&path.join("/"));
            if let Some(tag) = &tag { text.push_str(&format!(":{tag}")); }
            let digest = by_digest.then(|| Digest::of(text.as_bytes()));
            if let Some(digest) = digest { text.push_str(&format!("@{digest}")); }
            let reference = Reference::parse(&text).unwrap();
            if let Some(domain) = &domain { prop_assert_eq!(reference.domain(), domain.as_str()); }
            prop_assert!(reference.path().ends_with(&path.join("/")));
            prop_assert_eq!(reference.digest(), digest);
            if let Some(tag) = &tag { prop_assert_eq!(reference.tag(), Some(tag.as_str())); }
        }
    }
}
