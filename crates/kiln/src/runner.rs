//! The runner's process: how it is started, for `kiln run`, `kiln debug` and the server alike, and the hidden command
//! that it runs.

use std::{
    fs::OpenOptions,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

use anyhow::Context as _;
use clap::Args;
use kiln_runner::job::RUNNER_LOG;

use crate::{agent_binary::AGENT, builds::BuildDir, exit};

/// Starts `kiln runner BUILD_DIR ARGUMENTS`. Its standard input is `lifeline`; its standard output is the build's lock,
/// which it so holds until it ends, whatever becomes of us. It inherits no other descriptor.
pub(crate) fn spawn(
    build: &BuildDir,
    lifeline: OwnedFd,
    program: Option<&Path>,
    arguments: &[&str],
) -> anyhow::Result<Child> {
    let lock = build.lock().try_clone().context("cannot pass on the build's lock")?;
    let log_path = build.path().join(RUNNER_LOG);
    let log = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&log_path)
        .with_context(|| format!("cannot create {}", log_path.display()))?;
    // The very file that runs now, also when an upgrade has replaced it meanwhile.
    let program = program.unwrap_or(Path::new("/proc/self/exe"));
    Command::new(program)
        .arg0("kiln")
        .arg("runner")
        .arg(build.path())
        .args(arguments)
        .stdin(lifeline)
        .stdout(lock)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start the runner ({})", program.display()))
}

/// `kiln runner BUILD_DIR`: not for people.
#[derive(Debug, Args)]
pub(crate) struct RunnerArgs {
    /// The build's directory
    build_dir: PathBuf,

    /// A terminal: open a shell there, in place of running the build
    terminal: Option<PathBuf>,
}

/// Runs the build of a directory to its end.
pub(crate) fn run(args: &RunnerArgs) -> ExitCode {
    // Away from the terminal, whose Ctrl-C is for whoever started us. Only the leader of a process group cannot leave;
    // it was started by hand, and then may as well stay.
    rustix::process::setsid().ok();
    let lifeline = match io::stdin().as_fd().try_clone_to_owned() {
        Ok(lifeline) => lifeline,
        Err(e) => {
            eprintln!("kiln runner: no lifeline on standard input: {e}");
            return ExitCode::from(exit::FAULT);
        }
    };
    if let Some(terminal) = &args.terminal {
        return match kiln_runner::shell(&args.build_dir, AGENT, terminal, Some(lifeline)) {
            Ok(status) => {
                // Whoever started us reads it there; the terminal is the shell's.
                println!("exit {status}");
                ExitCode::SUCCESS
            }
            Err(e) => {
                eprintln!("kiln runner: {:#}", anyhow::Error::new(e));
                ExitCode::from(exit::FAULT)
            }
        };
    }
    match kiln_runner::run(&args.build_dir, AGENT, Some(lifeline)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kiln runner: {:#}", anyhow::Error::new(e));
            ExitCode::from(exit::FAULT)
        }
    }
}

/// `kiln fetch`: fetches one git source for the runner that started it.
pub(crate) fn fetch() -> ExitCode {
    match kiln_runner::git::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("kiln fetch: {e}");
            ExitCode::from(exit::FAULT)
        }
    }
}
