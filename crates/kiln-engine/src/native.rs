//! The native launcher: namespaces, mounts and limits made by this process itself (DESIGN decision 4).
//!
//! The order of a start, and what overlaps with what (spikes.md 1.2, 1.3, 1.5):
//!
//! ```text
//! parent                                   child
//! cgroups, limits
//! clone3 into namespaces and v2 cgroup ──▶ joins the v1 cgroups (waits for an RCU grace period)
//! id maps                                  ·
//! build disk: clone image, mount           ·
//! id-mapped layers, overlays, binds        ·
//! network                                  ·
//! descriptors of all mounts ─────────────▶ cgroup namespace, root of its user namespace,
//!                                          mounts, pivot_root, filter, capabilities,
//! waits ◀───── error, or end of file ───── execve
//! ```

mod child;
pub(crate) mod credentials;
pub(crate) mod rootfs;

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};

use crate::{
    cgroup::{self, Cgroup},
    disk::{self, OpenDisk},
    error::{Context as _, EngineError},
    host_image::HostImage,
    ids::{self, IdMap, IdRange},
    layout::Layout,
    mounts::{self, Mounter},
    registry::{Record, Registry},
    sandbox::{Parts, Sandbox},
    spec::{EnvPair, NetworkMode, Process, RootFs, SandboxSpec},
    sys::process::{flag, fork_into},
};

/// Builds are the first to go when the whole machine runs out of memory (security.md 4.3).
const OOM_SCORE: &str = "500";

/// The native launcher.
#[derive(Debug, Clone, Default)]
pub struct NativeEngine {
    _private: (),
}

impl NativeEngine {
    /// Starts a sandbox; see [`Engine::start`](crate::Engine::start).
    pub(crate) fn start(&self, spec: SandboxSpec) -> Result<Sandbox, EngineError> {
        let mut parts = Parts::default();
        match start(spec, &mut parts) {
            Ok(started) => {
                let Started { pidfd, netns, notices, env } = started;
                Ok(Sandbox { parts, pidfd, netns, notices, env })
            }
            Err(error) => {
                parts.abandon();
                Err(error)
            }
        }
    }
}

/// What [`start`] makes besides [`Parts`].
struct Started {
    pidfd: OwnedFd,
    netns: OwnedFd,
    notices: Vec<String>,
    env: Vec<EnvPair>,
}

fn start(spec: SandboxSpec, parts: &mut Parts) -> Result<Started, EngineError> {
    spec.check()?;
    let root = rustix::process::geteuid().is_root();
    let mut notices = Vec::new();
    if root {
        mounts::enter_private_namespace()?;
    }
    let registry = Registry::create()?;
    let host_cgroups = cgroup::Host::detect()?;
    let record = Record {
        version: 1,
        id: spec.id.clone(),
        owner_pid: rustix::process::getpid().as_raw_nonzero().get(),
        disk: spec.disk.dir.clone(),
        cgroups: host_cgroups.paths(&spec.id),
        runtime: None,
    };
    parts.entry = Some(registry.enter(&record)?);
    let existing = disk::state(&spec.disk.dir)?;
    let range = match &existing {
        Some(state) => IdRange::at(&registry.ids(), state.base)?,
        None => IdRange::any(&registry.ids(), &spec.id)?,
    };
    let base = range.base;
    parts.range = Some(range);
    let host_image = match spec.root {
        RootFs::Host => Some(HostImage::look(&spec.disk.templates)?),
        RootFs::Layers(_) => None,
    };
    let layout = Layout::plan(&spec, host_image.as_ref(), resolv_conf(spec.network))?;
    let cgroup = &*parts.cgroup.insert(Cgroup::create(&host_cgroups, &spec.id, &spec.limits, &mut notices)?);

    let own_network = spec.network != NetworkMode::Host;
    let kernel = rootfs::Kernel {
        privileged: spec.privileged,
        own_network,
        tty_group: true,
        cgroups: rootfs::CgroupMounts::None,
    };
    let env = host_image.as_ref().map(|image| image.env.clone()).unwrap_or_default();
    let (fds, argv, environment, cwd) = process(spec.process, &env)?;
    let (orders, child_orders) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .context(|| "make a socket pair")?;
    let (report, child_report) = io::pipe().context(|| "make a pipe")?;
    // The original must not stay open, or the end of the file never comes.
    let child_report = above(child_report.into(), fds.len())?;

    let mut namespaces = flag::NEWUSER | flag::NEWNS | flag::NEWPID | flag::NEWIPC | flag::NEWUTS;
    if own_network {
        namespaces |= flag::NEWNET;
    }
    let plan = child::Plan {
        cgroup,
        layout: &layout,
        kernel,
        hostname: &spec.hostname,
        argv: &argv,
        env: &environment,
        cwd: &cwd,
        fds,
        filter: crate::seccomp::filter(spec.privileged),
        rootless_disk: None,
        set_groups: true,
    };
    // In the child these must go to the closure; in the parent they are dropped after it.
    let mut child_side =
        Some((plan, child_orders, child_report, orders.try_clone().context(|| "duplicate a descriptor")?));
    let mut parent_side = Some((orders, report));
    let child = fork_into(namespaces, cgroup.v2(), || {
        drop(parent_side.take());
        let Some((plan, orders, report, parents)) = child_side.take() else { return 70 };
        // Else the parent's death could not be seen.
        drop(parents);
        let error = child::run(plan, orders);
        let _parent_is_dead = std::fs::File::from(report).write_all(&encode(&error));
        71
    })
    .context(|| "start a process in new namespaces")?;
    drop(child_side);
    let Some((orders, mut report)) = parent_side else {
        return Err(EngineError::Spec("the parent lost its side".into()));
    };
    let pidfd = child.pidfd.try_clone().context(|| "duplicate a descriptor")?;
    let pid = child.pid;
    parts.init = Some(child);

    ids::write_maps(pid, &IdMap::all(base), &IdMap::all(base))?;
    // Raising it is always allowed; a kernel that refuses loses an optimisation.
    let _optional = std::fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()), OOM_SCORE);
    let namespace = |name: &str| {
        let path = format!("/proc/{}/ns/{name}", pid.as_raw_nonzero());
        std::fs::File::open(&path).map(OwnedFd::from).context(|| format!("open {path}"))
    };
    let netns = namespace("net")?;

    let disk = OpenDisk::open(&spec.disk, base, true, &mut notices)?;
    let disk = &*parts.disk.insert(disk);
    let mut mounter = Mounter::root(namespace("user")?, base, &disk.root, spec.disk.dir.join("lower"));
    let mut mounted = vec![mounter.mount(&layout.root)?];
    for point in &layout.mounts {
        mounted.push(mounter.mount(&point.source)?);
    }
    if !own_network {
        mounted.push(mounts::host_sys()?);
    }
    notices.extend(mounter.finish()?);
    if spec.privileged {
        parts.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.delegate(base, base))?;
    }
    send_mounts(&orders, &mounted)?;
    drop(mounted);
    send(&orders, child::MESSAGE_GO, &[])?;

    let mut answer = Vec::new();
    report.read_to_end(&mut answer).context(|| "hear from the sandbox")?;
    if !answer.is_empty() {
        return Err(decode(&answer));
    }
    if let Some(image) = host_image {
        notices.extend(image.notices);
    }
    Ok(Started { pidfd, netns, notices, env })
}

/// What `/etc/resolv.conf` says.
fn resolv_conf(network: NetworkMode) -> String {
    match network {
        NetworkMode::Host => std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        NetworkMode::Private | NetworkMode::None => String::new(),
    }
}

type ProcessParts = (Vec<OwnedFd>, Vec<std::ffi::CString>, Vec<std::ffi::CString>, std::path::PathBuf);

/// Descriptors in the order of their numbers, arguments, the environment with the image's additions, directory.
fn process(process: Process, extra: &[EnvPair]) -> Result<ProcessParts, EngineError> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut fds = Vec::new();
    for stream in process.stdio {
        fds.push(match stream {
            Some(fd) => fd,
            None => {
                std::fs::File::options().read(true).write(true).open("/dev/null").context(|| "open /dev/null")?.into()
            }
        });
    }
    fds.extend(process.fds);
    let mut env = process.env;
    for (name, value) in extra {
        let prefix = [name.as_bytes(), b"="].concat();
        if !env.iter().any(|pair| pair.as_bytes().starts_with(&prefix)) {
            let pair = std::ffi::CString::new([prefix.as_slice(), value.as_bytes()].concat());
            env.push(pair.map_err(|_| EngineError::Spec("an environment variable contains a zero byte".into()))?);
        }
    }
    Ok((fds, process.argv, env, process.cwd))
}

/// Moves `fd` above the first `count` numbers.
fn above(fd: OwnedFd, count: usize) -> Result<OwnedFd, EngineError> {
    let count = i32::try_from(count).map_err(|_| EngineError::Spec("too many descriptors".into()))?;
    rustix::io::fcntl_dupfd_cloexec(fd, count).context(|| "duplicate a descriptor")
}

fn send_mounts(orders: &OwnedFd, mounts: &[OwnedFd]) -> Result<(), EngineError> {
    for chunk in mounts.chunks(child::MOUNTS_PER_MESSAGE) {
        let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(|fd| fd.as_fd()).collect();
        send(orders, child::MESSAGE_MOUNTS, &fds)?;
    }
    Ok(())
}

fn send(orders: &OwnedFd, message: u8, fds: &[BorrowedFd<'_>]) -> Result<(), EngineError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(child::MOUNTS_PER_MESSAGE))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(EngineError::Spec("too many mounts".into()));
    }
    let sent = rustix::net::sendmsg(orders, &[IoSlice::new(&[message])], &mut ancillary, SendFlags::NOSIGNAL);
    match sent {
        // The child is dead; it said why.
        Ok(_) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
        Err(error) => Err(error).context(|| "speak to the sandbox"),
    }
}

/// An error as bytes: kind, error number, text.
fn encode(error: &EngineError) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt as _;
    let (kind, source, text) = match error {
        EngineError::Spec(text) => (b's', None, text.as_bytes().to_vec()),
        EngineError::Image(text) => (b'i', None, text.as_bytes().to_vec()),
        EngineError::Busy(text) => (b'b', None, text.as_bytes().to_vec()),
        EngineError::Exec { path, source } => (b'e', Some(source), path.as_os_str().as_bytes().to_vec()),
        EngineError::Host { what, source } => (b'h', Some(source), what.as_bytes().to_vec()),
    };
    let number = source.and_then(io::Error::raw_os_error).unwrap_or(0);
    [[kind].as_slice(), &number.to_le_bytes(), &text].concat()
}

fn decode(bytes: &[u8]) -> EngineError {
    let damaged = || EngineError::Busy("the sandbox ended while it was started".into());
    let Some((kind, rest)) = bytes.split_first() else { return damaged() };
    let Some((number, text)) = rest.split_first_chunk::<4>() else { return damaged() };
    let source = io::Error::from_raw_os_error(i32::from_le_bytes(*number));
    let text = String::from_utf8_lossy(text).into_owned();
    match kind {
        b's' => EngineError::Spec(text),
        b'i' => EngineError::Image(text),
        b'b' => EngineError::Busy(text),
        b'e' => EngineError::Exec { path: text.into(), source },
        b'h' => EngineError::Host { what: text, source },
        _ => damaged(),
    }
}
