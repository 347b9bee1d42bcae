//! What the container holds now, and what of it has to be read to save it.

use super::{
    CacheError,
    manifest::{Manifest, Stored, StoredKind},
};
use crate::entry::{BadPath, Entry, EntryKind, OutputLimits, check_path, printable};

/// A file's place in the listing, as the agent knows it.
pub(super) type Index = u32;

/// One listed entry.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// Its chunks are not known: `first` and `count` are 0.
    pub(super) stored: Stored,
    pub(super) index: Index,
    ctime_ns: i64,
}

/// The entries of the cache's paths, as the agent lists them when the build has ended.
#[derive(Debug)]
pub struct Listing {
    limits: OutputLimits,
    entries: Vec<Listed>,
    bytes: u64,
    next: Index,
}

impl Listing {
    /// An empty listing. `limits.bytes` bounds the sizes that the listing claims; contents are bounded as they come.
    #[must_use]
    pub fn new(limits: OutputLimits) -> Self {
        Self { limits, entries: Vec::new(), bytes: 0, next: 0 }
    }

    /// Adds the next entry of the agent's list. Its path is any name under which the runner wants it back: relative, or
    /// absolute in the container.
    ///
    /// # Errors
    ///
    /// [`CacheError::Path`] and [`CacheError::Limit`].
    pub fn add(&mut self, entry: &Entry<'_>, ctime_ns: i64) -> Result<(), CacheError> {
        let index = self.next;
        self.next = self.next.checked_add(1).ok_or(CacheError::Limit { limit: u64::from(u32::MAX), what: "files" })?;
        check_cache_path(entry.path).map_err(|why| CacheError::Path { path: printable(entry.path), why })?;
        self.bytes = self.bytes.saturating_add(entry.size);
        if u64::from(self.next) > self.limits.entries {
            return Err(CacheError::Limit { limit: self.limits.entries, what: "files" });
        }
        if self.bytes > self.limits.bytes {
            return Err(CacheError::Limit { limit: self.limits.bytes, what: "bytes" });
        }
        let kind = match entry.kind {
            EntryKind::File => StoredKind::File { first: 0, count: 0 },
            EntryKind::Symlink { target } => StoredKind::Symlink { target: target.into() },
            EntryKind::Directory => StoredKind::Directory,
        };
        // A directory's time and size change with what is in it, and come back by themselves.
        let (size, mtime_ns) = match entry.kind {
            EntryKind::File => (entry.size, entry.mtime_ns),
            EntryKind::Symlink { .. } => (0, entry.mtime_ns),
            EntryKind::Directory => (0, 0),
        };
        let stored = Stored { path: entry.path.into(), kind, mode: entry.mode & 0o777, size, mtime_ns };
        self.entries.push(Listed { stored, index, ctime_ns });
        Ok(())
    }

    /// Sorted by path; of two with the same path the later one.
    pub(super) fn into_sorted(mut self) -> Vec<Listed> {
        self.entries.sort_by(|a, b| a.stored.path.cmp(&b.stored.path).then(b.index.cmp(&a.index)));
        self.entries.dedup_by(|later, first| later.stored.path == first.stored.path);
        self.entries
    }
}

/// As [`check_path`], but a path may begin with `/`: cache paths may be absolute (`buildspec.md` 10.4).
fn check_cache_path(path: &[u8]) -> Result<(), BadPath> {
    check_path(path.strip_prefix(b"/").unwrap_or(path))
}

impl Listed {
    /// The entry of `base` that this one certainly is, content included.
    ///
    /// `unchanged_before_ns` is a time, on the clock that the kernel stamps inodes with, at which the restored files had
    /// been written and nothing of the build had run. A file's inode-change time cannot be set by a program, so an older
    /// one shows that nobody has written, replaced, renamed or re-dated the file since; only then do its size and
    /// modification time, which a build can set as it likes, say that it is the restored one.
    pub(super) fn same_as<'m>(&self, base: &'m Manifest, unchanged_before_ns: i64) -> Option<&'m Stored> {
        let old = base.find(&self.stored.path)?;
        let new = &self.stored;
        let same = match (&old.kind, &new.kind) {
            (StoredKind::File { .. }, StoredKind::File { .. }) => {
                old.size == new.size && old.mtime_ns == new.mtime_ns && self.ctime_ns < unchanged_before_ns
            }
            // What a link and a directory hold is in the listing itself.
            (a, b) => a == b,
        };
        (same && old.mode == new.mode).then_some(old)
    }
}
