//! The front end of `kiln run` and its neighbours, with a runner that plays a script (`fake.rs`): everything is real
//! but the container.

mod commands;
mod ends;
mod fake;
mod kept;
mod render;
mod stops;
mod support;
mod tty;
