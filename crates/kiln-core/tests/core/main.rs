//! The use cases, with runners that play a script (`fake.rs`): everything else is real.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod builds;
mod fake;
mod git;
mod identities;
mod images;
mod key_access;
mod keys;
mod layers;
mod log_retention;
mod logs;
mod metrics;
mod objects;
mod parameters;
mod place;
mod projects;
mod public;
mod restart;
mod roles;
mod rules;
mod secrets;
mod service_credentials;
mod simulation;
mod tails;
mod time;
mod traces;
mod webhooks;
