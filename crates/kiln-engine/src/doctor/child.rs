//! Processes that try something and are thrown away.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    process::{Pid, Signal},
};

use crate::{
    ids::{IdMap, reap},
    network::poll,
    sys::process::{fork_into, unshare},
};

/// How long a try may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bound on what a try may say.
const ANSWER_BYTES: u64 = 4096;

/// A user namespace for a try, if it gets one: who is root in it.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    /// The try stays what the caller is.
    Own,
    /// Ids 0 to 65,535 as the host's from this one on.
    Range(u32),
    /// The caller alone.
    Single,
}

/// Runs `work` in a process of its own, in new `namespaces` (`sys::process::flag`). What it makes of namespaces, mounts
/// and interfaces goes with it. The error is a sentence.
pub(super) fn in_child(
    namespaces: u64,
    ids: &Ids,
    work: impl FnOnce() -> Result<String, String>,
) -> Result<String, String> {
    let pipes = std::io::pipe().and_then(|go| std::io::pipe().map(|answer| (go, answer)));
    let ((go_read, go_write), (answer_read, answer_write)) = pipes.map_err(|error| format!("no pipe: {error}"))?;
    let mut parents = Some((go_write, answer_read));
    let mut childs = Some((go_read, answer_write));
    let child = fork_into(namespaces, None, || {
        drop(parents.take());
        let Some((mut go, mut answer)) = childs.take() else { return 70 };
        // The parent maps ids first; if it could not, it closes its end without a word.
        if go.read_exact(&mut [0]).is_err() {
            return 70;
        }
        let result = enter(ids).and_then(|()| work());
        let (mark, text) = match result {
            Ok(text) => ('+', text),
            Err(text) => ('-', text),
        };
        i32::from(answer.write_all(format!("{mark}{text}").as_bytes()).is_err())
    })
    .map_err(|error| format!("a process could not be started in namespaces of its own: {error}"))?;
    drop(childs);
    let Some((mut go, answer)) = parents else { return Err("the process lost its pipes".to_owned()) };
    let mapped = map(child.pid, ids).and_then(|()| go.write_all(b"g").map_err(|error| error.to_string()));
    drop(go);
    let mut said = Vec::new();
    if mapped.is_ok() {
        let mut fds = [PollFd::from_borrowed_fd(child.pidfd.as_fd(), PollFlags::IN)];
        let ended = poll(&mut fds, Some(Instant::now() + PATIENCE)).is_ok() && !fds[0].revents().is_empty();
        if !ended {
            // It may have ended just now.
            rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL).ok();
            said.extend_from_slice(b"-it did not end in time");
        }
    }
    reap(&child.pidfd).map_err(|error| error.to_string())?;
    mapped?;
    if said.is_empty() {
        // Children of the try may live a little longer and hold the pipe: what is there now is all of it.
        rustix::io::ioctl_fionbio(&answer, true).map_err(|error| error.to_string())?;
        answer.take(ANSWER_BYTES).read_to_end(&mut said).ok();
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    match (said.strip_prefix('+'), said.strip_prefix('-')) {
        (Some(text), _) => Ok(text.to_owned()),
        (_, Some(text)) => Err(text.to_owned()),
        _ => Err("the process that tried it ended without an answer".to_owned()),
    }
}

/// Has a process in new `namespaces` that waits while `work` does something to it.
pub(super) fn waiting_child<T>(
    namespaces: u64,
    ids: &Ids,
    work: impl FnOnce(Pid) -> Result<T, String>,
) -> Result<T, String> {
    let (wait, hold) = std::io::pipe().map_err(|error| format!("no pipe: {error}"))?;
    let (mut wait, mut hold) = (Some(wait), Some(hold));
    let child = fork_into(namespaces, None, || {
        drop(hold.take());
        // Ends with the parent's end of the pipe.
        wait.take().map_or(70, |mut wait| i32::from(wait.read(&mut [0]).is_err()))
    })
    .map_err(|error| format!("a process could not be started in namespaces of its own: {error}"))?;
    drop(wait);
    let result = map(child.pid, ids).and_then(|()| work(child.pid));
    drop(hold);
    reap(&child.pidfd).map_err(|error| error.to_string())?;
    result
}

fn map(pid: Pid, ids: &Ids) -> Result<(), String> {
    let (uids, gids) = match ids {
        Ids::Own => return Ok(()),
        Ids::Range(base) => (IdMap::all(*base), IdMap::all(*base)),
        Ids::Single => {
            write(pid, "setgroups", "deny")?;
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            (IdMap::single(0, uid), IdMap::single(0, gid))
        }
    };
    write(pid, "uid_map", &uids.to_proc())?;
    write(pid, "gid_map", &gids.to_proc())
}

fn write(pid: Pid, file: &str, text: &str) -> Result<(), String> {
    let path = format!("/proc/{}/{file}", pid.as_raw_nonzero());
    fs::write(&path, text).map_err(|error| format!("the ids of a user namespace could not be mapped ({path}): {error}"))
}

fn enter(ids: &Ids) -> Result<(), String> {
    match ids {
        Ids::Own => Ok(()),
        Ids::Range(_) | Ids::Single => {
            let set_groups = matches!(ids, Ids::Range(_));
            crate::native::credentials::become_root(set_groups).map_err(|error| error.to_string())
        }
    }
}

/// Gives the calling try namespaces of its own, as [`in_child`] does at its start.
pub(super) fn further(namespaces: u64) -> Result<(), String> {
    unshare(namespaces).map_err(|error| format!("namespaces of its own were refused: {error}"))
}
