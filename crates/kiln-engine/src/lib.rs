//! Environments: image store and container engines.

mod cgroup;
pub mod container_store;
mod disk;
pub mod doctor;
mod engine;
mod error;
mod host_image;
mod ids;
pub mod image;
mod layout;
mod mounts;
mod native;
pub mod network;
mod oci;
mod prepare;
mod registry;
mod sandbox;
mod scoped;
mod seccomp;
mod spec;
mod sweep;
mod sys;

pub use disk::delete_disk;
pub use engine::Engine;
pub use error::EngineError;
pub use mounts::force_overlays_by_path;
pub use native::NativeEngine;
pub use oci::{OciEngine, runtime_version};
pub use sandbox::Sandbox;
pub use scoped::openat2;
pub use sweep::{Leftover, leftovers, sweep};
pub use sys::process::pass_on_no_descriptors;

pub use spec::{
    Access, Disk, EnvPair, Exit, Limits, NetworkMode, Notices, Process, RootFs, SandboxSpec, Usage, Volume,
};
