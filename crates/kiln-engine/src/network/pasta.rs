//! `private` without the rights for it: `pasta` (of passt.top) makes each connection of the build again as the user's
//! own (security.md 4.1).
//!
//! By itself it lets a build reach all that the user reaches, private networks and this machine's other addresses
//! included; what it must not reach is refused inside the build's own namespace ([`super::firewall::confine`]), by rules
//! that a build without CAP_NET_ADMIN cannot change.

use std::{
    io::{self, Read},
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    fs::Access,
    process::{Pid, PidfdFlags},
};

use super::netns::{Service, Stop, Wake};

/// Where the build asks for names; pasta passes it on to the host's first resolver.
pub(super) const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 53);
/// Where pasta's packets come from and go to.
const TUN: &str = "/dev/net/tun";
/// How often pasta is started again when it dies under a running build.
const RESTARTS: usize = 3;
/// How long a start may take; it takes 50 ms.
const START: Duration = Duration::from_secs(10);
/// Bound on what is kept of what pasta says.
const MESSAGE_BYTES: u64 = 4096;

/// The program, if builds can use it; else the reason, as the rest of a sentence.
pub(crate) fn find() -> Result<PathBuf, String> {
    let program = ["/usr/bin", "/usr/local/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join("pasta"))
        .find(|path| rustix::fs::access(path, Access::EXEC_OK).is_ok())
        .ok_or("pasta is not installed (package passt)")?;
    rustix::fs::access(TUN, Access::READ_OK | Access::WRITE_OK)
        .map_err(|errno| format!("pasta needs {TUN}, which this user may not open: {errno}"))?;
    Ok(program)
}

/// Starts pasta for the network namespace of the process `pid` and returns when the build can use it.
///
/// # Errors
/// It could not be started; with what it says itself.
pub(crate) fn start(program: &Path, pid: Pid) -> io::Result<Service> {
    let program = program.to_owned();
    let mut running = Running::start(&program, pid)?;
    Service::start("kiln-pasta", move |stop| {
        let mut restarts = RESTARTS;
        loop {
            if running.wait(stop) {
                return;
            }
            // It died. With the build, as usual; then starting it again fails at once.
            if restarts == 0 || stop.sleep(Instant::now() + Duration::from_millis(50)) {
                return;
            }
            restarts -= 1;
            match Running::start(&program, pid) {
                Ok(again) => running = again,
                Err(_) => return,
            }
        }
    })
}

/// Runs a program, and kills it when the other end of the standard input is closed: by a runner that is done with it, or
/// by the kernel for a runner that was killed. pasta does not end by itself with the namespace that it serves (version
/// of 2023), and by entering it loses the signal that it might get at its parent's death.
const WATCH: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ read -r nothing <&3; kill -9 $program; } >/dev/null 2>&1 &
watch=$!
wait $program
status=$?
kill -9 $watch
exit $status
"#;

/// A pasta process below a shell that watches over it; both are gone when this is dropped.
struct Running {
    shell: Child,
    pidfd: OwnedFd,
    /// Reads away what it says, so that a full pipe does not stop it.
    reader: Option<JoinHandle<()>>,
}

impl Running {
    fn start(program: &Path, pid: Pid) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCH, "sh"]).arg(program);
        // No way to the host: no gateway that means the host's loopback, no forwarded ports in either direction.
        command.args(["--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw"]);
        command.args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
        command.args(["--ns-ifname", "eth0", "--dns-forward", &RESOLVER.to_string()]);
        if rustix::process::geteuid().is_root() {
            // As root of a container: else it becomes nobody, who may not enter the build's namespaces.
            command.args(["--runas", "0"]);
        }
        // It writes its number when all is set up: into its standard output, which tells without a file.
        command.args(["--pid", "/proc/self/fd/1", &pid.as_raw_nonzero().to_string()]);
        let mut shell =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/").spawn()?;
        let (output, errors) = (shell.stdout.take(), shell.stderr.take());
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&shell), PidfdFlags::empty());
        let pidfd = match pidfd {
            Ok(pidfd) => pidfd,
            Err(errno) => {
                end(&mut shell);
                return Err(errno.into());
            }
        };
        let mut running = Self { shell, pidfd, reader: None };
        let ready = output.is_some_and(|mut output| {
            let never = Stop::new();
            let waited = never.and_then(|stop| stop.wait(output.as_fd(), PollFlags::IN, Some(Instant::now() + START)));
            matches!(waited, Ok(Wake::Ready)) && matches!(output.read(&mut [0; 32]), Ok(1..))
        });
        if ready {
            if let Some(mut errors) = errors {
                let read = move || drop(io::copy(&mut errors, &mut io::sink()));
                running.reader = Some(thread::Builder::new().name("kiln-pasta".into()).spawn(read)?);
            }
            return Ok(running);
        }
        drop(running);
        let mut said = Vec::new();
        if let Some(errors) = errors {
            errors.take(MESSAGE_BYTES).read_to_end(&mut said)?;
        }
        let said = String::from_utf8_lossy(&said);
        // This machine's log may be missing; that is not why it failed.
        let said: Vec<_> = said.lines().filter(|line| !line.ends_with("to syslog") && !line.is_empty()).collect();
        Err(io::Error::other(if said.is_empty() { "it did not start".to_owned() } else { said.join("; ") }))
    }

    /// Waits for its end; true if `stop` came first.
    fn wait(&self, stop: &Stop) -> bool {
        !matches!(stop.wait(self.pidfd.as_fd(), PollFlags::IN, None), Ok(Wake::Ready))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.shell);
        // All that held the pipe are dead. Afterwards this process may have one thread again, as a launcher must.
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}

/// Ends pasta and its shell.
fn end(shell: &mut Child) {
    drop(shell.stdin.take());
    // Only this process waits for it, so this cannot fail.
    shell.wait().ok();
}
