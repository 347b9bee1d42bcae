//! Texts that nobody may see by accident.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// The secret of a key, the token of a session, the value of a secret or parameter: is not shown by `Debug`, and is wiped
/// when it goes. In JSON it is the text itself: for answers that show it, and for nothing that is stored.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error of a text that is none must not repeat it.
        let value = serde_json::Value::deserialize(deserializer)?;
        match value {
            serde_json::Value::String(text) => Ok(Self::new(text)),
            _ => Err(de::Error::custom("not a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_text_in_json_and_hidden_elsewhere() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!((secret.expose(), serde_json::to_string(&secret).unwrap()), ("hunter2", "\"hunter2\"".to_owned()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        for bad in ["271828", "[\"hunter2\"]", "null"] {
            let error = serde_json::from_str::<Secret>(bad).unwrap_err().to_string();
            assert!(error.starts_with("not a string"), "{error}");
        }
    }
}
