//! The child's side of a start: from `clone3` to `execve`.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::Mode,
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags},
    process::Signal,
};

use super::{credentials, rootfs};
use crate::{
    cgroup::Cgroup,
    error::{Context as _, EngineError},
    layout::Layout,
    mounts::Mounter,
    network::NetworkPlan,
    sys::process as sys,
};

/// Everything that the child must know; it has a copy of the parent's memory, so nothing of it is sent.
pub(super) struct Plan<'a> {
    pub(super) cgroup: &'a Cgroup,
    pub(super) layout: &'a Layout,
    pub(super) kernel: rootfs::Kernel,
    pub(super) hostname: &'a str,
    pub(super) argv: &'a [CString],
    pub(super) env: &'a [CString],
    pub(super) cwd: &'a Path,
    /// Becomes 0, 1, 2 and so on.
    pub(super) fds: Vec<OwnedFd>,
    pub(super) filter: &'a [u8],
    pub(super) network: &'a NetworkPlan,
    /// Without root the child mounts everything itself: the build disk's root.
    pub(super) rootless_disk: Option<PathBuf>,
    /// The user namespace allows `setgroups`.
    pub(super) set_groups: bool,
}

/// From parent to child: descriptors of mounts follow.
pub(super) const MESSAGE_MOUNTS: u8 = b'm';
/// From parent to child: ids are mapped, every mount was sent, go on.
pub(super) const MESSAGE_GO: u8 = b'g';
/// Descriptors in one message; the kernel allows 253.
pub(super) const MOUNTS_PER_MESSAGE: usize = 64;

/// Runs the child up to `execve`. Answers only if that fails.
pub(super) fn run(plan: Plan<'_>, orders: OwnedFd) -> EngineError {
    match prepare(plan, orders) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn prepare(mut plan: Plan<'_>, orders: OwnedFd) -> Result<std::convert::Infallible, EngineError> {
    die_with_parent()?;
    // The slow part, 5 to 14 ms where there is cgroup v1: it overlaps with the parent's preparation of disk and mounts.
    plan.cgroup.join_v1().context(|| "join the cgroup")?;
    let mut mounts = await_orders(&orders)?;
    // Only now, so that the namespace's root is the sandbox's cgroup.
    sys::unshare(sys::flag::NEWCGROUP).context(|| "make a cgroup namespace")?;
    credentials::become_root(plan.set_groups)?;
    rustix::process::umask(Mode::from(0o022));
    rustix::system::sethostname(plan.hostname.as_bytes()).context(|| "set the host name")?;
    if plan.kernel.own_network {
        sys::loopback_up().context(|| "bring up the loopback interface")?;
    }
    plan.network.confine().map_err(|error| EngineError::Busy(error.to_string()))?;
    if let Some(disk) = &plan.rootless_disk {
        let mut mounter = Mounter::rootless(disk);
        let mut own = vec![mounter.mount(&plan.layout.root)?];
        own.extend(mounter.points(plan.layout, None)?);
        own.append(&mut mounts);
        mounts = own;
    }
    rootfs::enter(plan.layout, &plan.kernel, mounts)?;
    drop(orders);
    enter_directory(plan.cwd)?;

    rustix::process::setsid().context(|| "start a session")?;
    let first = plan.fds.first().filter(|fd| rustix::termios::isatty(fd));
    if let Some(terminal) = first {
        rustix::process::ioctl_tiocsctty(terminal).context(|| "take the terminal")?;
    }
    credentials::limit_resources()?;
    sys::new_session_keyring().or_else(ignore_unsupported).context(|| "make a session keyring")?;
    sys::reset_signals();
    let privileged = plan.kernel.privileged;
    let keep = credentials::capabilities(privileged).difference(plan.network.withheld(privileged));
    credentials::bound(keep)?;
    sys::load_seccomp(plan.filter).context(|| "load the system call filter")?;
    credentials::restrict(keep)?;
    // Changing the ids cleared it.
    die_with_parent()?;
    sys::place_all(std::mem::take(&mut plan.fds)).context(|| "place the descriptors")?;
    let Some(program) = plan.argv.first() else { return Err(EngineError::Spec("no program is named".into())) };
    let source = sys::execve(program, plan.argv, plan.env);
    use std::os::unix::ffi::OsStrExt as _;
    Err(EngineError::Exec { path: Path::new(std::ffi::OsStr::from_bytes(program.as_bytes())).into(), source })
}

/// The sandbox dies with the process that started it. A parent that is dead already is noticed by [`await_orders`].
fn die_with_parent() -> Result<(), EngineError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context(|| "ask to die with the parent")
}

/// A kernel without keyrings has none to leak.
fn ignore_unsupported(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENOSYS) { Ok(()) } else { Err(error) }
}

/// Receives the mounts, until told to go on.
fn await_orders(orders: &OwnedFd) -> Result<Vec<OwnedFd>, EngineError> {
    let mut mounts = Vec::new();
    loop {
        let mut byte = [0_u8; 1];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOUNTS_PER_MESSAGE))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            orders,
            &mut [io::IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        let received = match received {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.context(|| "hear from the parent")?,
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                mounts.extend(fds);
            }
        }
        match (received.bytes, byte) {
            (1, [MESSAGE_MOUNTS]) => {}
            (1, [MESSAGE_GO]) => return Ok(mounts),
            // The parent died or gave up.
            _ => return Err(EngineError::Busy("the start was abandoned".into())),
        }
    }
}

/// Enters the working directory, making it if it is missing, as container engines do.
fn enter_directory(cwd: &Path) -> Result<(), EngineError> {
    if rustix::process::chdir(cwd).is_ok() {
        return Ok(());
    }
    let root = rustix::fs::open("/", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty())
        .context(|| "open the root directory")?;
    let dir = rootfs::directory(root.as_fd(), cwd)?;
    rustix::process::fchdir(dir).context(|| format!("enter {}", cwd.display()))
}
