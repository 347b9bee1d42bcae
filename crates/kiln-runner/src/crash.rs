//! Named crash points (`reliability.md`, fault test 2): with `KILN_CRASH_POINT=NAME` in the environment the process is
//! killed (SIGKILL, so that nothing cleans up) when it reaches that point. `NAME:N` means the N-th time. A server and its
//! runners see the same variable: names are unique among all of them.
//!
//! Own code instead of the `fail` crate: killing the process is the only action that the tests need.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// Every name of the runner, in the order in which a build passes them.
pub const POINTS: [&str; 9] = [
    "journal_created",
    "sandbox_started",
    "provisioned",
    "phase_started",
    "command_done",
    "phase_done",
    "finalizing",
    "destroyed",
    "ended",
];

/// Dies here when told to; `name` is one of [`POINTS`].
pub fn point(name: &str) {
    point_of(&POINTS, name);
}

/// Dies here when told to; `name` is one of `points`, the list of the calling crate, through which its tests loop.
pub fn point_of(points: &[&str], name: &str) {
    static WANTED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();
    debug_assert!(points.contains(&name), "crash point '{name}' is not listed");
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("KILN_CRASH_POINT").ok()?;
        let (name, times) = text.split_once(':').map_or((text.as_str(), 1), |(n, t)| (n, t.parse().unwrap_or(1)));
        Some((name.to_owned(), AtomicU32::new(times)))
    });
    if let Some((wanted, times)) = wanted
        && wanted == name
        && times.fetch_sub(1, Ordering::Relaxed) == 1
    {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
    }
}
