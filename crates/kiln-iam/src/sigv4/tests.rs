//! Tests of the whole verification: AWS's own suite, the SDK's signer as an oracle, tampering, and each rule.

mod chunks;
mod client;
mod oracle;
mod rules;
mod suite;
mod tamper;
