//! End-to-end tests: the real `kiln`, real containers, the image `host`. Each run ends with the invariant checker.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod artifacts;
mod checklist;
mod compatibility;
mod curated;
mod docker;
mod environments;
mod examples;
mod faults;
mod isolation;
mod logs;
mod phases;
mod project;
mod resume;
mod runtimes;
mod variables;
