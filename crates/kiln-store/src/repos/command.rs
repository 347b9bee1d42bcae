//! Git as a child process: nothing of the machine's or a user's configuration, no hooks, no prompts, bounded in time and in
//! what it answers (`security.md` 5.6).

use std::{
    ffi::{OsStr, OsString},
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::GitError;

/// How long a command may take that answers a call.
const USUAL: Duration = Duration::from_secs(60);
/// Bytes of an answer.
const MOST: usize = 64 << 20;
/// Bytes of what it says when it fails.
const MOST_TOLD: u64 = 4096;
/// Largest push: what a client may send in one go, bytes.
const MOST_PUSHED: u64 = 8 << 30;

/// Settings that hold for every call, whatever a repository's own file says.
const SETTINGS: [&str; 13] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.fsync=committed,loose-object,reference",
    "core.quotePath=false",
    "gc.autoDetach=false",
    "gc.auto=2000",
    "protocol.allow=never",
    "receive.autogc=false",
    "receive.advertisePushOptions=false",
    "receive.fsckObjects=true",
    "receive.denyDeleteCurrent=refuse",
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=false",
];

/// A command of git before it runs.
pub(super) struct Git {
    command: Command,
    name: String,
    limit: Duration,
    most: usize,
}

impl Git {
    /// In a repository.
    pub(super) fn within(path: &Path) -> Self {
        let mut git = Self::outside(path);
        git.command.arg("--git-dir").arg(path);
        git
    }

    /// Outside of any, in some directory.
    pub(super) fn outside(directory: &Path) -> Self {
        let mut command = Command::new("git");
        command
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/nonexistent")
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_CEILING_DIRECTORIES", "/")
            .process_group(0);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", *setting]));
        command.arg("-c").arg(format!("receive.maxInputSize={MOST_PUSHED}"));
        // Only a repository that is ours is ever opened; the operator may have given it to the service's user late.
        command.arg("-c").arg("safe.directory=*");
        Self { command, name: String::new(), limit: USUAL, most: MOST }
    }

    /// Adds arguments; the first that is no option names the command.
    pub(super) fn args<const N: usize>(mut self, args: [&str; N]) -> Self {
        for arg in args {
            self = self.arg(OsStr::new(arg));
        }
        self
    }

    pub(super) fn arg(mut self, arg: &OsStr) -> Self {
        if self.name.is_empty() && !arg.as_encoded_bytes().contains(&b'=') && arg != "-c" {
            self.name = arg.to_string_lossy().into_owned();
        }
        self.command.arg(arg);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.command.env(name, value.into());
        self
    }

    /// How long it may take.
    pub(super) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Bytes of its answer.
    pub(super) fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Starts it, with its input and output as pipes; what it says of errors goes to `errors`.
    pub(super) fn start(mut self, errors: Stdio) -> Result<Child, GitError> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        self.command.spawn().map_err(|e| GitError::NoGit(Arc::new(e)))
    }

    /// Runs it to its end with that input; what it printed.
    pub(super) fn run(self, input: &[u8]) -> Result<Vec<u8>, GitError> {
        let (name, limit, most) = (self.name.clone(), self.limit, self.most);
        let mut child = self.start(Stdio::piped())?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ended = thread::scope(|scope| {
            let (sender, answer) = mpsc::channel();
            scope.spawn(move || {
                // Git may end without having read everything.
                stdin.and_then(|mut stdin| stdin.write_all(input).ok());
            });
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let limit = most as u64 + 1;
                let read = stdout.map(|stdout| stdout.take(limit).read_to_end(&mut bytes));
                sender.send(read.is_some_and(|read| read.is_ok()).then_some(bytes)).ok();
            });
            let told = scope.spawn(move || {
                let mut told = Vec::new();
                if let Some(mut stderr) = stderr {
                    stderr.by_ref().take(MOST_TOLD).read_to_end(&mut told).ok();
                    std::io::copy(&mut stderr, &mut std::io::sink()).ok();
                }
                String::from_utf8_lossy(&told).trim().to_owned()
            });
            let begun = Instant::now();
            let bytes = match answer.recv_timeout(limit) {
                Ok(bytes) => bytes.ok_or_else(|| GitError::Failed { command: name.clone(), message: String::new() }),
                Err(_) => Err(GitError::Slow { command: name.clone() }),
            };
            let bytes = bytes.and_then(|bytes| match bytes.len() > most {
                true => Err(GitError::Large { command: name.clone(), most }),
                false => Ok(bytes),
            });
            if bytes.is_err() {
                end(&child, Signal::KILL);
            }
            let status = loop {
                match child.try_wait() {
                    Ok(Some(status)) => break Some(status),
                    Ok(None) if begun.elapsed() > limit => {
                        end(&child, Signal::KILL);
                        break child.wait().ok();
                    }
                    Ok(None) => thread::sleep(Duration::from_micros(200)),
                    Err(_) => break None,
                }
            };
            let message = told.join().unwrap_or_default();
            bytes.map(|bytes| (bytes, status, message))
        });
        let (bytes, status, message) = ended?;
        if status.is_some_and(|status| status.success()) {
            Ok(bytes)
        } else {
            Err(GitError::Failed { command: name, message })
        }
    }
}

/// Ends a process with all that it started.
pub(super) fn end(child: &Child, signal: Signal) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process_group(group, signal).ok();
    }
}
