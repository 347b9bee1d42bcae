//! The real agent as process 1 of throw-away containers.

#![expect(clippy::unwrap_used, reason = "what fails in the harness fails the test")]

mod commands;
mod container;
mod files;
mod state;
