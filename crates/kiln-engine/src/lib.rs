//! Environments: image store and container engines.

mod spec;

pub use spec::{
    Access, Disk, EnvPair, Exit, Limits, NetworkMode, Notices, Process, RootFs, SandboxSpec, Usage, Volume,
};
