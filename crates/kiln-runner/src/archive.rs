//! Reads a source archive (ZIP) that somebody uploaded, who is not trusted (`security.md` 5.4).
//!
//! Nothing is written on the host: the entries are handed out one after the other, checked, for the agent to put at their
//! places inside the container. The format is the `zip` crate's to read; what an archive may hold is decided here.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use ::zip::{ExtraField, ZipArchive, read::ZipFile, result::ZipError};

use crate::{
    entry::{self, BadPath, Entry, EntryKind},
    text,
};

/// Contents travel in pieces of this size.
const PIECE: usize = 256 * 1024;
/// From here on a content counts as a bomb when it is more than [`MAX_RATIO`] times as large as its compressed form.
const RATIO_FROM: u64 = 1 << 20;
/// See [`RATIO_FROM`].
const MAX_RATIO: u64 = 200;
/// The part of a mode that says what a file is, and its values (`inode(7)`).
const TYPE: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArchiveLimits {
    /// Entries.
    pub(crate) entries: u64,
    /// Bytes of all contents together.
    pub(crate) bytes: u64,
}

/// An archive that is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It cannot be opened.
    #[error("source archive {path}: {source}")]
    Open {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// It is no ZIP archive, or a damaged one.
    #[error("the source archive cannot be read: {0}")]
    Malformed(ZipError),
    /// It has too many entries.
    #[error("the source archive has {entries} entries; {limit} are allowed")]
    TooMany {
        /// How many.
        entries: u64,
        /// Limit.
        limit: u64,
    },
    /// Its contents are too large.
    #[error("the source archive unpacks to more than {}, the disk of the build's compute type", text::bytes(*.limit))]
    TooLarge {
        /// Limit.
        limit: u64,
    },
    /// Its contents are far larger than it.
    #[error(
        "the source archive unpacks to more than {MAX_RATIO} times its own size: it looks like a decompression bomb"
    )]
    Bomb,
    /// It holds a name twice.
    #[error("the source archive holds a name more than once")]
    Duplicates,
    /// Entries share bytes.
    #[error("entries of the source archive overlap: it looks like a decompression bomb")]
    Overlap,
    /// An entry.
    #[error("entry '{name}' of the source archive {problem}")]
    Entry {
        /// Its name, printable.
        name: String,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("has a bad name: it {0}")]
    Name(#[from] BadPath),
    #[error("has a bad name: it has a backslash")]
    Backslash,
    #[error("has a bad name: it begins with a drive letter")]
    Drive,
    #[error("lies below '{0}', which is not a directory")]
    BelowFile(String),
    #[error("is there as a file and as a directory")]
    TwoKinds,
    #[error("is neither a file nor a directory nor a symbolic link (mode {0:o})")]
    Special(u32),
    #[error("is encrypted")]
    Encrypted,
    #[error("is a symbolic link that leads out of the source ('{0}')")]
    LinkOutside(String),
    #[error("is a symbolic link with a target of more than {} bytes", entry::MAX_PATH)]
    LinkTooLong,
    #[error("is larger than the {0} bytes that it announces")]
    MoreThanAnnounced(u64),
    #[error("unpacks to more than {MAX_RATIO} times its compressed size: it looks like a decompression bomb")]
    Bomb,
    #[error("is larger than the {0} bytes that are allowed")]
    TooLarge(u64),
    #[error("is not a regular file")]
    NotAFile,
    #[error("cannot be read: {0}")]
    Read(io::Error),
    #[error("cannot be read: {0}")]
    Zip(ZipError),
}

/// One step of unpacking.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// The next file, link or directory.
    Entry(Entry<'a>),
    /// The next bytes of a file.
    Content(&'a [u8]),
    /// The entry is complete.
    End,
}

/// Why unpacking ended early.
#[derive(Debug)]
pub(crate) enum Unpack<E> {
    /// The archive.
    Archive(ArchiveError),
    /// Whoever took the pieces.
    Taker(E),
}

/// An archive whose directory was checked.
#[derive(Debug)]
pub(crate) struct SourceArchive {
    zip: ZipArchive<BufReader<File>>,
    /// Size of the archive itself.
    size: u64,
    limits: ArchiveLimits,
}

impl SourceArchive {
    /// Opens an archive and checks everything that can be known without unpacking it.
    ///
    /// # Errors
    /// When it cannot be read or holds what may not be unpacked.
    pub(crate) fn open(path: &Path, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let open_error = |source| ArchiveError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open_error)?;
        let size = file.metadata().map_err(open_error)?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(ArchiveError::Malformed)?;
        if zip.len() as u64 > limits.entries {
            return Err(ArchiveError::TooMany { entries: zip.len() as u64, limit: limits.entries });
        }
        if zip.has_duplicate_names() {
            return Err(ArchiveError::Duplicates);
        }
        check_directory(&zip, limits)?;
        if zip.has_overlapping_entries().map_err(ArchiveError::Malformed)? {
            return Err(ArchiveError::Overlap);
        }
        Ok(Self { zip, size, limits })
    }

    /// The content of a regular file of at most `limit` bytes; `None`: there is no entry of that name.
    ///
    /// # Errors
    /// When it is something else, too large or unreadable.
    pub(crate) fn read(&mut self, name: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        let failed = |problem| ArchiveError::Entry { name: entry::printable(name), problem };
        let Some(index) = self.zip.index_for_name_raw(name) else { return Ok(None) };
        let file = self.zip.by_index(index).map_err(|e| failed(Problem::Zip(e)))?;
        if !matches!(Kind::of(file.name_raw(), file.unix_mode()), Ok(Kind::File)) {
            return Err(failed(Problem::NotAFile));
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| failed(Problem::Read(e)))?;
        if bytes.len() as u64 > limit {
            return Err(failed(Problem::TooLarge(limit)));
        }
        Ok(Some(bytes))
    }

    /// Hands out every entry in the order of the archive. When it fails in the middle of a file, no [`Piece::End`] came
    /// for that one.
    ///
    /// # Errors
    /// When an entry is not what it says, or when `take` fails.
    pub(crate) fn unpack<E>(&mut self, mut take: impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), Unpack<E>> {
        let mut buffer = vec![0; PIECE];
        let mut total = 0u64;
        for index in 0..self.zip.len() {
            let mut file = self.zip.by_index(index).map_err(|e| Unpack::Archive(ArchiveError::Malformed(e)))?;
            let path = trimmed(file.name_raw()).to_owned();
            let failed = |problem| Unpack::Archive(ArchiveError::Entry { name: entry::printable(&path), problem });
            let kind = Kind::of(file.name_raw(), file.unix_mode()).map_err(&failed)?;
            let target = match kind {
                Kind::Link => link_target(&mut file, &path).map_err(&failed)?,
                Kind::File | Kind::Directory => Vec::new(),
            };
            let entry = Entry {
                path: &path,
                kind: match kind {
                    Kind::File => EntryKind::File,
                    Kind::Directory => EntryKind::Directory,
                    Kind::Link => EntryKind::Symlink { target: &target },
                },
                mode: mode(file.unix_mode(), kind),
                size: file.size(),
                mtime_ns: mtime_ns(&file),
            };
            let (announced, compressed) = (file.size(), file.compressed_size());
            take(Piece::Entry(entry)).map_err(Unpack::Taker)?;
            let mut size = 0u64;
            if kind == Kind::File {
                loop {
                    let read = match file.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(read) => buffer.get(..read).unwrap_or_default(),
                        Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                        Err(e) => return Err(failed(Problem::Read(e))),
                    };
                    size += read.len() as u64;
                    total += read.len() as u64;
                    if size > announced {
                        return Err(failed(Problem::MoreThanAnnounced(announced)));
                    }
                    if is_bomb(size, compressed) {
                        return Err(failed(Problem::Bomb));
                    }
                    if total > self.limits.bytes {
                        return Err(Unpack::Archive(ArchiveError::TooLarge { limit: self.limits.bytes }));
                    }
                    if is_bomb(total, self.size) {
                        return Err(Unpack::Archive(ArchiveError::Bomb));
                    }
                    take(Piece::Content(read)).map_err(Unpack::Taker)?;
                }
            }
            take(Piece::End).map_err(Unpack::Taker)?;
        }
        Ok(())
    }
}

/// Checks names, kinds and announced sizes.
fn check_directory(zip: &ZipArchive<BufReader<File>>, limits: ArchiveLimits) -> Result<(), ArchiveError> {
    let mut others: HashSet<&[u8]> = HashSet::new();
    let mut directories: HashSet<&[u8]> = HashSet::new();
    let mut total = 0u64;
    for (index, name) in zip.file_names_raw().enumerate() {
        let failed = |problem| ArchiveError::Entry { name: entry::printable(name), problem };
        let data = zip.by_index_data(index).map_err(|e| failed(Problem::Zip(e)))?;
        check_name(trimmed(name)).map_err(failed)?;
        if data.encrypted() {
            return Err(failed(Problem::Encrypted));
        }
        let set = match Kind::of(name, data.unix_mode()).map_err(failed)? {
            Kind::Directory => &mut directories,
            Kind::File | Kind::Link => &mut others,
        };
        set.insert(trimmed(name));
        total = total.saturating_add(data.size());
        if total > limits.bytes {
            return Err(ArchiveError::TooLarge { limit: limits.bytes });
        }
    }
    if let Some(both) = directories.iter().find(|name| others.contains(**name)) {
        return Err(ArchiveError::Entry { name: entry::printable(both), problem: Problem::TwoKinds });
    }
    // A file below a file, or through a link.
    for name in directories.iter().chain(&others) {
        for (at, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = name.get(..at).unwrap_or_default();
            if others.contains(above) {
                let problem = Problem::BelowFile(entry::printable(above));
                return Err(ArchiveError::Entry { name: entry::printable(name), problem });
            }
        }
    }
    Ok(())
}

fn check_name(name: &[u8]) -> Result<(), Problem> {
    if name.contains(&b'\\') {
        return Err(Problem::Backslash);
    }
    if matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(Problem::Drive);
    }
    Ok(entry::check_path(name)?)
}

/// The name without the slash that ends a directory's.
fn trimmed(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"/").unwrap_or(name)
}

fn is_bomb(size: u64, compressed: u64) -> bool {
    size > RATIO_FROM && size / MAX_RATIO > compressed
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
}

impl Kind {
    fn of(name: &[u8], mode: Option<u32>) -> Result<Self, Problem> {
        let named_directory = name.ends_with(b"/");
        match mode.unwrap_or_default() & TYPE {
            TYPE_DIRECTORY => Ok(Self::Directory),
            0 | TYPE_FILE if named_directory => Ok(Self::Directory),
            0 | TYPE_FILE => Ok(Self::File),
            TYPE_LINK if !named_directory => Ok(Self::Link),
            other => Err(Problem::Special(other)),
        }
    }
}

/// Permission bits; those of an archive that has none, or none for its owner, are the usual ones.
fn mode(mode: Option<u32>, kind: Kind) -> u32 {
    let usual = if kind == Kind::Directory { 0o755 } else { 0o644 };
    match mode.map(|mode| mode & 0o777) {
        None | Some(0) => usual,
        Some(mode) => mode,
    }
}

fn link_target(file: &mut ZipFile<'_, BufReader<File>>, path: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut target = Vec::new();
    file.take(entry::MAX_PATH as u64 + 1).read_to_end(&mut target).map_err(Problem::Read)?;
    if target.len() > entry::MAX_PATH {
        return Err(Problem::LinkTooLong);
    }
    if !entry::stays_inside(path, &target) {
        return Err(Problem::LinkOutside(entry::printable(&target)));
    }
    Ok(target)
}

/// The modification time: of the extended time stamp in UTC, else the DOS one, which has no zone and counts as UTC.
fn mtime_ns(file: &ZipFile<'_, BufReader<File>>) -> i64 {
    let extended = file.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    let seconds = extended.map(i64::from).or_else(|| {
        let dos = time::PrimitiveDateTime::try_from(file.last_modified()?).ok()?;
        Some(dos.assume_utc().unix_timestamp())
    });
    seconds.unwrap_or_default().saturating_mul(1_000_000_000)
}

#[cfg(test)]
mod tests;
