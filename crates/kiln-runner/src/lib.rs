//! One build from PROVISIONING to FINALIZING.
//!
//! One process per build: `kiln run` (or the server) writes a [`job::Job`] and starts `kiln runner`, which calls
//! [`run`]. Everything that happens goes into the journal; [`follow::Follower`] reads it.

pub mod clock;
pub mod follow;
pub mod job;
