//! Signatures of S3's bodies in chunks: each signs its chunk and the signature before it, so that none can be changed,
//! left out, moved or added (`security.md` 1.2).

use super::{
    claim::Claim,
    key::{Key, SigningKey, same, sha256},
};
use crate::error::AuthError;

/// Verifies the chunks of one body, in their order.
pub struct ChunkVerifier {
    key: SigningKey,
    date: String,
    scope: String,
    previous: [u8; 32],
}

impl Claim {
    /// The verifier of the body's chunks; the request's own signature is the first of the chain. Call
    /// [`Claim::verify`] before.
    #[must_use]
    pub fn chunk_verifier(&self, key: &Key) -> ChunkVerifier {
        ChunkVerifier {
            key: SigningKey::derive(&key.secret, &self.scope),
            date: self.date_text(),
            scope: self.scope.text(),
            previous: self.signature,
        }
    }
}

impl ChunkVerifier {
    /// Verifies the next chunk; the empty one that ends the body is one as well.
    ///
    /// # Errors
    /// [`AuthError::WrongSignature`].
    pub fn chunk(&mut self, data_sha256: [u8; 32], signature: [u8; 32]) -> Result<(), AuthError> {
        let both = format!("{}\n{}", hex::encode(sha256(b"")), hex::encode(data_sha256));
        self.verify("AWS4-HMAC-SHA256-PAYLOAD", &both, signature)
    }

    /// Verifies what comes behind the chunks: lines `name:value`, each with its end of line.
    ///
    /// # Errors
    /// [`AuthError::WrongSignature`].
    pub fn trailer(&mut self, lines: &str, signature: [u8; 32]) -> Result<(), AuthError> {
        self.verify("AWS4-HMAC-SHA256-TRAILER", &hex::encode(sha256(lines.as_bytes())), signature)
    }

    fn verify(&mut self, algorithm: &str, hashes: &str, signature: [u8; 32]) -> Result<(), AuthError> {
        let string_to_sign =
            format!("{algorithm}\n{}\n{}\n{}\n{hashes}", self.date, self.scope, hex::encode(self.previous));
        let expected = self.key.sign(&string_to_sign);
        if !same(&expected, &signature) {
            return Err(AuthError::WrongSignature);
        }
        self.previous = expected;
        Ok(())
    }
}
