//! The use cases of the service: projects, builds, the queue, and the reconciler that compares what is recorded with
//! what really runs (DESIGN decisions 1 to 3).
//!
//! Knows nothing of HTTP, SQL or system calls: those are behind `kiln-api`, `kiln-store` and [`runners::Runners`].

pub mod artifact;
pub mod document;
pub mod lifecycle;
pub mod queue;
pub mod runners;
pub mod timeline;
