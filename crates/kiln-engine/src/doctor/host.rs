//! The kernel, its control groups and the clock.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::fd::AsFd as _,
    time::{Duration, Instant, SystemTime},
};

use rustix::event::{PollFd, PollFlags};

use super::{Check, Status};
use crate::{
    cgroup::{Cgroup, Host},
    ids::reap,
    network::poll,
    spec::Limits,
    sys::process::fork_into,
};

/// How long the kernel may take to kill a process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which kernel this is. What it can do is tried by the others.
pub(super) fn kernel() -> Check {
    let uname = rustix::system::uname();
    let (name, release, machine) =
        (uname.sysname().to_string_lossy(), uname.release().to_string_lossy(), uname.machine().to_string_lossy());
    let check = Check::new("kernel", "kernel", Status::Ok, format!("{name} {release} on {machine}"));
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < (5, 19) {
        let check = Check { status: Status::Warning, ..check };
        return check.fix("Linux 5.19 or newer shares image layers between builds; an older one copies them");
    }
    check
}

/// Makes a control group with every limit, starts a process in it and kills it by the group.
pub(super) fn cgroups() -> Check {
    let check = |status, found: String| Check::new("cgroups", "resource limits (control groups)", status, found);
    let id = format!("doctor-{}", std::process::id());
    let limits = Limits { vcpus: Some(1), memory_bytes: Some(256 << 20), pids: Some(64) };
    let mut notices = Vec::new();
    let tried = Host::detect().and_then(|host| {
        let layout = host.describe();
        Cgroup::create(&host, &id, &limits, false, &mut notices).map(|cgroup| (layout, cgroup))
    });
    let (layout, mut cgroup) = match tried {
        Ok(tried) => tried,
        Err(error) => {
            return check(Status::Problem, error.to_string()).fix(
                "mount the cgroup file systems writable for this process (in a container: give it its own cgroup \
                 namespace, or --privileged)",
            );
        }
    };
    let killed = kill_by_group(&cgroup);
    let left = cgroup.remove();
    match (killed, left.first(), notices.is_empty()) {
        (Err(error), ..) => check(Status::Problem, error),
        (_, Some(left), _) => {
            check(Status::Problem, format!("a control group could not be removed: {}", left.display()))
        }
        (.., true) => check(Status::Ok, format!("{layout}: CPU weight, memory and process limits work")),
        (.., false) => check(Status::Warning, format!("{layout}: {}", notices.join("; "))).fix(
            "as root all limits work; for a user's builds let systemd delegate the controllers: `systemctl edit \
             user@.service`, there [Service] Delegate=cpu memory pids io, and log in again",
        ),
    }
}

/// Starts a process in `cgroup` and kills it through the group.
fn kill_by_group(cgroup: &Cgroup) -> Result<(), String> {
    let failed = |error: io::Error| format!("a process could not be tried in a control group: {error}");
    let (mut ready, mut signal) = io::pipe().map_err(failed)?;
    let child = fork_into(0, cgroup.v2(), || {
        if cgroup.join_v1().is_err() || signal.write_all(b"r").is_err() {
            return 70;
        }
        loop {
            rustix::event::pause();
        }
    })
    .map_err(failed)?;
    drop(signal);
    let there = ready.read_exact(&mut [0]);
    cgroup.kill();
    let ended = |patience| {
        let mut fds = [PollFd::from_borrowed_fd(child.pidfd.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(Instant::now() + patience)).is_ok() && !fds[0].revents().is_empty()
    };
    // Nothing to kill it with where no group is this user's.
    let by_group = cgroup.v2().is_none() || ended(PATIENCE);
    // Dead already, mostly.
    rustix::process::pidfd_send_signal(&child.pidfd, rustix::process::Signal::KILL).ok();
    reap(&child.pidfd).map_err(failed)?;
    there.map_err(failed)?;
    if by_group { Ok(()) } else { Err("a process in a control group could not be killed through it".to_owned()) }
}

/// How far the clock may be behind a file that exists: some file systems and other machines set times a little ahead.
const TOLERANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the clock can be right. Certificates, signatures and log times depend on it.
pub(super) fn clock(now: SystemTime) -> Check {
    let check = |status, found: &str| Check::new("clock", "clock", status, found);
    let installed = std::env::current_exe().and_then(fs::metadata).and_then(|metadata| metadata.modified());
    // 2100: whoever reads that has a wrong clock or a very old kiln.
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    let behind = installed.is_ok_and(|installed| now + TOLERANCE < installed);
    if behind || now > far {
        let found =
            if behind { "the clock is behind the time at which kiln was installed" } else { "the clock is far ahead" };
        return check(Status::Warning, found).fix("set the clock, e.g. `timedatectl set-ntp true`");
    }
    check(Status::Ok, "plausible")
}
