//! What uses the disk: the directories of the data directory, and the objects of each bucket. Beside a running server
//! too: nothing is locked.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use kiln_store::{Metadata, metadata::BucketUsage};
use serde::Serialize;

/// Directories that are told, with what they hold.
const PARTS: [(&str, &str); 10] = [
    ("blobs", "objects"),
    ("logs", "logs of builds"),
    ("images", "images"),
    ("cache", "caches"),
    ("layers", "Docker's layers of builds"),
    ("builds", "builds, running and kept"),
    ("runs", "local runs"),
    ("staging", "sources on their way"),
    ("kiln.db", "records"),
    ("kiln.db-wal", "records, newest changes"),
];

/// What a part of the data directory takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    /// Name in the data directory.
    name: &'static str,
    /// What it holds.
    what: &'static str,
    /// Bytes on the disk.
    bytes: u64,
}

/// What a bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Bucket {
    name: String,
    objects: u64,
    bytes: u64,
    uploads: u64,
    upload_bytes: u64,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    parts: Vec<Part>,
    buckets: Vec<Bucket>,
}

impl Usage {
    /// Looks; what cannot be read counts as nothing.
    pub(super) fn of(data: &Path) -> Self {
        let parts = PARTS.iter().map(|(name, what)| Part { name, what, bytes: allocated(&data.join(name)) });
        let buckets = Metadata::bucket_usage(data).unwrap_or_default();
        Self {
            parts: parts.filter(|part| part.bytes > 0).collect(),
            buckets: buckets.into_iter().map(bucket).collect(),
        }
    }

    /// Lines for people; empty when there is nothing.
    pub(super) fn lines(&self) -> String {
        if self.parts.is_empty() {
            return String::new();
        }
        let mut lines = "\nOn the disk:\n".to_owned();
        for part in &self.parts {
            lines += &format!("  {:>10}  {} ({})\n", size(part.bytes), part.name, part.what);
        }
        for bucket in &self.buckets {
            lines += &format!("  {:>10}  bucket {}: {} objects", size(bucket.bytes), bucket.name, bucket.objects);
            if bucket.uploads > 0 {
                lines += &format!(", and {} in {} unfinished uploads", size(bucket.upload_bytes), bucket.uploads);
            }
            lines.push('\n');
        }
        lines
    }
}

fn bucket(usage: BucketUsage) -> Bucket {
    let BucketUsage { name, objects, bytes, uploads, upload_bytes } = usage;
    Bucket { name, objects, bytes, uploads, upload_bytes }
}

fn size(bytes: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

/// Bytes that a tree takes on the disk; sparse files take what is written. Links and mounts are not followed.
fn allocated(path: &Path) -> u64 {
    let Ok(top) = path.symlink_metadata() else { return 0 };
    let mut bytes = top.blocks() * 512;
    let mut todo = if top.is_dir() { vec![path.to_owned()] } else { Vec::new() };
    while let Some(directory) = todo.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let Ok(found) = entry.metadata() else { continue };
            if found.dev() != top.dev() {
                continue;
            }
            bytes += found.blocks() * 512;
            if found.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_unit_is_used() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }

    #[test]
    fn what_is_there_is_counted() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Usage::of(data.path()).lines(), "");
        fs::create_dir_all(data.path().join("logs/a")).unwrap();
        fs::write(data.path().join("logs/a/b"), vec![1; 100_000]).unwrap();
        let usage = Usage::of(data.path());
        assert_eq!(usage.parts.len(), 1);
        assert!(usage.parts[0].bytes >= 100_000);
        assert!(usage.lines().contains("logs of builds"), "{}", usage.lines());
    }
}
