//! Processes: start, confine, replace.

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::check;

/// `clone3` flags (`linux/sched.h`); the C library's headers type some of them too narrow.
pub(crate) mod flag {
    pub(crate) const PIDFD: u64 = 0x1000;
    pub(crate) const NEWNS: u64 = 0x0002_0000;
    pub(crate) const NEWCGROUP: u64 = 0x0200_0000;
    pub(crate) const NEWUTS: u64 = 0x0400_0000;
    pub(crate) const NEWIPC: u64 = 0x0800_0000;
    pub(crate) const NEWUSER: u64 = 0x1000_0000;
    pub(crate) const NEWPID: u64 = 0x2000_0000;
    pub(crate) const NEWNET: u64 = 0x4000_0000;
    pub(crate) const INTO_CGROUP: u64 = 0x2_0000_0000;
}

/// `struct clone_args`, version 2 (Linux 5.7).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// A process that [`fork_into`] started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: rustix::process::Pid,
    pub(crate) pidfd: OwnedFd,
}

/// Starts a process with `clone3` and runs `main` in it; the process ends with the status that `main` returns, and
/// with 70 if it panics. `namespaces` are [`flag`] values; `cgroup` is a v2 cgroup's directory, in which the process is
/// born (moving it there later waits for an RCU grace period, 5 to 14 ms).
///
/// # Errors
/// `EDEADLK` when this process has more than one thread: the child would inherit locks, the allocator's among them,
/// that no thread of its own will ever release. Otherwise the kernel's answer to `clone3`.
pub(crate) fn fork_into(
    namespaces: u64,
    cgroup: Option<BorrowedFd<'_>>,
    main: impl FnOnce() -> i32,
) -> io::Result<Child> {
    if thread_count()? != 1 {
        return Err(io::Error::from_raw_os_error(libc::EDEADLK));
    }
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: namespaces | flag::PIDFD,
        pidfd: ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= flag::INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid clone_args of the stated size. Neither CLONE_VM nor a stack is asked for, so the child
    // continues here on a private copy of this process's memory, as after fork(); and this process has one thread, so no
    // lock is held by a thread that the child lacks.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, ptr::from_mut(&mut args), size_of::<CloneArgs>()) })?;
    if pid == 0 {
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(main)).unwrap_or(70);
        // SAFETY: `_exit` ends the process; destructors and exit handlers belong to the parent.
        unsafe { libc::_exit(status) };
    }
    // SAFETY: CLONE_PIDFD made the kernel store a new descriptor, which nothing else owns, in `pidfd`.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    Ok(Child { pid: pid.ok_or_else(|| io::Error::other("clone3 answered with an impossible pid"))?, pidfd })
}

/// Threads of this process.
fn thread_count() -> io::Result<u64> {
    // A directory has 2 links plus one for each directory in it; /proc/self/task has one for each thread.
    let stat = rustix::fs::stat("/proc/self/task")?;
    #[allow(clippy::useless_conversion, reason = "st_nlink is 32 bits wide on some architectures")]
    Ok(u64::from(stat.st_nlink).saturating_sub(2))
}

/// Moves this process into new namespaces of the given kinds ([`flag`] values).
pub(crate) fn unshare(namespaces: u64) -> io::Result<()> {
    // SAFETY: no flag value above is CLONE_FILES or CLONE_FS, so no memory or descriptor table changes.
    check(unsafe { libc::syscall(libc::SYS_unshare, namespaces) }).map(drop)
}

/// Sets close-on-exec on every descriptor from `first` up.
fn cloexec_from(first: RawFd) -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    let first = first.max(0) as libc::c_uint;
    // SAFETY: close_range with CLOEXEC closes nothing now; it marks descriptors for the coming exec.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// Sees to it that programs which this process starts get none of the descriptors that are open now, standard input,
/// output and error aside: those that it inherited itself would live on in programs that outlive it.
///
/// # Errors
/// When the kernel knows no `close_range` with close-on-exec (before 5.11).
pub fn pass_on_no_descriptors() -> io::Result<()> {
    cloexec_from(3)
}

/// Makes `fd` also number `number` of this process, without close-on-exec. Whatever had that number is closed: call this
/// only in a process that is about to exec and that no longer uses the low numbers.
fn place(fd: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2 only changes the descriptor table. Callers are children between clone3 and exec, in which every
    // descriptor still in use was first moved above the numbers that are placed.
    check(libc::c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), number) })).map(drop)
}

/// Gives each descriptor its number, 0, 1, 2 and so on; all others close when the next program starts. Only for a
/// process that is about to do that.
pub(crate) fn place_all(fds: Vec<OwnedFd>) -> io::Result<()> {
    let Ok(count) = RawFd::try_from(fds.len()) else { return Err(io::Error::from_raw_os_error(libc::EMFILE)) };
    // First all of them out of the way.
    let mut high = Vec::new();
    for fd in fds {
        high.push(rustix::io::fcntl_dupfd_cloexec(&fd, count)?);
    }
    cloexec_from(0)?;
    for (number, fd) in (0..count).zip(&high) {
        place(fd.as_fd(), number)?;
    }
    Ok(())
}

/// Runs `task` with the file system ids of another user and group: what it creates belongs to them, and it may touch
/// only what they may.
pub(crate) fn with_file_ids<T>(id: u32, task: impl FnOnce() -> T) -> T {
    // SAFETY: these change two numbers of this process's credentials.
    let (uid, gid) = unsafe { (libc::setfsuid(id), libc::setfsgid(id)) };
    let result = task();
    // SAFETY: as above; the answers were the ids before.
    unsafe {
        libc::setfsgid(gid.cast_unsigned());
        libc::setfsuid(uid.cast_unsigned());
    }
    result
}

/// Gives every signal its default action and unblocks all: what the calling program ignores or blocks (Rust programs
/// ignore SIGPIPE) must not reach the sandbox.
pub(crate) fn reset_signals() {
    // `struct sigaction` as the kernel has it: handler, flags, restorer, mask; all zeroes are SIG_DFL. The C library's
    // functions refuse the numbers 32 and 33, which it uses itself.
    let default = [0_u64; 4];
    let no_old: *const u64 = ptr::null();
    // SAFETY: the kernel reads one struct, which needs no handler; numbers that may not be changed (SIGKILL, SIGSTOP)
    // are refused without effect. The mask is initialised before it is read.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), no_old, size_of::<u64>());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Gives this process a session keyring of its own, so that it does not possess its starter's keys.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    let no_name: *const libc::c_char = ptr::null();
    // SAFETY: a null name asks for a new anonymous keyring; nothing is read or written through the pointer.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, no_name) }).map(drop)
}

/// Loads a seccomp filter: an array of `struct sock_filter` in this machine's byte order.
///
/// # Errors
/// `EINVAL` for a filter that is not a whole number of instructions, is empty or too long.
pub(crate) fn load_seccomp(filter: &[u8]) -> io::Result<()> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    let (instructions, rest) = filter.as_chunks::<8>();
    let Ok(len) = u16::try_from(instructions.len()) else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
    if len == 0 || !rest.is_empty() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut program: Vec<libc::sock_filter> = instructions
        .iter()
        .map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| libc::sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        })
        .collect();
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: `program` points to `len` instructions that live until the call returns; the kernel copies them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// Replaces this process by the program at `path`. Returns only when that fails, with the reason.
pub(crate) fn execve(path: &CString, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Brings the loopback interface of this process's network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: an all-zero ifreq is a valid value of that plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: `request` is an initialised ifreq with a terminated name, as SIOCSIFFLAGS reads.
    check(libc::c_long::from(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }))
        .map(drop)
}
