//! A file on its way out of a build container: what the agent says of it, and what the host may believe.
//!
//! Names, links and modes come from a hostile build (`security.md` 5.4). Everything that stores entries on the host
//! ([`crate::zip`], [`crate::directory`], [`crate::cache`]) checks them here first.

use kiln_wire::{PathBytes, agent};

/// Longest path that is taken, in bytes: Linux' own `PATH_MAX`.
pub const MAX_PATH: usize = 4096;
/// Longest path component that is taken, in bytes: `NAME_MAX` of the usual file systems.
pub const MAX_COMPONENT: usize = 255;

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A regular file; its content follows as a stream.
    File,
    /// A symbolic link.
    Symlink {
        /// The link's text.
        target: &'a [u8],
    },
    /// A directory.
    Directory,
}

/// One file, link or directory, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Name to store it under: relative, `/` between components, any bytes but NUL.
    pub path: &'a [u8],
    /// What it is.
    pub kind: EntryKind<'a>,
    /// Permission bits. Only `0o777` are ever stored or set: set-user-id, set-group-id and the sticky bit never leave
    /// the container.
    pub mode: u32,
    /// Size in bytes when the file was listed. What the stream holds decides.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
}

impl<'a> From<&'a agent::Entry> for Entry<'a> {
    fn from(entry: &'a agent::Entry) -> Self {
        Self {
            path: &entry.path.0,
            kind: match &entry.kind {
                agent::EntryKind::File => EntryKind::File,
                agent::EntryKind::Symlink { target } => EntryKind::Symlink { target: &target.0 },
                agent::EntryKind::Directory => EntryKind::Directory,
            },
            mode: entry.mode,
            size: entry.size,
            mtime_ns: entry.mtime_ns,
        }
    }
}

impl Entry<'_> {
    /// The entry as the agent takes it, at an absolute path of the container.
    #[must_use]
    pub(crate) fn at(&self, absolute: Vec<u8>) -> agent::Entry {
        agent::Entry {
            path: PathBytes(absolute.clone()),
            absolute: PathBytes(absolute),
            kind: match self.kind {
                EntryKind::File => agent::EntryKind::File,
                EntryKind::Symlink { target } => agent::EntryKind::Symlink { target: PathBytes(target.to_vec()) },
                EntryKind::Directory => agent::EntryKind::Directory,
            },
            mode: self.mode,
            size: self.size,
            mtime_ns: self.mtime_ns,
            ctime_ns: 0,
            inode: 0,
        }
    }
}

/// Why an entry's name cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// No name.
    #[error("is empty")]
    Empty,
    /// Starts with `/`.
    #[error("is absolute")]
    Absolute,
    /// Has an empty component, `.` or `..`.
    #[error("has an empty, '.' or '..' component")]
    Component,
    /// Has a NUL byte.
    #[error("has a NUL byte")]
    Nul,
    /// Longer than [`MAX_PATH`], or a component longer than [`MAX_COMPONENT`].
    #[error("is too long (a path may have 4,096 bytes, a component 255)")]
    TooLong,
}

/// Checks that `path` is relative, normal (no empty, `.` or `..` component) and of a length that a file system takes.
///
/// # Errors
///
/// The first rule that `path` breaks.
pub fn check_path(path: &[u8]) -> Result<(), BadPath> {
    match path.first() {
        None => return Err(BadPath::Empty),
        Some(b'/') => return Err(BadPath::Absolute),
        Some(_) => {}
    }
    if path.len() >= MAX_PATH {
        return Err(BadPath::TooLong);
    }
    if path.contains(&0) {
        return Err(BadPath::Nul);
    }
    for component in path.split(|&b| b == b'/') {
        if matches!(component, b"" | b"." | b"..") {
            return Err(BadPath::Component);
        }
        if component.len() > MAX_COMPONENT {
            return Err(BadPath::TooLong);
        }
    }
    Ok(())
}

/// True when a link stored at `path` and pointing to `target` stays inside the tree that holds it (`buildspec.md` 1.10:
/// such links are kept).
///
/// `..` counts only in front, where it climbs through real directories: in the middle it could follow another link and
/// climb from wherever that leads. By this rule every link of a tree stays inside, and so does every chain of them.
#[must_use]
pub fn stays_inside(path: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.len() >= MAX_PATH || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut above = path.iter().filter(|&&b| b == b'/').count();
    let mut climbing = true;
    for component in target.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." if climbing => match above.checked_sub(1) {
                Some(left) => above = left,
                None => return false,
            },
            b".." => return false,
            _ => climbing = false,
        }
    }
    true
}

/// How much a build may send out of its container in one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Entries.
    pub entries: u64,
    /// Bytes of content, before compression.
    pub bytes: u64,
}

impl Default for OutputLimits {
    /// 2 million entries, 64 GiB: the largest build disk of the service's compute types is of that order
    /// (`buildspec.md` section 14).
    fn default() -> Self {
        Self { entries: 2_000_000, bytes: 64 << 30 }
    }
}

/// A name for messages: invalid UTF-8 and control characters replaced, cut to a readable length.
#[must_use]
pub fn printable(path: &[u8]) -> String {
    const SHOWN: usize = 300;
    let text = String::from_utf8_lossy(path.get(..SHOWN).unwrap_or(path));
    let mut out: String = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if path.len() > SHOWN {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_relative_paths_pass() {
        for good in [&b"a"[..], b"a/b", b".hidden", b"a/...", b"..a/b", b"\xff\xfe", b"a\\b", b"C:"] {
            assert_eq!(check_path(good), Ok(()), "{}", printable(good));
        }
        let long = [b'a'; 256];
        let deep = b"a/".repeat(2048);
        for (bad, why) in [
            (&b""[..], BadPath::Empty),
            (b"/", BadPath::Absolute),
            (b"/etc/shadow", BadPath::Absolute),
            (b"..", BadPath::Component),
            (b"a/../b", BadPath::Component),
            (b"./a", BadPath::Component),
            (b"a//b", BadPath::Component),
            (b"a/", BadPath::Component),
            (b"a\0b", BadPath::Nul),
            (&long, BadPath::TooLong),
            (&deep, BadPath::TooLong),
        ] {
            assert_eq!(check_path(bad), Err(why), "{}", printable(bad));
        }
    }

    #[test]
    fn links_that_could_leave_the_tree_are_told_apart() {
        for (path, target) in [("l", "a"), ("a/l", "../b"), ("a/b/l", "../../c/d"), ("l", "./a/./b"), ("a/l", "..")] {
            assert!(stays_inside(path.as_bytes(), target.as_bytes()), "{path} -> {target}");
        }
        for (path, target) in [
            ("l", ""),
            ("l", "/etc/passwd"),
            ("l", ".."),
            ("a/l", "../.."),
            ("l", "a/../.."),
            // Inside by its text, but not when `l` links to `.`: l/l/../.. is then above the root.
            ("m", "l/l/../b"),
        ] {
            assert!(!stays_inside(path.as_bytes(), target.as_bytes()), "{path} -> {target}");
        }
    }

    #[test]
    fn names_are_made_printable() {
        assert_eq!(printable(b"a\x1b[2Jb\xff"), "a\u{fffd}[2Jb\u{fffd}");
        assert!(printable(&[b'x'; 5000]).chars().count() <= 301);
    }
}
