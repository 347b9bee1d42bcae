//! The system calls that need `unsafe`, each behind a safe function.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rustix::{
    io::FdFlags,
    process::{Gid, Pid, Uid},
};

static INHERITED: AtomicBool = AtomicBool::new(false);

/// Takes ownership of two descriptors that this process was started with, keeps them from its children, and closes
/// whatever lies above them: what a launcher left open by mistake is not for builds.
///
/// # Errors
/// When one is not open, or when they were taken before.
pub(crate) fn inherited(first: RawFd, second: RawFd) -> io::Result<(OwnedFd, OwnedFd)> {
    if INHERITED.swap(true, Ordering::SeqCst) {
        return Err(io::Error::other("the inherited descriptors were taken before"));
    }
    let take = |fd: RawFd| {
        // SAFETY: fcntl(F_GETFD) only asks whether the number is an open descriptor.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open; it comes from the parent, nothing in this process knows it yet, and the
        // flag above makes sure that it is taken once.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        Ok(fd)
    };
    let taken = (take(first)?, take(second)?);
    let above = first.max(second).saturating_add(1).unsigned_abs();
    // SAFETY: this is the first thing that the process does; it owns no descriptor above those that it just took. A
    // kernel without the call (before 5.9) leaves them open, as it would have without asking.
    unsafe { libc::syscall(libc::SYS_close_range, above, libc::c_uint::MAX, 0) };
    Ok(taken)
}

/// Gives every signal its default action (children inherit that), unblocks all but SIGCHLD, and returns a
/// non-blocking descriptor that becomes readable when a child ended.
///
/// # Errors
/// What `sigprocmask` or `signalfd` answer.
pub(crate) fn watch_children() -> io::Result<OwnedFd> {
    for signal in 1..=64 {
        // Not through libc, which leaves out two signals that it keeps for itself (and that a parent may have
        // ignored). All zero is: default action, no flags, empty mask.
        let action = [0u64; 8];
        // SAFETY: the kernel's `struct sigaction` is at most four words of plain integers, its signal set 8 bytes; KILL
        // and STOP are refused with EINVAL, which is fine.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null_mut::<u64>(), 8usize) };
    }
    // SAFETY: `set` is made valid by sigemptyset before anything reads it; the pointers live for each call.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// User and groups that a command runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// User id.
    pub(crate) uid: Uid,
    /// Primary group.
    pub(crate) gid: Gid,
    /// Supplementary groups.
    pub(crate) groups: Vec<Gid>,
}

/// A process to start.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    /// Absolute path of the program.
    pub(crate) program: &'a Path,
    /// Arguments after the program's name.
    pub(crate) arguments: &'a [&'a Path],
    /// The whole environment.
    pub(crate) environment: &'a [(OsString, OsString)],
    /// Working directory; the first that can be entered.
    pub(crate) directories: Vec<PathBuf>,
    /// Its controlling terminal and standard input; without one its input is empty.
    pub(crate) terminal: Option<OwnedFd>,
    /// Where its standard output goes.
    pub(crate) stdout: OwnedFd,
    /// Where its standard error goes.
    pub(crate) stderr: OwnedFd,
    /// User; root when absent.
    pub(crate) credentials: Option<&'a Credentials>,
}

/// Starts a process in a session of its own (one with a terminal: in the terminal's), with no signal blocked, and no
/// descriptor beside the three.
///
/// # Errors
/// When it cannot be forked or the program cannot be executed.
pub(crate) fn spawn(spawn: Spawn<'_>) -> io::Result<Pid> {
    let mut command = Command::new(spawn.program);
    command.args(spawn.arguments).env_clear().envs(spawn.environment.iter().map(|(name, value)| (name, value)));
    let has_terminal = spawn.terminal.is_some();
    command.stdin(spawn.terminal.map_or_else(Stdio::null, Stdio::from)).stdout(spawn.stdout).stderr(spawn.stderr);
    let credentials = spawn.credentials.cloned();
    let directories = spawn.directories;
    let prepare = move || {
        // A launcher may have given the terminal to this process's session already; then the shell joins that.
        let joined = has_terminal && rustix::termios::tcgetsid(rustix::stdio::stdin()).is_ok();
        if !joined {
            rustix::process::setsid()?;
        }
        if has_terminal && !joined {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        // The directory is entered before the user changes: a source tree below a closed directory still works.
        if !directories.iter().any(|directory| rustix::process::chdir(directory).is_ok()) {
            rustix::process::chdir("/")?;
        }
        if let Some(credentials) = &credentials {
            rustix::thread::set_thread_groups(&credentials.groups)?;
            let gid = Some(credentials.gid);
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            let uid = Some(credentials.uid);
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        }
        // SAFETY: an empty set is valid, and the pointers live for the calls.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            if libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the agent is single-threaded, so that between fork and exec no lock of another thread can be held; the
    // closure makes system calls only.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("process id out of range"))
}

/// A process that ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaped {
    /// Which.
    pub(crate) pid: Pid,
    /// Its wait status, as `wait4` gives it.
    pub(crate) status: WaitStatus,
    /// CPU time of it and of its waited-for children.
    pub(crate) cpu: Duration,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitStatus {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// Takes one ended child, whichever it is.
pub(crate) fn reap() -> Option<Reaped> {
    loop {
        let mut status = 0;
        // SAFETY: rusage is plain integers, for which zero is valid; both pointers live for the call.
        let (pid, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage), usage)
        };
        if pid < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        let pid = if pid > 0 { Pid::from_raw(pid)? } else { return None };
        let status = if libc::WIFEXITED(status) {
            WaitStatus::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            WaitStatus::Signaled(libc::WTERMSIG(status))
        } else {
            continue;
        };
        return Some(Reaped { pid, status, cpu: duration(usage.ru_utime) + duration(usage.ru_stime) });
    }
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

/// Sends a signal to every process of the PID namespace but this one. `None` as the signal only asks whether there is
/// one. False: there is no other process.
pub(crate) fn signal_all(signal: Option<i32>) -> bool {
    if !rustix::process::getpid().is_init() {
        return false; // kill(-1) outside of a namespace of our own would end the whole machine
    }
    // SAFETY: kill has no memory effects.
    let result = unsafe { libc::kill(-1, signal.unwrap_or(0)) };
    result == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Runs `action` with the file system identity (which also decides whose `/proc/PID/fd` may be read) of another user.
pub(crate) fn with_file_system_ids<T>(credentials: &Credentials, action: impl FnOnce() -> T) -> T {
    // SAFETY: these calls change the identity of this thread for file access only, and cannot fail in a way that
    // matters: without the right they leave it as it is.
    unsafe {
        libc::setfsgid(credentials.gid.as_raw());
        libc::setfsuid(credentials.uid.as_raw());
    }
    let result = action();
    // SAFETY: as above; the agent's effective ids are what it had before.
    unsafe {
        libc::setfsuid(libc::geteuid());
        libc::setfsgid(libc::getegid());
    }
    result
}

/// True when the descriptor is a socket.
pub(crate) fn is_socket(fd: &OwnedFd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket && fd.as_raw_fd() > 2
    })
}
