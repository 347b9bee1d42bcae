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
    io::{self, IoSlice, PipeReader, Read as _, Write as _},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType},
    process::Pid,
};

use crate::{
    cgroup::Cgroup,
    error::{Context as _, EngineError},
    ids::{self, IdMap},
    mounts::{self, Mounter},
    network::{self, NetworkConfig},
    prepare::{FirstProcess, Ids, Prepared},
    sandbox::{Parts, Sandbox},
    spec::{Disk, SandboxSpec},
    sys::process::{flag, fork_into},
};

/// Builds are the first to go when the whole machine runs out of memory (security.md 4.3).
const OOM_SCORE: &str = "500";

/// The native launcher.
#[derive(Debug, Clone, Default)]
pub struct NativeEngine {
    /// What the operator says about builds' networks.
    pub network: NetworkConfig,
}

impl NativeEngine {
    /// Starts a sandbox; see [`Engine::start`](crate::Engine::start).
    pub(crate) fn start(&self, spec: SandboxSpec) -> Result<Sandbox, EngineError> {
        // What fails on the way is taken back when this is dropped.
        let mut parts = Parts::default();
        let mut prepared = Prepared::new(&spec, &self.network, None, &mut parts)?;
        let process = FirstProcess::new(spec.process, &prepared.env)?;
        let cgroup = Cgroup::create(&prepared.cgroups, &spec.id, &spec.limits, spec.privileged, &mut prepared.notices)?;
        let start = Start { id: &spec.id, hostname: &spec.hostname, privileged: spec.privileged, disk: &spec.disk };
        parts.cgroup = Some(cgroup);
        start.run(self, prepared, process, parts)
    }
}

/// What stays the same during one start.
struct Start<'a> {
    id: &'a str,
    hostname: &'a str,
    privileged: bool,
    disk: &'a Disk,
}

/// The parent's ends of what connects it to the child.
struct Connection {
    orders: OwnedFd,
    report: PipeReader,
}

impl Start<'_> {
    fn run(
        &self,
        engine: &NativeEngine,
        mut prepared: Prepared,
        process: FirstProcess,
        mut parts: Parts,
    ) -> Result<Sandbox, EngineError> {
        let Connection { orders, mut report } = self.fork(&mut prepared, process, &mut parts)?;
        let Some(init) = &parts.init else { return Err(EngineError::Spec("no process was started".into())) };
        let pid = init.pid;
        let pidfd = init.pidfd.try_clone().context(|| "duplicate a descriptor")?;

        match &prepared.ids {
            Ids::Range(base) => ids::write_maps(pid, &IdMap::all(*base), &IdMap::all(*base))?,
            Ids::Rootless(ids) => ids.write(pid)?,
        }
        // Raising it is always allowed; a kernel that refuses loses an optimisation.
        let _optional = std::fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()), OOM_SCORE);
        let netns = namespace(pid, "net")?;

        let mounts = self.mount(&mut prepared, pid, &mut parts)?;
        if let (true, Ids::Range(base), Some(cgroup)) = (self.privileged, &prepared.ids, &parts.cgroup) {
            cgroup.delegate(*base, *base)?;
        }
        let network = network::attach(&prepared.network, self.id, netns.as_fd(), pid, &engine.network);
        let network = network.map_err(|error| EngineError::Busy(error.to_string()))?;
        prepared.notices.extend(network.notices().iter().cloned());
        parts.network = Some(network);
        send_mounts(&orders, &mounts)?;
        drop(mounts);
        send(&orders, child::MESSAGE_GO, &[])?;

        let mut answer = Vec::new();
        report.read_to_end(&mut answer).context(|| "hear from the sandbox")?;
        if !answer.is_empty() {
            return Err(decode(&answer));
        }
        Ok(Sandbox { parts, pidfd, netns, notices: prepared.notices, env: prepared.env })
    }

    /// Starts the child; it waits for orders.
    fn fork(
        &self,
        prepared: &mut Prepared,
        process: FirstProcess,
        parts: &mut Parts,
    ) -> Result<Connection, EngineError> {
        let (orders, child_orders) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .context(|| "make a socket pair")?;
        let (report, child_report) = io::pipe().context(|| "make a pipe")?;
        // The original must not stay open, or the end of the file never comes.
        let child_report = above(child_report.into(), process.fds.len())?;
        let own_network = prepared.network.own_namespace();
        let mut namespaces = flag::NEWUSER | flag::NEWNS | flag::NEWPID | flag::NEWIPC | flag::NEWUTS;
        if own_network {
            namespaces |= flag::NEWNET;
        }
        let many_ids = match &prepared.ids {
            Ids::Range(_) => true,
            Ids::Rootless(ids) => ids.many(),
        };
        let kernel = rootfs::Kernel {
            privileged: self.privileged,
            own_network,
            tty_group: many_ids,
            cgroups: prepared.cgroups.view(self.privileged),
        };
        let rootless_disk = match prepared.ids {
            Ids::Range(_) => None,
            Ids::Rootless(_) => {
                let disk = prepared.open_disk(self.disk)?;
                Some(parts.disk.insert(disk).root.clone())
            }
        };
        let Some(cgroup) = &mut parts.cgroup else { return Err(EngineError::Spec("there are no cgroups".into())) };
        let FirstProcess { fds, argv, env, cwd } = process;
        let mut fds = Some(fds);
        let mut parent = Some(Connection { orders, report });
        let mut child_side = Some((child_orders, child_report));
        // Twice, if this user may not start processes in the v2 cgroup.
        loop {
            let v2 = cgroup.v2().map(|fd| fd.try_clone_to_owned()).transpose().context(|| "duplicate a descriptor")?;
            let started = fork_into(namespaces, v2.as_ref().map(|fd| fd.as_fd()), || {
                // Else the parent's death could not be seen.
                drop(parent.take());
                let (Some((orders, report)), Some(fds)) = (child_side.take(), fds.take()) else { return 70 };
                let plan = child::Plan {
                    cgroup,
                    layout: &prepared.layout,
                    kernel: kernel.clone(),
                    hostname: self.hostname,
                    argv: &argv,
                    env: &env,
                    cwd: &cwd,
                    fds,
                    filter: crate::seccomp::filter(self.privileged),
                    network: &prepared.network,
                    rootless_disk: rootless_disk.clone(),
                    set_groups: many_ids,
                };
                let error = child::run(plan, orders);
                let _parent_is_dead = std::fs::File::from(report).write_all(&encode(&error));
                71
            });
            match started {
                Ok(child) => {
                    parts.init = Some(child);
                    return parent.ok_or_else(|| EngineError::Spec("the parent lost its side".into()));
                }
                Err(error)
                    if rootless_disk.is_some()
                        && v2.is_some()
                        && matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EBUSY)) =>
                {
                    cgroup.without_v2();
                    prepared.notices.push(
                        "limits not enforced: this session may not start processes in the user's cgroups (try \
                         `systemd-run --user --scope kiln run`)"
                            .into(),
                    );
                }
                Err(error) => return Err(error).context(|| "start a process in new namespaces"),
            }
        }
    }

    /// Everything that the child needs to be given: as root the disk, layers and volumes; else only what it cannot do.
    fn mount(&self, prepared: &mut Prepared, pid: Pid, parts: &mut Parts) -> Result<Vec<OwnedFd>, EngineError> {
        let mut mounts = Vec::new();
        if let Ids::Range(base) = prepared.ids {
            let disk = prepared.open_disk(self.disk)?;
            let disk = &*parts.disk.insert(disk);
            let mut mounter = Mounter::root(namespace(pid, "user")?, base, &disk.root, self.disk.dir.join("lower"));
            mounts.push(mounter.mount(&prepared.layout.root)?);
            let store = prepared.open_store().map(|store| parts.store.insert(store).directory());
            mounts.extend(mounter.points(&prepared.layout, store.as_deref())?);
            prepared.notices.extend(mounter.finish()?);
            if !prepared.network.own_namespace() {
                mounts.push(mounts::host_sys()?);
            }
        }
        Ok(mounts)
    }
}

/// Opens a namespace of a process.
fn namespace(pid: Pid, kind: &str) -> Result<OwnedFd, EngineError> {
    let path = format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero());
    std::fs::File::open(&path).map(OwnedFd::from).context(|| format!("open {path}"))
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
