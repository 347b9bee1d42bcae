//! The runner's process, and the hidden command that it runs.

use std::{
    fs::OpenOptions,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus},
};

use anyhow::Context as _;
use clap::Args;
use kiln_runner::job::{Control, RUNNER_LOG};
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{agent_binary::AGENT, exit, runs::BuildDir};

/// A runner that was started.
#[derive(Debug)]
pub(crate) struct Runner {
    child: Child,
    pidfd: OwnedFd,
    lifeline: OwnedFd,
}

impl Runner {
    /// Starts `kiln runner BUILD_DIR`. Its standard input is the lifeline; its standard output is the build's lock,
    /// which it so holds until it ends, whatever becomes of us.
    pub(crate) fn start(build: &BuildDir, program: Option<&Path>) -> anyhow::Result<Self> {
        Self::start_with(build, program, &[])
    }

    /// The same, with further arguments behind the directory.
    pub(crate) fn start_with(build: &BuildDir, program: Option<&Path>, arguments: &[&str]) -> anyhow::Result<Self> {
        let (lifeline_end, lifeline) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .context("cannot create a socket")?;
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
        let child = Command::new(program)
            .arg0("kiln")
            .arg("runner")
            .arg(build.path())
            .args(arguments)
            .stdin(lifeline_end)
            .stdout(lock)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start the runner ({})", program.display()))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("the runner's process id")?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the runner")?;
        Ok(Self { child, pidfd, lifeline })
    }

    /// Becomes readable when the runner has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to stop or kill the build. A runner that has just ended needs not be told.
    pub(crate) fn tell(&self, control: Control) {
        rustix::io::retry_on_intr(|| send(&self.lifeline, &[control.byte()], SendFlags::NOSIGNAL)).ok();
    }

    /// Becomes readable when the runner says that the journal grew; call [`Self::hear`] then, and read the journal after
    /// it. A runner that has let go of its lifeline says no more: its end comes soon.
    pub(crate) fn word(&self) -> BorrowedFd<'_> {
        self.lifeline.as_fd()
    }

    /// Takes what the runner said. False: it will say no more.
    pub(crate) fn hear(&self) -> bool {
        let mut bytes = [0u8; 4096];
        loop {
            match recv(&self.lifeline, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
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
