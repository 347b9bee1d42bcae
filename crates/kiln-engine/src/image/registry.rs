//! A client of the registry protocol (OCI distribution specification 1.1; docker's registry HTTP API V2), as far as
//! pulling needs it.

mod challenge;

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, ResponseExt as _};

use super::credentials::Credentials;
use super::digest::Digest;
use super::error::ImageError;
use super::manifest::{ACCEPTED_MANIFESTS, MAX_DOCUMENT};
use super::reference::Reference;
use challenge::Challenge;

const USER_AGENT: &str = concat!("kiln/", env!("CARGO_PKG_VERSION"));
/// Longest silence of a server that is tolerated while something is expected from it.
const STALL: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(15);
const MAX_TOKEN_ANSWER: u64 = 1024 * 1024;
const MAX_ERROR_ANSWER: u64 = 16 * 1024;
/// Where Linux distributions keep the certificates of authorities that the machine trusts, its own additions included.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why a request failed, and whether to try again.
#[derive(Debug)]
pub(crate) enum Failure {
    /// May go better next time; perhaps not before the given time has passed.
    Transient { problem: String, retry_after: Option<Duration> },
    /// Will not.
    Final(ImageError),
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Self::Final(error)
    }
}

/// A connection to one repository of one registry. Used by several threads at once.
pub(crate) struct Registry {
    agent: Agent,
    /// `https://host[:port]`, or `http://` where that is allowed.
    base: String,
    host: String,
    repository: String,
    /// Plain HTTP, and redirects to it, are allowed: a registry on this machine, or one called insecure.
    plain_allowed: bool,
    credentials: Option<Credentials>,
    /// The `Authorization` header that works at present.
    authorization: Mutex<Option<Arc<str>>>,
}

impl Registry {
    /// Prepares to talk to the registry of `reference`. With `insecure`, plain HTTP and unverified certificates are
    /// accepted; registries on this machine's loopback addresses may always speak plain HTTP.
    pub(crate) fn new(
        reference: &Reference,
        credentials: Option<Credentials>,
        insecure: bool,
    ) -> Result<Self, ImageError> {
        let host = reference.api_host().to_owned();
        let loopback = is_loopback(&host);
        let tls = TlsConfig::builder().root_certs(root_certs(&host)).disable_verification(insecure).build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(USER_AGENT)
            // Layers must arrive as they are stored: their digest is that of the stored bytes.
            .accept_encoding("identity")
            .http_status_as_error(false)
            .https_only(!insecure && !loopback)
            .max_redirects(8)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL))
            .max_idle_connections_per_host(8);
        if loopback {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            base: format!("https://{host}"),
            host,
            repository: reference.path().to_owned(),
            plain_allowed: insecure || loopback,
            credentials,
            authorization: Mutex::new(None),
        })
    }

    /// Host and port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Finds out whether the registry is there, and speaks HTTPS or (where allowed) plain HTTP.
    pub(crate) fn connect(&mut self) -> Result<(), Failure> {
        let action = "connect";
        let secure = match self.send(&format!("{}/v2/", self.base), &[], None) {
            // A plain HTTP server answers a TLS greeting with something that is no TLS.
            Err(error @ (ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Io(_))) if self.plain_allowed => {
                let plain = format!("http://{}", self.host);
                match self.send(&format!("{plain}/v2/"), &[], None) {
                    // What a TLS server says to plain HTTP: then the trouble with TLS is the one to tell.
                    Err(_) => Err(error),
                    Ok(answer) if answer.status() == StatusCode::BAD_REQUEST => Err(error),
                    Ok(answer) => {
                        self.base = plain;
                        Ok(answer)
                    }
                }
            }
            answer => answer,
        };
        let answer = secure.map_err(|e| self.failure(action, &e))?;
        match answer.status() {
            StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(()),
            status if is_transient(status) => Err(self.unexpected(action, answer)),
            status => {
                Err(self.final_problem(action, format!("it is no registry (it answers {status} at /v2/)")).into())
            }
        }
    }

    /// Fetches the manifest or index that `key` (a tag or a digest) names.
    pub(crate) fn manifest(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let action = format!("get the manifest `{key}`");
        let url = format!("{}/v2/{}/manifests/{key}", self.base, self.repository);
        let mut answer = self.get(&action, &url, &[("accept", ACCEPTED_MANIFESTS)])?;
        if answer.status() != StatusCode::OK {
            return Err(self.unexpected(&action, answer));
        }
        let claimed = answer.headers().get("docker-content-digest").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = self.read_small(&action, answer.body_mut(), MAX_DOCUMENT)?;
        let digest = Digest::of(&bytes);
        // A digest in the reference names the content; one in the answer is only the registry's word, but if the two do
        // not agree the answer was damaged on its way.
        let expected = Digest::parse(key).or_else(|| Digest::parse(claimed.as_deref()?));
        match expected {
            Some(expected) if expected != digest => Err(Failure::Final(ImageError::Digest {
                what: format!("manifest `{key}` of `{}` from {}", self.repository, self.host),
                expected,
                actual: digest,
            })),
            _ => Ok(bytes),
        }
    }

    /// Opens a blob from byte `from` on. Returns where the bytes really start: 0 if the registry sends all of it anyway.
    pub(crate) fn blob(&self, digest: &Digest, from: u64) -> Result<(u64, Body), Failure> {
        let action = format!("get {digest}");
        let url = format!("{}/v2/{}/blobs/{digest}", self.base, self.repository);
        let range = format!("bytes={from}-");
        let headers: &[(&str, &str)] = if from > 0 { &[("range", &range)] } else { &[] };
        let answer = self.get(&action, &url, headers)?;
        match answer.status() {
            StatusCode::OK => Ok((0, answer.into_body())),
            StatusCode::PARTIAL_CONTENT => {
                let start =
                    answer.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok()).and_then(range_start);
                if start == Some(from) {
                    Ok((from, answer.into_body()))
                } else {
                    Err(self.final_problem(&action, "it answers with another range than asked for".to_owned()).into())
                }
            }
            // What is here is longer than the blob: not the blob's beginning.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => self.blob(digest, 0),
            _ => Err(self.unexpected(&action, answer)),
        }
    }

    /// Gets `url`, logging in if the registry asks for it.
    fn get(&self, action: &str, url: &str, headers: &[(&str, &str)]) -> Result<Response<Body>, Failure> {
        let authorization = self.authorization();
        let answer = self.send(url, headers, authorization.as_deref()).map_err(|e| self.failure(action, &e))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // A storage server that the registry redirects to has no business asking for the registry's credentials.
        if answer.get_uri().authority().map(|a| a.as_str()) != Some(&self.host) {
            return Err(self.unexpected(action, answer));
        }
        let challenges: Vec<Challenge> = answer
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Challenge::parse_all)
            .collect();
        let used = authorization;
        // Another thread may have logged in since.
        let fresh = match self.authorization() {
            Some(now) if Some(&now) != used.as_ref() => now,
            _ => self.log_in(&challenges, answer)?,
        };
        let answer = self.send(url, headers, Some(&fresh)).map_err(|e| self.failure(action, &e))?;
        if answer.status() == StatusCode::UNAUTHORIZED { Err(self.unexpected(action, answer)) } else { Ok(answer) }
    }

    fn send(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = authorization {
            // ureq drops this header on redirects, as it must: storage servers refuse it, or would learn it.
            request = request.header(header::AUTHORIZATION, value);
        }
        request.call()
    }

    fn authorization(&self) -> Option<Arc<str>> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a challenge; `refusal` is the answer that carried it.
    fn log_in(&self, challenges: &[Challenge], refusal: Response<Body>) -> Result<Arc<str>, Failure> {
        let value: Arc<str> = if let Some(bearer) = challenges.iter().find(|c| c.scheme == "bearer") {
            format!("Bearer {}", self.token(bearer)?).into()
        } else if let Some(Credentials::Password { username, password }) = &self.credentials
            && challenges.iter().any(|c| c.scheme == "basic")
        {
            basic(username, password).into()
        } else {
            return Err(self.unexpected("log in", refusal));
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&value));
        Ok(value)
    }

    /// Fetches an access token (docker's token authentication; OAuth 2 for identity tokens).
    fn token(&self, challenge: &Challenge) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let action = "log in";
        let realm = challenge.get("realm").unwrap_or_default();
        let plain = realm.starts_with("http://") && self.base.starts_with("http://");
        if !realm.starts_with("https://") && !plain {
            let problem =
                format!("it names the token server `{}`, which is not reached by HTTPS", realm.escape_debug());
            return Err(self.final_problem(action, problem).into());
        }
        let scope = match challenge.get("scope") {
            Some(scope) => scope.to_owned(),
            None => format!("repository:{}:pull", self.repository),
        };
        let service = challenge.get("service").unwrap_or_default();
        let answer = match &self.credentials {
            Some(Credentials::IdentityToken(token)) => self.agent.post(realm).send_form([
                ("grant_type", "refresh_token"),
                ("service", service),
                ("scope", scope.as_str()),
                ("client_id", "kiln"),
                ("refresh_token", token.as_str()),
            ]),
            credentials => {
                let mut request = self.agent.get(realm).query("service", service).query("scope", &scope);
                if let Some(Credentials::Password { username, password }) = credentials {
                    request =
                        request.query("account", username).header(header::AUTHORIZATION, basic(username, password));
                }
                request.call()
            }
        };
        let mut answer = answer.map_err(|e| self.failure(action, &e))?;
        if answer.status() != StatusCode::OK {
            return Err(self.unexpected(action, answer));
        }
        let bytes = self.read_small(action, answer.body_mut(), MAX_TOKEN_ANSWER)?;
        let unreadable = || self.final_problem(action, "its token server gives an unreadable answer".to_owned());
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        let token = token.token.or(token.access_token).filter(|t| !t.is_empty()).ok_or_else(unreadable)?;
        // It becomes part of a header.
        if token.bytes().all(|b| b.is_ascii_graphic()) { Ok(token) } else { Err(unreadable().into()) }
    }

    fn read_small(&self, action: &str, body: &mut Body, max: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        body.as_reader().take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| read_failure(&e))?;
        if bytes.len() as u64 > max {
            return Err(Failure::Final(ImageError::Limit {
                what: format!("answer of registry {} to: {action}", self.host),
                problem: "it is too large".to_owned(),
                limit: format!("{max} bytes"),
            }));
        }
        Ok(bytes)
    }

    /// What an answer that is no success means.
    fn unexpected(&self, action: &str, mut answer: Response<Body>) -> Failure {
        let status = answer.status();
        let retry_after = answer
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.trim().parse().ok())
            .map(Duration::from_secs);
        let mut text = Vec::new();
        // Whatever could be read of the explanation.
        answer.body_mut().as_reader().take(MAX_ERROR_ANSWER).read_to_end(&mut text).ok();
        let said = explanation(&text);
        if is_transient(status) {
            return Failure::Transient { problem: format!("{status}{said}"), retry_after };
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let hint = if self.credentials.is_some() { " with the credentials given" } else { "" };
            return Failure::Final(ImageError::Denied {
                registry: self.host.clone(),
                repository: self.repository.clone(),
                problem: format!("{status}{hint}{said}"),
            });
        }
        let problem = if status == StatusCode::NOT_FOUND {
            format!("`{}` has no such thing{said}", self.repository)
        } else {
            format!("it answers {status}{said}")
        };
        self.final_problem(action, problem).into()
    }

    /// What a request without an answer means.
    fn failure(&self, action: &str, error: &ureq::Error) -> Failure {
        match error {
            // So TLS refuses a certificate, while the connection is made.
            ureq::Error::Io(e) if e.kind() == io::ErrorKind::InvalidData => self.no_tls(action, e).into(),
            ureq::Error::Io(e) => read_failure(e),
            ureq::Error::Timeout(_)
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_)
            | ureq::Error::HostNotFound => Failure::Transient { problem: error.to_string(), retry_after: None },
            ureq::Error::Rustls(e) => self.no_tls(action, e).into(),
            ureq::Error::RequireHttpsOnly(_) => self
                .final_problem(action, "it redirects to plain HTTP, which is only accepted with --insecure".to_owned())
                .into(),
            other => self.final_problem(action, other.to_string()).into(),
        }
    }

    fn no_tls(&self, action: &str, error: &dyn std::fmt::Display) -> ImageError {
        let problem = format!(
            "no secure connection ({error}); a registry of your own needs its authority's certificate in \
             /etc/docker/certs.d/{}/ca.crt or in the system's store",
            self.host
        );
        self.final_problem(action, problem)
    }

    fn final_problem(&self, action: &str, problem: String) -> ImageError {
        ImageError::Registry { registry: self.host.clone(), action: action.to_owned(), problem }
    }
}

/// What a connection that breaks off means.
pub(crate) fn read_failure(error: &io::Error) -> Failure {
    Failure::Transient { problem: error.to_string(), retry_after: None }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
}

/// The first byte of `bytes 100-199/200`.
fn range_start(value: &str) -> Option<u64> {
    value.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// What the registry says about an error, for people: `: CODE: message`, cut and without control characters.
fn explanation(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let first = serde_json::from_slice::<Errors>(body).ok().and_then(|e| e.errors.into_iter().next());
    let Some(Problem { code, message }) = first else { return String::new() };
    format!(": {code}: {message}").chars().take(300).flat_map(char::escape_debug).collect()
}

/// Whether `host[:port]` is this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The certificate authorities to trust: the machine's, which include those that its administrator added, else those
/// built in (a minimal system has none); and the one that docker's configuration names for this registry.
fn root_certs(host: &str) -> RootCerts {
    let read = |path: &str| -> Vec<Certificate<'static>> {
        let pem = std::fs::read(path).unwrap_or_default();
        parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(c)) => Some(c),
                _ => None,
            })
            .collect()
    };
    let own = read(&format!("/etc/docker/certs.d/{host}/ca.crt"));
    let system = SYSTEM_ROOTS.iter().map(|path| read(path)).find(|certs| !certs.is_empty());
    match (system, own) {
        (None, own) if own.is_empty() => RootCerts::WebPki,
        (system, own) => RootCerts::Specific(Arc::new(system.unwrap_or_default().into_iter().chain(own).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "127.0.0.1.example.com:5000", "10.0.0.1", "[::2]:5000", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn explanations_are_the_registry_s_words_made_harmless() {
        let body = br#"{"errors":[{"code":"UNKNOWN","message":"not\u001b[2J here"}]}"#;
        assert_eq!(explanation(body), ": UNKNOWN: not\\u{1b}[2J here");
        assert_eq!(explanation(b"<html>"), "");
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(range_start("bytes 100-199/200"), Some(100));
        assert_eq!(range_start("bytes */200"), None);
        assert_eq!(range_start("items 1-2"), None);
    }
}
