//! The front end of `kiln run` and its neighbours, with a runner that plays a script (`fake.rs`): everything is real
//! but the container.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod commands;
mod ends;
mod fake;
mod kept;
mod render;
mod stops;
mod support;
mod tty;
