//! A server with a data directory of its own, which a test may kill and start again.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use kiln_check::Accepted;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;

/// Until a server answers, or a build is over, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at something that cannot tell by itself.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is something to see.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(LOOK);
    }
}

/// One service: its data, its address, and its process while it runs.
pub(crate) struct Server {
    // Ended first.
    child: Option<Child>,
    own_data: Option<TempDir>,
    data: PathBuf,
    address: SocketAddr,
    variables: BTreeMap<String, String>,
    wrapper: Vec<String>,
    secrets: Vec<String>,
}

impl Server {
    /// Starts one on a fresh data directory.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// The same with these variables in its environment.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let mut server = Self::prepare(data.path(), variables);
        server.own_data = Some(data);
        server.run();
        server
    }

    /// One on this data directory, not started yet.
    pub(crate) fn prepare(data: &Path, variables: &[(&str, &str)]) -> Self {
        // The same address after each start, as clients know it; nobody else is given it meanwhile.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (wrapper, secrets) = (Vec::new(), Vec::new());
        Self { child: None, own_data: None, data: data.to_owned(), address, variables, wrapper, secrets }
    }

    /// A value that the checker looks for everywhere.
    pub(crate) fn secret(&mut self, value: &str) {
        self.secrets.push(value.to_owned());
    }

    /// From the next start on.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.variables.insert(name.to_owned(), value.to_owned()),
            None => self.variables.remove(name),
        };
    }

    /// From the next start on: the command behind which it runs, and which becomes it.
    pub(crate) fn wrap(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    /// `kiln` for this data directory.
    pub(crate) fn kiln(&self, args: &[&str]) -> Command {
        self.kiln_behind(&[], args)
    }

    fn kiln_behind(&self, wrapper: &[String], args: &[&str]) -> Command {
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP,INT")
            .args(wrapper)
            .arg(env!("CARGO_BIN_EXE_kiln"))
            .args(args)
            .env("KILN_DATA", &self.data)
            .env("KILN_LISTEN", self.address.to_string())
            .env("KILN_LOG_LEVEL", "warn")
            .env("NO_COLOR", "1")
            .env_remove("KILN_CRASH_POINT")
            .stdin(Stdio::null());
        command
    }

    /// Starts the process; returns at once.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.kiln_behind(&self.wrapper, &["serve"]);
        command.envs(&self.variables).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts the process and waits until it answers.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        self.launch();
        wait_for("the server to answer", || {
            if let Some(status) = self.exited() {
                panic!("kiln serve ended with {status}:\n{}", self.log());
            }
            self.is_ready().then_some(())
        });
    }

    /// Whether it says that it is. It listens before it has looked at its data.
    pub(crate) fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<Vec<u8>> {
            let mut socket = TcpStream::connect(self.address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            write!(socket, "GET /-/health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))
    }

    /// How it ended, if it has; it is not running then.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for("the server to end", || self.exited())
    }

    /// Kills it as a power cut would. True if it was running.
    pub(crate) fn kill(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        let killed = child.kill().is_ok();
        let status = child.wait().unwrap();
        killed && status.code().is_none()
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let Some(child) = &self.child else { return };
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        let status = self.wait();
        assert!(status.success(), "kiln serve ended with {status}:\n{}", self.log());
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn log_path(&self) -> PathBuf {
        // Beside the data: a test may fill the disk, or look for secrets.
        let name = format!("kiln-serve-{}-{}.log", std::process::id(), self.address.port());
        std::env::temp_dir().join(name)
    }

    /// What it said on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What `kiln env` says: variables with which AWS clients reach it.
    #[track_caller]
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let output = self.kiln(&["env"]).output().unwrap();
        assert!(output.status.success(), "kiln env: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        let variables: BTreeMap<_, _> =
            lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
        assert_eq!(variables["AWS_ENDPOINT_URL"], format!("http://{}", self.address));
        variables
    }

    /// A client with the root key.
    pub(crate) fn client(&self) -> Client {
        let key = fs::read(self.data.join("keys/root-access-key")).unwrap();
        let key: serde_json::Value = serde_json::from_slice(&key).unwrap();
        let text = |name: &str| key[name].as_str().unwrap();
        Client::new(self.address, text("access_key_id"), text("secret_access_key"))
    }

    /// Stops the server and checks every invariant, and that these builds are over.
    #[track_caller]
    pub(crate) fn check(&mut self, accepted: &[Accepted]) {
        self.stop();
        let mut violations = kiln_check::check(&self.data, &self.secrets).unwrap();
        violations.extend(kiln_check::check_accepted(&self.data, accepted).unwrap());
        assert!(
            violations.is_empty(),
            "{}\nThe server's log:\n{}",
            violations.iter().map(|v| format!("{v}\n")).collect::<String>(),
            self.log()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let failed = thread::panicking();
        if failed {
            let log = self.log();
            let last: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("the server's last words:");
            last.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        self.kill();
        // Builds outlive their server; those of a test that failed would outlive it.
        for pid in processes(&["runner", &self.data.to_string_lossy()]) {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
        }
        if failed {
            self.kiln(&["doctor", "--fix"]).output().ok();
        }
        fs::remove_file(self.log_path()).ok();
    }
}

/// Processes whose command line contains all of these.
pub(crate) fn processes(words: &[&str]) -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            words.iter().all(|w| command.contains(w))
        })
        .collect()
}

/// Kills the runner of a build, whichever `dice` means.
pub(crate) fn kill_a_runner(server: &Server, dice: u8) {
    let runners = processes(&["runner", &server.data().to_string_lossy()]);
    if let Some(pid) = runners.get(usize::from(dice) % runners.len().max(1)) {
        // It may have ended by itself meanwhile.
        kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL).ok();
    }
}

/// Resident memory of a process, KiB.
pub(crate) fn resident_kib(pid: u32) -> u64 {
    memory_kib(pid, "VmRSS:")
}

/// The most resident memory of a process since its start, or the last call; KiB.
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let peak = memory_kib(pid, "VmHWM:");
    // proc(5): 5 resets the peak.
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    peak
}

fn memory_kib(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// Files that a process has open.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Whether system calls can be traced here; says so when not.
pub(crate) fn has_strace() -> bool {
    match Command::new("strace").args(["-D", "-qq", "-o", "/dev/null", "true"]).status() {
        Ok(status) if status.success() => true,
        other => {
            println!("skipped: strace is needed to make system calls fail ({other:?})");
            false
        }
    }
}

/// How much to do: the quick form, or the long one of `scripts/soak`.
pub(crate) fn rounds<T>(quick: T, long: T) -> T {
    if std::env::var_os("KILN_SOAK").is_some() { long } else { quick }
}

/// Why tests that start containers cannot run here; they say so and pass.
pub(crate) fn not_root() -> bool {
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        println!("skipped: needs root");
    }
    skip
}
