//! The process that fetches a git source, `kiln fetch`: it starts a sandbox of its own, in which git runs, and answers what
//! became of it (DESIGN decision 7, `security.md` 5.6).
//!
//! A process apart from the runner, because a sandbox is started by one with a single thread. It is told on its standard
//! input, where its credentials are no argument and no file; the end of that input means that nobody waits any more.

use std::{
    ffi::CString,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kiln_engine::{Access, Disk, Limits, Process, RootFs, Sandbox, SandboxSpec, Volume};
use kiln_model::build_source::BuildSourceAnswer;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{
    failure::Kind,
    mirror::{self, Held, MOST_BYTES},
};
use crate::{
    job::{EngineChoice, Network},
    provision,
};

/// What runs in the sandbox.
const SCRIPT: &str = include_str!("fetch.sh");
/// Where the mirror is in the sandbox.
const MIRROR: &str = "/kiln/mirror";
/// Where a repository of this machine is in the sandbox.
const LOCAL: &str = "/kiln/repository.git";
/// Bytes that git may write beside checkout and mirror.
const DISK_BYTES: u64 = 1 << 30;
/// Processes and threads.
const MAX_PIDS: u64 = 512;
/// Bytes of git's words that are kept.
const SAID: usize = 32 * 1024;
/// How often the size of a mirror is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a build waits for a mirror on which another one works.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// A server that sends nothing for so many seconds is given up.
const SILENCE: &str = "300";

/// What is to be fetched, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    /// Names the sandbox.
    pub(super) id: String,
    pub(super) engine: EngineChoice,
    pub(super) network: Network,
    pub(super) network_allow: Vec<String>,
    pub(super) vcpus: u32,
    pub(super) memory_bytes: u64,
    /// Directory for the sandbox's own disk, and the templates of disks.
    pub(super) disk: PathBuf,
    pub(super) templates: PathBuf,
    /// The empty directory that becomes the checkout, here and in the build.
    pub(super) checkout: PathBuf,
    pub(super) inside: PathBuf,
    pub(super) url: String,
    /// `https://host[:port]`.
    pub(super) base: String,
    pub(super) local: Option<PathBuf>,
    pub(super) mirror: Option<PathBuf>,
    /// `head`, `name`, `reference` or `commit`, and what the script makes of the others.
    pub(super) wanted: String,
    pub(super) reference: String,
    pub(super) commit: String,
    pub(super) is_short_commit: bool,
    pub(super) depth: u32,
    pub(super) submodules: bool,
    pub(super) insecure_ssl: bool,
    pub(super) access: BuildSourceAnswer,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The checkout is there.
    Fetched {
        commit: String,
        /// For the log.
        notes: Vec<String>,
    },
    /// git failed.
    Failed {
        /// `reference`, `git`, `submodule` or `lfs`.
        what: String,
        /// Its error output.
        said: String,
    },
    /// There was no sandbox to fetch in, or it died.
    Broken { message: String },
}

impl Answer {
    /// How it failed, and git's words.
    pub(super) fn failure(what: &str, said: &str) -> Kind {
        if what == "reference" { Kind::Reference } else { Kind::of(said) }
    }
}

/// `kiln fetch`: reads a request from standard input, answers on standard output.
///
/// # Errors
/// When there is no request, or nobody to answer.
pub fn serve() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    drop(line);
    let lifeline = io::stdin().as_fd().try_clone_to_owned()?;
    let answer = fetch(&request, &lifeline).unwrap_or_else(|message| Answer::Broken { message });
    let mut output = io::stdout();
    serde_json::to_writer(&mut output, &answer)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn fetch(request: &Request, lifeline: &OwnedFd) -> Result<Answer, String> {
    let mut notes = Vec::new();
    let held = take_mirror(request, lifeline, &mut notes)?;
    let (results, results_in) = io::pipe().map_err(|e| e.to_string())?;
    let (words, words_in) = io::pipe().map_err(|e| e.to_string())?;
    let spec = spec(request, held.as_ref(), words_in.into(), results_in.into());
    let engine = provision::engine_of(&request.engine, &request.network_allow)?;
    let sandbox = engine.start(spec).map_err(|e| format!("no sandbox could be started to fetch it in: {e}"))?;
    let mut watch = Watch {
        sandbox,
        held,
        lifeline,
        results: Lines::new(results.into()),
        words: Tail::new(words.into()),
        answer: None,
        notes,
    };
    let outcome = watch.run();
    let left = watch.sandbox.destroy(false);
    for leftover in left.unwrap_or_else(|e| vec![e.to_string()]) {
        eprintln!("kiln fetch: left behind: {leftover}");
    }
    outcome
}

/// The mirror, once no other build works on it.
fn take_mirror(request: &Request, lifeline: &OwnedFd, notes: &mut Vec<String>) -> Result<Option<Held>, String> {
    let Some(dir) = &request.mirror else { return Ok(None) };
    let until = Instant::now() + PATIENCE;
    loop {
        let why = match Held::take(dir, &request.url) {
            Ok(Some(held)) if held.bytes() <= MOST_BYTES => return Ok(Some(held)),
            // It is made anew, and so without what nobody needs any more.
            Ok(Some(held)) => {
                drop(held);
                mirror::remove(dir).err().map(|e| e.to_string())
            }
            Ok(None) if Instant::now() >= until => Some("another build has been working on it for too long".to_owned()),
            Ok(None) => None,
            Err(e) => Some(e.to_string()),
        };
        if let Some(why) = why {
            notes.push(format!("The local source cache is not used: {why}"));
            return Ok(None);
        }
        let mut fds = [PollFd::new(lifeline, PollFlags::IN)];
        let pause = Timespec::try_from(PAUSE).map_err(|e| e.to_string())?;
        if matches!(poll(&mut fds, Some(&pause)), Ok(1..)) {
            return Err("given up".to_owned());
        }
    }
}

fn spec(request: &Request, held: Option<&Held>, words: OwnedFd, results: OwnedFd) -> SandboxSpec {
    let mut volumes =
        vec![Volume { source: request.checkout.clone(), target: request.inside.clone(), access: Access::ReadWrite }];
    if let Some(held) = held {
        volumes.push(Volume { source: held.content.clone(), target: MIRROR.into(), access: Access::ReadWrite });
    }
    if let Some(local) = &request.local {
        volumes.push(Volume { source: local.clone(), target: LOCAL.into(), access: Access::ReadOnly });
    }
    // In blocks of 512 bytes: no file of the mirror, which lies on the machine's own disk, grows beyond that.
    let script = format!("ulimit -f {}\n{SCRIPT}", MOST_BYTES / 512);
    SandboxSpec {
        id: request.id.clone(),
        root: RootFs::Host,
        disk: Disk { dir: request.disk.clone(), templates: request.templates.clone(), bytes: DISK_BYTES },
        container_store: None,
        volumes,
        process: Process {
            argv: ["/bin/sh", "-c", &script].into_iter().filter_map(|word| CString::new(word).ok()).collect(),
            env: environment(request, held.is_some())
                .into_iter()
                .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
                .collect(),
            cwd: PathBuf::from("/"),
            stdio: [None, None, Some(words)],
            fds: vec![results],
        },
        limits: Limits { vcpus: Some(request.vcpus), memory_bytes: Some(request.memory_bytes), pids: Some(MAX_PIDS) },
        network: if request.local.is_some() && !request.submodules {
            kiln_engine::NetworkMode::None
        } else {
            provision::network_mode(request.network)
        },
        privileged: false,
        hostname: "kiln-fetch".to_owned(),
    }
}

/// The whole environment of the script: what it is to do, and how git has to behave whatever it meets.
fn environment(request: &Request, has_mirror: bool) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let origin = if request.local.is_some() { LOCAL.to_owned() } else { request.url.clone() };
    let mut variables: Vec<(&str, String)> = vec![
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()),
        ("HOME", "/tmp".into()),
        ("LC_ALL", "C".into()),
        ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
        ("GIT_ATTR_NOSYSTEM", "1".into()),
        ("GIT_TERMINAL_PROMPT", "0".into()),
        ("GIT_ALLOW_PROTOCOL", if request.local.is_some() { "file" } else { protocols(&request.url) }.into()),
        ("KILN_PROTOCOLS", protocols(&request.url).into()),
        ("KILN_URL", request.url.clone()),
        ("KILN_ORIGIN", origin),
        ("KILN_CHECKOUT", text(&request.inside)),
        ("KILN_MIRROR", if has_mirror { MIRROR.into() } else { String::new() }),
        ("KILN_WANTED", request.wanted.clone()),
        ("KILN_REFERENCE", request.reference.clone()),
        ("KILN_COMMIT", request.commit.clone()),
        ("KILN_IS_HEX", u8::from(request.is_short_commit).to_string()),
        ("KILN_DEPTH", request.depth.to_string()),
        ("KILN_SUBMODULES", u8::from(request.submodules).to_string()),
    ];
    let mut config: Vec<(String, String)> = [
        ("core.hooksPath", "/dev/null"),
        ("core.fsmonitor", "false"),
        ("transfer.bundleURI", "false"),
        ("fetch.fsckObjects", "true"),
        // What old commits of many repositories have, and does no harm.
        ("fetch.fsck.badTimezone", "ignore"),
        ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
        ("fetch.fsck.missingSpaceBeforeEmail", "ignore"),
        ("fetch.fsck.zeroPaddedFilemode", "ignore"),
        ("fetch.unpackLimit", "1"),
        ("fetch.recurseSubmodules", "false"),
        ("submodule.recurse", "false"),
        ("submodule.fetchJobs", "4"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("advice.detachedHead", "false"),
        ("init.defaultBranch", "main"),
        ("http.followRedirects", "initial"),
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", SILENCE),
        // A repository may not lead it to other programs.
        ("lfs.standalonetransferagent", ""),
        ("lfs.activitytimeout", "60"),
        ("lfs.transfer.maxretries", "3"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if request.insecure_ssl {
        config.push((format!("http.{}/.sslVerify", request.base), "false".into()));
    }
    match &request.access {
        BuildSourceAnswer::Password { username, password } => {
            // A helper, and no header: git asks it anew for the host that a redirection leads to, which gets nothing.
            variables.push(("KILN_USERNAME", username.0.clone()));
            variables.push(("KILN_PASSWORD", password.0.clone()));
            config.push((format!("credential.{}.helper", request.base), super::HELPER.into()));
        }
        BuildSourceAnswer::SshKey { key, known_hosts } => {
            variables.push(("KILN_SSH_KEY", key.0.clone()));
            variables.push(("KILN_KNOWN_HOSTS", known_hosts.clone()));
            variables.push(("GIT_SSH_VARIANT", "ssh".into()));
            variables.push(("GIT_SSH_COMMAND", SSH.into()));
        }
        BuildSourceAnswer::Anonymous | BuildSourceAnswer::Refused { .. } => {}
    }
    let mut all: Vec<(String, String)> = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(super::config_variables(0, &config));
    all
}

/// ssh, with the key and the host keys that the script writes into memory, and nothing of the machine's settings.
const SSH: &str = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/dev/shm/known_hosts \
                   -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o IdentityFile=/dev/shm/key \
                   -o ConnectTimeout=60 -o ServerAliveInterval=60 -o ServerAliveCountMax=5";

/// What git may speak, to the repository of this URL and to those of its submodules.
fn protocols(url: &str) -> &'static str {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("http") => "http:https",
        Some("ssh") => "ssh:https",
        _ => "https",
    }
}

/// A sandbox while git runs in it.
struct Watch<'a> {
    sandbox: Sandbox,
    held: Option<Held>,
    lifeline: &'a OwnedFd,
    results: Lines,
    words: Tail,
    answer: Option<Answer>,
    notes: Vec<String>,
}

impl Watch<'_> {
    fn run(&mut self) -> Result<Answer, String> {
        let mut look = Instant::now() + LOOK;
        loop {
            let left = look.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(|e| e.to_string())?;
            let pidfd = self.sandbox.init_pidfd();
            let mut fds =
                vec![PollFd::new(self.lifeline, PollFlags::IN), PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
            fds.extend(self.results.open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            fds.extend(self.words.open.iter().map(|fd| PollFd::new(fd, PollFlags::IN)));
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(format!("the sandbox cannot be watched: {e}")),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready.first() == Some(&true) {
                return Err("given up".to_owned());
            }
            // Whichever of the two it is: neither is read when it has nothing.
            if ready.iter().skip(2).any(|ready| *ready) {
                self.words.take();
                for line in self.results.take() {
                    self.line(&line);
                }
            }
            if ready.get(1) == Some(&true) {
                return self.end();
            }
            if Instant::now() >= look {
                look = Instant::now() + LOOK;
                if self.held.as_ref().is_some_and(|held| held.bytes() > MOST_BYTES) {
                    return Err(format!(
                        "the local source cache of the repository would take more than {}",
                        crate::text::bytes(MOST_BYTES)
                    ));
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("commit", commit) => {
                let notes = std::mem::take(&mut self.notes);
                self.answer = Some(Answer::Fetched { commit: commit.to_owned(), notes });
            }
            ("failed", what) => self.answer = Some(Answer::Failed { what: what.to_owned(), said: String::new() }),
            // Others may have it now.
            ("copied", _) => self.held = None,
            ("mirror", _) => self.note("The local source cache was damaged and is made anew"),
            ("lfs-missing", _) => {
                self.note("Files of Git LFS are not fetched: git-lfs is not installed where Kiln runs");
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        match &mut self.answer {
            Some(Answer::Fetched { notes, .. }) => notes.push(text.to_owned()),
            _ => self.notes.push(text.to_owned()),
        }
    }

    /// The script has ended.
    fn end(&mut self) -> Result<Answer, String> {
        self.words.take();
        for line in self.results.take() {
            self.line(&line);
        }
        let exit = self.sandbox.wait(Some(Duration::from_secs(5))).map_err(|e| e.to_string())?;
        match self.answer.take() {
            Some(Answer::Failed { what, .. }) => Ok(Answer::Failed { what, said: self.words.text() }),
            Some(answer) if exit == Some(kiln_engine::Exit::Code(0)) => Ok(answer),
            _ if self.sandbox.usage().oom_kills > 0 => {
                Err("git ran out of memory: the build's compute type is the limit".to_owned())
            }
            _ => Err(format!("git ended without an answer ({exit:?}): {}", self.words.text().trim())),
        }
    }
}

/// Reads what is there; true at the end of it.
fn read_some(fd: &OwnedFd, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => return true,
            Ok(n) => bytes.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => return false,
            Err(_) => return true,
        }
        if bytes.len() > 2 * SAID {
            return false;
        }
    }
}

fn nonblocking(fd: OwnedFd) -> Option<OwnedFd> {
    rustix::io::ioctl_fionbio(&fd, true).ok()?;
    Some(fd)
}

/// The script's results.
struct Lines {
    open: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Lines {
    fn new(fd: OwnedFd) -> Self {
        Self { open: nonblocking(fd), bytes: Vec::new() }
    }

    /// Whole lines that have come.
    fn take(&mut self) -> Vec<String> {
        if self.open.as_ref().is_some_and(|fd| read_some(fd, &mut self.bytes)) {
            self.open = None;
        }
        let Some(end) = self.bytes.iter().rposition(|b| *b == b'\n') else {
            // Nobody but the script writes here, and its lines are short.
            self.bytes.truncate(SAID);
            return Vec::new();
        };
        let whole: Vec<u8> = self.bytes.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

/// The end of git's words.
struct Tail {
    open: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Tail {
    fn new(fd: OwnedFd) -> Self {
        Self { open: nonblocking(fd), bytes: Vec::new() }
    }

    fn take(&mut self) {
        if self.open.as_ref().is_some_and(|fd| read_some(fd, &mut self.bytes)) {
            self.open = None;
        }
        let over = self.bytes.len().saturating_sub(SAID);
        self.bytes.drain(..over);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A process that fetches.
#[derive(Debug)]
pub(super) struct Helper {
    child: std::process::Child,
    lifeline: Option<std::process::ChildStdin>,
    output: File,
    answer: Vec<u8>,
}

impl Helper {
    /// Starts it, from the very file that runs now, and tells it what to do.
    pub(super) fn start(request: &Request) -> io::Result<Self> {
        use std::{os::unix::process::CommandExt as _, process::Stdio};
        let mut child = std::process::Command::new("/proc/self/exe")
            .arg0("kiln")
            .arg("fetch")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lifeline = child.stdin.take();
        let output = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        if let Some(lifeline) = &mut lifeline {
            lifeline.write_all(&line)?;
        }
        Ok(Self { child, lifeline, output: File::from(OwnedFd::from(output)), answer: Vec::new() })
    }

    /// Waits for its answer, so long at most. `None`: not yet.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<Option<Answer>> {
        let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let mut buffer = [0; 16 * 1024];
        let read = self.output.read(&mut buffer)?;
        self.answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
        match self.answer.strip_suffix(b"\n") {
            Some(line) => Ok(Some(serde_json::from_slice(line)?)),
            None if read == 0 => Err(io::Error::other("it ended without an answer")),
            None => Ok(None),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of its input: it removes the sandbox and ends.
        self.lifeline = None;
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        // Its sandbox dies with it; what stays is swept.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
