//! Bytes in JSON.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes, in JSON as base64. What they are is not shown by `Debug`: they are keys and secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes in base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Blob, E> {
                STANDARD.decode(text).map(Blob).map_err(|_| E::custom("not base64"))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// How many bytes a text stands for, if it stands for any.
pub(crate) fn decoded_length(text: &str) -> Option<usize> {
    STANDARD.decode(text).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64_in_json_and_hidden_elsewhere() {
        let blob: Blob = serde_json::from_str("\"c2VjcmV0\"").unwrap();
        assert_eq!(blob.0, b"secret");
        assert_eq!(serde_json::to_string(&blob).unwrap(), "\"c2VjcmV0\"");
        assert_eq!(format!("{blob:?}"), "[6 bytes]");
        for bad in ["\"c2VjcmV0=\"", "\"c2Vj cmV0\"", "\"c2Vjcm\"", "\"_-\"", "1", "null", "[115]"] {
            assert!(serde_json::from_str::<Blob>(bad).is_err(), "{bad}");
        }
    }
}
