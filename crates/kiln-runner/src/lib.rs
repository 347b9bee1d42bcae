//! One build from PROVISIONING to FINALIZING.
//!
//! One process per build: `kiln run` (or the server) writes a [`job::Job`] and starts `kiln runner`, which calls
//! [`run`]. Everything that happens goes into the journal; [`follow::Follower`] reads it.

mod atomic;
pub mod cache;
pub mod clock;
pub mod directory;
pub mod entry;
pub mod follow;
pub mod job;
mod pipeline;
pub mod report;
pub mod zip;
