//! Secrets, and the keyed hashes made with them.

use aws_lc_rs::{constant_time, digest, hmac};
use time::OffsetDateTime;
use zeroize::{Zeroize, Zeroizing};

use super::{TERMINATOR, claim::Scope};

/// The secret half of an access key. It cannot be printed, and its memory is cleared when it goes.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes over a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, for those who seal it or print it once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What the server knows of an access key.
#[derive(Clone)]
pub struct Key {
    /// The secret that the signature must have been made with.
    pub secret: SecretKey,
    /// Present for temporary keys: these are worth nothing without their session token.
    pub session: Option<Session>,
}

/// The session of a temporary key.
#[derive(Clone)]
pub struct Session {
    /// The token that belongs to exactly this key.
    pub token: Zeroizing<String>,
    /// From this moment on the key is refused.
    pub expires: OffsetDateTime,
}

/// SHA-256 of bytes that are at hand.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = PayloadHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 of a body that arrives in pieces.
#[derive(Clone)]
pub struct PayloadHasher(digest::Context);

impl Default for PayloadHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl PayloadHasher {
    /// The hash of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds a piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

/// Compares two hashes in a time that tells nothing of them.
pub(super) fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}

/// Compares two texts of any length in a time that tells nothing of their contents (`security.md` 5.10).
pub(super) fn same_text(left: &str, right: &str) -> bool {
    same(&sha256(left.as_bytes()), &sha256(right.as_bytes()))
}

/// The signature over a canonical request: `HMAC(kSigning, string to sign)` (`security.md` 1.1).
pub(super) fn signature(secret: &SecretKey, scope: &Scope, date: &str, canonical_request: &[u8]) -> [u8; 32] {
    let string_to_sign =
        format!("{}\n{date}\n{}\n{}", super::ALGORITHM, scope.text(), hex::encode(sha256(canonical_request)));
    SigningKey::derive(secret, scope).sign(&string_to_sign)
}

/// The key that a secret gives for one day, region and service: `kSigning`.
pub(super) struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    pub(super) fn derive(secret: &SecretKey, scope: &Scope) -> Self {
        let mut key = hmac_sha256(Zeroizing::new(format!("AWS4{}", secret.expose())).as_bytes(), &scope.day);
        for part in [scope.region.as_str(), scope.service.as_str(), TERMINATOR] {
            let next = hmac_sha256(&key, part);
            key.zeroize();
            key = next;
        }
        let derived = Self(Zeroizing::new(key));
        key.zeroize();
        derived
    }

    pub(super) fn sign(&self, string_to_sign: &str) -> [u8; 32] {
        hmac_sha256(self.0.as_slice(), string_to_sign)
    }
}

fn hmac_sha256(key: &[u8], text: &str) -> [u8; 32] {
    let mut output = [0; 32];
    output.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref());
    output
}

/// The secret that a key which does not exist is verified against, so that it costs the same time.
pub(super) fn dummy() -> Key {
    const AS_LONG_AS_A_REAL_ONE: &str = "0000000000000000000000000000000000000000";
    Key { secret: SecretKey::new(AS_LONG_AS_A_REAL_ONE.to_owned()), session: None }
}
