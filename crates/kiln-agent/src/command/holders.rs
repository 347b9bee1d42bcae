//! Who still holds a command's output.

use std::{
    fs,
    io::Read,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    time::{Duration, Instant},
};

use kiln_wire::agent::Holder;

use crate::sys::{self, Credentials};

/// Most processes that are named.
const MAX_HOLDERS: usize = 20;
/// Longest command line that is kept, in bytes.
const MAX_COMMAND: u64 = 200;
/// A build may have made very many processes; not more time than this is spent on them.
const BUDGET: Duration = Duration::from_millis(200);

/// The processes that have the pipe open. Those of another user can only be seen as that user.
pub(crate) fn holders(pipe: &OwnedFd, credentials: Option<&Credentials>) -> Vec<Holder> {
    let Ok(stat) = rustix::fs::fstat(pipe) else { return Vec::new() };
    let name = format!("pipe:[{}]", stat.st_ino);
    let mut found = scan(&name);
    if let Some(credentials) = credentials {
        for holder in sys::with_file_system_ids(credentials, || scan(&name)) {
            if !found.iter().any(|known| known.pid == holder.pid) {
                found.push(holder);
            }
        }
        found.truncate(MAX_HOLDERS);
    }
    found
}

fn scan(pipe: &str) -> Vec<Holder> {
    let started = Instant::now();
    let mut found = Vec::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if pid == 1 {
            continue; // this process reads it
        }
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors
            .flatten()
            .take(10_000)
            .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == pipe));
        if holds {
            found.push(Holder { pid, command: command_line(pid) });
        }
        if found.len() >= MAX_HOLDERS || started.elapsed() > BUDGET {
            break;
        }
    }
    found
}

fn command_line(pid: i32) -> String {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let read = |name: &str| {
        let file = fs::File::options().read(true).custom_flags(nonblocking).open(format!("/proc/{pid}/{name}"));
        let mut bytes = Vec::new();
        file.and_then(|file| file.take(MAX_COMMAND).read_to_end(&mut bytes)).map(|_| bytes).unwrap_or_default()
    };
    let mut bytes = read("cmdline");
    if bytes.is_empty() {
        bytes = read("comm");
    }
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    text.trim_end().to_owned()
}
