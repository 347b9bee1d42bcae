//! Reading what a sandbox used, from files that are opened once.

use std::{os::fd::OwnedFd, path::Path};

use rustix::fs::{Mode, OFlags};

use crate::spec::Usage;

/// How a file's text becomes numbers.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// v2 `cpu.stat`.
    CpuStat,
    /// One number of nanoseconds (v1).
    CpuNanoseconds,
    /// One number.
    Memory,
    /// One number.
    MemoryPeak,
    /// A line `oom_kill N` (v1 `memory.oom_control`, v2 `memory.events`).
    OomKill,
    /// One number.
    Pids,
    /// A line `max N`.
    PidsEvents,
    /// v2 `io.stat`: `rbytes=N wbytes=N` for each device.
    IoStat,
    /// v1 `blkio.throttle.io_service_bytes_recursive`: `MAJ:MIN Read N` and `MAJ:MIN Write N`.
    BlkioBytes,
}

const V2: [(&str, Form); 7] = [
    ("cpu.stat", Form::CpuStat),
    ("memory.current", Form::Memory),
    ("memory.peak", Form::MemoryPeak),
    ("memory.events", Form::OomKill),
    ("pids.current", Form::Pids),
    ("pids.events", Form::PidsEvents),
    ("io.stat", Form::IoStat),
];

const V1: [(&str, Form); 7] = [
    ("cpuacct.usage", Form::CpuNanoseconds),
    ("memory.usage_in_bytes", Form::Memory),
    ("memory.max_usage_in_bytes", Form::MemoryPeak),
    ("memory.oom_control", Form::OomKill),
    ("pids.current", Form::Pids),
    ("pids.events", Form::PidsEvents),
    ("blkio.throttle.io_service_bytes_recursive", Form::BlkioBytes),
];

/// The files of a sandbox's cgroups that show its use.
#[derive(Debug, Default)]
pub(super) struct UsageFiles(Vec<(Form, OwnedFd)>);

impl UsageFiles {
    pub(super) fn add_v2(&mut self, dir: &Path) {
        self.add(dir, &V2);
    }

    pub(super) fn add_v1(&mut self, dir: &Path) {
        self.add(dir, &V1);
    }

    fn add(&mut self, dir: &Path, files: &[(&str, Form)]) {
        for (name, form) in files {
            // Absent: the controller is not in this hierarchy, or the kernel is older than the file.
            if let Ok(fd) = rustix::fs::open(dir.join(name), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
                self.0.push((*form, fd));
            }
        }
    }

    /// Reads all of them; what cannot be read counts as 0.
    pub(super) fn read(&self) -> Usage {
        let mut usage = Usage::default();
        let mut buffer = [0_u8; 8192];
        for (form, fd) in &self.0 {
            let read = rustix::io::pread(fd, &mut buffer, 0).unwrap_or(0);
            let text = buffer.get(..read).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
            apply(&mut usage, *form, text);
        }
        // A kernel without `memory.peak` (before 5.19) still knows the present.
        usage.memory_peak_bytes = usage.memory_peak_bytes.max(usage.memory_bytes);
        usage
    }
}

fn apply(usage: &mut Usage, form: Form, text: &str) {
    let number = || text.trim().parse::<u64>().unwrap_or(0);
    match form {
        // A v2 hierarchy without the cpu controller counts too; on a hybrid host v1 has the same time in nanoseconds.
        Form::CpuStat => usage.cpu_ns = usage.cpu_ns.max(line(text, "usage_usec").saturating_mul(1000)),
        Form::CpuNanoseconds => usage.cpu_ns = usage.cpu_ns.max(number()),
        Form::Memory => usage.memory_bytes = number(),
        Form::MemoryPeak => usage.memory_peak_bytes = number(),
        Form::OomKill => usage.oom_kills = line(text, "oom_kill"),
        Form::Pids => usage.pids = number(),
        Form::PidsEvents => usage.pids_refused = line(text, "max"),
        Form::IoStat => {
            for field in text.split_whitespace() {
                if let Some(bytes) = field.strip_prefix("rbytes=").and_then(|n| n.parse::<u64>().ok()) {
                    usage.read_bytes = usage.read_bytes.saturating_add(bytes);
                } else if let Some(bytes) = field.strip_prefix("wbytes=").and_then(|n| n.parse::<u64>().ok()) {
                    usage.written_bytes = usage.written_bytes.saturating_add(bytes);
                }
            }
        }
        Form::BlkioBytes => {
            for line in text.lines() {
                let mut fields = line.split(' ').skip(1);
                let (Some(kind), Some(bytes)) = (fields.next(), fields.next().and_then(|n| n.parse::<u64>().ok()))
                else {
                    continue;
                };
                match kind {
                    "Read" => usage.read_bytes = usage.read_bytes.saturating_add(bytes),
                    "Write" => usage.written_bytes = usage.written_bytes.saturating_add(bytes),
                    _ => {}
                }
            }
        }
    }
}

/// The number after `name` on its line, 0 if there is none.
fn line(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_versions_of_each_file() {
        let mut usage = Usage::default();
        apply(&mut usage, Form::CpuStat, "usage_usec 12\nuser_usec 10\n");
        apply(&mut usage, Form::CpuNanoseconds, "11999\n");
        apply(&mut usage, Form::OomKill, "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
        apply(&mut usage, Form::PidsEvents, "max 7\nmax.imposed 9\n");
        apply(&mut usage, Form::IoStat, "8:0 rbytes=5 wbytes=6 rios=1\n7:0 rbytes=1 wbytes=x\n");
        apply(&mut usage, Form::BlkioBytes, "254:0 Read 10\n254:0 Write 20\n254:0 Total 30\nTotal 30\n");
        let expected = Usage {
            cpu_ns: 12_000,
            oom_kills: 3,
            pids_refused: 7,
            read_bytes: 16,
            written_bytes: 26,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }
}
