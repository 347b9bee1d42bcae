//! `kiln serve` and the commands that talk to it, as somebody at a terminal meets them. What AWS's clients see of the
//! service is tested in `service`.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod builds;
mod commands;
mod first_start;
mod support;
