//! What the runner of a build asks the service before it fetches a git source, and what it is told: by what the build shows
//! itself to the source's server. It is in the runner's memory and in the sandbox that fetches, never in the job.

use serde::{Deserialize, Serialize};

use crate::build_secret::HiddenText;

/// One of a build's sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSource {
    /// Its identifier; `None`: the primary source.
    pub identifier: Option<String>,
}

/// The answer to a [`BuildSource`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildSourceAnswer {
    /// Nothing: it is asked for as anybody would.
    Anonymous,
    /// User name and password, or token, of HTTP's basic authentication.
    Password {
        /// User name.
        username: HiddenText,
        /// Password or token.
        password: HiddenText,
    },
    /// A key of SSH.
    SshKey {
        /// Private key, in OpenSSH's form.
        key: HiddenText,
        /// The lines of `known_hosts` by which the server is known.
        known_hosts: String,
    },
    /// It cannot be had.
    Refused {
        /// AWS's code, e.g. `AccessDeniedException`.
        code: String,
        /// AWS's message.
        message: String,
    },
}
