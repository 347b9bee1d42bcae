//! What a caller asks an engine for.

use std::{
    ffi::{CString, OsString},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use crate::error::EngineError;

/// Everything that an engine needs to start one sandbox. The engine takes the descriptors and leaves nothing of the
/// caller's environment, directories or other descriptors visible inside.
#[derive(Debug)]
pub struct SandboxSpec {
    /// Names the sandbox's cgroups, interfaces and directories: 1 to 64 of `[a-z0-9-]`. The build's uuid.
    pub id: String,
    /// The lower layers of the root file system.
    pub root: RootFs,
    /// Where everything that the sandbox writes is kept.
    pub disk: Disk,
    /// What a container engine inside finds of earlier sandboxes, and leaves for later ones: its `/var/lib/docker`. Its size
    /// limit is its own. Only a privileged one of image layers has it, and one at a time: a notice says why another does not.
    pub container_store: Option<Disk>,
    /// Directories of the host that appear inside.
    pub volumes: Vec<Volume>,
    /// The first process, PID 1.
    pub process: Process,
    /// Resource limits.
    pub limits: Limits,
    /// Network mode (DESIGN decision 8).
    pub network: NetworkMode,
    /// Every capability that the host can give, inside the user namespace (DESIGN decision 4).
    pub privileged: bool,
    /// Host name inside.
    pub hostname: String,
}

impl SandboxSpec {
    /// Refuses what contradicts the contract above.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let refuse = |why: String| Err(EngineError::Spec(why));
        let id_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(id_byte) {
            return refuse(format!("the id {:?} is not 1 to 64 of a-z, 0-9 and -", self.id));
        }
        let host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if self.hostname.is_empty() || self.hostname.len() > 64 || !self.hostname.bytes().all(host_byte) {
            return refuse(format!("{:?} cannot be a host name", self.hostname));
        }
        let plain = |path: &Path| {
            path.is_absolute()
                && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
        };
        if self.process.argv.first().is_none_or(|program| program.as_bytes().first() != Some(&b'/')) {
            return refuse("the program's path is not absolute".into());
        }
        if !plain(&self.process.cwd) {
            return refuse(format!("the directory {} is not absolute", self.process.cwd.display()));
        }
        let disks = std::iter::once(&self.disk).chain(&self.container_store);
        let mut dirs = disks.flat_map(|disk| [&disk.dir, &disk.templates]);
        if let Some(dir) = dirs.find(|dir| !dir.is_absolute()) {
            return refuse(format!("the directory {} is not absolute", dir.display()));
        }
        for volume in &self.volumes {
            if !volume.source.is_absolute() || !plain(&volume.target) || volume.target == Path::new("/") {
                return refuse(format!("{} cannot be mounted on {}", volume.source.display(), volume.target.display()));
            }
            if ["/proc", "/sys", "/dev"].iter().any(|kernels| volume.target.starts_with(kernels)) {
                return refuse(format!("{} is the kernel's", volume.target.display()));
            }
        }
        Ok(())
    }
}

/// Lower layers of the root file system.
#[derive(Debug, Clone)]
pub enum RootFs {
    /// The machine's own tools (DESIGN decision 5).
    Host,
    /// Unpacked image layers, bottom first, as `kiln_engine::image` keeps them.
    Layers(Vec<PathBuf>),
}

/// The build disk: a sparse ext4 image when the engine can mount one, else a plain directory (then not limited).
#[derive(Debug, Clone)]
pub struct Disk {
    /// Directory that belongs to this sandbox alone. The engine keeps the disk (image file or directory) and its own
    /// state there. A directory that already holds a disk is used as it is: that is how a kept file system is opened
    /// again by `kiln debug` and `--resume`.
    pub dir: PathBuf,
    /// Directory for templates that builds share; `<data>/images/disks`.
    pub templates: PathBuf,
    /// Size limit in bytes.
    pub bytes: u64,
}

/// A directory of the host that appears inside the sandbox.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Absolute path on the host; a directory, or a regular file when `access` is [`Access::ReadOnly`]. Of no account when it
    /// is [`Access::Scratch`].
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: PathBuf,
    /// What the sandbox may do with it. In each case the owner of `source` shows as root inside.
    pub access: Access,
}

/// What a sandbox may do with a [`Volume`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads the host's files, writes go to the build disk; the host's directory stays as it is.
    CopyOnWrite,
    /// Only reads.
    ReadOnly,
    /// Writes to the host's directory (`--in-place`).
    ReadWrite,
    /// A directory of the build disk, empty at first, and not the host's: [`Sandbox::scratch`](crate::Sandbox::scratch) says
    /// where it is, so that it can be filled while the sandbox runs.
    Scratch,
}

/// The process that a sandbox starts as PID 1.
#[derive(Debug)]
pub struct Process {
    /// Absolute path inside the sandbox, then arguments.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=VALUE`.
    pub env: Vec<CString>,
    /// Working directory inside.
    pub cwd: PathBuf,
    /// Standard input, output and error; `/dev/null` where absent.
    pub stdio: [Option<OwnedFd>; 3],
    /// Further descriptors; they appear as 3, 4, … in this order.
    pub fds: Vec<OwnedFd>,
}

/// Limits of a sandbox. `None` means no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// vCPUs: becomes a weight, never a reservation (DESIGN decision 15).
    pub vcpus: Option<u32>,
    /// Memory and swap together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Network mode (DESIGN decision 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkMode {
    /// The internet; nothing of the host or its neighbours.
    Private,
    /// The host's network.
    Host,
    /// Only the sandbox's own loopback.
    None,
}

/// Resource use of a sandbox, read from its cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, nanoseconds.
    pub cpu_ns: u64,
    /// Memory in use now, bytes (page cache included).
    pub memory_bytes: u64,
    /// Highest memory use so far, bytes, exact (kept by the kernel).
    pub memory_peak_bytes: u64,
    /// Processes and threads now.
    pub pids: u64,
    /// Bytes read from disks.
    pub read_bytes: u64,
    /// Bytes written to disks.
    pub written_bytes: u64,
    /// Processes that the kernel killed because the memory limit was reached.
    pub oom_kills: u64,
    /// How often the process limit refused a fork.
    pub pids_refused: u64,
}

/// How PID 1 ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// What a sandbox does not enforce on this machine, each as one sentence for the person who reads the log, e.g.
/// "disk limit not enforced: loop devices need root".
pub type Notices = Vec<String>;

/// An extra environment variable that a sandbox's tools need (image `host`: PATH entries below the user's home).
pub type EnvPair = (OsString, OsString);
