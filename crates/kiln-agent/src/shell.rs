//! The shell of `kiln debug`: where a build failed, with its variables and in its directory.
//!
//! The agent is called as `kiln-agent shell [NAME]`, as process 1, with a terminal on its standard input. It stays
//! process 1, so that what the shell leaves in the background is reaped, and ends with the shell's exit status.

use std::{
    ffi::{OsStr, OsString},
    os::fd::AsFd,
    path::PathBuf,
    process::ExitCode,
};

use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    command::find_shell,
    state::{Place, State},
    sys::{self, Spawn, WaitStatus},
};

/// First argument that asks for it.
pub(crate) const SHELL: &str = "shell";

/// Shells that are comfortable to type in, best first; a build without any has its own.
const COMFORTABLE: [&str; 2] = ["bash", "sh"];

/// Runs the shell; the exit status is its.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    match start(arguments.first().and_then(|name| name.to_str())) {
        Ok(status) => ExitCode::from(status),
        Err(message) => {
            eprintln!("kiln: {message}");
            ExitCode::from(127)
        }
    }
}

fn start(wanted: Option<&str>) -> Result<u8, String> {
    let children = sys::watch_children().map_err(|error| format!("cannot watch the shell: {error}"))?;
    let mut state = State::new(PathBuf::from("/"));
    if let Err(error) = state.read(&Place::current()) {
        eprintln!("kiln: the build's variables cannot be read ({}: {})", error.path.display(), error.problem);
    }
    let path = state.get(b"PATH").unwrap_or_default().to_vec();
    let shell = wanted
        .into_iter()
        .chain(COMFORTABLE)
        .map(|name| find_shell(name, &path))
        .find_map(Result::ok)
        .map_or_else(|| find_shell("sh", &path), Ok)?;
    let mut environment = state.whole_environment();
    environment.push((OsString::from("TERM"), std::env::var_os("TERM").unwrap_or_else(|| OsString::from("xterm"))));
    let terminal = |what: &str| {
        std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| format!("cannot use the terminal for {what}: {error}"))
    };
    let interactive = PathBuf::from(OsStr::new("-i"));
    let pid = sys::spawn(Spawn {
        program: &shell,
        arguments: &[&interactive],
        environment: &environment,
        directories: vec![state.directory().to_path_buf()],
        terminal: Some(terminal("input")?),
        stdout: terminal("output")?,
        stderr: terminal("messages")?,
        credentials: None,
    })
    .map_err(|error| format!("{}: {error}", shell.display()))?;
    loop {
        // The notes only say that some child ended; the loop looks which.
        let mut notes = [0u8; 1024];
        while matches!(rustix::io::read(&children, &mut notes), Ok(n) if n > 0) {}
        while let Some(ended) = sys::reap() {
            if ended.pid == pid {
                return Ok(match ended.status {
                    WaitStatus::Exited(code) => u8::try_from(code).unwrap_or(u8::MAX),
                    WaitStatus::Signaled(signal) => u8::try_from(128_i32.saturating_add(signal)).unwrap_or(u8::MAX),
                });
            }
        }
        let mut ready = [PollFd::new(&children, PollFlags::IN)];
        if let Err(error) = poll(&mut ready, None)
            && error != rustix::io::Errno::INTR
        {
            return Err(format!("cannot wait for the shell: {error}"));
        }
    }
}
