//! Environments: image store and container engines.

mod cgroup;
mod disk;
mod engine;
mod error;
mod host_image;
mod ids;
pub mod image;
mod layout;
mod mounts;
mod native;
pub mod network;
mod registry;
mod sandbox;
mod seccomp;
mod spec;
mod sys;

pub use engine::Engine;
pub use error::EngineError;
pub use mounts::force_lower_style;
pub use native::NativeEngine;
pub use sandbox::Sandbox;

pub use spec::{
    Access, Disk, EnvPair, Exit, Limits, NetworkMode, Notices, Process, RootFs, SandboxSpec, Usage, Volume,
};
