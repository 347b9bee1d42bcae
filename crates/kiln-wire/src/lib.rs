//! What agent and runner say to each other, and the journal's records.
//!
//! Bytes in, messages out: this crate knows nothing of sockets or files. Everything that it decodes may come from a
//! hostile build, so sizes are bounded and no input makes it panic.
//!
//! - [`frame`]: length-prefixed frames on a stream.
//! - [`agent`]: the messages between the runner and the agent, PID 1 of the build container.
//! - [`journal`]: the records that the runner appends while a build runs, and how a follower reads them.
//! - [`server`]: what the runner of a build of the service asks the server for while the build runs.
//! - [`event`]: what the journal's event records say; also the objects that `kiln run --json` prints.

pub mod agent;
pub mod event;
pub mod frame;
pub mod journal;
mod path_bytes;
pub mod server;
pub mod shell;

pub use path_bytes::PathBytes;
