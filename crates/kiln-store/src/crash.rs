//! Named crash points (`reliability.md`, fault test 2): with `KILN_CRASH_POINT=NAME` in the environment the process is
//! killed (SIGKILL, so that nothing cleans up) when it reaches that point. `NAME:N` means the N-th time.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// Every name of this crate.
pub const POINTS: [&str; 14] = [
    "schema_applied",
    "schema_committed",
    "store_before_commit",
    "store_committed",
    "store_sequenced",
    "log_segment",
    "log_ended",
    "blob_synced",
    "blob_named",
    "audit_written",
    "audit_synced",
    "restore_copied",
    "restore_moved",
    "restore_placed",
];

/// Dies here when told to. The other crates have `kiln_runner::crash` for it, on which this one may not depend.
pub fn point(name: &str) {
    static WANTED: OnceLock<Option<(String, AtomicU32)>> = OnceLock::new();
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
