//! The real agent as process 1 of throw-away containers.

mod commands;
mod container;
