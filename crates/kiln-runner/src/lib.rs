//! One build from PROVISIONING to FINALIZING.
//!
//! One process per build: `kiln run` (or the server) writes a [`job::Job`] and starts `kiln runner`, which calls
//! [`run`]. Everything that happens goes into the journal; [`follow::Follower`] reads it. Read the modules in this
//! order: [`job`], `build`, `provision`, `download`, `commands`, `upload`, `session`, `journal`.

mod archive;
mod atomic;
mod build;
pub mod cache;
mod cache_step;
pub mod clock;
mod commands;
pub mod crash;
pub mod directory;
pub mod docker;
mod download;
pub mod entry;
mod environment;
pub mod follow;
pub mod git;
mod identity;
pub mod job;
mod journal;
mod layout;
mod mask;
mod phases;
mod pipeline;
mod provision;
mod relay;
pub mod report;
mod reports_step;
mod runtimes;
mod secrets;
pub mod server;
mod service_source;
mod session;
mod shell;
mod source;
#[cfg(test)]
mod test_support;
mod text;
mod upload;
pub mod zip;

pub use build::{RunError, run};
pub use journal::WriteError;
pub use provision::HOST_IMAGE;
pub use shell::{ShellError, shell};
