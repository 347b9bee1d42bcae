//! Credentials for registries: given by the caller, or found as docker finds them (`config.json`, credential helpers).

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::error::ImageError;
use super::reference::Reference;

/// A helper may ask a keyring, which may ask the user; but not for ever.
const HELPER_SECONDS: i64 = 60;
const MAX_CONFIG: u64 = 1024 * 1024;
const MAX_HELPER_ANSWER: u64 = 64 * 1024;

/// What to log in to a registry with. Its `Debug` form does not show secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password.
    Password {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// A token that is exchanged for access tokens (OAuth 2 refresh token), as `docker login` stores for some registries.
    IdentityToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::IdentityToken(_) => f.write_str("IdentityToken([redacted])"),
        }
    }
}

/// Docker's client configuration, as far as it concerns credentials.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DockerConfig {
    /// Reads `config.json` in `dir` (`$DOCKER_CONFIG`, else `~/.docker`). A file that does not exist is an empty one.
    ///
    /// # Errors
    /// [`ImageError::Store`] if the file is there but cannot be understood.
    pub fn load(dir: &Path) -> Result<Self, ImageError> {
        let path = dir.join("config.json");
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(ImageError::io("read", path)(e)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_CONFIG).read_to_end(&mut bytes).map_err(ImageError::io("read", &path))?;
        let mut config: Self = serde_json::from_slice(&bytes).map_err(|e| ImageError::Store {
            path: path.clone(),
            problem: format!("is no valid docker configuration: {e}"),
        })?;
        config.path = path;
        Ok(config)
    }

    /// The credentials for the registry of `reference`: of its own helper, else of the default store, else written in
    /// the file.
    ///
    /// # Errors
    /// [`ImageError::Credentials`] if a helper is configured but fails, or the file holds something unreadable.
    pub fn credentials(&self, reference: &Reference) -> Result<Option<Credentials>, ImageError> {
        let key = reference.credentials_key();
        let helper = self.cred_helpers.get(key).or_else(|| self.cred_helpers.get(reference.domain()));
        if let Some(helper) = helper.or(self.creds_store.as_ref()).filter(|name| !name.is_empty())
            && let Some(found) = ask_helper(helper, key)?
        {
            return Ok(Some(found));
        }
        let exact = self.auths.get(key).or_else(|| self.auths.get(reference.domain()));
        // Old versions wrote whole addresses as keys.
        let auth = exact.or_else(|| self.auths.iter().find(|(k, _)| host_of(k) == host_of(key)).map(|(_, auth)| auth));
        let Some(auth) = auth else { return Ok(None) };
        if !auth.identitytoken.is_empty() {
            return Ok(Some(Credentials::IdentityToken(auth.identitytoken.clone())));
        }
        if !auth.auth.is_empty() {
            let problem = || ImageError::Credentials {
                registry: reference.domain().to_owned(),
                problem: format!("the entry in {} is not base64 of user:password", self.path.display()),
            };
            let plain = BASE64.decode(auth.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let plain = plain.ok_or_else(problem)?;
            let (username, password) = plain.split_once(':').ok_or_else(problem)?;
            // Docker pads with NULs.
            let password = password.trim_end_matches('\0').to_owned();
            return Ok(Some(Credentials::Password { username: username.to_owned(), password }));
        }
        if auth.username.is_empty() {
            return Ok(None);
        }
        Ok(Some(Credentials::Password { username: auth.username.clone(), password: auth.password.clone() }))
    }
}

fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

/// Runs `docker-credential-NAME get`.
fn ask_helper(name: &str, key: &str) -> Result<Option<Credentials>, ImageError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        username: String,
        #[serde(default)]
        secret: String,
    }
    let failed = |problem: String| ImageError::Credentials {
        registry: key.to_owned(),
        problem: format!("credential helper `docker-credential-{}` {problem}", name.escape_debug()),
    };
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(failed("has no possible name".to_owned()));
    }
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| failed(format!("cannot be started: {e}")))?;
    let system = |e: io::Error| failed(format!("cannot be used: {e}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read is judged by its answer.
        stdin.write_all(key.as_bytes()).ok();
    }
    let pidfd =
        rustix::process::pidfd_open(rustix::process::Pid::from_child(&child), rustix::process::PidfdFlags::empty())
            .map_err(|e| system(e.into()))?;
    let deadline = Timespec { tv_sec: HELPER_SECONDS, tv_nsec: 0 };
    let ended = rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&deadline)));
    if ended.map_err(|e| system(e.into()))? == 0 {
        // It may have ended just now; then this has nothing to do.
        child.kill().ok();
        child.wait().map_err(system)?;
        return Err(failed(format!("did not answer within {HELPER_SECONDS} seconds")));
    }
    let status = child.wait().map_err(system)?;
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // Whatever the helper started may hold the pipe open: take what is there.
        rustix::io::ioctl_fionbio(&stdout, true).map_err(|e| system(e.into()))?;
        match stdout.take(MAX_HELPER_ANSWER).read_to_end(&mut answer) {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Err(system(e)),
            _ => {}
        }
    }
    if !status.success() {
        let text = String::from_utf8_lossy(&answer);
        // What helpers say when they hold nothing for the registry.
        if text.contains("credentials not found") || text.contains("no credentials") {
            return Ok(None);
        }
        let said: String = text.trim().chars().take(200).flat_map(char::escape_debug).collect();
        return Err(failed(format!("failed ({status}): {said}")));
    }
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|e| failed(format!("gave an unreadable answer: {e}")))?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == "<token>" => Some(Credentials::IdentityToken(secret)),
        Answer { username, secret } => Some(Credentials::Password { username, password: secret }),
    })
}
