//! What a build asks of the stores of parameters and secrets, and what it is told (`buildspec.md` 1.6). The runner asks,
//! the service answers on behalf of the build's role.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One parameter or secret that a build names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildSecret {
    /// Of Parameter Store: the parameter's name, as the buildspec or the project has it.
    Parameter {
        /// Name.
        name: String,
    },
    /// Of Secrets Manager: `secret-id[:json-key[:version-stage[:version-id]]]`, in its parts.
    Secret {
        /// Name or ARN.
        id: String,
        /// Key in the secret's JSON object; `None`: the whole text.
        json_key: Option<String>,
        /// Staging label; `AWSCURRENT` when neither this nor the version is given.
        version_stage: Option<String>,
        /// Version.
        version_id: Option<String>,
    },
}

/// A value that must not be seen: it is not printed by accident.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HiddenText(pub String);

impl From<String> for HiddenText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for HiddenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HiddenText(…)")
    }
}

/// The answer to one [`BuildSecret`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildSecretAnswer {
    /// It is there, and the build's role may read it.
    Value {
        /// The value.
        value: HiddenText,
        /// What the log must hide beside it: of a secret of which one key is wanted, the text and the other keys.
        hidden: Vec<HiddenText>,
    },
    /// It cannot be had.
    Refused {
        /// AWS's code, e.g. `AccessDeniedException`.
        code: String,
        /// AWS's message.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_printed() {
        let answer = BuildSecretAnswer::Value {
            value: HiddenText("hunter2".to_owned()),
            hidden: vec![HiddenText("hunter3".to_owned())],
        };
        assert!(!format!("{answer:?}").contains("hunter"));
    }
}
