//! Logs: what a build's journal said, compressed, for as long as it is kept.
//!
//! ```text
//! logs/<group>/<stream>/segments   segments one behind the other, at last an end mark
//! logs/<group>/<stream>/events     instead of both: events that callers put (module `events`)
//! logs/<group>/<stream>/index      a copy of their headers with their places, from the second segment on
//! ```
//!
//! The content of the segments, one behind the other, **is the journal, byte for byte** (`reliability.md` I5): records of
//! `kiln-wire`, its file header included. A segment holds whole records, about [`SEGMENT_BYTES`] of them. The index is a
//! short cut that can always be made again from the segments; it is believed only where they agree.
//!
//! A writer goes on where the last whole segment ends ([`LogWriter::open`]), so whoever copies a journal asks the writer for
//! its position and needs no record of its own. Only [`LogWriter::finish`] syncs: until then the journal itself still is
//! there. Every segment carries checksums of header and content, so what a machine's crash left torn is seen and cut.

mod error;
mod events;
mod query;
mod reader;
mod search;
mod segment;
mod stored;
mod writer;

#[cfg(test)]
mod search_tests;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

pub use self::{
    error::LogError,
    events::{Batch, EventReader, EventRoom, Expiry, PutEvent},
    query::{QUERY_BYTES, Query, QueryError},
    reader::{JournalReader, LINE_BYTES, Line, LogReader, LogStats},
    search::{Counted, Found, Scope},
    stored::LIVE_BYTES,
    writer::{LogPosition, LogWriter},
};

/// Content of a segment, about: one is closed with the record that reaches this. At most one record more.
pub const SEGMENT_BYTES: usize = 512 << 10;

/// Longest name of a directory that is made from a group or stream; longer ones are cut and get a digest.
const NAME_BYTES: usize = 200;

/// The logs of a data directory.
#[derive(Debug, Clone)]
pub struct Logs {
    root: PathBuf,
}

impl Logs {
    /// Logs below `root`, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(root).map_err(|e| error::io("make", root, e))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Directory of a stream. Any text is a name, also one with slashes.
    #[must_use]
    pub fn directory(&self, group: &str, stream: &str) -> PathBuf {
        self.root.join(directory_name(group)).join(directory_name(stream))
    }

    /// Every stream that there is, in no order.
    ///
    /// # Errors
    /// When the directories cannot be read.
    pub fn stored(&self) -> Result<Vec<Stored>, LogError> {
        let mut found = Vec::new();
        for group in subdirectories(&self.root)? {
            for directory in subdirectories(&group)? {
                let name = |path: &Path| original_name(path.file_name()?.to_str()?);
                let names = name(&group).zip(name(&directory));
                found.push(Stored { directory, names });
            }
        }
        Ok(found)
    }

    /// Opens a stream for writing; see [`LogWriter::open`].
    ///
    /// # Errors
    /// [`LogError`]
    pub fn writer(&self, group: &str, stream: &str) -> Result<LogWriter, LogError> {
        LogWriter::open(&self.directory(group, stream))
    }

    /// Opens a stream for reading; see [`LogReader::open`].
    ///
    /// # Errors
    /// [`LogError::NotFound`] when nothing was written yet.
    pub fn reader(&self, group: &str, stream: &str) -> Result<LogReader, LogError> {
        LogReader::open(&self.directory(group, stream))
    }

    /// Appends events to a stream behind `length`, how much of them counts by now; they are on the disk when it returns how
    /// much is to count then. One call at a time for each stream.
    ///
    /// # Errors
    /// [`LogError::DiskFull`] and others of the disk; [`LogError::Damaged`] when there is less than counts.
    pub fn append(&self, group: &str, stream: &str, length: u64, batch: Batch<'_>) -> Result<u64, LogError> {
        events::append(&self.directory(group, stream), length, batch)
    }

    /// Opens the events that were put into a stream, of which so many bytes count.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::NotFound`] when there is less than counts.
    pub fn events(&self, group: &str, stream: &str, length: u64) -> Result<EventReader, LogError> {
        EventReader::open(&self.directory(group, stream), length)
    }

    /// Ends what [`EventReader::write_kept`] began, now that `length` bytes of the stream's events count. Not doing so does no harm
    /// but for the disk space; appending does it too.
    ///
    /// # Errors
    /// When a file cannot be replaced.
    pub fn settle(&self, group: &str, stream: &str, length: u64) -> Result<(), LogError> {
        events::settle(&self.directory(group, stream), length)
    }

    /// Removes a stream with everything beside it, and its group when it was the last one; the bytes that its files had, or
    /// `None` when there was no such stream. Readers that have it open read on to the end of what they opened; its disk space
    /// is free when they are gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, group: &str, stream: &str) -> Result<Option<u64>, LogError> {
        let directory = self.directory(group, stream);
        let removed = size(&directory).and_then(|bytes| fs::remove_dir_all(&directory).map(|()| bytes));
        let bytes = match removed {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(error::io("remove", &directory, e)),
        };
        // Refused while other streams are in it, which is what is wanted then.
        fs::remove_dir(self.root.join(directory_name(group))).ok();
        Ok(Some(bytes))
    }
}

/// Bytes of the files in a directory.
fn size(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// A stream that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its directory.
    pub directory: PathBuf,
    /// Names of its group and its own, where the directories say them: names that are too long were cut.
    pub names: Option<(String, String)>,
}

fn subdirectories(path: &Path) -> Result<Vec<PathBuf>, LogError> {
    let failed = |e| error::io("read", path, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The text that a directory's name is made from; `None` for one that was cut, or that is no name of ours.
fn original_name(directory: &str) -> Option<String> {
    if directory == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(directory.len());
    let mut rest = directory.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (code, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
        rest = behind;
    }
    let text = String::from_utf8(bytes).ok()?;
    (directory_name(&text) == directory).then_some(text)
}

/// Name of a directory for any text: letters, digits and `._-` stand for themselves, other bytes are `%XX`; a dot at the
/// beginning too. What becomes too long is cut and ends with a digest.
fn directory_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (i, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && i > 0) {
            name.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            write!(name, "%{byte:02X}").ok();
        }
    }
    if name.is_empty() {
        return "%".to_owned();
    }
    if name.len() > NAME_BYTES {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        name.truncate(NAME_BYTES - 34);
        name.push_str("%%");
        for byte in digest.as_ref().iter().take(16) {
            write!(name, "{byte:02x}").ok();
        }
    }
    name
}
