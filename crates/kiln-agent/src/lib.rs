//! PID 1 of the build container.
//!
//! A single process around one [`poll`](rustix::event::poll) loop ([`agent`]): it runs the commands of the buildspec
//! ([`command`], [`state`]), takes what they print, finds files ([`glob`], [`list`]) and moves their contents
//! ([`transfer`]), and reaps whatever is left to it. It talks to the runner alone, over two inherited sockets
//! ([`kiln_wire::agent`]), and never waits for one thing in a way that keeps it from another.
//!
//! The same binary is the helper commands that builds call ([`helpers`]), told apart by the name it is called with.
//! Statically linked, it runs in any image.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

mod agent;
mod command;
mod ending;
mod expand;
pub mod glob;
mod grant;
mod helpers;
mod list;
mod outbox;
mod setup;
mod shell;
mod state;
#[expect(unsafe_code, reason = "signals, wait4, fork and inherited descriptors have no safe interface")]
mod sys;
mod transfer;
mod users;
mod walk;

/// The binary.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = arguments.next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    if arguments == [expand::COPY] {
        return helpers::copy();
    }
    if let Some(code) = helpers::run(name, arguments.clone()) {
        return code;
    }
    if !rustix::process::getpid().is_init() {
        eprintln!(
            "kiln-agent: not process 1. Kiln starts this program in the container of a build; it is not for calling."
        );
        return ExitCode::from(2);
    }
    if let Some((shell::SHELL, rest)) = arguments.split_first().and_then(|(a, rest)| Some((a.to_str()?, rest))) {
        return shell::run(rest);
    }
    match agent::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kiln-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
