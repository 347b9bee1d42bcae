//! Signature Version 4: verifying what clients sign, and signing what our own client sends.
//!
//! A server goes through the checks in this order and fails closed at each (`security.md` 1.4):
//!
//! 1. limits on the request's size: the server's own;
//! 2. [`Claim::parse`]: one form of authentication, its syntax, algorithm, date and scope;
//! 3. [`Claim::check`]: clock window, region and service, headers that must be signed. All this needs neither the
//!    secret nor the body;
//! 4. the server looks up [`Claim::access_key_id`];
//! 5. [`Claim::verify`]: session token, signature, body hash. A key that does not exist costs the same time.
//!
//! Only then is the body worth parsing.

mod canonical;
mod chunks;
mod claim;
mod date;
mod git;
mod key;
mod query;
mod request;
mod sign;
mod verify;

pub use chunks::ChunkVerifier;
pub use claim::{Chunking, Claim, Payload, Scope};
pub use date::{DATE_FORMAT_EXAMPLE, amz_date};
pub use git::{GitRequest, GitSignature, git_password};
pub use key::{Key, PayloadHasher, SecretKey, Session, sha256};
pub use query::{decoded_pairs as query_pairs, encode as percent_encode};
pub use request::Request;
pub use sign::{Credentials, ToSign, sign};
pub use verify::{Body, Expected};

/// Difference between the clocks of client and server that is accepted, in minutes, both ways. Some of AWS's services
/// take 5, most 15 (`security.md` 1.5).
pub const MAX_SKEW_MINUTES: i64 = 15;

/// Longest life of a presigned link in seconds: a week.
pub const MAX_PRESIGNED_SECONDS: u32 = 604_800;

/// The only algorithm that is accepted.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Last part of every scope.
const TERMINATOR: &str = "aws4_request";

#[cfg(test)]
mod tests;
