//! The use cases of the service: projects, builds, the queue, and the reconciler that compares what is recorded with
//! what really runs (DESIGN decisions 1 to 3).
//!
//! Knows nothing of HTTP, SQL or system calls: those are behind `kiln-api`, `kiln-store` and [`runners::Runners`].
//!
//! Reading order: [`lifecycle`] (what can happen to a build), [`document`] (what is stored of it), [`queue`] (whose turn
//! it is), [`core`] (start, stop, recovery), `scheduler` and `supervise` (from the queue to a runner and along its
//! journal), `finish` (closing the books), `service` and `kiln_service` (the operations), `retention` (what goes with
//! time).

mod accept;
mod adopt;
pub mod artifact;
pub mod audit;
mod badge;
mod behalf;
mod build_log;
pub mod bytes;
mod caches;
mod cloudwatch;
mod codecommit;
pub mod config;
mod console;
pub mod core;
pub mod crash;
pub mod debug;
pub mod document;
mod downloads;
mod ecr;
mod events;
pub mod external;
mod finish;
pub mod iam;
mod identity;
mod job;
mod keep;
mod kept_caches;
mod kiln_service;
mod kms;
pub mod lifecycle;
mod live;
mod log_object;
mod logs;
pub mod objects;
mod page;
mod parts;
mod places;
pub mod providers;
mod public;
pub mod queue;
mod records;
mod retention;
pub mod runners;
mod scheduler;
mod secrets;
mod secretsmanager;
mod service;
mod source_credential;
mod sources;
mod ssm;
mod supervise;
mod tally;
pub mod timeline;
pub mod traces;
pub mod webhook;

pub use crate::{
    core::{Core, Failure, Parts, StartError},
    ecr::damaged as damaged_images,
    logs::Tail,
};
