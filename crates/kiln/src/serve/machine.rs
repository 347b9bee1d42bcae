//! What the server's process, its database and its disk come to, for those who watch it.

use std::{fs, path::Path};

use kiln_api::MachineFigures;
use rustix::{
    fs::statvfs,
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

/// Reads the figures; what cannot be read is 0.
pub(crate) fn figures(data: &Path, started: f64) -> MachineFigures {
    let process = process_times().unwrap_or_default();
    let database = ["kiln.db", "kiln.db-wal"].map(|name| fs::metadata(data.join(name)).map_or(0, |file| file.len()));
    let disk = statvfs(data).ok();
    let blocks = |count: u64| disk.as_ref().map_or(0.0, |disk| (count * disk.f_frsize) as f64);
    MachineFigures {
        cpu_seconds: process.cpu_seconds,
        resident_bytes: process.resident_bytes,
        virtual_bytes: process.virtual_bytes,
        // One of them is open for the counting.
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1)) as f64,
        most_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) as f64,
        started,
        database_bytes: database.iter().sum::<u64>() as f64,
        disk_bytes: blocks(disk.as_ref().map_or(0, |disk| disk.f_blocks)),
        disk_free_bytes: blocks(disk.as_ref().map_or(0, |disk| disk.f_bavail)),
    }
}

#[derive(Debug, Default)]
struct Process {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
}

/// Of `/proc/self/stat`, behind the name, which may have blanks and parentheses: fields 14 and 15 are times in ticks, 23
/// bytes, 24 pages (proc(5)).
fn process_times() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<f64> = fields.split(' ').map(|field| field.trim().parse().unwrap_or_default()).collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let ticks = clock_ticks_per_second() as f64;
    Some(Process {
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        resident_bytes: field(24)? * page_size() as f64,
        virtual_bytes: field(23)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_this_process() {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("kiln.db"), vec![0; 5000]).unwrap();
        let before = figures(data.path(), 7.0);
        assert_eq!((before.started, before.database_bytes), (7.0, 5000.0));
        assert!(before.resident_bytes > 1e6 && before.resident_bytes < before.virtual_bytes, "{before:?}");
        assert!(before.open_files >= 3.0 && before.open_files <= before.most_files, "{before:?}");
        assert!(before.disk_free_bytes > 0.0 && before.disk_free_bytes <= before.disk_bytes, "{before:?}");
        let held: Vec<_> = (0..10).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        assert!(figures(data.path(), 7.0).open_files >= before.open_files + held.len() as f64 - 5.0);
    }
}
